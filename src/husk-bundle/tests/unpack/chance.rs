//! Inputs made by chance, and a neighbour that changes the tree meanwhile.

use crate::support::Place;
use husk_bundle::testimage::{Image, Packing, Tar};
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn sample() -> Vec<u8> {
    Tar::new()
        .dir("d")
        .xattr("user.a", "b")
        .file("d/file", &[b'x'; 700])
        .symlink("link", "d")
        .file("link/through", b"y")
        .hard_link("again", "d/file")
        .pax("GNU.sparse.size", "5000")
        .pax("GNU.sparse.map", "0,4,4000,4")
        .file("sparse", b"12345678")
        .gnu()
        .file(vec![b'n'; 150], b"z")
        .fifo("fifo")
        .file(".wh.gone", b"")
        .finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]

    /// `Place::run` asserts what matters: it ends, nothing outside is touched, and a
    /// refusal leaves nothing behind.
    #[test]
    fn damaged_archives_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..8),
        cut in any::<Option<prop::sample::Index>>(),
        reseal in any::<bool>(),
    ) {
        let mut tar = sample();
        for (at, byte, in_header) in changes {
            let at = at.index(tar.len());
            // Most of an archive is zeros; aim at the fields.
            let at = if in_header { at / 512 * 512 + at % 160 } else { at };
            if let Some(place) = tar.get_mut(at) {
                *place = byte;
            }
        }
        if reseal {
            // With right checksums more of the damage is looked at.
            for block in tar.as_chunks_mut::<512>().0 {
                if &block[257..262] == b"ustar" {
                    block[148..156].fill(b' ');
                    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
                    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
                }
            }
        }
        if let Some(cut) = cut {
            tar.truncate(cut.index(tar.len()));
        }
        let place = Place::new();
        let mut order = place.layout(Image::new().layer(Tar::new().file("gone", b"").finish()).layer(tar));
        // A damaged size could ask for a file as large as the disk.
        order.rules.max_size = Some(1 << 30);
        let _ = place.run(&order);
    }

    #[test]
    fn damaged_streams_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        zstd in any::<bool>(),
    ) {
        let packing = if zstd { Packing::Zstd } else { Packing::Gzip };
        let mut packed = packing.pack(&sample());
        for (at, byte) in changes {
            let at = at.index(packed.len());
            packed[at] = byte;
        }
        let place = Place::new();
        let mut order = place.file("tar:", &packed);
        order.config.words = vec!["sh".into()];
        order.rules.max_size = Some(1 << 30);
        let _ = place.run(&order);
    }

    #[test]
    fn damaged_documents_do_no_harm(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let place = Place::new();
        let image = Image::new().layer(sample()).files(move |files| {
            let at = which.index(files.len());
            if let Some(content) = files.values_mut().nth(at) {
                for (at, byte) in changes {
                    let at = at.index(content.len());
                    content[at] = byte;
                }
            }
        });
        let _ = place.run(&place.layout(image));
    }
}

#[test]
fn a_neighbour_swaps_directories_for_links_meanwhile() {
    let place = Place::new();
    let tar = (0..4000).fold(Tar::new().dir("a").dir("a/b"), |tar, n| {
        // Two directories in turn, so that neither is simply remembered as the last.
        tar.file(format!("a/b/{n}"), b"x").file(format!("a/c{}/f", n % 100), b"y")
    });
    let order = place.layout(Image::new().layer(tar.finish()));
    let stop = Arc::new(AtomicBool::new(false));
    let attacker = {
        let (stop, dir, outside) = (stop.clone(), place.dir.path().to_owned(), place.outside());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let staged = fs::read_dir(&dir).unwrap().filter_map(Result::ok);
                let mut staged =
                    staged.filter(|entry| entry.file_name().to_string_lossy().starts_with(".husk"));
                let Some(staging) = staged.next() else { continue };
                let root = staging.path().join("rootfs");
                for name in ["a/b", "a/c7", "a/c50", "a"] {
                    let (name, away) = (root.join(name), root.join("away"));
                    if fs::rename(&name, &away).is_ok() {
                        let _ = symlink(&outside, &name);
                        std::thread::yield_now();
                        let _ = fs::remove_file(&name);
                        let _ = fs::rename(&away, &name);
                    }
                }
            }
        })
    };
    // Whether it can end well is chance; that nothing appears outside is not.
    let _ = place.run(&order);
    stop.store(true, Ordering::Relaxed);
    attacker.join().unwrap();
}
