//! rtnetlink(7), as far as network devices need it.

use crate::sys::process::enter_network;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt::ReceiveTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::os::fd::{AsRawFd, OwnedFd};

pub const NEW_LINK: u16 = 16;
pub const GET_LINK: u16 = 18;
pub const NEW_ADDRESS: u16 = 20;
pub const GET_ADDRESS: u16 = 22;
pub const NEW_ROUTE: u16 = 24;
pub const GET_ROUTE: u16 = 26;

/// Everything of a kind is asked for.
pub const DUMP: u16 = 0x300;
/// It is made, and is not there yet.
pub const MAKE: u16 = 0x600;

const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const HEAD: usize = 16;

/// How long the kernel may take to answer, in seconds. Other changes of the network wait for each
/// other.
const PATIENCE: i64 = 30;
/// More answers than any sound host gives to one question.
const MOST_MESSAGES: usize = 1 << 20;

/// One message of an answer, without its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is about, such as [`NEW_LINK`].
    pub kind: u16,
    /// The structure of that kind and its attributes.
    pub body: Vec<u8>,
}

/// A socket to the network of one namespace.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// The network of this process.
    ///
    /// # Errors
    /// Whatever socket(2) answers.
    pub fn here() -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::NetlinkRoute;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(PATIENCE))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// The network of that namespace. A socket stays where it was made, so a thread goes there to
    /// make one, and nothing of this process moves.
    ///
    /// # Errors
    /// Whatever setns(2) and socket(2) answer.
    pub fn inside(namespace: &OwnedFd) -> Result<Self, Errno> {
        std::thread::scope(|scope| {
            let make = || enter_network(namespace).and_then(|()| Self::here());
            let made = std::thread::Builder::new().spawn_scoped(scope, make);
            made.map_err(|_| Errno::EAGAIN)?.join().unwrap_or(Err(Errno::EIO))
        })
    }

    /// Sends one request and collects the answer.
    ///
    /// # Errors
    /// What the kernel answered; `EAGAIN` when it did not in time.
    pub fn ask(&mut self, kind: u16, flags: u16, body: &[u8]) -> Result<Vec<Message>, Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let len = HEAD.checked_add(body.len()).and_then(|len| u32::try_from(len).ok());
        let mut request = Vec::with_capacity(HEAD.saturating_add(body.len()));
        request.extend(len.ok_or(Errno::EMSGSIZE)?.to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend((flags | REQUEST | ACKNOWLEDGE).to_ne_bytes());
        request.extend(self.sequence.to_ne_bytes());
        request.extend([0; 4]);
        request.extend(body);
        send(self.socket.as_raw_fd(), &request, MsgFlags::empty())?;
        let mut answer = Vec::new();
        let mut bytes = vec![0; 64 << 10];
        loop {
            let len = match recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                len => len?,
            };
            let received = bytes.get(..len).unwrap_or_default();
            if let Some(end) = take(received, self.sequence, &mut answer)? {
                return end.map(|()| answer);
            }
            if answer.len() > MOST_MESSAGES {
                return Err(Errno::E2BIG);
            }
        }
    }
}

/// Takes the messages of one datagram; what the answer ended with, once it has.
///
/// # Errors
/// `EBADMSG` for a datagram that makes no sense.
fn take(
    mut bytes: &[u8],
    sequence: u32,
    answer: &mut Vec<Message>,
) -> Result<Option<Result<(), Errno>>, Errno> {
    while !bytes.is_empty() {
        let len = number(bytes, 0).ok_or(Errno::EBADMSG)?;
        let len = usize::try_from(len).map_err(|_| Errno::EBADMSG)?;
        let message = bytes.get(..len).ok_or(Errno::EBADMSG)?;
        let body = message.get(HEAD..).ok_or(Errno::EBADMSG)?;
        let kind = half(message, 4).ok_or(Errno::EBADMSG)?;
        bytes = bytes.get(aligned(len)..).unwrap_or_default();
        if number(message, 8) != Some(sequence) {
            continue;
        }
        match kind {
            ERROR | DONE => {
                let code = number(body, 0).unwrap_or(0).cast_signed();
                let end =
                    if code == 0 { Ok(()) } else { Err(Errno::from_raw(code.wrapping_neg())) };
                return Ok(Some(end));
            }
            kind => answer.push(Message { kind, body: body.to_vec() }),
        }
    }
    Ok(None)
}

/// The length that the kernel gives to `len` bytes.
fn aligned(len: usize) -> usize {
    len.checked_next_multiple_of(4).unwrap_or(len)
}

/// The 32-bit number at a place.
pub fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

/// The 16-bit number at a place.
fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}

/// The attributes behind a structure of `skip` bytes: kind and value.
pub fn attributes(body: &[u8], skip: usize) -> impl Iterator<Item = (u16, &[u8])> {
    const KIND: u16 = 0x3fff;
    let mut rest = body.get(skip..).unwrap_or_default();
    std::iter::from_fn(move || {
        let len = usize::from(half(rest, 0)?);
        let kind = half(rest, 2)? & KIND;
        let value = rest.get(4..len)?;
        rest = rest.get(aligned(len)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Appends an attribute to a request's body.
pub fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let len = value.len().saturating_add(4);
    body.extend(u16::try_from(len).unwrap_or(u16::MAX).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(aligned(body.len()), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back_as_written() {
        let mut body = vec![9; 8];
        attribute(&mut body, 3, b"eth0\0");
        attribute(&mut body, 0x8004, &7u32.to_ne_bytes());
        attribute(&mut body, 1, b"");
        let found: Vec<_> = attributes(&body, 8).collect();
        assert_eq!(found, [(3, &b"eth0\0"[..]), (4, &7u32.to_ne_bytes()), (1, b"")]);
        for end in 0..body.len() {
            assert!(attributes(&body[..end], 8).count() < 3, "{end}");
        }
        assert_eq!(attributes(&[3, 0, 1, 0, 0, 0], 0).count(), 0, "shorter than its own head");
    }

    #[test]
    fn answers_end_with_an_error_or_a_word() {
        let message = |kind: u16, sequence: u32, body: &[u8]| {
            let mut bytes = Vec::from(u32::try_from(16 + body.len()).unwrap().to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 2]);
            bytes.extend(sequence.to_ne_bytes());
            bytes.extend([0; 4]);
            bytes.extend(body);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let refusal = (-libc::ENODEV).to_ne_bytes();
        let mut answer = Vec::new();
        let datagram = [message(16, 1, b"abc"), message(16, 2, b"d"), message(3, 1, &[0; 4])];
        assert_eq!(take(&datagram.concat(), 1, &mut answer), Ok(Some(Ok(()))));
        assert_eq!(answer, [Message { kind: 16, body: b"abc".into() }]);
        let refused = take(&message(2, 1, &refusal), 1, &mut answer);
        assert_eq!(refused, Ok(Some(Err(Errno::ENODEV))));
        assert_eq!(take(&message(16, 1, b""), 1, &mut answer), Ok(None));
        assert_eq!(take(&[1, 2, 3], 1, &mut answer), Err(Errno::EBADMSG));
        assert_eq!(take(&[0; 16], 1, &mut answer), Err(Errno::EBADMSG));
        assert_eq!(take(&[255; 32], 1, &mut answer), Err(Errno::EBADMSG));
    }
}
