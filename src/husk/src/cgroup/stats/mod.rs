//! What a container uses: the `data` of runc's `events --stats`, member by member, so that what
//! reads runc's reads husk's.

mod parse;
mod v1;
mod v2;

use super::group::{Cgroup, failed, is_gone};
use super::layout::Version;
use crate::error::Error;
use nix::errno::Errno;
use serde::Serialize;
use std::collections::BTreeMap;

/// Use of resources at one moment. What this host does not count is 0, empty or absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Processor time.
    pub cpu: Cpu,
    /// CPUs and memory nodes that may be used (v1).
    pub cpuset: CpuSet,
    /// Memory.
    pub memory: Memory,
    /// Tasks.
    pub pids: Pids,
    /// Block devices.
    pub blkio: BlockIo,
    /// Huge pages, by page size.
    pub hugetlb: BTreeMap<String, HugePages>,
    /// Always empty: resctrl is not a matter of control groups.
    pub intel_rdt: BTreeMap<String, u64>,
    /// Always null, as for every container whose network the engine makes.
    pub network_interfaces: Option<Vec<u64>>,
}

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpu {
    /// Time used, in nanoseconds.
    pub usage: CpuUsage,
    /// Time held back by a quota.
    pub throttling: Throttling,
    /// Pressure (v2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// Processor time used, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CpuUsage {
    /// In all.
    #[serde(skip_serializing_if = "is_zero")]
    pub total: u64,
    /// By CPU (v1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// By CPU, in the kernel (v1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// By CPU, outside of the kernel (v1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// In the kernel.
    pub kernel: u64,
    /// Outside of it.
    pub user: u64,
}

/// What a quota has held back.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    /// Periods in which something ran.
    #[serde(skip_serializing_if = "is_zero")]
    pub periods: u64,
    /// Periods in which the quota was used up.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    /// Nanoseconds held back.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

/// The cpuset files of v1.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CpuSet {
    /// CPUs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    /// Whether no sibling may have them.
    pub cpu_exclusive: u64,
    /// Memory nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    /// Whether kernel memory keeps to the nodes too.
    pub mem_hardwall: u64,
    /// Whether no sibling may have the nodes.
    pub mem_exclusive: u64,
    /// Whether memory follows a change of nodes.
    pub memory_migrate: u64,
    /// Whether the page cache is spread.
    pub memory_spread_page: u64,
    /// Whether kernel caches are spread.
    pub memory_spread_slab: u64,
    /// Rate of reclaim.
    pub memory_pressure: u64,
    /// Whether load is balanced inside.
    pub sched_load_balance: u64,
    /// Range of that balancing, -1 for the system's.
    pub sched_relax_domain_level: i64,
}

/// Memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// Page cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache: u64,
    /// Memory.
    pub usage: MemoryEntry,
    /// Memory and swap together.
    pub swap: MemoryEntry,
    /// Kernel memory (v1).
    pub kernel: MemoryEntry,
    /// Kernel TCP memory (v1).
    #[serde(rename = "kernelTCP")]
    pub kernel_tcp: MemoryEntry,
    /// Everything in `memory.stat`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    /// Pressure (v2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// One kind of memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MemoryEntry {
    /// Limit; without one the greatest that the kernel has (v1: 2^63-4096, v2: 2^64-1).
    pub limit: u64,
    /// In use.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// Most that was ever in use.
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often the limit was hit (v1).
    pub failcnt: u64,
}

/// Tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pids {
    /// How many there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub current: u64,
    /// Limit; 0 for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// Block devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockIo {
    /// Bytes moved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlockIoEntry>,
    /// Operations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlockIoEntry>,
    /// Operations waiting (v1).
    #[serde(skip_serializing_if = "Vec::is_empty", rename = "ioQueueRecursive")]
    pub io_queued_recursive: Vec<BlockIoEntry>,
    /// Nanoseconds of work (v1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_time_recursive: Vec<BlockIoEntry>,
    /// Nanoseconds of waiting (v1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_wait_time_recursive: Vec<BlockIoEntry>,
    /// Operations merged (v1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_merged_recursive: Vec<BlockIoEntry>,
    /// Milliseconds of disk time (v1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_time_recursive: Vec<BlockIoEntry>,
    /// Sectors moved (v1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Vec<BlockIoEntry>,
    /// Pressure (v2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Pressure>,
}

