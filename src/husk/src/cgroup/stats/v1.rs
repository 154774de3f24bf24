//! Statistics of v1: each controller has its own files.

use super::parse::{block_v1, flat, keyed, list, number, ranges, usage_all};
use super::{BlockIo, BlockIoEntry, CpuSet, HugePages, MemoryEntry, Stats, optional, page_sizes};
use crate::cgroup::dir::Dir;
use crate::cgroup::group::Part;
use nix::errno::Errno;

/// Nanoseconds of a tick in the kernel's text interfaces, 100 a second on all architectures.
const TICK: u64 = 10_000_000;

/// Reads what the controllers of one hierarchy count.
pub(super) fn read(part: &Part, dir: &Dir, stats: &mut Stats) -> Result<(), Errno> {
    for name in &part.names {
        match name.as_str() {
            "cpu" => cpu(dir, stats)?,
            "cpuacct" => cpuacct(dir, stats)?,
            "cpuset" => cpuset(dir, &mut stats.cpuset)?,
            "memory" => memory(dir, stats)?,
            "pids" => pids(dir, stats)?,
            "blkio" => blkio(dir, &mut stats.blkio)?,
            "hugetlb" => hugetlb(dir, stats)?,
            _ => {}
        }
    }
    Ok(())
}

fn text(dir: &Dir, file: &str) -> Result<String, Errno> {
    Ok(optional(dir.read(file))?.unwrap_or_default())
}

fn value(dir: &Dir, file: &str) -> Result<u64, Errno> {
    Ok(number(&text(dir, file)?))
}

fn cpu(dir: &Dir, stats: &mut Stats) -> Result<(), Errno> {
    let stat = text(dir, "cpu.stat")?;
    let throttling = &mut stats.cpu.throttling;
    throttling.periods = keyed(&stat, "nr_periods");
    throttling.throttled_periods = keyed(&stat, "nr_throttled");
    throttling.throttled_time = keyed(&stat, "throttled_time");
    Ok(())
}

fn cpuacct(dir: &Dir, stats: &mut Stats) -> Result<(), Errno> {
    let usage = &mut stats.cpu.usage;
    usage.total = value(dir, "cpuacct.usage")?;
    usage.percpu = list(&text(dir, "cpuacct.usage_percpu")?);
    let stat = text(dir, "cpuacct.stat")?;
    usage.user = keyed(&stat, "user").saturating_mul(TICK);
    usage.kernel = keyed(&stat, "system").saturating_mul(TICK);
    (usage.percpu_user, usage.percpu_kernel) = usage_all(&text(dir, "cpuacct.usage_all")?);
    Ok(())
}

fn cpuset(dir: &Dir, set: &mut CpuSet) -> Result<(), Errno> {
    set.cpus = ranges(&text(dir, "cpuset.cpus")?);
    set.mems = ranges(&text(dir, "cpuset.mems")?);
    for (file, target) in [
        ("cpuset.cpu_exclusive", &mut set.cpu_exclusive),
        ("cpuset.mem_hardwall", &mut set.mem_hardwall),
        ("cpuset.mem_exclusive", &mut set.mem_exclusive),
        ("cpuset.memory_migrate", &mut set.memory_migrate),
        ("cpuset.memory_spread_page", &mut set.memory_spread_page),
        ("cpuset.memory_spread_slab", &mut set.memory_spread_slab),
        ("cpuset.memory_pressure", &mut set.memory_pressure),
        ("cpuset.sched_load_balance", &mut set.sched_load_balance),
    ] {
        *target = value(dir, file)?;
    }
    let level = text(dir, "cpuset.sched_relax_domain_level")?;
    set.sched_relax_domain_level = level.trim().parse().unwrap_or_default();
    Ok(())
}

fn memory(dir: &Dir, stats: &mut Stats) -> Result<(), Errno> {
    let memory = &mut stats.memory;
    memory.raw = flat(&text(dir, "memory.stat")?);
    memory.cache = memory.raw.get("cache").copied().unwrap_or_default();
    memory.usage = entry(dir, "memory")?;
    memory.swap = entry(dir, "memory.memsw")?;
    memory.kernel = entry(dir, "memory.kmem")?;
    memory.kernel_tcp = entry(dir, "memory.kmem.tcp")?;
    Ok(())
}

fn entry(dir: &Dir, prefix: &str) -> Result<MemoryEntry, Errno> {
    let Some(usage) = optional(dir.read(&format!("{prefix}.usage_in_bytes")))? else {
        return Ok(MemoryEntry::default());
    };
    Ok(MemoryEntry {
        usage: number(&usage),
        limit: value(dir, &format!("{prefix}.limit_in_bytes"))?,
        max: value(dir, &format!("{prefix}.max_usage_in_bytes"))?,
        failcnt: value(dir, &format!("{prefix}.failcnt"))?,
    })
}

fn pids(dir: &Dir, stats: &mut Stats) -> Result<(), Errno> {
    stats.pids.current = value(dir, "pids.current")?;
    let limit = value(dir, "pids.max")?;
    stats.pids.limit = if limit == u64::MAX { 0 } else { limit };
    Ok(())
}

/// The schedulers count in files of their own; the first kind that has counted is taken.
fn blkio(dir: &Dir, io: &mut BlockIo) -> Result<(), Errno> {
    for prefix in ["blkio.bfq", "blkio"] {
        let read = |name: &str| -> Result<Vec<BlockIoEntry>, Errno> {
            Ok(block_v1(&text(dir, &format!("{prefix}.{name}_recursive"))?))
        };
        let (bytes, operations) = (read("io_service_bytes")?, read("io_serviced")?);
        if bytes.is_empty() && operations.is_empty() {
            continue;
        }
        (io.io_service_bytes_recursive, io.io_serviced_recursive) = (bytes, operations);
        io.io_queued_recursive = read("io_queued")?;
        io.io_service_time_recursive = read("io_service_time")?;
        io.io_wait_time_recursive = read("io_wait_time")?;
        io.io_merged_recursive = read("io_merged")?;
        io.io_time_recursive = read("time")?;
        io.sectors_recursive = read("sectors")?;
        return Ok(());
    }
    for suffix in ["_recursive", ""] {
        let read = |name: &str| text(dir, &format!("blkio.throttle.{name}{suffix}"));
        io.io_service_bytes_recursive = block_v1(&read("io_service_bytes")?);
        io.io_serviced_recursive = block_v1(&read("io_serviced")?);
        if !io.io_serviced_recursive.is_empty() {
            break;
        }
    }
    Ok(())
}

fn hugetlb(dir: &Dir, stats: &mut Stats) -> Result<(), Errno> {
    for size in page_sizes() {
        for kind in [".rsvd", ""] {
            let prefix = format!("hugetlb.{size}{kind}");
            let Some(usage) = optional(dir.read(&format!("{prefix}.usage_in_bytes")))? else {
                continue;
            };
            let pages = HugePages {
                usage: number(&usage),
                max: value(dir, &format!("{prefix}.max_usage_in_bytes"))?,
                failcnt: value(dir, &format!("{prefix}.failcnt"))?,
            };
            stats.hugetlb.insert(size.clone(), pages);
            break;
        }
    }
    Ok(())
}
