//! Opening a path of the image: links are followed, but only inside the root.

use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::Mode;
use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

/// Links followed on one path, as in the kernel.
const MAX_LINKS: usize = 40;

/// Opens `path` below `root` with `flags`. A filter may forbid `openat2`, and old
/// container engines answer it with EPERM: then the path is walked by hand.
pub fn open(root: BorrowedFd<'_>, path: &[u8], flags: libc::c_int) -> nix::Result<OwnedFd> {
    for _ in 0..64 {
        match sys::open_in_root(root, path, flags) {
            Err(Errno::ENOSYS | Errno::EPERM) => return walk(root, path, flags),
            // Something was renamed meanwhile.
            Err(Errno::EAGAIN) => {}
            outcome => return outcome,
        }
    }
    Err(Errno::EAGAIN)
}

fn walk(root: BorrowedFd<'_>, path: &[u8], flags: libc::c_int) -> nix::Result<OwnedFd> {
    let flags = OFlag::from_bits_truncate(flags) | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut passed: Vec<OwnedFd> = Vec::new();
    let mut left: VecDeque<Vec<u8>> = path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect();
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        match &*part {
            b"" | b"." => continue,
            b".." => {
                passed.pop();
                continue;
            }
            _ => {}
        }
        let at = passed.last().map_or(root, |fd| fd.as_fd());
        match readlinkat(at, &*part) {
            Ok(target) => {
                links += 1;
                if links > MAX_LINKS || left.len() > 8192 {
                    return Err(Errno::ELOOP);
                }
                let target = target.as_bytes();
                if target.starts_with(b"/") {
                    passed.clear();
                }
                for part in target.split(|b| *b == b'/').rev() {
                    left.push_front(part.to_vec());
                }
                continue;
            }
            Err(Errno::EINVAL) => {}
            Err(errno) => return Err(errno),
        }
        if left.iter().all(|part| part.is_empty() || part == b".") {
            return openat(at, &*part, flags, Mode::empty());
        }
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let next = openat(at, &*part, directory, Mode::empty())?;
        passed.push(next);
    }
    let at = passed.last().map_or(root, |fd| fd.as_fd());
    openat(at, ".", flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::mkdirat;
    use nix::unistd::symlinkat;
    use std::fs::File;

    #[test]
    fn both_ways_agree() {
        let dir = tempfile::tempdir().unwrap();
        let root = File::open(dir.path()).unwrap();
        mkdirat(&root, "etc", Mode::S_IRWXU).unwrap();
        std::fs::write(dir.path().join("etc/file"), "inside").unwrap();
        for (target, name) in [
            ("/etc/file", "absolute"),
            ("../../../etc/file", "climbing"),
            ("etc", "folder"),
            ("loop", "loop"),
            ("/proc/self/root/etc/file", "outside"),
        ] {
            symlinkat(target, &root, name).unwrap();
        }
        for (path, ok) in [
            ("etc/file", true),
            ("absolute", true),
            ("climbing", true),
            ("folder/file", true),
            ("folder/../absolute", true),
            ("../../etc/file", true),
            ("loop", false),
            ("outside", false),
            ("etc/none", false),
            ("etc/file/x", false),
        ] {
            let fast = sys::open_in_root(root.as_fd(), path.as_bytes(), libc::O_RDONLY);
            let slow = walk(root.as_fd(), path.as_bytes(), libc::O_RDONLY);
            assert_eq!(fast.is_ok(), ok, "{path} {fast:?}");
            assert_eq!(slow.is_ok(), ok, "{path} {slow:?}");
        }
    }
}
