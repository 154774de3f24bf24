//! `cpu.cpus` and `cpu.mems`: which CPUs and memory nodes may be used.

use super::Sink;
use crate::cgroup::write::Write;
use crate::config::Cpu;
use crate::error::Pointer;

/// Greatest number of a CPU or node that is taken for one.
const GREATEST: u32 = 65_535;

/// Translates the part of `cpu` that is about cpusets. The files have one name on v1 and v2.
pub(in crate::cgroup) fn plan(cpu: &Cpu<'_>, at: &Pointer, sink: &mut Sink<'_>) {
    for (list, key, file) in
        [(&cpu.cpus, "cpus", "cpuset.cpus"), (&cpu.mems, "mems", "cpuset.mems")]
    {
        if list.is_empty() {
            continue;
        }
        if is_list(list) {
            sink.push(Write::new(file, list.as_str(), at.key(key)));
        } else {
            sink.limit(
                at.key(key),
                format!("\"{list}\" is not a list of numbers"),
                "give numbers and ranges such as 0-3,7",
            );
        }
    }
}

/// Whether `text` is a list such as `0-3,7`, with spaces allowed around its elements.
fn is_list(text: &str) -> bool {
    text.split(',').all(|element| {
        let element = element.trim();
        match element.split_once('-') {
            None => number(element).is_some(),
            Some((first, last)) => match (number(first), number(last)) {
                (Some(first), Some(last)) => first <= last,
                _ => false,
            },
        }
    })
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|n| *n <= GREATEST)
}

#[cfg(test)]
mod tests {
    use super::super::table::run;
    use super::*;
    use crate::cgroup::layout::Version;

    #[test]
    fn lists() {
        for good in ["0", "0-3", "0-3,7", "1, 3", "0,1,2-2"] {
            assert!(is_list(good), "{good}");
        }
        for bad in ["", ",", "a", "3-1", "-1", "1-", "0-3;7", "1,,2", "99999", "0\n1", "+1"] {
            assert!(!is_list(bad), "{bad:?}");
        }
    }

    #[test]
    fn writes() {
        let cpu = Cpu { cpus: "0-1".into(), ..Cpu::default() };
        let at = Pointer::from("/c");
        let writes = run(Version::V1, |sink| plan(&cpu, &at, sink)).unwrap();
        assert_eq!(writes, ["cpuset.cpus=0-1"]);
        let cpu = Cpu { cpus: "x".into(), mems: "y".into(), ..Cpu::default() };
        let refused = run(Version::V2, |sink| plan(&cpu, &at, sink)).unwrap_err();
        assert_eq!(refused, ["/c/cpus", "/c/mems"]);
    }
}
