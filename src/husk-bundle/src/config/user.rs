//! The user of an image: numbers, or names from its own `/etc/passwd` and
//! `/etc/group`.
//!
//! The files are read below the root's descriptor and parsed here. Asking libc would
//! load libraries, which inside a root that an image controls has been an attack
//! (CVE-2019-14271).

use crate::error::{Context as _, Error, Result};
use crate::refuse;
use crate::text::quoted;
use nix::errno::Errno;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::BorrowedFd;

/// Bytes that the files may have.
const MAX_FILE: u64 = 16 << 20;
/// The largest id that is taken: 2^31 - 1.
const MAX_ID: u32 = i32::MAX.cast_unsigned();
/// More groups than the kernel lets a process have are not worth collecting.
const MAX_GROUPS: usize = 65_536;

/// Ids for the process, and where its user is at home.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Further groups.
    pub additional: Vec<u32>,
    /// From the user's entry in `/etc/passwd`, if it has a usable one.
    pub home: Option<String>,
}

/// Reads a file of the image; absent is empty.
fn read(root: BorrowedFd<'_>, path: &str) -> Result<Vec<u8>> {
    let what = || format!("the image's {path}");
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = match super::in_root::open(root, path.as_bytes(), flags) {
        Ok(fd) => File::from(fd),
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Vec::new()),
        Err(errno) => return Err(errno).context(what),
    };
    if !file.metadata()?.is_file() {
        return Err(Error::refused("it is not a regular file")).context(what);
    }
    let mut content = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut content).context(what)?;
    if content.len() as u64 > MAX_FILE {
        return Err(Error::refused("it is larger than 16 MiB")).context(what);
    }
    Ok(content)
}

fn fields(line: &[u8]) -> Vec<&[u8]> {
    line.split(|b| *b == b':').collect()
}

fn id(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits {
        return None;
    }
    text.parse().ok().filter(|id| *id <= MAX_ID)
}

/// A number as the image gives it: `None` if it is a name, an error if out of range.
fn number(text: &str) -> Result<Option<u32>> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match id(text.as_bytes()) {
        Some(id) => Ok(Some(id)),
        None => refuse!("id {} is larger than {MAX_ID}", quoted(text)),
    }
}

struct Passwd {
    uid: u32,
    gid: u32,
    home: Option<String>,
}

fn passwd(content: &[u8], matches: impl Fn(&[u8], u32) -> bool) -> Option<Passwd> {
    content.split(|b| *b == b'\n').find_map(|line| match *fields(line).as_slice() {
        [name, _, uid, gid, _, home, ..] => {
            let (uid, gid) = (id(uid)?, id(gid)?);
            let home = std::str::from_utf8(home).ok();
            let usable = |home: &&str| home.starts_with('/') && !home.contains(char::is_control);
            matches(name, uid).then(|| Passwd {
                uid,
                gid,
                home: home.filter(usable).map(Into::into),
            })
        }
        _ => None,
    })
}

fn group(content: &[u8], wanted: &str) -> Option<u32> {
    content.split(|b| *b == b'\n').find_map(|line| match *fields(line).as_slice() {
        [name, _, gid, ..] if name == wanted.as_bytes() => id(gid),
        _ => None,
    })
}

fn memberships(content: &[u8], user: &str, primary: u32) -> Vec<u32> {
    let mut out = Vec::new();
    for line in content.split(|b| *b == b'\n') {
        if let [_, _, gid, members, ..] = *fields(line).as_slice()
            && members.split(|b| *b == b',').any(|member| member == user.as_bytes())
            && let Some(gid) = id(gid)
            && gid != primary
            && !out.contains(&gid)
            && out.len() < MAX_GROUPS
        {
            out.push(gid);
        }
    }
    out
}

/// Resolves `name|uid[:group|gid]` in the image at `root`; empty means 0:0
/// (image-spec, conversion.md, `Config.User`).
pub fn resolve(root: BorrowedFd<'_>, text: &str) -> Result<User> {
    let what = || format!("user {}", quoted(text));
    let passwd_file = read(root, "etc/passwd")?;
    let root_home =
        |uid| passwd(&passwd_file, |_, other| other == uid).and_then(|entry| entry.home);
    if text.is_empty() {
        return Ok(User { home: root_home(0), ..User::default() });
    }
    let (name, group_name) = match text.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (text, None),
    };
    if name.is_empty() || group_name.is_some_and(|g| g.is_empty() || g.contains(':')) {
        return Err(Error::refused("it is not of the form user[:group]")).context(what);
    }
    let by_number = number(name).context(what)?;
    let entry = match by_number {
        Some(uid) => passwd(&passwd_file, |_, other| other == uid),
        None => passwd(&passwd_file, |other, _| other == name.as_bytes()),
    };
    let (uid, primary) = match (by_number, &entry) {
        (_, Some(entry)) => (entry.uid, entry.gid),
        (Some(uid), None) => (uid, 0),
        (None, None) => {
            return Err(Error::refused("the image's etc/passwd does not have it")).context(what);
        }
    };
    let group_file = match (group_name, by_number) {
        (None, Some(_)) => Vec::new(),
        _ => read(root, "etc/group")?,
    };
    let (gid, additional) = match group_name {
        Some(group_name) => match number(group_name).context(what)? {
            Some(gid) => (gid, Vec::new()),
            None => {
                let gid = group(&group_file, group_name).ok_or_else(|| {
                    Error::refused("the image's etc/group does not have that group")
                });
                (gid.context(what)?, Vec::new())
            }
        },
        None if by_number.is_some() => (primary, Vec::new()),
        None => (primary, memberships(&group_file, name, primary)),
    };
    Ok(User { uid, gid, additional, home: entry.and_then(|entry| entry.home) })
}
