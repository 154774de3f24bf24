//! `process` (config.md §Process, config-linux.md).

use super::value::{List, Str, null_is_default};
use serde::Deserialize;

/// `process`, also the document that `exec --process` reads.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process<'a> {
    /// Whether the program gets a pseudo-terminal.
    #[serde(deserialize_with = "null_is_default")]
    pub terminal: bool,
    /// Size of that terminal.
    pub console_size: Option<Box_>,
    /// Who the program runs as.
    pub user: User,
    /// The program and its arguments.
    #[serde(borrow)]
    pub args: List<Str<'a>>,
    /// `NAME=value` entries.
    pub env: List<Str<'a>>,
    /// Absolute working directory in the container.
    pub cwd: Str<'a>,
    /// The five capability sets; absent: none in any.
    pub capabilities: Option<Capabilities<'a>>,
    /// Resource limits.
    pub rlimits: List<Rlimit<'a>>,
    /// Sets the no-new-privileges bit.
    #[serde(deserialize_with = "null_is_default")]
    pub no_new_privileges: bool,
    /// AppArmor profile to change to on execve; empty: none.
    pub apparmor_profile: Str<'a>,
    /// SELinux label to execute with; empty: none.
    pub selinux_label: Str<'a>,
    /// Written to `oom_score_adj` when present, -1000 to 1000.
    pub oom_score_adj: Option<i64>,
    /// CPU scheduling policy.
    pub scheduler: Option<Scheduler<'a>>,
    /// I/O scheduling class.
    pub io_priority: Option<IoPriority<'a>>,
    /// CPU affinity of processes added by `exec`.
    #[serde(rename = "execCPUAffinity")]
    pub exec_cpu_affinity: Option<ExecCpuAffinity<'a>>,
}

/// `consoleSize`, in characters.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Box_ {
    /// Rows.
    #[serde(deserialize_with = "null_is_default")]
    pub height: u64,
    /// Columns.
    #[serde(deserialize_with = "null_is_default")]
    pub width: u64,
}

/// `user`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// User id in the container's user namespace.
    #[serde(deserialize_with = "null_is_default")]
    pub uid: u32,
    /// Group id in the container's user namespace.
    #[serde(deserialize_with = "null_is_default")]
    pub gid: u32,
    /// File mode creation mask; absent: left alone.
    pub umask: Option<u32>,
    /// Supplementary groups.
    pub additional_gids: List<u32>,
}

/// `capabilities`: names with the `CAP_` prefix.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Capabilities<'a> {
    /// Bounding set.
    #[serde(borrow)]
    pub bounding: List<Str<'a>>,
    /// Effective set.
    pub effective: List<Str<'a>>,
    /// Inheritable set.
    pub inheritable: List<Str<'a>>,
    /// Permitted set.
    pub permitted: List<Str<'a>>,
    /// Ambient set.
    pub ambient: List<Str<'a>>,
}

/// An element of `rlimits`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Rlimit<'a> {
    /// `RLIMIT_…`.
    #[serde(rename = "type", borrow)]
    pub kind: Str<'a>,
    /// Soft limit; 2^64-1 is unlimited.
    #[serde(deserialize_with = "null_is_default")]
    pub soft: u64,
    /// Hard limit; 2^64-1 is unlimited.
    #[serde(deserialize_with = "null_is_default")]
    pub hard: u64,
}

/// `scheduler`, see sched_setattr(2).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Scheduler<'a> {
    /// `SCHED_…`.
    #[serde(borrow)]
    pub policy: Str<'a>,
    /// Nice value for SCHED_OTHER and SCHED_BATCH, -20 to 19.
    pub nice: Option<i32>,
    /// Static priority for SCHED_FIFO and SCHED_RR.
    pub priority: Option<i32>,
    /// `SCHED_FLAG_…`.
    pub flags: List<Str<'a>>,
    /// Nanoseconds, SCHED_DEADLINE.
    pub runtime: Option<u64>,
    /// Nanoseconds, SCHED_DEADLINE.
    pub deadline: Option<u64>,
    /// Nanoseconds, SCHED_DEADLINE.
    pub period: Option<u64>,
}

/// `ioPriority`, see ioprio_set(2).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IoPriority<'a> {
    /// `IOPRIO_CLASS_…`.
    #[serde(borrow)]
    pub class: Str<'a>,
    /// Level in the class, 0 to 7.
    #[serde(deserialize_with = "null_is_default")]
    pub priority: i64,
}

/// `execCPUAffinity`: lists such as `0-3,7`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ExecCpuAffinity<'a> {
    /// In force until the process is in the container's cgroup.
    #[serde(borrow)]
    pub initial: Str<'a>,
    /// In force afterwards.
    #[serde(rename = "final")]
    pub last: Str<'a>,
}
