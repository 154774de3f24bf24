//! The plan of a process that is added to a container.

use super::create::{oom_score, open_proc};
use super::{CgroupSlots, CgroupSteps, Shape, Steps};
use crate::capabilities;
use crate::config::{Config, Process};
use crate::error::{Code, Error, Failure, Pointer, Problem, Problems};
use crate::lsm::Labels;
use crate::namespaces::{self, Kind};
use crate::personality;
use crate::process::{Around, Checked};
use crate::rlimits::Rlimits;
use crate::scheduling;
use crate::seccomp;
use husk_init::wire::{Op, Text, sync};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use std::os::fd::OwnedFd;

/// What a caller asks for besides the process.
#[derive(Debug)]
pub struct ExecRequest<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The container's first process.
    pub init: Pid,
    /// Its descriptor, through which its namespaces are joined.
    pub pidfd: OwnedFd,
    /// Where the process stands in its document.
    pub at: Pointer,
    /// Whether the container has a session keyring of its own.
    pub keyring: bool,
    /// Whether the container's root is not that of its mount namespace.
    pub chroot: bool,
    /// Descriptors from 3 on that the program gets.
    pub preserved: u32,
    /// `NAME=value` entries that the environment gets besides.
    pub extra_env: Vec<String>,
}

/// Everything that `exec` does, decided.
#[derive(Debug)]
pub struct ExecPlan {
    /// What the container's side carries out.
    pub steps: Steps,
    /// Limits that the host side sets.
    pub rlimits: Rlimits,
    /// Whether the program gets a terminal.
    pub terminal: bool,
    /// Where the cgroups' descriptors go.
    pub cgroup: CgroupSlots,
    /// Who gets the seccomp notification descriptor.
    pub agent: Option<seccomp::Agent>,
    /// What the specification asks the runtime to warn about.
    pub warnings: Vec<Problem>,
}

/// Plans a process of a container that was made from `config`.
///
/// The launcher joins everything but the user and the cgroup namespace: with husk's own rights it
/// can put the process into its cgroup, and no process of the container ever sees one whose root
/// directory is still the host's.
///
/// # Errors
/// Everything that is wrong with the process.
pub fn exec(
    config: &Config<'_>,
    process: &Process<'_>,
    request: ExecRequest<'_>,
    shape: Shape,
) -> Result<ExecPlan, Error> {
    let mut problems = Problems::default();
    let mut steps = Steps::new();
    let mut cgroup = CgroupSteps::new(shape);
    let linux = config.linux.as_ref();
    let own = namespaces::flags(config);
    let user_and_cgroup = Kind::User.flag() | Kind::Cgroup.flag();
    let has_user = own & Kind::User.flag() != 0;
    let mappings = linux.filter(|_| has_user).map(|l| (&*l.uid_mappings, &*l.gid_mappings));
    let at = &request.at;
    let checked = Checked::plan(process, at, mappings, capabilities::own(), &mut problems);
    let labels = Labels::plan(config, process, at, &mut problems);
    let filter = linux.and_then(|linux| linux.seccomp.as_ref()).and_then(|profile| {
        seccomp::plan(profile, &Pointer::from("/linux/seccomp"), &mut problems)
    });
    let filter_bytes = filter.as_ref().map(seccomp::Filter::bytes);
    let root = steps.descriptor(open_root(request.init)?);
    let proc = steps.descriptor(open_proc()?);
    let init = steps.descriptor(request.pidfd);

    oom_score(process, at, proc, &mut steps, &mut problems);
    checked.affinity.initial_steps(&mut steps);
    // The clone inherits them, and nothing is executed before the program.
    labels.key_steps(proc, &mut steps);
    labels.exec_steps(proc, &mut steps);
    // The process appears among those of the container: whatever it holds, they may reach.
    cgroup.reserve(true, &mut steps);
    steps.push(&Op::Forget { slot: proc }, "");
    // setns(2) refuses a descriptor of a process without a type to join.
    if own & !user_and_cgroup != 0 {
        let kinds = own & !user_and_cgroup;
        steps.push(&Op::Join { namespace: init, kinds }, "/linux/namespaces");
    }
    let op = Op::Clone { flags: 0, cgroup: init, into_cgroup: false };
    steps.push(&op, "/linux/namespaces");

    steps.push(&Op::Sync { point: sync::SPAWNED }, "");
    cgroup.enter(&mut steps);
    checked.affinity.final_steps(&mut steps);
    if own & user_and_cgroup != 0 {
        steps
            .push(&Op::Join { namespace: init, kinds: own & user_and_cgroup }, "/linux/namespaces");
    }
    if has_user {
        steps.push(&Op::BecomeRoot {}, "/linux/namespaces");
    }
    steps.push(&Op::NewSession {}, "");
    if request.keyring {
        let name = format!("_ses.{}", request.id);
        steps.push(&Op::Keyring { name: Text::new(&name), make: false }, "");
    }
    steps.push(&Op::UseRoot { directory: root }, "");
    if request.chroot {
        steps.push(&Op::Chroot { directory: root }, "");
    }
    checked.terminal_steps(false, &mut steps);
    let around = Around {
        filter: filter.as_ref().zip(filter_bytes.as_deref()).map(|(f, bytes)| (f.flags, bytes)),
        first_closed: request.preserved.saturating_add(3),
        fifo: None,
        no_groups: false,
        extra_env: request.extra_env,
    };
    scheduling::plan(process, linux, at, &mut steps, &mut problems);
    personality::plan(linux, &mut steps, &mut problems);
    checked.confine_steps(&around, &mut steps);
    checked.execute_steps(&around, &mut steps);

    let warnings = problems.into_result()?;
    let (rlimits, terminal) = (checked.rlimits, process.terminal);
    let agent = filter.and_then(|filter| filter.notify);
    Ok(ExecPlan { steps, rlimits, terminal, cgroup: cgroup.into_slots(), agent, warnings })
}

/// The root directory of the container's first process.
fn open_root(init: Pid) -> Result<OwnedFd, Error> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(format!("/proc/{init}/root").as_str(), flags, Mode::empty()).map_err(|e| {
        Failure::new(Code::LAUNCH, "open the container's root").errno("open", e as i32).into()
    })
}
