//! `run`: create, start and wait in one process.

use super::bring_up::executed;
use super::create::{Created, Options, create};
use super::foreground::{Foreground, Signals};
use crate::config;
use crate::container::{Locked, Root, State, destroy, kill_and_wait};
use crate::error::Error;
use crate::hooks;
use crate::log::Log;
use crate::sys::process::set_subreaper;

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// As for `create`.
    pub create: Options,
    /// Whether the container stays when it has ended.
    pub keep: bool,
    /// Whether orphans of the container go to somebody else.
    pub no_subreaper: bool,
}

/// Makes a container and executes its program; in the foreground, waits for its end and removes
/// it. Returns the exit status.
///
/// # Errors
/// As [`create`], and what kept the program from being executed; nothing of the container is left.
pub fn run(root: &Root, options: &RunOptions, log: &mut Log) -> Result<u8, Error> {
    let foreground = options.create.foreground;
    // Before there is a child: none of its signals may be missed.
    let signals = if foreground { Some(Signals::take()?) } else { None };
    if foreground && !options.no_subreaper {
        set_subreaper();
    }
    let created = create(root, &options.create, log)?;
    let Created { dir, state, mut session, steps, terminal, config: text } = created;
    if let Err(error) = session.go().and_then(|()| executed(&mut session, &steps, log)) {
        drop(session);
        clean_up(Some(dir), &state, &text, log);
        return Err(error);
    }
    let poststart = |state: &State| -> Result<(), Error> {
        if !state.hooks.poststart {
            return Ok(());
        }
        hooks::poststart(state, Some(&config::parse(&text)?))
    };
    let dir = dir.unlock();
    if let Err(error) = poststart(&state) {
        let _ = kill_and_wait(&state);
        drop(session);
        clean_up(dir.lock()?, &state, &text, log);
        return Err(error);
    }
    let Some(init) = session.release() else { return Ok(0) };
    let Some(signals) = signals else { return Ok(0) };
    let status = Foreground { init: &init, terminal, signals }.wait();
    if !options.keep
        && let Some(dir) = dir.lock()?
    {
        clean_up(Some(dir), &state, &text, log);
    }
    status
}

/// Removes a container that has ended, and runs its poststop hooks.
fn clean_up(dir: Option<Locked>, state: &State, config: &[u8], log: &mut Log) {
    let Some(dir) = dir else { return };
    if let Err(error) = destroy(dir, state.cgroup.as_deref()) {
        log.warning(error.to_string());
    }
    if state.hooks.poststop {
        for error in hooks::poststop(state, Some(config)) {
            log.warning(error.to_string());
        }
    }
}
