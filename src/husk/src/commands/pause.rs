//! `husk pause`.

use super::{Context, DONE};
use crate::cli::Given;
use crate::container::Status;
use crate::error::{Code, Error};
use std::ffi::OsString;

/// Suspends every process of a container.
pub(super) fn run(cx: &mut Context<'_>, _: &Given, arguments: &[OsString]) -> Result<u8, Error> {
    let container = cx.root().locked_container(&super::id(arguments)?)?;
    match container.status()? {
        Status::Created | Status::Running => container.processes()?.freeze()?,
        _ => return Err(Error::said(Code::CONTAINER_STATUS, "container not running")),
    }
    Ok(DONE)
}
