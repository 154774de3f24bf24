//! `linux.seccomp`: compiles a profile to the program that the kernel runs before each system
//! call of the container (config-linux.md, section Seccomp).
//!
//! The work is done while planning; nothing here asks the kernel anything. The result is loaded by
//! the container's init, which knows when.
//!
//! From the profile to the program: [`profile`] resolves its names and tells what is wrong with
//! it, [`decide`] finds the verdict of every number of every ABI, [`emit`] writes the search.
//! [`calls`] has the numbers. `docs/decisions/seccomp-compiler.md` says why this is not left to a
//! library, and what is answered where the specification is silent.

mod abi;
mod bpf;
mod calls;
mod condition;
mod decide;
mod emit;
mod names;
mod order;
mod profile;
#[cfg(test)]
mod tests;

pub use bpf::{Instruction, MAX_INSTRUCTIONS};
pub use names::{
    ACTIONS, ARCHITECTURES, Action, Errno, FLAG_NEW_LISTENER, FLAG_SPEC_ALLOW,
    FLAG_WAIT_KILLABLE_RECV, FLAGS, OPERATORS, Operator,
};

use crate::config::Seccomp;
use crate::error::{Code, Pointer, Problems};

/// A filter, ready for seccomp(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The program; never empty, never longer than [`MAX_INSTRUCTIONS`].
    pub program: Vec<Instruction>,
    /// `SECCOMP_FILTER_FLAG_…`, among them [`FLAG_NEW_LISTENER`] exactly when `notify` is there.
    pub flags: u32,
    /// Who gets the descriptor that the kernel returns.
    pub notify: Option<Agent>,
}

impl Filter {
    /// The program as the array of `struct sock_filter` that the kernel reads.
    pub fn bytes(&self) -> Vec<u8> {
        self.program.iter().flat_map(|instruction| instruction.to_bytes()).collect()
    }
}

/// The seccomp agent: it decides about the calls whose rule says `SCMP_ACT_NOTIFY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its Unix socket, on the host, as the profile has it; 1 to 107 bytes.
    pub listener_path: String,
    /// Sent along, as the profile has it.
    pub metadata: String,
}

/// Compiles `profile`, which stands at `at`, for this machine.
///
/// Nothing for a profile without a default action and without rules, which asks for no filter,
/// and for one that `problems` then refuses.
pub fn plan(profile: &Seccomp<'_>, at: &Pointer, problems: &mut Problems) -> Option<Filter> {
    plan_for(abi::NATIVE, profile, at, problems)
}

fn plan_for(
    family: &abi::Family,
    profile: &Seccomp<'_>,
    at: &Pointer,
    problems: &mut Problems,
) -> Option<Filter> {
    if profile.default_action.is_empty() && profile.syscalls.is_empty() {
        return None;
    }
    let profile = profile::read(family, profile, at, problems)?;
    let program = emit::emit(&decide::decide(family, &profile));
    if program.len() > MAX_INSTRUCTIONS {
        let reason = format!(
            "the rules need a program of {} instructions, and the kernel takes {MAX_INSTRUCTIONS}",
            program.len()
        );
        let hint = "use fewer conditions on arguments";
        problems.refuse(Code::SECCOMP_TOO_LARGE, at.key("syscalls"), reason, hint);
        return None;
    }
    Some(Filter { program, flags: profile.flags, notify: profile.notify })
}
