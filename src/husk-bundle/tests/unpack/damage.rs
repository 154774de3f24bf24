//! Damaged layers and blobs.

use crate::support::{Place, accepted, refused};
use husk_bundle::testimage::{Image, Packing, Tar};
use serde_json::json;
use std::fs;

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn tar() -> Vec<u8> {
    Tar::new().dir("d").file("d/file", &vec![b'x'; 10_000]).finish()
}

/// Replaces the only layer blob by what `change` makes of it, and everything that
/// names its digest, so that only the damage itself can be the reason for a refusal.
fn with_blob(packing: Packing, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Image {
    let blob = change(packing.pack(&tar()));
    let descriptor = husk_bundle::testimage::descriptor(LAYER, &blob);
    let hex = descriptor["digest"].as_str().unwrap()[7..].to_owned();
    Image::new().packed_layer(tar(), packing).manifest(move |m| m["layers"][0] = descriptor).files(
        move |files| {
            files.insert(format!("blobs/sha256/{hex}"), blob);
        },
    )
}

fn layer_blob(files: &mut husk_bundle::testimage::Files) -> &mut Vec<u8> {
    files.values_mut().max_by_key(|content| content.len()).unwrap()
}

#[test]
fn blobs_that_are_not_what_is_promised() {
    type Make = fn() -> Image;
    let rows: [(&str, Make); 9] = [
        ("a bit flipped, stored", || {
            Image::new().layer(tar()).files(|files| layer_blob(files)[2000] ^= 1)
        }),
        ("a bit flipped, compressed", || {
            Image::new().packed_layer(tar(), Packing::Gzip).layer(vec![0; 1024]).files(|files| {
                for content in files.values_mut().filter(|c| c.starts_with(&[0x1f, 0x8b])) {
                    let last = content.len() - 20;
                    content[last] ^= 1;
                }
            })
        }),
        ("missing", || {
            Image::new().layer(tar()).files(|files| files.retain(|_, content| content.len() < 5000))
        }),
        ("one byte more than promised", || {
            Image::new().layer(tar()).files(|files| layer_blob(files).push(0))
        }),
        ("promise one too small", || {
            Image::new().layer(tar()).manifest(|m| m["layers"][0]["size"] = json!(12_287))
        }),
        ("negative size", || {
            Image::new().layer(tar()).manifest(|m| m["layers"][0]["size"] = json!(-1))
        }),
        ("no size", || {
            Image::new().layer(tar()).manifest(|m| m["layers"][0]["size"] = json!(null))
        }),
        ("manifest that claims 5 GB", || {
            Image::new().index(|i| i["manifests"][0]["size"] = json!(5_000_000_000u64))
        }),
        ("config that claims 5 GB", || {
            Image::new().manifest(|m| m["config"]["size"] = json!(5_000_000_000u64))
        }),
    ];
    for (what, make) in rows {
        refused(what, make());
    }
}

#[test]
fn a_pipe_link_or_directory_as_blob() {
    for what in ["fifo", "link", "directory"] {
        let place = Place::new();
        let order = place.layout(Image::new().layer(tar()));
        let blobs = place.path("image/blobs/sha256");
        let blob = fs::read_dir(&blobs)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .max_by_key(|path| fs::metadata(path).unwrap().len())
            .unwrap();
        let moved = place.path("moved");
        fs::rename(&blob, &moved).unwrap();
        match what {
            "fifo" => nix::unistd::mkfifo(&blob, nix::sys::stat::Mode::S_IRWXU).unwrap(),
            "link" => std::os::unix::fs::symlink(&moved, &blob).unwrap(),
            _ => fs::create_dir(&blob).unwrap(),
        }
        assert!(place.run(&order).is_err(), "accepted a {what}");
    }
}

#[test]
fn diff_ids() {
    let zero = format!("sha256:{}", "0".repeat(64));
    let set = |ids: serde_json::Value| {
        Image::new().layer(tar()).config(move |c| c["rootfs"]["diff_ids"] = ids)
    };
    for (what, image) in [
        ("wrong", set(json!([zero]))),
        ("more", {
            Image::new().layer(tar()).config(move |c| {
                c["rootfs"]["diff_ids"].as_array_mut().unwrap().push(json!(zero));
            })
        }),
        ("fewer", set(json!([]))),
        ("none", set(json!(null))),
        ("not a list", set(json!("x"))),
        ("no rootfs", Image::new().layer(tar()).config(|c| c["rootfs"] = json!(null))),
        ("other type", Image::new().layer(tar()).config(|c| c["rootfs"]["type"] = json!("x"))),
    ] {
        refused(what, image);
    }
}

#[test]
fn compressed_streams() {
    for (what, image) in [
        (
            "gzip cut",
            with_blob(Packing::Gzip, |mut b| {
                b.truncate(b.len() - 9);
                b
            }),
        ),
        (
            "gzip cut in the trailer",
            with_blob(Packing::Gzip, |mut b| {
                b.truncate(b.len() - 3);
                b
            }),
        ),
        (
            "gzip with a bad sum",
            with_blob(Packing::Gzip, |mut b| {
                let at = b.len() - 6;
                b[at] ^= 1;
                b
            }),
        ),
        (
            "zstd cut",
            with_blob(Packing::Zstd, |mut b| {
                b.truncate(b.len() - 4);
                b
            }),
        ),
        (
            "zstd window of 2 GiB",
            with_blob(Packing::Zstd, |raw| {
                // Magic, no checksum, window descriptor 2^31, one raw empty last block.
                let _ = raw;
                [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3][..], &[1, 0, 0]].concat()
            }),
        ),
        ("gzip magic alone", with_blob(Packing::None, |_| vec![0x1f, 0x8b])),
    ] {
        refused(what, image);
    }
    let halves = |packing: Packing| {
        move |_: Vec<u8>| [packing.pack(&tar()[..700]), packing.pack(&tar()[700..])].concat()
    };
    let skippable = |raw: Vec<u8>| {
        [
            &[0x51, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..],
            b"skip",
            &raw,
            &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0],
        ]
        .concat()
    };
    for (what, image) in [
        ("gzip of two members", with_blob(Packing::Gzip, halves(Packing::Gzip))),
        ("zstd of two frames", with_blob(Packing::Zstd, halves(Packing::Zstd))),
        ("zstd with skippable frames", with_blob(Packing::Zstd, skippable)),
    ] {
        let place = accepted(what, image);
        assert_eq!(place.tree().len(), 3, "{what}");
    }
}

