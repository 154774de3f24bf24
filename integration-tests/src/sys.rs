//! The calls that need `unsafe`: what happens between fork and exec of a
//! runtime under test, and raw system calls for the probe.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// How a started program differs from a plain child.
#[derive(Default)]
pub struct Setup {
    /// Descriptors given to the program, each with the number it gets there.
    pub fds: Vec<(RawFd, RawFd)>,
    /// Numbers that are closed in the program.
    pub closed: Vec<RawFd>,
    /// A terminal that becomes the controlling one of a new session.
    pub tty: Option<RawFd>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// Signals that are blocked and ignored when the program starts.
    pub blocked: Vec<i32>,
    /// Supplementary groups.
    pub groups: Option<Vec<u32>>,
}

/// Applies `setup` to what `command` will start.
pub fn prepare(command: &mut Command, setup: Setup) {
    // SAFETY: only async-signal-safe calls are made on data that was built
    // before the fork; nothing is allocated or locked.
    unsafe {
        command.pre_exec(move || {
            if let Some(mask) = setup.umask {
                libc::umask(mask);
            }
            if let Some(groups) = &setup.groups {
                check(libc::setgroups(groups.len(), groups.as_ptr().cast()))?;
            }
            for &signal in &setup.blocked {
                let mut set: libc::sigset_t = std::mem::zeroed();
                libc::sigemptyset(&mut set);
                libc::sigaddset(&mut set, signal);
                check(libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()))?;
                libc::signal(signal, libc::SIG_IGN);
            }
            if let Some(tty) = setup.tty {
                check(libc::setsid())?;
                check(libc::ioctl(tty, libc::TIOCSCTTY, 0))?;
            }
            // Moved out of the way first: a source may sit on a wanted number.
            let mut high = [0; 64];
            for (slot, &(from, _)) in high.iter_mut().zip(&setup.fds) {
                *slot = check(libc::fcntl(from, libc::F_DUPFD_CLOEXEC, 200))?;
            }
            for (slot, &(_, to)) in high.iter().zip(&setup.fds) {
                check(libc::dup2(*slot, to))?;
            }
            for &fd in &setup.closed {
                libc::close(fd);
            }
            Ok(())
        });
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A raw system call with up to six arguments.
pub fn syscall(number: i64, args: &[u64]) -> Result<i64, i32> {
    let a = |i: usize| args.get(i).copied().unwrap_or(0);
    // SAFETY: the probe and the tests pass numbers and pointers to live
    // buffers; a wrong number only fails.
    let result = unsafe { libc::syscall(number, a(0), a(1), a(2), a(3), a(4), a(5)) };
    if result == -1 {
        Err(io::Error::last_os_error().raw_os_error().unwrap_or(0))
    } else {
        Ok(result)
    }
}

/// Opens a descriptor on a process, or says that there is none.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    match syscall(libc::SYS_pidfd_open, &[pid as u64, 0]) {
        // SAFETY: the kernel just returned this new descriptor.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }),
        Err(e) => Err(io::Error::from_raw_os_error(e)),
    }
}

/// Sets the size of a terminal: columns, rows.
pub fn set_winsize(tty: &impl AsRawFd, columns: u16, rows: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open and `size` outlives the call.
    let result = unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSWINSZ, &size) };
    assert_eq!(result, 0, "TIOCSWINSZ: {}", io::Error::last_os_error());
}

