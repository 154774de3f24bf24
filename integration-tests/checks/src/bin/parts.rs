//! `parts NAME=COMMAND...`: runs the parts of a test run and adds them up.

use std::process::ExitCode;

use checks::parts::{Part, walk};

fn main() -> ExitCode {
    let parts: Result<Vec<Part>, String> =
        std::env::args().skip(1).map(|a| Part::parse(&a)).collect();
    match parts {
        Ok(parts) if !parts.is_empty() => match walk(&parts, &mut std::io::stdout().lock()) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) | Err(_) => ExitCode::FAILURE,
        },
        Ok(_) => usage("no part given"),
        Err(why) => usage(&why),
    }
}

fn usage(why: &str) -> ExitCode {
    eprintln!("{why}\nusage: parts NAME=COMMAND...");
    ExitCode::from(2)
}
