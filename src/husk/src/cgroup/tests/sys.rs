//! What the tests ask of the kernel directly.

#![allow(unsafe_code)]

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Lets a program begin in these cgroups of version 1.
pub fn enter(command: &mut Command, tasks: Vec<std::os::fd::OwnedFd>) {
    let enter = move || {
        for file in &tasks {
            nix::unistd::write(file, b"0")?;
        }
        Ok(())
    };
    // SAFETY: the closure only calls write(2) on descriptors that it owns.
    unsafe { command.pre_exec(enter) };
}

/// Makes a child that is born into `directory` (`CLONE_INTO_CGROUP`) and ends at once; its pid is
/// kept a zombie until the answer, its cgroup, has been read.
pub fn born_into(directory: &std::os::fd::OwnedFd) -> String {
    use std::os::fd::AsRawFd;
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
    // set_tid_size, cgroup
    let mut args = [0_u64; 11];
    args[0] = INTO_CGROUP;
    args[4] = libc::SIGCHLD as u64;
    args[10] = directory.as_raw_fd() as u64;
    let mut gate = [0; 2];
    // SAFETY: `gate` has room for two descriptors.
    assert_eq!(unsafe { libc::pipe2(gate.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: a fork by another name: without CLONE_VM the child has memory of its own, and it
    // only calls read(2) and _exit(2).
    let pid = unsafe {
        let pid = libc::syscall(libc::SYS_clone3, args.as_mut_ptr(), size_of_val(&args));
        if pid == 0 {
            libc::close(gate[1]);
            libc::read(gate[0], args.as_mut_ptr().cast(), 1);
            libc::_exit(0);
        }
        pid
    };
    assert!(pid > 0, "{}", std::io::Error::last_os_error());
    let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    // SAFETY: closes the pipe of this function, and waits for the child of this function.
    unsafe {
        libc::close(gate[1]);
        libc::close(gate[0]);
        libc::waitpid(pid as i32, std::ptr::null_mut(), 0);
    }
    cgroup
}
