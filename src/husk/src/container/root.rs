//! The runtime root: a directory with one directory for each container.

use super::dir::{self, Locked, StateDir};
use super::id::ContainerId;
use crate::error::{Code, Error, Failure};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, fchmod, stat};
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A runtime root. Nothing is opened or made before it is needed.
#[derive(Clone, Debug)]
pub struct Root {
    path: PathBuf,
    sticky: bool,
}

impl Root {
    /// The runtime root at an absolute path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), sticky: false }
    }

    /// Sets the sticky bit when the root is made: where `$XDG_RUNTIME_DIR` is cleaned up, entries
    /// with that bit are spared.
    pub fn sticky(mut self, sticky: bool) -> Self {
        self.sticky = sticky;
        self
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Claims an id: makes its directory, which must not be there, and locks it.
    ///
    /// # Errors
    /// `container with given ID already exists`, or what the system answered.
    pub fn reserve(&self, id: &ContainerId) -> Result<Locked, Error> {
        let path = self.path.join(id.as_str());
        match dir::make(&path) {
            Ok(()) => {}
            Err(Errno::ENOENT) => {
                self.make()?;
                dir::make(&path).map_err(|e| made(&path, e))?;
            }
            Err(e) => return Err(made(&path, e)),
        }
        let reserved = StateDir::open(path, id)?;
        let locked = reserved.map(StateDir::lock).transpose()?.flatten();
        // Between making and locking, a `delete --force` may have come in.
        locked.ok_or_else(|| {
            let words = format!("container {id} was deleted while it was created");
            Error::said(Code::CONTAINER_UNKNOWN, words)
        })
    }

    /// Makes the root with its parents, for its owner only.
    fn make(&self) -> Result<(), Error> {
        let failed = |call, e: Errno| {
            let doing = format!("make the runtime root {}", self.path.display());
            Error::from(
                Failure::new(Code::STATE_FAILED, doing)
                    .errno(call, e as i32)
                    .hint("name a directory that can be made with --root"),
            )
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|e| failed("mkdir", Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO))))?;
        // Whatever the caller's umask made of it.
        let dir = dir::open_dir(&self.path).map_err(|e| failed("open", e))?;
        let sticky = if self.sticky { Mode::S_ISVTX } else { Mode::empty() };
        fchmod(&dir, Mode::S_IRWXU | sticky).map_err(|e| failed("fchmod", e))
    }

    /// The container's directory; `None` when there is none.
    ///
    /// # Errors
    /// When the root cannot be read.
    pub fn find(&self, id: &ContainerId) -> Result<Option<StateDir>, Error> {
        StateDir::open(self.path.join(id.as_str()), id)
    }

    /// The ids that have a directory, in order; `None` when there is no root.
    ///
    /// # Errors
    /// When the root cannot be read.
    pub fn ids(&self) -> Result<Option<Vec<ContainerId>>, Error> {
        let failed = |call, e: Errno| {
            let doing = format!("read the runtime root {}", self.path.display());
            Error::from(Failure::new(Code::STATE_FAILED, doing).errno(call, e as i32))
        };
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        // Not open(): the C library would set close-on-exec a second time.
        let dir = match openat(AT_FDCWD, &self.path, flags, Mode::empty()) {
            Ok(dir) => Dir::from_fd(dir).map_err(|e| failed("fdopendir", e))?,
            Err(Errno::ENOENT) => return Ok(None),
            Err(e) => return Err(failed("open", e)),
        };
        let mut ids = Vec::new();
        for entry in dir {
            let entry = entry.map_err(|e| failed("getdents", e))?;
            // Some file systems do not tell the type here; reading the state will.
            let other = entry.file_type().is_some_and(|t| t != nix::dir::Type::Directory);
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if let (false, Ok(id)) = (other, ContainerId::new(name)) {
                ids.push(id);
            }
        }
        ids.sort_unstable();
        Ok(Some(ids))
    }

    /// User id of the owner of a container's directory.
    pub fn owner(&self, id: &ContainerId) -> Option<u32> {
        stat(&self.path.join(id.as_str())).ok().map(|found| found.st_uid)
    }
}

fn made(path: &Path, errno: Errno) -> Error {
    if errno == Errno::EEXIST {
        return Error::said(Code::CONTAINER_EXISTS, "container with given ID already exists");
    }
    let doing = format!("make the state directory {}", path.display());
    Failure::new(Code::STATE_FAILED, doing).errno("mkdir", errno as i32).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::test_root;
    use std::os::unix::fs::PermissionsExt;

    fn id(text: &str) -> ContainerId {
        ContainerId::new(OsStr::new(text)).unwrap()
    }

    #[test]
    fn an_id_is_taken_once() {
        let scratch = test_root();
        let root = Root::new(scratch.path().join("a/b")).sticky(true);
        assert!(root.ids().unwrap().is_none());
        assert!(root.find(&id("x")).unwrap().is_none());
        let held = root.reserve(&id("x")).unwrap();
        let again = root.reserve(&id("x")).unwrap_err();
        assert_eq!(again.to_string(), "container with given ID already exists");
        assert!(root.find(&id("x")).unwrap().is_some());
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(root.path()), 0o1700);
        assert_eq!(mode(&root.path().join("x")), 0o711);
        assert_eq!(root.owner(&id("x")), Some(nix::unistd::geteuid().as_raw()));
        held.remove().unwrap();
        assert_eq!(root.ids().unwrap(), Some(vec![]));
        root.reserve(&id("x")).unwrap().remove().unwrap();
    }

    #[test]
    fn only_directories_with_an_id_for_a_name_are_containers() {
        let scratch = test_root();
        let root = Root::new(scratch.path());
        for name in ["b", "a", "no id"] {
            std::fs::create_dir(root.path().join(name)).unwrap();
        }
        std::fs::write(root.path().join("file"), "").unwrap();
        assert_eq!(root.ids().unwrap(), Some(vec![id("a"), id("b")]));
    }
}