/// A count of one device.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BlockIoEntry {
    /// Major number.
    #[serde(skip_serializing_if = "is_zero")]
    pub major: u64,
    /// Minor number.
    #[serde(skip_serializing_if = "is_zero")]
    pub minor: u64,
    /// Kind of operation, where it is told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    /// The count.
    #[serde(skip_serializing_if = "is_zero")]
    pub value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HugePages {
    /// In use.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// Most that was ever in use (v1).
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// Pressure stall information.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pressure {
    /// Some tasks waited.
    pub some: PressureLine,
    /// All tasks waited.
    pub full: PressureLine,
}

/// Shares of time in percent, and microseconds in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PressureLine {
    /// Over ten seconds.
    pub avg10: f64,
    /// Over a minute.
    pub avg60: f64,
    /// Over five minutes.
    pub avg300: f64,
    /// Since the beginning.
    pub total: u64,
}

impl Cgroup {
    /// Reads what the container uses.
    ///
    /// # Errors
    /// [`crate::error::Code::CGROUP_FAILED`] when the cgroup is gone or cannot be read.
    pub fn stats(&self) -> Result<Stats, Error> {
        let mut stats = Stats::default();
        for member in &self.parts {
            let read = member.dir().and_then(|dir| match self.version {
                Version::V1 => v1::read(&member.part, dir, &mut stats),
                Version::V2 => v2::read(dir, &mut stats),
            });
            read.map_err(|errno| {
                let doing = format!("read the statistics of {}", member.part.directory());
                failed(doing, "read", errno)
            })?;
        }
        if self.version == Version::V2 && stats.pids.current == 0 {
            // Without the controller.
            let count = self.processes()?.len();
            stats.pids.current = u64::try_from(count).unwrap_or(u64::MAX);
        }
        Ok(stats)
    }
}

/// A file that this kernel may not have, or not be able to answer.
fn optional(read: Result<String, Errno>) -> Result<Option<String>, Errno> {
    match read {
        Ok(text) => Ok(Some(text)),
        Err(Errno::EOPNOTSUPP) => Ok(None),
        Err(errno) if is_gone(errno) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Sizes of huge pages of this host, as the files of the controller name them.
fn page_sizes() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/sys/kernel/mm/hugepages") else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| parse::page_size(&name)).collect()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_that_of_runc() {
        let mut stats = Stats::default();
        stats.cpu.usage.total = 5;
        stats.memory.usage = MemoryEntry { limit: 7, usage: 3, max: 4, failcnt: 0 };
        stats.memory.raw.insert("anon".into(), 1);
        stats.blkio.io_queued_recursive =
            vec![BlockIoEntry { major: 8, minor: 0, op: "Read".into(), value: 9 }];
        stats.pids.current = 2;
        let json = serde_json::to_value(&stats).unwrap();
        assert_eq!(json["cpu"]["usage"]["total"], 5);
        assert!(json["cpu"]["usage"].get("percpu").is_none());
        assert_eq!(json["cpu"]["usage"]["kernel"], 0);
        assert_eq!(json["memory"]["usage"]["max"], 4);
        assert_eq!(json["memory"]["kernelTCP"]["failcnt"], 0);
        assert_eq!(json["memory"]["raw"]["anon"], 1);
        let queued = serde_json::json!([{ "major": 8, "op": "Read", "value": 9 }]);
        assert_eq!(json["blkio"]["ioQueueRecursive"], queued);
        assert_eq!(json["pids"], serde_json::json!({ "current": 2 }));
        assert_eq!(json["cpuset"]["sched_relax_domain_level"], 0);
        assert!(json["intel_rdt"].is_object() && json["network_interfaces"].is_null());
    }
}
