//! Signals for every process of a cgroup.

use super::dir::Dir;
use super::freezer::{thaw_directory, wait_for_event};
use super::group::{Cgroup, Member, failed, is_gone};
use super::layout::Version;
use super::processes::{listed, walk, walk_tree};
use super::wait::Backoff;
use crate::error::{Code, Error, Failure};
use crate::sys::process::{pidfd_open, pidfd_send_signal};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long processes may take to stand still before they are signalled all the same.
const LONGEST_FREEZE: Duration = Duration::from_millis(100);
/// How many processes are signalled at once, each with a descriptor.
const AT_ONCE: usize = 128;

impl Cgroup {
    /// Sends `signal` to every process in the cgroup and below it, but for husk itself. They are
    /// frozen meanwhile, where that can be done, so that none escapes by being made anew; a cgroup
    /// that was frozen before stays so. No process is no error.
    ///
    /// # Errors
    /// [`Code::CGROUP_FAILED`] when the processes cannot be listed or one cannot be signalled.
    pub fn signal(&self, signal: i32) -> Result<(), Error> {
        if signal == libc::SIGKILL && self.kill_at_once()? && self.version == Version::V2 {
            return Ok(());
        }
        let Some(member) = self.census() else { return Ok(()) };
        let ours = !self.is_frozen()? && self.freeze_within(LONGEST_FREEZE).is_ok();
        let sent = send(member, signal);
        // Also when sending failed.
        let thawed = if ours { self.thaw() } else { Ok(()) };
        sent.map_err(|errno| self.refused(member, errno))?;
        thawed
    }

    /// Kills every process in the cgroup and below it, also in cgroups that are frozen, and waits,
    /// at most `most`, until none is left. The cgroup is thawed.
    ///
    /// # Errors
    /// [`Code::CGROUP_FAILED`] when processes are left.
    pub fn kill(&self, most: Duration) -> Result<(), Error> {
        let mut time = Backoff::new(most);
        match self.version {
            Version::V2 => {
                if self.kill_at_once()? {
                    return self.wait_until_empty(&time);
                }
            }
            Version::V1 => {}
        }
        loop {
            let killed = self.signal(libc::SIGKILL);
            // On v1 nobody dies frozen. This also comes after an error.
            self.thaw_all()?;
            killed?;
            let left = self.processes()?;
            let own = own_pid();
            if left.iter().all(|pid| *pid == own) {
                return Ok(());
            }
            if !time.pause() {
                return Err(left_over(&left));
            }
        }
    }

    /// Kills through `cgroup.kill`; whether the kernel and the layout have it.
    fn kill_at_once(&self) -> Result<bool, Error> {
        let Some(member) = self.unified() else { return Ok(false) };
        match member.dir().and_then(|dir| dir.write("cgroup.kill", "1")) {
            Ok(()) => Ok(true),
            // The cgroup is gone, the kernel is older than 5.14, or the cgroup is threaded.
            Err(errno) if is_gone(errno) || errno == Errno::EOPNOTSUPP => Ok(false),
            Err(errno) => Err(self.refused(member, errno)),
        }
    }

    fn wait_until_empty(&self, time: &Backoff) -> Result<(), Error> {
        let Some(member) = self.unified() else { return Ok(()) };
        match member.dir().and_then(|dir| wait_for_event(dir, "populated 0", time)) {
            Ok(()) => Ok(()),
            Err(errno) if is_gone(errno) => Ok(()),
            Err(Errno::ETIMEDOUT) => Err(left_over(&self.processes()?)),
            Err(errno) => Err(self.refused(member, errno)),
        }
    }

    /// Thaws every cgroup of the container, those below first.
    fn thaw_all(&self) -> Result<(), Error> {
        let version = self.version;
        let Some(member) = self.member("freezer") else { return Ok(()) };
        let thaw = |dir: &Dir| thaw_directory(dir, version);
        let done = member.dir().and_then(Dir::duplicate).and_then(|top| {
            let walked = walk_tree(top, &mut |_| Ok(()), &mut |above, name| {
                above.child(name).and_then(|dir| thaw(&dir))
            });
            let itself = member.dir().and_then(thaw);
            walked.and(itself)
        });
        match done {
            Ok(()) => Ok(()),
            Err(errno) if is_gone(errno) => Ok(()),
            Err(errno) => {
                Err(failed(format!("thaw {}", member.part.directory()), "write", errno).into())
            }
        }
    }

    fn refused(&self, member: &Member, errno: Errno) -> Error {
        let doing = format!("signal the processes of {}", member.part.directory());
        failed(doing, "pidfd_send_signal", errno).into()
    }
}

fn left_over(pids: &[i32]) -> Error {
    let list: Vec<String> = pids.iter().take(10).map(i32::to_string).collect();
    let doing = format!("kill all processes of the container: left are {}", list.join(", "));
    Failure::new(Code::CGROUP_FAILED, doing)
        .hint("a process in uninterruptible sleep dies when its device or file system answers")
        .into()
}

fn own_pid() -> i32 {
    // A pid is never above 2^22.
    i32::try_from(std::process::id()).unwrap_or_default()
}

fn send(member: &Member, signal: i32) -> Result<(), Errno> {
    let mut failure = None;
    walk(member, |dir| {
        for chunk in listed(dir)?.chunks(AT_ONCE) {
            if let Err(errno) = send_to(dir, chunk, signal) {
                // The others are to get it all the same.
                failure = Some(errno);
            }
        }
        Ok(())
    })?;
    failure.map_or(Ok(()), Err)
}

/// Signals those of `pids` that are in `dir`. A number may be another process's by the time its
/// descriptor is open; if it is still listed then, the descriptor is of a process in the cgroup.
fn send_to(dir: &Dir, pids: &[i32], signal: i32) -> Result<(), Errno> {
    let own = own_pid();
    let mut opened: Vec<(i32, OwnedFd)> = Vec::with_capacity(pids.len());
    for pid in pids.iter().copied().filter(|pid| *pid != own) {
        match pidfd_open(Pid::from_raw(pid)) {
            Ok(fd) => opened.push((pid, fd)),
            // Gone, or a thread of a process that gets the signal anyway.
            Err(Errno::ESRCH | Errno::EINVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    let still = listed(dir)?;
    let mut failure = None;
    for (_, fd) in opened.iter().filter(|(pid, _)| still.contains(pid)) {
        match pidfd_send_signal(fd, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => failure = Some(errno),
        }
    }
    failure.map_or(Ok(()), Err)
}
