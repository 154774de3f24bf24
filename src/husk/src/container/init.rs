//! Whether a container's first process still lives, and signals to exactly that process.

use crate::error::{Code, Error, Failure};
use crate::sys::process::{pidfd_open, pidfd_send_signal};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Which process it is: its number, and when it started, since numbers are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Process id on the host.
    pub pid: Pid,
    /// Clock ticks from boot to its start (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
}

impl Identity {
    /// The process that has this pid now.
    ///
    /// # Errors
    /// When there is none, or /proc cannot be read.
    pub fn of(pid: Pid) -> Result<Self, Error> {
        match stat(pid).map_err(|e| unreadable(pid, e))? {
            Some(Stat { start_time, .. }) => Ok(Self { pid, start_time }),
            None => Err(unreadable(pid, Errno::ESRCH)),
        }
    }

    /// Whether the process runs: not ended, also not as a zombie.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn is_alive(self) -> Result<bool, Error> {
        match stat(self.pid).map_err(|e| unreadable(self.pid, e))? {
            Some(found) if found.start_time == self.start_time => match found.ended {
                false => Ok(true),
                // The leader of the threads has ended; others may go on.
                true => match pidfd_open(self.pid) {
                    Ok(pidfd) => Ok(!ended(pidfd.as_fd())),
                    Err(_) => Ok(false),
                },
            },
            _ => Ok(false),
        }
    }

    /// Takes hold of the process; `None` when it has ended.
    ///
    /// # Errors
    /// When the process cannot be held or /proc cannot be read.
    pub fn open(self) -> Result<Option<Init>, Error> {
        // The descriptor comes first: what is compared afterwards is then what it holds, or the
        // process has ended and the descriptor reaches nobody.
        let pidfd = match pidfd_open(self.pid) {
            Ok(pidfd) => pidfd,
            Err(Errno::ESRCH | Errno::EINVAL) => return Ok(None),
            Err(e) => {
                let doing = format!("take hold of process {}", self.pid);
                return Err(Failure::new(Code::PROCESS_FAILED, doing)
                    .errno("pidfd_open", e as i32)
                    .into());
            }
        };
        match stat(self.pid).map_err(|e| unreadable(self.pid, e))? {
            Some(found) if found.start_time == self.start_time => {
                let init = Init { pidfd, pid: self.pid };
                Ok(if found.ended && init.has_ended() { None } else { Some(init) })
            }
            _ => Ok(None),
        }
    }
}

/// A container's first process, held by descriptor.
#[derive(Debug)]
pub struct Init {
    pidfd: OwnedFd,
    pid: Pid,
}

impl Init {
    /// Process id on the host.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The descriptor, for polling: it is readable once the process has ended.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Sends a signal; `false` when the process has ended before.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn signal(&self, signal: i32) -> Result<bool, Error> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) => Ok(true),
            Err(Errno::ESRCH) => Ok(false),
            Err(e) => {
                let doing = format!("send signal {signal} to process {}", self.pid);
                Err(Failure::new(Code::PROCESS_FAILED, doing)
                    .errno("pidfd_send_signal", e as i32)
                    .into())
            }
        }
    }

    /// Whether the process has ended.
    pub fn has_ended(&self) -> bool {
        ended(self.pidfd.as_fd())
    }

    /// Waits until the process has ended, or so many milliseconds; whether it has ended.
    pub fn wait(&self, milliseconds: u16) -> bool {
        readable(self.pidfd.as_fd(), PollTimeout::from(milliseconds))
    }
}

fn ended(pidfd: BorrowedFd<'_>) -> bool {
    readable(pidfd, PollTimeout::ZERO)
}

fn readable(fd: BorrowedFd<'_>, timeout: PollTimeout) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    matches!(poll(&mut fds, timeout), Ok(n) if n > 0)
}

fn unreadable(pid: Pid, errno: Errno) -> Error {
    let doing = format!("read /proc/{pid}/stat");
    Failure::new(Code::PROCESS_FAILED, doing).errno("read", errno as i32).into()
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    ended: bool,
    start_time: u64,
}

/// What `/proc/PID/stat` says; `None` when there is no such process.
fn stat(pid: Pid) -> Result<Option<Stat>, Errno> {
    let path = format!("/proc/{pid}/stat");
    // Not open(): the C library would set close-on-exec a second time.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let file = match openat(AT_FDCWD, path.as_str(), flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::ENOENT | Errno::ESRCH) => return Ok(None),
        Err(e) => return Err(e),
    };
    // 52 numbers and a name of 64 bytes at most; the kernel gives the line in one read.
    let mut line = [0u8; 2048];
    match read(&file, &mut line) {
        Ok(len) => parse(line.get(..len).unwrap_or_default()).map(Some).ok_or(Errno::EIO),
        Err(Errno::ESRCH) => Ok(None),
        Err(e) => Err(e),
    }
}

fn parse(line: &[u8]) -> Option<Stat> {
    // The name may hold blanks and brackets: fields are counted from the last bracket.
    let close = line.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(line.get(close..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace().skip(1);
    let ended = matches!(fields.next()?, "Z" | "X" | "x");
    let start_time = fields.nth(18)?.parse().ok()?;
    Some(Stat { ended, start_time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_and_blanks() {
        let line = b"17 (a) S ) (b) Z 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 7 8\n";
        assert_eq!(parse(line), Some(Stat { ended: true, start_time: 123_456 }));
        for bad in [&b""[..], b"17 (x", b"17 (x) S", b"17 (x) S 1 2 3", b"\xff)\xff"] {
            assert_eq!(parse(bad), None);
        }
    }

    #[test]
    fn this_process_lives_and_a_stranger_with_its_number_does_not() {
        let own = Identity::of(Pid::this()).unwrap();
        assert!(own.is_alive().unwrap());
        assert!(own.open().unwrap().is_some_and(|init| !init.has_ended()));
        let other = Identity { start_time: own.start_time + 1, ..own };
        assert!(!other.is_alive().unwrap());
        assert!(other.open().unwrap().is_none());
        let nobody = Identity { pid: Pid::from_raw(i32::MAX), start_time: 1 };
        assert!(!nobody.is_alive().unwrap());
        assert!(nobody.open().unwrap().is_none());
    }

    #[test]
    fn a_zombie_has_ended() {
        let mut child = std::process::Command::new("true").spawn().expect("true(1)");
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let identity = Identity::of(pid).unwrap();
        let held = identity.open().unwrap();
        assert!(held.is_none_or(|init| init.wait(10_000)));
        assert!(!identity.is_alive().unwrap());
        assert!(identity.open().unwrap().is_none());
        child.wait().expect("wait");
        assert!(!identity.is_alive().unwrap());
    }
}
