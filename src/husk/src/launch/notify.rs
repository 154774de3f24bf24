//! `NOTIFY_SOCKET` (sd_notify(3)): the program's word that it is ready goes to whoever started
//! husk, such as systemd.
//!
//! The program cannot have that socket itself, which would let it say anything at any time. It gets
//! one of its own, in a directory of the container's state that is bound read-only; `start` listens
//! there until the program is ready, and passes on that line and no other.

use crate::container::dir::StateDir;
use crate::error::{Code, Error, Failure};
use crate::log::Log;
use crate::sys::mount::{self, Change, attr};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, bind, connect, recv,
    sendmsg, setsockopt, socket, sockopt::SendTimeout,
};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, mkdirat};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::{Pid, UnlinkatFlags, pipe2, unlinkat};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Where the directory is in the container.
pub const INSIDE: &str = "/run/notify";
/// What the program's environment says.
pub const ENV: &str = "NOTIFY_SOCKET=/run/notify/notify.sock";

const DIRECTORY: &str = "notify";
const SOCKET: &str = "notify.sock";
const ALL: Mode = Mode::from_bits_truncate(0o777);

/// How long a program may take until it is ready. Whoever waits for it has a limit of its own, and
/// a shorter one.
const READY: Duration = Duration::from_secs(3600);
/// How long the host's socket may take what is sent, in seconds.
const SENT: i64 = 10;
/// How long the receiver may take until it has dealt with everything.
const BARRIER: Duration = Duration::from_secs(30);
/// Most of one message of the program that is looked at.
const MOST_BYTES: usize = 4096;

/// The caller's socket, where there is one: a path, or a name with `@` in front.
pub fn wanted() -> Option<String> {
    std::env::var("NOTIFY_SOCKET").ok().filter(|name| !name.is_empty())
}

fn failed(doing: &str, call: &'static str, errno: Errno) -> Error {
    Failure::new(Code::LAUNCH, doing).errno(call, errno as i32).into()
}

/// Makes the directory of the program's socket, as a tree that is attached in the container.
///
/// # Errors
/// What the system answered.
pub fn prepare(dir: &StateDir) -> Result<OwnedFd, Error> {
    const DOING: &str = "make the directory of the notify socket";
    let mode = Mode::from_bits_truncate(0o755);
    mkdirat(dir.fd(), DIRECTORY, mode).map_err(|e| failed(DOING, "mkdirat", e))?;
    // Whatever the caller's umask made of it.
    fchmodat(dir.fd(), DIRECTORY, mode, FchmodatFlags::FollowSymlink)
        .map_err(|e| failed(DOING, "fchmodat", e))?;
    let made = open(dir).map_err(|e| failed(DOING, "open", e))?;
    let tree = mount::clone_tree_of(&made, false).map_err(|e| failed(DOING, "open_tree", e))?;
    let change = Change {
        set: attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC,
        clear: 0,
        propagation: libc::MS_PRIVATE,
    };
    mount::set_attributes(&tree, change, false).map_err(|e| failed(DOING, "mount_setattr", e))?;
    Ok(tree)
}

fn open(dir: &StateDir) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(dir.fd(), DIRECTORY, flags, Mode::empty())
}

/// What the wait for the program ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is ready, and the caller's socket has been told.
    Ready,
    /// It has ended.
    Ended,
    /// Neither, in the time given.
    Nothing,
}

/// The socket that the program speaks to, and the one that is told.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    host: String,
}

