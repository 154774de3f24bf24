//! Files and directories.

use super::arch::{nr, syscall};
use super::{Answer, At, Errno, Fd, check, owned};
use core::ffi::CStr;

pub const O_RDONLY: u64 = 0;
pub const O_WRONLY: u64 = 1;
pub const O_RDWR: u64 = 2;
pub const O_CREAT: u64 = 0o100;
pub const O_EXCL: u64 = 0o200;
pub const O_NOCTTY: u64 = 0o400;
pub const O_NONBLOCK: u64 = 0o4000;
#[cfg(target_arch = "x86_64")]
pub const O_DIRECTORY: u64 = 0o200_000;
#[cfg(target_arch = "x86_64")]
pub const O_NOFOLLOW: u64 = 0o400_000;
#[cfg(target_arch = "aarch64")]
pub const O_DIRECTORY: u64 = 0o40_000;
#[cfg(target_arch = "aarch64")]
pub const O_NOFOLLOW: u64 = 0o100_000;
pub const O_CLOEXEC: u64 = 0o2_000_000;
pub const O_PATH: u64 = 0o10_000_000;

pub const RESOLVE_NO_XDEV: u64 = 1;
pub const RESOLVE_NO_MAGICLINKS: u64 = 2;
pub const RESOLVE_NO_SYMLINKS: u64 = 4;
pub const RESOLVE_BENEATH: u64 = 8;
pub const RESOLVE_IN_ROOT: u64 = 16;

pub const S_IFMT: u32 = 0o170_000;
pub const S_IFREG: u32 = 0o100_000;
pub const S_IFDIR: u32 = 0o040_000;
pub const S_IFCHR: u32 = 0o020_000;
pub const S_IFBLK: u32 = 0o060_000;
pub const S_IFIFO: u32 = 0o010_000;
pub const S_IFLNK: u32 = 0o120_000;

const EMPTY_PATH: usize = 0x1000;
const NO_FOLLOW: usize = 0x100;

/// openat2(2), repeated while the kernel sees renames under way.
pub fn open_at(at: At, path: &CStr, flags: u64, mode: u32, resolve: u64) -> Answer<Fd> {
    let how: [u64; 3] = [flags | O_CLOEXEC, u64::from(mode), resolve];
    for _ in 0..64 {
        // SAFETY: the path is NUL-terminated, `how` is a struct open_how of the size given.
        let answer = check(unsafe {
            let size = size_of_val(&how);
            syscall(
                nr::OPENAT2,
                [at.raw(), path.as_ptr() as usize, how.as_ptr() as usize, size, 0, 0],
            )
        });
        match answer {
            Err(Errno::AGAIN | Errno::INTR) => {}
            answer => return owned(answer),
        }
    }
    Err(Errno::AGAIN)
}

