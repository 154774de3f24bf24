//! Links: nothing leads out.

use crate::support::{Place, layers, names, table};
use husk_bundle::testimage::Tar;
use std::os::unix::fs::MetadataExt as _;

#[test]
fn writes_through_links_land_inside() {
    for (what, link, prefix) in [
        ("absolute", "{outside}", ""),
        ("climbing", "../../../../../../../../{outside}", ""),
        ("chained", "/first", "first -> {outside}"),
    ] {
        let place = Place::new();
        let outside = place.outside();
        let target = link.replace("{outside}", &outside);
        let mut tar = Tar::new();
        if let Some((name, target)) = prefix.split_once(" -> ") {
            tar = tar.symlink(name, target.replace("{outside}", &outside));
        }
        let tar = tar.symlink("evil", target).file("evil/new", b"x").dir("evil/folder");
        let tree = layers(&place, vec![tar]).unwrap();
        let inside = outside.trim_start_matches('/');
        let names = names(&tree);
        assert!(names.contains(&format!("{inside}/new")), "{what}: {names:#?}");
        assert!(names.contains(&format!("{inside}/folder/")), "{what}: {names:#?}");
    }
}

#[test]
fn what_links_may_and_may_not() {
    table(&[
        (
            "directory swapped for a link between entries",
            |o| {
                vec![
                    Tar::new()
                        .dir("d")
                        .file("d/a", b"")
                        .symlink("d", "/e")
                        .dir("e")
                        .file("d/b", b""),
                    Tar::new().file("unused", o.as_bytes()),
                ]
            },
            Some(&["d@", "e/", "e/b", "unused"]),
        ),
        (
            "directory swapped for a link between layers",
            |_| {
                vec![
                    Tar::new().dir("d").file("d/a", b"").dir("e"),
                    Tar::new().symlink("d", "e").file("d/b", b""),
                ]
            },
            Some(&["d@", "e/", "e/b"]),
        ),
        (
            "link loop as parent",
            |_| vec![Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", b"")],
            None,
        ),
        ("link to itself as parent", |_| vec![Tar::new().symlink("a", "a").file("a/x", b"")], None),
        (
            "whiteout through a link loop",
            |_| {
                vec![
                    Tar::new().symlink("a", "b").symlink("b", "a"),
                    Tar::new().file("a/.wh.x", b""),
                ]
            },
            None,
        ),
        (
            "link as parent to a file",
            |_| vec![Tar::new().file("f", b"").symlink("a", "f").file("a/x", b"")],
            None,
        ),
        (
            "directory over a link to one",
            |o| vec![Tar::new().symlink("a", o).dir("a")],
            Some(&["a/"]),
        ),
        (
            "file over a link",
            |o| vec![Tar::new().symlink("a", format!("{o}/file")).file("a", b"x")],
            Some(&["a"]),
        ),
        ("link over a link", |o| vec![Tar::new().symlink("a", o).symlink("a", "b")], Some(&["a@"])),
        ("empty link", |_| vec![Tar::new().symlink("a", "")], None),
        ("hard link, absolute out", |o| vec![Tar::new().hard_link("a", format!("{o}/file"))], None),
        (
            "hard link, climbing out",
            |o| vec![Tar::new().hard_link("a", format!("../../..{o}/file"))],
            None,
        ),
        (
            "hard link via a link",
            |o| vec![Tar::new().symlink("l", o).hard_link("a", "l/file")],
            None,
        ),
        ("hard link to a directory", |_| vec![Tar::new().dir("d").hard_link("a", "d")], None),
        ("hard link to the root", |_| vec![Tar::new().hard_link("a", "/")], None),
        ("hard link forward", |_| vec![Tar::new().hard_link("a", "b").file("b", b"")], None),
        (
            "hard link to what its name replaces",
            |_| vec![Tar::new().dir("a").file("a/b", b"").hard_link("a", "a/b")],
            None,
        ),
        (
            "hard link to a link, then written over",
            |o| {
                vec![
                    Tar::new()
                        .symlink("l", format!("{o}/file"))
                        .hard_link("a", "l")
                        .file("a", b"x"),
                ]
            },
            Some(&["a", "l@"]),
        ),
        (
            "hard link to itself",
            |_| vec![Tar::new().file("a", b"x").hard_link("a", "a")],
            Some(&["a"]),
        ),
        (
            "hard link to a lower layer",
            |_| vec![Tar::new().file("a", b"x"), Tar::new().hard_link("b", "/a")],
            Some(&["a", "b"]),
        ),
    ]);
}

#[test]
fn a_hard_link_is_the_same_object() {
    let place = Place::new();
    let tar = Tar::new().file("a", b"x").mode(0o777).owner(9, 9).hard_link("d/b", "a");
    let tree = layers(&place, vec![tar]).unwrap();
    assert_eq!(tree, ["a file 644 0:0 1 'x'", "d dir 755 0:0 0", "d/b file 644 0:0 1 'x'"]);
    let inode = |name: &str| std::fs::metadata(place.rootfs().join(name)).unwrap().ino();
    assert_eq!(inode("a"), inode("d/b"));
}

#[test]
fn a_link_has_its_own_attributes() {
    let place = Place::new();
    let outside = place.outside();
    let tar = Tar::new()
        .owner(5, 6)
        .mtime(99)
        .mode(0o777)
        .xattr("user.note", "x")
        .symlink("a", format!("{outside}/file"));
    let before = std::fs::metadata(place.path("outside/file")).unwrap();
    let tree = layers(&place, vec![tar]).unwrap();
    assert!(tree[0].starts_with("a link 777 5:6 99 "), "{tree:?}");
    let after = std::fs::metadata(place.path("outside/file")).unwrap();
    assert_eq!((before.mtime(), before.uid()), (after.mtime(), after.uid()));
}

#[test]
fn keep_dirlinks_merges_into_the_target() {
    for (keep, expected) in [
        (false, vec!["lib/", "lib/x", "usr/", "usr/lib/"]),
        (true, vec!["lib@", "usr/", "usr/lib/", "usr/lib/x"]),
    ] {
        let place = Place::new();
        let lower = Tar::new().dir("usr").dir("usr/lib").symlink("lib", "usr/lib");
        let upper = Tar::new().dir("lib").file("lib/x", b"");
        let image =
            husk_bundle::testimage::Image::new().layer(lower.finish()).layer(upper.finish());
        let mut order = place.layout(image);
        order.rules.keep_dirlinks = keep;
        place.run(&order).unwrap();
        assert_eq!(names(&place.tree()[1..]), expected);
    }
}
