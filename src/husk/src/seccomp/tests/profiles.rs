//! Profiles that mean something, and profiles that are refused.

use super::{I386, X86_64, answer, compile};
use crate::error::{Code, Severity};
use crate::seccomp::abi::X86;
use crate::seccomp::{FLAG_NEW_LISTENER, FLAG_SPEC_ALLOW, FLAG_WAIT_KILLABLE_RECV, Filter};
use serde_json::json;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const KILL: u32 = 0;

fn filter(profile: serde_json::Value) -> Filter {
    compile(&X86, &profile.to_string()).unwrap().unwrap()
}

#[test]
fn nothing_to_do_is_no_filter() {
    assert_eq!(compile(&X86, "{}"), Ok(None));
    assert_eq!(compile(&X86, r#"{"architectures": ["SCMP_ARCH_X86"]}"#), Ok(None));
    let filter = filter(json!({"defaultAction": "SCMP_ACT_ALLOW"}));
    assert_eq!(answer(&filter, X86_64, 0, [0; 6]), ALLOW);
    assert_eq!(filter.bytes().len(), filter.program.len() * 8);
}

#[test]
fn every_action_has_its_value() {
    for (name, errno, value) in [
        ("SCMP_ACT_KILL", None, KILL),
        ("SCMP_ACT_KILL_THREAD", None, KILL),
        ("SCMP_ACT_KILL_PROCESS", None, 0x8000_0000),
        ("SCMP_ACT_TRAP", None, 0x0003_0000),
        ("SCMP_ACT_ERRNO", None, EPERM),
        ("SCMP_ACT_ERRNO", Some(0), 0x0005_0000),
        ("SCMP_ACT_ERRNO", Some(4095), 0x0005_0fff),
        ("SCMP_ACT_TRACE", None, 0x7ff0_0001),
        ("SCMP_ACT_TRACE", Some(65535), 0x7ff0_ffff),
        ("SCMP_ACT_LOG", None, 0x7ffc_0000),
        ("SCMP_ACT_ALLOW", None, ALLOW),
        ("SCMP_ACT_NOTIFY", None, 0x7fc0_0000),
    ] {
        let rule = json!([{"names": ["getpid"], "action": name, "errnoRet": errno}]);
        let as_rule = json!({
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 99, "listenerPath": "/a",
            "syscalls": rule
        });
        assert_eq!(answer(&filter(as_rule), X86_64, 39, [0; 6]), value, "{name}");
        let as_default = json!({
            "defaultAction": name, "defaultErrnoRet": errno, "listenerPath": "/a"
        });
        assert_eq!(answer(&filter(as_default), X86_64, 39, [0; 6]), value, "{name} by default");
    }
}

#[test]
fn calls_newer_than_the_profile_are_unknown_calls() {
    let profile = |default: &str, architectures: &[&str]| {
        filter(json!({
            "defaultAction": default, "architectures": architectures, "listenerPath": "/a",
            "syscalls": [{"names": ["openat2", "read"], "action": "SCMP_ACT_TRAP"}]
        }))
    };
    let all = ["SCMP_ARCH_X86", "SCMP_ARCH_X32"];
    for (default, within) in [("SCMP_ACT_ERRNO", EPERM), ("SCMP_ACT_KILL", KILL)] {
        let filter = profile(default, &all);
        for (arch, bit) in [(X86_64, 0), (I386, 0), (X86_64, 1 << 30)] {
            assert_eq!(answer(&filter, arch, 436 | bit, [0; 6]), within);
            assert_eq!(answer(&filter, arch, 437 | bit, [0; 6]), 0x0003_0000);
            assert_eq!(answer(&filter, arch, 438 | bit, [0; 6]), ENOSYS);
        }
        // No other ABI than those listed, and the machine's own.
        let filter = profile(default, &[]);
        assert_eq!(answer(&filter, X86_64, 438, [0; 6]), ENOSYS);
        assert_eq!(answer(&filter, I386, 438, [0; 6]), KILL);
        assert_eq!(answer(&filter, X86_64, 438 | 1 << 30, [0; 6]), KILL);
        assert_eq!(answer(&filter, X86_64, u32::MAX, [0; 6]), within);
    }
    for (default, answered) in [
        ("SCMP_ACT_ALLOW", ALLOW),
        ("SCMP_ACT_LOG", 0x7ffc_0000),
        ("SCMP_ACT_TRACE", 0x7ff0_0001),
        ("SCMP_ACT_NOTIFY", 0x7fc0_0000),
    ] {
        assert_eq!(answer(&profile(default, &all), X86_64, 438, [0; 6]), answered, "{default}");
    }
}

#[test]
fn two_conditions_on_one_argument_are_alternatives() {
    let args = |index| {
        json!([{"index": 0, "value": 3, "op": "SCMP_CMP_EQ"},
               {"index": index, "value": 5, "op": "SCMP_CMP_EQ"}])
    };
    let profile = |args| {
        filter(json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "syscalls": [{"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": args}]
        }))
    };
    let either = profile(args(0));
    let both = profile(args(1));
    for (a, b, one, two) in
        [(3, 0, ALLOW, EPERM), (5, 0, ALLOW, EPERM), (3, 5, ALLOW, ALLOW), (4, 5, EPERM, EPERM)]
    {
        assert_eq!(answer(&either, X86_64, 16, [a, b, 0, 0, 0, 0]), one, "{a} {b}");
        assert_eq!(answer(&both, X86_64, 16, [a, b, 0, 0, 0, 0]), two, "{a} {b}");
    }
}

