//! Staying with a program in the foreground: its signals, its terminal, its end.

use super::session::Init;
use crate::error::{Code, Error, Failure};
use crate::sys::process::{Ended, pidfd_send_signal, reap_any};
use crate::sys::terminal;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::{Pid, read, write};
use std::io::{IsTerminal, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The signals of this process, read instead of delivered.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Takes all signals over that can be. The container's side lets them through again for
    /// itself.
    ///
    /// # Errors
    /// Whatever the system answered.
    pub fn take() -> Result<Self, Error> {
        let failed = |call, e: Errno| {
            Error::from(Failure::new(Code::LAUNCH, "take signals over").errno(call, e as i32))
        };
        let all = SigSet::all();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&all), None)
            .map_err(|e| failed("sigprocmask", e))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = SignalFd::with_flags(&all, flags).map_err(|e| failed("signalfd", e))?;
        Ok(Self { fd })
    }
}

/// A program in the foreground.
#[derive(Debug)]
pub struct Foreground<'a> {
    /// Its process.
    pub init: &'a Init,
    /// The master of its terminal.
    pub terminal: Option<OwnedFd>,
    /// This process's signals.
    pub signals: Signals,
}

/// What is between the caller's terminal and the container's.
struct Relay {
    master: OwnedFd,
    saved: Option<Termios>,
    /// What was read and not yet written, to the container and from it.
    input: Vec<u8>,
    input_open: bool,
    output: Vec<u8>,
    output_open: bool,
}

/// Bytes read at once.
const BLOCK: usize = 16 << 10;

impl Foreground<'_> {
    /// Waits for the program's end: forwards signals, relays the terminal, reaps orphans. Returns
    /// the exit status, 128 and the signal's number for a program that was killed.
    ///
    /// # Errors
    /// Whatever the system answered.
    pub fn wait(self) -> Result<u8, Error> {
        let Self { init, terminal, signals } = self;
        let mut relay = terminal.map(Relay::new).transpose()?;
        if let Some(relay) = &relay {
            relay.resize();
        }
        // What came before the wait began is in the descriptor.
        let mut ended = reap(init.pid);
        while ended.is_none() {
            let (signalled, input, output) = wait_for_any(&signals, relay.as_ref())?;
            if let Some(relay) = &mut relay {
                relay.carry(input, output);
            }
            if signalled {
                while let Ok(Some(info)) = signals.fd.read_signal() {
                    let number = i32::try_from(info.ssi_signo).unwrap_or(0);
                    handle(number, init, relay.as_ref());
                }
                ended = reap(init.pid);
            }
        }
        if let Some(relay) = &mut relay {
            relay.drain();
        }
        Ok(ended.unwrap_or_default())
    }
}

/// SIGCHLD is for reaping, SIGURG is what runtimes send to themselves, a resized window concerns
/// the terminal only; everything else is the program's.
fn handle(number: i32, init: &Init, relay: Option<&Relay>) {
    match number {
        libc::SIGCHLD | libc::SIGURG => {}
        libc::SIGWINCH if relay.is_some() => {
            if let Some(relay) = relay {
                relay.resize();
            }
        }
        number => {
            // Gone already: its end is on its way here.
            let _ = pidfd_send_signal(&init.pidfd, number);
        }
    }
}

/// Reaps whoever has ended; the exit status of `init` when it is among them.
fn reap(init: Pid) -> Option<u8> {
    while let Some((pid, status)) = reap_any() {
        if pid != init {
            continue;
        }
        let status = match status {
            Ended::Exited(status) => status,
            Ended::Killed(signal) => signal.saturating_add(128),
        };
        return Some(u8::try_from(status & 0xff).unwrap_or(u8::MAX));
    }
    None
}

