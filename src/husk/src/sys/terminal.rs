//! Terminals.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::os::fd::{AsFd, AsRawFd};

/// The size of a terminal; `None` for anything else.
pub fn window(terminal: impl AsFd) -> Option<libc::winsize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    let fd = terminal.as_fd().as_raw_fd();
    // SAFETY: the request writes one struct winsize.
    let answer = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ as _, &raw mut size) };
    (answer == 0 && size.ws_row != 0).then_some(size)
}

/// Sets the size of a terminal.
pub fn set_window(terminal: impl AsFd, size: libc::winsize) {
    // SAFETY: the request reads one struct winsize.
    unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) };
}

/// Makes reads and writes answer at once.
///
/// # Errors
/// Whatever fcntl(2) answers.
pub fn set_nonblocking(fd: impl AsFd) -> Result<(), Errno> {
    let flags = OFlag::from_bits_truncate(fcntl(&fd, FcntlArg::F_GETFL)?);
    fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}
