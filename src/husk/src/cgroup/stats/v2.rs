//! Statistics of v2: all controllers in one directory.

use super::parse::{block_v2, flat, keyed, number, pressure};
use super::{HugePages, MemoryEntry, Pressure, Stats, optional, page_sizes};
use crate::cgroup::dir::Dir;
use nix::errno::Errno;

/// Nanoseconds of a microsecond.
const MICRO: u64 = 1000;

/// Reads everything that is counted.
pub(super) fn read(dir: &Dir, stats: &mut Stats) -> Result<(), Errno> {
    cpu(dir, stats)?;
    memory(dir, stats)?;
    pids(dir, stats)?;
    let stat = text(dir, "io.stat")?;
    let io = &mut stats.blkio;
    (io.io_service_bytes_recursive, io.io_serviced_recursive) = block_v2(&stat);
    io.psi = stalled(dir, "io.pressure")?;
    hugetlb(dir, stats)
}

fn text(dir: &Dir, file: &str) -> Result<String, Errno> {
    Ok(optional(dir.read(file))?.unwrap_or_default())
}

fn value(dir: &Dir, file: &str) -> Result<u64, Errno> {
    Ok(number(&text(dir, file)?))
}

fn stalled(dir: &Dir, file: &str) -> Result<Option<Pressure>, Errno> {
    Ok(optional(dir.read(file))?.map(|text| pressure(&text)))
}

fn cpu(dir: &Dir, stats: &mut Stats) -> Result<(), Errno> {
    let stat = text(dir, "cpu.stat")?;
    let nanoseconds = |key: &str| keyed(&stat, key).saturating_mul(MICRO);
    let cpu = &mut stats.cpu;
    cpu.usage.total = nanoseconds("usage_usec");
    cpu.usage.user = nanoseconds("user_usec");
    cpu.usage.kernel = nanoseconds("system_usec");
    cpu.throttling.periods = keyed(&stat, "nr_periods");
    cpu.throttling.throttled_periods = keyed(&stat, "nr_throttled");
    cpu.throttling.throttled_time = nanoseconds("throttled_usec");
    cpu.psi = stalled(dir, "cpu.pressure")?;
    Ok(())
}

fn memory(dir: &Dir, stats: &mut Stats) -> Result<(), Errno> {
    let memory = &mut stats.memory;
    memory.raw = flat(&text(dir, "memory.stat")?);
    memory.cache = memory.raw.get("file").copied().unwrap_or_default();
    memory.usage = entry(dir, "memory")?;
    let swap = entry(dir, "memory.swap")?;
    // As v1 counts: memory and swap together. Their peaks need not have been at one time.
    memory.swap = MemoryEntry {
        usage: swap.usage.saturating_add(memory.usage.usage),
        limit: swap.limit.saturating_add(memory.usage.limit),
        ..MemoryEntry::default()
    };
    memory.psi = stalled(dir, "memory.pressure")?;
    Ok(())
}

fn entry(dir: &Dir, prefix: &str) -> Result<MemoryEntry, Errno> {
    let Some(usage) = optional(dir.read(&format!("{prefix}.current")))? else {
        return Ok(MemoryEntry::default());
    };
    Ok(MemoryEntry {
        usage: number(&usage),
        limit: value(dir, &format!("{prefix}.max"))?,
        max: value(dir, &format!("{prefix}.peak"))?,
        failcnt: 0,
    })
}

fn pids(dir: &Dir, stats: &mut Stats) -> Result<(), Errno> {
    stats.pids.current = value(dir, "pids.current")?;
    let limit = value(dir, "pids.max")?;
    stats.pids.limit = if limit == u64::MAX { 0 } else { limit };
    Ok(())
}

fn hugetlb(dir: &Dir, stats: &mut Stats) -> Result<(), Errno> {
    for size in page_sizes() {
        for kind in [".rsvd", ""] {
            let file = format!("hugetlb.{size}{kind}.current");
            let Some(usage) = optional(dir.read(&file))? else { continue };
            let events = text(dir, &format!("hugetlb.{size}.events"))?;
            let (usage, failcnt) = (number(&usage), keyed(&events, "max"));
            stats.hugetlb.insert(size.clone(), HugePages { usage, max: 0, failcnt });
            break;
        }
    }
    Ok(())
}
