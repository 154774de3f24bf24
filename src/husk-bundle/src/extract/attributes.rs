//! Owner, mode, times and extended attributes of what is unpacked.

use crate::error::{Context as _, Error, Result};
use crate::refuse;
use crate::sys;
use crate::tar::{Entry, Time};
use crate::text::Quoted;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{Mode, UtimensatFlags, fchmod, futimens, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat};
use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

/// What an entry says about its object beside the content.
#[derive(Debug, Clone)]
pub struct Attributes {
    /// Permission and set-id bits.
    pub mode: u32,
    /// Owner in the image.
    pub uid: u32,
    /// Group in the image.
    pub gid: u32,
    /// Last modification.
    pub mtime: Time,
    /// Last access.
    pub atime: Time,
    /// Extended attributes that are set.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    /// Of a directory that nothing announces: fixed, so that the tree is the same
    /// every time.
    pub fn implied() -> Self {
        let epoch = Time::default();
        Self { mode: 0o755, uid: 0, gid: 0, mtime: epoch, atime: epoch, xattrs: Vec::new() }
    }

    /// Of an entry. Attributes that are not taken over are left out here.
    pub fn of(entry: &Entry, notes: &mut Notes) -> Result<Self> {
        let id = |id: u64, what: &str| match u32::try_from(id) {
            // To chown, this one means "leave it as it is".
            Ok(u32::MAX) | Err(_) => {
                Err(Error::refused(format!("its {what} {id} is not a possible id")))
            }
            Ok(id) => Ok(id),
        };
        let mut xattrs = Vec::new();
        for (name, value) in &entry.xattrs {
            if value.len() > 65536 {
                refuse!("its extended attribute {} is larger than 64 KiB", Quoted(name));
            }
            match verdict(name) {
                Verdict::Keep => xattrs.push((name.clone(), value.clone())),
                Verdict::Drop => {}
                Verdict::Unknown => {
                    notes.once(format!("extended attributes called {} are left out", Quoted(name)))
                }
            }
        }
        if [entry.mtime.seconds, entry.atime.unwrap_or_default().seconds].contains(&i64::MAX) {
            notes.once("times out of range were set to the last possible one".into());
        }
        Ok(Self {
            mode: entry.mode,
            uid: id(entry.uid, "owner")?,
            gid: id(entry.gid, "group")?,
            mtime: entry.mtime,
            atime: entry.atime.unwrap_or(entry.mtime),
            xattrs,
        })
    }
}

enum Verdict {
    Keep,
    Drop,
    Unknown,
}

/// Which attributes belong to an image. Labels and measurements are the host's
/// affair, and `trusted` ones steer its file systems.
fn verdict(name: &[u8]) -> Verdict {
    let is = |prefix: &[u8]| name.starts_with(prefix);
    if is(b"user.") || is(b"system.posix_acl_") || name == b"security.capability" {
        Verdict::Keep
    } else if is(b"trusted.")
        || matches!(
            name,
            b"security.selinux" | b"security.ima" | b"security.evm" | b"system.nfs4_acl"
        )
    {
        Verdict::Drop
    } else {
        Verdict::Unknown
    }
}

/// Warnings, each given once.
#[derive(Debug, Default)]
pub struct Notes {
    seen: BTreeSet<String>,
    list: Vec<String>,
}

impl Notes {
    /// Warnings that are kept; an image could cause any number.
    const MAX: usize = 200;

    /// Adds a warning unless it has been given already.
    pub fn once(&mut self, note: String) {
        if self.list.len() < Self::MAX && self.seen.insert(note.clone()) {
            self.list.push(note);
        }
    }

    /// All of them, in order.
    pub fn into_list(self) -> Vec<String> {
        self.list
    }
}

/// One line of `--uid-map` or `--gid-map`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// First id in the container.
    pub container: u32,
    /// First id on the host.
    pub host: u32,
    /// How many.
    pub count: u32,
}

/// Which id on the host stands for an id in the image. Empty: the same.
#[derive(Debug, Clone, Default)]
pub struct IdMap(pub Vec<IdRange>);

impl IdMap {
    /// The id on the host; `None` if no range has it.
    pub fn to_host(&self, id: u32) -> Option<u32> {
        if self.0.is_empty() {
            return Some(id);
        }
        self.0.iter().find_map(|range| {
            let offset = id.checked_sub(range.container).filter(|n| *n < range.count)?;
            range.host.checked_add(offset).filter(|host| *host != u32::MAX)
        })
    }
}

/// Sets attributes; knows who we are and how ids are mapped.
pub struct Setter {
    uids: IdMap,
    gids: IdMap,
    own: (u32, u32),
    umask: u32,
}

/// Our umask, read without changing it, since it belongs to the whole process. If it
/// cannot be read, the widest: then no mode is taken to be right by itself.
fn own_umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o777)
}

fn times(attributes: &Attributes) -> (TimeSpec, TimeSpec) {
    let spec = |t: Time| TimeSpec::new(t.seconds, i64::from(t.nanos));
    (spec(attributes.atime), spec(attributes.mtime))
}

impl Setter {
    /// For ids mapped in this way.
    pub fn new(uids: IdMap, gids: IdMap) -> Self {
        let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        Self { uids, gids, own, umask: own_umask() }
    }

