//! Removing a tree by descriptor.

use crate::error::{Error, Result};
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// Opens `name` in `directory`; it must be a directory and not a link to one.
pub fn open_directory(directory: BorrowedFd<'_>, name: &[u8]) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(directory, name, flags, Mode::empty())
}

/// The same, for reading its entries.
pub fn read_directory(directory: BorrowedFd<'_>, name: &[u8]) -> nix::Result<Dir> {
    Dir::from_fd(open_directory(directory, name)?)
}

/// Removes `name` from `directory`, whatever it is and however deep; false if it was
/// not there. Links are removed, never followed.
///
/// A directory inside is first moved up next to the one being emptied, so neither
/// depth nor the number of open files is a limit. Whoever sees the tree meanwhile
/// sees such names; it is therefore only used where nobody looks.
pub fn remove(directory: BorrowedFd<'_>, name: &[u8]) -> Result<bool> {
    match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) => return Ok(true),
        Err(Errno::ENOENT) => return Ok(false),
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut waiting = vec![name.to_vec()];
    let mut serial = 0u64;
    while let Some(name) = waiting.pop() {
        if unlinkat(directory, &*name, UnlinkatFlags::RemoveDir).is_err() {
            empty(directory, &name, &mut waiting, &mut serial)?;
            unlinkat(directory, &*name, UnlinkatFlags::RemoveDir)?;
        }
    }
    Ok(true)
}

/// Removes everything in a directory, or moves it up.
fn empty(
    top: BorrowedFd<'_>,
    name: &[u8],
    waiting: &mut Vec<Vec<u8>>,
    serial: &mut u64,
) -> Result<()> {
    if !geteuid().is_root() {
        fchmodat(top, name, Mode::S_IRWXU, FchmodatFlags::NoFollowSymlink)
            .or_else(|_| fchmodat(top, name, Mode::S_IRWXU, FchmodatFlags::FollowSymlink))?;
    }
    let mut dir = read_directory(top, name)?;
    loop {
        let mut removed = 0u64;
        let entries: Vec<(Vec<u8>, Option<Type>)> = dir
            .iter()
            .take(4096)
            .map(|entry| entry.map(|e| (e.file_name().to_bytes().to_vec(), e.file_type())))
            .collect::<nix::Result<_>>()?;
        for (child, kind) in entries {
            if child == b"." || child == b".." {
                continue;
            }
            removed += 1;
            let fd = dir.as_fd();
            if kind != Some(Type::Directory) {
                match unlinkat(fd, &*child, UnlinkatFlags::NoRemoveDir) {
                    Ok(()) | Err(Errno::ENOENT) => continue,
                    Err(Errno::EISDIR | Errno::EPERM) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            match unlinkat(fd, &*child, UnlinkatFlags::RemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
                    waiting.push(move_up(top, fd, &child, serial)?);
                }
                Err(errno) => return Err(errno.into()),
            }
        }
        if removed == 0 {
            return Ok(());
        }
        dir = read_directory(top, name)?;
    }
}

fn move_up(
    top: BorrowedFd<'_>,
    from: BorrowedFd<'_>,
    name: &[u8],
    serial: &mut u64,
) -> Result<Vec<u8>> {
    if !geteuid().is_root() {
        // Moving a directory changes its `..`, for which it must be writable.
        fchmodat(from, name, Mode::S_IRWXU, FchmodatFlags::FollowSymlink)?;
    }
    for _ in 0..10_000 {
        *serial += 1;
        let free = format!(".husk-removing-{serial}").into_bytes();
        let taken = nix::sys::stat::fstatat(top, &*free, AtFlags::AT_SYMLINK_NOFOLLOW);
        if taken != Err(Errno::ENOENT) {
            continue;
        }
        nix::fcntl::renameat(from, name, top, &*free)?;
        return Ok(free);
    }
    Err(Error::refused("no free name to remove a directory under"))
}
