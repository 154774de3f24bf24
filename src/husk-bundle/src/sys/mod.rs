//! System calls that the `nix` crate lacks. The only module with `unsafe`.
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

type Result<T> = std::result::Result<T, Errno>;

fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Errno::EINVAL)
}

/// A copy of descriptor 0, close-on-exec.
pub fn standard_input() -> Result<OwnedFd> {
    // SAFETY: fcntl with F_DUPFD_CLOEXEC takes plain numbers; the result is checked.
    let fd = Errno::result(unsafe { libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the call above just made this descriptor and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A new file in `directory` that has no name and goes away when it is closed.
pub fn unnamed_file(directory: &Path) -> Result<File> {
    use nix::fcntl::{OFlag, open};
    use nix::sys::stat::Mode;
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    open(directory, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
}

/// `openat2` with everything confined below `root`: absolute links and `..` stay
/// inside, magic links are refused.
pub fn open_in_root(root: BorrowedFd<'_>, path: &[u8], flags: libc::c_int) -> Result<OwnedFd> {
    let path = c_string(path)?;
    // SAFETY: open_how is plain data for which zeros are valid.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from((flags | libc::O_CLOEXEC).cast_unsigned());
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: path and how live through the call, and the size is that of how.
    let fd = Errno::result(unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: openat2 just made this descriptor and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `fchmodat2` that does not follow a link; ENOSYS before Linux 6.6.
pub fn chmod_no_follow(directory: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<()> {
    /// The same number on every architecture that has a table of its own since 5.1.
    const SYS_FCHMODAT2: libc::c_long = 452;
    let name = c_string(name)?;
    // SAFETY: name is a C string that lives through the call.
    let outcome = unsafe {
        libc::syscall(
            SYS_FCHMODAT2,
            directory.as_raw_fd(),
            name.as_ptr(),
            mode,
            libc::AT_SYMLINK_NOFOLLOW,
        )
    };
    Errno::result(outcome).map(drop)
}

/// `renameat2` between two names in one directory. With `exchange` both names must
/// exist and swap; without, the new name must not exist.
pub fn rename(directory: BorrowedFd<'_>, from: &[u8], to: &[u8], exchange: bool) -> Result<()> {
    let (from, to) = (c_string(from)?, c_string(to)?);
    let flags = if exchange { libc::RENAME_EXCHANGE } else { libc::RENAME_NOREPLACE };
    // SAFETY: both names are C strings that live through the call.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            directory.as_raw_fd(),
            from.as_ptr(),
            directory.as_raw_fd(),
            to.as_ptr(),
            flags,
        )
    };
    Errno::result(outcome).map(drop)
}

/// Sets an extended attribute of an open file.
pub fn set_xattr(fd: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> Result<()> {
    let name = c_string(name)?;
    // SAFETY: name and value live through the call, and the length is that of value.
    let outcome = unsafe {
        libc::fsetxattr(fd.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0)
    };
    Errno::result(outcome).map(drop)
}

/// Sets an extended attribute of `name` in `directory`, of the link itself if it is
/// one. The way through procfs replaces setxattrat, which came with Linux 6.13.
pub fn set_xattr_at(
    directory: BorrowedFd<'_>,
    name: &[u8],
    attribute: &[u8],
    value: &[u8],
) -> Result<()> {
    let folder = format!("/proc/self/fd/{}/", directory.as_raw_fd());
    let path = c_string(&[folder.as_bytes(), name].concat())?;
    let attribute = c_string(attribute)?;
    // SAFETY: all three live through the call, and the length is that of value.
    let outcome = unsafe {
        libc::lsetxattr(path.as_ptr(), attribute.as_ptr(), value.as_ptr().cast(), value.len(), 0)
    };
    Errno::result(outcome).map(drop)
}

/// Removes an extended attribute of an open file.
pub fn remove_xattr(fd: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    let name = c_string(name)?;
    // SAFETY: name is a C string that lives through the call.
    Errno::result(unsafe { libc::fremovexattr(fd.as_raw_fd(), name.as_ptr()) }).map(drop)
}

/// The value of an extended attribute; `None` when there is none.
pub fn get_xattr(fd: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Vec<u8>>> {
    let name = c_string(name)?;
    // No value is larger than this (XATTR_SIZE_MAX).
    let mut value = vec![0u8; 65536];
    // SAFETY: name lives through the call and the length is that of value.
    let outcome = unsafe {
        libc::fgetxattr(fd.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), value.len())
    };
    match Errno::result(outcome) {
        Ok(n) => {
            value.truncate(n.cast_unsigned());
            Ok(Some(value))
        }
        Err(Errno::ENODATA | Errno::ENOTSUP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The names of all extended attributes of an open file.
pub fn list_xattrs(fd: BorrowedFd<'_>) -> Result<Vec<Vec<u8>>> {
    // No list is larger than this (XATTR_LIST_MAX).
    let mut names = vec![0u8; 65536];
    // SAFETY: the length is that of names.
    let outcome =
        unsafe { libc::flistxattr(fd.as_raw_fd(), names.as_mut_ptr().cast(), names.len()) };
    match Errno::result(outcome) {
        Ok(n) => {
            names.truncate(n.cast_unsigned());
            Ok(names.split(|b| *b == 0).filter(|n| !n.is_empty()).map(<[u8]>::to_vec).collect())
        }
        Err(Errno::ENOTSUP) => Ok(Vec::new()),
        Err(errno) => Err(errno),
    }
}

static CANCEL: OnceLock<Arc<AtomicBool>> = OnceLock::new();

extern "C" fn on_signal(_: libc::c_int) {
    if let Some(flag) = CANCEL.get() {
        flag.store(true, Ordering::Relaxed);
    }
}

/// Lets SIGINT, SIGTERM and SIGHUP set a flag instead of ending the process. For the
/// program, not for the library: dispositions belong to the whole process.
pub fn cancel_on_signals() -> Result<Arc<AtomicBool>> {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    let flag = CANCEL.get_or_init(Arc::default).clone();
    let action = SigAction::new(SigHandler::Handler(on_signal), SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only reads an initialised OnceLock and stores to an
        // atomic, both of which are safe in a signal handler.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(flag)
}
