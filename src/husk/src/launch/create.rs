//! Making a container: the host's side of `create` and of the first half of `run`.

use super::agent::notify;
use super::bring_up::{Caller, Steering, bring_up};
use super::cgroups::{fill, fill_shown, shape};
use super::inherited::Inherited;
use super::sockets::Receiver;
use super::{Session, notify as ready, read_config};
use crate::cgroup::{CgroupPlan, Driver, Layout};
use crate::config::{self, Config};
use crate::container::{
    ContainerId, Identity, Later, Locked, Root, State, Status, destroy, for_hooks, pid_file,
};
use crate::error::{Code, Error, Problems};
use crate::hooks::{self, Point};
use crate::log::{self, Log};
use crate::namespaces::{self, Kind};
use crate::net_devices::NetDevices;
use crate::paths::HostPath;
use crate::plan::{self, CgroupSteps, Plan};
use crate::seccomp::Agent;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The container's id.
    pub id: ContainerId,
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
    /// Socket that receives the terminal.
    pub console_socket: Option<PathBuf>,
    /// Socket that receives a pidfd.
    pub pidfd_socket: Option<PathBuf>,
    /// File that the pid is written to.
    pub pid_file: Option<PathBuf>,
    /// Whether pivot_root is not used.
    pub no_pivot: bool,
    /// Whether the caller's session keyring is kept.
    pub no_new_keyring: bool,
    /// How many descriptors the program gets besides 0-2 and those of LISTEN_FDS.
    pub preserve_fds: u32,
    /// Whether systemd is asked to make the cgroup.
    pub systemd_cgroup: bool,
    /// Whether the init waits for `start`.
    pub waits: bool,
    /// Whether the caller stays and relays the terminal.
    pub foreground: bool,
}

/// A container that has been made; its init waits for permission to execute the program, or, for
/// `create`, has it and waits for `start`.
#[derive(Debug)]
pub struct Created {
    /// Its directory.
    pub dir: Locked,
    /// Its state.
    pub state: State,
    /// The session with its init.
    pub session: Session,
    /// The plan's steps, for what the init may still report.
    pub steps: plan::Steps,
    /// The terminal's master, for a caller that relays it.
    pub terminal: Option<OwnedFd>,
    /// The kept configuration.
    pub config: Vec<u8>,
}

impl Created {
    /// Leaves the init alone, to wait for `start`.
    pub fn release(self) {
        self.session.release();
    }
}

/// Everything that `create` decides before it does anything.
struct Decided {
    plan: Plan,
    cgroup: Option<CgroupPlan>,
    console: Option<Receiver>,
    pidfd: Option<Receiver>,
}

/// Makes a container up to the point where its program could be executed.
///
/// # Errors
/// Whatever is wrong with the configuration, and whatever the system refuses; nothing of the
/// container is then left.
pub fn create(root: &Root, options: &Options, log: &mut Log) -> Result<Created, Error> {
    let text = read_config(&options.bundle)?;
    let config = config::parse(&text)?;
    let inherited = Inherited::take(options.preserve_fds)?;
    let decided = decide(&config, options, inherited)?;
    for warning in &decided.plan.warnings {
        log.warning(warning.to_string());
    }
    let dir = root.reserve(&options.id)?;
    let mut making = Making { dir: Some(dir), record: None, options, config: &config };
    match making.carry_out(decided, &text, log) {
        Ok((session, state, steps, terminal)) => {
            let Some(dir) = making.dir.take() else {
                return Err(Error::said(Code::LAUNCH, "the container's directory is gone"));
            };
            Ok(Created { dir, state, session, steps, terminal, config: text })
        }
        Err(error) => {
            making.undo(log);
            Err(error)
        }
    }
}

