//! What a `cgroup` mount inside the container shows.

use super::group::{Cgroup, Member, failed};
use super::layout::Version;
use crate::error::Error;
use std::os::fd::OwnedFd;

/// The container's cgroup in one hierarchy, as a source of mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSource {
    /// v1: name of the directory below `/sys/fs/cgroup` that shows it, as on the host, such as
    /// `cpu,cpuacct`, `systemd` or, for the second hierarchy of a hybrid host, `unified`. v2: empty.
    pub name: String,
    /// Names of symbolic links beside it, each to [`MountSource::name`]: the single controllers of a
    /// merged hierarchy.
    pub links: Vec<String>,
    /// File system type of a mount of its own: `cgroup` or `cgroup2`.
    pub kind: &'static str,
    /// Data of such a mount, such as `cpu,cpuacct` or `none,name=systemd`; empty for `cgroup2`.
    pub data: String,
    /// The container's cgroup on the host, for a bind instead.
    pub directory: String,
}

impl MountSource {
    /// Opens the container's cgroup, for `open_tree(2)` with an empty path.
    ///
    /// # Errors
    /// [`crate::error::Code::CGROUP_FAILED`] when it is gone.
    pub fn open(&self) -> Result<OwnedFd, Error> {
        let dir = super::dir::Dir::open(&self.directory)
            .map_err(|errno| failed(format!("open {}", self.directory), "open", errno))?;
        Ok(dir.into_fd())
    }
}

impl Cgroup {
    /// What a `cgroup` mount in the container shows: one source on v2, one for each hierarchy on v1.
    pub fn mount_sources(&self) -> Vec<MountSource> {
        self.parts.iter().map(|member| self.mount_source(member)).collect()
    }

    fn mount_source(&self, member: &Member) -> MountSource {
        let part = &member.part;
        let base = part.mount.rsplit('/').next().unwrap_or_default();
        let name = if self.version == Version::V2 { "" } else { base };
        let links = if part.names.len() > 1 {
            part.names.iter().filter(|n| n.as_str() != base).cloned().collect()
        } else {
            Vec::new()
        };
        let joined = part.names.join(",");
        let named = joined.starts_with("name=");
        MountSource {
            name: name.to_owned(),
            links,
            kind: if part.is_unified() { "cgroup2" } else { "cgroup" },
            data: if named { format!("none,{joined}") } else { joined },
            directory: part.directory(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_each_layout() {
        let record = "husk-cgroup 1\nv1\ncpu,cpuacct\t/sys/fs/cgroup/cpu,cpuacct\t/x\n\
            name=systemd\t/sys/fs/cgroup/systemd\t/x\nunified\t/sys/fs/cgroup/unified\t/x\n";
        let sources = Cgroup::from_record(record).unwrap().mount_sources();
        assert_eq!(sources[0].name, "cpu,cpuacct");
        assert_eq!(sources[0].links, ["cpu", "cpuacct"]);
        assert_eq!(sources[0].directory, "/sys/fs/cgroup/cpu,cpuacct/x");
        assert_eq!(
            (sources[1].name.as_str(), sources[1].data.as_str()),
            ("systemd", "none,name=systemd")
        );
        assert_eq!((sources[2].name.as_str(), sources[2].kind), ("unified", "cgroup2"));
        let record = "husk-cgroup 1\nv2\nunified\t/sys/fs/cgroup\t/x\n";
        let sources = Cgroup::from_record(record).unwrap().mount_sources();
        assert_eq!(sources[0].name, "");
        assert_eq!(sources[0].kind, "cgroup2");
    }
}
