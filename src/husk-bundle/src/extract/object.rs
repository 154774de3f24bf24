//! Making files, links, devices and pipes.

use super::LayerWork;
use super::attributes::Attributes;
use super::names;
use super::tree::NodeId;
use crate::error::{Context as _, Error, Result};
use crate::refuse;
use crate::tar::{Entry, Input, Kind, Reader, SparseMap};
use crate::text::Quoted;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, mknodat};
use nix::sys::uio::pwrite;
use nix::unistd::{ftruncate, linkat, symlinkat, write};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

impl LayerWork<'_> {
    /// Runs `make` and, if something is in the way, removes that and runs it again.
    fn replacing<T>(
        &mut self,
        parent: NodeId,
        name: &[u8],
        what: &str,
        make: impl Fn(BorrowedFd<'_>) -> nix::Result<T>,
    ) -> Result<T> {
        self.tree.changing(parent)?;
        let mut outcome = make(self.tree.fd(parent)?);
        if outcome.as_ref().is_err_and(|errno| *errno == Errno::EEXIST) {
            self.tree.remove(parent, name).context(|| "removing what was in its place")?;
            outcome = make(self.tree.fd(parent)?);
        }
        if outcome.is_ok() {
            self.tree.made(parent, name);
        }
        outcome.context(|| what.to_owned())
    }

    /// Makes anything but a directory or a hard link.
    pub(super) fn object<I: Input>(
        &mut self,
        parent: NodeId,
        name: &[u8],
        entry: &Entry,
        mut attributes: Attributes,
        archive: &mut Reader<I>,
    ) -> Result<()> {
        let inherited = self.tree.node(parent).is_some_and(|node| node.set_gid);
        let device = match &entry.kind {
            Kind::File { sparse } => {
                let mode = self.on.setter.first_mode(&attributes);
                let file = self.new_file(parent, name, mode)?;
                match sparse {
                    None => archive.data(|piece| write_all(file.as_fd(), piece))?,
                    Some(map) => fill_sparse(file.as_fd(), map, archive)?,
                }
                let (fd, on) = (file.as_fd(), &mut *self.on);
                let notes = &mut on.notes;
                return on.setter.open_object(fd, &attributes, inherited, Some(mode), notes);
            }
            Kind::Symlink { target } => {
                if target.is_empty() {
                    refuse!("it is a link to nothing");
                }
                self.replacing(parent, name, "making a link", |directory| {
                    symlinkat(&**target, directory, name)
                })?;
                None
            }
            Kind::Fifo => Some((SFlag::S_IFIFO, 0)),
            Kind::Char { major: 0, minor: 0 } => {
                refuse!("it is the mark by which overlay hides files, not a device")
            }
            Kind::Char { major, minor } => Some((SFlag::S_IFCHR, device(*major, *minor)?)),
            Kind::Block { major, minor } => Some((SFlag::S_IFBLK, device(*major, *minor)?)),
            Kind::Directory | Kind::HardLink { .. } => refuse!("it is not a simple object"),
        };
        match device {
            Some((kind, _)) if kind != SFlag::S_IFIFO && self.on.rules.no_devices => {
                let file = self.new_file(parent, name, 0o600)?;
                self.on.totals.devices_left_out += 1;
                attributes.mode = 0;
                attributes.xattrs.clear();
                let (fd, on) = (file.as_fd(), &mut *self.on);
                on.setter.open_object(fd, &attributes, inherited, None, &mut on.notes)
            }
            device => {
                if let Some((kind, number)) = device {
                    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
                    self.replacing(parent, name, "making a device or pipe", |directory| {
                        mknodat(directory, name, kind, mode, number)
                    })
                    .map_err(|error| {
                        match nix::unistd::geteuid().is_root() {
                            true => error,
                            false => {
                                Error::refused(format!("{error}; --no-devices leaves devices out"))
                            }
                        }
                    })?;
                }
                let (directory, on) = (self.tree.fd(parent)?, &mut *self.on);
                let is_link = device.is_none();
                on.setter.named_object(
                    directory,
                    name,
                    &attributes,
                    is_link,
                    inherited,
                    &mut on.notes,
                )
            }
        }
    }

    fn new_file(&mut self, parent: NodeId, name: &[u8], mode: u32) -> Result<OwnedFd> {
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        self.replacing(parent, name, "making a file", |directory| {
            openat(directory, name, flags, Mode::from_bits_truncate(mode))
        })
    }

    /// Makes another name for something that exists. The attributes of such an entry
    /// say nothing: the object has its own.
    pub(super) fn hard_link(
        &mut self,
        parents: &[&[u8]],
        name: &[u8],
        target: &[u8],
    ) -> Result<()> {
        let what = || format!("hard link to {}", Quoted(target));
        let missing = || Error::refused("the archive has no such entry before this one");
        let path = names::components(target).context(what)?;
        let Some((target_name, target_parents)) = path.split_last() else {
            return Err(Error::refused("the root cannot have another name")).context(what);
        };
        let from = self.tree.walk(target_parents, false)?.ok_or_else(missing).context(what)?;
        let found = self.stat(from, target_name)?.ok_or_else(missing).context(what)?;
        if found.st_mode & libc::S_IFMT == libc::S_IFDIR {
            return Err(Error::refused("a directory cannot have another name")).context(what);
        }
        let Some(parent) = self.tree.walk(parents, true)? else {
            refuse!("its parent vanished");
        };
        if let Some(existing) = self.stat(parent, name)? {
            if (existing.st_dev, existing.st_ino) == (found.st_dev, found.st_ino) {
                self.tree.made(parent, name);
                return Ok(());
            }
            self.tree.remove(parent, name).context(|| "removing what was in its place")?;
        }
        self.tree.changing(parent)?;
        let from = self.tree.fd(from)?.try_clone_to_owned()?;
        linkat(from.as_fd(), *target_name, self.tree.fd(parent)?, name, AtFlags::empty())
            .context(what)?;
        self.tree.made(parent, name);
        Ok(())
    }

    fn stat(&mut self, parent: NodeId, name: &[u8]) -> Result<Option<FileStat>> {
        match fstatat(self.tree.fd(parent)?, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The directory behind a link, if `name` is a link to one.
    pub(super) fn link_to_directory(
        &mut self,
        parent: NodeId,
        name: &[u8],
    ) -> Result<Option<NodeId>> {
        match readlinkat(self.tree.fd(parent)?, name) {
            Ok(target) => self.tree.follow(parent, target.as_bytes()),
            Err(_) => Ok(None),
        }
    }
}

fn device(major: u64, minor: u64) -> Result<libc::dev_t> {
    match (u32::try_from(major), u32::try_from(minor)) {
        (Ok(major), Ok(minor)) if major < 1 << 12 && minor < 1 << 20 => {
            Ok(libc::makedev(major, minor))
        }
        _ => refuse!("its device number {major}:{minor} does not exist"),
    }
}

fn write_all(fd: BorrowedFd<'_>, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        match write(fd, data) {
            Ok(n) => data = data.get(n..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context(|| "writing its data"),
        }
    }
    Ok(())
}

/// Writes the pieces where they belong and leaves holes between them.
fn fill_sparse<I: Input>(
    fd: BorrowedFd<'_>,
    map: &SparseMap,
    archive: &mut Reader<I>,
) -> Result<()> {
    let size = i64::try_from(map.size).map_err(|_| Error::refused("its size is out of range"))?;
    ftruncate(fd, size).context(|| "setting its size")?;
    let mut pieces = map.pieces.iter().copied();
    let mut piece = pieces.next();
    archive.data(|mut data| {
        while !data.is_empty() {
            let Some((offset, left)) = &mut piece else { refuse!("it has more data than pieces") };
            let want = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
            let position =
                i64::try_from(*offset).map_err(|_| Error::refused("an offset is out of range"))?;
            let n = match pwrite(fd, data.get(..want).unwrap_or_default(), position) {
                Ok(n) => n,
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno).context(|| "writing its data"),
            };
            *offset += n as u64;
            *left -= n as u64;
            data = data.get(n..).unwrap_or_default();
            if *left == 0 {
                piece = pieces.next();
            }
        }
        Ok(())
    })
}
