//! Looking paths up below the container's root, and making what is missing.
//!
//! Every path comes from the configuration and every directory may have been prepared by whoever
//! made the image, so a lookup never leaves the root, whatever links it meets.

use super::{Done, Failed, Named, Walker};
use crate::sys::{self, Answer, At, Buffer, Errno, Fd};
use crate::wire::{Call, Text, lookup};
use core::ffi::CStr;

const PATH_MAX: usize = 4096;
const NAME_MAX: usize = 255;
const MOST_LINKS: usize = 40;
/// Type of a procfs, as fstatfs(2) tells it.
pub const PROC_SUPER_MAGIC: u64 = 0x9fa0;

const DIRECTORY_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;

fn resolve_flags(how: u32) -> u64 {
    let links = if how & lookup::NO_SYMLINKS != 0 { sys::RESOLVE_NO_SYMLINKS } else { 0 };
    sys::RESOLVE_IN_ROOT | sys::RESOLVE_NO_MAGICLINKS | links
}

/// Opens `path` below `root`.
pub fn open_below(root: At, path: &CStr, flags: u64, mode: u32, how: u32) -> Answer<Fd> {
    sys::open_at(root, path, flags, mode, resolve_flags(how))
}

/// The next component of a path, and what follows it.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = path.iter().position(|b| *b != b'/')?;
    let path = path.get(start..)?;
    let end = path.iter().position(|b| *b == b'/').unwrap_or(path.len());
    path.split_at_checked(end)
}

/// Opens `path` below `root`, making what is missing: directories, and at the end a directory or
/// an empty file.
///
/// A link to something that does not exist is followed, inside the root, and what it names is
/// made: images hold such links where engines mount files (`/etc/resolv.conf`).
pub fn open_or_make(root: At, path: &[u8], how: u32) -> Answer<Fd> {
    let mut whole = Buffer::<PATH_MAX>::new();
    whole.push(path)?;
    match open_below(root, whole.c_str(), sys::O_PATH, 0, how) {
        Err(Errno::NOENT) => {}
        answer => return answer,
    }
    for _ in 0..MOST_LINKS {
        match make(root, &whole, how)? {
            Made::There(fd) => return Ok(fd),
            Made::Link(instead) => whole = instead,
        }
    }
    Err(Errno::LOOP)
}

// Lives for one call; there is no heap to put the path on.
#[allow(clippy::large_enum_variant)]
enum Made {
    There(Fd),
    Link(Buffer<PATH_MAX>),
}

fn make(root: At, path: &Buffer<PATH_MAX>, how: u32) -> Answer<Made> {
    let mut so_far = Buffer::<PATH_MAX>::new();
    let mut here = open_below(root, c"/", sys::O_PATH | sys::O_DIRECTORY, 0, how)?;
    let mut rest = path.bytes();
    while let Some((name, behind)) = split(rest) {
        rest = behind;
        let last = split(rest).is_none();
        let directory = !last || how & lookup::DIRECTORY != 0;
        let parent = so_far.bytes().len();
        so_far.push(b"/")?;
        so_far.push(name)?;
        let kind = if last { 0 } else { sys::O_DIRECTORY };
        here = match open_below(root, so_far.c_str(), sys::O_PATH | kind, 0, how) {
            Ok(there) => there,
            Err(Errno::NOENT) => {
                let mut single = Buffer::<{ NAME_MAX + 1 }>::new();
                single.push(name)?;
                if let Some(target) = link_target(here.at(), single.c_str())? {
                    if how & lookup::NO_SYMLINKS != 0 {
                        return Err(Errno::LOOP);
                    }
                    so_far.truncate(parent);
                    let mut instead = Buffer::new();
                    if target.bytes().first() != Some(&b'/') {
                        instead.push(so_far.bytes())?;
                        instead.push(b"/")?;
                    }
                    instead.push(target.bytes())?;
                    instead.push(b"/")?;
                    instead.push(rest)?;
                    return Ok(Made::Link(instead));
                }
                make_one(here.at(), single.c_str(), directory)?
            }
            Err(errno) => return Err(errno),
        };
    }
    Ok(Made::There(here))
}

