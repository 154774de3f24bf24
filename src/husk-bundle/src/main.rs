//! The program: signals, standard streams and the exit status. Everything else is in
//! the library.

use husk_bundle::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    let limits = match cli::limits_with_signals() {
        Ok(limits) => limits,
        Err(error) => {
            eprintln_or_not(&format!("husk-bundle: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let args = std::env::args_os().skip(1);
    let status = cli::run(args, &limits, &mut std::io::stdout(), &mut std::io::stderr());
    ExitCode::from(status)
}

/// Writes to standard error; that it is closed is no reason to fail.
fn eprintln_or_not(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(text.as_bytes());
}
