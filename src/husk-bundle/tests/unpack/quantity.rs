//! Much of everything: bounded memory, bounded disk, no hang.

use crate::support::{Place, layers, refused};
use husk_bundle::testimage::{Image, Packing, Tar};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

#[test]
fn a_bomb_is_stopped_by_its_headers() {
    // 8 GiB of zeros in a few MiB; the archive itself never exists in memory.
    let size = 8u64 << 30;
    let place = Place::new();
    let level = flate2::Compression::fast();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
    let head = Tar::new().pax("size", size.to_string()).member(b'0', b"big", b"", b"", (0, 0));
    gzip.write_all(&head.cut()).unwrap();
    // What follows does not matter: the header is enough.
    gzip.write_all(&[0; 4096]).unwrap();
    let mut order = place.file("tar:", &gzip.finish().unwrap());
    order.rules.max_size = Some(1 << 30);
    let error = place.run(&order).unwrap_err();
    assert!(error.to_string().contains("--max-size"), "{error}");
}

#[test]
fn sparse_files_count_as_what_they_appear() {
    let petabyte = (1u64 << 50).to_string();
    let tar =
        Tar::new().pax("GNU.sparse.size", petabyte).pax("GNU.sparse.map", "0,1").file("a", b"x");
    let place = Place::new();
    let mut order = place.layout(Image::new().layer(tar.finish()));
    order.rules.max_size = Some(1 << 40);
    assert!(place.run(&order).unwrap_err().to_string().contains("--max-size"));

    let gigabyte = (1u64 << 30).to_string();
    let tar = Tar::new()
        .pax("GNU.sparse.size", gigabyte)
        .pax("GNU.sparse.map", "1073741820,4")
        .file("a", b"last");
    let place = Place::new();
    layers(&place, vec![tar]).unwrap();
    let metadata = fs::metadata(place.rootfs().join("a")).unwrap();
    assert_eq!(metadata.len(), 1 << 30);
    assert!(metadata.blocks() < 64);
}

#[test]
fn limits() {
    let image = || Image::new().layer(Tar::new().file("a", b"12345").file("b", b"12345").finish());
    type Set = fn(&mut husk_bundle::extract::Rules);
    let rows: [(&str, Set, bool); 6] = [
        ("size reached", |r| r.max_size = Some(10), true),
        ("size passed", |r| r.max_size = Some(9), false),
        ("entries reached", |r| r.max_entries = Some(2), true),
        ("entries passed", |r| r.max_entries = Some(1), false),
        ("file size reached", |r| r.max_file_size = Some(5), true),
        ("file size passed", |r| r.max_file_size = Some(4), false),
    ];
    for (what, set, ok) in rows {
        let place = Place::new();
        let mut order = place.layout(image());
        set(&mut order.rules);
        assert_eq!(place.run(&order).is_ok(), ok, "{what}");
    }
}

#[test]
fn padding_is_bounded_too() {
    let place = Place::new();
    let tar = [Tar::new().file("a", b"").finish(), vec![0; 3 << 20]].concat();
    let mut order = place.layout(Image::new().packed_layer(tar, Packing::Zstd));
    order.rules.max_size = Some(100);
    assert!(place.run(&order).is_err());
}

#[test]
fn many_entries_in_one_directory() {
    let place = Place::new();
    let tar = (0..30_000).fold(Tar::new().dir("d"), |tar, n| tar.file(format!("d/{n}"), b""));
    let tree = layers(&place, vec![tar, Tar::new().file(".wh.d", b"")]).unwrap();
    assert_eq!(tree.len(), 0);
}

#[test]
fn deep_trees_can_be_made_and_removed() {
    // Deeper than any path that a system call takes, so it is removed step by step.
    let deep = |tar: Tar, prefix: &str| {
        let name = vec![b"d".to_vec(); 1500].join(&b'/');
        tar.file([prefix.as_bytes(), &name].concat(), b"")
    };
    let place = Place::new();
    let lower = deep(Tar::new(), "");
    let tree = layers(&place, vec![lower, Tar::new().file(".wh.d", b"")]).unwrap();
    assert_eq!(tree.len(), 0);
    // Through a link to the deepest one, deeper still; then the whole is refused and
    // must be removed.
    let end = vec![b"d".to_vec(); 1400].join(&b'/');
    let tar = deep(deep(Tar::new(), "").symlink("down", &end), "down/").file("../out", b"");
    refused("path beyond PATH_MAX", Image::new().layer(tar.finish()));
}
