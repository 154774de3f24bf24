//! Copying a directory of the tree: the first content of a volume.

use super::attributes::{Attributes, IdMap, Notes, Setter};
use super::remove::{open_directory, read_directory};
use crate::config::in_root;
use crate::error::{Context as _, Error, Result};
use crate::layer::Limits;
use crate::sys;
use crate::tar::Time;
use crate::text::Quoted;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat, mknodat};
use nix::unistd::symlinkat;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

fn attributes(stat: &FileStat, fd: Option<BorrowedFd<'_>>) -> Result<Attributes> {
    let time = |seconds, nanos: i64| Time { seconds, nanos: u32::try_from(nanos).unwrap_or(0) };
    let mut xattrs = Vec::new();
    if let Some(fd) = fd {
        for name in sys::list_xattrs(fd)? {
            if name.starts_with(b"security.selinux") || name.starts_with(b"trusted.") {
                continue;
            }
            if let Some(value) = sys::get_xattr(fd, &name)? {
                xattrs.push((name, value));
            }
        }
    }
    Ok(Attributes {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        atime: time(stat.st_atime, stat.st_atime_nsec),
        xattrs,
    })
}

/// One copy on its way. Owners are those that the objects already have on the host.
struct Copy<'a> {
    from: OwnedFd,
    to: OwnedFd,
    setter: Setter,
    notes: Notes,
    limits: &'a Limits,
}

/// Copies the directory at `path` below `root`, with everything in it, to `name` in
/// `folder`. If the image has no such directory, an empty one is made; `setter` gives
/// that to the root user of the image.
pub fn directory(
    root: BorrowedFd<'_>,
    path: &[u8],
    folder: BorrowedFd<'_>,
    name: &[u8],
    setter: &Setter,
    limits: &Limits,
) -> Result<()> {
    mkdirat(folder, name, Mode::S_IRWXU)?;
    let to = open_directory(folder, name)?;
    let from = match in_root::open(root, path, libc::O_RDONLY | libc::O_DIRECTORY) {
        Ok(from) => from,
        Err(Errno::ENOENT | Errno::ENOTDIR) => {
            let implied = Attributes::implied();
            return setter.open_object(to.as_fd(), &implied, true, None, &mut Notes::default());
        }
        Err(errno) => return Err(errno.into()),
    };
    let setter = Setter::new(IdMap::default(), IdMap::default());
    Copy { from, to, setter, notes: Notes::default(), limits }.run()
}

impl Copy<'_> {
    fn run(mut self) -> Result<()> {
        let mut waiting: Vec<Vec<u8>> = vec![b".".to_vec()];
        let mut done = Vec::new();
        while let Some(path) = waiting.pop() {
            self.limits.check()?;
            let from = open_below(self.from.as_fd(), &path)?;
            let to = open_below(self.to.as_fd(), &path)?;
            for name in names(from.as_fd())? {
                let what = || format!("copying {}", Quoted(&name));
                if self.object(from.as_fd(), to.as_fd(), &name).context(what)? {
                    waiting.push([&path, &b"/"[..], &name].concat());
                }
            }
            done.push((path, attributes(&fstat(&from)?, Some(from.as_fd()))?));
        }
        for (path, attributes) in done.iter().rev() {
            let to = open_below(self.to.as_fd(), path)?;
            self.setter.open_object(to.as_fd(), attributes, true, None, &mut self.notes)?;
        }
        Ok(())
    }

    /// Copies one object; true if it is a directory, whose content is still missing.
    fn object(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &[u8]) -> Result<bool> {
        let stat = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let private = Mode::S_IRUSR | Mode::S_IWUSR;
        let kind = stat.st_mode & libc::S_IFMT;
        match kind {
            libc::S_IFDIR => {
                mkdirat(to, name, Mode::S_IRWXU)?;
                return Ok(true);
            }
            libc::S_IFREG => {
                let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let read = flags | OFlag::O_RDONLY | OFlag::O_NONBLOCK;
                let write = flags | OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
                let mut source = File::from(openat(from, name, read, Mode::empty())?);
                let mut copy = File::from(openat(to, name, write, private)?);
                // What is read must be what was looked at.
                if !source.metadata()?.is_file() {
                    return Err(Error::refused("it changed meanwhile"));
                }
                std::io::copy(&mut source, &mut copy)?;
                let attributes = attributes(&stat, Some(source.as_fd()))?;
                self.setter.open_object(copy.as_fd(), &attributes, true, None, &mut self.notes)?;
                return Ok(false);
            }
            libc::S_IFLNK => symlinkat(&*readlinkat(from, name)?, to, name)?,
            kind => {
                mknodat(to, name, SFlag::from_bits_truncate(kind), private, stat.st_rdev)?;
            }
        }
        let attributes = attributes(&stat, None)?;
        let is_link = kind == libc::S_IFLNK;
        self.setter.named_object(to, name, &attributes, is_link, true, &mut self.notes)?;
        Ok(false)
    }
}

fn open_below(root: BorrowedFd<'_>, path: &[u8]) -> nix::Result<OwnedFd> {
    in_root::open(root, path, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW)
}

fn names(directory: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    let mut directory = read_directory(directory, b".")?;
    for entry in directory.iter() {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
