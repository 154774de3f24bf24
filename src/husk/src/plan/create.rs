//! The plan of a container: what `create` and `run` carry out, and `check` and `explain` show.

use super::hooks::{InsideHooks, outside_before_pivot};
use super::{CgroupSlots, CgroupSteps, Steps};
use crate::capabilities;
use crate::config::{Config, Process};
use crate::error::{Code, Error, Failure, Pointer, Problem, Problems};
use crate::lsm::Labels;
use crate::namespaces::{Kind, Maps, Namespaces, check_time_offsets};
use crate::net_devices::NetDevices;
use crate::paths::HostPath;
use crate::personality;
use crate::process::{Around, Checked};
use crate::rlimits::Rlimits;
use crate::rootfs::{self, RootChoice};
use crate::scheduling;
use crate::seccomp;
use crate::sysctl;
use husk_init::wire::{Op, Slot, Text, lookup, sync};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use std::os::fd::OwnedFd;

/// What a caller asks for besides the configuration.
#[derive(Debug)]
pub struct Request<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The bundle's directory, absolute.
    pub bundle: &'a HostPath,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// Descriptors from 3 on that the program gets.
    pub preserved: u32,
    /// Whether the init waits for `start`; without, it goes on at once, as for `run`.
    pub waits: bool,
    /// `NAME=value` entries that the environment gets besides.
    pub extra_env: Vec<String>,
    /// Where the directory of the program's notify socket is in the container; none where that has
    /// no mount namespace.
    pub notify: Option<&'a str>,
}

/// Everything that `create` does, decided.
#[derive(Debug)]
pub struct Plan {
    /// What the container's side carries out.
    pub steps: Steps,
    /// The maps of the new user namespace.
    pub maps: Option<Maps>,
    /// Network devices that the host side moves in.
    pub net_devices: NetDevices,
    /// Limits that the host side sets.
    pub rlimits: Rlimits,
    /// Whether the program gets a terminal.
    pub terminal: bool,
    /// The place of the fifo on which the init waits for `start`.
    pub fifo: Option<Slot>,
    /// The place of that directory, once it exists.
    pub notify: Option<Slot>,
    /// Where the cgroups' descriptors go once they exist.
    pub cgroup: CgroupSlots,
    /// Who gets the seccomp notification descriptor.
    pub agent: Option<seccomp::Agent>,
    /// What the specification asks the runtime to warn about.
    pub warnings: Vec<Problem>,
}

