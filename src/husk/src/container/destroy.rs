//! The end of a container.

use super::cgroups::Processes;
use super::dir::Locked;
use super::state::State;
use crate::error::{Code, Error};
use std::time::{Duration, Instant};

/// How long a killed process may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Milliseconds that a killed first process may take before everything else is killed too.
const FIRST: u16 = 200;

/// Kills a container's first process, and everything else where that does not end with it, and
/// waits until the first process has ended.
///
/// # Errors
/// `container init still running` when it has not ended in time.
pub fn kill_and_wait(state: &State) -> Result<(), Error> {
    let Some(init) = state.init().open()? else { return Ok(()) };
    let processes = Processes::new(state.cgroup.as_deref())?;
    init.signal(libc::SIGKILL)?;
    // On cgroup v1 nobody dies frozen.
    if processes.is_frozen().unwrap_or(true) {
        processes.thaw()?;
    }
    if state.own_pid_namespace && init.wait(FIRST) {
        return Ok(());
    }
    // Either more than the first process has to go, or something holds it up, such as a frozen
    // control group within.
    let killed = processes.kill();
    let deadline = Instant::now().checked_add(PATIENCE);
    while deadline.is_some_and(|deadline| Instant::now() < deadline) {
        if init.wait(100) {
            return Ok(());
        }
        init.signal(libc::SIGKILL)?;
    }
    killed?;
    Err(Error::said(Code::CONTAINER_STATUS, "container init still running"))
}

/// Removes what is left of a container that was never committed, its maker having ended. Its init
/// has ended with its maker; whoever runs in the recorded control group was there before, since a
/// control group with processes is refused, but only after it has been recorded.
///
/// # Errors
/// When something cannot be removed; the directory then stays, for another try.
pub fn abandon(dir: Locked, cgroup: Option<&str>) -> Result<(), Error> {
    Processes::new(cgroup)?.remove_if_empty()?;
    dir.remove()
}

/// Removes a container whose first process has ended: left-over processes, control group,
/// directory. `cgroup` is the control group's record.
///
/// # Errors
/// When something cannot be removed; the directory then stays, for another try.
pub fn destroy(dir: Locked, cgroup: Option<&str>) -> Result<(), Error> {
    Processes::new(cgroup)?.remove()?;
    dir.remove()
}
