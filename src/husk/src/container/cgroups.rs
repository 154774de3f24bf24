//! What the commands ask of a container's control group. A container without one has only its
//! first process.

use crate::error::Error;
use nix::unistd::Pid;

/// The processes of a container.
#[derive(Debug)]
pub(crate) struct Processes {}

impl Processes {
    /// By the record of the control group; `None`: there is no control group.
    pub(crate) fn new(_record: Option<&str>) -> Result<Self, Error> {
        Ok(Self {})
    }

    /// Whether they are suspended.
    pub(crate) fn is_frozen(&self) -> Result<bool, Error> {
        Ok(false)
    }

    /// Suspends them; returns when they are.
    pub(crate) fn freeze(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Their pids on the host; those in control groups below, too.
    pub(crate) fn pids(&self) -> Result<Vec<Pid>, Error> {
        Ok(Vec::new())
    }

    /// Kills them all, suspended ones too.
    pub(crate) fn kill(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Removes the control group and those below; nothing may run in them any more.
    pub(crate) fn remove(self) -> Result<(), Error> {
        Ok(())
    }
}
