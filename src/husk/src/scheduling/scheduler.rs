//! `process.scheduler`, see sched_setattr(2).

use super::{named, names};
use crate::config::Scheduler;
use crate::error::{Code, Pointer, Problems};
use crate::plan::Steps;
use husk_init::wire::{Bytes, Op};

const FIFO: u32 = 1;
const RR: u32 = 2;
const DEADLINE: u32 = 6;

const POLICIES: [(&str, u32); 7] = [
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", FIFO),
    ("SCHED_RR", RR),
    ("SCHED_BATCH", 3),
    ("SCHED_ISO", 4),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", DEADLINE),
];

const FLAGS: [(&str, u64); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", 1),
    ("SCHED_FLAG_RECLAIM", 2),
    ("SCHED_FLAG_DL_OVERRUN", 4),
    ("SCHED_FLAG_KEEP_POLICY", 8),
    ("SCHED_FLAG_KEEP_PARAMS", 16),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 32),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 64),
];

/// Size of the kernel's `struct sched_attr` that has the utilisation clamps.
const SIZE: u32 = 56;

/// Appends the step.
pub fn plan(given: &Scheduler<'_>, at: &Pointer, steps: &mut Steps, problems: &mut Problems) {
    let before = problems.list().len();
    let mut refuse = |key: &str, reason: String, hint: String| {
        problems.refuse(Code::SCHEDULING, at.key(key), reason, hint);
    };
    let policy = named(&POLICIES, &given.policy);
    if policy.is_none() {
        let reason = match &*given.policy {
            "" => "a scheduler without a policy".to_owned(),
            policy => format!("unknown scheduling policy {policy:?}"),
        };
        refuse("policy", reason, names(&POLICIES));
    }
    let nice = given.nice.unwrap_or(0);
    if !(-20..=19).contains(&nice) {
        refuse("nice", format!("{nice} is not a nice value"), "-20 to 19".into());
    }
    if let Some(policy) = policy {
        check_priority(given, policy, &mut refuse);
        check_deadline(given, policy, &mut refuse);
    }
    let mut flags = 0;
    for (n, flag) in given.flags.iter().enumerate() {
        match named(&FLAGS, flag) {
            Some(bit) => flags |= bit,
            None => {
                let at = at.key("flags").index(n);
                let reason = format!("unknown scheduling flag {:?}", &**flag);
                problems.refuse(Code::SCHEDULING, at, reason, names(&FLAGS));
            }
        }
    }
    let (Some(policy), true) = (policy, problems.list().len() == before) else { return };
    if nice != 0 && matches!(policy, FIFO | RR | DEADLINE) {
        let reason = format!("nice has no meaning for {}", &*given.policy);
        problems.warn(Code::SCHEDULING, at.key("nice"), reason);
    }
    let priority = u32::try_from(given.priority.unwrap_or(0)).unwrap_or(0);
    let times = [given.runtime, given.deadline, given.period];
    let mut attr = Vec::with_capacity(56);
    attr.extend(SIZE.to_ne_bytes());
    attr.extend(policy.to_ne_bytes());
    attr.extend(flags.to_ne_bytes());
    attr.extend(nice.to_ne_bytes());
    attr.extend(priority.to_ne_bytes());
    attr.extend(times.iter().flat_map(|time| time.unwrap_or(0).to_ne_bytes()));
    // The clamps, for which the specification has no values.
    attr.extend([0; 8]);
    steps.push(&Op::Scheduler { attr: Bytes(&attr) }, at);
}

/// A static priority is a real-time policy's, which cannot do without.
fn check_priority(
    given: &Scheduler<'_>,
    policy: u32,
    refuse: &mut impl FnMut(&str, String, String),
) {
    let priority = given.priority.unwrap_or(0);
    if matches!(policy, FIFO | RR) {
        if !(1..=99).contains(&priority) {
            let reason = format!("{priority} is not a priority of {}", &*given.policy);
            refuse("priority", reason, "1 to 99".into());
        }
    } else if priority != 0 {
        let reason = format!("{} has no priorities", &*given.policy);
        refuse("priority", reason, "leave it out, or use SCHED_FIFO or SCHED_RR".into());
    }
}

