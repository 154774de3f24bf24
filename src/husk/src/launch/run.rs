//! `run`: create, start and wait in one process.

use super::bring_up::executed;
use super::create::{Created, Options, create};
use super::foreground::{Foreground, Signals};
use super::notify::Listener;
use super::session::Init;
use crate::config;
use crate::container::{Locked, Root, State, destroy, kill_and_wait};
use crate::error::Error;
use crate::hooks;
use crate::log::Log;
use crate::sys::process::set_subreaper;
use nix::unistd::Pid;
use std::os::fd::AsFd;
use std::time::Duration;

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
    let mut go = || {
        let listener = Listener::new(&dir)?;
        session.go()?;
        executed(&mut session, &steps, log)?;
        Ok(listener)
    };
    let listener = match go() {
        Ok(listener) => listener,
        Err(error) => {
            drop(session);
            clean_up(Some(dir), &state, &text, log);
            return Err(error);
        }
    };
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
    let Some(signals) = signals else {
        if let Some(listener) = listener {
            listener.relay(init.pidfd.as_fd(), init.pid, log);
        }
        return Ok(0);
    };
    if let Some(listener) = listener {
        in_background(listener, &init);
    }
    let status = Foreground { init: &init, terminal, signals }.wait();
    if status.is_err() {
        // Nobody is left who would look after it.
        let _ = kill_and_wait(&state);
    }
    if !options.keep {
        match dir.lock() {
            Ok(dir) => clean_up(dir, &state, &text, log),
            Err(error) => log.warning(error.to_string()),
        }
    }
    status
}

/// Listens beside the foreground, where husk itself is the process to watch.
fn in_background(listener: Listener, init: &Init) {
    let Ok(program) = init.pidfd.try_clone() else { return };
    // It ends with the program or with husk. What it fails in would be told amid the program's
    // own output.
    std::thread::spawn(move || {
        let _ = listener.wait(program.as_fd(), Pid::this(), Duration::MAX);
    });
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
