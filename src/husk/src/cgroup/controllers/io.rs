//! `blockIO`: weights and throttles of block devices; `blkio` on v1, `io` on v2.

use super::Sink;
use crate::cgroup::layout::Version;
use crate::cgroup::write::Write;
use crate::config::{BlockIo, ThrottleDevice, WeightDevice};
use crate::error::Pointer;

/// Greatest device number of either kind that the kernel's text interface takes.
const GREATEST: i64 = u32::MAX as i64;

/// Translates `blockIO`.
pub(in crate::cgroup) fn plan(io: &BlockIo, at: &Pointer, sink: &mut Sink<'_>) {
    if let Some(weight) = weight(io.weight, at, "weight", sink) {
        let at = at.key("weight");
        sink.push(match sink.version {
            Version::V1 => Write::new("blkio.weight", weight, at.clone()).or(Write::new(
                "blkio.bfq.weight",
                weight,
                at,
            )),
            Version::V2 => Write::new("io.bfq.weight", weight, at.clone()).or(Write::new(
                "io.weight",
                weight_of_v2(weight),
                at,
            )),
        });
    }
    if let Some(weight) = weight(io.leaf_weight, at, "leafWeight", sink) {
        leaf("blkio.leaf_weight", weight.to_string(), at.key("leafWeight"), sink);
    }
    let list = at.key("weightDevice");
    for (index, device) in io.weight_device.iter().enumerate() {
        weight_device(device, &list.index(index), sink);
    }
    for (devices, key, v1, v2) in [
        (&io.throttle_read_bps_device, "throttleReadBpsDevice", "read_bps", "rbps"),
        (&io.throttle_write_bps_device, "throttleWriteBpsDevice", "write_bps", "wbps"),
        (&io.throttle_read_iops_device, "throttleReadIOPSDevice", "read_iops", "riops"),
        (&io.throttle_write_iops_device, "throttleWriteIOPSDevice", "write_iops", "wiops"),
    ] {
        let list = at.key(key);
        for (index, device) in devices.iter().enumerate() {
            throttle(device, v1, v2, list.index(index), sink);
        }
    }
}

/// The weight of `io.weight`, 1 to 10000, for one of 10 to 1000.
fn weight_of_v2(weight: u16) -> u64 {
    let above = u64::from(weight.saturating_sub(10));
    above.saturating_mul(9999) / 990 + 1
}

fn weight(value: Option<u16>, at: &Pointer, key: &str, sink: &mut Sink<'_>) -> Option<u16> {
    let value = value.filter(|w| *w != 0)?;
    if (10..=1000).contains(&value) {
        return Some(value);
    }
    sink.limit(at.key(key), format!("weight {value} is out of range"), "give 10 to 1000");
    None
}

fn leaf(file: &'static str, value: String, at: Pointer, sink: &mut Sink<'_>) {
    if sink.is_v1() {
        sink.push(Write::new(file, value, at));
    } else {
        sink.only_v1(at, "a leaf weight");
    }
}

fn weight_device(device: &WeightDevice, at: &Pointer, sink: &mut Sink<'_>) {
    let Some(name) = number(device.major, device.minor, at, sink) else { return };
    if let Some(weight) = weight(device.weight, at, "weight", sink) {
        let at = at.key("weight");
        let value = format!("{name} {weight}");
        sink.push(match sink.version {
            Version::V1 => Write::new("blkio.weight_device", value.clone(), at.clone())
                .or(Write::new("blkio.bfq.weight_device", value, at)),
            Version::V2 => Write::new("io.bfq.weight", value, at.clone()).or(Write::new(
                "io.weight",
                format!("{name} {}", weight_of_v2(weight)),
                at,
            )),
        });
    }
    if let Some(weight) = weight(device.leaf_weight, at, "leafWeight", sink) {
        leaf("blkio.leaf_weight_device", format!("{name} {weight}"), at.key("leafWeight"), sink);
    }
}

