//! `linux` (config-linux.md), but for resources and seccomp.

use super::resources::Resources;
use super::seccomp::Seccomp;
use super::value::{List, Map, Str, null_is_default};
use serde::Deserialize;

/// `linux`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux<'a> {
    /// Namespaces that are made or joined; absent types are inherited.
    #[serde(borrow)]
    pub namespaces: List<Namespace<'a>>,
    /// User id mappings of a new user namespace.
    pub uid_mappings: List<IdMapping>,
    /// Group id mappings of a new user namespace.
    pub gid_mappings: List<IdMapping>,
    /// Offsets of the clocks of a new time namespace, by clock.
    pub time_offsets: Map<'a, TimeOffset>,
    /// Devices that are supplied besides the default ones.
    pub devices: List<Device<'a>>,
    /// Network interfaces of the host that are moved in, by name.
    pub net_devices: Map<'a, NetDevice<'a>>,
    /// Where the container's control group is; empty: named by the id.
    pub cgroups_path: Str<'a>,
    /// Limits.
    pub resources: Option<Resources<'a>>,
    /// Intel resource director.
    pub intel_rdt: Option<IntelRdt<'a>>,
    /// Kernel parameters, by key.
    pub sysctl: Map<'a, Str<'a>>,
    /// System call filter.
    pub seccomp: Option<Seccomp<'a>>,
    /// Propagation of the root mount; empty: the default.
    pub rootfs_propagation: Str<'a>,
    /// Paths that cannot be read in the container.
    pub masked_paths: List<Str<'a>>,
    /// Paths that cannot be written in the container.
    pub readonly_paths: List<Str<'a>>,
    /// SELinux context of the mounts; empty: none.
    pub mount_label: Str<'a>,
    /// Execution domain.
    pub personality: Option<Personality<'a>>,
    /// NUMA memory policy.
    pub memory_policy: Option<MemoryPolicy<'a>>,
}

/// An element of `namespaces`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Namespace<'a> {
    /// `pid`, `network`, `mount`, `ipc`, `uts`, `user`, `cgroup` or `time`.
    #[serde(rename = "type", borrow)]
    pub kind: Str<'a>,
    /// Namespace file to join; empty: a new namespace.
    pub path: Str<'a>,
}

/// One line of an id map.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct IdMapping {
    /// First id inside.
    #[serde(rename = "containerID", deserialize_with = "null_is_default")]
    pub container_id: u32,
    /// First id outside.
    #[serde(rename = "hostID", deserialize_with = "null_is_default")]
    pub host_id: u32,
    /// Number of ids.
    #[serde(deserialize_with = "null_is_default")]
    pub size: u32,
}

/// A value of `timeOffsets`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TimeOffset {
    /// Seconds.
    #[serde(deserialize_with = "null_is_default")]
    pub secs: i64,
    /// Nanoseconds, below 10^9.
    #[serde(deserialize_with = "null_is_default")]
    pub nanosecs: u32,
}

/// An element of `devices`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Device<'a> {
    /// `c`, `b`, `u` or `p`.
    #[serde(rename = "type", borrow)]
    pub kind: Str<'a>,
    /// Absolute path in the container.
    pub path: Str<'a>,
    /// Major number; not for `p`.
    pub major: Option<i64>,
    /// Minor number; not for `p`.
    pub minor: Option<i64>,
    /// Permission bits; absent: 0666.
    pub file_mode: Option<u32>,
    /// Owner in the container's user namespace.
    pub uid: Option<u32>,
    /// Group in the container's user namespace.
    pub gid: Option<u32>,
}

/// A value of `netDevices`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NetDevice<'a> {
    /// Name in the container; empty: as on the host.
    #[serde(borrow)]
    pub name: Str<'a>,
}

/// `intelRdt`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IntelRdt<'a> {
    /// Class of service; empty: named by the container's id.
    #[serde(rename = "closID", borrow)]
    pub clos_id: Str<'a>,
    /// Lines for the schemata file.
    pub schemata: List<Str<'a>>,
    /// L3 cache schema.
    pub l3_cache_schema: Str<'a>,
    /// Memory bandwidth schema.
    pub mem_bw_schema: Str<'a>,
    /// Whether a monitoring group is made.
    #[serde(deserialize_with = "null_is_default")]
    pub enable_monitoring: bool,
}

/// `personality`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Personality<'a> {
    /// `LINUX` or `LINUX32`.
    #[serde(borrow)]
    pub domain: Str<'a>,
    /// None is defined.
    pub flags: List<Str<'a>>,
}

/// `memoryPolicy`, see set_mempolicy(2).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MemoryPolicy<'a> {
    /// `MPOL_…`.
    #[serde(borrow)]
    pub mode: Str<'a>,
    /// List of nodes such as `0-1,3`.
    pub nodes: Str<'a>,
    /// `MPOL_F_…`.
    pub flags: List<Str<'a>>,
}
