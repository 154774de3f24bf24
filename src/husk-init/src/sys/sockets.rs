//! The socket to the host side, terminals and interfaces.

use super::arch::{nr, syscall};
use super::{Answer, At, Errno, Fd, check, owned};
use crate::wire::DESCRIPTORS_A_MESSAGE;

#[repr(C)]
struct Header {
    name: usize,
    name_len: u32,
    parts: *mut Part,
    parts_len: usize,
    control: *mut u8,
    control_len: usize,
    flags: i32,
}

#[repr(C)]
struct Part {
    at: *mut u8,
    len: usize,
}

const SOL_SOCKET: u32 = 1;
const SCM_RIGHTS: u32 = 1;
const CONTROL_HEAD: usize = 16;
const CONTROL_ROOM: usize = CONTROL_HEAD + 4 * DESCRIPTORS_A_MESSAGE;

/// Receives a message and the descriptors that come with it, close-on-exec, handing each to `take`.
pub fn receive(socket: At, to: &mut [u8], mut take: impl FnMut(Fd)) -> Answer {
    const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
    let mut control = [0u64; CONTROL_ROOM.div_ceil(8)];
    let mut part = Part { at: to.as_mut_ptr(), len: to.len() };
    let mut header = Header {
        name: 0,
        name_len: 0,
        parts: &raw mut part,
        parts_len: 1,
        control: control.as_mut_ptr().cast(),
        control_len: CONTROL_ROOM,
        flags: 0,
    };
    let len = loop {
        // SAFETY: a struct msghdr with one part of `to` and a control buffer of the length given.
        match check(unsafe {
            syscall(
                nr::RECVMSG,
                [socket.raw(), &raw mut header as usize, MSG_CMSG_CLOEXEC, 0, 0, 0],
            )
        }) {
            Err(Errno::INTR) => {}
            answer => break answer?,
        }
    };
    let [head, kind, rest @ ..] = &control;
    let (level, kind) = (*kind as u32, (*kind >> 32) as u32);
    if header.control_len >= CONTROL_HEAD && level == SOL_SOCKET && kind == SCM_RIGHTS {
        let count = (*head as usize).min(header.control_len).saturating_sub(CONTROL_HEAD) / 4;
        let words = rest.iter().flat_map(|w| [*w as u32, (*w >> 32) as u32]);
        for number in words.take(count) {
            take(Fd(number as i32));
        }
    }
    Ok(len)
}

/// Sends a message with a descriptor.
pub fn send_with(socket: At, message: &[u8], fd: At) -> Answer {
    let mut control = [
        CONTROL_HEAD as u64 + 4,
        u64::from(SOL_SOCKET) | u64::from(SCM_RIGHTS) << 32,
        fd.0 as u32 as u64,
    ];
    let mut part = Part { at: message.as_ptr().cast_mut(), len: message.len() };
    let header = Header {
        name: 0,
        name_len: 0,
        parts: &raw mut part,
        parts_len: 1,
        control: control.as_mut_ptr().cast(),
        control_len: 24,
        flags: 0,
    };
    const MSG_NOSIGNAL: usize = 0x4000;
    // SAFETY: a struct msghdr with one part of `message` and a control message of one descriptor.
    check(unsafe {
        syscall(nr::SENDMSG, [socket.raw(), &raw const header as usize, MSG_NOSIGNAL, 0, 0, 0])
    })
}

/// Waits until one of two descriptors can be read or is hung up; whether each was.
pub fn wait_readable(fds: [At; 2], milliseconds: u64) -> Answer<[bool; 2]> {
    const POLLIN: u16 = 1;
    #[repr(C)]
    struct Poll {
        fd: i32,
        events: u16,
        returned: u16,
    }
    let mut polls = fds.map(|fd| Poll { fd: fd.0, events: POLLIN, returned: 0 });
    let time = [milliseconds / 1000, (milliseconds % 1000) * 1_000_000];
    // SAFETY: two struct pollfd and one struct timespec; no signal mask.
    match check(unsafe {
        syscall(nr::PPOLL, [polls.as_mut_ptr() as usize, 2, time.as_ptr() as usize, 0, 8, 0])
    }) {
        Err(Errno::INTR) => Ok([false; 2]),
        answer => answer.map(|_| polls.map(|poll| poll.returned != 0)),
    }
}

/// Brings the interface `lo` of the network namespace up.
pub fn loopback_up() -> Answer {
    const AF_INET: usize = 2;
    const SOCK_DGRAM_CLOEXEC: usize = 2 | 0o2_000_000;
    const SIOCSIFFLAGS: usize = 0x8914;
    const IFF_UP: u16 = 1;
    #[repr(C)]
    struct Request {
        name: [u8; 16],
        flags: u16,
        rest: [u8; 22],
    }
    let mut name = [0; 16];
    if let Some(head) = name.get_mut(..2) {
        head.copy_from_slice(b"lo");
    }
    let request = Request { name, flags: IFF_UP, rest: [0; 22] };
    // SAFETY: takes no memory.
    let socket =
        owned(check(unsafe { syscall(nr::SOCKET, [AF_INET, SOCK_DGRAM_CLOEXEC, 0, 0, 0, 0]) }))?;
    // SAFETY: a struct ifreq of 40 bytes.
    check(unsafe {
        syscall(nr::IOCTL, [socket.at().raw(), SIOCSIFFLAGS, &raw const request as usize, 0, 0, 0])
    })
}

/// Unlocks the peer of a terminal's master and returns the master's number.
pub fn unlock_terminal(master: At) -> Answer<u32> {
    const TIOCSPTLCK: usize = 0x4004_5431;
    const TIOCGPTN: usize = 0x8004_5430;
    let unlocked = 0i32;
    let mut number = 0u32;
    // SAFETY: the first request reads an int, the second writes one.
    unsafe {
        check(syscall(
            nr::IOCTL,
            [master.raw(), TIOCSPTLCK, &raw const unlocked as usize, 0, 0, 0],
        ))?;
        check(syscall(nr::IOCTL, [master.raw(), TIOCGPTN, &raw mut number as usize, 0, 0, 0]))?;
    }
    Ok(number)
}

/// Opens the peer of a terminal's master, whatever lies in /dev/pts.
pub fn open_peer(master: At) -> Answer<Fd> {
    const TIOCGPTPEER: usize = 0x5441;
    const RDWR_NOCTTY_CLOEXEC: usize = 2 | 0o400 | 0o2_000_000;
    // SAFETY: takes open flags, no memory.
    owned(check(unsafe {
        syscall(nr::IOCTL, [master.raw(), TIOCGPTPEER, RDWR_NOCTTY_CLOEXEC, 0, 0, 0])
    }))
}

/// Makes a terminal the controlling one of the session.
pub fn control_terminal(terminal: At) -> Answer {
    const TIOCSCTTY: usize = 0x540e;
    // SAFETY: takes a number, no memory.
    check(unsafe { syscall(nr::IOCTL, [terminal.raw(), TIOCSCTTY, 0, 0, 0, 0]) })
}

pub fn set_window(terminal: At, rows: u16, columns: u16) -> Answer {
    const TIOCSWINSZ: usize = 0x5414;
    let size: [u16; 4] = [rows, columns, 0, 0];
    // SAFETY: a struct winsize.
    check(unsafe {
        syscall(nr::IOCTL, [terminal.raw(), TIOCSWINSZ, size.as_ptr() as usize, 0, 0, 0])
    })
}
