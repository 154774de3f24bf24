//! `linux.seccomp` (config-linux.md §Seccomp).

use super::value::{List, Str, null_is_default};
use serde::Deserialize;

/// `seccomp`. Names stay text: the planner resolves them and says which is unknown.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Seccomp<'a> {
    /// `SCMP_ACT_…` for calls without a rule.
    #[serde(borrow)]
    pub default_action: Str<'a>,
    /// Errno of the default action.
    pub default_errno_ret: Option<u32>,
    /// `SCMP_ARCH_…`, besides the native one.
    pub architectures: List<Str<'a>>,
    /// `SECCOMP_FILTER_FLAG_…`; absent is not the same as empty.
    pub flags: Option<List<Str<'a>>>,
    /// Socket of the seccomp agent; empty: none.
    pub listener_path: Str<'a>,
    /// Passed to the agent.
    pub listener_metadata: Str<'a>,
    /// Rules.
    pub syscalls: List<Syscall<'a>>,
}

/// An element of `syscalls`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Syscall<'a> {
    /// System calls, at least one.
    #[serde(borrow)]
    pub names: List<Str<'a>>,
    /// `SCMP_ACT_…`.
    pub action: Str<'a>,
    /// Errno of the action.
    pub errno_ret: Option<u32>,
    /// Conditions.
    pub args: List<Arg<'a>>,
}

/// A condition on an argument.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Arg<'a> {
    /// Which argument, 0 to 5.
    #[serde(deserialize_with = "null_is_default")]
    pub index: u32,
    /// Value compared with (the mask, for `SCMP_CMP_MASKED_EQ`).
    #[serde(deserialize_with = "null_is_default")]
    pub value: u64,
    /// Second value of `SCMP_CMP_MASKED_EQ`.
    #[serde(deserialize_with = "null_is_default")]
    pub value_two: u64,
    /// `SCMP_CMP_…`.
    #[serde(borrow)]
    pub op: Str<'a>,
}