    /// The mode to make a file with. Where it can be the final one from the start, a
    /// system call is saved: no set-id bits, which a change of owner would clear, no
    /// access control list, which would change the mode, and nothing that the umask
    /// takes away.
    pub fn first_mode(&self, attributes: &Attributes) -> u32 {
        let simple = attributes.mode & (0o7000 | self.umask) == 0 && attributes.xattrs.is_empty();
        if simple { attributes.mode } else { 0o600 }
    }

    /// The owner on the host, or `None` if what we have made belongs to it already.
    fn owner(&self, attributes: &Attributes, inherited: bool) -> Result<Option<(u32, u32)>> {
        let map = |map: &IdMap, id: u32, what: &str| {
            map.to_host(id).ok_or_else(|| {
                Error::refused(format!("its {what} {id} is in none of the ranges of the map"))
            })
        };
        let host =
            (map(&self.uids, attributes.uid, "owner")?, map(&self.gids, attributes.gid, "group")?);
        Ok((inherited || host != self.own).then_some(host))
    }

    /// Sets everything on a file or directory that is open.
    ///
    /// The owner comes first, since changing it clears set-id bits and capabilities;
    /// the mode comes after access control lists, since those change it; the times
    /// come last. `made_with` is the mode it was just made with, if it was.
    pub fn open_object(
        &self,
        fd: BorrowedFd<'_>,
        attributes: &Attributes,
        inherited: bool,
        made_with: Option<u32>,
        notes: &mut Notes,
    ) -> Result<()> {
        if let Some((uid, gid)) = self.owner(attributes, inherited)? {
            fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(|errno| self.owner_error(errno, uid, gid))?;
        }
        for (name, value) in &attributes.xattrs {
            xattr_outcome(sys::set_xattr(fd, name, value), name, notes)?;
        }
        if made_with != Some(attributes.mode) {
            fchmod(fd, Mode::from_bits_truncate(attributes.mode)).context(|| "setting its mode")?;
        }
        let (atime, mtime) = times(attributes);
        futimens(fd, &atime, &mtime).context(|| "setting its times")
    }

    /// Sets everything on a link, device or pipe in `directory`.
    pub fn named_object(
        &self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        attributes: &Attributes,
        is_link: bool,
        inherited: bool,
        notes: &mut Notes,
    ) -> Result<()> {
        if let Some((uid, gid)) = self.owner(attributes, inherited)? {
            let (owner, group) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            fchownat(directory, name, owner, group, AtFlags::AT_SYMLINK_NOFOLLOW)
                .map_err(|errno| self.owner_error(errno, uid, gid))?;
        }
        for (attribute, value) in &attributes.xattrs {
            // The kernel keeps these for files and directories only.
            if is_link || attribute.starts_with(b"user.") {
                notes.once("extended attributes of links and devices were left out".into());
                continue;
            }
            xattr_outcome(sys::set_xattr_at(directory, name, attribute, value), attribute, notes)?;
        }
        if !is_link {
            chmod_at(directory, name, attributes.mode).context(|| "setting its mode")?;
        }
        let (atime, mtime) = times(attributes);
        utimensat(directory, name, &atime, &mtime, UtimensatFlags::NoFollowSymlink)
            .context(|| "setting its times")
    }

    fn owner_error(&self, errno: Errno, uid: u32, gid: u32) -> Error {
        let hint = match errno {
            Errno::EPERM => "; only root can give files away",
            Errno::EINVAL => "; this id does not exist in the user namespace we run in",
            _ => "",
        };
        Error::refused(format!("making {uid}:{gid} its owner: {}{hint}", errno.desc()))
    }
}

fn xattr_outcome(outcome: nix::Result<()>, name: &[u8], notes: &mut Notes) -> Result<()> {
    match outcome {
        Ok(()) => Ok(()),
        Err(Errno::ENOTSUP) => {
            notes.once("the file system keeps no extended attributes of some kinds".into());
            Ok(())
        }
        Err(Errno::EPERM) if name == b"security.capability" => {
            notes.once("file capabilities need root and were left out".into());
            Ok(())
        }
        Err(errno) => Err(errno).context(|| format!("setting its attribute {}", Quoted(name))),
    }
}

/// Changes the mode of what is called `name`, without following a link that may have
/// taken its place.
pub(super) fn chmod_at(directory: BorrowedFd<'_>, name: &[u8], mode: u32) -> nix::Result<()> {
    match sys::chmod_no_follow(directory, name, mode) {
        Err(Errno::ENOSYS | Errno::EPERM) => {}
        outcome => return outcome,
    }
    use nix::fcntl::{OFlag, openat};
    use std::os::fd::AsRawFd as _;
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let object = openat(directory, name, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}", object.as_raw_fd());
    let follow = nix::sys::stat::FchmodatFlags::FollowSymlink;
    nix::sys::stat::fchmodat(directory, &*path, Mode::from_bits_truncate(mode), follow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        let map = IdMap(vec![
            IdRange { container: 0, host: 1000, count: 1 },
            IdRange { container: 1, host: 100_000, count: 65_536 },
        ]);
        for (id, expected) in
            [(0, Some(1000)), (1, Some(100_000)), (65_536, Some(165_535)), (65_537, None)]
        {
            assert_eq!(map.to_host(id), expected);
        }
        assert_eq!(IdMap::default().to_host(7), Some(7));
    }
}