impl Listener {
    /// Listens for the program, when the caller has a socket and the container was made with one.
    /// Done before the program runs, so that nothing that it says is missed.
    ///
    /// # Errors
    /// What the system answered.
    pub fn new(dir: &StateDir) -> Result<Option<Self>, Error> {
        const DOING: &str = "listen for the program's READY=1";
        let Some(host) = wanted() else { return Ok(None) };
        let within = match open(dir) {
            Ok(within) => within,
            Err(Errno::ENOENT) => return Ok(None),
            Err(e) => return Err(failed(DOING, "open", e)),
        };
        match unlinkat(&within, SOCKET, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(e) => return Err(failed(DOING, "unlinkat", e)),
        }
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)
            .map_err(|e| failed(DOING, "socket", e))?;
        // By its descriptor: the path of a runtime root may be longer than an address can be.
        let path = format!("/proc/self/fd/{}/{SOCKET}", within.as_raw_fd());
        let address = UnixAddr::new(path.as_str()).map_err(|e| failed(DOING, "bind", e))?;
        bind(socket.as_raw_fd(), &address).map_err(|e| failed(DOING, "bind", e))?;
        fchmodat(&within, SOCKET, ALL, FchmodatFlags::FollowSymlink)
            .map_err(|e| failed(DOING, "fchmodat", e))?;
        Ok(Some(Self { socket, host }))
    }

    /// Waits until the program is ready or has ended, and passes the word on; `main` is the process
    /// that the receiver is told to watch. The container runs already, so nothing that goes wrong
    /// here is more than worth a warning.
    pub fn relay(self, program: BorrowedFd<'_>, main: Pid, log: &mut Log) {
        match self.wait(program, main, READY) {
            Ok(Heard::Ready | Heard::Ended) => {}
            Ok(Heard::Nothing) => log.warning(format!(
                "the program has not sent READY=1 within {} seconds",
                READY.as_secs()
            )),
            Err(error) => log.warning(error.to_string()),
        }
    }

    /// As [`Self::relay`], with what became of it.
    ///
    /// # Errors
    /// What the system answered.
    pub fn wait(
        &self,
        program: BorrowedFd<'_>,
        main: Pid,
        patience: Duration,
    ) -> Result<Heard, Error> {
        const DOING: &str = "wait for the program's READY=1";
        let deadline = Instant::now().checked_add(patience);
        loop {
            // What was sent last is heard even if the program has ended since.
            match self.ready().map_err(|e| failed(DOING, "recv", e))? {
                Some(line) => return self.tell(&line, main).map(|()| Heard::Ready),
                None if has_ended(program) => return Ok(Heard::Ended),
                None => {}
            }
            let left =
                deadline.map_or(Duration::MAX, |d| d.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(Heard::Nothing);
            }
            let mut fds = [
                PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
                PollFd::new(program, PollFlags::POLLIN),
            ];
            match poll(&mut fds, at_least_one(left)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(e) => return Err(failed(DOING, "poll", e)),
            }
        }
    }

    /// The line by which the program says that it is ready, among everything sent so far.
    fn ready(&self) -> Result<Option<Vec<u8>>, Errno> {
        let mut message = [0u8; MOST_BYTES];
        loop {
            match recv(self.socket.as_raw_fd(), &mut message, MsgFlags::empty()) {
                Ok(len) => {
                    let said = message.get(..len).unwrap_or_default();
                    if let Some(line) = ready_line(said) {
                        return Ok(Some(line.to_vec()));
                    }
                }
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Tells the caller's socket, and waits until its owner has dealt with it: a husk that is gone
    /// by then could not be told apart from a stranger.
    fn tell(&self, line: &[u8], main: Pid) -> Result<(), Error> {
        let doing = format!("tell {} that the program is ready", self.host);
        let failed = |call, errno| failed(&doing, call, errno);
        let flags = SockFlag::SOCK_CLOEXEC;
        let host = socket(AddressFamily::Unix, SockType::Datagram, flags, None)
            .map_err(|e| failed("socket", e))?;
        setsockopt(&host, SendTimeout, &TimeVal::seconds(SENT))
            .map_err(|e| failed("setsockopt", e))?;
        let address = match self.host.strip_prefix('@') {
            Some(name) => UnixAddr::new_abstract(name.as_bytes()),
            None => UnixAddr::new(self.host.as_str()),
        };
        let address = address.map_err(|e| failed("connect", e))?;
        connect(host.as_raw_fd(), &address).map_err(|e| failed("connect", e))?;
        let send = |text: &[u8], fds: &[i32]| {
            let rights = [ControlMessage::ScmRights(fds)];
            let rights = if fds.is_empty() { &[][..] } else { &rights };
            let flags = MsgFlags::MSG_NOSIGNAL;
            sendmsg::<()>(host.as_raw_fd(), &[IoSlice::new(text)], rights, flags, None)
                .map_err(|e| failed("sendmsg", e))
        };
        send(line, &[])?;
        send(format!("MAINPID={main}").as_bytes(), &[])?;
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|e| failed("pipe2", e))?;
        send(b"BARRIER=1", &[writer.as_raw_fd()])?;
        drop(writer);
        // The receiver closes its end when everything before has been dealt with.
        let mut fds = [PollFd::new(reader.as_fd(), PollFlags::empty())];
        let _ = poll(&mut fds, at_least_one(BARRIER));
        Ok(())
    }
}

/// The line of a message that says that the program is ready.
fn ready_line(message: &[u8]) -> Option<&[u8]> {
    message.split(|b| *b == b'\n').find(|line| line.starts_with(b"READY="))
}

fn has_ended(program: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(program, PollFlags::POLLIN)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(n) if n > 0)
}

