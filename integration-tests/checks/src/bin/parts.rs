//! `parts NAME=COMMAND...`: runs the parts of a test run and adds them up.

use std::process::ExitCode;

use checks::parts::{Part, interrupt, walk};
use nix::sys::signal::{SigSet, Signal, raise};

fn main() -> ExitCode {
    let parts: Result<Vec<Part>, String> =
        std::env::args().skip(1).map(|a| Part::parse(&a)).collect();
    match parts {
        Ok(parts) if !parts.is_empty() => {
            pass_signals_on();
            match walk(&parts, &mut std::io::stdout().lock()) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) | Err(_) => ExitCode::FAILURE,
            }
        }
        Ok(_) => usage("no part given"),
        Err(why) => usage(&why),
    }
}

/// Each part is a process group of its own, which the terminal's Ctrl-C does not
/// reach: a signal that ends this program has to end the part as well.
fn pass_signals_on() {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    // Blocked in every thread, so that only the one below takes them.
    if signals.thread_block().is_err() {
        return;
    }
    std::thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            interrupt();
            let _ = signals.thread_unblock();
            let _ = raise(signal);
        }
    });
}

fn usage(why: &str) -> ExitCode {
    eprintln!("{why}\nusage: parts NAME=COMMAND...");
    ExitCode::from(2)
}
