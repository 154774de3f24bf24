//! A bundle appears whole or not at all: it is built in a directory next to its
//! place and renamed at the end. Whatever ends the work before removes it.

use crate::error::{Context as _, Error, Result};
use crate::extract::remove::{open_directory, read_directory, remove};
use crate::refuse;
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod, fstatat, mkdirat};
use nix::unistd::{Gid, fchown};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// A directory on its way to become the bundle.
pub struct Staging {
    parent: OwnedFd,
    name: Vec<u8>,
    target: Vec<u8>,
    force: bool,
    /// Always there until the end, when it is closed before anything is removed: that
    /// takes a descriptor, and having none left may be why we end.
    directory: Option<OwnedFd>,
    finished: bool,
}

/// What stands where the bundle is to be.
enum Existing {
    Nothing,
    EmptyDirectory,
    Other(&'static str),
}

fn look(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Existing> {
    let stat = match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(Existing::Nothing),
        stat => stat?,
    };
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFDIR => {}
        libc::S_IFLNK => return Ok(Existing::Other("is a symbolic link")),
        _ => return Ok(Existing::Other("exists and is not a directory")),
    }
    let mut directory = read_directory(parent, name)?;
    let is_dots = |name: &[u8]| name == b"." || name == b"..";
    let empty = directory
        .iter()
        .all(|entry| entry.is_ok_and(|entry| is_dots(entry.file_name().to_bytes())));
    Ok(if empty { Existing::EmptyDirectory } else { Existing::Other("exists and is not empty") })
}

impl Staging {
    /// Makes the directory, for its owner alone. With `force`, an older bundle in the
    /// place is replaced at the end.
    pub fn new(target: &Path, force: bool) -> Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(Error::usage("the bundle's path must end in a name"));
        };
        let parent_path = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let parent = nix::fcntl::open(parent_path, flags, Mode::empty())
            .context(|| format!("directory {}", parent_path.display()))?;
        let target = name.as_bytes().to_vec();
        match look(parent.as_fd(), &target)? {
            Existing::Other(what @ "is a symbolic link") => refuse!("it {what}; name its target"),
            Existing::Other(what) if !force => refuse!("it {what}; --force replaces it"),
            _ => {}
        }
        let pid = std::process::id();
        for n in 0..1000 {
            let name = format!(".husk-bundle-{pid}-{n}").into_bytes();
            match mkdirat(&parent, &*name, Mode::S_IRWXU) {
                Ok(()) => {}
                Err(Errno::EEXIST) => continue,
                Err(errno) => return Err(errno).context(|| "making a directory next to it"),
            }
            let directory = open_directory(parent.as_fd(), &name).inspect_err(|_| {
                let _ = remove(parent.as_fd(), &name);
            })?;
            let directory = Some(directory);
            return Ok(Self { parent, name, target, force, directory, finished: false });
        }
        refuse!("no free name next to it to build it under")
    }

    fn directory(&self) -> Result<BorrowedFd<'_>> {
        self.directory.as_ref().map(OwnedFd::as_fd).ok_or_else(|| Error::refused("it is closed"))
    }

    /// Sets who may enter the finished bundle, and its group if that is not ours.
    pub fn set_access(&self, mode: u32, group: Option<u32>) -> Result<()> {
        if let Some(group) = group {
            fchown(self.directory()?, None, Some(Gid::from_raw(group)))
                .context(|| format!("giving it the group {group}"))?;
        }
        fchmod(self.directory()?, Mode::from_bits_truncate(mode))?;
        Ok(())
    }

    /// Makes a directory in it.
    pub fn make_directory(&self, name: &str) -> Result<OwnedFd> {
        mkdirat(self.directory()?, name, Mode::S_IRWXU)?;
        Ok(open_directory(self.directory()?, name.as_bytes())?)
    }

    /// Writes a file in it.
    pub fn write_file(&self, name: &str, content: &[u8]) -> Result<()> {
        use std::io::Write as _;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o644);
        let fd = openat(self.directory()?, name, flags, mode)?;
        fchmod(&fd, mode)?;
        std::fs::File::from(fd).write_all(content)?;
        Ok(())
    }

    /// Puts the bundle in its place.
    pub fn finish(mut self) -> Result<()> {
        let parent = self.parent.as_fd();
        let moved = match look(parent, &self.target)? {
            Existing::Nothing => match sys::rename(parent, &self.name, &self.target, false) {
                // Some file systems have no such flag.
                Err(Errno::EINVAL | Errno::ENOSYS) => {
                    renameat(parent, &*self.name, parent, &*self.target)
                }
                outcome => outcome,
            },
            // Renaming over a directory works only while that is still empty.
            Existing::EmptyDirectory => renameat(parent, &*self.name, parent, &*self.target),
            Existing::Other(what) if !self.force => refuse!("it {what}, since a moment ago"),
            Existing::Other(_) => sys::rename(parent, &self.name, &self.target, true),
        };
        moved.context(|| "putting the bundle in its place")?;
        self.finished = true;
        if self.force {
            // After an exchange the old bundle has our temporary name.
            remove(self.parent.as_fd(), &self.name).context(|| "removing the old bundle")?;
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.finished {
            drop(self.directory.take());
            // There is already an error to report; this is the best that can be done.
            let _ = remove(self.parent.as_fd(), &self.name);
        }
    }
}