fn link_target(parent: At, name: &CStr) -> Answer<Option<Buffer<PATH_MAX>>> {
    let mut target = Buffer::new();
    match sys::readlink_at(parent, name, target.room()) {
        Ok(len) => {
            target.filled(len);
            Ok(Some(target))
        }
        Err(Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn make_one(parent: At, name: &CStr, directory: bool) -> Answer<Fd> {
    let resolve = sys::RESOLVE_BENEATH | sys::RESOLVE_NO_SYMLINKS;
    if directory {
        match sys::mkdir_at(parent, name, DIRECTORY_MODE) {
            Ok(_) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    } else {
        let flags = sys::O_WRONLY | sys::O_CREAT | sys::O_EXCL | sys::O_NOFOLLOW | sys::O_NONBLOCK;
        match sys::open_at(parent, name, flags, FILE_MODE, resolve) {
            Ok(_) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    sys::open_at(parent, name, sys::O_PATH, 0, resolve)
}

/// A directory and the last component of a path in it.
pub struct Place {
    pub parent: Fd,
    pub name: Buffer<{ NAME_MAX + 1 }>,
}

impl Walker<'_> {
    /// The container's root.
    pub fn root(&self) -> Done<At> {
        let missing = Failed { call: Call::Plan, errno: Errno::BADF, detail: 0 };
        self.root.as_ref().map(Fd::at).ok_or(missing)
    }

    /// Opens an existing path below the root.
    pub fn open(&self, path: Text<'_>, how: u32) -> Done<Fd> {
        open_below(self.root()?, path.c_str(), sys::O_PATH, 0, how).of(Call::Open)
    }

    /// Opens a path below the root, made when missing.
    pub fn target(&self, path: Text<'_>, how: u32) -> Done<Fd> {
        let target = open_or_make(self.root()?, path.bytes(), how).of(Call::Open)?;
        if how & lookup::NOT_PROC != 0
            && sys::filesystem(target.at()).of(Call::Fstatfs)? == PROC_SUPER_MAGIC
        {
            return Err(Failed { call: Call::Open, errno: Errno::LOOP, detail: 0 });
        }
        Ok(target)
    }

    /// Makes a directory, if it can be made.
    pub fn directory(&self, path: Text<'_>) -> Done {
        const READ_ONLY: Errno = Errno(30);
        match open_or_make(self.root()?, path.bytes(), lookup::DIRECTORY) {
            Ok(_) | Err(Errno::ACCES | Errno::PERM | READ_ONLY) => Ok(()),
            Err(errno) => Err(Failed { call: Call::Mkdir, errno, detail: 0 }),
        }
    }

    /// Opens an existing path below the root; `None` when there is nothing.
    pub fn open_if_there(&self, path: Text<'_>) -> Done<Option<Fd>> {
        match open_below(self.root()?, path.c_str(), sys::O_PATH, 0, 0) {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            answer => answer.map(Some).of(Call::Open),
        }
    }

    /// The directory that `path` is in, made when missing, and the name in it.
    pub fn place(&self, path: Text<'_>) -> Done<Place> {
        let bytes = path.bytes();
        let trimmed = bytes.iter().rposition(|b| *b != b'/').map_or(0, |at| at.saturating_add(1));
        let bytes = bytes.get(..trimmed).unwrap_or_default();
        let slash = bytes.iter().rposition(|b| *b == b'/');
        let (parent, name) = match slash {
            Some(at) => (bytes.get(..at), bytes.get(at.saturating_add(1)..)),
            None => (Some(&[][..]), Some(bytes)),
        };
        let (parent, name) = (parent.unwrap_or_default(), name.unwrap_or_default());
        let mut buffer = Buffer::new();
        match name {
            b"" | b"." | b".." => Err(Errno::INVAL),
            name => buffer.push(name),
        }
        .of(Call::Open)?;
        let parent = if parent.is_empty() { &b"/"[..] } else { parent };
        // What is made in /dev is made there, and not in a volume that the image's /dev points to.
        let in_dev = parent == b"/dev" || parent.starts_with(b"/dev/");
        let links = if in_dev { lookup::NO_SYMLINKS } else { 0 };
        let parent =
            open_or_make(self.root()?, parent, lookup::DIRECTORY | links).of(Call::Open)?;
        Ok(Place { parent, name: buffer })
    }
}