#[test]
fn calls_behind_socketcall_and_ipc() {
    let filter = filter(json!({
        "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"],
        "syscalls": [
            {"names": ["bind", "semtimedop", "openat2"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}
        ]
    }));
    for (number, first, expected) in [
        (361, 9, ALLOW),
        (102, 2, ALLOW),
        (102, 3, EPERM),
        (117, 4, ALLOW),
        (117, 5, EPERM),
        (359, 1, ALLOW),
        (359, 2, EPERM),
        // The family of a socket made by socketcall(2) is in memory, where no filter sees it.
        (102, 1, ALLOW),
    ] {
        let answer = answer(&filter, I386, number, [first, 0, 0, 0, 0, 0]);
        assert_eq!(answer, expected, "{number}({first})");
    }
}

#[test]
fn programs_longer_than_a_jump_reaches() {
    let rules: Vec<_> = (0..300_u64)
        .map(|n| {
            json!({
                "names": ["ioctl"], "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": n << 32, "op": "SCMP_CMP_EQ"},
                         {"index": 1, "value": n, "op": "SCMP_CMP_EQ"}]
            })
        })
        .collect();
    let filter = filter(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}));
    assert!(filter.program.len() > 2000);
    for n in [0, 1, 150, 299] {
        assert_eq!(answer(&filter, X86_64, 16, [n << 32, n, 0, 0, 0, 0]), ALLOW);
        assert_eq!(answer(&filter, X86_64, 16, [n << 32, n + 1, 0, 0, 0, 0]), EPERM);
    }
    assert_eq!(answer(&filter, X86_64, 16, [300 << 32, 300, 0, 0, 0, 0]), EPERM);
    assert_eq!(answer(&filter, X86_64, 17, [0; 6]), ENOSYS);
}

#[test]
fn flags_and_agent() {
    let flags = |flags: serde_json::Value, action| {
        let filter = filter(json!({
            "defaultAction": "SCMP_ACT_ALLOW", "flags": flags, "listenerPath": "/run/agent",
            "listenerMetadata": "m", "syscalls": [{"names": ["mkdir"], "action": action}]
        }));
        (filter.flags, filter.notify.map(|agent| (agent.listener_path, agent.metadata)))
    };
    let agent = Some(("/run/agent".to_owned(), "m".to_owned()));
    let (errno, notify) = ("SCMP_ACT_ERRNO", "SCMP_ACT_NOTIFY");
    assert_eq!(flags(json!(null), errno), (FLAG_SPEC_ALLOW, None));
    assert_eq!(flags(json!([]), errno), (0, None));
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_TSYNC"]), errno), (0, None));
    assert_eq!(flags(json!(["SECCOMP_FILTER_FLAG_LOG"]), errno), (2, None));
    assert_eq!(flags(json!([]), notify), (FLAG_NEW_LISTENER, agent.clone()));
    let wait = json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]);
    let both = FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE_RECV;
    assert_eq!(flags(wait.clone(), notify), (both, agent));
    // The kernel takes this flag with a listener only.
    assert_eq!(flags(wait, errno), (0, None));
}

