//! `process.rlimits` (config.md §POSIX process).

use crate::config::Rlimit;
use crate::error::{Code, Error, Failure, Pointer, Problems};
use crate::plan::Steps;
use crate::sys::process::{limit, set_limit};
use husk_init::wire::Op;
use nix::errno::Errno;
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
                problems.refuse(Code::RLIMIT, at.key("type"), reason, "see getrlimit(2)");
                continue;
            };
            if list.iter().any(|(other, ..)| *other == number) {
                let reason = format!("{} is given twice", &*limit.kind);
                problems.refuse(Code::RLIMIT, at.key("type"), reason, "keep one of them");
                continue;
            }
            if limit.soft > limit.hard {
                let reason =
                    format!("soft limit {} is above hard limit {}", limit.soft, limit.hard);
                problems.refuse(Code::RLIMIT, at.key("soft"), reason, "lower soft, or raise hard");
                continue;
            }
            list.push((number, limit.soft, limit.hard, at));
        }
        Self { list }
    }

    /// Raises hard limits of a process that is as husk is, which has the right to; the process
    /// sets the exact limits itself, late: with few descriptors it could not set itself up.
    ///
    /// # Errors
    /// The limit that the kernel refused.
    pub fn raise(&self, pid: Pid) -> Result<(), Error> {
        for (number, soft, hard, at) in &self.list {
            let refused = |errno: Errno| {
                let name = usize::try_from(*number).ok().and_then(|n| NAMES.get(n));
                let doing = format!("set {} to {soft}:{hard}", name.unwrap_or(&"a limit"));
                Failure::new(Code::RLIMIT, doing)
                    .errno("prlimit", errno as i32)
                    .at(at)
                    .hint("raising a hard limit needs CAP_SYS_RESOURCE")
            };
            let (present_soft, present_hard) = limit(*number).map_err(refused)?;
            if *hard > present_hard {
                set_limit(pid, *number, present_soft, *hard).map_err(refused)?;
            }
        }
        Ok(())
    }

    /// Appends the steps that set the exact limits.
    pub fn steps(&self, steps: &mut Steps) {
        for (resource, soft, hard, at) in &self.list {
            steps.push(&Op::Limit { resource: *resource, soft: *soft, hard: *hard }, at);
        }
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
