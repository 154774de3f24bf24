//! `husk kill`.

use super::{Context, DONE, signal};
use crate::cli::Given;
use crate::container::{Container, Init, Processes};
use crate::error::{Code, Error};
use crate::sys::process::{pidfd_open, pidfd_send_signal};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::os::fd::OwnedFd;

/// Sends a signal to the container's first process, or to all.
pub(super) fn run(cx: &mut Context<'_>, own: &Given, arguments: &[OsString]) -> Result<u8, Error> {
    let signal = match arguments.get(1) {
        Some(text) => signal::parse(text)?,
        None => libc::SIGTERM,
    };
    let all = own.switch("all");
    let container = cx.root().container(&super::id(arguments)?)?;
    match container.state().init().open()? {
        Some(init) if signal == libc::SIGKILL => kill(&container, &init, all)?,
        Some(init) if !all => {
            if !init.signal(signal)? {
                return Err(not_running());
            }
        }
        // Where the pid namespace is shared, others may have outlived the first process.
        None if !all => return Err(not_running()),
        Some(_) => to_all(&container.processes()?, signal)?,
        None if signal == libc::SIGKILL => kill_rest(&container)?,
        None => to_all(&container.processes()?, signal)?,
    }
    Ok(DONE)
}

/// SIGKILL ends every process of the container: with the pid namespace's first one, or one by one
/// where that namespace is shared with others.
fn kill(container: &Container, init: &Init, all: bool) -> Result<(), Error> {
    let ended_before = !init.signal(libc::SIGKILL)?;
    if ended_before && !all {
        return Err(not_running());
    }
    if !container.state().own_pid_namespace {
        return kill_rest(container);
    }
    // On cgroup v1 nobody dies frozen.
    let processes = container.processes()?;
    if processes.is_frozen()? { processes.thaw() } else { Ok(()) }
}

fn kill_rest(container: &Container) -> Result<(), Error> {
    let processes = container.processes()?;
    if processes.pids()?.is_empty() { Ok(()) } else { processes.kill() }
}

/// Sends a signal to each process of the control group.
///
/// A number is only trusted when it is still listed after its descriptor has been opened: then the
/// descriptor is that of a process of the container, or reaches nobody.
fn to_all(processes: &Processes, signal: i32) -> Result<(), Error> {
    let held: Vec<(Pid, OwnedFd)> = processes
        .pids()?
        .into_iter()
        .filter_map(|pid| pidfd_open(pid).ok().map(|pidfd| (pid, pidfd)))
        .collect();
    if held.is_empty() {
        return Ok(());
    }
    let mut still = processes.pids()?;
    still.sort_unstable();
    for (pid, pidfd) in held {
        if still.binary_search(&pid).is_ok() {
            // One that has ended in between needs no signal.
            let _ = pidfd_send_signal(&pidfd, signal);
        }
    }
    Ok(())
}

fn not_running() -> Error {
    Error::said(Code::CONTAINER_STATUS, "container not running")
}
