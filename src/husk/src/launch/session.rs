//! The host's end of the socket to the container's side.

use super::describe;
use crate::error::{Code, Error, Failure};
use crate::plan::Steps;
use crate::sys::{process, spawn};
use husk_init::wire::{DESCRIPTORS_A_MESSAGE, GO, MESSAGE_HEAD, MESSAGE_TEXT, Message, message};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ffi::CString;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// The container-side program, compiled by the build script.
static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/husk-init"));

/// What the container's side reports.
#[derive(Debug)]
pub enum Event {
    /// The init has been cloned and waits.
    Cloned,
    /// A point of [`husk_init::wire::sync`] is reached; the init waits.
    Sync(u8),
    /// The terminal's master, and its number in the container's devpts.
    Terminal(OwnedFd, u32),
    /// The seccomp notification descriptor; the init waits until the agent has it.
    Listener(OwnedFd),
    /// Something that the container can do without was refused.
    Warning(Failure),
    /// Nobody is left at the other end: the program has been executed, or the init died.
    Gone,
}

/// The container's side of one `create`, `run` or `exec`, from its start until the program runs.
///
/// Dropping a session before [`Session::release`] kills what it started.
#[derive(Debug)]
pub struct Session {
    socket: OwnedFd,
    launcher: Option<Pid>,
    init: Option<Init>,
}

/// The process that becomes the container's program.
#[derive(Debug)]
pub struct Init {
    /// Its process id here.
    pub pid: Pid,
    /// Its descriptor.
    pub pidfd: OwnedFd,
}

fn failed(doing: &str, call: &'static str, errno: Errno) -> Error {
    Failure::new(Code::LAUNCH, doing).errno(call, errno as i32).into()
}

