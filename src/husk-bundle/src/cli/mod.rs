//! The command line: one table of options drives parsing and help.

mod help;
mod options;
mod parse;

use crate::error::{Error, Kind, Result};
use crate::layer::Limits;
use crate::unpack::unpack;
use crate::verify::verify;
use parse::{Command, Output};
use std::ffi::OsString;
use std::io::Write;

/// Limits that a signal (SIGINT, SIGTERM, SIGHUP) ends. Changes what these signals do
/// in the whole process, so it is for the program alone.
pub fn limits_with_signals() -> Result<Limits> {
    Ok(Limits { cancel: crate::sys::cancel_on_signals()? })
}

/// Runs the program and gives its exit status: 0, 1 refused or failed, 2 usage,
/// 3 not found.
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    limits: &Limits,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    match try_run(args, limits, out, err) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(err, "husk-bundle: {error}");
            if error.kind() == Kind::Usage {
                let _ = writeln!(err, "See husk-bundle --help.");
            }
            error.kind().exit_status()
        }
    }
}

fn try_run(
    args: impl IntoIterator<Item = OsString>,
    limits: &Limits,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<()> {
    let cannot_write = |error| Error::from(error).in_context("writing the output");
    match parse::parse(args)? {
        Command::Help(topic) => out.write_all(help::text(topic).as_bytes()).map_err(cannot_write),
        Command::Version => {
            writeln!(out, "husk-bundle {}", env!("CARGO_PKG_VERSION")).map_err(cannot_write)
        }
        Command::Unpack(mut order, output) => {
            order.limits = limits.clone();
            let report = unpack(&order)?;
            let summary = format!(
                "{} ({}, {}): {} layers, {} entries, {} bytes",
                report.bundle.display(),
                report.platform,
                report.digest.as_deref().unwrap_or("no digest"),
                report.layers,
                report.entries,
                report.bytes
            );
            say(output, &report.to_json(), &report.warnings, &summary, out, err)
        }
        Command::Verify(choice, output) => {
            let found = verify(&choice, limits)?;
            let summary = format!(
                "{} ({}, {}): {} layers, {} entries, {} bytes, all as promised",
                choice.image,
                found.platform,
                found.digest.as_deref().unwrap_or("no digest"),
                found.layers,
                found.entries,
                found.bytes
            );
            say(output, &found.to_json(), &found.warnings, &summary, out, err)
        }
    }
}

/// Reports what was done, in the form that was asked for.
fn say(
    output: Output,
    document: &serde_json::Value,
    warnings: &[String],
    summary: &str,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<()> {
    if output == Output::Json {
        return writeln!(out, "{document}")
            .map_err(|error| Error::from(error).in_context("writing the output"));
    }
    if output != Output::Quiet {
        for warning in warnings {
            let _ = writeln!(err, "husk-bundle: warning: {warning}");
        }
    }
    if output == Output::Verbose {
        let _ = writeln!(err, "husk-bundle: {summary}");
    }
    Ok(())
}
