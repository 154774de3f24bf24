//! Mounts, by descriptor.

use super::arch::{nr, syscall};
use super::{Answer, At, Fd, check, owned};
use core::ffi::CStr;

pub const MS_REC: u64 = 1 << 14;
pub const MS_PRIVATE: u64 = 1 << 18;
pub const MS_SLAVE: u64 = 1 << 19;
pub const MOUNT_ATTR_RDONLY: u64 = 1;

const OPEN_TREE_CLONE: usize = 1;
const OPEN_TREE_CLOEXEC: usize = 0o2_000_000;
const EMPTY_PATH: usize = 0x1000;
const RECURSIVE: usize = 0x8000;
const MNT_DETACH: usize = 2;

/// Begins a new file system of the given type.
pub fn fsopen(kind: &CStr) -> Answer<Fd> {
    const FSOPEN_CLOEXEC: usize = 1;
    // SAFETY: the type is NUL-terminated.
    owned(check(unsafe {
        syscall(nr::FSOPEN, [kind.as_ptr() as usize, FSOPEN_CLOEXEC, 0, 0, 0, 0])
    }))
}

/// What fsconfig(2) is asked to do.
pub enum Configure<'a> {
    /// Sets a flag.
    Flag(&'a CStr),
    /// Sets an option to a value.
    Value(&'a CStr, &'a CStr),
    /// Makes the file system.
    Create,
}

pub fn fsconfig(context: At, what: Configure<'_>) -> Answer {
    let (command, key, value) = match what {
        Configure::Flag(key) => (0, key.as_ptr() as usize, 0),
        Configure::Value(key, value) => (1, key.as_ptr() as usize, value.as_ptr() as usize),
        Configure::Create => (6, 0, 0),
    };
    // SAFETY: key and value are null or NUL-terminated, as the command takes them.
    check(unsafe { syscall(nr::FSCONFIG, [context.raw(), command, key, value, 0, 0]) })
}

/// A detached mount of a file system that has been made.
pub fn fsmount(context: At, attributes: u64) -> Answer<Fd> {
    const FSMOUNT_CLOEXEC: usize = 1;
    // SAFETY: takes no memory.
    owned(check(unsafe {
        syscall(nr::FSMOUNT, [context.raw(), FSMOUNT_CLOEXEC, attributes as usize, 0, 0, 0])
    }))
}

/// A detached copy of the mount that a descriptor is open in, from that place down.
pub fn clone_tree(of: At, recursive: bool) -> Answer<Fd> {
    let flags =
        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | EMPTY_PATH | if recursive { RECURSIVE } else { 0 };
    // SAFETY: the empty path is NUL-terminated.
    owned(check(unsafe {
        syscall(nr::OPEN_TREE, [of.raw(), c"".as_ptr() as usize, flags, 0, 0, 0])
    }))
}

/// Attaches a detached mount on what `target` is open on.
pub fn attach(mount: At, target: At) -> Answer {
    const FROM_EMPTY: usize = 4;
    const TO_EMPTY: usize = 0x40;
    let empty = c"".as_ptr() as usize;
    // SAFETY: the empty paths are NUL-terminated.
    check(unsafe {
        syscall(nr::MOVE_MOUNT, [mount.raw(), empty, target.raw(), empty, FROM_EMPTY | TO_EMPTY, 0])
    })
}

/// Attaches a detached mount at a path of the host.
pub fn attach_at_path(mount: At, path: &CStr) -> Answer {
    const FROM_EMPTY: usize = 4;
    let empty = c"".as_ptr() as usize;
    // SAFETY: both paths are NUL-terminated.
    check(unsafe {
        let to = At::CWD.raw();
        syscall(nr::MOVE_MOUNT, [mount.raw(), empty, to, path.as_ptr() as usize, FROM_EMPTY, 0])
    })
}

/// Changes attributes and propagation of the mount whose root a descriptor is open on.
pub fn set_attributes(
    mount: At,
    set: u64,
    clear: u64,
    propagation: u64,
    recursive: bool,
) -> Answer {
    let attributes: [u64; 4] = [set, clear, propagation, 0];
    let flags = EMPTY_PATH | if recursive { RECURSIVE } else { 0 };
    // SAFETY: the empty path is NUL-terminated; a struct mount_attr of the size given.
    check(unsafe {
        let (at, size) = (attributes.as_ptr() as usize, size_of_val(&attributes));
        syscall(nr::MOUNT_SETATTR, [mount.raw(), c"".as_ptr() as usize, flags, at, size, 0])
    })
}

/// mount(2).
pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u64, data: &CStr) -> Answer {
    // SAFETY: all texts are NUL-terminated; every type that takes data takes it as text.
    check(unsafe {
        let (source, target) = (source.as_ptr() as usize, target.as_ptr() as usize);
        let (kind, data) = (kind.as_ptr() as usize, data.as_ptr() as usize);
        syscall(nr::MOUNT, [source, target, kind, flags as usize, data, 0])
    })
}

/// Makes the current directory the root, the old one stacked on top of it.
pub fn pivot_root_here() -> Answer {
    let here = c".".as_ptr() as usize;
    // SAFETY: both paths are NUL-terminated.
    check(unsafe { syscall(nr::PIVOT_ROOT, [here, here, 0, 0, 0, 0]) })
}

/// Detaches what is stacked on the current directory.
pub fn detach_here() -> Answer {
    // SAFETY: the path is NUL-terminated.
    check(unsafe { syscall(nr::UMOUNT2, [c".".as_ptr() as usize, MNT_DETACH, 0, 0, 0, 0]) })
}