impl Session {
    /// Starts the container-side program, in the cgroup v2 of that directory if there is one, and
    /// gives it the steps.
    ///
    /// # Errors
    /// A failure of the system; nothing is left.
    pub fn start(steps: &Steps, cgroup: Option<&OwnedFd>) -> Result<Self, Error> {
        if steps.too_many() {
            return Err(Error::said(
                Code::LAUNCH,
                "the configuration needs more mounts or descriptors than one container can have",
            ));
        }
        let program = sealed("husk-init", PROGRAM, true)
            .map_err(|(call, e)| failed("put the init program into memory", call, e))?;
        let plan = sealed("husk-plan", steps.bytes(), false)
            .map_err(|(call, e)| failed("put the plan into memory", call, e))?;
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)
            .map_err(|e| failed("make a socket to init", "socketpair", e))?;
        let argument = CString::new(theirs.as_raw_fd().to_string()).unwrap_or_default();
        let launcher = match cgroup {
            None => spawn::run(&program, &argument, &theirs)
                .map_err(|e| failed("start init", "execveat", e))?,
            Some(cgroup) => spawn::run_in_cgroup(&program, &argument, &theirs, cgroup)
                .map_err(|e| failed("start init in the container's cgroup", "clone3", e))?,
        };
        let session = Self { socket: ours, launcher: Some(launcher), init: None };
        drop(theirs);
        session
            .send_plan(steps, &plan)
            .map_err(|e| failed("send the plan to init", "sendmsg", e))?;
        Ok(session)
    }

    fn send_plan(&self, steps: &Steps, plan: &OwnedFd) -> Result<(), Errno> {
        let mut head = [0u8; 16];
        let descriptors = steps.descriptors().ok_or(Errno::EBADF)?;
        let (len, count) = (steps.bytes().len() as u64, descriptors.len() as u64);
        for (to, from) in
            head.iter_mut().zip(len.to_le_bytes().into_iter().chain(count.to_le_bytes()))
        {
            *to = from;
        }
        let mut all = vec![plan.as_raw_fd()];
        all.extend(descriptors.iter().map(AsRawFd::as_raw_fd));
        for descriptors in all.chunks(DESCRIPTORS_A_MESSAGE) {
            let rights = [ControlMessage::ScmRights(descriptors)];
            let parts = [IoSlice::new(&head)];
            sendmsg::<()>(self.socket.as_raw_fd(), &parts, &rights, MsgFlags::MSG_NOSIGNAL, None)?;
        }
        Ok(())
    }

    /// The init, once it has been cloned.
    pub fn init(&self) -> Option<&Init> {
        self.init.as_ref()
    }

    /// Lets the container's side go on.
    ///
    /// # Errors
    /// A failure when it is gone.
    pub fn go(&self) -> Result<(), Error> {
        match sendmsg::<()>(
            self.socket.as_raw_fd(),
            &[IoSlice::new(&[GO])],
            &[],
            MsgFlags::MSG_NOSIGNAL,
            None,
        ) {
            Ok(_) => Ok(()),
            Err(errno) => Err(self.ended(errno)),
        }
    }

    /// Waits for the next event, at most `patience` (no limit when `None`).
    ///
    /// # Errors
    /// What the container's side failed in, told by the property that asked for it; a deadline
    /// that passed; a message that makes no sense.
    pub fn next(&mut self, steps: &Steps, patience: Option<Duration>) -> Result<Event, Error> {
        self.wait_readable(patience)?;
        let mut bytes = [0u8; MESSAGE_HEAD + MESSAGE_TEXT];
        let mut room = nix::cmsg_space!([i32; 1]);
        let mut fd = None;
        let len = {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let received =
                match recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, Some(&mut room), flags) {
                    Ok(received) => received,
                    Err(Errno::ECONNRESET) => return Ok(Event::Gone),
                    Err(e) => return Err(failed("hear from init", "recvmsg", e)),
                };
            for control in received.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::ScmRights(numbers) = control {
                    for number in numbers {
                        fd = Some(process::adopt(number));
                    }
                }
            }
            received.bytes
        };
        if len == 0 {
            return Ok(Event::Gone);
        }
        let said = bytes.get(..len).and_then(Message::decode);
        let Some(said) = said else { return Err(nonsense()) };
        match (said.kind, fd) {
            (message::CLONED, None) => self.cloned(said.value),
            (message::SYNC, None) => {
                u8::try_from(said.value).map(Event::Sync).map_err(|_| nonsense())
            }
            (message::TERMINAL, Some(fd)) => {
                Ok(Event::Terminal(fd, u32::try_from(said.value).map_err(|_| nonsense())?))
            }
            (message::LISTENER, Some(fd)) => Ok(Event::Listener(fd)),
            (message::WARNING, None) => Ok(Event::Warning(describe::failure(steps, &said))),
            (message::FAILED, None) => Err(self.failure(steps, &said)),
            _ => Err(nonsense()),
        }
    }

    fn wait_readable(&self, patience: Option<Duration>) -> Result<(), Error> {
        let timeout = match patience {
            None => PollTimeout::NONE,
            Some(time) => PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX),
        };
        let mut polled = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        loop {
            return match poll(&mut polled, timeout) {
                Err(Errno::EINTR) => continue,
                Err(e) => Err(failed("wait for init", "poll", e)),
                Ok(0) => {
                    let words = "container init did not answer in time";
                    Err(Error::said(Code::LAUNCH, words))
                }
                Ok(_) => Ok(()),
            };
        }
    }

    fn cloned(&mut self, pid: i32) -> Result<Event, Error> {
        let pid = Pid::from_raw(pid);
        if pid.as_raw() <= 1 || self.init.is_some() {
            return Err(nonsense());
        }
        // The launcher has nothing more to do. The init is our child as well, so its number
        // cannot have been given to another process.
        if let Some(launcher) = self.launcher.take() {
            let _ = waitpid(launcher, None);
        }
        let pidfd = process::pidfd_open(pid)
            .map_err(|e| failed("open the init process", "pidfd_open", e))?;
        self.init = Some(Init { pid, pidfd });
        Ok(Event::Cloned)
    }

    fn failure(&mut self, steps: &Steps, said: &Message<'_>) -> Error {
        let failure = describe::failure(steps, said);
        self.kill();
        failure.into()
    }

    /// The error for a container's side that is gone although it should not be.
    fn ended(&self, errno: Errno) -> Error {
        failed("talk to init", "sendmsg", errno)
    }

    /// How the init ended, waiting for it.
    pub fn reap(&mut self) -> Option<WaitStatus> {
        let init = self.init.take()?;
        waitpid(init.pid, None).ok()
    }

    /// Lets the init live on without this session, and returns it.
    pub fn release(mut self) -> Option<Init> {
        self.init.take()
    }

    /// Kills what was started. A process that stands still in a frozen cgroup does not end: it is
    /// left to whoever thaws it.
    fn kill(&mut self) {
        if let Some(launcher) = self.launcher.take() {
            let _ = nix::sys::signal::kill(launcher, nix::sys::signal::Signal::SIGKILL);
            reap(launcher);
        }
        if let Some(init) = self.init.take() {
            let _ = process::pidfd_send_signal(&init.pidfd, libc::SIGKILL);
            reap(init.pid);
        }
    }
}

/// Waits for a process that was killed, but not for ever.
fn reap(pid: Pid) {
    const PATIENCE: Duration = Duration::from_secs(5);
    let deadline = Instant::now().checked_add(PATIENCE);
    let mut pause = Duration::from_micros(50);
    while let Ok(WaitStatus::StillAlive) = waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
            return;
        }
        std::thread::sleep(pause);
        pause = pause.saturating_mul(2).min(Duration::from_millis(10));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.kill();
    }
}

fn nonsense() -> Error {
    Error::said(Code::LAUNCH, "container init sent a message that makes no sense")
}

/// A file in memory with these bytes, sealed.
fn sealed(name: &str, bytes: &[u8], executable: bool) -> Result<OwnedFd, (&'static str, Errno)> {
    let name = CString::new(name).unwrap_or_default();
    let file = spawn::memory_file(&name, executable).map_err(|e| ("memfd_create", e))?;
    let mut rest = bytes;
    while !rest.is_empty() {
        match nix::unistd::write(&file, rest) {
            Ok(0) => return Err(("write", Errno::ENOSPC)),
            Ok(done) => rest = rest.get(done..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(("write", errno)),
        }
    }
    spawn::seal(&file).map_err(|e| ("fcntl", e))?;
    Ok(file)
}