#[test]
fn what_is_refused() {
    let allow = |extra: serde_json::Value| {
        let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW"});
        profile.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        profile
    };
    let rule = |extra: serde_json::Value| {
        let mut rule = json!({"names": ["read"], "action": "SCMP_ACT_ERRNO"});
        rule.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        allow(json!({"syscalls": [{"names": ["write"], "action": "SCMP_ACT_TRAP"}, rule]}))
    };
    let arg = |arg: serde_json::Value| rule(json!({"args": [arg]}));
    let long = "x".repeat(108);
    for (profile, at, code) in [
        (
            json!({"syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG"}]}),
            "/defaultAction",
            Code::CONFIG_MISSING,
        ),
        (json!({"defaultAction": "SCMP_ACT_MAYBE"}), "/defaultAction", Code::SECCOMP_INVALID),
        (allow(json!({"defaultErrnoRet": 1})), "/defaultErrnoRet", Code::SECCOMP_INVALID),
        (
            allow(json!({"architectures": ["SCMP_ARCH_X86", "x86"]})),
            "/architectures/1",
            Code::SECCOMP_INVALID,
        ),
        (
            allow(json!({"flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]})),
            "/flags/0",
            Code::SECCOMP_INVALID,
        ),
        (allow(json!({"listenerMetadata": "m"})), "/listenerMetadata", Code::SECCOMP_INVALID),
        (allow(json!({"listenerPath": long})), "/listenerPath", Code::SECCOMP_INVALID),
        (rule(json!({"action": "SCMP_ACT_NOTIFY"})), "/listenerPath", Code::CONFIG_MISSING),
        (rule(json!({"action": ""})), "/syscalls/1/action", Code::CONFIG_MISSING),
        (rule(json!({"action": "ALLOW"})), "/syscalls/1/action", Code::SECCOMP_INVALID),
        (rule(json!({"errnoRet": 4096})), "/syscalls/1/errnoRet", Code::SECCOMP_INVALID),
        (
            rule(json!({"action": "SCMP_ACT_LOG", "errnoRet": 1})),
            "/syscalls/1/errnoRet",
            Code::SECCOMP_INVALID,
        ),
        (
            rule(json!({"action": "SCMP_ACT_TRACE", "errnoRet": 65536})),
            "/syscalls/1/errnoRet",
            Code::SECCOMP_INVALID,
        ),
        (rule(json!({"names": ["read", ""]})), "/syscalls/1/names/1", Code::SECCOMP_INVALID),
        (
            arg(json!({"index": 6, "op": "SCMP_CMP_EQ"})),
            "/syscalls/1/args/0/index",
            Code::SECCOMP_INVALID,
        ),
        (arg(json!({"index": 0, "op": "=="})), "/syscalls/1/args/0/op", Code::SECCOMP_INVALID),
        (arg(json!({"index": 0})), "/syscalls/1/args/0/op", Code::CONFIG_MISSING),
    ] {
        let problems = compile(&X86, &profile.to_string()).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].pointer.as_str(), format!("/linux/seccomp{at}"));
        assert_eq!(problems[0].code, code, "{at}");
        assert_eq!(problems[0].severity, Severity::Error);
        assert!(problems[0].hint.is_some() && !problems[0].reason.is_empty());
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let profile = json!({
        "defaultAction": "x", "architectures": ["y"], "flags": ["z"], "listenerMetadata": "m",
        "syscalls": [
            {"names": [], "action": "SCMP_ACT_LOG"},
            {"names": [""], "action": "a", "args": [{"index": 7, "op": "b"}]}
        ]
    });
    let problems = compile(&X86, &profile.to_string()).unwrap_err();
    let refusals = problems.iter().filter(|p| p.severity == Severity::Error);
    assert_eq!((problems.len(), refusals.count()), (9, 8), "{problems:#?}");
}

#[test]
fn rules_beyond_what_the_kernel_takes() {
    let rules: Vec<_> = (0..2000_u64)
        .map(|n| {
            json!({
                "names": ["ioctl"], "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": n << 32, "op": "SCMP_CMP_EQ"}]
            })
        })
        .collect();
    let profile = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules});
    let problems = compile(&X86, &profile.to_string()).unwrap_err();
    assert_eq!(problems[0].code, Code::SECCOMP_TOO_LARGE);
    assert_eq!(problems[0].pointer.as_str(), "/linux/seccomp/syscalls");
}

#[test]
fn names_and_architectures_of_other_machines_change_nothing() {
    let rules = |names: &[&str]| json!([{"names": names, "action": "SCMP_ACT_ALLOW"}]);
    let plain = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules(&["read", "write"])});
    let foreign = json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_S390X", "SCMP_ARCH_SHEB", "SCMP_ARCH_X86_64"],
        "syscalls": rules(&["read", "s390_sthyi", "nosuchcall", "write"])
    });
    assert_eq!(filter(plain).program, filter(foreign).program);
}
