//! Sockets of the caller that receive a descriptor: the console socket and the pidfd socket.

use crate::error::{Code, Error, Failure};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg,
    setsockopt, socket, sockopt::SendTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// How long a receiver may take, in seconds.
const PATIENCE: i64 = 10;

/// A connected socket of the caller.
#[derive(Debug)]
pub struct Receiver {
    socket: OwnedFd,
    what: &'static str,
}

impl Receiver {
    /// Connects to the socket at `path`; `what` names it in errors. Done before anything is made,
    /// so that a wrong path costs nothing.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(path: &Path, what: &'static str) -> Result<Self, Error> {
        let failed = |call, errno: Errno| {
            let doing = format!("connect to the {what} {}", path.display());
            Failure::new(Code::TERMINAL, doing).errno(call, errno as i32)
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)
            .map_err(|e| failed("socket", e))?;
        // A receiver that does not accept must not hold everything up.
        setsockopt(&socket, SendTimeout, &TimeVal::seconds(PATIENCE))
            .map_err(|e| failed("setsockopt", e))?;
        let address = UnixAddr::new(path).map_err(|e| failed("connect", e))?;
        connect(socket.as_raw_fd(), &address).map_err(|e| failed("connect", e))?;
        Ok(Self { socket, what })
    }

    /// Sends one message with a descriptor.
    ///
    /// # Errors
    /// When the receiver is gone or does not read.
    pub fn send(&self, payload: &str, fd: impl AsFd) -> Result<(), Error> {
        let fds = [fd.as_fd().as_raw_fd()];
        let control = [ControlMessage::ScmRights(&fds)];
        let parts = [IoSlice::new(payload.as_bytes())];
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.socket.as_raw_fd(), &parts, &control, flags, None).map_err(|e| {
            let doing = format!("send a descriptor to the {}", self.what);
            Failure::new(Code::TERMINAL, doing).errno("sendmsg", e as i32)
        })?;
        Ok(())
    }
}
