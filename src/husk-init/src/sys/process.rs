//! The process: namespaces, ids, capabilities, filter, execution.

use super::arch::{nr, syscall};
use super::{Answer, At, Errno, Fd, Pointers, check, owned};
use core::ffi::CStr;

pub const CLONE_NEWUSER: u64 = 0x1000_0000;
pub const CLONE_NEWTIME: u64 = 0x80;
pub const CLONE_NEWCGROUP: u64 = 0x0200_0000;
const CLONE_PARENT: u64 = 0x8000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

pub const PR_SET_DUMPABLE: usize = 4;
pub const PR_SET_KEEPCAPS: usize = 8;
pub const PR_SET_NAME: usize = 15;
pub const PR_CAPBSET_DROP: usize = 24;
pub const PR_SET_NO_NEW_PRIVS: usize = 38;
pub const PR_CAP_AMBIENT: usize = 47;
pub const PR_CAP_AMBIENT_RAISE: usize = 2;
pub const PR_CAP_AMBIENT_CLEAR_ALL: usize = 4;

pub fn set_namespace(namespace: At, kinds: u32) -> Answer {
    // SAFETY: takes no memory.
    check(unsafe { syscall(nr::SETNS, [namespace.raw(), kinds as usize, 0, 0, 0, 0]) })
}

pub fn unshare(flags: u64) -> Answer {
    // SAFETY: takes no memory; namespace flags only.
    check(unsafe { syscall(nr::UNSHARE, [flags as usize, 0, 0, 0, 0, 0]) })
}

/// Clones the process as a child of its own parent. Returns 0 in the child.
pub fn clone_sibling(flags: u64, cgroup: Option<At>) -> Answer {
    #[repr(C)]
    #[derive(Default)]
    struct CloneArgs {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    let mut args = CloneArgs { flags: flags | CLONE_PARENT, ..CloneArgs::default() };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.0 as u64;
    }
    // SAFETY: without CLONE_VM the child has a copy of the memory, as after fork.
    check(unsafe {
        syscall(nr::CLONE3, [&raw const args as usize, size_of::<CloneArgs>(), 0, 0, 0, 0])
    })
}

/// fork(2). Returns 0 in the child.
pub fn fork() -> Answer {
    const SIGCHLD: usize = 17;
    // The old call: profiles of engines refuse clone3, whose arguments they cannot look at.
    // SAFETY: without CLONE_VM the child has a copy of the memory.
    check(unsafe { syscall(nr::CLONE, [SIGCHLD, 0, 0, 0, 0, 0]) })
}

/// Waits for a child; its status as wait4(2) gives it, or `None` when it still runs.
pub fn wait(pid: i32, block: bool) -> Answer<Option<i32>> {
    const WNOHANG: usize = 1;
    let mut status = 0i32;
    loop {
        let options = if block { 0 } else { WNOHANG };
        // SAFETY: the kernel writes one status.
        match check(unsafe {
            syscall(nr::WAIT4, [pid as usize, &raw mut status as usize, options, 0, 0, 0])
        }) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(status)),
        }
    }
}

pub fn kill(pid: i32, signal: i32) -> Answer {
    // SAFETY: takes no memory.
    check(unsafe { syscall(nr::KILL, [pid as usize, signal as usize, 0, 0, 0, 0]) })
}

pub fn get_pid() -> u32 {
    // SAFETY: takes no memory and cannot fail.
    unsafe { syscall(nr::GETPID, [0; 6]) as u32 }
}

pub fn pidfd_open(pid: i32) -> Answer<Fd> {
    // SAFETY: takes no memory.
    owned(check(unsafe { syscall(nr::PIDFD_OPEN, [pid as usize, 0, 0, 0, 0, 0]) }))
}

pub fn set_session() -> Answer {
    // SAFETY: takes no memory.
    check(unsafe { syscall(nr::SETSID, [0; 6]) })
}

