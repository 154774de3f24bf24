//! Control groups: where a container's is, what limits it has, who is in it (config-linux.md
//! §Control Groups).
//!
//! The life of a container's cgroup:
//!
//! 1. [`Layout::detect`] looks at how this host mounts its hierarchies.
//! 2. [`CgroupPlan::new`] turns `cgroupsPath` and `resources` into a place and a list of writes,
//!    or into problems. Nothing has been touched yet.
//! 3. [`CgroupPlan::record`] is stored on disk, so that whatever happens next can be undone.
//! 4. [`CgroupPlan::create`] makes the directories and writes every limit while they are empty.
//! 5. [`Cgroup::join`] has the descriptors with which a process is born into the cgroup.
//! 6. Later commands read the record ([`Cgroup::from_record`]) and freeze, kill, count, remove.
//!
//! Limits go through the version that [`Layout::version`] tells. On a hybrid host the container
//! also gets a cgroup in the hierarchy of version 2, which has no controllers there.
//!
//! This module never moves a process of its own accord, never acts on a cgroup that was not
//! planned or recorded, and never follows a link: the file systems have none.

mod controllers;
mod create;
mod devices;
mod dir;
mod freezer;
mod group;
mod join;
mod kill;
mod layout;
mod mounts;
mod path;
mod plan;
mod processes;
mod record;
mod remove;
pub mod stats;

mod wait;
mod write;

pub use freezer::FreezerState;
pub use group::Cgroup;
pub use join::{Join, SubCgroup};
pub use layout::{Hierarchy, Layout, Version};
pub use mounts::MountSource;
pub use plan::{CgroupPlan, Driver, Request};
pub use stats::Stats;

#[cfg(test)]
mod tests;
