//! A user namespace that only serves as a mapping.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

const STACK: usize = 16 << 10;

/// `husk` is the pid of the caller.
extern "C" fn wait_for_the_end(husk: *mut libc::c_void) -> libc::c_int {
    // Whoever kills husk ends this process too; if that has happened already, nobody waits.
    // SAFETY: takes numbers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        if libc::getppid() as usize != husk as usize {
            libc::_exit(0);
        }
    }
    loop {
        // SAFETY: takes no memory; the process is killed from outside.
        unsafe { libc::pause() };
    }
}

/// A user namespace with these lines in its map files.
///
/// # Errors
/// What clone(2) answered, or the kernel's refusal of the maps.
pub fn namespace_with_maps(uid: &str, gid: &str) -> Result<OwnedFd, Errno> {
    let mut stack = vec![0u128; STACK / size_of::<u128>()];
    let flags = libc::CLONE_NEWUSER | libc::SIGCHLD;
    // SAFETY: without CLONE_VM the child has a copy of the memory, stack included, and does
    // nothing but wait.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(stack.len());
        let husk = std::process::id() as usize;
        libc::clone(wait_for_the_end, top.cast(), flags, husk as *mut libc::c_void)
    };
    let pid = Pid::from_raw(Errno::result(pid)?);
    let namespace = map(pid, uid, gid);
    let _ = kill(pid, Signal::SIGKILL);
    let _ = waitpid(pid, None);
    namespace
}

fn map(pid: Pid, uid: &str, gid: &str) -> Result<OwnedFd, Errno> {
    let errno = |e: std::io::Error| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO));
    for (file, lines) in [("uid_map", uid), ("gid_map", gid)] {
        let mut file =
            File::options().write(true).open(format!("/proc/{pid}/{file}")).map_err(errno)?;
        file.write_all(lines.as_bytes()).map_err(errno)?;
    }
    File::open(format!("/proc/{pid}/ns/user")).map(OwnedFd::from).map_err(errno)
}
