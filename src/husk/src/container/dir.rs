//! The directory of one container, and who may change it.
//!
//! | file          | what                                                                    |
//! |---------------|-------------------------------------------------------------------------|
//! | `cgroup`      | the control group's record, there before the control group is           |
//! | `state.json`  | [`super::State`], put in place by a rename; without it: half-made       |
//! | `config.json` | the bundle's, as it was at `create`                                     |
//! | `exec.fifo`   | the gate that the container's init waits at; see [`super::gate`]        |
//!
//! The lock is an flock(2) of the directory itself: there is no lock file that could be left
//! behind, be removed under a waiter, or share its name with a container. Whoever has got the lock
//! looks whether the directory is still the one of that name.

use super::id::ContainerId;
use crate::error::{Code, Error, Failure};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstat, fstatat, mkdirat, stat};
use nix::unistd::{UnlinkatFlags, mkfifo, read, unlinkat, write};
use std::fs::{File, TryLockError};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The kept configuration.
pub const CONFIG: &str = "config.json";
/// The gate.
pub const GATE: &str = "exec.fifo";
const STATE: &str = "state.json";
const NEW_STATE: &str = "state.json.new";
const CGROUP: &str = "cgroup";

/// Greatest size of a file that is read here; a config.json is bounded by it too.
pub const MOST_BYTES: usize = 64 << 20;

/// How long a command waits for another one that is changing the same container.
const PATIENCE: Duration = Duration::from_secs(10);

/// The directory of a container, for looking.
#[derive(Debug)]
pub struct StateDir {
    dir: File,
    path: PathBuf,
    id: ContainerId,
}

/// The directory of a container while nobody else changes it.
#[derive(Debug)]
pub struct Locked(StateDir);

impl std::ops::Deref for Locked {
    type Target = StateDir;
    fn deref(&self) -> &StateDir {
        &self.0
    }
}

/// Makes the directory of a container.
pub(super) fn make(path: &Path) -> Result<(), Errno> {
    mkdirat(AT_FDCWD, path, Mode::from_bits_truncate(0o711))
}

/// Opens a directory for reading.
pub(super) fn open_dir(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    // Not open(): the C library would set close-on-exec a second time.
    openat(AT_FDCWD, path, flags, Mode::empty())
}

impl StateDir {
    /// Opens the directory; `None` when there is none.
    pub(super) fn open(path: PathBuf, id: &ContainerId) -> Result<Option<Self>, Error> {
        match open_dir(&path) {
            Ok(dir) => Ok(Some(Self { dir: dir.into(), path, id: id.clone() })),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG) => Ok(None),
            Err(e) => {
                let doing = format!("open the state directory {}", path.display());
                Err(Failure::new(Code::STATE_FAILED, doing).errno("open", e as i32).into())
            }
        }
    }

    /// The container's id.
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory's descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Waits until nobody else changes the container; `None` when it is gone by then.
    ///
    /// # Errors
    /// When another command does not finish in time.
    pub fn lock(self) -> Result<Option<Locked>, Error> {
        self.lock_unless(|_| Ok(()))
    }

    /// As [`Self::lock`], but `stop` is asked as long as somebody else has the lock: an error from
    /// it ends the waiting.
    ///
    /// # Errors
    /// When another command does not finish in time, and what `stop` says.
    pub fn lock_unless(
        self,
        stop: impl Fn(&Self) -> Result<(), Error>,
    ) -> Result<Option<Locked>, Error> {
        let deadline = Instant::now().checked_add(PATIENCE);
        let mut pause = Duration::from_millis(1);
        loop {
            match self.dir.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => {
                    return Err(self.failed("lock", "flock", errno(&e)));
                }
            }
            stop(&self)?;
            if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                let words = format!(
                    "container {} is being changed by another command, which does not finish",
                    self.id
                );
                return Err(Error::said(Code::CONTAINER_BUSY, words));
            }
            std::thread::sleep(pause);
            pause = pause.saturating_mul(2).min(Duration::from_millis(50));
        }
        Ok(self.is_in_place()?.then_some(Locked(self)))
    }

    /// Whether another command is changing the container at this moment.
    pub fn is_being_changed(&self) -> bool {
        match self.dir.try_lock_shared() {
            Ok(()) => {
                let _ = self.dir.unlock();
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }

    /// Whether the directory is still the one that its path names.
    fn is_in_place(&self) -> Result<bool, Error> {
        let own = fstat(&self.dir).map_err(|e| self.failed("look at", "fstat", e))?;
        match stat(&self.path) {
            Ok(found) => Ok((found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)),
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(self.failed("look at", "stat", e)),
        }
    }

    fn failed(&self, doing: &str, call: &'static str, errno: Errno) -> Error {
        self.failed_at(doing, &self.path, call, errno)
    }

    fn failed_at(&self, doing: &str, at: &Path, call: &'static str, errno: Errno) -> Error {
        let doing = format!("{doing} {} of container {}", at.display(), self.id);
        Failure::new(Code::STATE_FAILED, doing).errno(call, errno as i32).into()
    }

    /// The text of a file; `None` when there is none.
    fn read(&self, name: &'static str) -> Result<Option<Vec<u8>>, Error> {
        let failed = |call, e| self.failed_at("read", &self.path.join(name), call, e);
        // Nothing but a regular file is made here; whatever else stands there must not block.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&self.dir, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Ok(None),
            Err(e) => return Err(failed("open", e)),
        };
        read_all(&file).map(Some).map_err(|e| failed("read", e))
    }

    /// `state.json`; `None` when there is none yet.
    ///
    /// # Errors
    /// When it cannot be read; nothing is said about its content.
    pub fn state(&self) -> Result<Option<Vec<u8>>, Error> {
        self.read(STATE)
    }

    /// The control group's record; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn cgroup(&self) -> Result<Option<String>, Error> {
        let text = self.read(CGROUP)?.and_then(|text| String::from_utf8(text).ok());
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// The kept configuration; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn config(&self) -> Result<Option<Vec<u8>>, Error> {
        self.read(CONFIG)
    }
}