/// Rounded up: a wait of less than a millisecond must not spin.
fn at_least_one(time: Duration) -> PollTimeout {
    PollTimeout::try_from(time.as_millis().max(1)).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::pidfd_open;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn only_the_word_ready_goes_on() {
        let table: [(&[u8], Option<&[u8]>); 6] = [
            (b"READY=1", Some(b"READY=1")),
            (b"STATUS=x\nREADY=1\nMAINPID=1", Some(b"READY=1")),
            (b"STATUS=READY=1", None),
            (b"MAINPID=1\n", None),
            (b"", None),
            (b"\xff\n\xffREADY=1", None),
        ];
        for (message, expected) in table {
            assert_eq!(ready_line(message), expected, "{message:?}");
        }
    }

    /// A listener beside a receiver that stands for systemd.
    fn listener(scratch: &std::path::Path) -> (Listener, UnixDatagram, UnixDatagram) {
        let host = scratch.join("host");
        let receiver = UnixDatagram::bind(&host).unwrap();
        let (own, program) = UnixDatagram::pair().unwrap();
        own.set_nonblocking(true).unwrap();
        let host = host.to_str().unwrap().to_owned();
        (Listener { socket: own.into(), host }, program, receiver)
    }

    #[test]
    fn the_receiver_is_told_who_is_ready() {
        let scratch = tempfile::tempdir().unwrap();
        let (listener, program, receiver) = listener(scratch.path());
        let itself = pidfd_open(Pid::this()).unwrap();
        program.send(b"STATUS=not yet").unwrap();
        program.send(b"MAINPID=1\nREADY=1\nSTATUS=done").unwrap();
        let told = std::thread::spawn(move || {
            let mut message = [0; 64];
            let mut next = || {
                let len = receiver.recv(&mut message).unwrap();
                String::from_utf8_lossy(&message[..len]).into_owned()
            };
            // The barrier's descriptor is closed as soon as its message is read.
            [next(), next(), next()]
        });
        let heard = listener.wait(itself.as_fd(), Pid::from_raw(77), Duration::from_secs(60));
        assert_eq!(heard.unwrap(), Heard::Ready);
        assert_eq!(told.join().unwrap(), ["READY=1", "MAINPID=77", "BARRIER=1"]);
    }

    #[test]
    fn nobody_waits_for_a_program_that_has_ended_or_for_ever() {
        let scratch = tempfile::tempdir().unwrap();
        let (listener, _program, receiver) = listener(scratch.path());
        let itself = pidfd_open(Pid::this()).unwrap();
        let heard = listener.wait(itself.as_fd(), Pid::this(), Duration::from_millis(20));
        assert_eq!(heard.unwrap(), Heard::Nothing);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let pidfd = pidfd_open(pid).unwrap();
        let heard = listener.wait(pidfd.as_fd(), pid, Duration::from_secs(60));
        assert_eq!(heard.unwrap(), Heard::Ended);
        child.wait().unwrap();
        receiver.set_nonblocking(true).unwrap();
        assert!(receiver.recv(&mut [0; 8]).is_err(), "nobody was told anything");
    }
}
