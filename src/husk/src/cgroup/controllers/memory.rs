//! `memory`: limits in bytes, -1 is unlimited, 0 leaves the value as it is.

use super::{Sink, unlimited};
use crate::cgroup::layout::Version;
use crate::cgroup::write::Write;
use crate::config::Memory;
use crate::error::{Code, Pointer};

/// The limit that must not be below what is in use, for `checkBeforeUpdate` (v2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cgroup) struct UsageCheck {
    /// Bytes; memory, or memory and swap together.
    pub(in crate::cgroup) limit: u64,
    /// The property that sets it.
    pub(in crate::cgroup) pointer: Pointer,
}

/// Translates `memory`, which stands at `at`.
pub(in crate::cgroup) fn plan(memory: &Memory, at: &Pointer, sink: &mut Sink<'_>) {
    let limit = bytes(memory.limit, at, "limit", sink);
    let swap = bytes(memory.swap, at, "swap", sink);
    let reservation = bytes(memory.reservation, at, "reservation", sink);
    if fits(limit, swap, at, sink) {
        match sink.version {
            Version::V1 => limits_v1(limit, swap, at, sink),
            Version::V2 => limits_v2(limit, swap, at, sink),
        }
    }
    if let Some(value) = reservation {
        let file = if sink.is_v1() { "memory.soft_limit_in_bytes" } else { "memory.low" };
        sink.push(Write::new(file, text(value, sink.version), at.key("reservation")));
    }
    for (value, key) in [(memory.kernel, "kernel"), (memory.kernel_tcp, "kernelTCP")] {
        if value.is_some_and(|v| v != 0) {
            sink.problems.warn(
                Code::CGROUP_LIMIT,
                at.key(key),
                "limits of kernel memory are deprecated and ignored",
            );
        }
    }
    swappiness(memory.swappiness, at, sink);
    oom_killer(memory.disable_oom_killer, at, sink);
    if memory.use_hierarchy == Some(false) {
        sink.problems.warn(
            Code::CGROUP_LIMIT,
            at.key("useHierarchy"),
            "accounting is always hierarchical on kernels of today",
        );
    }
}

/// What `checkBeforeUpdate` has to compare, before anything is written to a cgroup in use.
pub(in crate::cgroup) fn usage_checks(memory: &Memory, at: &Pointer) -> Vec<UsageCheck> {
    if memory.check_before_update != Some(true) {
        return Vec::new();
    }
    [(memory.limit, "limit"), (memory.swap, "swap")]
        .into_iter()
        .filter_map(|(value, key)| {
            let limit = u64::try_from(value?).ok().filter(|v| *v > 0)?;
            Some(UsageCheck { limit, pointer: at.key(key) })
        })
        .collect()
}

/// A limit that is set: 0 is as good as absent, as for every other runtime.
fn bytes(value: Option<i64>, at: &Pointer, key: &'static str, sink: &mut Sink<'_>) -> Option<i64> {
    let value = value.filter(|v| *v != 0)?;
    if value < -1 {
        sink.limit(
            at.key(key),
            format!("{value} is not an amount of memory"),
            "give a number of bytes, or -1 for no limit",
        );
        return None;
    }
    Some(value)
}

fn fits(limit: Option<i64>, swap: Option<i64>, at: &Pointer, sink: &mut Sink<'_>) -> bool {
    let Some(swap) = swap.filter(|s| *s > 0) else { return true };
    match limit {
        None => {
            sink.limit(
                at.key("swap"),
                format!("swap {swap} is set without a memory limit"),
                "swap counts memory and swap together: set limit as well",
            );
            false
        }
        Some(limit) if limit > swap => {
            sink.limit(
                at.key("swap"),
                format!("memory+swap {swap} is below the memory limit {limit}"),
                "swap counts memory and swap together: give at least the memory limit",
            );
            false
        }
        Some(-1) if sink.is_v1() => {
            sink.limit(
                at.key("swap"),
                format!("memory+swap {swap} cannot be below unlimited memory"),
                "set swap to -1, or limit to a number of bytes",
            );
            false
        }
        Some(_) => true,
    }
}

fn limits_v1(limit: Option<i64>, swap: Option<i64>, at: &Pointer, sink: &mut Sink<'_>) {
    const LIMIT: &str = "memory.limit_in_bytes";
    const BOTH: &str = "memory.memsw.limit_in_bytes";
    // The kernel keeps memory+swap at or above memory at any moment. In a new cgroup memory first
    // is right; where other values stand the first may have to wait for the second.
    let limit_write = limit.map(|v| Write::new(LIMIT, v, at.key("limit")).may_wait());
    match (limit, swap) {
        (Some(-1), None | Some(-1)) => {
            // Unlimited memory means unlimited swap too, unless the kernel does not count swap.
            sink.push(Write::new(BOTH, -1, at.key("swap")).ignore_missing());
            sink.writes.extend(limit_write);
        }
        (_, Some(swap)) => {
            sink.writes.extend(limit_write);
            let write = Write::new(BOTH, swap, at.key("swap"));
            sink.push(if swap == -1 { write.ignore_missing() } else { write });
        }
        (_, None) => sink.writes.extend(limit_write),
    }
}

fn limits_v2(limit: Option<i64>, swap: Option<i64>, at: &Pointer, sink: &mut Sink<'_>) {
    let swap_only = match (limit, swap) {
        (Some(-1), None) | (_, Some(-1)) => Some(-1),
        (Some(-1), Some(swap)) => Some(swap),
        (Some(limit), Some(swap)) => swap.checked_sub(limit),
        (None, Some(_)) | (_, None) => None,
    };
    if let Some(value) = swap_only {
        let at = at.key(if swap.is_some() { "swap" } else { "limit" });
        let write = Write::new("memory.swap.max", text(value, Version::V2), at);
        // A kernel that cannot swap is as good as no swap, and as unlimited swap.
        sink.push(if value > 0 { write } else { write.ignore_missing() });
    }
    if let Some(value) = limit {
        sink.push(Write::new("memory.max", text(value, Version::V2), at.key("limit")));
    }
}