impl Locked {
    /// Lets others in.
    pub fn unlock(self) -> StateDir {
        // Closing the descriptor unlocks as well, should this fail.
        let _ = self.0.dir.unlock();
        self.0
    }

    /// Puts the mode of the directory right, whatever the caller's umask made of it.
    ///
    /// # Errors
    /// What the system answered.
    pub fn open_to_search(&self) -> Result<(), Error> {
        fchmod(&self.dir, Mode::from_bits_truncate(0o711))
            .map_err(|e| self.failed("change the mode of", "fchmod", e))
    }

    /// Records the control group; before it is made.
    ///
    /// # Errors
    /// What the system answered.
    pub fn record_cgroup(&self, record: &str) -> Result<(), Error> {
        self.write(CGROUP, record.as_bytes())
    }

    /// Keeps the bundle's configuration: later edits of it have no effect.
    ///
    /// # Errors
    /// What the system answered.
    pub fn keep_config(&self, text: &[u8]) -> Result<(), Error> {
        self.write(CONFIG, text)
    }

    /// Puts `state.json` in place: from now on the container exists.
    ///
    /// # Errors
    /// What the system answered; the former state is then still there.
    pub fn commit(&self, state: &super::State) -> Result<(), Error> {
        self.write(NEW_STATE, &state.to_json()?)?;
        renameat(&self.dir, NEW_STATE, &self.dir, STATE)
            .map_err(|e| self.failed_at("replace", &self.path.join(STATE), "rename", e))
    }

    /// Makes the gate and opens it for the container's init, for reading and writing.
    ///
    /// # Errors
    /// What the system answered.
    pub fn make_gate(&self) -> Result<OwnedFd, Error> {
        let path = self.path.join(GATE);
        let mode = Mode::from_bits_truncate(0o622);
        mkfifo(&path, mode).map_err(|e| self.failed_at("make", &path, "mkfifo", e))?;
        fchmodat(&self.dir, GATE, mode, FchmodatFlags::FollowSymlink)
            .map_err(|e| self.failed_at("change the mode of", &path, "fchmodat", e))?;
        openat(&self.dir, GATE, OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|e| self.failed_at("open", &path, "open", e))
    }

    /// Takes the gate away; `false` when it is gone already.
    ///
    /// # Errors
    /// What the system answered.
    pub fn remove_gate(&self) -> Result<bool, Error> {
        match unlinkat(&self.dir, GATE, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(self.failed_at("remove", &self.path.join(GATE), "unlink", e)),
        }
    }

    fn write(&self, name: &'static str, content: &[u8]) -> Result<(), Error> {
        let failed = |call, e| self.failed_at("write", &self.path.join(name), call, e);
        let flags = OFlag::O_WRONLY
            | OFlag::O_CREAT
            | OFlag::O_TRUNC
            | OFlag::O_NOFOLLOW
            | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o600);
        let file = openat(&self.dir, name, flags, mode).map_err(|e| failed("open", e))?;
        let mut rest = content;
        while !rest.is_empty() {
            match write(&file, rest) {
                Ok(0) => return Err(failed("write", Errno::EIO)),
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(failed("write", e)),
            }
        }
        Ok(())
    }

    /// Removes the directory. The record of the control group goes last, so that a command that is
    /// killed in between leaves something that can still be cleaned up.
    ///
    /// # Errors
    /// What the system answered.
    pub fn remove(self) -> Result<(), Error> {
        for name in [GATE, STATE, CONFIG, CGROUP] {
            match unlinkat(&self.dir, name, UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(Errno::EISDIR | Errno::EPERM) => {}
                Err(e) => return Err(self.failed_at("remove", &self.path.join(name), "unlink", e)),
            }
        }
        let own = || unlinkat(AT_FDCWD, &self.path, UnlinkatFlags::RemoveDir);
        match own() {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
            Err(e) => return Err(self.failed("remove", "rmdir", e)),
        }
        empty(self.fd(), 0).map_err(|e| self.failed("empty", "unlink", e))?;
        match own() {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(e) => Err(self.failed("remove", "rmdir", e)),
        }
    }
}

