//! Drives the built binaries from outside, against any runtime with runc's
//! command line.
//!
//! Each test runs in a process of its own ([`runner`]), in a mount namespace of
//! its own with a scratch tmpfs, as a child sub-reaper. So whatever a test or
//! the runtime leaves behind (a mount, a cgroup, a process, a descriptor, a state
//! directory) can be seen and charged to that test ([`guard`]).
//!
//! Environment:
//!
//! * `HUSK_BIN`: the runtime under test. Default: the musl release build, else
//!   the musl debug build, else `debug/husk`, next to this program's target
//!   directory, else `husk` beside this program.
//! * `HUSK_TEST_PEER=1`: the runtime is another one (runc, crun). Tests marked
//!   `stricter` may then fail without failing the run.
//! * `HUSK_TEST_SLOW=N`: multiplies every deadline, for slow machines.
//! * `HUSK_TEST_SCRATCH=DIR`: the existing directory over which the scratch
//!   tmpfs is mounted (only inside the test's mount namespace). Default `/mnt`.

// An assertion is a panic, and a test may touch any path of the host: the
// rules against both are for code that runs outside a test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::exit
)]

pub mod bundle;
pub mod case;
pub mod cgroup;
pub mod console;
pub mod container;
pub mod context;
pub mod guard;
pub mod host;
pub mod inside;
pub mod probe;
pub mod reaper;
pub mod runner;
pub mod runtime;
pub mod suite;
pub mod sys;

use std::process::ExitCode;

/// Runs the program: the suite, or, when started under the name `probe`, the
/// little tool that tests start inside containers.
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    let name = args.first().map(String::as_str).unwrap_or_default();
    if name.rsplit('/').next() == Some("probe") {
        return probe::main(&args[1..]);
    }
    runner::main(args.get(1..).unwrap_or_default())
}
