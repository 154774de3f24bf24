//! `husk kill`.

use super::{Context, DONE, signal};
use crate::cli::Given;
use crate::container::{Container, Init};
use crate::error::{Code, Error};
use std::ffi::OsString;

/// Sends a signal to the container's first process, or to all.
pub(super) fn run(cx: &mut Context<'_>, own: &Given, arguments: &[OsString]) -> Result<u8, Error> {
    let signal = match arguments.get(1) {
        Some(text) => signal::parse(text)?,
        None => libc::SIGTERM,
    };
    let all = own.switch("all");
    let container = cx.root().container(&super::id(arguments)?)?;
    let alive = match container.state().init().open()? {
        Some(init) if signal == libc::SIGKILL => kill(&container, &init)?,
        Some(init) if all => container.processes()?.signal(signal)? || init.signal(signal)?,
        Some(init) => init.signal(signal)?,
        None => false,
    };
    if alive {
        return Ok(DONE);
    }
    if !all {
        return Err(Error::said(Code::CONTAINER_STATUS, "container not running"));
    }
    // Where the pid namespace is shared, others may have outlived the first process. There being
    // nobody is fine: callers ask for this after the end, too.
    let processes = container.processes()?;
    if signal == libc::SIGKILL {
        processes.kill()?
    } else {
        processes.signal(signal)?
    };
    Ok(DONE)
}

/// SIGKILL ends every process of the container: with the first one of its pid namespace, or one by
/// one where that namespace is shared with others. Whether the first process was alive.
fn kill(container: &Container, init: &Init) -> Result<bool, Error> {
    if !init.signal(libc::SIGKILL)? {
        return Ok(false);
    }
    let processes = container.processes()?;
    if !container.state().own_pid_namespace {
        processes.kill()?;
    } else if processes.is_frozen()? {
        // On cgroup v1 nobody dies frozen.
        processes.thaw()?;
    }
    Ok(true)
}
