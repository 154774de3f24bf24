//! `husk resume`.

use super::{Context, DONE};
use crate::cli::Given;
use crate::container::Status;
use crate::error::{Code, Error};
use std::ffi::OsString;

/// Lets the processes of a paused container go on.
pub(super) fn run(cx: &mut Context<'_>, _: &Given, arguments: &[OsString]) -> Result<u8, Error> {
    let container = cx.root().locked_container(&super::id(arguments)?)?;
    if container.status()? != Status::Paused {
        return Err(Error::said(Code::CONTAINER_STATUS, "container not paused"));
    }
    container.processes()?.thaw()?;
    Ok(DONE)
}
