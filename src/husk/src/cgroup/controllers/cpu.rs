//! `cpu`: weight, bandwidth, real-time share, idle; times in microseconds.

use super::Sink;
use crate::cgroup::layout::Version;
use crate::cgroup::write::Write;
use crate::config::Cpu;
use crate::error::Pointer;

/// Period that the kernel uses when none is given.
const DEFAULT_PERIOD: u64 = 100_000;

/// Translates the part of `cpu` that is not about cpusets.
pub(in crate::cgroup) fn plan(cpu: &Cpu<'_>, at: &Pointer, sink: &mut Sink<'_>) {
    weight(cpu, at, sink);
    bandwidth(cpu, at, sink);
    real_time(cpu, at, sink);
}

/// The v2 weight, 1 to 10000, that corresponds to v1 shares, 2 to 262144.
///
/// A curve through the least, the default (1024 is 100) and the greatest value, as the engines and
/// the kernel's documentation have it since 2025.
pub(in crate::cgroup) fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        3..262_144 => {
            // Below 2^18, so exact.
            let log = f64::from(u32::try_from(shares).unwrap_or(u32::MAX)).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            // The default is a whole number exactly: rounding of the library must not lift it.
            let weight = (10_f64.powf(exponent) - 1e-9).ceil().clamp(1.0, 10_000.0);
            // In 1..=10000 by the line above.
            weight as u64
        }
        _ => 10_000,
    }
}

fn weight(cpu: &Cpu<'_>, at: &Pointer, sink: &mut Sink<'_>) {
    let idle = cpu.idle.map(|idle| Write::new("cpu.idle", idle, at.key("idle")));
    if let Some(value) = cpu.idle.filter(|v| !matches!(v, 0 | 1)) {
        sink.limit(at.key("idle"), format!("{value} is neither 0 nor 1"), "give 0 or 1");
        return;
    }
    let shares = cpu.shares.filter(|v| *v != 0);
    let share = match (shares, sink.version) {
        (None, _) => None,
        (Some(shares), Version::V1) => {
            if !(2..=262_144).contains(&shares) {
                // The kernel would take another value without a word.
                sink.limit(
                    at.key("shares"),
                    format!("{shares} is out of range for shares"),
                    "give 2 to 262144",
                );
                return;
            }
            Some(Write::new("cpu.shares", shares, at.key("shares")))
        }
        (Some(shares), Version::V2) => {
            Some(Write::new("cpu.weight", weight_of_shares(shares), at.key("shares")))
        }
    };
    // An idle cgroup takes no weight: leave idle first, become idle last.
    if cpu.idle == Some(0) {
        sink.writes.extend(idle);
        sink.writes.extend(share);
    } else {
        sink.writes.extend(share);
        sink.writes.extend(idle);
    }
}

fn bandwidth(cpu: &Cpu<'_>, at: &Pointer, sink: &mut Sink<'_>) {
    let quota = cpu.quota.filter(|v| *v != 0);
    let period = cpu.period.filter(|v| *v != 0);
    let mut fine = true;
    if let Some(quota) = quota.filter(|q| (1..1000).contains(q)) {
        fine = false;
        sink.limit(
            at.key("quota"),
            format!("quota {quota} is less than a millisecond"),
            "give at least 1000 microseconds, or -1 for no limit",
        );
    }
    if let Some(period) = period.filter(|p| !(1000..=1_000_000).contains(p)) {
        fine = false;
        sink.limit(
            at.key("period"),
            format!("period {period} is out of range"),
            "give 1000 to 1000000 microseconds",
        );
    }
    let most = quota.and_then(|q| u64::try_from(q).ok());
    if let (Some(burst), Some(quota)) = (cpu.burst, most)
        && burst > quota
    {
        fine = false;
        sink.limit(
            at.key("burst"),
            format!("burst {burst} is more than the quota {quota}"),
            "give at most the quota",
        );
    }
    if !fine {
        return;
    }
    match sink.version {
        Version::V1 => {
            // Where other values stand, each may have to wait for the others to fit.
            if let Some(period) = period {
                sink.push(Write::new("cpu.cfs_period_us", period, at.key("period")).may_wait());
            }
            let quota = quota.map(|q| if q < 0 { -1 } else { q });
            let quota =
                quota.map(|q| Write::new("cpu.cfs_quota_us", q, at.key("quota")).may_wait());
            sink.writes.extend(quota);
        }
        Version::V2 => {
            if quota.is_some() || period.is_some() {
                let quota = most.map_or_else(|| "max".to_owned(), |q| q.to_string());
                let value = format!("{quota} {}", period.unwrap_or(DEFAULT_PERIOD));
                let key = if most.is_some() || period.is_none() { "quota" } else { "period" };
                sink.push(Write::new("cpu.max", value, at.key(key)).may_wait());
            }
        }
    }
    if let Some(burst) = cpu.burst {
        let file = if sink.is_v1() { "cpu.cfs_burst_us" } else { "cpu.max.burst" };
        let write = Write::new(file, burst, at.key("burst")).may_wait();
        // Kernels before 5.14 have no burst, which is what 0 asks for.
        sink.push(if burst == 0 { write.ignore_missing() } else { write });
    }
}