pub fn set_group_of_processes() -> Answer {
    // SAFETY: takes no memory.
    check(unsafe { syscall(nr::SETPGID, [0; 6]) })
}

pub fn set_user(uid: u32) -> Answer {
    let uid = uid as usize;
    // SAFETY: takes no memory.
    check(unsafe { syscall(nr::SETRESUID, [uid, uid, uid, 0, 0, 0]) })
}

pub fn set_group(gid: u32) -> Answer {
    let gid = gid as usize;
    // SAFETY: takes no memory.
    check(unsafe { syscall(nr::SETRESGID, [gid, gid, gid, 0, 0, 0]) })
}

/// Sets the supplementary groups, given as 32-bit numbers side by side.
pub fn set_groups(groups: &[u8]) -> Answer {
    // SAFETY: the kernel reads `groups.len() / 4` ids, aligned or not.
    check(unsafe {
        syscall(nr::SETGROUPS, [groups.len() / 4, groups.as_ptr() as usize, 0, 0, 0, 0])
    })
}

pub fn prctl(option: usize, value: usize, more: usize) -> Answer {
    // SAFETY: the options above take numbers, but for PR_SET_NAME, see `set_name`.
    check(unsafe { syscall(nr::PRCTL, [option, value, more, 0, 0, 0]) })
}

/// Name of the process in `ps`.
pub fn set_name(name: &CStr) {
    let _ = prctl(PR_SET_NAME, name.as_ptr() as usize, 0);
}

/// Sets effective, permitted and inheritable capabilities.
pub fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Answer {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let low = |mask: u64| mask as u32;
    let high = |mask: u64| (mask >> 32) as u32;
    let data: [u32; 6] = [
        low(effective),
        low(permitted),
        low(inheritable),
        high(effective),
        high(permitted),
        high(inheritable),
    ];
    // SAFETY: header and two data structures of version 3.
    check(unsafe {
        syscall(nr::CAPSET, [header.as_ptr() as usize, data.as_ptr() as usize, 0, 0, 0, 0])
    })
}

/// Resets a signal to its default action.
pub fn default_action(signal: usize) {
    let action = [0usize; 4];
    // SAFETY: a struct kernel_sigaction of zeroes: SIG_DFL, no flags, empty mask.
    let _ = unsafe { syscall(nr::RT_SIGACTION, [signal, action.as_ptr() as usize, 0, 8, 0, 0]) };
}

/// Lets every signal through.
pub fn unblock_signals() {
    const SIG_SETMASK: usize = 2;
    let none = 0u64;
    // SAFETY: a signal set of 8 bytes.
    let _ =
        unsafe { syscall(nr::RT_SIGPROCMASK, [SIG_SETMASK, &raw const none as usize, 0, 8, 0, 0]) };
}

pub fn set_affinity(mask: &[u8]) -> Answer {
    // SAFETY: the kernel reads `mask.len()` bytes.
    check(unsafe {
        syscall(nr::SCHED_SETAFFINITY, [0, mask.len(), mask.as_ptr() as usize, 0, 0, 0])
    })
}

/// sched_setattr(2); the structure carries its own size.
pub fn set_scheduler(attr: &[u8; 56]) -> Answer {
    // SAFETY: a struct sched_attr of 56 bytes, as its first field must say; the host side wrote it.
    check(unsafe { syscall(nr::SCHED_SETATTR, [0, attr.as_ptr() as usize, 0, 0, 0, 0]) })
}

pub fn set_io_priority(value: u32) -> Answer {
    const WHO_PROCESS: usize = 1;
    // SAFETY: takes no memory.
    check(unsafe { syscall(nr::IOPRIO_SET, [WHO_PROCESS, 0, value as usize, 0, 0, 0]) })
}

pub fn set_personality(domain: u64) -> Answer {
    // SAFETY: takes no memory.
    check(unsafe { syscall(nr::PERSONALITY, [domain as usize, 0, 0, 0, 0, 0]) })
}

