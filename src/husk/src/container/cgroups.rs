//! What the commands ask of a container's control group. A container without one (a user's, where
//! nothing is delegated) has no list of its processes, and cannot be suspended.

use crate::cgroup::Cgroup;
use crate::error::{Code, Error};
use std::time::Duration;

/// How long killed processes may take to end, and a control group to become free.
const PATIENCE: Duration = Duration::from_secs(10);

/// The processes of a container.
#[derive(Debug)]
pub(crate) struct Processes {
    cgroup: Option<Cgroup>,
}

impl Processes {
    /// By the record of the control group; `None`: there is no control group.
    pub(crate) fn new(record: Option<&str>) -> Result<Self, Error> {
        Ok(Self { cgroup: record.map(Cgroup::from_record).transpose()? })
    }

    fn cgroup(&self, doing: &str) -> Result<&Cgroup, Error> {
        self.cgroup.as_ref().ok_or_else(|| {
            let words = format!("cannot {doing} the container: it has no control group of its own");
            Error::said(Code::CGROUP_CONTROLLER, words)
        })
    }

    /// Whether they are suspended.
    pub(crate) fn is_frozen(&self) -> Result<bool, Error> {
        self.cgroup.as_ref().map_or(Ok(false), Cgroup::is_frozen)
    }

    /// Suspends them; returns when they are.
    pub(crate) fn freeze(&self) -> Result<(), Error> {
        self.cgroup("pause")?.freeze()
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) -> Result<(), Error> {
        self.cgroup("resume")?.thaw()
    }

    /// Their pids on the host, in ascending order; those in control groups below, too.
    pub(crate) fn pids(&self) -> Result<Vec<i32>, Error> {
        self.cgroup("list the processes of")?.processes()
    }

    /// Sends a signal to them all; `false` when there is no way to know them.
    pub(crate) fn signal(&self, signal: i32) -> Result<bool, Error> {
        self.cgroup.as_ref().map_or(Ok(false), |cgroup| cgroup.signal(signal).map(|()| true))
    }

    /// Kills them all, suspended ones too, and waits for their end; `false` when there is no way
    /// to know them.
    pub(crate) fn kill(&self) -> Result<bool, Error> {
        self.cgroup.as_ref().map_or(Ok(false), |cgroup| cgroup.kill(PATIENCE).map(|()| true))
    }

    /// Removes the control group and those below, unless somebody is in it; whether it is gone.
    pub(crate) fn remove_if_empty(&self) -> Result<bool, Error> {
        /// The init of a `create` that was killed ends by itself, at once.
        const MOMENT: Duration = Duration::from_secs(2);
        let Some(cgroup) = &self.cgroup else { return Ok(true) };
        if cgroup.remove(MOMENT).is_ok() {
            return Ok(true);
        }
        if cgroup.processes()?.is_empty() {
            cgroup.remove(PATIENCE).map(|()| true)
        } else {
            Ok(false)
        }
    }

    /// Removes the control group and those below. Whatever still runs in them is killed.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        let Some(cgroup) = &self.cgroup else { return Ok(()) };
        // As a rule nobody is left, and looking would cost more than trying. A dead process may
        // keep the directory busy for a moment.
        if cgroup.remove(Duration::ZERO).is_ok() {
            return Ok(());
        }
        cgroup.kill(PATIENCE)?;
        cgroup.remove(PATIENCE)
    }
}
