//! Entry from the C library: the only unsafe code of the program beside the library's.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};

/// Exit status where not even the standard descriptors can be had.
const FAILED: c_int = 1;

#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    if !standard_descriptors_are_open() {
        return FAILED;
    }
    // A closed pipe is an error that is reported. Programs in a container and hooks get the
    // default action back.
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let words = (0..usize::try_from(count).unwrap_or(0)).map(|n| {
        // SAFETY: the C library passes `count` pointers to NUL-terminated strings that live as
        // long as the process and that nothing changes.
        unsafe { CStr::from_ptr(*words.add(n)) }
    });
    c_int::from(super::run(words))
}

/// Puts /dev/null in the place of a closed descriptor 0, 1 or 2, so that nothing opened later
/// can take its number and be written to by mistake.
fn standard_descriptors_are_open() -> bool {
    let mut fds = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: three elements, for this call only.
    let polled = unsafe { libc::poll(fds.as_mut_ptr(), 3, 0) } >= 0;
    // In ascending order: open(2) takes the lowest number that is free.
    fds.iter().all(|found| {
        let open = if polled {
            found.revents & libc::POLLNVAL == 0
        } else {
            // SAFETY: takes no memory.
            unsafe { libc::fcntl(found.fd, libc::F_GETFD) >= 0 }
        };
        // SAFETY: the path is NUL-terminated.
        open || unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) } == found.fd
    })
}