fn text(value: i64, version: Version) -> String {
    if value == -1 { unlimited(version).to_owned() } else { value.to_string() }
}

fn swappiness(value: Option<u64>, at: &Pointer, sink: &mut Sink<'_>) {
    // Engines have used 2^64-1 for "not set".
    let Some(value) = value.filter(|v| *v != u64::MAX) else { return };
    let at = at.key("swappiness");
    if value > 100 {
        sink.limit(at, format!("swappiness {value} is out of range"), "give 0 to 100");
    } else if sink.is_v1() {
        sink.push(Write::new("memory.swappiness", value, at));
    } else {
        sink.problems.warn(Code::CGROUP_LIMIT, at, "cgroup v2 has no swappiness; ignored");
    }
}

fn oom_killer(disable: Option<bool>, at: &Pointer, sink: &mut Sink<'_>) {
    if disable != Some(true) {
        return;
    }
    let at = at.key("disableOOMKiller");
    if sink.is_v1() {
        sink.push(Write::new("memory.oom_control", 1, at));
    } else {
        sink.problems.warn(
            Code::CGROUP_LIMIT,
            at,
            "cgroup v2 cannot keep tasks waiting instead of killing them; ignored",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::run;
    use super::*;
    use Version::{V1, V2};

    fn memory(limit: i64, swap: i64, reservation: i64) -> Memory {
        Memory {
            limit: Some(limit),
            swap: Some(swap),
            reservation: Some(reservation),
            ..Memory::default()
        }
    }

    fn plan_of(version: Version, memory: &Memory) -> Result<Vec<String>, Vec<String>> {
        run(version, |sink| plan(memory, &Pointer::from("/m"), sink))
    }

    #[test]
    fn limits_of_v1() {
        let (l, s) = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes");
        for (memory, writes) in [
            (memory(0, 0, 0), vec![]),
            (memory(100, 0, 0), vec![format!("{l}=100")]),
            (memory(100, 300, 0), vec![format!("{l}=100"), format!("{s}=300")]),
            (memory(100, -1, 0), vec![format!("{l}=100"), format!("{s}=-1")]),
            (memory(-1, 0, 0), vec![format!("{s}=-1"), format!("{l}=-1")]),
            (memory(-1, -1, 0), vec![format!("{s}=-1"), format!("{l}=-1")]),
            (memory(0, -1, 7), vec![format!("{s}=-1"), "memory.soft_limit_in_bytes=7".into()]),
        ] {
            assert_eq!(plan_of(V1, &memory).unwrap(), writes, "{memory:?}");
        }
    }

    #[test]
    fn limits_of_v2() {
        for (memory, writes) in [
            (memory(0, 0, 0), vec![]),
            (memory(100, 0, 0), vec!["memory.max=100"]),
            (memory(100, 300, 0), vec!["memory.swap.max=200", "memory.max=100"]),
            (memory(100, 100, 0), vec!["memory.swap.max=0", "memory.max=100"]),
            (memory(100, -1, 0), vec!["memory.swap.max=max", "memory.max=100"]),
            (memory(-1, 0, 0), vec!["memory.swap.max=max", "memory.max=max"]),
            (memory(-1, 300, 0), vec!["memory.swap.max=300", "memory.max=max"]),
            (memory(0, -1, -1), vec!["memory.swap.max=max", "memory.low=max"]),
        ] {
            assert_eq!(plan_of(V2, &memory).unwrap(), writes, "{memory:?}");
        }
    }

    #[test]
    fn refusals_point_at_the_property() {
        for (version, memory, at) in [
            (V1, memory(100, 50, 0), "/m/swap"),
            (V2, memory(100, 50, 0), "/m/swap"),
            (V1, memory(0, 50, 0), "/m/swap"),
            (V2, memory(0, 50, 0), "/m/swap"),
            (V1, memory(-1, 50, 0), "/m/swap"),
            (V1, memory(-2, 0, 0), "/m/limit"),
            (V2, memory(i64::MIN, 0, 0), "/m/limit"),
            (V2, memory(0, 0, -5), "/m/reservation"),
        ] {
            assert_eq!(plan_of(version, &memory).unwrap_err(), [at], "{memory:?}");
        }
    }

    #[test]
    fn the_rest_of_memory() {
        let odd = Memory {
            swappiness: Some(60),
            disable_oom_killer: Some(true),
            kernel: Some(5),
            ..Memory::default()
        };
        assert_eq!(plan_of(V1, &odd).unwrap(), ["memory.swappiness=60", "memory.oom_control=1"]);
        assert!(plan_of(V2, &odd).unwrap().is_empty());
        let unset = Memory { swappiness: Some(u64::MAX), ..Memory::default() };
        assert!(plan_of(V1, &unset).unwrap().is_empty());
        let wild = Memory { swappiness: Some(101), ..Memory::default() };
        assert_eq!(plan_of(V1, &wild).unwrap_err(), ["/m/swappiness"]);
    }

    #[test]
    fn usage_is_compared_only_when_asked() {
        let at = Pointer::from("/m");
        assert!(usage_checks(&memory(100, 200, 0), &at).is_empty());
        let asked = Memory { check_before_update: Some(true), ..memory(100, -1, 0) };
        let checks = usage_checks(&asked, &at);
        assert_eq!(checks.len(), 1);
        assert_eq!((checks[0].limit, checks[0].pointer.as_str()), (100, "/m/limit"));
    }
}
