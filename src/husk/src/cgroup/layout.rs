//! How this host mounts its control groups.
//!
//! One `statfs` of `/sys/fs/cgroup` tells a pure v2 host. Otherwise `/proc/self/cgroup` names the
//! hierarchies, and one `statfs` each finds them under their usual names; the table of mounts is
//! read only when a hierarchy is somewhere else.

mod proc;

use super::dir::{Dir, read_file};
use crate::error::{Code, Error, Failure};
use nix::errno::Errno;
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
use proc::{Mount, parse_mounts, parse_own};

/// Where control groups are mounted on every host that we know of.
const ROOT: &str = "/sys/fs/cgroup";
/// Where a hybrid host mounts the hierarchy of version 2.
const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// The version of the interface that limits go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy for each controller, or for a few together; perhaps one of version 2 without
    /// controllers beside them (hybrid).
    V1,
    /// One hierarchy for everything.
    V2,
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// v1: its controllers, or `name=…` of one without; empty for the hierarchy of version 2.
    pub names: Vec<String>,
    /// Directory of the host on which it is mounted.
    pub mount: String,
    /// The calling process's cgroup in it, as `/proc/self/cgroup` shows it. On a pure v2 host it is
    /// read when needed and empty here.
    pub own: String,
}

impl Hierarchy {
    /// Whether limits of `controller` go here.
    pub fn has(&self, controller: &str) -> bool {
        self.names.iter().any(|n| n == controller)
    }

    /// Whether this is the hierarchy of version 2.
    pub fn is_unified(&self) -> bool {
        self.names.is_empty()
    }
}

/// The control groups of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub(super) version: Version,
    pub(super) hierarchies: Vec<Hierarchy>,
}

impl Layout {
    /// Looks at the host. A host without control groups has a layout without hierarchies.
    ///
    /// System calls: 1 on pure v2; 5 and one for each hierarchy on v1 and hybrid.
    ///
    /// # Errors
    /// [`Code::CGROUP_FAILED`] when `/sys/fs/cgroup` or `/proc/self/cgroup` cannot be read.
    pub fn detect() -> Result<Self, Error> {
        let kind = match statfs(ROOT) {
            Ok(fs) => fs.filesystem_type(),
            Err(Errno::ENOENT) => return Ok(Self::none()),
            Err(errno) => return Err(failed("look at", ROOT, "statfs", errno)),
        };
        if kind == CGROUP2_SUPER_MAGIC {
            return Ok(Self::v2(ROOT));
        }
        let own = read_file(proc::OWN).map_err(|e| failed("read", proc::OWN, "open", e))?;
        let mut mounts = Mounts::default();
        let mut hierarchies = Vec::new();
        for entry in parse_own(&own) {
            let mount = if entry.names.is_empty() {
                is_mounted(UNIFIED, CGROUP2_SUPER_MAGIC).then(|| UNIFIED.to_owned())
            } else {
                usual_place(&entry.names).or_else(|| mounts.find(&entry.names))
            };
            if let Some(mount) = mount {
                hierarchies.push(Hierarchy { names: entry.names, mount, own: entry.path });
            }
        }
        Ok(Self { version: Version::V1, hierarchies })
    }

    /// A pure v2 host whose hierarchy is mounted on `mount`.
    pub(super) fn v2(mount: &str) -> Self {
        let (names, mount, own) = (Vec::new(), mount.to_owned(), String::new());
        Self { version: Version::V2, hierarchies: vec![Hierarchy { names, mount, own }] }
    }

    fn none() -> Self {
        Self { version: Version::V1, hierarchies: Vec::new() }
    }

    /// The version that limits go through.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The mounted hierarchies.
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// The controllers that can be had: v1, those mounted; v2, those that the root offers.
    ///
    /// System calls: none on v1, 4 to 5 on v2.
    pub(super) fn controllers(&self) -> Result<Vec<String>, Error> {
        if self.version == Version::V1 {
            return Ok(self.hierarchies.iter().flat_map(|h| h.names.iter().cloned()).collect());
        }
        let Some(hierarchy) = self.hierarchies.first() else { return Ok(Vec::new()) };
        let text = Dir::open(&hierarchy.mount)
            .and_then(|dir| dir.read_line("cgroup.controllers"))
            .map_err(|e| failed("read cgroup.controllers of", &hierarchy.mount, "open", e))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }
}

/// The cgroup of the calling process in `hierarchy`, as a path below its mount point; `None` when
/// the mount does not show it.
pub(super) fn own_path(hierarchy: &Hierarchy) -> Result<Option<String>, Error> {
    let own = if hierarchy.own.is_empty() {
        let text = read_file(proc::OWN).map_err(|e| failed("read", proc::OWN, "open", e))?;
        own_cgroup(&text, &hierarchy.names).unwrap_or_else(|| "/".to_owned())
    } else {
        hierarchy.own.clone()
    };
    if own == "/" {
        return Ok(Some(own));
    }
    // In a container without a cgroup namespace the mount shows a part of the hierarchy only.
    let text = read_file(proc::MOUNTS).map_err(|e| failed("read", proc::MOUNTS, "open", e))?;
    let root = parse_mounts(&text).find(|m| m.place == hierarchy.mount).map(|m| m.root);
    Ok(proc::relative(&root.unwrap_or_else(|| "/".to_owned()), &own))
}

/// The cgroup that a `/proc/PID/cgroup` shows for the hierarchy with `names`.
pub(super) fn own_cgroup(text: &str, names: &[String]) -> Option<String> {
    parse_own(text).find(|entry| entry.names == names).map(|entry| entry.path)
}

/// The table of mounts, read at most once.
#[derive(Default)]
struct Mounts(Option<Vec<Mount>>);

impl Mounts {
    fn find(&mut self, names: &[String]) -> Option<String> {
        let mounts = self.0.get_or_insert_with(|| {
            // Without the table a hierarchy counts as not mounted, which is reported where a
            // limit needs it.
            read_file(proc::MOUNTS).map(|t| parse_mounts(&t).collect()).unwrap_or_default()
        });
        let found = mounts.iter().find(|m| m.has_all(names));
        found.map(|m| m.place.clone())
    }
}

fn usual_place(names: &[String]) -> Option<String> {
    let joined = names.join(",");
    let plain = joined.strip_prefix("name=").unwrap_or(&joined);
    let mut candidates = vec![format!("{ROOT}/{plain}")];
    if names.len() > 1 {
        let reversed: Vec<&str> = names.iter().rev().map(String::as_str).collect();
        candidates.push(format!("{ROOT}/{}", reversed.join(",")));
    }
    candidates.into_iter().find(|place| is_mounted(place, CGROUP_SUPER_MAGIC))
}

fn is_mounted(place: &str, kind: nix::sys::statfs::FsType) -> bool {
    statfs(place).is_ok_and(|fs| fs.filesystem_type() == kind)
}

fn failed(doing: &str, path: &str, call: &'static str, errno: Errno) -> Error {
    Failure::new(Code::CGROUP_FAILED, format!("{doing} {path}")).errno(call, errno as i32).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_what_proc_shows() {
        let layout = Layout::detect().unwrap();
        for hierarchy in layout.hierarchies() {
            let dir = Dir::open(&hierarchy.mount).unwrap();
            assert!(dir.read("cgroup.procs").is_ok(), "{hierarchy:?}");
        }
        if layout.version() == Version::V2 {
            assert_eq!(layout.hierarchies().len(), 1);
        }
    }
}