fn throttle(
    device: &ThrottleDevice,
    v1: &'static str,
    v2: &'static str,
    at: Pointer,
    sink: &mut Sink<'_>,
) {
    let Some(name) = number(device.major, device.minor, &at, sink) else { return };
    let rate = device.rate;
    sink.push(match sink.version {
        Version::V1 => {
            Write::new(format!("blkio.throttle.{v1}_device"), format!("{name} {rate}"), at)
        }
        // 0 takes a throttle away.
        Version::V2 if rate == 0 => Write::new("io.max", format!("{name} {v2}=max"), at),
        Version::V2 => Write::new("io.max", format!("{name} {v2}={rate}"), at),
    });
}

fn number(major: i64, minor: i64, at: &Pointer, sink: &mut Sink<'_>) -> Option<String> {
    for (value, key) in [(major, "major"), (minor, "minor")] {
        if !(0..=GREATEST).contains(&value) {
            sink.limit(
                at.key(key),
                format!("{value} is not the number of a device"),
                "look at the numbers in /proc/partitions",
            );
            return None;
        }
    }
    Some(format!("{major}:{minor}"))
}

#[cfg(test)]
mod tests {
    use super::super::table::run;
    use super::*;
    use crate::cgroup::write::IfMissing;
    use crate::error::Problems;
    use Version::{V1, V2};

    fn throttled(rate: u64) -> BlockIo {
        let one = ThrottleDevice { major: 8, minor: 16, rate };
        BlockIo {
            throttle_read_bps_device: vec![one].into(),
            throttle_write_iops_device: vec![one].into(),
            ..BlockIo::default()
        }
    }

    fn plan_of(version: Version, io: &BlockIo) -> Result<Vec<String>, Vec<String>> {
        run(version, |sink| plan(io, &Pointer::from("/b"), sink))
    }

    #[test]
    fn weights_of_v2() {
        for (v1, v2) in [(10, 1), (100, 910), (500, 4950), (1000, 10_000)] {
            assert_eq!(weight_of_v2(v1), v2);
        }
    }

    #[test]
    fn throttles() {
        let v1 =
            ["blkio.throttle.read_bps_device=8:16 9", "blkio.throttle.write_iops_device=8:16 9"];
        assert_eq!(plan_of(V1, &throttled(9)).unwrap(), v1);
        let v2 = ["io.max=8:16 rbps=9", "io.max=8:16 wiops=9"];
        assert_eq!(plan_of(V2, &throttled(9)).unwrap(), v2);
        let none = ["io.max=8:16 rbps=max", "io.max=8:16 wiops=max"];
        assert_eq!(plan_of(V2, &throttled(0)).unwrap(), none);
    }

    #[test]
    fn weights_have_an_alternative_file() {
        let io = BlockIo { weight: Some(500), ..BlockIo::default() };
        for (version, first, second) in [
            (V1, "blkio.weight=500", "blkio.bfq.weight=500"),
            (V2, "io.bfq.weight=500", "io.weight=4950"),
        ] {
            let mut problems = Problems::default();
            let mut sink = Sink::new(version, &mut problems);
            plan(&io, &Pointer::default(), &mut sink);
            let write = sink.writes.first().unwrap();
            assert_eq!(format!("{}={}", write.file, write.value), first);
            let IfMissing::Try(other) = &write.if_missing else { panic!("no alternative") };
            assert_eq!(format!("{}={}", other.file, other.value), second);
        }
    }

    #[test]
    fn refusals_point_at_the_property() {
        let io = BlockIo {
            weight: Some(9),
            leaf_weight: Some(500),
            weight_device: vec![WeightDevice { major: -1, ..WeightDevice::default() }].into(),
            ..BlockIo::default()
        };
        assert_eq!(plan_of(V1, &io).unwrap_err(), ["/b/weight", "/b/weightDevice/0/major"]);
        let at = ["/b/weight", "/b/leafWeight", "/b/weightDevice/0/major"];
        assert_eq!(plan_of(V2, &io).unwrap_err(), at);
    }
}