pub fn read(fd: At, to: &mut [u8]) -> Answer {
    loop {
        // SAFETY: the kernel writes at most `to.len()` bytes.
        match check(unsafe {
            syscall(nr::READ, [fd.raw(), to.as_mut_ptr() as usize, to.len(), 0, 0, 0])
        }) {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}

pub fn write(fd: At, from: &[u8]) -> Answer {
    loop {
        // SAFETY: the kernel reads `from.len()` bytes.
        match check(unsafe {
            syscall(nr::WRITE, [fd.raw(), from.as_ptr() as usize, from.len(), 0, 0, 0])
        }) {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}

/// Writes everything.
pub fn write_all(fd: At, mut from: &[u8]) -> Answer<()> {
    while !from.is_empty() {
        let done = write(fd, from)?;
        if done == 0 {
            return Err(Errno::IO);
        }
        from = from.get(done..).unwrap_or_default();
    }
    Ok(())
}

pub fn mkdir_at(at: At, path: &CStr, mode: u32) -> Answer {
    // SAFETY: the path is NUL-terminated.
    check(unsafe {
        syscall(nr::MKDIRAT, [at.raw(), path.as_ptr() as usize, mode as usize, 0, 0, 0])
    })
}

/// Makes a node; `device` as the kernel encodes it.
pub fn mknod_at(at: At, path: &CStr, mode: u32, major: u32, minor: u32) -> Answer {
    let device = (minor & 0xff) as usize | (major as usize) << 8 | ((minor & !0xff) as usize) << 12;
    // SAFETY: the path is NUL-terminated.
    check(unsafe {
        syscall(nr::MKNODAT, [at.raw(), path.as_ptr() as usize, mode as usize, device, 0, 0])
    })
}

pub fn symlink_at(target: &CStr, at: At, path: &CStr) -> Answer {
    // SAFETY: both are NUL-terminated.
    check(unsafe {
        syscall(
            nr::SYMLINKAT,
            [target.as_ptr() as usize, at.raw(), path.as_ptr() as usize, 0, 0, 0],
        )
    })
}

/// Reads the link itself.
pub fn readlink_at(at: At, path: &CStr, to: &mut [u8]) -> Answer {
    // SAFETY: the path is NUL-terminated; the kernel writes at most `to.len()` bytes.
    check(unsafe {
        let (room, len) = (to.as_mut_ptr() as usize, to.len());
        syscall(nr::READLINKAT, [at.raw(), path.as_ptr() as usize, room, len, 0, 0])
    })
}

/// Removes a name that is not a directory.
pub fn unlink_at(at: At, path: &CStr) -> Answer {
    // SAFETY: the path is NUL-terminated.
    check(unsafe { syscall(nr::UNLINKAT, [at.raw(), path.as_ptr() as usize, 0, 0, 0, 0]) })
}

/// Changes the owner of what the descriptor is open on.
pub fn chown(fd: At, uid: u32, gid: u32) -> Answer {
    // SAFETY: the empty path is NUL-terminated.
    check(unsafe {
        let path = c"".as_ptr() as usize;
        syscall(nr::FCHOWNAT, [fd.raw(), path, uid as usize, gid as usize, EMPTY_PATH, 0])
    })
}

/// Changes the mode of what the descriptor is open on (not for `O_PATH`).
pub fn chmod(fd: At, mode: u32) -> Answer {
    // SAFETY: takes no memory.
    check(unsafe { syscall(nr::FCHMOD, [fd.raw(), mode as usize, 0, 0, 0, 0]) })
}

/// What is known of a file.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub major: u32,
    pub minor: u32,
    pub mtime: (i64, u32),
}

impl Stat {
    pub fn kind(&self) -> u32 {
        self.mode & S_IFMT
    }
}

#[repr(C)]
#[derive(Default)]
struct Timestamp {
    sec: i64,
    nsec: u32,
    pad: i32,
}

#[repr(C)]
#[derive(Default)]
struct Statx {
    mask: u32,
    blksize: u32,
    attributes: u64,
    nlink: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    pad: u16,
    ino: u64,
    size: u64,
    blocks: u64,
    attributes_mask: u64,
    atime: Timestamp,
    btime: Timestamp,
    ctime: Timestamp,
    mtime: Timestamp,
    rdev_major: u32,
    rdev_minor: u32,
    dev_major: u32,
    dev_minor: u32,
    rest: [u64; 14],
}

/// The file itself, links not followed; with an empty path, what the descriptor is open on.
pub fn stat(at: At, path: &CStr) -> Answer<Stat> {
    const BASIC: usize = 0x7ff;
    let mut buffer = Statx::default();
    // SAFETY: the path is NUL-terminated; the buffer has the size of a struct statx.
    check(unsafe {
        let room = &raw mut buffer as usize;
        syscall(
            nr::STATX,
            [at.raw(), path.as_ptr() as usize, EMPTY_PATH | NO_FOLLOW, BASIC, room, 0],
        )
    })?;
    Ok(Stat {
        mode: u32::from(buffer.mode),
        uid: buffer.uid,
        gid: buffer.gid,
        size: buffer.size,
        major: buffer.rdev_major,
        minor: buffer.rdev_minor,
        mtime: (buffer.mtime.sec, buffer.mtime.nsec),
    })
}

/// Type of the file system that a descriptor is open on, as fstatfs(2) says.
pub fn filesystem(fd: At) -> Answer<u64> {
    let mut buffer = [0u64; 16];
    // SAFETY: struct statfs has 120 bytes on these architectures; its first word is the type.
    check(unsafe { syscall(nr::FSTATFS, [fd.raw(), buffer.as_mut_ptr() as usize, 0, 0, 0, 0]) })?;
    let [kind, ..] = buffer;
    Ok(kind)
}

/// Whether the process may execute the file, by its effective ids.
pub fn may_execute(at: At, path: &CStr) -> Answer {
    const X_OK: usize = 1;
    const EFFECTIVE: usize = 0x200;
    // SAFETY: the path is NUL-terminated.
    check(unsafe {
        syscall(nr::FACCESSAT2, [at.raw(), path.as_ptr() as usize, X_OK, EFFECTIVE, 0, 0])
    })
}

/// Directory entries, in the kernel's encoding.
pub fn entries(directory: At, to: &mut [u8]) -> Answer {
    // SAFETY: the kernel writes at most `to.len()` bytes.
    check(unsafe {
        syscall(nr::GETDENTS64, [directory.raw(), to.as_mut_ptr() as usize, to.len(), 0, 0, 0])
    })
}

/// Sets access and modification time to `time`, links not followed.
pub fn set_time(at: At, path: &CStr, time: (i64, u32)) -> Answer {
    let times: [i64; 4] = [time.0, i64::from(time.1), time.0, i64::from(time.1)];
    // SAFETY: the path is NUL-terminated; two struct timespec.
    check(unsafe {
        let times = times.as_ptr() as usize;
        syscall(nr::UTIMENSAT, [at.raw(), path.as_ptr() as usize, times, NO_FOLLOW, 0, 0])
    })
}

pub fn umask(mask: u32) {
    // SAFETY: takes no memory and cannot fail.
    let _ = unsafe { syscall(nr::UMASK, [mask as usize, 0, 0, 0, 0, 0]) };
}

pub fn change_directory(fd: At) -> Answer {
    // SAFETY: takes no memory.
    check(unsafe { syscall(nr::FCHDIR, [fd.raw(), 0, 0, 0, 0, 0]) })
}

/// The current directory's path; begins with `(` when it lies outside the root.
pub fn current_directory(to: &mut [u8]) -> Answer {
    // SAFETY: the kernel writes at most `to.len()` bytes.
    check(unsafe { syscall(nr::GETCWD, [to.as_mut_ptr() as usize, to.len(), 0, 0, 0, 0]) })
}

pub fn change_root(path: &CStr) -> Answer {
    // SAFETY: the path is NUL-terminated.
    check(unsafe { syscall(nr::CHROOT, [path.as_ptr() as usize, 0, 0, 0, 0, 0]) })
}

/// Duplicates onto a given descriptor, which the program then keeps.
pub fn dup_onto(from: At, to: i32) -> Answer {
    // SAFETY: takes no memory; only 0, 1 and 2 are given, which nobody here owns.
    check(unsafe { syscall(nr::DUP3, [from.raw(), to as usize, 0, 0, 0, 0]) })
}

/// Closes a descriptor on execve.
pub fn close_on_exec(fd: At) {
    const F_SETFD: usize = 2;
    const FD_CLOEXEC: usize = 1;
    // SAFETY: takes no memory; a descriptor that is not open stays so.
    let _ = unsafe { syscall(nr::FCNTL, [fd.raw(), F_SETFD, FD_CLOEXEC, 0, 0, 0]) };
}

/// A pipe: the end to read from and the end to write to.
pub fn pipe() -> Answer<(Fd, Fd)> {
    let mut ends = [0i32; 2];
    // SAFETY: the kernel writes two descriptors.
    check(unsafe {
        syscall(nr::PIPE2, [ends.as_mut_ptr() as usize, O_CLOEXEC as usize, 0, 0, 0, 0])
    })?;
    let [from, to] = ends;
    Ok((Fd(from), Fd(to)))
}

/// A file in memory that holds `parts`, read from its beginning.
pub fn memory_file(parts: &[&[u8]]) -> Answer<Fd> {
    const MFD_CLOEXEC: usize = 1;
    // SAFETY: the name is NUL-terminated.
    let file = owned(check(unsafe {
        syscall(nr::MEMFD_CREATE, [c"state".as_ptr() as usize, MFD_CLOEXEC, 0, 0, 0, 0])
    }))?;
    let mut offset = 0usize;
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            // SAFETY: the kernel reads `rest.len()` bytes; the file's own position stays.
            let done = check(unsafe {
                let (at, len) = (rest.as_ptr() as usize, rest.len());
                syscall(nr::PWRITE64, [file.at().raw(), at, len, offset, 0, 0])
            })?;
            if done == 0 {
                return Err(Errno::IO);
            }
            offset = offset.saturating_add(done);
            rest = rest.get(done..).unwrap_or_default();
        }
    }
    Ok(file)
}
