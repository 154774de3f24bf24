//! Processes.

use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// A descriptor of a process, for waiting and signalling without races.
///
/// # Errors
/// `ESRCH` when there is no such process.
pub fn pidfd_open(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: takes no memory.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Sends a signal through a pidfd.
///
/// # Errors
/// `ESRCH` when the process has ended.
pub fn pidfd_send_signal(pidfd: impl AsFd, signal: i32) -> Result<(), Errno> {
    let (fd, none) = (pidfd.as_fd().as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
    // SAFETY: no signal information is passed.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, none, 0) };
    Errno::result(answer).map(drop)
}

/// A resource limit of this process, soft and hard.
///
/// # Errors
/// `EINVAL` for a resource that the kernel does not know.
pub fn limit(resource: u32) -> Result<(u64, u64), Errno> {
    let mut limit = [0u64; 2];
    let new = std::ptr::null::<libc::c_void>();
    // SAFETY: writes a struct rlimit64.
    let answer =
        unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, new, limit.as_mut_ptr()) };
    Errno::result(answer)?;
    let [soft, hard] = limit;
    Ok((soft, hard))
}

/// Sets a resource limit of a process; returns nothing of the former one.
///
/// # Errors
/// `EPERM` when the hard limit would be raised without the right to.
pub fn set_limit(pid: Pid, resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = [soft, hard];
    let old = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: a struct rlimit64.
    let answer =
        unsafe { libc::syscall(libc::SYS_prlimit64, pid.as_raw(), resource, limit.as_ptr(), old) };
    Errno::result(answer).map(drop)
}

/// Marks every descriptor from `first` on close-on-exec.
///
/// # Errors
/// Whatever close_range(2) answers.
pub fn close_on_exec_from(first: u32) -> Result<(), Errno> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: takes no memory and closes nothing now.
    let answer =
        unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) };
    Errno::result(answer).map(drop)
}

/// Owns a descriptor that the kernel has just handed over in a control message.
pub fn adopt(number: i32) -> OwnedFd {
    // SAFETY: recvmsg(2) has made the descriptor for this process, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// The `CLONE_NEW…` flag of a namespace file; 0 when it is none.
pub fn namespace_kind(file: impl AsFd) -> u32 {
    const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
    // SAFETY: the request takes no memory.
    let kind = unsafe { libc::ioctl(file.as_fd().as_raw_fd(), NS_GET_NSTYPE as _) };
    u32::try_from(kind).unwrap_or(0)
}

/// The permitted capabilities of this process.
pub fn permitted_capabilities() -> u64 {
    const VERSION_3: u32 = 0x2008_0522;
    let mut header = [VERSION_3, 0];
    let mut data = [0u32; 6];
    // SAFETY: header and two data structures of version 3.
    unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) };
    let [_, low, _, _, high, _] = data;
    u64::from(high) << 32 | u64::from(low)
}

/// Whether this process has the descriptor open.
pub fn is_open(number: i32) -> bool {
    // SAFETY: takes no memory.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}

/// Moves the calling thread, and it alone, into a network namespace.
///
/// # Errors
/// `EPERM` without the right to.
pub fn enter_network(namespace: impl AsFd) -> Result<(), Errno> {
    // SAFETY: takes no memory.
    let answer = unsafe { libc::setns(namespace.as_fd().as_raw_fd(), libc::CLONE_NEWNET) };
    Errno::result(answer).map(drop)
}

/// Makes this process adopt the orphans of its descendants.
pub fn set_subreaper() {
    // SAFETY: takes numbers; a kernel that cannot leaves things as they are.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// Lets a program begin with no signal blocked, whatever this process has taken over.
pub fn unblock_signals(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    let unblock = || {
        let none = nix::sys::signal::SigSet::empty();
        nix::sys::signal::sigprocmask(nix::sys::signal::SigmaskHow::SIG_SETMASK, Some(&none), None)
            .map_err(std::io::Error::from)
    };
    // SAFETY: between fork and execve; makes one system call and allocates nothing.
    unsafe { command.pre_exec(unblock) };
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal, real-time ones included.
    Killed(i32),
}

/// Reaps a child that has ended, if there is one.
pub fn reap_any() -> Option<(Pid, Ended)> {
    loop {
        let mut status = 0;
        // SAFETY: writes one status.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        return match pid {
            ..0 if Errno::last() == Errno::EINTR => continue,
            ..=0 => None,
            pid if libc::WIFEXITED(status) => {
                Some((Pid::from_raw(pid), Ended::Exited(libc::WEXITSTATUS(status))))
            }
            pid if libc::WIFSIGNALED(status) => {
                Some((Pid::from_raw(pid), Ended::Killed(libc::WTERMSIG(status))))
            }
            _ => continue,
        };
    }
}
