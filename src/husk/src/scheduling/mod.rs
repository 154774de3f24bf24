//! How the kernel serves a process: `process.scheduler`, `process.ioPriority`,
//! `process.execCPUAffinity` (config.md §Linux process) and `linux.memoryPolicy` (config-linux.md).

mod affinity;
mod io_priority;
mod memory_policy;
mod numbers;
mod scheduler;

pub use affinity::Affinity;
pub use memory_policy::{FLAGS as MEMORY_FLAGS, MODES as MEMORY_MODES};

use crate::config::{Linux, Process};
use crate::error::{Pointer, Problems};
use crate::plan::Steps;

/// Appends what holds for the program and all that it starts. It comes while the init still has
/// its rights: most of it needs CAP_SYS_NICE.
pub fn plan(
    process: &Process<'_>,
    linux: Option<&Linux<'_>>,
    at: &Pointer,
    steps: &mut Steps,
    problems: &mut Problems,
) {
    if let Some(scheduler) = &process.scheduler {
        scheduler::plan(scheduler, &at.key("scheduler"), steps, problems);
    }
    if let Some(priority) = &process.io_priority {
        io_priority::plan(priority, &at.key("ioPriority"), steps, problems);
    }
    if let Some(policy) = linux.and_then(|linux| linux.memory_policy.as_ref()) {
        memory_policy::plan(policy, &"/linux/memoryPolicy".into(), steps, problems);
    }
}

/// The names of a table, for a hint.
fn names<T>(table: &[(&str, T)]) -> String {
    let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
    format!("one of {}", names.join(", "))
}

/// What a table says for a name.
fn named<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}
