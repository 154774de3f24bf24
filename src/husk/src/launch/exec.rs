//! `exec`: one more process in a container.

use super::agent::notify;
use super::bring_up::{Caller, Steering, bring_up, executed};
use super::cgroups::{fill, shape_of};
use super::foreground::{Foreground, Signals};
use super::inherited::Inherited;
use super::session::Session;
use super::sockets::Receiver;
use crate::cgroup::{Cgroup, SubCgroup, Version};
use crate::config::{self, Config, List, Process};
use crate::container::{Container, ContainerId, Root, State, Status, for_hooks, pid_file};
use crate::error::{Code, Error, Pointer};
use crate::log::Log;
use crate::plan::{self, ExecRequest, Shape};
use crate::seccomp::Agent;
use crate::sys::process::{pidfd_open, set_subreaper};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// What a caller asks for.
#[derive(Debug)]
pub struct ExecOptions<'a> {
    /// The container's id.
    pub id: &'a ContainerId,
    /// The process, and where it stands in its document.
    pub process: Added<'a>,
    /// Whether to return as soon as the program has been executed.
    pub detach: bool,
    /// File that the pid is written to.
    pub pid_file: Option<PathBuf>,
    /// Socket that receives the terminal.
    pub console_socket: Option<PathBuf>,
    /// Socket that receives a pidfd.
    pub pidfd_socket: Option<PathBuf>,
    /// How many descriptors the program gets besides 0-2 and those of LISTEN_FDS.
    pub preserve_fds: u32,
    /// Control groups below the container's to run in.
    pub cgroups: Vec<SubCgroup>,
    /// Whether a paused container is no obstacle.
    pub ignore_paused: bool,
}

/// Where the process comes from.
pub enum Added<'a> {
    /// A document of its own.
    Document(&'a [u8]),
    /// The container's own process, changed by the caller.
    Changed(&'a dyn Fn(&mut Process<'_>) -> Result<(), Error>),
}

impl std::fmt::Debug for Added<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Document(_) => f.write_str("Document"),
            Self::Changed(_) => f.write_str("Changed"),
        }
    }
}

fn refused(words: &str) -> Error {
    Error::said(Code::CONTAINER_STATUS, words)
}

/// Executes another program in a container. Returns its exit status, 0 when detached.
///
/// # Errors
/// Whatever kept the program from being executed.
pub fn exec(root: &Root, options: &ExecOptions<'_>, log: &mut Log) -> Result<u8, Error> {
    let container = root.container(options.id)?;
    match container.status()? {
        Status::Stopped => return Err(refused("cannot exec in a stopped container")),
        Status::Paused if !options.ignore_paused => {
            let words = "cannot exec in a paused container (use --ignore-paused to override)";
            return Err(refused(words));
        }
        _ => {}
    }
    let text = container.dir().config()?.ok_or_else(|| {
        refused("the container's configuration is gone: it was not made by this husk")
    })?;
    let config = config::parse(&text)?;
    let inherited = Inherited::take(options.preserve_fds)?;
    let (process, at) = process(&config, &options.process)?;
    check_terminal(process.terminal, options)?;
    let state = container.state();
    let group = state.cgroup.as_deref().map(Cgroup::from_record).transpose()?;
    let adding = Adding { options, container: &container, config: &config, group: group.as_ref() };
    let foreground = !options.detach;
    let signals = if foreground { Some(Signals::take()?) } else { None };
    if foreground {
        set_subreaper();
    }
    let mut started = adding.start(&process, &at, &inherited, false, log);
    // A cgroup of version 2 that hands controllers to others takes no process: it goes where the
    // container's init is.
    if group.as_ref().is_some_and(|g| g.version() == Version::V2)
        && options.cgroups.is_empty()
        && matches!(&started, Err(Error::Failed(f)) if f.errno == Errno::EBUSY as i32 && f.syscall == Some("clone3"))
    {
        started = adding.start(&process, &at, &inherited, true, log);
    }
    let (session, terminal) = started?;
    let Some(init) = session.release() else { return Ok(0) };
    match signals {
        Some(signals) => Foreground { init: &init, terminal, signals }.wait(),
        None => Ok(0),
    }
}

/// The process that is added: what its document leaves out is as in the container's own.
fn process<'c>(config: &'c Config<'c>, added: &Added<'c>) -> Result<(Process<'c>, Pointer), Error> {
    let own = config.process.as_ref();
    match added {
        Added::Document(text) => {
            let mut process = config::parse_process(text)?;
            if let Some(own) = own {
                process.capabilities = process.capabilities.or_else(|| own.capabilities.clone());
                process.oom_score_adj = process.oom_score_adj.or(own.oom_score_adj);
                // What the container may not regain, no process of it may.
                process.no_new_privileges |= own.no_new_privileges;
                if process.rlimits.is_empty() {
                    process.rlimits = own.rlimits.clone();
                }
                if process.apparmor_profile.is_empty() {
                    process.apparmor_profile = own.apparmor_profile.clone();
                }
                if process.selinux_label.is_empty() {
                    process.selinux_label = own.selinux_label.clone();
                }
                process.scheduler = process.scheduler.or_else(|| own.scheduler.clone());
                process.io_priority = process.io_priority.or_else(|| own.io_priority.clone());
                process.exec_cpu_affinity =
                    process.exec_cpu_affinity.or_else(|| own.exec_cpu_affinity.clone());
            }
            Ok((process, Pointer::default()))
        }
        Added::Changed(change) => {
            let mut process = own.cloned().unwrap_or_default();
            process.args = List::default();
            change(&mut process)?;
            Ok((process, Pointer::from("/process")))
        }
    }
}