/// Plans a container. Problems are added to those found elsewhere already.
///
/// # Errors
/// Everything that is wrong with the configuration.
pub fn create(
    config: &Config<'_>,
    request: Request<'_>,
    mut cgroup: CgroupSteps,
    mut problems: Problems,
) -> Result<Plan, Error> {
    let mut steps = Steps::new();
    check_version(config, &mut problems);
    check_annotations(config, &mut problems);
    let mut namespaces = Namespaces::plan(config, &mut problems);
    let maps = Maps::plan(config, &namespaces, &mut problems);
    check_time_offsets(config, &namespaces, &mut problems);
    check_names(config, &namespaces, &mut problems);
    check_unsupported(config, &mut problems);
    let net_devices = NetDevices::plan(config, &namespaces, &mut problems);

    let at = Pointer::from("/process");
    let linux = config.linux.as_ref();
    let mappings = maps.as_ref().and(linux).map(|l| (&*l.uid_mappings, &*l.gid_mappings));
    let absent = Process::default();
    let process = config.process.as_ref().unwrap_or(&absent);
    if config.process.is_none() {
        problems.refuse(
            Code::CONFIG_MISSING,
            &at,
            "process property must be set",
            "add \"process\" with args and cwd; husk spec shows one",
        );
    }
    let checked = Checked::plan(process, &at, mappings, capabilities::own(), &mut problems);
    let labels = Labels::plan(config, process, &at, &mut problems);
    let filter = linux.and_then(|linux| linux.seccomp.as_ref()).and_then(|profile| {
        seccomp::plan(profile, &Pointer::from("/linux/seccomp"), &mut problems)
    });
    let filter_bytes = filter.as_ref().map(seccomp::Filter::bytes);
    let proc = steps.descriptor(open_proc()?);

    // The launcher, on the host.
    oom_score(process, &at, proc, &mut steps, &mut problems);
    steps.push(&Op::AllCpus {}, "");
    // A process that others in its pid namespace see must hold no directory of the host; and in a
    // user namespace that is joined there is no right to be cloned into a cgroup.
    let by_launcher = !namespaces.is_new(Kind::Pid)
        || namespaces.has(Kind::User) && !namespaces.is_new(Kind::User);
    cgroup.reserve(by_launcher, &mut steps);
    // The init inherits the labels. A hook that it executes would take that of the program.
    let hooks_execute =
        config.hooks.as_ref().is_some_and(|hooks| !hooks.create_container.is_empty());
    labels.key_steps(proc, &mut steps);
    if !hooks_execute {
        labels.exec_steps(proc, &mut steps);
    }
    let keep_proc =
        linux.is_some_and(|linux| !linux.sysctl.is_empty()) || hooks_execute && !labels.is_empty();
    namespaces.launcher_steps(config, proc, keep_proc, cgroup.born_into(), &mut steps);

    // The init, in its namespaces. From here on the order is that of its life.
    steps.push(&Op::Sync { point: sync::SPAWNED }, "");
    if namespaces.is_new(Kind::User) {
        steps.push(&Op::BecomeRoot {}, "/linux/namespaces");
    }
    cgroup.enter(&mut steps);
    if namespaces.is_new(Kind::Cgroup) {
        steps.push(&Op::NewCgroup {}, "/linux/namespaces");
    }
    steps.push(&Op::NewSession {}, "");
    if !request.no_new_keyring {
        let name = format!("_ses.{}", request.id);
        steps.push(&Op::Keyring { name: Text::new(&name), make: true }, "");
    }
    if namespaces.is_new(Kind::Network) {
        steps.push(&Op::LoopbackUp {}, "");
    }
    let hooks = InsideHooks::plan(config, request.id, request.bundle, &checked, &mut problems);
    // Hooks on either side look for the container's files at the path of its root file system.
    let at_its_path = hooks.before_pivot() || outside_before_pivot(config);
    let root = RootChoice { no_pivot: request.no_pivot, at_its_path };
    let around = rootfs::Around { bundle: request.bundle, root, namespaces: &namespaces };
    let late = rootfs::plan_mounts(config, &around, &mut cgroup, &mut steps, &mut problems);
    let notify = request.notify.map(|inside| {
        let (tree, lookup) = (steps.reserve(1), lookup::DIRECTORY);
        steps.push(&Op::Attach { tree, target: Text::new(inside), lookup }, "");
        tree
    });
    if outside_before_pivot(config) {
        steps.push(&Op::Sync { point: sync::MOUNTED }, "/hooks");
    }
    hooks.create_container_steps(&mut steps);
    rootfs::plan_root(config, &around, &mut steps);
    checked.terminal_steps(true, &mut steps);
    if !config.hostname.is_empty() {
        steps.push(&Op::HostName { name: Text::new(&*config.hostname) }, "/hostname");
    }
    if !config.domainname.is_empty() {
        steps.push(&Op::DomainName { name: Text::new(&*config.domainname) }, "/domainname");
    }
    sysctl::plan(config, &namespaces, proc, &mut steps, &mut problems);
    if keep_proc {
        steps.push(&Op::Forget { slot: proc }, "");
    }
    checked.directory_steps(&mut steps);
    rootfs::plan_protection(config, &late, &mut steps, &mut problems);
    let fifo = request.waits.then(|| steps.reserve(1));
    let around = Around {
        filter: filter.as_ref().zip(filter_bytes.as_deref()).map(|(f, bytes)| (f.flags, bytes)),
        first_closed: request.preserved.saturating_add(3),
        fifo,
        no_groups: false,
        extra_env: request.extra_env,
    };
    if hooks_execute {
        labels.exec_steps(proc, &mut steps);
    }
    scheduling::plan(process, linux, &at, &mut steps, &mut problems);
    personality::plan(linux, &mut steps, &mut problems);
    checked.confine_steps(&around, &mut steps);
    hooks.start_container_steps(&mut steps);
    checked.execute_steps(&around, &mut steps);

    let warnings = problems.into_result()?;
    let (rlimits, terminal) = (checked.rlimits, process.terminal);
    let cgroup = cgroup.into_slots();
    let agent = filter.and_then(|filter| filter.notify);
    Ok(Plan { steps, maps, net_devices, rlimits, terminal, fifo, notify, cgroup, agent, warnings })
}