/// Removes what is in a directory, without following links.
fn empty(dir: BorrowedFd<'_>, depth: usize) -> Result<(), Errno> {
    const DEEPEST: usize = 16;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut entries = Dir::openat(dir, ".", flags, Mode::empty())?;
    let names: Vec<_> = entries
        .iter()
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| !matches!(name.to_bytes(), b"." | b".."))
        .collect();
    for name in names {
        let name = name.as_c_str();
        let found = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if found.st_mode & libc::S_IFMT != libc::S_IFDIR {
            unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)?;
        } else if depth >= DEEPEST {
            return Err(Errno::ENOTEMPTY);
        } else {
            let inner = openat(dir, name, flags, Mode::empty())?;
            empty(inner.as_fd(), depth.saturating_add(1))?;
            unlinkat(dir, name, UnlinkatFlags::RemoveDir)?;
        }
    }
    Ok(())
}

/// Everything that can be read from a file, up to [`MOST_BYTES`].
pub(crate) fn read_all(file: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        match read(file, &mut chunk) {
            Ok(0) => return Ok(text),
            Ok(n) => {
                text.extend_from_slice(chunk.get(..n).unwrap_or_default());
                if text.len() > MOST_BYTES {
                    return Err(Errno::EFBIG);
                }
                // A regular file gives less only at its end: most files take one call.
                if n < chunk.len() {
                    return Ok(text);
                }
            }
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Identity, Root, State, test_root};
    use std::ffi::OsStr;

    fn reserved(root: &Root) -> Locked {
        root.reserve(&ContainerId::new(OsStr::new("c")).unwrap()).unwrap()
    }

    #[test]
    fn files_come_back_and_go() {
        let scratch = test_root();
        let root = Root::new(scratch.path());
        let dir = reserved(&root);
        dir.open_to_search().unwrap();
        assert_eq!((dir.state().unwrap(), dir.cgroup().unwrap()), (None, None));
        dir.record_cgroup("a record").unwrap();
        let big = vec![b'x'; 100_000];
        dir.keep_config(&big).unwrap();
        assert_eq!(dir.config().unwrap(), Some(big));
        assert_eq!(dir.cgroup().unwrap().as_deref(), Some("a record"));
        let init = Identity::of(nix::unistd::Pid::this()).unwrap();
        let state = State::new(dir.id(), init, "now".into());
        dir.commit(&state).unwrap();
        dir.commit(&state).unwrap();
        assert_eq!(State::from_json(&dir.state().unwrap().unwrap()), Ok(state));
        let gate = dir.make_gate().unwrap();
        assert!(dir.remove_gate().unwrap());
        assert!(!dir.remove_gate().unwrap());
        drop(gate);
        std::fs::create_dir(dir.path().join("notify")).unwrap();
        std::fs::create_dir(dir.path().join("notify/deep")).unwrap();
        std::fs::write(dir.path().join("notify/deep/file"), "x").unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("link")).unwrap();
        dir.remove().unwrap();
        assert_eq!(root.ids().unwrap(), Some(vec![]));
    }

    #[test]
    fn a_directory_that_is_gone_cannot_be_locked() {
        let scratch = test_root();
        let root = Root::new(scratch.path());
        let held = reserved(&root);
        let id = held.id().clone();
        let waiting = root.find(&id).unwrap().unwrap();
        held.remove().unwrap();
        let other = reserved(&root);
        assert!(waiting.lock().unwrap().is_none(), "a new directory has taken the name");
        other.remove().unwrap();
    }

    #[test]
    fn one_has_the_lock_and_the_others_are_asked_whether_to_wait() {
        let scratch = test_root();
        let root = Root::new(scratch.path());
        let held = reserved(&root);
        let waiting = root.find(held.id()).unwrap().unwrap();
        let words = Error::said(Code::CONTAINER_BUSY, "enough");
        assert_eq!(waiting.lock_unless(|_| Err(words.clone())).unwrap_err(), words);
        let waiting = root.find(held.id()).unwrap().unwrap();
        let _still_open = held.unlock();
        assert!(waiting.lock().unwrap().is_some());
    }

    #[test]
    fn a_fifo_in_the_place_of_a_file_does_not_block() {
        let scratch = test_root();
        let root = Root::new(scratch.path());
        let dir = reserved(&root);
        mkfifo(&dir.path().join(STATE), Mode::S_IRWXU).unwrap();
        assert_eq!(dir.state().unwrap(), Some(Vec::new()));
    }
}
