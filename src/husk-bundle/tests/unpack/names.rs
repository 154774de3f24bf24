//! Names of entries.

use crate::support::{Place, layers, names, table};
use husk_bundle::testimage::Tar;

#[test]
fn names_stay_inside_or_are_refused() {
    table(&[
        ("climbs", |_| vec![Tar::new().file("../escaped", b"")], None),
        ("climbs further in", |_| vec![Tar::new().file("a/b/../../../escaped", b"")], None),
        ("whiteout that climbs", |_| vec![Tar::new().file("../.wh.outside", b"")], None),
        ("inner ..", |_| vec![Tar::new().file("a/../b", b"")], Some(&["b"])),
        ("absolute", |_| vec![Tar::new().file("/etc/x", b"")], Some(&["etc/", "etc/x"])),
        ("dots", |_| vec![Tar::new().file(".//a/./b", b"")], Some(&["a/", "a/b"])),
        ("empty", |_| vec![Tar::new().file("", b"")], None),
        ("file as root", |_| vec![Tar::new().file("./", b"x")], None),
        ("link as root", |o| vec![Tar::new().symlink("/", o)], None),
        ("link as root, other spelling", |o| vec![Tar::new().symlink("./", o)], None),
        ("link as root, by ..", |o| vec![Tar::new().symlink("a/..", o)], None),
        ("NUL", |_| vec![Tar::new().pax("path", b"a\0b").file("x", b"")], None),
        (
            "global header with a path",
            |_| vec![Tar::new().global(&[("path", "evil"), ("linkpath", "evil")]).file("a", b"")],
            Some(&["a"]),
        ),
        (
            "global header with a comment",
            |_| vec![Tar::new().global(&[("comment", "0123")]).file("a", b"")],
            Some(&["a"]),
        ),
        ("below a file", |_| vec![Tar::new().file("a", b"").file("a/b", b"")], None),
    ]);
}

#[test]
fn bytes_are_kept() {
    for name in [
        b"a\x01\x1b[31m".to_vec(),
        b"new\nline".to_vec(),
        b"\xff\xfe".to_vec(),
        vec![b'x'; 255],
        vec![b"d".to_vec(); 1500].join(&b'/'),
    ] {
        let place = Place::new();
        let tree = layers(&place, vec![Tar::new().file(&name, b"content")]).unwrap();
        let last = tree.iter().filter(|line| line.contains(" file ")).count();
        assert_eq!(last, 1, "{tree:#?}");
        use std::os::unix::ffi::OsStrExt as _;
        let path = place.rootfs().join(std::ffi::OsStr::from_bytes(&name));
        assert_eq!(std::fs::read(path).unwrap(), b"content");
    }
}

#[test]
fn long_components_and_names_are_refused() {
    for name in [vec![b'x'; 256], vec![b"abc".to_vec(); 1100].join(&b'/')] {
        for gnu in [false, true] {
            let place = Place::new();
            let tar = if gnu { Tar::new().gnu() } else { Tar::new() };
            let outcome = layers(&place, vec![tar.file(&name, b"")]);
            assert!(outcome.is_err(), "accepted {} bytes", name.len());
        }
    }
}

#[test]
fn refusals_quote_control_bytes() {
    let place = Place::new();
    // `Place::run` asserts that no control byte reaches the message.
    let error = layers(&place, vec![Tar::new().file("../\x1b]0;x\x07", b"")]).unwrap_err();
    assert!(error.to_string().contains(r"\x1b]0;x\x07"), "{error}");
}

#[test]
fn the_root_takes_its_attributes() {
    let place = Place::new();
    let tar = Tar::new().mode(0o711).owner(3, 4).mtime(77).dir("./").file("a", b"");
    assert_eq!(names(&layers(&place, vec![tar]).unwrap()), ["a"]);
    assert_eq!(place.tree()[0], ". dir 711 3:4 77");
}