/// A terminal needs somebody who takes its other end.
fn check_terminal(terminal: bool, options: &ExecOptions<'_>) -> Result<(), Error> {
    let words = match (terminal, options.console_socket.is_some(), options.detach) {
        (true, false, true) => {
            "cannot allocate tty if runc will detach without setting console socket"
        }
        (false, true, _) => "cannot use console socket if runc will not detach or allocate tty",
        _ => return Ok(()),
    };
    Err(Error::said(Code::TERMINAL, words))
}

/// A process that is being added.
struct Adding<'a> {
    options: &'a ExecOptions<'a>,
    container: &'a Container,
    config: &'a Config<'a>,
    group: Option<&'a Cgroup>,
}

impl Adding<'_> {
    fn start(
        &self,
        process: &Process<'_>,
        at: &Pointer,
        inherited: &Inherited,
        beside: bool,
        log: &mut Log,
    ) -> Result<(Session, Option<OwnedFd>), Error> {
        let options = self.options;
        let state: &State = self.container.state();
        let Some(init) = state.init().open()? else {
            return Err(refused("cannot exec in a stopped container"));
        };
        let stopped = |_| refused("cannot exec in a stopped container");
        let request = ExecRequest {
            id: &state.id,
            init: init.pid(),
            pidfd: pidfd_open(init.pid()).map_err(stopped)?,
            at: at.clone(),
            keyring: !state.no_new_keyring,
            chroot: state.chroot,
            preserved: inherited.count,
            extra_env: inherited.env.clone(),
        };
        let shape = self.group.map_or_else(Shape::default, shape_of);
        let mut plan = plan::exec(self.config, process, request, shape)?;
        for warning in &plan.warnings {
            log.warning(warning.to_string());
        }
        let mut birthplace = None;
        if let Some(group) = self.group {
            let join = match (beside, options.cgroups.is_empty()) {
                (true, _) => group.join_beside(init.pid().as_raw())?,
                (false, true) => group.join()?,
                (false, false) => group.join_sub(&options.cgroups)?,
            };
            birthplace = fill(join, &plan.cgroup, &mut plan.steps);
        }
        let receiver = |path: &Option<PathBuf>, what| {
            path.as_ref().map(|path| Receiver::connect(path, what)).transpose()
        };
        let console = receiver(&options.console_socket, "console socket")?;
        let pidfd = receiver(&options.pidfd_socket, "pidfd socket")?;
        let caller = Caller {
            maps: None,
            rlimits: &plan.rlimits,
            birthplace: birthplace.as_ref(),
            console: console.as_ref(),
            foreground: !options.detach,
        };
        // The number is the process's as long as it has not ended, and it has not if its
        // descriptor still answers; only then were the right root and namespaces opened.
        if init.has_ended() {
            return Err(refused("cannot exec in a stopped container"));
        }
        let mut bystander = Bystander { state, agent: plan.agent.as_ref() };
        let (mut session, terminal) = bring_up(&plan.steps, &caller, &mut bystander, log)?;
        if let Some(added) = session.init() {
            if let Some(receiver) = &pidfd {
                receiver.send("setns", &added.pidfd)?;
            }
            if let Some(path) = &options.pid_file {
                pid_file::write(path, added.pid)?;
            }
        }
        session.go()?;
        executed(&mut session, &plan.steps, log)?;
        Ok((session, terminal))
    }
}

/// Nothing is recorded of a process that is added, and no hooks run.
struct Bystander<'a> {
    state: &'a State,
    agent: Option<&'a Agent>,
}

impl Steering for Bystander<'_> {
    fn cloned(&mut self, _: Pid) -> Result<(), Error> {
        Ok(())
    }
    fn mounted(&mut self, _: Pid) -> Result<(), Error> {
        Ok(())
    }
    fn filtered(&mut self, pid: Pid, listener: &OwnedFd) -> Result<(), Error> {
        let Some(agent) = self.agent else { return Ok(()) };
        let State { id, bundle, annotations, .. } = self.state;
        let init = Some(self.state.init().pid.as_raw());
        let state = for_hooks(id, Status::Running, init, bundle, annotations)?;
        notify(agent, pid, &state, listener)
    }
}
