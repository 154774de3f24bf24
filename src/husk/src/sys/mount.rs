//! Detached mounts (mount_setattr(2), open_tree(2)).

use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// `MOUNT_ATTR_…` of mount_setattr(2), which libc does not name.
pub mod attr {
    /// Read-only.
    pub const RDONLY: u64 = 0x1;
    /// Set-id bits are ignored.
    pub const NOSUID: u64 = 0x2;
    /// Devices cannot be opened.
    pub const NODEV: u64 = 0x4;
    /// Nothing can be executed.
    pub const NOEXEC: u64 = 0x8;
    /// Mask of the access time modes; zero in it is relatime.
    pub const ATIME: u64 = 0x70;
    /// Access times are not updated.
    pub const NOATIME: u64 = 0x10;
    /// Access times are always updated.
    pub const STRICTATIME: u64 = 0x20;
    /// Access times of directories are not updated.
    pub const NODIRATIME: u64 = 0x80;
    /// Ids are mapped by a user namespace.
    pub const IDMAP: u64 = 0x0010_0000;
    /// Symbolic links are not followed.
    pub const NOSYMFOLLOW: u64 = 0x0020_0000;
}

/// A detached copy of the mount at a path of the host; `recursive` takes the mounts below along.
///
/// # Errors
/// Whatever open_tree(2) answers.
pub fn clone_tree(path: &CStr, recursive: bool) -> Result<OwnedFd, Errno> {
    open_tree(libc::AT_FDCWD, path, recursive)
}

/// A detached copy of the mount that a descriptor is open in, from that place down.
///
/// # Errors
/// Whatever open_tree(2) answers.
pub fn clone_tree_of(fd: impl AsFd, recursive: bool) -> Result<OwnedFd, Errno> {
    open_tree(fd.as_fd().as_raw_fd(), c"", recursive)
}

fn open_tree(at: i32, path: &CStr, recursive: bool) -> Result<OwnedFd, Errno> {
    const OPEN_TREE_CLONE: libc::c_uint = 1;
    let mut flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as libc::c_uint;
    if recursive {
        flags |= libc::AT_RECURSIVE as libc::c_uint;
    }
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH as libc::c_uint;
    }
    // SAFETY: the path is NUL-terminated.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, at, path.as_ptr(), flags) };
    let fd = Errno::result(fd)?;
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A change of a mount's attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// `MOUNT_ATTR_…` that are set.
    pub set: u64,
    /// `MOUNT_ATTR_…` that are cleared first.
    pub clear: u64,
    /// `MS_…` propagation; 0 leaves it.
    pub propagation: u64,
}

impl Change {
    /// Whether nothing is changed.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// Changes the mount whose root a descriptor is open on, and with `recursive` those below.
///
/// # Errors
/// Whatever mount_setattr(2) answers.
pub fn set_attributes(mount: impl AsFd, change: Change, recursive: bool) -> Result<(), Errno> {
    set(mount, [change.set, change.clear, change.propagation, 0], recursive)
}

/// Maps the ids of a detached mount by a user namespace.
///
/// # Errors
/// Whatever mount_setattr(2) answers; EINVAL where the file system cannot.
pub fn set_id_map(mount: impl AsFd, user: impl AsFd, recursive: bool) -> Result<(), Errno> {
    let user = u64::try_from(user.as_fd().as_raw_fd()).map_err(|_| Errno::EBADF)?;
    set(mount, [attr::IDMAP, 0, 0, user], recursive)
}

fn set(mount: impl AsFd, attr: [u64; 4], recursive: bool) -> Result<(), Errno> {
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the empty path is NUL-terminated; a struct mount_attr of the size given.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            attr.as_ptr(),
            size_of_val(&attr),
        )
    };
    Errno::result(answer).map(drop)
}
