//! One file a command: resolve its options, call the library, print.

pub mod create;
mod delete;
pub mod exec;
mod features;
mod kill;
mod list;
mod output;
mod pause;
mod ps;
mod resume;
pub mod run;
mod signal;
mod spec;
mod start;
mod state;
mod version;

pub use output::Stdout;

use crate::cli::{self, Given, Global, Request, Usage, global, help, table};
use crate::container::{ContainerId, Root};
use crate::error::{Code, Error};
use crate::log::Log;
use std::ffi::{OsStr, OsString};
use std::io::Write;

/// What every command works with.
pub struct Context<'a> {
    /// The global options.
    pub global: Global,
    /// Where to say what is odd.
    pub log: Log,
    /// Standard output.
    pub out: &'a mut dyn Write,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("global", &self.global).finish_non_exhaustive()
    }
}

impl Context<'_> {
    /// The runtime root.
    pub fn root(&self) -> Root {
        let root = &self.global.root;
        Root::new(&root.path).sticky(root.in_user_runtime_dir)
    }

    /// Prints all of `text`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn print(&mut self, text: &str) -> Result<(), Error> {
        output::print(self.out, text)
    }
}

/// Exit status of a command that did what it was asked.
pub const DONE: u8 = 0;

/// Reads the command line, does what it asks for, and gives the exit status.
pub fn main(words: impl IntoIterator<Item = OsString>, out: &mut dyn Write) -> u8 {
    let printed = match cli::parse(words) {
        Ok(Request::Help(None)) => output::print(out, &help::program()),
        Ok(Request::Help(Some(command))) => output::print(out, &help::command(command)),
        Ok(Request::Version) => output::print(out, &version::text()),
        Ok(Request::Command { global, command, own, arguments }) => {
            return execute(&global, command, &own, &arguments, out);
        }
        Err(Usage { message, command, global }) => {
            let _ = output::print(out, &command.map_or_else(help::program, help::command));
            let (Ok(log) | Err((log, _))) = log(&global);
            log.error(&Error::said(Code::USAGE, message));
            return 1;
        }
    };
    match printed {
        Ok(()) => DONE,
        Err(error) => {
            Log::default().error(&error);
            1
        }
    }
}

/// The log that the options ask for; where they cannot be understood, one on standard error.
fn log(given: &Given) -> Result<Log, (Log, Error)> {
    let file = given.last("log").filter(|file| !file.is_empty()).map(Into::into);
    match global::log_format(given) {
        Ok(format) => Ok(Log::new(file, format, given.switch("debug"))),
        Err(error) => Err((Log::new(file, None, false), error)),
    }
}

fn execute(
    given: &Given,
    command: &table::Command,
    own: &Given,
    arguments: &[OsString],
    out: &mut dyn Write,
) -> u8 {
    let log = match log(given) {
        Ok(log) => log,
        Err((log, error)) => {
            log.error(&error);
            return 1;
        }
    };
    let global = match Global::new(given, |name| std::env::var_os(name)) {
        Ok(global) => global,
        Err(error) => {
            log.error(&error);
            return 1;
        }
    };
    let mut cx = Context { global, log, out };
    let (run, failed): (Run, u8) = match command.name {
        "create" => (create::run, 1),
        "delete" => (delete::run, 1),
        "exec" => (exec::run, 255),
        "features" => (features::run, 1),
        "kill" => (kill::run, 1),
        "list" => (list::run, 1),
        "pause" => (pause::run, 1),
        "ps" => (ps::run, 1),
        "resume" => (resume::run, 1),
        "run" => (run::run, 1),
        "spec" => (spec::run, 1),
        "start" => (start::run, 1),
        "state" => (state::run, 1),
        _ => (no_such, 1),
    };
    match run(&mut cx, own, arguments) {
        Ok(status) => {
            cx.log.flush_warnings();
            status
        }
        Err(error) => {
            cx.log.error(&error);
            failed
        }
    }
}

type Run = fn(&mut Context<'_>, &Given, &[OsString]) -> Result<u8, Error>;

fn no_such(_: &mut Context<'_>, _: &Given, _: &[OsString]) -> Result<u8, Error> {
    Err(Error::said(Code::USAGE, "this command has no implementation"))
}

/// The container's id: the first argument.
fn id(arguments: &[OsString]) -> Result<ContainerId, Error> {
    ContainerId::new(arguments.first().map_or(OsStr::new(""), OsString::as_os_str))
}

/// `--format` of `list` and `ps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Table,
    Json,
}

impl Format {
    fn of(own: &Given) -> Result<Self, Error> {
        match own.last("format") {
            None => Ok(Self::Table),
            Some(text) if text == "table" => Ok(Self::Table),
            Some(text) if text == "json" => Ok(Self::Json),
            Some(text) => Err(cli::value::refused("--format", text, "is not table or json")),
        }
    }
}

/// JSON text of a value that husk made.
fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(no_json)
}

fn no_json(error: serde_json::Error) -> Error {
    Error::said(Code::OUTPUT_FAILED, format!("cannot write the output as JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_the_table_has_an_implementation() {
        for command in table::COMMANDS {
            let mut out = Vec::new();
            let words = ["--root", "/nonexistent-husk-root", command.name, "--help"];
            assert_eq!(main(words.map(OsString::from), &mut out), DONE);
            assert!(String::from_utf8(out).unwrap().contains(command.name));
        }
        let source = include_str!("mod.rs");
        for command in table::COMMANDS {
            assert!(source.contains(&format!("\"{}\" => (", command.name)), "{}", command.name);
        }
    }
}
