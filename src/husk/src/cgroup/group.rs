//! A container's cgroup that exists, or may exist.

use super::dir::{Dir, read_line_at};
use super::layout::Version;
use super::path::CgroupPath;
use crate::error::{Code, Failure};
use nix::errno::Errno;
use std::cell::OnceCell;

/// The cgroup of a container: one directory in each hierarchy. Directories that are gone already
/// are no error for anything that ends a container.
#[derive(Debug)]
pub struct Cgroup {
    pub(super) version: Version,
    pub(super) parts: Vec<Member>,
}

/// The place of a cgroup in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Controllers or `name=…`; empty for the hierarchy of version 2.
    pub(super) names: Vec<String>,
    /// Where the hierarchy is mounted.
    pub(super) mount: String,
    /// The cgroup below the mount point.
    pub(super) path: CgroupPath,
}

impl Part {
    pub(super) fn new(names: &[String], mount: &str, path: CgroupPath) -> Self {
        Self { names: names.to_vec(), mount: mount.to_owned(), path }
    }

    /// Whether limits of `controller` go here.
    pub(super) fn has(&self, controller: &str) -> bool {
        self.names.iter().any(|n| n == controller)
    }

    /// Whether this is in the hierarchy of version 2.
    pub(super) fn is_unified(&self) -> bool {
        self.names.is_empty()
    }

    /// The directory on the host.
    pub(super) fn directory(&self) -> String {
        format!("{}{}", self.mount, self.path.as_str())
    }
}

/// A [`Part`] whose directory is opened when it is first needed, and kept.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) part: Part,
    dir: OnceCell<Dir>,
}

impl Member {
    pub(super) fn new(part: Part, dir: Option<Dir>) -> Self {
        let cell = OnceCell::new();
        if let Some(dir) = dir {
            // The cell is new and so takes it.
            let _ = cell.set(dir);
        }
        Self { part, dir: cell }
    }

    /// The directory, if it is open already.
    pub(super) fn opened(&self) -> Option<&Dir> {
        self.dir.get()
    }

    /// The directory; ENOENT when it is gone.
    pub(super) fn dir(&self) -> Result<&Dir, Errno> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir);
        }
        let dir = Dir::open(&self.part.directory())?.require_cgroup()?;
        Ok(self.dir.get_or_init(|| dir))
    }

    /// The file `name` of the directory, which has one short line. The directory is not opened for
    /// it.
    pub(super) fn read_line(&self, name: &str) -> Result<String, Errno> {
        match self.dir.get() {
            Some(dir) => dir.read_line(name),
            None => read_line_at(&format!("{}/{name}", self.part.directory())),
        }
    }
}

impl Cgroup {
    /// The version that limits go through.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The directories on the host, by controller as runc's state names them: v2 has the one key
    /// `""`, and so has the second hierarchy of a hybrid host.
    pub fn paths(&self) -> Vec<(String, String)> {
        let mut paths = Vec::new();
        for member in &self.parts {
            let directory = member.part.directory();
            if member.part.is_unified() {
                paths.push((String::new(), directory));
            } else {
                paths.extend(member.part.names.iter().map(|n| (n.clone(), directory.clone())));
            }
        }
        paths
    }

    /// The cgroup in the hierarchy of `controller`; on v2 in the one hierarchy.
    pub(super) fn member(&self, controller: &str) -> Option<&Member> {
        match self.version {
            Version::V2 => self.parts.first(),
            Version::V1 => self.parts.iter().find(|m| m.part.has(controller)),
        }
    }

    /// The cgroup in the hierarchy of version 2, on v2 and on hybrid hosts.
    pub(super) fn unified(&self) -> Option<&Member> {
        self.parts.iter().find(|m| m.part.is_unified())
    }
}

/// Whether an error means that the cgroup is gone.
pub(super) fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENODEV)
}

/// A step on the cgroup's files that failed.
pub(super) fn failed(doing: impl Into<String>, call: &'static str, errno: Errno) -> Failure {
    Failure::new(Code::CGROUP_FAILED, doing).errno(call, errno as i32)
}
