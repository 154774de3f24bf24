//! One directory of a cgroup file system: everything is done below its descriptor.
//!
//! The files of these file systems are made by the kernel; they hold no links and are answered at
//! once, so neither a symbolic link nor a reader that waits is possible here.

use nix::dir::Dir as Listing;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, FsType, fstatfs, statfs};
use nix::unistd::{UnlinkatFlags, read, unlinkat, write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Most bytes that are read of one file; the longest are lists of processes.
const LONGEST_FILE: usize = 16 << 20;
/// How often a call is repeated that a signal interrupted.
const MOST_INTERRUPTS: u32 = 1000;

/// An open directory, with its path for messages.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    path: String,
}

impl Dir {
    /// Opens the directory `path` of the host.
    pub(super) fn open(path: &str) -> Result<Self, Errno> {
        let fd = open_path(path, directory_flags())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens the directory `name` below this one.
    pub(super) fn child(&self, name: &str) -> Result<Self, Errno> {
        let fd = openat(&self.fd, name, directory_flags(), Mode::empty())?;
        Ok(Self { fd, path: format!("{}/{name}", self.path) })
    }

    /// Opens this directory again.
    pub(super) fn duplicate(&self) -> Result<Self, Errno> {
        let fd = openat(&self.fd, ".", directory_flags(), Mode::empty())?;
        Ok(Self { fd, path: self.path.clone() })
    }

    /// Opens the directory above this one.
    pub(super) fn above(&self) -> Result<Self, Errno> {
        let fd = openat(&self.fd, "..", directory_flags(), Mode::empty())?;
        Ok(Self { fd, path: super::path::parent(&self.path).to_owned() })
    }

    /// Refuses a directory that is not in a cgroup file system, or is the root of one: a record
    /// that was tampered with must not make us act on anything else.
    pub(super) fn require_cgroup(self) -> Result<Self, Errno> {
        const ROOT_INODE: u64 = 1;
        if !is_cgroup(fstatfs(&self.fd)?.filesystem_type()) {
            return Err(Errno::ENOTSUP);
        }
        if fstat(&self.fd)?.st_ino == ROOT_INODE { Err(Errno::EPERM) } else { Ok(self) }
    }

    /// The path, for messages.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Opens the file `name` for writing.
    pub(super) fn open_for_write(&self, name: &str) -> Result<OwnedFd, Errno> {
        openat(&self.fd, name, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
    }

    /// Opens the file `name` for reading.
    pub(super) fn open_for_read(&self, name: &str) -> Result<OwnedFd, Errno> {
        openat(&self.fd, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
    }

    /// Writes `value` to the file `name`, in one call.
    pub(super) fn write(&self, name: &str, value: &str) -> Result<(), Errno> {
        write_value(self.open_for_write(name)?.as_fd(), value)
    }

    /// The whole file `name`.
    pub(super) fn read(&self, name: &str) -> Result<String, Errno> {
        read_text(self.open_for_read(name)?.as_fd())
    }

    /// The file `name`, which has one short line: no second call looks for an end.
    pub(super) fn read_line(&self, name: &str) -> Result<String, Errno> {
        line_of(self.open_for_read(name)?.as_fd())
    }

    /// Removes the directory `name` below this one.
    pub(super) fn rmdir(&self, name: &str) -> Result<(), Errno> {
        unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir)
    }

    /// Number of directories in this one; the file system keeps it in the link count.
    pub(super) fn has_children(&self) -> Result<bool, Errno> {
        Ok(fstat(&self.fd)?.st_nlink > 2)
    }

    /// Names of the directories in this one.
    pub(super) fn children(&self) -> Result<Vec<String>, Errno> {
        if !self.has_children()? {
            return Ok(Vec::new());
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let listing = Listing::openat(&self.fd, ".", flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in listing {
            let entry = entry?;
            if entry.file_type() != Some(nix::dir::Type::Directory) {
                continue;
            }
            // The kernel takes any bytes in a name; one that is not text cannot be ours.
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Gives the descriptor away.
    pub(super) fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn is_cgroup(kind: FsType) -> bool {
    kind == CGROUP_SUPER_MAGIC || kind == CGROUP2_SUPER_MAGIC
}

fn directory_flags() -> OFlag {
    OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

/// Removes the directory `path` of the host, if it is in a cgroup file system.
pub(super) fn rmdir(path: &str) -> Result<(), Errno> {
    if !is_cgroup(statfs(path)?.filesystem_type()) {
        return Err(Errno::ENOTSUP);
    }
    unlinkat(AT_FDCWD, path, UnlinkatFlags::RemoveDir)
}

/// The whole of a small file of the host, such as `/proc/self/cgroup`.
pub(super) fn read_file(path: &str) -> Result<String, Errno> {
    let fd = open_path(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC)?;
    read_text(fd.as_fd())
}

/// The file `path` of the host, which has one short line, if it is in a cgroup file system.
pub(super) fn read_line_at(path: &str) -> Result<String, Errno> {
    let fd = open_path(path, OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)?;
    if is_cgroup(fstatfs(&fd)?.filesystem_type()) {
        line_of(fd.as_fd())
    } else {
        Err(Errno::ENOTSUP)
    }
}

fn line_of(fd: BorrowedFd<'_>) -> Result<String, Errno> {
    let mut line = [0_u8; 4096];
    for _ in 0..MOST_INTERRUPTS {
        match read(fd, &mut line) {
            Ok(n) => {
                let line = line.get(..n).unwrap_or_default();
                let line = std::str::from_utf8(line).map_err(|_| Errno::EILSEQ)?;
                return Ok(line.trim().to_owned());
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EINTR)
}

/// Opens the file `path` of the host for writing, if it is in a cgroup file system.
pub(super) fn open_file_for_write(path: &str) -> Result<OwnedFd, Errno> {
    let fd = open_path(path, OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)?;
    if is_cgroup(fstatfs(&fd)?.filesystem_type()) { Ok(fd) } else { Err(Errno::ENOTSUP) }
}

/// openat(2), since musl's open(2) sets close-on-exec once more with a call of its own.
fn open_path(path: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
    openat(AT_FDCWD, path, flags, Mode::empty())
}

/// Hands `value` to a control file in one call, as the kernel wants it.
pub(super) fn write_value(fd: BorrowedFd<'_>, value: &str) -> Result<(), Errno> {
    for _ in 0..MOST_INTERRUPTS {
        match write(fd, value.as_bytes()) {
            Ok(n) if n == value.len() => return Ok(()),
            Ok(_) => return Err(Errno::EIO),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EINTR)
}

/// Everything from the present position to the end.
pub(super) fn read_text(fd: BorrowedFd<'_>) -> Result<String, Errno> {
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 4096];
    let mut interrupts = 0;
    while bytes.len() < LONGEST_FILE {
        match read(fd, &mut chunk) {
            Ok(0) => break,
            Ok(n) => bytes.extend_from_slice(chunk.get(..n).unwrap_or_default()),
            Err(Errno::EINTR) if interrupts < MOST_INTERRUPTS => interrupts += 1,
            Err(errno) => return Err(errno),
        }
    }
    String::from_utf8(bytes).map_err(|_| Errno::EILSEQ)
}
