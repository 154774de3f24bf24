//! Where the measuring takes place: a mount namespace of its own, with bundles.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

const NULL: &str = "null";

/// The scratch directory with the bundles; its tmpfs ends with this process.
pub struct Stage {
    dir: PathBuf,
    remark: &'static str,
}

impl Stage {
    /// Moves this process into the namespace and mounts the scratch directory.
    pub fn set_up() -> Result<Self, String> {
        let none = None::<&str>;
        let step = |what: &str, e: nix::Error| format!("{what}: {e} (is this root?)");
        unshare(CloneFlags::CLONE_NEWNS).map_err(|e| step("a mount namespace", e))?;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .map_err(|e| step("making mounts private", e))?;
        let dir = PathBuf::from("/mnt");
        mount(Some("tmpfs"), &dir, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
            .map_err(|e| step("a tmpfs on /mnt", e))?;
        mknod(&dir.join(NULL), SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3))
            .map_err(|e| step("a null device", e))?;
        nix::sys::prctl::set_child_subreaper(true).map_err(|e| step("becoming a sub-reaper", e))?;
        Ok(Stage { dir, remark: hide_hybrid() })
    }

    /// What a reader of the numbers has to know of the place.
    pub fn remark(&self) -> &str {
        self.remark
    }

    /// A directory for the runtime's state.
    pub fn root(&self, peer: &str) -> PathBuf {
        self.dir.join(format!("state-{peer}"))
    }

    /// A scratch file.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A null device of our own: some runtimes give their standard descriptors to the
    /// container's user, and the host's null device must not change hands.
    pub fn null(&self) -> Stdio {
        let null = File::options().read(true).write(true).open(self.file(NULL));
        null.map_or_else(|_| Stdio::null(), Stdio::from)
    }

    /// The bundle `name` with these process arguments, made on first use.
    pub fn bundle(&self, name: &str, args: &[&str]) -> Result<PathBuf, String> {
        let last = args.first().and_then(|a| a.rsplit('/').next()).unwrap_or_default();
        let dir = self.dir.join(format!("{name}-{last}"));
        if std::fs::metadata(&dir).is_err() {
            let make = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/make");
            let status = Command::new(make).arg(name).arg(&dir).args(args).status();
            if !status.as_ref().is_ok_and(|s| s.success()) {
                return Err(format!("bundles/make {name}: {status:?}"));
            }
            speak_older(&dir.join("config.json"))?;
        }
        Ok(dir)
    }
}

/// Old peers refuse a configuration of a newer minor version; nothing in the
/// bundles needs it.
fn speak_older(path: &Path) -> Result<(), String> {
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| failed(&e))?;
    let mut config: serde_json::Value = serde_json::from_str(&text).map_err(|e| failed(&e))?;
    if let Some(version) = config.get_mut("ociVersion") {
        *version = "1.0.2".into();
    }
    std::fs::write(path, config.to_string()).map_err(|e| failed(&e))
}

/// An old crun refuses the hybrid layout as long as its v2 mount has controllers,
/// and no bundle here uses them, so that mount is taken away for all alike.
fn hide_hybrid() -> &'static str {
    if umount2("/sys/fs/cgroup/unified", MntFlags::MNT_DETACH).is_ok() {
        " The v2 mount of the hybrid cgroup layout was hidden from all."
    } else {
        ""
    }
}
