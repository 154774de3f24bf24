//! Starting the container-side program from a sealed file in memory.

use nix::errno::Errno;
use nix::unistd::Pid;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A file in memory, close-on-exec.
///
/// # Errors
/// Whatever memfd_create(2) answers.
pub fn memory_file(name: &CStr, executable: bool) -> Result<OwnedFd, Errno> {
    const MFD_EXEC: libc::c_uint = 0x10;
    let base = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let wanted = if executable { base | MFD_EXEC } else { base };
    // SAFETY: the name is NUL-terminated.
    let create = |flags| Errno::result(unsafe { libc::memfd_create(name.as_ptr(), flags) });
    let fd = match create(wanted) {
        // Kernels before 6.3 do not know the flag, and let every such file be executed.
        Err(Errno::EINVAL) if executable => create(base)?,
        answer => answer?,
    };
    // SAFETY: a new descriptor that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Forbids every further change of a file in memory.
///
/// # Errors
/// Whatever fcntl(2) answers.
pub fn seal(file: impl AsFd) -> Result<(), Errno> {
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: takes numbers.
    let answer = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_ADD_SEALS, seals) };
    Errno::result(answer).map(drop)
}

struct Start<'a> {
    program: RawFd,
    keep: RawFd,
    args: [*const libc::c_char; 3],
    errno: &'a mut i32,
}

const STACK: usize = 16 << 10;

/// Runs `program` with one argument and an empty environment, as a child that keeps the
/// descriptor `keep` besides those that are not close-on-exec.
///
/// The child shares the memory until it has executed, and the caller sleeps so long: nothing is
/// copied for it.
///
/// # Errors
/// What clone(2) or execveat(2) answered.
pub fn run(program: impl AsFd, argument: &CStr, keep: impl AsFd) -> Result<Pid, Errno> {
    let mut stack = vec![0u128; STACK / size_of::<u128>()];
    let mut errno = 0;
    let mut start = Start {
        program: program.as_fd().as_raw_fd(),
        keep: keep.as_fd().as_raw_fd(),
        args: [c"husk-init".as_ptr(), argument.as_ptr(), std::ptr::null()],
        errno: &mut errno,
    };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child runs `execute` on a stack of its own that outlives it, because the caller
    // sleeps until it has executed or exited; it uses what `start` borrows and nothing else.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(stack.len());
        libc::clone(execute, top.cast(), flags, (&raw mut start).cast())
    };
    let pid = Pid::from_raw(Errno::result(pid)?);
    if errno != 0 {
        let _ = nix::sys::wait::waitpid(pid, None);
        return Err(Errno::from_raw(errno));
    }
    Ok(pid)
}

/// As [`run`], born into the cgroup v2 of that directory. The child has a copy of the memory:
/// clone3(2), which alone can do this, has no wrapper that gives it a stack.
///
/// # Errors
/// What clone3(2) answered. When the program cannot be executed, the child ends with status 127.
pub fn run_in_cgroup(
    program: impl AsFd,
    argument: &CStr,
    keep: impl AsFd,
    cgroup: impl AsFd,
) -> Result<Pid, Errno> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    const CGROUP: usize = 10;
    const EXIT_SIGNAL: usize = 4;
    let directory = u64::try_from(cgroup.as_fd().as_raw_fd()).map_err(|_| Errno::EBADF)?;
    let mut args = [0u64; 11];
    for (n, arg) in args.iter_mut().enumerate() {
        *arg = match n {
            0 => CLONE_INTO_CGROUP,
            EXIT_SIGNAL => libc::SIGCHLD as u64,
            CGROUP => directory,
            _ => 0,
        };
    }
    let mut errno = 0;
    let mut start = Start {
        program: program.as_fd().as_raw_fd(),
        keep: keep.as_fd().as_raw_fd(),
        args: [c"husk-init".as_ptr(), argument.as_ptr(), std::ptr::null()],
        errno: &mut errno,
    };
    // SAFETY: a struct clone_args of the size given; without CLONE_VM the child has a copy of the
    // memory, and calls nothing that could need another thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, args.as_ptr(), size_of_val(&args)) };
    if pid == 0 {
        execute((&raw mut start).cast());
    }
    Ok(Pid::from_raw(Errno::result(pid)? as i32))
}

extern "C" fn execute(start: *mut libc::c_void) -> libc::c_int {
    let empty = [std::ptr::null::<libc::c_char>()];
    // SAFETY: `run` passes a Start that outlives this process's stay in its memory. The table of
    // descriptors is this process's own, so that the flag is changed for it alone.
    unsafe {
        let start = &mut *start.cast::<Start<'_>>();
        libc::fcntl(start.keep, libc::F_SETFD, 0);
        libc::syscall(
            libc::SYS_execveat,
            start.program,
            c"".as_ptr(),
            start.args.as_ptr(),
            empty.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
        *start.errno = *libc::__errno_location();
        libc::_exit(127)
    }
}
