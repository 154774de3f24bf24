//! `husk start`.

use super::{Context, DONE};
use crate::cli::Given;
use crate::config::{self, Config};
use crate::container::gate::Passed;
use crate::container::{
    Container, Init, Locked, StateDir, Status, destroy, kill_and_wait, unknown,
};
use crate::error::{Code, Error};
use crate::hooks;
use std::ffi::OsString;
use std::time::Duration;

/// How long the init may take from the gate to its program, hooks not counted.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long `startContainer` hooks without a timeout of their own may take in all.
const HOOK_PATIENCE: Duration = Duration::from_secs(3600);

/// Executes the program of a created container.
pub(super) fn run(cx: &mut Context<'_>, _: &Given, arguments: &[OsString]) -> Result<u8, Error> {
    let dir = cx.root().find(&super::id(arguments)?)?.ok_or_else(unknown)?;
    // Of several that start it at once, one goes on; the others need not wait for its hooks.
    let dir = dir.lock_unless(still_created)?.ok_or_else(unknown)?;
    let container = match Container::read(dir)? {
        crate::container::Found::Whole(container) => container,
        crate::container::Found::HalfMade(_, error) => return Err(error),
    };
    start(container)?;
    Ok(DONE)
}

fn refused(words: &str) -> Error {
    Error::said(Code::CONTAINER_STATUS, words)
}

fn already_running() -> Error {
    refused("cannot start an already running container")
}

/// Refuses to wait for a container whose gate is gone.
fn still_created(dir: &StateDir) -> Result<(), Error> {
    // Without a state it is still being created; its maker lets go of it in a moment.
    if dir.gate()?.is_none() && dir.state()?.is_some() { Err(already_running()) } else { Ok(()) }
}

/// Lets the container's init through the gate, waits until its program has been executed, and runs
/// the poststart hooks.
///
/// # Errors
/// When the container is not a created one, when its program was not executed, or when a hook
/// failed; in the last case the container is gone.
pub fn start(container: Container<Locked>) -> Result<(), Error> {
    match container.status()? {
        Status::Created => {}
        Status::Stopped => return Err(refused("cannot start a container that has stopped")),
        Status::Paused => return Err(refused("cannot start a container in the paused state")),
        _ => return Err(already_running()),
    }
    let stopped = || refused("cannot start a container that has stopped");
    let init = container.state().init().open()?.ok_or_else(stopped)?;
    let (dir, state) = container.into_parts();
    let later = state.hooks;
    let text = if later.start_container || later.poststart { dir.config()? } else { None };
    let config = text.as_deref().map(config::parse).transpose()?;
    pass(&dir, &init, config.as_ref())?;
    if !later.poststart {
        return Ok(());
    }
    // The program runs: whoever wants to kill or delete the container need not wait for hooks.
    let dir = dir.unlock();
    match hooks::poststart(&state, config.as_ref()) {
        Ok(()) => Ok(()),
        Err(error) => {
            if let Some(dir) = dir.lock()? {
                kill_and_wait(&state)?;
                destroy(dir, state.cgroup.as_deref())?;
            }
            Err(error)
        }
    }
}

fn pass(dir: &Locked, init: &Init, config: Option<&Config<'_>>) -> Result<(), Error> {
    let Some(gate) = dir.gate()? else { return Err(already_running()) };
    let patience = PATIENCE.saturating_add(hook_patience(config));
    let failed = |words: String| Error::said(Code::START_FAILED, words);
    match gate.open(dir, init, patience)? {
        Passed::Executed => Ok(()),
        Passed::Ended => Err(failed(
            "container init ended before its program was executed (killed from outside, or its \
             memory limit is too low)"
                .to_owned(),
        )),
        Passed::Said(said) => Err(failed(printable(&said))),
        Passed::Late => Err(failed(format!(
            "the program was not executed within {} seconds",
            patience.as_secs()
        ))),
    }
}

/// How long the `startContainer` hooks may take.
fn hook_patience(config: Option<&Config<'_>>) -> Duration {
    let Some(hooks) = config.and_then(|config| config.hooks.as_ref()) else {
        return Duration::ZERO;
    };
    hooks.start_container.iter().fold(Duration::ZERO, |sum, hook| {
        let own = hook.timeout.and_then(|seconds| u64::try_from(seconds).ok());
        sum.saturating_add(own.map_or(HOOK_PATIENCE, Duration::from_secs))
    })
}

/// What the container's init said, which is not trusted: printable, and not much of it.
fn printable(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    text.chars().filter(|c| !c.is_control()).take(4096).collect()
}
