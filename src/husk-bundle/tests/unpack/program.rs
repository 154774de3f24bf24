//! The program itself: exit statuses, the place of the bundle, signals.

use crate::support::{Place, names, tree};
use husk_bundle::testimage::{Image, Packing, Tar};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

fn program(place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_husk-bundle"));
    command.current_dir(place.dir.path()).stdin(Stdio::null());
    command
}

fn run(place: &Place, words: &[&str]) -> Output {
    program(place).args(words).output().unwrap()
}

fn image(place: &Place) {
    Image::new()
        .name("app:1")
        .layer(Tar::new().file("a", b"x").finish())
        .write_layout(&place.path("image"));
}

#[test]
fn exit_statuses() {
    let place = Place::new();
    image(&place);
    for (words, status) in [
        (&["unpack", "oci:image", "good"][..], 0),
        (&["unpack", "image", "good2"], 0),
        (&["--help"], 0),
        (&["unpack", "--help"], 0),
        (&["--version"], 0),
        (&["unpack", "oci:image", "good"], 1),
        (&["unpack", "oci:image", "missing/parent/bundle"], 1),
        (&["unpack", "--user", "nobody", "oci:image", "x"], 1),
        (&["unpack", "oci:outside", "x"], 1),
        (&["unpack"], 2),
        (&["unpack", "--what", "oci:image", "x"], 2),
        (&["unpack", "oci:image", "x", "words"], 2),
        (&["unpack", "oci:image", ".."], 2),
        (&["unpack", "oci:none", "x"], 3),
        (&["unpack", "tar:none", "x"], 3),
        (&["unpack", "oci:image:none", "x"], 3),
        (&["unpack", "--platform", "linux/vax", "oci:image", "x"], 3),
    ] {
        let output = run(&place, words);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{words:?}: {message}");
        assert_eq!(message.is_empty(), status == 0, "{words:?}: {message}");
    }
    assert!(!place.path("x").exists());
}

