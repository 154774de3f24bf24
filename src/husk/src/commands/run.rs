//! `husk run`.

use super::Context;
use super::create::CreateOptions;
use crate::cli::Given;
use crate::error::Error;
use crate::launch;
use std::ffi::OsString;

/// What `run` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// As for `create`.
    pub create: CreateOptions,
    /// Whether to return as soon as the program has been executed.
    pub detach: bool,
    /// Whether the container stays when it has ended.
    pub keep: bool,
    /// Whether orphans of the container go to somebody else.
    pub no_subreaper: bool,
}

impl RunOptions {
    /// Checks the options.
    ///
    /// # Errors
    /// As [`CreateOptions::new`].
    pub fn new(own: &Given, arguments: &[OsString]) -> Result<Self, Error> {
        Ok(Self {
            create: CreateOptions::new(own, arguments)?,
            detach: own.switch("detach"),
            keep: own.switch("keep"),
            no_subreaper: own.switch("no-subreaper"),
        })
    }
}

/// Makes a container, starts it and waits for its end; the exit status is the program's.
pub(super) fn run(cx: &mut Context<'_>, own: &Given, arguments: &[OsString]) -> Result<u8, Error> {
    let options = RunOptions::new(own, arguments)?;
    let asked = launch::RunOptions {
        create: options.create.launch(&cx.global, false, !options.detach),
        keep: options.keep,
        no_subreaper: options.no_subreaper,
    };
    let root = cx.root();
    launch::run(&root, &asked, &mut cx.log).map_err(Error::at_run)
}
