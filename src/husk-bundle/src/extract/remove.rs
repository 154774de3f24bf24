//! Removing a tree by descriptor.

use super::attributes::chmod_at;
use crate::error::{Error, Result};
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// How often something is tried again that somebody else changed meanwhile.
const MAX_TRIES: u32 = 1000;

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
        let mut tries = 0;
        while let Err(errno) = unlinkat(directory, &*name, UnlinkatFlags::RemoveDir) {
            tries += 1;
            match errno {
                Errno::ENOENT => break,
                Errno::ENOTEMPTY | Errno::EEXIST if tries <= MAX_TRIES => {
                    empty(directory, &name, &mut waiting, &mut serial)?;
                }
                errno => return Err(errno.into()),
            }
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
        chmod_at(top, name, 0o700)?;
    }
    let mut stalled = 0;
    while stalled < MAX_TRIES {
        // Opened anew each time, and only one at a time: there may be few left.
        let mut dir = read_directory(top, name)?;
        let (mut seen, mut gone) = (0u64, 0u64);
        let entries: Vec<(Vec<u8>, Option<Type>)> = dir
            .iter()
            .take(4096)
            .map(|entry| entry.map(|e| (e.file_name().to_bytes().to_vec(), e.file_type())))
            .collect::<nix::Result<_>>()?;
        for (child, kind) in entries {
            if child == b"." || child == b".." {
                continue;
            }
            seen += 1;
            if remove_child(top, dir.as_fd(), &child, kind, waiting, serial)? {
                gone += 1;
            }
        }
        if seen == 0 {
            return Ok(());
        }
        stalled = if gone == 0 { stalled + 1 } else { 0 };
    }
    Err(Error::refused("somebody else keeps changing what is to be removed"))
}

/// Removes one entry, or moves it up; false if it turned into something else
/// meanwhile, so that it has to be looked at again.
fn remove_child(
    top: BorrowedFd<'_>,
    directory: BorrowedFd<'_>,
    child: &[u8],
    kind: Option<Type>,
    waiting: &mut Vec<Vec<u8>>,
    serial: &mut u64,
) -> Result<bool> {
    if kind != Some(Type::Directory) {
        match unlinkat(directory, child, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(true),
            Err(Errno::EISDIR | Errno::EPERM) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    match unlinkat(directory, child, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::ENOTDIR) => Ok(false),
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => match move_up(top, directory, child, serial)? {
            Some(name) => {
                waiting.push(name);
                Ok(true)
            }
            None => Ok(false),
        },
        Err(errno) => Err(errno.into()),
    }
}

fn move_up(
    top: BorrowedFd<'_>,
    from: BorrowedFd<'_>,
    name: &[u8],
    serial: &mut u64,
) -> Result<Option<Vec<u8>>> {
    if !geteuid().is_root() {
        // Moving a directory changes its `..`, for which it must be writable.
        chmod_at(from, name, 0o700)?;
    }
    for _ in 0..10_000 {
        *serial += 1;
        let free = format!(".husk-removing-{serial}").into_bytes();
        let taken = nix::sys::stat::fstatat(top, &*free, AtFlags::AT_SYMLINK_NOFOLLOW);
        if taken != Err(Errno::ENOENT) {
            continue;
        }
        return match nix::fcntl::renameat(from, name, top, &*free) {
            Ok(()) => Ok(Some(free)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        };
    }
    Err(Error::refused("no free name to remove a directory under"))
}
