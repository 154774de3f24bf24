//! Texts of the command line to checked values.

use crate::error::{Code, Error, Failure};
use nix::fcntl::{OFlag, open, readlink};
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A refused value.
pub fn refused(what: &str, text: &OsStr, why: &str) -> Error {
    Error::said(Code::USAGE, format!("{what}: {:?} {why}", text.to_string_lossy()))
}

/// Text that must be UTF-8, as everything that goes into a configuration.
///
/// # Errors
/// Refuses other bytes.
pub fn text(what: &str, value: &OsStr) -> Result<String, Error> {
    match value.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(refused(what, value, "is not UTF-8")),
    }
}

/// A decimal number of digits only.
///
/// # Errors
/// Refuses signs, blanks, other bases, and numbers beyond 2^32-1.
pub fn number(what: &str, value: &OsStr) -> Result<u32, Error> {
    digits(value.as_bytes()).ok_or_else(|| refused(what, value, "is not a number from 0 to 2^32-1"))
}

/// A count that fits a descriptor number.
///
/// # Errors
/// Refuses what is no number, and numbers beyond any descriptor table.
pub fn count(what: &str, value: &OsStr) -> Result<u32, Error> {
    const MOST: u32 = 1 << 20;
    let count = number(what, value)?;
    if count <= MOST { Ok(count) } else { Err(refused(what, value, "is too large")) }
}

fn digits(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A user or group id; 2^32-1 is no id, the kernel reads it as "leave it".
///
/// # Errors
/// Refuses what is not an id.
pub fn id(what: &str, value: &OsStr) -> Result<u32, Error> {
    digits(value.as_bytes())
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| refused(what, value, "is not an id: digits only, from 0 to 4294967294"))
}

/// `UID[:GID]` of `exec --user`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// User id in the container's user namespace.
    pub uid: u32,
    /// Group id; absent: as the configuration says.
    pub gid: Option<u32>,
}

/// Reads `UID[:GID]`.
///
/// # Errors
/// Refuses names and anything else that is not one or two ids.
pub fn user(what: &str, value: &OsStr) -> Result<User, Error> {
    let bytes = value.as_bytes();
    let (uid, gid) = match bytes.iter().position(|b| *b == b':') {
        None => (bytes, None),
        Some(at) => {
            let (uid, gid) = bytes.split_at(at);
            (uid, Some(gid.get(1..).unwrap_or_default()))
        }
    };
    let uid = id(what, OsStr::from_bytes(uid))?;
    let gid = gid.map(|gid| id(what, OsStr::from_bytes(gid))).transpose()?;
    Ok(User { uid, gid })
}

/// A path of the host, made absolute against the current directory.
///
/// # Errors
/// Refuses the empty path and NUL bytes; fails when there is no current directory.
pub fn path(what: &str, value: &OsStr) -> Result<PathBuf, Error> {
    if value.is_empty() {
        return Err(refused(what, value, "is no path"));
    }
    std::path::absolute(Path::new(value)).map_err(|e| {
        let answer = e.raw_os_error().unwrap_or(libc::ENOENT);
        let answer = crate::error::errno_text(answer);
        Error::said(Code::USAGE, format!("{what}: the current directory has no path: {answer}"))
    })
}

/// The path of a directory of the host without `.` and `..`, as the kernel names it where there
/// are any.
///
/// # Errors
/// As [`path`]; also when such a directory cannot be opened.
pub fn bundle(what: &str, value: &OsStr) -> Result<PathBuf, Error> {
    let absolute = path(what, value)?;
    if absolute.components().all(|c| c != Component::ParentDir) {
        return Ok(absolute);
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let named = open(&absolute, flags, Mode::empty())
        .and_then(|dir| readlink(format!("/proc/self/fd/{}", dir.as_raw_fd()).as_str()));
    named.map(PathBuf::from).map_err(|e| {
        let doing = format!("open the bundle {}", absolute.display());
        Failure::new(Code::CONFIG_UNREADABLE, doing).errno("open", e as i32).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users() {
        let table = [
            ("0", Some((0, None))),
            ("1", Some((1, None))),
            ("1:2", Some((1, Some(2)))),
            ("4294967294:0", Some((u32::MAX - 1, Some(0)))),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("4294967295", None),
            ("4294967296", None),
            ("18446744073709551616", None),
            ("1:", None),
            (":1", None),
            ("1:2:3", None),
            (" 1", None),
            ("1 ", None),
            ("0x1", None),
            ("root", None),
            ("1:4294967295", None),
        ];
        for (text, expected) in table {
            let read = user("--user", OsStr::new(text)).ok().map(|u| (u.uid, u.gid));
            assert_eq!(read, expected, "{text:?}");
        }
    }

    #[test]
    fn counts() {
        assert_eq!(count("n", OsStr::new("3")).ok(), Some(3));
        for bad in ["", "-1", "1048577", "99999999999", "x"] {
            assert!(count("n", OsStr::new(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_become_absolute() {
        assert_eq!(path("p", OsStr::new("/a/b")).unwrap(), Path::new("/a/b"));
        assert!(path("p", OsStr::new("a")).unwrap().is_absolute());
        assert!(path("p", OsStr::new("")).is_err());
    }
}
