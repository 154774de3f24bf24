//! Whiteouts act on lower layers only, wherever they stand in their own.

use crate::support::{Place, layers, table};
use husk_bundle::testimage::{Image, Tar};

fn lower() -> Tar {
    Tar::new()
        .dir("d")
        .file("d/one", b"1")
        .dir("d/sub")
        .file("d/sub/two", b"2")
        .file("f", b"3")
        .symlink("l", "d")
}

#[test]
fn what_goes_and_what_stays() {
    table(&[
        (
            "of a file",
            |_| vec![lower(), Tar::new().file(".wh.f", b"")],
            Some(&["d/", "d/one", "d/sub/", "d/sub/two", "l@"]),
        ),
        ("of a tree", |_| vec![lower(), Tar::new().file(".wh.d", b"")], Some(&["f", "l@"])),
        (
            "of a link, not its target",
            |_| vec![lower(), Tar::new().file(".wh.l", b"")],
            Some(&["d/", "d/one", "d/sub/", "d/sub/two", "f"]),
        ),
        (
            "through a link",
            |_| vec![lower(), Tar::new().file("l/.wh.sub", b"")],
            Some(&["d/", "d/one", "f", "l@"]),
        ),
        (
            "of nothing",
            |_| vec![lower(), Tar::new().file(".wh.none", b"").file("x/.wh.y", b"")],
            Some(&["d/", "d/one", "d/sub/", "d/sub/two", "f", "l@"]),
        ),
        (
            "in the lowest layer",
            |_| vec![Tar::new().file("f", b"").file(".wh.f", b"").file(".wh..wh..opq", b"")],
            Some(&["f"]),
        ),
        (
            "before the new entry",
            |_| vec![lower(), Tar::new().file(".wh.d", b"").file("d/new", b"")],
            Some(&["d/", "d/new", "f", "l@"]),
        ),
        (
            "after the new entry",
            |_| vec![lower(), Tar::new().file("d/new", b"").file(".wh.d", b"")],
            Some(&["d/", "d/new", "f", "l@"]),
        ),
        (
            "after the new directory",
            |_| vec![lower(), Tar::new().dir("d").file("d/sub/new", b"").file(".wh.d", b"")],
            Some(&["d/", "d/sub/", "d/sub/new", "f", "l@"]),
        ),
        (
            "after a file in its place",
            |_| vec![lower(), Tar::new().file("d", b"").file(".wh.d", b"")],
            Some(&["d", "f", "l@"]),
        ),
        (
            "opaque first",
            |_| vec![lower(), Tar::new().file("d/.wh..wh..opq", b"").file("d/new", b"")],
            Some(&["d/", "d/new", "f", "l@"]),
        ),
        (
            "opaque last",
            |_| vec![lower(), Tar::new().dir("d").file("d/new", b"").file("d/.wh..wh..opq", b"")],
            Some(&["d/", "d/new", "f", "l@"]),
        ),
        (
            "opaque without an entry",
            |_| vec![lower(), Tar::new().file("d/.wh..wh..opq", b"")],
            Some(&["d/", "f", "l@"]),
        ),
        (
            "opaque through a link",
            |_| vec![lower(), Tar::new().file("l/.wh..wh..opq", b"")],
            Some(&["d/", "f", "l@"]),
        ),
        (
            "opaque at the root",
            |_| vec![lower(), Tar::new().file("new", b"").file("./.wh..wh..opq", b"").dir("d")],
            Some(&["d/", "new"]),
        ),
        (
            "opaque at the root, a child of a lower directory stays",
            |_| vec![lower(), Tar::new().file("d/sub/new", b"").file(".wh..wh..opq", b"")],
            Some(&["d/", "d/sub/", "d/sub/new"]),
        ),
        (
            "opaque of nothing",
            |_| vec![lower(), Tar::new().file("none/.wh..wh..opq", b"")],
            Some(&["d/", "d/one", "d/sub/", "d/sub/two", "f", "l@"]),
        ),
        (
            "a directory put in its place, twice",
            |_| {
                vec![
                    lower(),
                    Tar::new().file("d", b"").dir("d").file("d/new", b"").file(".wh.d", b""),
                ]
            },
            Some(&["d/", "d/new", "f", "l@"]),
        ),
        (
            "old drivers' leftovers",
            |_| {
                vec![
                    lower(),
                    Tar::new()
                        .dir(".wh..wh.plnk")
                        .file(".wh..wh.plnk/1.2", b"")
                        .file(".wh..wh.aufs", b"")
                        .file(".wh..wh.x", b""),
                ]
            },
            Some(&["d/", "d/one", "d/sub/", "d/sub/two", "f", "l@"]),
        ),
        ("empty name", |_| vec![lower(), Tar::new().file(".wh.", b"")], None),
        ("of .", |_| vec![lower(), Tar::new().file("d/.wh..", b"")], None),
        ("of ..", |_| vec![lower(), Tar::new().file("d/.wh...", b"")], None),
        ("with something in it", |_| vec![lower(), Tar::new().file(".wh.d/x", b"")], None),
        (
            "through an outward link",
            |o| {
                vec![
                    Tar::new().symlink("evil", o),
                    Tar::new().file("evil/.wh.file", b"").file("evil/.wh..wh..opq", b""),
                ]
            },
            Some(&["evil@"]),
        ),
        (
            "of a tree with outward links",
            |o| vec![Tar::new().symlink("d/evil", o).dir("d/e"), Tar::new().file(".wh.d", b"")],
            Some(&[]),
        ),
    ]);
}

#[test]
fn the_order_within_a_layer_does_not_matter() {
    let trees: Vec<_> = [
        Tar::new().file(".wh.d", b"").file("d/new", b""),
        Tar::new().file("d/new", b"").file(".wh.d", b""),
    ]
    .into_iter()
    .map(|upper| {
        let lower = Tar::new().mode(0o700).owner(7, 7).mtime(50).dir("d").file("d/old", b"");
        layers(&Place::new(), vec![lower, upper]).unwrap()
    })
    .collect();
    assert_eq!(trees[0], trees[1]);
    assert_eq!(trees[0][0], "d dir 755 0:0 0");
}

#[test]
fn a_touched_directory_keeps_its_time() {
    let place = Place::new();
    let lower = Tar::new().mode(0o555).owner(1, 2).mtime(1234).dir("d").file("d/a", b"");
    let upper = Tar::new().file("d/.wh.a", b"").file("d/b", b"");
    let tree = layers(&place, vec![lower, upper]).unwrap();
    assert_eq!(tree[0], "d dir 555 1:2 1234");
}

#[test]
fn many_whiteouts_of_nothing() {
    let place = Place::new();
    let upper = (0..100_000).fold(Tar::new(), |tar, n| tar.file(format!("d/.wh.{n}"), b""));
    let image = Image::new().layer(lower().finish()).layer(upper.finish());
    place.run(&place.layout(image)).unwrap();
    assert_eq!(place.tree().len(), 7);
}

#[test]
fn in_a_plain_root_file_system_they_are_names() {
    let place = Place::new();
    let tar = Tar::new().file(".wh.a", b"").file("a", b"").finish();
    let mut order = place.file("tar:", &tar);
    order.config.words = vec!["sh".into()];
    place.run(&order).unwrap();
    assert_eq!(crate::support::names(&place.tree()[1..]), [".wh.a", "a"]);
}
