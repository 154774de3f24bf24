//! The system call instruction and the numbers, by architecture.

#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(target_arch = "aarch64")]
pub use aarch64::*;

macro_rules! numbers {
    ($($name:ident = $x86_64:literal, $aarch64:literal;)+) => {
        /// System call numbers.
        pub mod nr {
            $(
                #[cfg(target_arch = "x86_64")]
                pub const $name: usize = $x86_64;
                #[cfg(target_arch = "aarch64")]
                pub const $name: usize = $aarch64;
            )+
        }
    };
}

numbers! {
    READ = 0, 63;
    WRITE = 1, 64;
    CLOSE = 3, 57;
    MMAP = 9, 222;
    RT_SIGACTION = 13, 134;
    RT_SIGPROCMASK = 14, 135;
    IOCTL = 16, 29;
    GETPID = 39, 172;
    SOCKET = 41, 198;
    SENDMSG = 46, 211;
    RECVMSG = 47, 212;
    CLONE = 56, 220;
    EXECVE = 59, 221;
    WAIT4 = 61, 260;
    KILL = 62, 129;
    FCNTL = 72, 25;
    GETCWD = 79, 17;
    FCHDIR = 81, 50;
    FCHMOD = 91, 52;
    UMASK = 95, 166;
    SETPGID = 109, 154;
    SETSID = 112, 157;
    SETGROUPS = 116, 159;
    SETRESUID = 117, 147;
    SETRESGID = 119, 149;
    CAPSET = 126, 91;
    PERSONALITY = 135, 92;
    FSTATFS = 138, 44;
    PIVOT_ROOT = 155, 41;
    PRCTL = 157, 167;
    CHROOT = 161, 51;
    MOUNT = 165, 40;
    UMOUNT2 = 166, 39;
    SETHOSTNAME = 170, 161;
    SETDOMAINNAME = 171, 162;
    SCHED_SETAFFINITY = 203, 122;
    GETDENTS64 = 217, 61;
    CLOCK_GETTIME = 228, 113;
    EXIT_GROUP = 231, 94;
    SET_MEMPOLICY = 238, 237;
    KEYCTL = 250, 219;
    IOPRIO_SET = 251, 30;
    MKDIRAT = 258, 34;
    MKNODAT = 259, 33;
    FCHOWNAT = 260, 54;
    UNLINKAT = 263, 35;
    SYMLINKAT = 266, 36;
    READLINKAT = 267, 78;
    PPOLL = 271, 73;
    UNSHARE = 272, 97;
    UTIMENSAT = 280, 88;
    DUP3 = 292, 24;
    PIPE2 = 293, 59;
    SETNS = 308, 268;
    SCHED_SETATTR = 314, 274;
    SECCOMP = 317, 277;
    MEMFD_CREATE = 319, 279;
    PWRITE64 = 18, 68;
    PRLIMIT64 = 302, 261;
    STATX = 332, 291;
    PIDFD_OPEN = 434, 434;
    CLONE3 = 435, 435;
    CLOSE_RANGE = 436, 436;
    OPENAT2 = 437, 437;
    OPEN_TREE = 428, 428;
    MOVE_MOUNT = 429, 429;
    FSOPEN = 430, 430;
    FSCONFIG = 431, 431;
    FSMOUNT = 432, 432;
    FACCESSAT2 = 439, 439;
    MOUNT_SETATTR = 442, 442;
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use core::arch::asm;

    /// Makes a system call.
    ///
    /// # Safety
    /// The arguments must be what the call takes: pointers valid for what the kernel reads and
    /// writes.
    pub unsafe fn syscall(number: usize, a: [usize; 6]) -> isize {
        let [a0, a1, a2, a3, a4, a5] = a;
        let returned;
        // SAFETY: the instruction clobbers rcx and r11 only; the rest is the caller's promise.
        unsafe {
            asm!("syscall", inlateout("rax") number => returned, in("rdi") a0, in("rsi") a1,
                in("rdx") a2, in("r10") a3, in("r8") a4, in("r9") a5,
                lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        returned
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use core::arch::asm;

    /// Makes a system call.
    ///
    /// # Safety
    /// The arguments must be what the call takes: pointers valid for what the kernel reads and
    /// writes.
    pub unsafe fn syscall(number: usize, a: [usize; 6]) -> isize {
        let [a0, a1, a2, a3, a4, a5] = a;
        let returned;
        // SAFETY: the instruction clobbers x0 only; the rest is the caller's promise.
        unsafe {
            asm!("svc 0", in("x8") number, inlateout("x0") a0 => returned, in("x1") a1,
                in("x2") a2, in("x3") a3, in("x4") a4, in("x5") a5, options(nostack));
        }
        returned
    }
}
