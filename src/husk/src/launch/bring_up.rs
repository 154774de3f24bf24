//! From the plan to a process that waits for its last permission: the same for a container's first
//! process and for one that is added to it.

use super::session::{Event, Session};
use super::sockets::Receiver;
use crate::error::{Code, Error, Failure};
use crate::log::Log;
use crate::namespaces::Maps;
use crate::plan::Steps;
use crate::rlimits::Rlimits;
use husk_init::wire::{Op, sync};
use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long the container's side may be silent. Mounts of slow devices are the slowest thing that
/// it does by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the caller does at the points that the container's side stops at.
pub trait Steering {
    /// The process exists and has done nothing yet.
    fn cloned(&mut self, pid: Pid) -> Result<(), Error>;
    /// Everything is mounted, the root not yet changed.
    fn mounted(&mut self, pid: Pid) -> Result<(), Error>;
    /// The filter is loaded; its notification descriptor is for the seccomp agent.
    fn filtered(&mut self, pid: Pid, listener: &OwnedFd) -> Result<(), Error>;
}

/// What the caller provides.
#[derive(Debug)]
pub struct Caller<'a> {
    /// Maps of a new user namespace.
    pub maps: Option<&'a Maps>,
    /// Limits of the process.
    pub rlimits: &'a Rlimits,
    /// Directory of the cgroup v2 that the launcher is born into.
    pub birthplace: Option<&'a OwnedFd>,
    /// Receiver of the terminal.
    pub console: Option<&'a Receiver>,
    /// Whether the terminal is kept to be relayed.
    pub foreground: bool,
}

/// Starts the container's side and accompanies it until it is ready. Returns the terminal's master
/// if it is kept.
///
/// # Errors
/// Whatever failed on either side; the process is then gone.
pub fn bring_up(
    steps: &Steps,
    caller: &Caller<'_>,
    steering: &mut dyn Steering,
    log: &mut Log,
) -> Result<(Session, Option<OwnedFd>), Error> {
    let patience = patience(steps);
    let mut session = Session::start(steps, caller.birthplace)?;
    let mut terminal = None;
    loop {
        match session.next(steps, patience)? {
            Event::Cloned => {
                let pid = pid(&session)?;
                steering.cloned(pid)?;
                caller.rlimits.raise(pid)?;
                if let Some(maps) = caller.maps {
                    write_maps(pid, maps)?;
                }
                session.go()?;
            }
            Event::Sync(sync::MOUNTED) => {
                steering.mounted(pid(&session)?)?;
                session.go()?;
            }
            Event::Sync(sync::READY) => {
                return Ok((session, terminal));
            }
            Event::Terminal(master, number) => match caller.console {
                Some(receiver) => receiver.send(&format!("/dev/pts/{number}"), &master)?,
                None => terminal = Some(master).filter(|_| caller.foreground),
            },
            Event::Listener(listener) => {
                steering.filtered(pid(&session)?, &listener)?;
                session.go()?;
            }
            Event::Warning(failure) => log.warning(failure.to_string()),
            Event::Gone => return Err(died(&mut session)),
            Event::Sync(_) => {
                let words = "container init stopped at an unknown point";
                return Err(Error::said(Code::LAUNCH, words));
            }
        }
    }
}

/// Waits until the program has been executed.
///
/// # Errors
/// Why it has not been.
pub fn executed(session: &mut Session, steps: &Steps, log: &mut Log) -> Result<(), Error> {
    loop {
        match session.next(steps, patience(steps))? {
            Event::Gone => return Ok(()),
            Event::Warning(failure) => log.warning(failure.to_string()),
            _ => {
                let words = "container init spoke out of turn";
                return Err(Error::said(Code::LAUNCH, words));
            }
        }
    }
}

/// No limit where a hook without one runs on the container's side, and longer than any that has.
fn patience(steps: &Steps) -> Option<Duration> {
    let mut longest = 0;
    for (op, _) in steps.iter() {
        if let Op::Hook { timeout, .. } = op {
            if timeout == 0 {
                return None;
            }
            longest = longest.max(timeout);
        }
    }
    PATIENCE.checked_add(Duration::from_secs(u64::from(longest)))
}

fn pid(session: &Session) -> Result<Pid, Error> {
    let missing = || Error::said(Code::LAUNCH, "container init has not been cloned");
    session.init().map(|init| init.pid).ok_or_else(missing)
}

fn write_maps(pid: Pid, maps: &Maps) -> Result<(), Error> {
    for (name, at, lines) in
        [("uid_map", "/linux/uidMappings", &maps.uid), ("gid_map", "/linux/gidMappings", &maps.gid)]
    {
        let path = format!("/proc/{pid}/{name}");
        let written = File::options().write(true).open(path);
        written.and_then(|mut file| file.write_all(lines.as_bytes())).map_err(|error| {
            let doing = format!("write the id mappings {:?}", lines.trim_end());
            Failure::new(Code::ID_MAPPING, doing)
                .errno("write", error.raw_os_error().unwrap_or(libc::EIO))
                .at(at)
                .hint("mappings must not overlap, and only root may map ids of others")
        })?;
    }
    Ok(())
}

/// What to say of an init that went without a word.
fn died(session: &mut Session) -> Error {
    let words = match session.reap() {
        Some(WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGKILL, _)) => {
            "container init was OOM-killed (memory limit too low?)".to_owned()
        }
        Some(WaitStatus::Signaled(_, signal, _)) => {
            format!("container init was killed by {signal}")
        }
        Some(WaitStatus::Exited(_, status)) => {
            format!("container init ended with status {status}")
        }
        _ => "container init is gone".to_owned(),
    };
    Error::said(Code::LAUNCH, words)
}