/// The three times are those of SCHED_DEADLINE, which needs the first two.
fn check_deadline(
    given: &Scheduler<'_>,
    policy: u32,
    refuse: &mut impl FnMut(&str, String, String),
) {
    /// The shortest that the kernel takes, and the first bit that it does not.
    const SHORTEST: u64 = 1 << 10;
    const TOO_LONG: u64 = 1 << 63;
    let [runtime, deadline, period] =
        [given.runtime, given.deadline, given.period].map(|time| time.unwrap_or(0));
    if policy != DEADLINE {
        for (key, time) in [("runtime", runtime), ("deadline", deadline), ("period", period)] {
            if time != 0 {
                let reason = format!("{} has no {key}", &*given.policy);
                refuse(key, reason, "leave it out, or use SCHED_DEADLINE".into());
            }
        }
        return;
    }
    let shortest = format!("nanoseconds, {SHORTEST} or more");
    if runtime < SHORTEST {
        refuse("runtime", format!("{runtime} ns is too short a runtime"), shortest);
    } else if deadline < runtime {
        let reason = format!("the deadline of {deadline} ns is before the runtime's {runtime} ns");
        refuse("deadline", reason, "runtime, deadline and period must not get shorter".into());
    } else if period != 0 && period < deadline {
        let reason = format!("the period of {period} ns is shorter than the deadline's {deadline}");
        refuse("period", reason, "runtime, deadline and period must not get shorter".into());
    } else if deadline >= TOO_LONG || period >= TOO_LONG {
        let reason = "a time of 2^63 ns or more".to_owned();
        refuse(
            if deadline >= TOO_LONG { "deadline" } else { "period" },
            reason,
            "use a shorter one".into(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn planned(text: &str) -> (Option<Vec<u8>>, Vec<String>) {
        let text = format!(r#"{{"scheduler":{text}}}"#);
        let process = config::parse_process(text.as_bytes()).unwrap();
        let (mut steps, mut problems) = (Steps::new(), Problems::default());
        plan(&process.scheduler.unwrap(), &"".into(), &mut steps, &mut problems);
        let attr = match steps.get(0) {
            Some((Op::Scheduler { attr }, _)) => Some(attr.0.to_vec()),
            _ => None,
        };
        (attr, problems.list().iter().map(|p| p.pointer.to_string()).collect())
    }

    #[test]
    fn the_structure_is_the_kernels() {
        let (attr, problems) = planned(
            r#"{"policy":"SCHED_BATCH","nice":-7,"flags":["SCHED_FLAG_RESET_ON_FORK"],"priority":0}"#,
        );
        let attr = attr.unwrap();
        assert_eq!((attr.len(), problems), (56, vec![]));
        let words: Vec<i32> =
            attr.chunks(4).map(|b| i32::from_ne_bytes(b.try_into().unwrap())).collect();
        assert_eq!(words, [56, 3, 1, 0, -7, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let (attr, _) = planned(
            r#"{"policy":"SCHED_DEADLINE","runtime":10000,"deadline":20000,"period":30000}"#,
        );
        let times: Vec<u64> = attr.unwrap()[24..48]
            .chunks(8)
            .map(|b| u64::from_ne_bytes(b.try_into().unwrap()))
            .collect();
        assert_eq!(times, [10000, 20000, 30000]);
    }

    #[test]
    fn combinations_that_mean_nothing_are_refused() {
        let table: [(&str, &[&str]); 16] = [
            (r#"{"policy":"SCHED_OTHER"}"#, &[]),
            (r#"{"policy":"SCHED_IDLE","nice":0,"priority":0,"runtime":0}"#, &[]),
            (r#"{"policy":"SCHED_ISO"}"#, &[]),
            (r#"{"policy":"SCHED_RR","priority":99,"nice":0}"#, &[]),
            (r#"{"policy":"SCHED_DEADLINE","runtime":1024,"deadline":1024}"#, &[]),
            ("{}", &["/policy"]),
            (r#"{"policy":"OTHER","nice":20}"#, &["/policy", "/nice"]),
            (r#"{"policy":"SCHED_FIFO"}"#, &["/priority"]),
            (r#"{"policy":"SCHED_FIFO","priority":100}"#, &["/priority"]),
            (r#"{"policy":"SCHED_OTHER","priority":1}"#, &["/priority"]),
            (
                r#"{"policy":"SCHED_OTHER","runtime":1,"deadline":1,"period":1}"#,
                &["/runtime", "/deadline", "/period"],
            ),
            (r#"{"policy":"SCHED_DEADLINE"}"#, &["/runtime"]),
            (r#"{"policy":"SCHED_DEADLINE","runtime":2000,"deadline":1500}"#, &["/deadline"]),
            (
                r#"{"policy":"SCHED_DEADLINE","runtime":2000,"deadline":3000,"period":2500}"#,
                &["/period"],
            ),
            (r#"{"policy":"SCHED_OTHER","flags":["SCHED_FLAG_RECLAIM","X"]}"#, &["/flags/1"]),
            (
                r#"{"policy":"SCHED_DEADLINE","runtime":2000,"deadline":18446744073709551615}"#,
                &["/deadline"],
            ),
        ];
        for (text, expected) in table {
            let (attr, problems) = planned(text);
            assert_eq!(problems, expected, "{text}");
            assert_eq!(attr.is_some(), expected.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_nice_value_without_meaning_is_warned_about() {
        let (attr, problems) = planned(r#"{"policy":"SCHED_FIFO","priority":1,"nice":3}"#);
        assert!(attr.is_some());
        assert_eq!(problems, ["/nice"]);
    }
}
