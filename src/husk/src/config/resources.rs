//! `linux.resources` (config-linux.md §Control Groups), also what `update` reads.

use super::value::{List, Map, Str, null_is_default};
use serde::Deserialize;

/// `resources`. An absent value is left as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources<'a> {
    /// Device access rules, in order.
    #[serde(borrow)]
    pub devices: List<DeviceRule<'a>>,
    /// Memory limits.
    pub memory: Option<Memory>,
    /// CPU limits.
    pub cpu: Option<Cpu<'a>>,
    /// Number of tasks.
    pub pids: Option<Pids>,
    /// Block devices.
    #[serde(rename = "blockIO")]
    pub block_io: Option<BlockIo>,
    /// Huge pages, by page size.
    pub hugepage_limits: List<HugepageLimit<'a>>,
    /// Network classes (cgroup v1).
    pub network: Option<Network<'a>>,
    /// RDMA limits, by device.
    pub rdma: Map<'a, Rdma>,
    /// Files of cgroup v2, by name.
    pub unified: Map<'a, Str<'a>>,
}

/// An element of `resources.devices`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DeviceRule<'a> {
    /// Whether the rule grants or takes.
    #[serde(deserialize_with = "null_is_default")]
    pub allow: bool,
    /// `a`, `b`, `c` or empty for all.
    #[serde(rename = "type", borrow)]
    pub kind: Str<'a>,
    /// Major number; absent or -1: all.
    pub major: Option<i64>,
    /// Minor number; absent or -1: all.
    pub minor: Option<i64>,
    /// Of `r`, `w`, `m`.
    pub access: Str<'a>,
}

/// `resources.memory`; bytes, -1 is unlimited.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Hard limit.
    pub limit: Option<i64>,
    /// Soft limit.
    pub reservation: Option<i64>,
    /// Limit of memory plus swap.
    pub swap: Option<i64>,
    /// Deprecated limit of kernel memory.
    pub kernel: Option<i64>,
    /// Deprecated limit of kernel TCP memory.
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: Option<i64>,
    /// 0 to 100 (cgroup v1).
    pub swappiness: Option<u64>,
    /// Whether tasks wait instead of being killed (cgroup v1).
    #[serde(rename = "disableOOMKiller")]
    pub disable_oom_killer: Option<bool>,
    /// Hierarchical accounting (cgroup v1).
    pub use_hierarchy: Option<bool>,
    /// Whether a limit below the present usage is refused (cgroup v2).
    pub check_before_update: Option<bool>,
}

/// `resources.cpu`; times in microseconds.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cpu<'a> {
    /// Relative weight, 2 to 262144.
    pub shares: Option<u64>,
    /// Time per period; -1 is unlimited.
    pub quota: Option<i64>,
    /// Unused time that may be kept for a burst.
    pub burst: Option<u64>,
    /// Length of a period.
    pub period: Option<u64>,
    /// Real-time runtime (cgroup v1).
    pub realtime_runtime: Option<i64>,
    /// Real-time period (cgroup v1).
    pub realtime_period: Option<u64>,
    /// CPUs such as `0-3,7`; empty: left alone.
    #[serde(borrow)]
    pub cpus: Str<'a>,
    /// Memory nodes such as `0-1`; empty: left alone.
    pub mems: Str<'a>,
    /// 1 gives the cgroup SCHED_IDLE.
    pub idle: Option<i64>,
}

/// `resources.pids`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pids {
    /// Greatest number of tasks; -1 is unlimited, absent leaves it.
    pub limit: Option<i64>,
}

/// `resources.blockIO`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockIo {
    /// Weight, 10 to 1000.
    pub weight: Option<u16>,
    /// Weight against child cgroups (cgroup v1).
    pub leaf_weight: Option<u16>,
    /// Weights by device.
    pub weight_device: List<WeightDevice>,
    /// Bytes read a second.
    pub throttle_read_bps_device: List<ThrottleDevice>,
    /// Bytes written a second.
    pub throttle_write_bps_device: List<ThrottleDevice>,
    /// Reads a second.
    #[serde(rename = "throttleReadIOPSDevice")]
    pub throttle_read_iops_device: List<ThrottleDevice>,
    /// Writes a second.
    #[serde(rename = "throttleWriteIOPSDevice")]
    pub throttle_write_iops_device: List<ThrottleDevice>,
}

/// An element of `weightDevice`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WeightDevice {
    /// Major number.
    #[serde(deserialize_with = "null_is_default")]
    pub major: i64,
    /// Minor number.
    #[serde(deserialize_with = "null_is_default")]
    pub minor: i64,
    /// Weight, 10 to 1000.
    pub weight: Option<u16>,
    /// Weight against child cgroups (cgroup v1).
    pub leaf_weight: Option<u16>,
}

/// An element of the `throttle…Device` lists.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ThrottleDevice {
    /// Major number.
    #[serde(deserialize_with = "null_is_default")]
    pub major: i64,
    /// Minor number.
    #[serde(deserialize_with = "null_is_default")]
    pub minor: i64,
    /// Bytes or operations a second.
    #[serde(deserialize_with = "null_is_default")]
    pub rate: u64,
}

/// An element of `hugepageLimits`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HugepageLimit<'a> {
    /// Such as `2MB`.
    #[serde(borrow)]
    pub page_size: Str<'a>,
    /// Bytes.
    #[serde(deserialize_with = "null_is_default")]
    pub limit: u64,
}

/// `resources.network` (cgroup v1).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Network<'a> {
    /// Class of outgoing packets.
    #[serde(rename = "classID")]
    pub class_id: Option<u32>,
    /// Priorities by interface.
    #[serde(borrow)]
    pub priorities: List<InterfacePriority<'a>>,
}

/// An element of `network.priorities`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct InterfacePriority<'a> {
    /// Interface.
    #[serde(borrow)]
    pub name: Str<'a>,
    /// Priority.
    #[serde(deserialize_with = "null_is_default")]
    pub priority: u32,
}

/// A value of `resources.rdma`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rdma {
    /// Greatest number of handles.
    pub hca_handles: Option<u32>,
    /// Greatest number of objects.
    pub hca_objects: Option<u32>,
}