/// The host's procfs, made sure to be one.
pub(super) fn open_proc() -> Result<OwnedFd, Error> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let proc = open("/proc", flags, Mode::empty())
        .map_err(|e| Failure::new(Code::LAUNCH, "open /proc").errno("open", e as i32))?;
    let kind = fstatfs(&proc).map(|s| s.filesystem_type());
    if kind != Ok(PROC_SUPER_MAGIC) {
        return Err(Failure::new(Code::LAUNCH, "use /proc: it is not a procfs").into());
    }
    Ok(proc)
}

pub(super) fn oom_score(
    process: &Process<'_>,
    at: &Pointer,
    proc: Slot,
    steps: &mut Steps,
    problems: &mut Problems,
) {
    let Some(score) = process.oom_score_adj else { return };
    let at = at.key("oomScoreAdj");
    match i32::try_from(score) {
        Ok(score) if (-1000..=1000).contains(&score) => {
            steps.push(&Op::OomScore { proc, score }, at);
        }
        _ => {
            let reason = format!("{score} is not an OOM score");
            problems.refuse(Code::CONFIG_INVALID, at, reason, "-1000 to 1000");
        }
    }
}

/// SemVer, and a major version that husk knows.
fn check_version(config: &Config<'_>, problems: &mut Problems) {
    let version = &*config.oci_version;
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<Option<u32>> = core.split('.').map(|n| n.parse().ok()).collect();
    if version.is_empty() {
        let reason = "ociVersion is required";
        problems.refuse(Code::CONFIG_VERSION, "/ociVersion", reason, "e.g. \"1.2.1\"");
    } else if !matches!(numbers[..], [Some(_), Some(_), Some(_)]) {
        let reason = format!("{version:?} is not a version (SemVer)");
        problems.refuse(Code::CONFIG_VERSION, "/ociVersion", reason, "e.g. \"1.2.1\"");
    } else if numbers.first() != Some(&Some(1)) {
        let reason = format!("version {version} of the specification is not supported");
        problems.refuse(Code::CONFIG_VERSION, "/ociVersion", reason, "1.0.0 to 1.3.0");
    }
}

fn check_annotations(config: &Config<'_>, problems: &mut Problems) {
    if config.annotations.iter().any(|(key, _)| key.is_empty()) {
        problems.refuse(
            Code::CONFIG_INVALID,
            "/annotations",
            "an annotation with an empty key",
            "name the annotation, or take it out",
        );
    }
}

/// What husk cannot honour yet is refused rather than left out in silence.
fn check_unsupported(config: &Config<'_>, problems: &mut Problems) {
    let Some(linux) = &config.linux else { return };
    if linux.intel_rdt.is_some() {
        let reason = "a class of the resource director, which husk cannot set up yet";
        let hint = "leave the property out";
        problems.refuse(Code::UNSUPPORTED, "/linux/intelRdt", reason, hint);
    }
}

/// Host name and domain name need a UTS namespace, or they would be the host's.
fn check_names(config: &Config<'_>, namespaces: &Namespaces, problems: &mut Problems) {
    for (key, name) in [("/hostname", &config.hostname), ("/domainname", &config.domainname)] {
        if name.is_empty() {
            continue;
        }
        if !namespaces.has(Kind::Uts) || namespaces.is_the_callers(Kind::Uts) {
            let reason = "unable to set hostname or domainname without a private UTS namespace";
            let hint = "add {\"type\": \"uts\"} to linux.namespaces";
            problems.refuse(Code::HOSTNAME, key, reason, hint);
        }
        if name.len() > 64 {
            let reason = format!("{} bytes are more than a name can have", name.len());
            problems.refuse(Code::HOSTNAME, key, reason, "64 at the most");
        }
    }
}