fn decide(config: &Config<'_>, options: &Options, inherited: Inherited) -> Result<Decided, Error> {
    if options.systemd_cgroup {
        let words = "husk cannot ask systemd for cgroups yet: leave --systemd-cgroup out";
        return Err(Error::said(Code::UNSUPPORTED, words));
    }
    let terminal = config.process.as_ref().is_some_and(|process| process.terminal);
    check_terminal(terminal, options)?;
    let mut problems = Problems::default();
    let cgroup = plan_cgroup(config, options, &mut problems)?;
    let bundle = HostPath::given(&options.bundle);
    let own_mounts = namespaces::flags(config) & Kind::Mount.flag() != 0;
    let notify = ready::wanted().filter(|_| own_mounts).map(|_| ready::INSIDE);
    let mut extra_env = inherited.env;
    extra_env.extend(notify.map(|_| ready::ENV.to_owned()));
    let request = plan::Request {
        id: options.id.as_str(),
        bundle: &bundle,
        no_pivot: options.no_pivot,
        no_new_keyring: options.no_new_keyring,
        preserved: inherited.count,
        waits: options.waits,
        extra_env,
        notify,
    };
    let shape = cgroup.as_ref().map(shape).transpose()?.unwrap_or_default();
    let plan = plan::create(config, request, CgroupSteps::new(shape), problems)?;
    let receiver = |path: &Option<PathBuf>, what| {
        path.as_ref().map(|path| Receiver::connect(path, what)).transpose()
    };
    Ok(Decided {
        plan,
        cgroup,
        console: receiver(&options.console_socket, "console socket")?,
        pidfd: receiver(&options.pidfd_socket, "pidfd socket")?,
    })
}

/// A terminal needs somebody who takes its other end.
fn check_terminal(terminal: bool, options: &Options) -> Result<(), Error> {
    let words = match (terminal, options.console_socket.is_some(), options.foreground) {
        (true, false, false) => {
            "cannot allocate tty if runc will detach without setting console socket"
        }
        (false, true, _) | (true, true, true) => {
            "cannot use console socket if runc will not detach or allocate tty"
        }
        _ => return Ok(()),
    };
    Err(Error::said(Code::TERMINAL, words))
}

fn plan_cgroup(
    config: &Config<'_>,
    options: &Options,
    problems: &mut Problems,
) -> Result<Option<CgroupPlan>, Error> {
    let linux = config.linux.as_ref();
    let request = crate::cgroup::Request {
        id: options.id.as_str(),
        cgroups_path: linux.map(|l| &*l.cgroups_path).unwrap_or_default(),
        resources: linux.and_then(|l| l.resources.as_ref()),
        devices: linux.map(|l| &*l.devices).unwrap_or_default(),
        driver: Driver::Cgroupfs,
        rootless: !nix::unistd::geteuid().is_root(),
    };
    CgroupPlan::new(&request, &Layout::detect()?, problems)
}

/// A container that is being made, and has to be taken back if that fails.
struct Making<'a> {
    dir: Option<Locked>,
    record: Option<String>,
    options: &'a Options,
    config: &'a Config<'a>,
}

type Ready = (Session, State, plan::Steps, Option<OwnedFd>);

