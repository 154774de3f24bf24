//! Unpacking in a directory of its own, with a neighbour that must stay untouched.

use husk_bundle::error::{Error, Kind};
use husk_bundle::reference::ImageName;
use husk_bundle::testimage::{Image, Tar};
use husk_bundle::text::Quoted;
use husk_bundle::unpack::{Order, Report, unpack};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Far above what any case needs; a case that gets here hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// A place for one case: the image, the bundle, and `outside`, a directory that the
/// image may try to reach.
pub struct Place {
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "these tests need root");
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "untouched").unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn outside(&self) -> String {
        self.path("outside").to_str().unwrap().to_owned()
    }

    /// An order for an image given in the words of the command line.
    pub fn order(&self, image: &str) -> Order {
        Order::new(ImageName::parse(image).unwrap(), self.path("bundle"))
    }

    /// Writes a layout and gives an order for it.
    pub fn layout(&self, image: Image) -> Order {
        image.write_layout(&self.path("image"));
        self.order(&format!("oci:{}", self.path("image").display()))
    }

    /// Writes a file and gives an order for it in the given form.
    pub fn file(&self, form: &str, content: &[u8]) -> Order {
        fs::write(self.path("image"), content).unwrap();
        self.order(&format!("{form}{}", self.path("image").display()))
    }

    /// Unpacks with a deadline, and looks at everything that must hold whatever the
    /// outcome.
    pub fn run(&self, order: &Order) -> Result<Report, Error> {
        let (done, outcome) = channel();
        let copy = order.clone();
        thread::spawn(move || drop(done.send(unpack(&copy))));
        let outcome = outcome.recv_timeout(DEADLINE).expect("it hangs or it panicked");
        let outside = tree(&self.path("outside"));
        assert_eq!(outside.len(), 2, "something was made outside: {outside:#?}");
        assert_eq!(fs::read(self.path("outside/file")).unwrap(), b"untouched");
        let names: Vec<_> =
            fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        let left = |name: &std::ffi::OsString| name.as_bytes().starts_with(b".husk");
        assert!(!names.iter().any(left), "left behind: {names:?}");
        if let Err(error) = &outcome {
            assert!(!self.path("bundle").exists(), "a bundle was left behind after: {error}");
            let text = error.to_string();
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        }
        outcome
    }

    pub fn rootfs(&self) -> PathBuf {
        self.path("bundle/rootfs")
    }

    /// Each object of the unpacked tree as one line; see [`line`].
    pub fn tree(&self) -> Vec<String> {
        tree(&self.rootfs())
    }

    pub fn config(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.path("bundle/config.json")).unwrap()).unwrap()
    }
}

/// Every object below and including `root`, sorted by name.
pub fn tree(root: &Path) -> Vec<String> {
    let mut out = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        out.push(line(root, &path, &metadata));
        if metadata.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
    }
    out.sort();
    out
}

/// `NAME KIND MODE UID:GID MTIME [CONTENT]`.
fn line(root: &Path, path: &Path, metadata: &fs::Metadata) -> String {
    let name = path.strip_prefix(root).unwrap().as_os_str().to_owned().into_vec();
    let name = if name.is_empty() { b".".to_vec() } else { name };
    let kind = metadata.file_type();
    let (kind, rest) = if kind.is_dir() {
        ("dir", String::new())
    } else if kind.is_symlink() {
        ("link", Quoted(fs::read_link(path).unwrap().as_os_str().as_bytes()).to_string())
    } else if kind.is_fifo() {
        ("fifo", String::new())
    } else if kind.is_file() {
        let content = if metadata.len() <= 4096 {
            Quoted(&fs::read(path).unwrap()).to_string()
        } else {
            format!("{} bytes", metadata.len())
        };
        ("file", content)
    } else {
        let device = metadata.rdev();
        let kind = if kind.is_char_device() { "char" } else { "block" };
        (kind, format!("{}:{}", libc::major(device), libc::minor(device)))
    };
    let nanos = match metadata.mtime_nsec() {
        0 => String::new(),
        nanos => format!(".{nanos:09}"),
    };
    let line = format!(
        "{} {kind} {:o} {}:{} {}{nanos} {rest}",
        String::from_utf8_lossy(&name),
        metadata.mode() & 0o7777,
        metadata.uid(),
        metadata.gid(),
        metadata.mtime(),
    );
    line.trim().to_owned()
}

/// Unpacks an image of these layers; the tree without its root line.
pub fn layers(place: &Place, layers: Vec<Tar>) -> Result<Vec<String>, Error> {
    let image = layers.into_iter().fold(Image::new(), |image, tar| image.layer(tar.finish()));
    place.run(&place.layout(image))?;
    Ok(place.tree().into_iter().skip(1).collect())
}

/// Just names and kinds: what most cases are about.
pub fn names(tree: &[String]) -> Vec<String> {
    tree.iter()
        .map(|line| {
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            let mark = match words.next().unwrap() {
                "dir" => "/",
                "link" => "@",
                "file" => "",
                "fifo" => "|",
                _ => "%",
            };
            format!("{name}{mark}")
        })
        .collect()
}

/// One row of a table: what the case is, its layers, and the names that must come
/// out (see [`names`]); `None` if it must be refused.
pub type Row = (&'static str, fn(&str) -> Vec<Tar>, Option<&'static [&'static str]>);

/// Runs a table. The layers are made for the path of the directory outside.
pub fn table(rows: &[Row]) {
    for (what, make, expected) in rows {
        let place = Place::new();
        let outcome = layers(&place, make(&place.outside()));
        match (outcome, expected) {
            (Ok(tree), Some(expected)) => assert_eq!(names(&tree), **expected, "{what}"),
            (Err(error), None) => assert_eq!(error.kind(), Kind::Refused, "{what}: {error}"),
            (Ok(tree), None) => panic!("{what}: accepted, with {tree:#?}"),
            (Err(error), Some(_)) => panic!("{what}: {error}"),
        }
    }
}

/// Runs an image that must be refused and gives the message.
pub fn refused(what: &str, image: Image) -> String {
    let place = Place::new();
    match place.run(&place.layout(image)) {
        Ok(_) => panic!("{what}: accepted, with {:#?}", place.tree()),
        Err(error) => error.to_string(),
    }
}

/// Runs an image that must be accepted.
pub fn accepted(what: &str, image: Image) -> Place {
    let place = Place::new();
    if let Err(error) = place.run(&place.layout(image)) {
        panic!("{what}: {error}");
    }
    place
}
