//! The `husk` program.

use std::process::ExitCode;

// Before this point the standard library has put /dev/null in the place of a closed descriptor 0,
// 1 or 2, so that nothing opened later can take its number, and ignores SIGPIPE, so that a closed
// pipe is an error that is reported.
fn main() -> ExitCode {
    let words = std::env::args_os().skip(1);
    ExitCode::from(husk::commands::main(words, &mut husk::commands::Stdout))
}
