//! One call of a runtime and what it took.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::peers::Peer;
use crate::stage::Stage;

/// What one call took.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// User and system time of the command and the children that it waited for.
    pub cpu: Duration,
    /// From the start of the process to its end.
    pub wall: Duration,
}

/// The command line `PEER --root DIR ARGS...`.
pub fn command(stage: &Stage, peer: &Peer, args: &[&str]) -> Command {
    let mut command = Command::new(&peer.program);
    command.arg("--root").arg(stage.root(peer.name)).args(args);
    command.stdin(stage.null()).stdout(stage.null());
    command
}

/// Runs it; it must succeed.
pub fn timed(stage: &Stage, peer: &Peer, args: &[&str]) -> Result<Sample, String> {
    let mut command = command(stage, peer, args);
    let before = cpu()?;
    let started = Instant::now();
    let status = command.status().map_err(|e| format!("{}: {e}", peer.program.display()))?;
    let wall = started.elapsed();
    let cpu = cpu()?.saturating_sub(before);
    if !status.success() {
        return Err(format!("{} {}: {status}", peer.name, args.join(" ")));
    }
    Ok(Sample { cpu, wall })
}

fn cpu() -> Result<Duration, String> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| format!("getrusage: {e}"))?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.try_into().unwrap_or(0)))
}

/// Waits for every container whose first process came to us when its runtime ended.
pub fn reap_all() -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(nix::Error::ECHILD) => return Ok(()),
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(1)),
            Ok(_) => {}
            Err(e) => return Err(format!("waitpid: {e}")),
        }
    }
    Err("a container did not end after it was killed".to_owned())
}

/// The host pid that `create --pid-file` wrote.
pub fn pid_in(file: &PathBuf) -> Result<i32, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    text.trim().parse().map_err(|_| format!("{}: no pid: {text}", file.display()))
}
