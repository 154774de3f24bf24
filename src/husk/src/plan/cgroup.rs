//! The container's cgroups in a plan: they do not exist while it is made, so their descriptors get
//! places that are filled when it is acted upon.

use super::Steps;
use crate::error::Pointer;
use crate::paths::ContainerPath;
use crate::sys::mount::{Change, attr};
use husk_init::wire::{Op, Slot, Text, Texts, lookup};

/// What the cgroups of a container will look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Whether one hierarchy of version 2 carries the limits.
    pub unified: bool,
    /// `tasks` files that the init writes to, one for each hierarchy of version 1.
    pub tasks: usize,
    /// Whether the init is born into a cgroup of version 2.
    pub born_into: bool,
    /// The hierarchies of version 1 as a `cgroup` mount shows them: directory, and names that are
    /// links to it.
    pub shown: Vec<(String, Vec<String>)>,
}

/// A `cgroup` mount whose sources are filled in later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// First place; one for each hierarchy of version 1, or a single one.
    pub first: Slot,
    /// What the mounts get.
    pub change: Change,
    /// The mount in the configuration.
    pub origin: Pointer,
}

/// Places that are filled in once the cgroups exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupSlots {
    /// The first `tasks` file.
    pub tasks: Option<Slot>,
    /// The directory that the init is born into.
    pub born_into: Option<Slot>,
    /// Whether the launcher is born into it instead, and the init after it.
    pub by_launcher: bool,
    /// The sources of `cgroup` mounts.
    pub shown: Vec<Shown>,
}

/// Puts the cgroups into a plan.
#[derive(Debug)]
pub struct CgroupSteps {
    shape: Shape,
    slots: CgroupSlots,
}

impl CgroupSteps {
    /// For cgroups of that shape; the default shape is that of a container without cgroups.
    pub fn new(shape: Shape) -> Self {
        Self { shape, slots: CgroupSlots::default() }
    }

    /// Keeps places for the `tasks` files and the directory that the init is born into.
    /// With `by_launcher`, the launcher is born into it instead: one process more counts against
    /// the limit for a moment, but no init ever holds the directory.
    pub fn reserve(&mut self, by_launcher: bool, steps: &mut Steps) {
        self.slots.tasks = (self.shape.tasks > 0).then(|| steps.reserve(self.shape.tasks));
        self.slots.by_launcher = by_launcher && self.shape.born_into;
        let by_init = self.shape.born_into && !by_launcher;
        self.slots.born_into = by_init.then(|| steps.reserve(1));
    }

    /// The place of the directory that the init is born into.
    pub fn born_into(&self) -> Option<Slot> {
        self.slots.born_into
    }

    /// Appends the init's move into the hierarchies of version 1.
    pub fn enter(&self, steps: &mut Steps) {
        if let Some(first) = self.slots.tasks {
            let count = u16::try_from(self.shape.tasks).unwrap_or(u16::MAX);
            steps.push(&Op::EnterCgroups { first, count }, "/linux/cgroupsPath");
        }
    }

    /// Whether a `cgroup` mount is one file system of version 2.
    pub fn is_unified(&self) -> bool {
        self.shape.unified
    }

    /// The place of a tree that shows the container's own cgroup, bound where `cgroup2` cannot be
    /// mounted: in a user namespace without a cgroup namespace.
    pub fn instead(&mut self, change: Change, origin: &Pointer, steps: &mut Steps) -> Option<Slot> {
        self.shape.born_into.then(|| {
            let first = steps.reserve(1);
            self.slots.shown.push(Shown { first, change, origin: origin.clone() });
            first
        })
    }

    /// Appends a `cgroup` mount of version 1: a tmpfs with a directory for each hierarchy, in
    /// which the container sees its own cgroup, and links for names that share a hierarchy.
    pub fn mount_steps(
        &mut self,
        target: &ContainerPath,
        change: Change,
        origin: &Pointer,
        steps: &mut Steps,
    ) {
        let read_only = change.set & attr::RDONLY;
        let op = Op::Mount {
            kind: Text::new("tmpfs"),
            source: Text::new("tmpfs"),
            options: Texts::List(&["mode=755"]),
            target: Text::new(target.as_str()),
            lookup: lookup::DIRECTORY,
            attributes: change.set & !read_only,
            propagation: 0,
            keep_mode: false,
            copy_up: false,
            instead: Slot(0),
            has_instead: false,
        };
        steps.push(&op, origin);
        let first = steps.reserve(self.shape.shown.len());
        for (n, (name, links)) in self.shape.shown.iter().enumerate() {
            let tree = Slot(first.0.saturating_add(u16::try_from(n).unwrap_or(u16::MAX)));
            let path = format!("{target}/{name}");
            let op = Op::Attach { tree, target: Text::new(&path), lookup: lookup::DIRECTORY };
            steps.push(&op, origin);
            for link in links {
                let path = format!("{target}/{link}");
                let op = Op::Symlink {
                    path: Text::new(&path),
                    target: Text::new(name),
                    unless_missing: Text::new(""),
                    replace: false,
                };
                steps.push(&op, origin);
            }
        }
        if read_only != 0 {
            let op = Op::Attributes {
                target: Text::new(target.as_str()),
                set: read_only,
                clear: 0,
                propagation: 0,
                recursive: false,
            };
            steps.push(&op, origin);
        }
        self.slots.shown.push(Shown { first, change, origin: origin.clone() });
    }

    /// The places, once the plan is complete.
    pub fn into_slots(self) -> CgroupSlots {
        self.slots
    }
}
