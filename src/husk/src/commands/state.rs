//! `husk state`.

use super::{Context, DONE};
use crate::cli::Given;
use crate::container::Document;
use crate::error::Error;
use std::ffi::OsString;

/// Prints the state document. Callers read both output streams as one: nothing else is printed.
pub(super) fn run(cx: &mut Context<'_>, _: &Given, arguments: &[OsString]) -> Result<u8, Error> {
    let container = cx.root().container(&super::id(arguments)?)?;
    let document = Document::new(container.state(), container.status()?, "");
    let text = serde_json::to_string_pretty(&document).map_err(super::no_json)?;
    cx.print(&text)?;
    Ok(DONE)
}
