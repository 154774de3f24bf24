//! The formats of the kernel's statistics, as text.

use super::{BlockIoEntry, Pressure, PressureLine};
use std::collections::BTreeMap;

/// Most CPUs or nodes in a list; the kernel knows no more.
const MOST_IN_LIST: u16 = 8192;

/// One number; `max` is the greatest.
pub(super) fn number(text: &str) -> u64 {
    match text.trim() {
        "max" => u64::MAX,
        text => text.parse().unwrap_or_default(),
    }
}

/// Lines of a key and a number.
pub(super) fn flat(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

/// The number of `key` in lines of a key and a number.
pub(super) fn keyed(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.map_or(0, number)
}

/// Numbers apart by spaces.
pub(super) fn list(text: &str) -> Vec<u64> {
    text.split_whitespace().filter_map(|n| n.parse().ok()).collect()
}

/// `0-2,7` as single numbers.
pub(super) fn ranges(text: &str) -> Vec<u16> {
    let mut numbers = Vec::new();
    for element in text.trim().split(',') {
        let (first, last) = element.split_once('-').unwrap_or((element, element));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            numbers.extend(first..=last.min(first.saturating_add(MOST_IN_LIST)));
        }
    }
    numbers
}

/// Lines such as `8:0 Read 4096` or `8:0 17`; totals over all devices are left out.
pub(super) fn block_v1(text: &str) -> Vec<BlockIoEntry> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (major, minor) = fields.next()?.split_once(':')?;
            let (op, value) = match (fields.next()?, fields.next()) {
                (op, Some(value)) => (op, value),
                (value, None) => ("", value),
            };
            Some(BlockIoEntry {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
                op: op.to_owned(),
                value: value.parse().ok()?,
            })
        })
        .collect()
}

/// The two entries of `io.stat` that v1 counts too: bytes and operations.
pub(super) fn block_v2(text: &str) -> (Vec<BlockIoEntry>, Vec<BlockIoEntry>) {
    let (mut bytes, mut operations) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut fields = line.split(' ');
        let Some((major, minor)) = fields.next().and_then(|d| d.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for (key, value) in fields.filter_map(|field| field.split_once('=')) {
            let Ok(value) = value.parse() else { continue };
            let entry = |op: &str| BlockIoEntry { major, minor, op: op.to_owned(), value };
            match key {
                "rbytes" => bytes.push(entry("Read")),
                "wbytes" => bytes.push(entry("Write")),
                "rios" => operations.push(entry("Read")),
                "wios" => operations.push(entry("Write")),
                _ => {}
            }
        }
    }
    (bytes, operations)
}

/// `cpuacct.usage_all`: CPU, user, system; the columns by name, since their order has changed.
pub(super) fn usage_all(text: &str) -> (Vec<u64>, Vec<u64>) {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let column = |name: &str| names.iter().position(|n| *n == name);
    let (user, system) = (column("user"), column("system"));
    let mut usage = (Vec::new(), Vec::new());
    for line in lines {
        let fields = list(line);
        let field = |at: Option<usize>| at.and_then(|at| fields.get(at)).copied();
        usage.0.extend(field(user));
        usage.1.extend(field(system));
    }
    usage
}

/// `hugepages-2048kB` as `2MB`.
pub(super) fn page_size(name: &str) -> Option<String> {
    let kilobytes: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    Some(match kilobytes {
        0..1024 => format!("{kilobytes}KB"),
        1024..1_048_576 => format!("{}MB", kilobytes >> 10),
        _ => format!("{}GB", kilobytes >> 20),
    })
}

/// A pressure file.
pub(super) fn pressure(text: &str) -> Pressure {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let mut fields = line.split(' ');
        let entry = match fields.next() {
            Some("some") => &mut pressure.some,
            Some("full") => &mut pressure.full,
            _ => continue,
        };
        *entry = pressure_line(fields);
    }
    pressure
}

fn pressure_line<'a>(fields: impl Iterator<Item = &'a str>) -> PressureLine {
    let mut line = PressureLine::default();
    for (key, value) in fields.filter_map(|field| field.split_once('=')) {
        match key {
            "avg10" => line.avg10 = value.parse().unwrap_or_default(),
            "avg60" => line.avg60 = value.parse().unwrap_or_default(),
            "avg300" => line.avg300 = value.parse().unwrap_or_default(),
            "total" => line.total = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lists() {
        assert_eq!(number("max\n"), u64::MAX);
        assert_eq!(number("9223372036854771712\n"), 9_223_372_036_854_771_712);
        assert_eq!(ranges("0-2,7\n"), [0, 1, 2, 7]);
        assert!(ranges("\n").is_empty() && ranges("2-1").is_empty());
        assert_eq!(ranges("0-65535").len(), usize::from(MOST_IN_LIST) + 1);
        let stat = "nr_periods 3\nnr_throttled 1\n";
        assert_eq!((keyed(stat, "nr_throttled"), keyed(stat, "nr")), (1, 0));
        assert_eq!(flat(stat).len(), 2);
    }

    #[test]
    fn block_devices() {
        let v1 = block_v1("8:0 Read 4096\n8:16 17\nTotal 4113\n");
        assert_eq!(v1.len(), 2);
        assert_eq!(
            (v1[0].op.as_str(), v1[0].value, v1[1].minor, v1[1].value),
            ("Read", 4096, 16, 17)
        );
        let (bytes, operations) = block_v2("8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5\n253:1\n");
        assert_eq!(bytes.iter().map(|e| e.value).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(operations.iter().map(|e| e.op.as_str()).collect::<Vec<_>>(), ["Read", "Write"]);
    }

    #[test]
    fn page_sizes() {
        for (name, size) in [("64kB", "64KB"), ("2048kB", "2MB"), ("1048576kB", "1GB")] {
            assert_eq!(page_size(&format!("hugepages-{name}")).as_deref(), Some(size));
        }
        assert_eq!(page_size("hugepages-x"), None);
    }

    #[test]
    fn columns_and_pressure() {
        let (user, system) = usage_all("cpu system user\n0 1 2\n1 3 4\n");
        assert_eq!((user, system), (vec![2, 4], vec![1, 3]));
        let text = "some avg10=1.50 avg60=0.00 avg300=0.25 total=77\n\
            full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n";
        let pressure = pressure(text);
        assert_eq!((pressure.some.avg10, pressure.some.total, pressure.full.total), (1.5, 77, 5));
    }
}
