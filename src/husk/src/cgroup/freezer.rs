//! Making all processes of a cgroup stand still, and go on.

use super::dir::{Dir, read_text, write_value};
use super::group::{Cgroup, Member, failed, is_gone};
use super::layout::Version;
use super::wait::Backoff;
use crate::error::{Code, Error, Failure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Whence, lseek};
use std::os::fd::AsFd;
use std::time::Duration;

/// Longest wait for processes to stand still.
const LONGEST_FREEZE: Duration = Duration::from_secs(10);
/// A v1 cgroup in which processes keep appearing is thawed for a moment after so many tries.
const TRIES_BEFORE_THAW: u32 = 50;

/// Whether the processes of a cgroup stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreezerState {
    /// They run; so it is too when the cgroup is gone, or only one above it is frozen.
    Thawed,
    /// They have been told to stand still, and some have not yet.
    Freezing,
    /// They stand still.
    Frozen,
}

impl Cgroup {
    /// Freezes the cgroup and all below it, and waits for it, at most ten seconds.
    ///
    /// # Errors
    /// [`Code::CGROUP_CONTROLLER`] when this host cannot freeze, [`Code::CGROUP_FAILED`] when it
    /// did not work or took too long; the cgroup is thawed again then.
    pub fn freeze(&self) -> Result<(), Error> {
        self.freeze_within(LONGEST_FREEZE)
    }

    /// Thaws the cgroup. Cgroups below it that were frozen by themselves stay so.
    ///
    /// # Errors
    /// [`Code::CGROUP_FAILED`] when the kernel refuses.
    pub fn thaw(&self) -> Result<(), Error> {
        let Some(member) = self.freezer() else { return Ok(()) };
        let (file, value) = thawing(self.version);
        match member.dir().and_then(|dir| dir.write(file, value)) {
            Ok(()) => Ok(()),
            Err(errno) if is_gone(errno) => Ok(()),
            Err(errno) => Err(refused("thaw", member, errno).into()),
        }
    }

    /// Whether the cgroup itself has been frozen.
    ///
    /// System calls: 4, or 3 when the directory is open; more when it is frozen.
    ///
    /// # Errors
    /// [`Code::CGROUP_FAILED`] when the state cannot be read.
    pub fn freezer_state(&self) -> Result<FreezerState, Error> {
        let Some(member) = self.freezer() else { return Ok(FreezerState::Thawed) };
        let state = match self.version {
            Version::V1 => state_v1(member),
            Version::V2 => state_v2(member),
        };
        match state {
            Ok(state) => Ok(state),
            Err(errno) if is_gone(errno) => Ok(FreezerState::Thawed),
            Err(errno) => Err(refused("read the state of", member, errno).into()),
        }
    }

    /// Whether the container counts as paused.
    ///
    /// # Errors
    /// As [`Cgroup::freezer_state`].
    pub fn is_frozen(&self) -> Result<bool, Error> {
        Ok(self.freezer_state()? != FreezerState::Thawed)
    }

    /// [`Cgroup::freeze`] with another limit for the wait.
    pub(super) fn freeze_within(&self, most: Duration) -> Result<(), Error> {
        let Some(member) = self.freezer() else {
            let doing = "freeze the container's cgroup";
            return Err(Failure::new(Code::CGROUP_CONTROLLER, doing)
                .hint("this host has no freezer: mount its hierarchy below /sys/fs/cgroup")
                .into());
        };
        let done = member.dir().and_then(|dir| match self.version {
            Version::V1 => freeze_v1(dir, Backoff::new(most)),
            Version::V2 => freeze_v2(dir, &Backoff::new(most)),
        });
        done.map_err(|errno| {
            // A cgroup that is neither frozen nor running would be the worst of all.
            let _ = self.thaw();
            refused("freeze", member, errno).into()
        })
    }

    fn freezer(&self) -> Option<&Member> {
        self.member("freezer")
    }
}

/// The file and the value that thaw one directory.
pub(super) fn thawing(version: Version) -> (&'static str, &'static str) {
    match version {
        Version::V1 => ("freezer.state", "THAWED"),
        Version::V2 => ("cgroup.freeze", "0"),
    }
}

fn refused(doing: &str, member: &Member, errno: Errno) -> Failure {
    let failure = failed(format!("{doing} {}", member.part.directory()), "freezer", errno);
    match errno {
        Errno::ETIMEDOUT => {
            failure.hint("a process does not stop: is one in uninterruptible sleep?")
        }
        Errno::ENOENT => failure.hint("the cgroup is gone, or the kernel is older than 5.2"),
        _ => failure,
    }
}

fn freeze_v1(dir: &Dir, mut time: Backoff) -> Result<(), Errno> {
    let file = "freezer.state";
    let mut tries: u32 = 0;
    loop {
        dir.write(file, "FROZEN")?;
        if dir.read_line(file)? == "FROZEN" {
            return Ok(());
        }
        // New processes may appear as fast as the old ones stop; a moment of running lets them
        // finish being made.
        tries = tries.saturating_add(1);
        if tries.is_multiple_of(TRIES_BEFORE_THAW) {
            dir.write(file, "THAWED")?;
        }
        if !time.pause() {
            return Err(Errno::ETIMEDOUT);
        }
    }
}

fn freeze_v2(dir: &Dir, time: &Backoff) -> Result<(), Errno> {
    dir.write("cgroup.freeze", "1")?;
    wait_for_event(dir, "frozen 1", time)
}

/// Waits until `cgroup.events` has the line `wanted`.
pub(super) fn wait_for_event(dir: &Dir, wanted: &str, time: &Backoff) -> Result<(), Errno> {
    let events = dir.open_for_read("cgroup.events")?;
    loop {
        lseek(&events, 0, Whence::SeekSet)?;
        if read_text(events.as_fd())?.lines().any(|line| line == wanted) {
            return Ok(());
        }
        let left = time.left();
        if left.is_zero() {
            return Err(Errno::ETIMEDOUT);
        }
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLPRI)], left) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn state_v1(member: &Member) -> Result<FreezerState, Errno> {
    let state = match member.read_line("freezer.state")?.as_str() {
        "FROZEN" => FreezerState::Frozen,
        "FREEZING" => FreezerState::Freezing,
        _ => return Ok(FreezerState::Thawed),
    };
    // 0: only a cgroup above is frozen. Kernels before 3.8 have no such file.
    match member.read_line("freezer.self_freezing") {
        Ok(itself) if itself == "0" => Ok(FreezerState::Thawed),
        Ok(_) | Err(Errno::ENOENT) => Ok(state),
        Err(errno) => Err(errno),
    }
}

fn state_v2(member: &Member) -> Result<FreezerState, Errno> {
    if member.read_line("cgroup.freeze")? != "1" {
        return Ok(FreezerState::Thawed);
    }
    let frozen = member.dir()?.read("cgroup.events")?.lines().any(|line| line == "frozen 1");
    Ok(if frozen { FreezerState::Frozen } else { FreezerState::Freezing })
}

/// Thaws one directory that is already open; nothing to do is no error.
pub(super) fn thaw_directory(dir: &Dir, version: Version) -> Result<(), Errno> {
    let (file, value) = thawing(version);
    match dir.open_for_write(file) {
        Ok(fd) => match write_value(fd.as_fd(), value) {
            Err(errno) if !is_gone(errno) => Err(errno),
            _ => Ok(()),
        },
        Err(errno) if is_gone(errno) => Ok(()),
        Err(errno) => Err(errno),
    }
}
