//! System calls without a C library. The only unsafe code of the program.
//!
//! Wrappers take descriptors by type and return the kernel's errno; none allocates.

#![allow(unsafe_code)]

mod arch;
mod files;
mod memory;
mod mounts;
mod process;
mod sockets;
#[cfg(husk_init_program)]
mod start;

pub use files::*;
pub use memory::*;
pub use mounts::*;
pub use process::*;
pub use sockets::*;

use arch::{nr, syscall};

/// What the kernel answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub const PERM: Self = Self(1);
    pub const NOENT: Self = Self(2);
    pub const INTR: Self = Self(4);
    pub const IO: Self = Self(5);
    pub const NOEXEC: Self = Self(8);
    pub const BADF: Self = Self(9);
    pub const AGAIN: Self = Self(11);
    pub const NOMEM: Self = Self(12);
    pub const ACCES: Self = Self(13);
    pub const BUSY: Self = Self(16);
    pub const EXIST: Self = Self(17);
    pub const NOTDIR: Self = Self(20);
    pub const ISDIR: Self = Self(21);
    pub const INVAL: Self = Self(22);
    pub const NOSYS: Self = Self(38);
    pub const LOOP: Self = Self(40);
    pub const NAMETOOLONG: Self = Self(36);
    pub const TIMEDOUT: Self = Self(110);
}

/// Result of a system call.
pub type Answer<T = usize> = Result<T, Errno>;

/// Descriptors below this number are left to [`close_range`]: everything is closed at once before
/// the program runs, and one call for each mount would be spent for nothing.
const CLOSED_TOGETHER: i32 = 256;

/// An open descriptor, given up when dropped: at once, or with all others before the program runs.
#[derive(Debug)]
pub struct Fd(i32);

impl Fd {
    /// The descriptor for the length of a call.
    pub fn at(&self) -> At {
        At(self.0)
    }

    /// Gives the descriptor up without closing it.
    pub fn leak(self) -> At {
        let at = At(self.0);
        core::mem::forget(self);
        at
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        if self.0 >= CLOSED_TOGETHER {
            close(At(self.0));
        }
    }
}

/// A descriptor that somebody else owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(pub i32);

impl At {
    /// The current directory, as the `…at` calls take it.
    pub const CWD: Self = Self(-100);
    /// No descriptor.
    pub const NONE: Self = Self(-1);

    fn raw(self) -> usize {
        // The kernel reads the low 32 bits.
        self.0 as usize
    }
}

fn check(returned: isize) -> Answer {
    if (-4095..0).contains(&returned) {
        Err(Errno(-(returned as i32)))
    } else {
        Ok(returned as usize)
    }
}

fn owned(answer: Answer) -> Answer<Fd> {
    answer.map(|fd| Fd(fd as i32))
}

/// Closes a descriptor; an error would leave it closed all the same.
pub fn close(fd: At) {
    // SAFETY: takes no memory; the caller gives the descriptor up.
    let _ = unsafe { syscall(nr::CLOSE, [fd.raw(), 0, 0, 0, 0, 0]) };
}

/// Closes the descriptors from `first` to `last`.
pub fn close_range(first: u32, last: u32) -> Answer {
    // SAFETY: takes no memory; owned descriptors in the range have been given up by the caller.
    check(unsafe { syscall(nr::CLOSE_RANGE, [first as usize, last as usize, 0, 0, 0, 0]) })
}

/// Marks the descriptors from `first` on close-on-exec.
pub fn close_range_on_exec(first: u32) -> Answer {
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    // SAFETY: takes no memory and closes nothing now.
    check(unsafe {
        syscall(nr::CLOSE_RANGE, [first as usize, u32::MAX as usize, CLOSE_RANGE_CLOEXEC, 0, 0, 0])
    })
}

/// Ends the process.
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: takes no memory and does not return.
        let _ = unsafe { syscall(nr::EXIT_GROUP, [status as usize, 0, 0, 0, 0, 0]) };
    }
}
