//! What each property of `resources` means for the files of a cgroup: one file a controller, pure
//! functions from the configuration to writes (config-linux.md §Control Groups).

pub(super) mod cpu;
pub(super) mod cpuset;
pub(super) mod hugetlb;
pub(super) mod io;
pub(super) mod memory;
pub(super) mod network;
pub(super) mod pids;
pub(super) mod rdma;
pub(super) mod unified;

use super::layout::Version;
use super::write::Write;
use crate::error::{Code, Pointer, Problems};

/// Where a controller puts what it finds: its writes and the problems of its properties.
pub(super) struct Sink<'p> {
    pub(super) version: Version,
    pub(super) writes: Vec<Write>,
    pub(super) problems: &'p mut Problems,
}

impl<'p> Sink<'p> {
    pub(super) fn new(version: Version, problems: &'p mut Problems) -> Self {
        Self { version, writes: Vec::new(), problems }
    }

    fn push(&mut self, write: Write) {
        self.writes.push(write);
    }

    fn is_v1(&self) -> bool {
        self.version == Version::V1
    }

    /// A value that is out of range or makes no sense.
    pub(super) fn limit(&mut self, at: Pointer, reason: impl Into<String>, hint: &'static str) {
        self.problems.refuse(Code::CGROUP_LIMIT, at, reason, hint);
    }

    /// A property of v1 that has no counterpart on v2: the specification wants an error.
    fn only_v1(&mut self, at: Pointer, what: &str) {
        self.problems.refuse(
            Code::CGROUP_LIMIT,
            at,
            format!("{what} cannot be expressed on this host, which has cgroup v2"),
            "leave the property out",
        );
    }
}

/// `limit` of -1 in the word of the interface.
fn unlimited(version: Version) -> &'static str {
    match version {
        Version::V1 => "-1",
        Version::V2 => "max",
    }
}

#[cfg(test)]
pub(super) mod table {
    //! For the tables in the controllers' tests.
    use super::*;

    /// What `fill` writes as `file=value`, or the pointers of what it refuses.
    pub(in crate::cgroup) fn run(
        version: Version,
        fill: impl FnOnce(&mut Sink<'_>),
    ) -> Result<Vec<String>, Vec<String>> {
        let mut problems = Problems::default();
        let mut sink = Sink::new(version, &mut problems);
        fill(&mut sink);
        let writes: Vec<String> =
            sink.writes.iter().map(|w| format!("{}={}", w.file, w.value)).collect();
        if problems.refused() {
            Err(problems.list().iter().map(|p| p.pointer.to_string()).collect())
        } else {
            Ok(writes)
        }
    }
}
