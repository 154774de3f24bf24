//! Every form of archive, written here or by the system's tar, gives the same tree.

use crate::support::{Place, layers, names, tree};
use husk_bundle::testimage::{Image, Tar};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;

#[test]
fn types_of_files() {
    for flag in [b'0', 0, b'7'] {
        let place = Place::new();
        let tar = Tar::new().member(flag, b"file", b"", b"data", (0, 0));
        assert_eq!(layers(&place, vec![tar]).unwrap(), ["file file 644 0:0 1 'data'"]);
    }
    let place = Place::new();
    let old = Tar::new().changed_header(0, "folder/", b"", |block| block[257..].fill(0));
    assert_eq!(names(&layers(&place, vec![old]).unwrap()), ["folder/"]);
}

#[test]
fn prefix_fields() {
    let put = |block: &mut [u8; 512]| block[345..348].copy_from_slice(b"a/b");
    for (what, magic, expected) in [
        ("ustar", b"ustar\x0000", "a/b/name"),
        // GNU has times where ustar has the prefix.
        ("gnu", b"ustar  \0", "name"),
        ("v7", b"\0\0\0\0\0\0\0\0", "name"),
    ] {
        let place = Place::new();
        let tar = Tar::new().changed_header(b'0', "name", b"", |block| {
            block[257..265].copy_from_slice(magic);
            put(block);
        });
        let tree = layers(&place, vec![tar]).unwrap();
        assert_eq!(names(&tree).last().map(String::as_str), Some(expected), "{what}");
    }
}

#[test]
fn long_names() {
    let (name, target) = (vec![b"n".to_vec(); 200].join(&b'/'), vec![b't'; 3000]);
    for gnu in [false, true] {
        let place = Place::new();
        let tar = if gnu { Tar::new().gnu() } else { Tar::new() };
        let tar = tar.symlink(&name, &target);
        let tar = if gnu { tar.gnu() } else { tar };
        let tree = layers(&place, vec![tar.hard_link("again", &name)]).unwrap();
        assert_eq!(tree.len(), 201);
        let link = fs::read_link(place.rootfs().join("again")).unwrap();
        assert_eq!(link.as_os_str().len(), 3000);
    }
}

#[test]
fn size_from_the_extended_header() {
    let place = Place::new();
    let lying = Tar::new().pax("size", "4").member(b'0', b"a", b"", b"", (0, 0)).padded(b"data");
    let tree = layers(&place, vec![lying.file("b", b"")]).unwrap();
    assert_eq!(tree[0], "a file 644 0:0 1 'data'");
    assert_eq!(tree.len(), 2);
}

fn blocks(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks()
}

#[test]
fn sparse_files_in_every_form() {
    let map = [(512u64, 5u64), (1 << 20, 3)];
    let numbers: Vec<String> =
        map.iter().flat_map(|(o, l)| [o.to_string(), l.to_string()]).collect();
    let size = (2u64 << 20).to_string();
    let text = format!("2\n{}\n", numbers.join("\n"));
    let mut with_map = text.into_bytes();
    with_map.resize(512, 0);
    with_map.extend(b"helloend");
    let mut form_0_0 = Tar::new().pax("GNU.sparse.size", &size).pax("GNU.sparse.numblocks", "2");
    for (offset, length) in map {
        form_0_0 = form_0_0
            .pax("GNU.sparse.offset", offset.to_string())
            .pax("GNU.sparse.numbytes", length.to_string());
    }
    let rows = [
        ("0.0", form_0_0.file("sparse", b"helloend")),
        (
            "0.1",
            Tar::new()
                .pax("GNU.sparse.size", &size)
                .pax("GNU.sparse.name", "sparse")
                .pax("GNU.sparse.map", numbers.join(","))
                .file("GNUSparseFile/x", b"helloend"),
        ),
        (
            "1.0",
            Tar::new()
                .pax("GNU.sparse.major", "1")
                .pax("GNU.sparse.minor", "0")
                .pax("GNU.sparse.name", "sparse")
                .pax("GNU.sparse.realsize", &size)
                .file("GNUSparseFile/x", &with_map),
        ),
        (
            "old GNU",
            Tar::new().gnu().changed_header(b'S', "sparse", b"helloend", |block| {
                for (n, (offset, length)) in map.iter().enumerate() {
                    let at = 386 + n * 24;
                    block[at..at + 11].copy_from_slice(format!("{offset:011o}").as_bytes());
                    block[at + 12..at + 23].copy_from_slice(format!("{length:011o}").as_bytes());
                }
                block[483..494].copy_from_slice(format!("{:011o}", 2 << 20).as_bytes());
            }),
        ),
    ];
    for (what, tar) in rows {
        let place = Place::new();
        let tree = layers(&place, vec![tar.file("after", b"")]);
        let tree = tree.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(names(&tree), ["after", "sparse"], "{what}");
        let path = place.rootfs().join("sparse");
        let content = fs::read(&path).unwrap();
        assert_eq!(content.len(), 2 << 20, "{what}");
        assert_eq!(&content[512..517], b"hello", "{what}");
        assert_eq!(&content[1 << 20..(1 << 20) + 3], b"end", "{what}");
        assert_eq!(content.iter().filter(|b| **b != 0).count(), 8, "{what}");
        assert!(blocks(&path) < 100, "{what}: the holes were written out");
    }
}

