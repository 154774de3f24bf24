//! `husk delete`.

use super::{Context, DONE};
use crate::cli::Given;
use crate::container::{
    Container, Found, Locked, State, StateDir, Status, abandon, destroy, kill_and_wait, unknown,
};
use crate::error::{Code, Error};
use crate::hooks;
use crate::log::Log;
use std::ffi::OsString;

/// Deletes a container and everything that belongs to it.
pub(super) fn run(cx: &mut Context<'_>, own: &Given, arguments: &[OsString]) -> Result<u8, Error> {
    let force = own.switch("force");
    let id = super::id(arguments)?;
    let dir = cx.root().find(&id)?.map(StateDir::lock).transpose()?.flatten();
    let Some(dir) = dir else {
        return if force { Ok(DONE) } else { Err(unknown()) };
    };
    match Container::read(dir)? {
        Found::Whole(container) => {
            delete(cx, container, force)?;
            Ok(DONE)
        }
        // The lock is ours: whoever made it has ended before it was whole.
        Found::HalfMade(dir, _) => {
            let record = dir.cgroup()?;
            match dir.state() {
                Ok(None) => abandon(dir, record.as_deref())?,
                _ => destroy(dir, record.as_deref())?,
            }
            if force { Ok(DONE) } else { Err(unknown()) }
        }
    }
}

fn delete(cx: &mut Context<'_>, container: Container<Locked>, force: bool) -> Result<(), Error> {
    match container.status() {
        Ok(Status::Stopped) => {}
        Ok(Status::Created) => kill_and_wait(container.state())?,
        _ if force => kill_and_wait(container.state())?,
        Ok(status) => {
            let id = &container.state().id;
            let words = format!("cannot delete container {id} that is not stopped: {status}");
            return Err(Error::said(Code::CONTAINER_STATUS, words));
        }
        Err(error) => return Err(error),
    }
    let (dir, state) = container.into_parts();
    dispose(&mut cx.log, dir, &state)
}

/// Removes a container whose first process has ended, and runs its poststop hooks.
pub(super) fn dispose(log: &mut Log, dir: Locked, state: &State) -> Result<(), Error> {
    let config = if state.hooks.poststop { dir.config()? } else { None };
    destroy(dir, state.cgroup.as_deref())?;
    // What goes wrong now is told, and changes nothing: the container is gone.
    for failed in hooks::poststop(state, config.as_deref()) {
        log.warning(failed.to_string());
    }
    Ok(())
}
