//! The `husk` program.
//!
//! The C library calls it directly: what the standard library prepares before a `main` of its own
//! (a stack for signals, handlers for stack overflow) costs every command a dozen system calls,
//! and a stack overflow ends the program without them, too.

#![no_main]

mod sys;

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;

/// Does what the command line asks for; the exit status.
fn run<'a>(arguments: impl Iterator<Item = &'a CStr>) -> u8 {
    let words = arguments.skip(1).map(|word| OsStr::from_bytes(word.to_bytes()).to_owned());
    husk::commands::main(words, &mut husk::commands::Stdout)
}