/// A tree with a bit of everything that the system's tar can write.
fn sample(root: &Path) {
    fs::create_dir(root).unwrap();
    let long = root.join("a".repeat(120)).join("b".repeat(120));
    fs::DirBuilder::new().recursive(true).create(&long).unwrap();
    fs::write(long.join("file"), "deep").unwrap();
    fs::write(root.join("big"), vec![7u8; 700_001]).unwrap();
    fs::write(root.join("empty"), "").unwrap();
    symlink("c".repeat(150), root.join("longlink")).unwrap();
    symlink("big", root.join("link")).unwrap();
    fs::hard_link(root.join("big"), root.join("second")).unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    use std::os::unix::fs::FileExt as _;
    sparse.write_at(b"middle", 1 << 20).unwrap();
    // More pieces than fit into one header.
    let holes = fs::File::create(root.join("holes")).unwrap();
    holes.set_len(20 << 20).unwrap();
    for n in 0..60u64 {
        holes.write_at(format!("piece {n}").as_bytes(), n * 300_000).unwrap();
    }
    nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o620))
        .unwrap();
    nix::unistd::chown(&root.join("empty"), Some(70_000.into()), Some(3_000_000.into())).unwrap();
}

#[test]
fn the_systems_tar_and_we_agree() {
    let place = Place::new();
    let sample_dir = place.path("sample");
    sample(&sample_dir);
    for options in [
        &["--format=gnu"][..],
        &["--format=gnu", "--sparse"],
        &["--format=posix"],
        &["--format=posix", "--sparse", "--sparse-version=0.0"],
        &["--format=posix", "--sparse", "--sparse-version=0.1"],
        &["--format=posix", "--sparse", "--sparse-version=1.0"],
        &["--format=oldgnu", "--sparse"],
    ] {
        let place = Place::new();
        let archive = place.path("archive");
        let run = |words: &[&str], last: &Path| {
            let mut tar = Command::new("tar");
            tar.args(words).arg(&archive).arg("-C").arg(last).arg(".");
            assert!(tar.status().unwrap().success(), "{options:?}");
        };
        run(&[options, &["-cf"]].concat(), &sample_dir);
        let theirs = place.path("theirs");
        fs::create_dir(&theirs).unwrap();
        run(&["-xpf"], &theirs);
        let mut order = place.order(&format!("tar:{}", archive.display()));
        order.config.words = vec!["true".into()];
        place.run(&order).unwrap();
        // tar cuts fractions of times off unless the format has them; so do we.
        assert_eq!(place.tree(), tree(&theirs), "{options:?}");
        assert!(!options.contains(&"--sparse") || blocks(&place.rootfs().join("sparse")) < 200);
    }
}

#[test]
fn two_runs_give_the_same() {
    let make = || {
        let lower = Tar::new().file("implied/parents/x", b"1").file("y", b"2");
        Image::busybox(&["sh"])
            .layer(lower.finish())
            .process("Labels", serde_json::json!({"b": "1", "a": "2"}))
    };
    let (one, two) = (Place::new(), Place::new());
    for place in [&one, &two] {
        place.run(&place.layout(make())).unwrap();
    }
    assert_eq!(one.tree(), two.tree());
    let text = |place: &Place| fs::read(place.path("bundle/config.json")).unwrap();
    assert_eq!(text(&one), text(&two));
}