#[test]
fn a_wrong_name_of_the_compression_is_a_warning() {
    let place = Place::new();
    let image = Image::new()
        .packed_layer(tar(), Packing::Zstd)
        .manifest(|m| m["layers"][0]["mediaType"] = json!(format!("{LAYER}+gzip")));
    let report = place.run(&place.layout(image)).unwrap();
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
    assert!(report.warnings[0].contains("zstd"), "{:?}", report.warnings);
}

#[test]
fn archives() {
    let claims = |flag: u8, size: &'static [u8; 12]| {
        Tar::new().changed_header(flag, "big", b"", move |block| {
            block[124..136].copy_from_slice(size);
        })
    };
    let cut_at = |n: usize| Tar::new().raw(&tar()[..n]);
    for (what, tar) in [
        ("cut in a header", cut_at(700)),
        ("cut in data", cut_at(4096)),
        (
            "bad sum",
            Tar::new().raw(&{
                let mut t = tar();
                t[0] ^= 1;
                t
            }),
        ),
        ("not a tar", Tar::new().raw(&[b'x'; 2048])),
        ("negative size", claims(b'0', b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf0")),
        ("size 2^63", claims(b'0', b"\x80\0\0\0\x80\0\0\0\0\0\0\0")),
        ("size 2^62", claims(b'0', b"\x80\0\0\0\x40\0\0\0\0\0\0\0")),
        ("1 GiB of extended header", claims(b'x', b"10000000000\0")),
        ("64 MiB long name", claims(b'L', b"00400000000\0")),
        (
            "record that lies about its length",
            Tar::new().changed_header(b'x', "p", b"99 path=a\n", |_| {}).file("a", b""),
        ),
        (
            "record of length 0",
            Tar::new().changed_header(b'x', "p", b"0 path=a\n", |_| {}).file("a", b""),
        ),
        (
            "two extended headers",
            Tar::new()
                .changed_header(b'x', "p", b"10 path=a\n", |_| {})
                .changed_header(b'x', "p", b"10 path=b\n", |_| {})
                .file("c", b""),
        ),
        (
            "extended header at the end",
            Tar::new().changed_header(b'x', "p", b"10 path=a\n", |_| {}),
        ),
        ("a lone zero block", Tar::new().raw(&[0; 512]).file("a", b"")),
        (
            "sparse map that overlaps",
            Tar::new()
                .pax("GNU.sparse.size", "100")
                .pax("GNU.sparse.map", "0,4,2,4")
                .file("a", b"12345678"),
        ),
        (
            "sparse map beyond the size",
            Tar::new().pax("GNU.sparse.size", "10").pax("GNU.sparse.map", "8,4").file("a", b"1234"),
        ),
        (
            "sparse map of other length than the data",
            Tar::new().pax("GNU.sparse.size", "10").pax("GNU.sparse.map", "0,3").file("a", b"1234"),
        ),
        ("mtime that is none", Tar::new().pax("mtime", "yesterday").file("a", b"")),
    ] {
        let message = refused(what, Image::new().layer(tar.cut()));
        assert!(message.contains("layer 1 of 1 (sha256:"), "{what}: {message}");
    }
    let place = accepted("no end blocks", Image::new().layer(Tar::new().file("a", b"x").cut()));
    assert_eq!(place.tree().len(), 2);
    let padded = [tar(), vec![0; 100_000], b"garbage".to_vec()].concat();
    let place = accepted("something behind the end", Image::new().layer(padded));
    assert_eq!(place.tree().len(), 3);
    accepted("a layer of nothing", Image::new().layer(Vec::new()));
}
