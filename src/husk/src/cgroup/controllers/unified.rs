//! `unified`: any file of cgroup v2, by name, after everything else.

use super::Sink;
use crate::cgroup::write::Write;
use crate::config::{Map, Str};
use crate::error::{Code, Pointer};

/// Files that act on processes instead of holding a limit.
const ACTIONS: [&str; 5] =
    ["cgroup.procs", "cgroup.threads", "cgroup.kill", "cgroup.freeze", "cgroup.type"];

/// Prefixes of files that no controller owns.
const CORE: [&str; 2] = ["cgroup", "irq"];

/// Translates `unified`; `available` are the controllers that can be had.
pub(in crate::cgroup) fn plan(
    files: &Map<'_, Str<'_>>,
    available: &[String],
    at: &Pointer,
    sink: &mut Sink<'_>,
) {
    if files.is_empty() {
        return;
    }
    if sink.is_v1() {
        let hint = "use the other properties of resources, or a host with cgroup v2";
        let reason = "unified is for cgroup v2, and this host limits through cgroup v1";
        sink.problems.refuse(Code::CGROUP_LIMIT, at, reason, hint);
        return;
    }
    for (file, value) in files {
        let at = at.key(file);
        let controller = match controller_of(file) {
            Some(controller) if !ACTIONS.contains(&file.as_str()) => controller,
            _ => {
                let reason = format!("\"{file}\" is not a file that holds a limit");
                sink.limit(at, reason, "give the name of a file such as memory.high");
                continue;
            }
        };
        if !CORE.contains(&controller) && !available.iter().any(|a| a == controller) {
            sink.problems.refuse(
                Code::CGROUP_CONTROLLER,
                at,
                format!("the {controller} controller is not available on this host"),
                "look at /sys/fs/cgroup/cgroup.controllers",
            );
            continue;
        }
        // The kernel reads one setting a write.
        for line in value.lines().filter(|line| !line.is_empty()) {
            sink.push(Write::new(file.to_string(), line, at.clone()));
        }
    }
}

fn controller_of(file: &str) -> Option<&str> {
    let (controller, rest) = file.split_once('.')?;
    let clean = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.' || b == b'-')
    };
    (clean(controller) && clean(rest)).then_some(controller)
}

#[cfg(test)]
mod tests {
    use super::super::table::run;
    use super::*;
    use crate::cgroup::layout::Version::{self, V1, V2};

    fn plan_of(
        version: Version,
        files: &[(&'static str, &'static str)],
    ) -> Result<Vec<String>, Vec<String>> {
        let files: Vec<_> = files.iter().map(|(k, v)| (Str::from(*k), Str::from(*v))).collect();
        let available = ["memory".to_owned(), "hugetlb".to_owned()];
        run(version, |sink| plan(&Map::from(files), &available, &Pointer::from("/u"), sink))
    }

    #[test]
    fn files_in_order_and_line_by_line() {
        let files = [("memory.high", "max"), ("hugetlb.1GB.max", "0"), ("memory.low", "1\n2\n")];
        let writes = ["memory.high=max", "hugetlb.1GB.max=0", "memory.low=1", "memory.low=2"];
        assert_eq!(plan_of(V2, &files).unwrap(), writes);
        assert!(plan_of(V1, &[]).unwrap().is_empty());
    }

    #[test]
    fn refusals_point_at_the_file() {
        assert_eq!(plan_of(V1, &files_of("memory.high")).unwrap_err(), ["/u"]);
        for (file, at) in [
            ("memory", "/u/memory"),
            ("", "/u/"),
            ("../memory.high", "/u/..~1memory.high"),
            ("memory/x.high", "/u/memory~1x.high"),
            ("cgroup.procs", "/u/cgroup.procs"),
            ("cgroup.kill", "/u/cgroup.kill"),
            ("io.max", "/u/io.max"),
            (".high", "/u/.high"),
        ] {
            assert_eq!(plan_of(V2, &files_of(file)).unwrap_err(), [at], "{file}");
        }
    }

    fn files_of(file: &'static str) -> [(&'static str, &'static str); 1] {
        [(file, "1")]
    }
}