impl Making<'_> {
    /// The one order of making a container. What is needed to clean up is on disk before there is
    /// anything to clean up.
    fn carry_out(&mut self, decided: Decided, text: &[u8], log: &mut Log) -> Result<Ready, Error> {
        let Decided { mut plan, cgroup, console, pidfd } = decided;
        let Some(dir) = &self.dir else {
            return Err(Error::said(Code::LAUNCH, "the container's directory is gone"));
        };
        dir.open_to_search()?;
        let record = cgroup.as_ref().map(CgroupPlan::record).unwrap_or_default();
        if cgroup.is_some() {
            dir.record_cgroup(&record)?;
        }
        dir.keep_config(text)?;
        let mut birthplace = None;
        if let Some(cgroup) = &cgroup {
            let cgroup = cgroup.create()?;
            // From here on what is in it is this container's. What was there before is somebody
            // else's, and a failure must leave it alone.
            self.record = Some(record);
            birthplace = fill(cgroup.join()?, &plan.cgroup, &mut plan.steps);
            fill_shown(&cgroup, &plan.cgroup, &mut plan.steps)?;
        }
        if let Some(slot) = plan.fifo {
            plan.steps.fill(slot, 0, dir.make_gate()?);
        }
        if let Some(slot) = plan.notify {
            plan.steps.fill(slot, 0, ready::prepare(dir)?);
        }
        let agent = plan.agent.as_ref();
        let net_devices = &plan.net_devices;
        let mut host = Host { making: self, state: None, dir, agent, net_devices };
        let caller = Caller {
            maps: plan.maps.as_ref(),
            rlimits: &plan.rlimits,
            birthplace: birthplace.as_ref(),
            console: console.as_ref(),
            foreground: self.options.foreground,
        };
        let (session, terminal) = bring_up(&plan.steps, &caller, &mut host, log)?;
        let Some(state) = host.state else {
            return Err(Error::said(Code::LAUNCH, "container init was never started"));
        };
        let init = session.init();
        if let (Some(receiver), Some(init)) = (&pidfd, init) {
            receiver.send("standard", &init.pidfd)?;
        }
        if let Some(path) = &self.options.pid_file {
            pid_file::write(path, state.init().pid)?;
        }
        if self.options.waits {
            session.go()?;
        }
        Ok((session, state, plan.steps, terminal))
    }

    /// Takes everything back, in the reverse order. The init is gone by now.
    fn undo(&mut self, log: &mut Log) {
        let Some(dir) = self.dir.take() else { return };
        if let Err(error) = destroy(dir, self.record.as_deref()) {
            log.warning(format!("the container that failed to start is not removed: {error}"));
        }
        if let Some(path) = &self.options.pid_file {
            let _ = std::fs::remove_file(path);
        }
        let hooks = self.config.hooks.as_ref().map(|h| &*h.poststop).unwrap_or_default();
        let state = self.state_for_hooks(Status::Stopped, None);
        for hook in hooks {
            let one = std::slice::from_ref(hook);
            if let Err(error) = hooks::run(Point::Poststop, one, &state, &self.options.bundle) {
                log.warning(error.to_string());
            }
        }
    }

    fn state_for_hooks(&self, status: Status, pid: Option<i32>) -> Vec<u8> {
        let annotations = annotations(self.config);
        let bundle = self.options.bundle.to_string_lossy();
        for_hooks(self.options.id.as_str(), status, pid, &bundle, &annotations).unwrap_or_default()
    }
}

fn annotations(config: &Config<'_>) -> BTreeMap<String, String> {
    config.annotations.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

/// What the host side does when the init reaches a point.
struct Host<'a, 'b> {
    making: &'a Making<'b>,
    state: Option<State>,
    dir: &'a Locked,
    agent: Option<&'a Agent>,
    net_devices: &'a NetDevices,
}

impl Steering for Host<'_, '_> {
    /// Puts the process on record before it may do anything.
    fn cloned(&mut self, pid: Pid) -> Result<(), Error> {
        let Making { options, config, record, .. } = self.making;
        let mut state = State::new(&options.id, Identity::of(pid)?, log::rfc3339(log::now()));
        let bundle = HostPath::given(&options.bundle);
        state.bundle = bundle.to_string();
        let root = config.root.as_ref().map(|root| &*root.path).unwrap_or_default();
        state.rootfs = HostPath::new(&bundle, root).to_string();
        state.cgroup.clone_from(record);
        state.no_new_keyring = options.no_new_keyring;
        let own_root = namespaces::flags(config) & Kind::Mount.flag() != 0;
        state.chroot = options.no_pivot || !own_root;
        state.own_pid_namespace = namespaces::makes_pid_namespace(config);
        if let Some(hooks) = &config.hooks {
            state.hooks = Later {
                start_container: !hooks.start_container.is_empty(),
                poststart: !hooks.poststart.is_empty(),
                poststop: !hooks.poststop.is_empty(),
            };
        }
        state.annotations = annotations(config);
        self.dir.commit(&state)?;
        self.state = Some(state);
        self.net_devices.move_to(pid)
    }

    fn mounted(&mut self, pid: Pid) -> Result<(), Error> {
        let Some(hooks) = &self.making.config.hooks else { return Ok(()) };
        let state = self.making.state_for_hooks(Status::Creating, Some(pid.as_raw()));
        let bundle: &Path = &self.making.options.bundle;
        hooks::run(Point::Prestart, &hooks.prestart, &state, bundle)?;
        hooks::run(Point::CreateRuntime, &hooks.create_runtime, &state, bundle)
    }

    fn filtered(&mut self, pid: Pid, listener: &OwnedFd) -> Result<(), Error> {
        let Some(agent) = self.agent else { return Ok(()) };
        let state = self.making.state_for_hooks(Status::Creating, Some(pid.as_raw()));
        notify(agent, pid, &state, listener)
    }
}