/// Waits for a signal, input or output.
fn wait_for_any(
    signals: &Signals,
    relay: Option<&Relay>,
) -> Result<(bool, bool, PollFlags), Error> {
    let stdin = stdin();
    let mut fds = vec![PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN)];
    if let Some(relay) = relay {
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLOUT, !relay.input.is_empty());
        events.set(PollFlags::POLLIN, relay.output_open && relay.output.is_empty());
        if relay.output_open || !relay.input.is_empty() {
            fds.push(PollFd::new(relay.master.as_fd(), events));
        }
        if relay.input_open && relay.input.is_empty() {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
    }
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(e) => {
            return Err(Failure::new(Code::LAUNCH, "wait for the program")
                .errno("poll", e as i32)
                .into());
        }
    }
    let got = |n: usize| fds.get(n).and_then(PollFd::revents).unwrap_or(PollFlags::empty());
    let has_master = relay.is_some_and(|r| r.output_open || !r.input.is_empty());
    let input = got(if has_master { 2 } else { 1 });
    let master = if has_master { got(1) } else { PollFlags::empty() };
    Ok((!got(0).is_empty(), relay.is_some() && !input.is_empty(), master))
}

impl Relay {
    fn new(master: OwnedFd) -> Result<Self, Error> {
        let failed = |call, e: Errno| {
            Error::from(Failure::new(Code::TERMINAL, "relay the terminal").errno(call, e as i32))
        };
        terminal::set_nonblocking(&master).map_err(|e| failed("fcntl", e))?;
        let stdin = stdin();
        let saved = if stdin.is_terminal() {
            let saved = tcgetattr(&stdin).map_err(|e| failed("tcgetattr", e))?;
            let mut raw = saved.clone();
            cfmakeraw(&mut raw);
            tcsetattr(&stdin, SetArg::TCSANOW, &raw).map_err(|e| failed("tcsetattr", e))?;
            Some(saved)
        } else {
            None
        };
        let (input, output) = (Vec::new(), Vec::new());
        Ok(Self { master, saved, input, input_open: true, output, output_open: true })
    }

    /// Gives the container's terminal the size of the caller's.
    fn resize(&self) {
        for from in [stdin().as_fd(), stdout().as_fd()] {
            if let Some(size) = terminal::window(from) {
                terminal::set_window(&self.master, size);
                return;
            }
        }
    }

    fn carry(&mut self, input: bool, master: PollFlags) {
        if input && self.input.is_empty() {
            match read_block(stdin().as_fd()) {
                Ok(bytes) if bytes.is_empty() => {
                    self.input_open = false;
                    // The end of a file is the end-of-file character of a terminal.
                    self.input.push(END_OF_FILE);
                }
                Ok(bytes) => self.input = bytes,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(_) => self.input_open = false,
            }
        }
        self.push_input();
        if master.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
            self.pull_output();
        }
    }

    fn push_input(&mut self) {
        if self.input.is_empty() {
            return;
        }
        match write(&self.master, &self.input) {
            Ok(done) => drop(self.input.drain(..done.min(self.input.len()))),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => {
                self.input.clear();
                self.input_open = false;
            }
        }
    }

    /// Reads once and writes everything; whether there may be more.
    fn pull_output(&mut self) -> bool {
        match read_block(self.master.as_fd()) {
            // EIO: nobody has the other end open.
            Ok(bytes) if bytes.is_empty() => self.output_open = false,
            Ok(bytes) => {
                self.output = bytes;
                write_all(stdout().as_fd(), &self.output);
                self.output.clear();
                return true;
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.output_open = false,
        }
        false
    }

    /// What the program wrote before its end.
    fn drain(&mut self) {
        while self.output_open && self.pull_output() {}
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            let _ = tcsetattr(stdin(), SetArg::TCSANOW, saved);
        }
    }
}

const END_OF_FILE: u8 = 4;

fn read_block(fd: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let mut block = vec![0; BLOCK];
    let len = read(fd, &mut block)?;
    block.truncate(len);
    Ok(block)
}

/// Writes to the caller, who may be gone.
fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(0) => return,
            Ok(done) => bytes = bytes.get(done..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut ready = [PollFd::new(fd, PollFlags::POLLOUT)];
                let _ = poll(&mut ready, PollTimeout::from(1000u16));
            }
            Err(_) => return,
        }
    }
}