fn real_time(cpu: &Cpu<'_>, at: &Pointer, sink: &mut Sink<'_>) {
    let period = cpu.realtime_period.filter(|v| *v != 0);
    let runtime = cpu.realtime_runtime.filter(|v| *v != 0);
    if !sink.is_v1() {
        if period.is_some() {
            sink.only_v1(at.key("realtimePeriod"), "a real-time period");
        }
        if runtime.is_some() {
            sink.only_v1(at.key("realtimeRuntime"), "a real-time runtime");
        }
        return;
    }
    if let Some(period) = period {
        let at = at.key("realtimePeriod");
        sink.push(Write::new("cpu.rt_period_us", period, at).may_wait());
    }
    if let Some(runtime) = runtime {
        let at = at.key("realtimeRuntime");
        sink.push(Write::new("cpu.rt_runtime_us", runtime, at).may_wait());
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::run;
    use super::*;
    use Version::{V1, V2};

    fn plan_of(version: Version, cpu: &Cpu<'_>) -> Result<Vec<String>, Vec<String>> {
        run(version, |sink| plan(cpu, &Pointer::from("/c"), sink))
    }

    #[test]
    fn weights_as_runc_computes_them() {
        // Values of ConvertCPUSharesToCgroupV2Value in opencontainers/cgroups.
        for (shares, weight) in [
            (2, 1),
            (3, 2),
            (4, 2),
            (6, 3),
            (9, 3),
            (32, 8),
            (100, 17),
            (102, 17),
            (256, 35),
            (512, 59),
            (1024, 100),
            (2048, 174),
            (10_240, 639),
            (65_536, 3023),
            (262_143, 10_000),
            (262_144, 10_000),
            (u64::MAX, 10_000),
        ] {
            assert_eq!(weight_of_shares(shares), weight, "shares {shares}");
        }
        let all: Vec<u64> = (0..=262_144).map(weight_of_shares).collect();
        assert!(all.is_sorted());
    }

    #[test]
    fn writes_of_v1() {
        let docker = Cpu {
            shares: Some(512),
            quota: Some(150_000),
            period: Some(100_000),
            burst: Some(1000),
            realtime_runtime: Some(950),
            realtime_period: Some(1000),
            ..Cpu::default()
        };
        let writes = [
            "cpu.shares=512",
            "cpu.cfs_period_us=100000",
            "cpu.cfs_quota_us=150000",
            "cpu.cfs_burst_us=1000",
            "cpu.rt_period_us=1000",
            "cpu.rt_runtime_us=950",
        ];
        assert_eq!(plan_of(V1, &docker).unwrap(), writes);
        let zeros = Cpu {
            shares: Some(0),
            quota: Some(0),
            period: Some(0),
            realtime_period: Some(0),
            realtime_runtime: Some(0),
            ..Cpu::default()
        };
        assert!(plan_of(V1, &zeros).unwrap().is_empty());
        assert!(plan_of(V2, &zeros).unwrap().is_empty());
    }

    #[test]
    fn bandwidth_of_v2() {
        for (quota, period, value) in [
            (Some(150_000), Some(100_000), "cpu.max=150000 100000"),
            (Some(5000), None, "cpu.max=5000 100000"),
            (Some(-1), None, "cpu.max=max 100000"),
            (None, Some(50_000), "cpu.max=max 50000"),
        ] {
            let cpu = Cpu { quota, period, ..Cpu::default() };
            assert_eq!(plan_of(V2, &cpu).unwrap(), [value]);
        }
    }

    #[test]
    fn idle_takes_its_place_around_the_weight() {
        let cpu = |idle| Cpu { shares: Some(1024), idle: Some(idle), ..Cpu::default() };
        assert_eq!(plan_of(V2, &cpu(1)).unwrap(), ["cpu.weight=100", "cpu.idle=1"]);
        assert_eq!(plan_of(V2, &cpu(0)).unwrap(), ["cpu.idle=0", "cpu.weight=100"]);
        assert_eq!(plan_of(V1, &cpu(2)).unwrap_err(), ["/c/idle"]);
    }

    #[test]
    fn refusals_point_at_the_property() {
        let d = Cpu::default;
        for (version, cpu, at) in [
            (V1, Cpu { shares: Some(1), ..d() }, "/c/shares"),
            (V1, Cpu { shares: Some(262_145), ..d() }, "/c/shares"),
            (V2, Cpu { quota: Some(999), ..d() }, "/c/quota"),
            (V1, Cpu { period: Some(999), ..d() }, "/c/period"),
            (V2, Cpu { period: Some(1_000_001), ..d() }, "/c/period"),
            (V2, Cpu { quota: Some(5000), burst: Some(5001), ..d() }, "/c/burst"),
            (V2, Cpu { realtime_runtime: Some(5), ..d() }, "/c/realtimeRuntime"),
            (V2, Cpu { realtime_period: Some(5), ..d() }, "/c/realtimePeriod"),
        ] {
            assert_eq!(plan_of(version, &cpu).unwrap_err(), [at], "{cpu:?}");
        }
    }
}