/// Size of a terminal: columns, rows.
pub fn winsize(fd: RawFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` is a valid place for the answer.
    let result = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &mut size) };
    (result == 0).then_some((size.ws_col, size.ws_row))
}

/// Forks; the child never returns from here: it sleeps until it is killed.
/// Returns the child's number or the error.
pub fn fork_sleeper() -> Result<i32, i32> {
    // SAFETY: the child only makes system calls.
    match unsafe { libc::fork() } {
        // It keeps no stream open that somebody may read to its end.
        0 => loop {
            for fd in 0..3 {
                // SAFETY: nothing in the child uses them.
                unsafe { libc::close(fd) };
            }
            // SAFETY: no memory is touched.
            unsafe { libc::pause() };
        },
        -1 => Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        pid => Ok(pid),
    }
}

/// Forks; true in the child.
pub fn fork_both() -> Option<bool> {
    // SAFETY: the probe has one thread, so the child may go on as it likes.
    match unsafe { libc::fork() } {
        0 => Some(true),
        -1 => None,
        _ => Some(false),
    }
}

/// A child that waits for any signal that ends it. The harness uses it to hold
/// new namespaces alive; `flags` are those of `unshare`.
pub fn namespace_holder(flags: i32) -> io::Result<(i32, File)> {
    let mut pipe = [0; 2];
    // SAFETY: `pipe` has room for two descriptors.
    check(unsafe { libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: the child only makes system calls, and none that needs a lock.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: as above; `_exit` runs no handlers.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::unshare(flags) != 0 {
                libc::_exit(1);
            }
            libc::write(pipe[1], c"1".as_ptr().cast(), 1);
            loop {
                libc::pause();
            }
        }
    }
    // SAFETY: both descriptors are ours and used nowhere else.
    let (read, write) = unsafe { (File::from_raw_fd(pipe[0]), OwnedFd::from_raw_fd(pipe[1])) };
    drop(write);
    check(pid)?;
    Ok((pid, read))
}

/// Address range of fresh memory that has been written to, in bytes; leaks it.
pub fn touch(bytes: usize) {
    let mut memory = Vec::<u8>::with_capacity(bytes);
    for offset in (0..bytes).step_by(4096) {
        // SAFETY: the offset is inside the capacity just reserved.
        unsafe { memory.as_mut_ptr().add(offset).write_volatile(1) };
    }
    std::mem::forget(memory);
}

/// Replaces this process; returns only the error number.
pub fn exec(path: &std::ffi::CStr, args: &[&std::ffi::CStr]) -> i32 {
    let mut pointers: Vec<*const libc::c_char> = args.iter().map(|a| a.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: both arrays end with a null pointer and live across the call.
    unsafe { libc::execv(path.as_ptr(), pointers.as_ptr()) };
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Takes over a descriptor number that the kernel has just handed out.
pub fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the callers pass numbers from SCM_RIGHTS or a fresh call, which
    // nothing else refers to.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Exchanges two names in one step; a failure is left to the next try.
pub fn exchange(one: &std::path::Path, other: &std::path::Path) {
    use std::os::unix::ffi::OsStrExt;
    let name = |p: &std::path::Path| std::ffi::CString::new(p.as_os_str().as_bytes());
    let (Ok(one), Ok(other)) = (name(one), name(other)) else { return };
    let here = libc::AT_FDCWD as i64 as u64;
    let flag = u64::from(libc::RENAME_EXCHANGE);
    let _ = syscall(
        libc::SYS_renameat2,
        &[here, one.as_ptr() as u64, here, other.as_ptr() as u64, flag],
    );
}

/// Takes one notification of a seccomp listener: its number and the system
/// call's.
pub fn notification(listener: &OwnedFd) -> io::Result<(u64, i32)> {
    // struct seccomp_notif: id, pid, flags, then seccomp_data with the number first.
    let mut notice = [0_u64; 10];
    // SAFETY: SECCOMP_IOCTL_NOTIF_RECV writes the 80 bytes of the structure.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), 0xc050_2100_u32 as _, notice.as_mut_ptr()) })?;
    Ok((notice[0], notice[2] as i32))
}

/// Answers a notification with an error number.
pub fn answer(listener: &OwnedFd, id: u64, errno: i32) -> io::Result<()> {
    // struct seccomp_notif_resp: id, val, error (negative), flags.
    let mut response = [id, 0, u64::from((-errno) as u32)];
    // SAFETY: SECCOMP_IOCTL_NOTIF_SEND reads the 24 bytes of the structure.
    check(unsafe {
        libc::ioctl(listener.as_raw_fd(), 0xc018_2101_u32 as _, response.as_mut_ptr())
    })?;
    Ok(())
}
