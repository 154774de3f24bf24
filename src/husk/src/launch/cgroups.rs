//! From the container's cgroups to the places that a plan keeps for them.

use crate::cgroup::{Cgroup, CgroupPlan, Join, MountSource, Version};
use crate::error::{Code, Error, Failure};
use crate::plan::{CgroupSlots, Shape, Steps};
use crate::sys::mount::{self, Change};
use std::os::fd::OwnedFd;

/// Name of the second hierarchy of a hybrid host.
const UNIFIED: &str = "unified";

/// What the cgroups of a plan will look like, once made.
///
/// # Errors
/// Does not fail for a plan that could be made.
pub fn shape(plan: &CgroupPlan) -> Result<Shape, Error> {
    Ok(shape_of(&Cgroup::from_record(&plan.record())?))
}

/// What a container's cgroups look like.
pub fn shape_of(group: &Cgroup) -> Shape {
    let unified = group.version() == Version::V2;
    let (second, v1): (Vec<_>, Vec<_>) =
        group.mount_sources().into_iter().partition(|s| unified || s.name == UNIFIED);
    let tasks = v1.len();
    let shown = v1.into_iter().map(|source| (source.name, source.links)).collect();
    Shape { unified, tasks, born_into: !second.is_empty(), shown }
}

/// Fills in the way into the cgroups; returns the directory that the launcher is born into.
pub fn fill(join: Join, slots: &CgroupSlots, steps: &mut Steps) -> Option<OwnedFd> {
    if let Some(first) = slots.tasks {
        for (n, tasks) in join.tasks.into_iter().enumerate() {
            steps.fill(first, n, tasks);
        }
    }
    match (slots.born_into, join.into) {
        (Some(slot), Some(directory)) => {
            steps.fill(slot, 0, directory);
            None
        }
        (_, directory) => directory.filter(|_| slots.by_launcher),
    }
}

/// Fills in what `cgroup` mounts show.
///
/// # Errors
/// When a cgroup cannot be opened or cloned.
pub fn fill_shown(cgroup: &Cgroup, slots: &CgroupSlots, steps: &mut Steps) -> Result<(), Error> {
    if slots.shown.is_empty() {
        return Ok(());
    }
    let unified = cgroup.version() == Version::V2;
    let all = cgroup.mount_sources();
    let sources: Vec<&MountSource> =
        all.iter().filter(|source| unified || source.name != UNIFIED).collect();
    for shown in &slots.shown {
        for (n, source) in sources.iter().enumerate() {
            let directory = source.open()?;
            let change = Change { propagation: libc::MS_SLAVE, ..shown.change };
            let tree = mount::clone_tree_of(&directory, false)
                .and_then(|tree| mount::set_attributes(&tree, change, false).map(|()| tree))
                .map_err(|errno| {
                    let doing = format!("show the cgroup {} in the container", source.name);
                    let failure = Failure::new(Code::MOUNT, doing);
                    failure.errno("open_tree", errno as i32).at(&shown.origin)
                })?;
            steps.fill(shown.first, n, tree);
        }
    }
    Ok(())
}
