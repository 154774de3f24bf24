//! `process.rlimits` (config.md §POSIX process).

use crate::config::Rlimit;
use crate::error::{Code, Error, Failure, Pointer, Problems};
use crate::sys::process::set_limit;
use nix::unistd::Pid;

/// Every resource of getrlimit(2), by its number.
pub const NAMES: [&str; 16] = [
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

/// Limits that have been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rlimits {
    list: Vec<(u32, u64, u64, Pointer)>,
}

impl Rlimits {
    /// Reads the limits of the process at `at`.
    pub fn plan(given: &[Rlimit<'_>], at: &Pointer, problems: &mut Problems) -> Self {
        let mut list: Vec<(u32, u64, u64, Pointer)> = Vec::new();
        for (n, limit) in given.iter().enumerate() {
            let at = at.key("rlimits").index(n);
            let number = NAMES.iter().position(|name| *name == &*limit.kind);
            let Some(number) = number.and_then(|n| u32::try_from(n).ok()) else {
                let reason = format!("unknown resource {:?}", &*limit.kind);
                problems.refuse_with(Code::RLIMIT, at.key("type"), reason, "see getrlimit(2)");
                continue;
            };
            if list.iter().any(|(other, ..)| *other == number) {
                let reason = format!("{} is given twice", &*limit.kind);
                problems.refuse_with(Code::RLIMIT, at.key("type"), reason, "keep one of them");
                continue;
            }
            if limit.soft > limit.hard {
                let reason =
                    format!("soft limit {} is above hard limit {}", limit.soft, limit.hard);
                problems.refuse(Code::RLIMIT, at.key("soft"), reason);
                continue;
            }
            list.push((number, limit.soft, limit.hard, at));
        }
        Self { list }
    }

    /// Sets the limits of a process. Done from outside and late: a process with few descriptors
    /// could not set itself up.
    ///
    /// # Errors
    /// The limit that the kernel refused.
    pub fn apply(&self, pid: Pid) -> Result<(), Error> {
        for (number, soft, hard, at) in &self.list {
            set_limit(pid, *number, *soft, *hard).map_err(|errno| {
                let name = usize::try_from(*number).ok().and_then(|n| NAMES.get(n));
                let doing = format!("set {} to {soft}:{hard}", name.unwrap_or(&"a limit"));
                Failure::new(Code::RLIMIT, doing)
                    .errno("prlimit", errno as i32)
                    .at(at)
                    .hint("raising a hard limit needs CAP_SYS_RESOURCE")
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn limits_are_checked() {
        let text = r#"{"rlimits":[{"type":"RLIMIT_NOFILE","soft":10,"hard":20},
            {"type":"RLIMIT_NOFILE","soft":1,"hard":1},{"type":"RLIMIT_X"},
            {"type":"RLIMIT_CORE","soft":2,"hard":1},
            {"type":"RLIMIT_CPU","soft":18446744073709551615,"hard":18446744073709551615}]}"#;
        let process = config::parse_process(text.as_bytes()).unwrap();
        let mut problems = Problems::default();
        let limits = Rlimits::plan(&process.rlimits, &"/process".into(), &mut problems);
        let at: Vec<_> = problems.list().iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(
            at,
            ["/process/rlimits/1/type", "/process/rlimits/2/type", "/process/rlimits/3/soft"]
        );
        let kept: Vec<_> = limits.list.iter().map(|(n, soft, ..)| (*n, *soft)).collect();
        assert_eq!(kept, [(7, 10), (0, u64::MAX)]);
    }
}