/// set_mempolicy(2); `nodes` in 64-bit words.
pub fn set_memory_policy(mode: i32, nodes: &[u8]) -> Answer {
    let bits = nodes.len().saturating_mul(8);
    let (at, bits) =
        // The kernel looks at one bit less than it is told of.
        if bits == 0 { (0, 0) } else { (nodes.as_ptr() as usize, bits.saturating_add(1)) };
    // SAFETY: the kernel reads `nodes.len()` bytes.
    check(unsafe { syscall(nr::SET_MEMPOLICY, [mode as usize, at, bits, 0, 0, 0]) })
}

/// Joins the session keyring of that name, made if there is none.
pub fn join_session_keyring(name: &CStr) -> Answer {
    const JOIN: usize = 1;
    // SAFETY: the name is NUL-terminated.
    check(unsafe { syscall(nr::KEYCTL, [JOIN, name.as_ptr() as usize, 0, 0, 0, 0]) })
}

/// Gives the possessor of a keyring the right to search it.
pub fn keyring_permissions(keyring: usize, permissions: u32) -> Answer {
    const SETPERM: usize = 5;
    // SAFETY: takes no memory.
    check(unsafe { syscall(nr::KEYCTL, [SETPERM, keyring, permissions as usize, 0, 0, 0]) })
}

pub fn set_host_name(name: &[u8]) -> Answer {
    // SAFETY: the kernel reads `name.len()` bytes.
    check(unsafe { syscall(nr::SETHOSTNAME, [name.as_ptr() as usize, name.len(), 0, 0, 0, 0]) })
}

pub fn set_domain_name(name: &[u8]) -> Answer {
    // SAFETY: the kernel reads `name.len()` bytes.
    check(unsafe { syscall(nr::SETDOMAINNAME, [name.as_ptr() as usize, name.len(), 0, 0, 0, 0]) })
}

/// Loads a filter; `program` holds instructions of eight bytes.
pub fn load_filter(flags: u32, program: &[u8]) -> Answer {
    const SET_MODE_FILTER: usize = 1;
    #[repr(C)]
    struct Program {
        len: u16,
        at: *const u8,
    }
    let len = u16::try_from(program.len() / 8).map_err(|_| Errno::INVAL)?;
    let program = Program { len, at: program.as_ptr() };
    // SAFETY: a struct sock_fprog with `len` instructions; the kernel takes them unaligned.
    check(unsafe {
        let at = &raw const program as usize;
        syscall(nr::SECCOMP, [SET_MODE_FILTER, flags as usize, at, 0, 0, 0])
    })
}

/// Sets a resource limit of this process.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> Answer {
    let limit = [soft, hard];
    // SAFETY: a struct rlimit64; the old one is not asked for.
    check(unsafe {
        syscall(nr::PRLIMIT64, [0, resource as usize, limit.as_ptr() as usize, 0, 0, 0])
    })
}

/// Executes a program; returns only when that failed.
pub fn execute(path: &CStr, args: &Pointers<'_>, env: &Pointers<'_>) -> Errno {
    // SAFETY: the path and every string of the null-ended tables are NUL-terminated.
    let answer = check(unsafe {
        syscall(nr::EXECVE, [path.as_ptr() as usize, args.as_raw(), env.as_raw(), 0, 0, 0])
    });
    answer.err().unwrap_or(Errno::NOEXEC)
}

/// Milliseconds of a clock that never goes back.
pub fn milliseconds() -> u64 {
    const MONOTONIC: usize = 1;
    let mut time = [0u64; 2];
    // SAFETY: the kernel writes one struct timespec.
    let _ =
        unsafe { syscall(nr::CLOCK_GETTIME, [MONOTONIC, time.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    let [seconds, nanoseconds] = time;
    seconds.wrapping_mul(1000).wrapping_add(nanoseconds / 1_000_000)
}
