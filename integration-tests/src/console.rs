//! The receiving end of the console socket protocol, and terminals of our own.

use std::fs::File;
use std::io::{IoSliceMut, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use crate::context::Context;
use crate::host;

/// A listening socket that waits for one message with descriptors.
pub struct FdSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl FdSocket {
    /// Binds a new socket in the scratch directory.
    pub fn new(context: &Context) -> Self {
        let path = context.fresh_path("console.sock");
        let listener = UnixListener::bind(&path).expect("bind a socket");
        listener.set_nonblocking(true).expect("non-blocking socket");
        FdSocket { listener, path }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the one message: its text and its descriptors.
    pub fn receive(&self) -> (String, Vec<OwnedFd>) {
        let (stream, _) =
            host::wait_for("a connection to the socket", || self.listener.accept().ok());
        stream.set_nonblocking(false).expect("blocking stream");
        stream.set_read_timeout(Some(host::deadline(20))).expect("deadline of the stream");
        let mut text = vec![0; 1 << 16];
        let mut space = nix::cmsg_space!([std::os::fd::RawFd; 8]);
        let mut parts = [IoSliceMut::new(&mut text)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), flags)
            .expect("receive from the socket");
        let mut fds = Vec::new();
        for control in message.cmsgs().expect("control messages") {
            if let ControlMessageOwned::ScmRights(got) = control {
                fds.extend(got.into_iter().map(crate::sys::own));
            }
        }
        let length = message.bytes;
        assert!(!fds.is_empty(), "no descriptor came through the socket");
        (String::from_utf8_lossy(&text[..length]).into_owned(), fds)
    }
}

/// A listening socket that waits for the master of a terminal.
pub struct ConsoleSocket(FdSocket);

/// What came through the socket.
pub struct Received {
    /// The text of the message.
    pub payload: String,
    /// The master.
    pub master: Terminal,
    /// How many descriptors came along.
    pub count: usize,
}

impl ConsoleSocket {
    /// Binds a new socket in the scratch directory.
    pub fn new(context: &Context) -> Self {
        ConsoleSocket(FdSocket::new(context))
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes the one message.
    pub fn receive(&self) -> Received {
        let (payload, mut fds) = self.0.receive();
        let count = fds.len();
        Received { payload, master: Terminal::new(fds.remove(0)), count }
    }
}

/// The master side of a terminal.
pub struct Terminal {
    file: File,
    seen: String,
}

impl Terminal {
    /// Wraps a master.
    pub fn new(fd: OwnedFd) -> Self {
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("non-blocking terminal");
        Terminal { file: File::from(fd), seen: String::new() }
    }

    /// A new pair: the master and the other side.
    pub fn pair() -> (Self, OwnedFd) {
        let pair = nix::pty::openpty(None, None).expect("open a terminal");
        let cloexec = FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
        fcntl(&pair.master, cloexec).expect("close-on-exec");
        let cloexec = FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
        fcntl(&pair.slave, cloexec).expect("close-on-exec");
        (Terminal::new(pair.master), pair.slave)
    }

    /// Types text.
    pub fn type_in(&mut self, text: &str) {
        use std::io::Write;
        self.file.write_all(text.as_bytes()).expect("type into the terminal");
    }

    /// Changes the size.
    pub fn resize(&self, columns: u16, rows: u16) {
        crate::sys::set_winsize(&self.file, columns, rows);
    }

    /// The size now.
    pub fn size(&self) -> (u16, u16) {
        crate::sys::winsize(self.file.as_raw_fd()).expect("TIOCGWINSZ")
    }

    /// Reads what there is; true when the other side is closed.
    pub fn pump(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return true,
                Ok(n) => self.seen.push_str(&String::from_utf8_lossy(&buffer[..n])),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
    }

    /// Everything printed so far.
    pub fn seen(&mut self) -> &str {
        self.pump();
        &self.seen
    }

    /// Waits until `text` has been printed.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let end = Instant::now() + host::deadline(20);
        loop {
            let closed = self.pump();
            if self.seen.contains(text) {
                return self.seen.clone();
            }
            assert!(
                !closed && Instant::now() < end,
                "terminal never showed {text:?}; it showed {:?}",
                self.seen
            );
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Reads to the end, which comes when nobody holds the other side.
    pub fn drain(&mut self) -> String {
        host::wait_for("the end of the terminal", || self.pump().then_some(()));
        self.seen.clone()
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}