#[test]
fn verify_reads_everything_and_writes_nothing() {
    let place = Place::new();
    image(&place);
    let before = tree(place.dir.path());
    let output = run(&place, &["verify", "--json", "oci:image"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["layers"], &report["entries"]), (&1.into(), &1.into()));
    assert_eq!(tree(place.dir.path()), before);
    for (words, status) in [
        (&["verify", "oci:image:app:1"][..], 0),
        (&["verify", "oci:image:none"], 3),
        (&["verify"], 2),
        (&["verify", "oci:image", "bundle"], 2),
        (&["verify", "--tty", "oci:image"], 2),
        (&["verify", "--help"], 0),
    ] {
        assert_eq!(run(&place, words).status.code(), Some(status), "{words:?}");
    }
    let blobs = place.path("image/blobs/sha256");
    let largest = fs::read_dir(blobs).unwrap().map(|e| e.unwrap().path());
    let largest = largest.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut content = fs::read(&largest).unwrap();
    // The one byte of data.
    content[512] ^= 1;
    fs::write(&largest, content).unwrap();
    let output = run(&place, &["verify", "oci:image"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("hashes to"));
}

#[test]
fn json_output() {
    let place = Place::new();
    image(&place);
    let output = run(&place, &["unpack", "--json", "oci:image", "b"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["bundle"], "b");
    assert_eq!(report["layers"], 1);
    assert_eq!(report["entries"], 1);
    assert_eq!(report["bytes"], 1);
    assert_eq!(report["warnings"], serde_json::json!([]));
    assert!(report["digest"].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn the_place_of_the_bundle() {
    let place = Place::new();
    image(&place);
    fs::create_dir(place.path("empty")).unwrap();
    fs::create_dir(place.path("full")).unwrap();
    fs::write(place.path("full/precious"), "").unwrap();
    fs::write(place.path("file"), "").unwrap();
    symlink("outside", place.path("link")).unwrap();
    symlink("nowhere", place.path("dangling")).unwrap();
    let unpack = |target: &str, force: bool| {
        let force = if force { &["--force"][..] } else { &[] };
        let words = [&["unpack"][..], force, &["oci:image", target]].concat();
        run(&place, &words).status.code()
    };
    assert_eq!(unpack("empty", false), Some(0));
    assert_eq!(fs::metadata(place.path("empty")).unwrap().mode() & 0o7777, 0o700);
    for target in ["full", "file", "link", "dangling", "empty"] {
        let before = tree(&place.path("full"));
        assert_eq!(unpack(target, false), Some(1), "{target}");
        assert_eq!(tree(&place.path("full")), before);
    }
    for target in ["link", "dangling"] {
        assert_eq!(unpack(target, true), Some(1), "{target}");
    }
    for target in ["full", "file", "empty", "new"] {
        assert_eq!(unpack(target, true), Some(0), "{target}");
        assert_eq!(names(&tree(&place.path(target))), ["./", "config.json", "rootfs/", "rootfs/a"]);
    }
    assert_eq!(unpack("full/", true), Some(0), "a slash at the end");
    assert_eq!(names(&tree(&place.path("outside"))), ["./", "file"]);
    let hidden = |e: fs::DirEntry| e.file_name().to_str().unwrap().starts_with(".husk");
    assert!(!fs::read_dir(place.dir.path()).unwrap().any(|e| hidden(e.unwrap())));
}

#[test]
fn standard_input() {
    let archive = Image::new().layer(Tar::new().file("a", b"x").finish()).oci_archive();
    let tar = Tar::new().file("a", b"x").finish();
    for (form, content) in [
        ("oci-archive:-", archive.clone()),
        ("docker-archive:-", archive.clone()),
        ("oci-archive:-", Packing::Gzip.pack(&archive)),
        ("tar:-", tar.clone()),
        ("tar:-", Packing::Zstd.pack(&tar)),
    ] {
        let place = Place::new();
        let words = ["unpack", form, "bundle", "--", "sh"];
        let mut child = program(&place).args(words).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&content).unwrap();
        assert!(child.wait().unwrap().success(), "{form}");
        assert_eq!(names(&place.tree()), ["./", "a"], "{form}");
    }
}

#[test]
fn signals_leave_nothing_behind() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let place = Place::new();
        let words = ["unpack", "tar:-", "bundle", "--", "sh"];
        let mut child = program(&place)
            .args(words)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // An archive that never ends: it waits for more when the signal comes.
        let mut input = child.stdin.take().unwrap();
        input.write_all(&Tar::new().dir("d").file("d/a", b"x").cut()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let staged = || fs::read_dir(place.dir.path()).unwrap().count() == 2;
        while !staged() {
            assert!(Instant::now() < deadline, "it did not begin");
            std::thread::sleep(Duration::from_millis(5));
        }
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it did not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{signal}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"), "{signal}");
        assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 1, "{signal}");
        drop(input);
    }
}

#[test]
fn a_full_file_system() {
    // A file system of our own in a mount namespace of its own, gone with the shell.
    let place = Place::new();
    Image::new()
        .layer(Tar::new().dir("d").file("d/big", &vec![1; 3 << 20]).finish())
        .write_layout(&place.path("image"));
    fs::create_dir(place.path("small")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=1m small small && ! {} unpack oci:image small/bundle \
         && test -z \"$(ls -A small)\"",
        env!("CARGO_BIN_EXE_husk-bundle")
    );
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .current_dir(place.dir.path())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    assert!(message.contains("full"), "{message}");
}

#[test]
fn few_open_files_are_enough() {
    let place = Place::new();
    let tar = (0..300).fold(Tar::new(), |tar, n| tar.file(format!("d{n}/e/f"), b"x"));
    Image::new().layer(tar.finish()).write_layout(&place.path("image"));
    for (limit, status) in [("100", 0), ("10", 1), ("9", 1), ("8", 1), ("7", 1), ("6", 1), ("5", 1)]
    {
        let script = format!(
            "ulimit -n {limit}; exec {} unpack oci:image bundle{limit}",
            env!("CARGO_BIN_EXE_husk-bundle")
        );
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(place.dir.path())
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{limit}: {message}");
        assert_eq!(place.path(&format!("bundle{limit}")).exists(), status == 0);
        let hidden = |e: fs::DirEntry| e.file_name().to_str().unwrap().starts_with(".husk");
        assert!(!fs::read_dir(place.dir.path()).unwrap().any(|e| hidden(e.unwrap())), "{limit}");
    }
}

#[test]
fn a_closed_output_is_an_error_and_not_a_panic() {
    let place = Place::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = program(&place).arg("--help").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
