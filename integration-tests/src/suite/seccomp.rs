//! The effect of `linux.seccomp`, seen by the confined program.

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::case::Done;
use crate::context::Context;
use crate::inside::Status;
use crate::tests;

tests![
    s11_errno_rule,
    s11_errno_of_the_rule_and_of_the_default,
    stricter s11_errno_for_an_action_without_one_is_refused,
    s11_kill_process,
    stricter s13_flags,
    s14_argument_conditions,
    s14_conditions_on_one_index_are_alternatives,
    s14_unknown_names_are_skipped,
    stricter s15_newer_syscalls_answer_enosys,
    s10_filter_is_there_with_and_without_no_new_privs,
    seccomp_confines_exec_too,
    stricter docker_like_default_denies_what_it_should,
    foreign_architectures_are_covered,
    seccomp_garbage_is_refused,
    empty_profile_is_no_filter,
    log_and_trap_actions,
    large_profile,
];

/// A bundle whose probe makes one system call; all others are allowed.
fn with_rule(cx: &Context, rules: Value) -> Bundle {
    let mut bundle = cx.bundle();
    bundle.with_probe().set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW",
               "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
               "syscalls": rules}),
    );
    if cfg!(target_arch = "aarch64") {
        bundle.set("/linux/seccomp/architectures", json!(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]));
    }
    bundle
}

fn call(cx: &Context, bundle: &mut Bundle, number: i64, args: &[u64]) -> String {
    let mut words = vec!["/probe".to_owned(), "syscall".to_owned(), number.to_string()];
    words.extend(args.iter().map(u64::to_string));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    cx.run_ok(bundle, &words)
}

const EPERM: &str = "errno 1";

fn s11_errno_rule(cx: &Context) -> Done {
    let mut bundle = with_rule(cx, json!([{"names": ["getpriority", "sync"], "action": "SCMP_ACT_ERRNO"}]));
    assert_eq!(call(cx, &mut bundle, libc::SYS_getpriority, &[0, 0]), EPERM);
    assert_eq!(call(cx, &mut bundle, libc::SYS_sync, &[]), EPERM);
    assert!(call(cx, &mut bundle, libc::SYS_getppid, &[]).starts_with("ok"));
    let status = Status::parse(&cx.run_ok(&mut bundle, &["cat", "/proc/self/status"]));
    assert_eq!(status.get("Seccomp"), "2");
    Ok(())
}

fn s11_errno_of_the_rule_and_of_the_default(cx: &Context) -> Done {
    let mut bundle = with_rule(
        cx,
        json!([{"names": ["sync"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
               {"names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0}]),
    );
    assert_eq!(call(cx, &mut bundle, libc::SYS_sync, &[]), "errno 38");
    assert_eq!(call(cx, &mut bundle, libc::SYS_getpriority, &[0, 0]), "ok 0");
    Ok(())
}

fn s11_errno_for_an_action_without_one_is_refused(cx: &Context) -> Done {
    let bundle = with_rule(cx, json!([{"names": ["sync"], "action": "SCMP_ACT_KILL", "errnoRet": 1}]));
    cx.run(&bundle).refused();
    Ok(())
}

fn s11_kill_process(cx: &Context) -> Done {
    for action in ["SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD"] {
        let mut bundle = with_rule(cx, json!([{"names": ["sync"], "action": action}]));
        bundle.args(&["/probe", "syscall", &libc::SYS_sync.to_string()]);
        assert_eq!(cx.run(&bundle).code, Some(128 + libc::SIGSYS), "{action}");
    }
    Ok(())
}

fn s13_flags(cx: &Context) -> Done {
    for flags in [json!([]), json!(["SECCOMP_FILTER_FLAG_LOG"]), json!(["SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"])] {
        let mut bundle = with_rule(cx, json!([{"names": ["sync"], "action": "SCMP_ACT_ERRNO"}]));
        bundle.set("/linux/seccomp/flags", flags.clone());
        assert_eq!(call(cx, &mut bundle, libc::SYS_sync, &[]), EPERM, "{flags}");
    }
    let mut bundle = with_rule(cx, json!([]));
    bundle.set("/linux/seccomp/flags", json!(["SECCOMP_FILTER_FLAG_NONSENSE"]));
    cx.run(&bundle).refused();
    Ok(())
}

fn arg(index: u32, value: u64, op: &str) -> Value {
    json!({"index": index, "value": value, "op": op})
}

fn s14_argument_conditions(cx: &Context) -> Done {
    let big = 0x1_0000_0005_u64;
    // (operator, value, argument of the call, whether the rule fits)
    let table = [
        ("SCMP_CMP_EQ", 5, 5, true),
        ("SCMP_CMP_EQ", 5, 6, false),
        ("SCMP_CMP_EQ", 5, big, false),
        ("SCMP_CMP_NE", 5, 6, true),
        ("SCMP_CMP_NE", 5, 5, false),
        ("SCMP_CMP_LT", 5, 4, true),
        ("SCMP_CMP_LT", 5, 5, false),
        ("SCMP_CMP_LT", 5, big, false),
        ("SCMP_CMP_LE", 5, 5, true),
        ("SCMP_CMP_LE", 5, 6, false),
        ("SCMP_CMP_GE", 5, 5, true),
        ("SCMP_CMP_GE", 5, 4, false),
        ("SCMP_CMP_GT", 5, big, true),
        ("SCMP_CMP_GT", 5, 5, false),
    ];
    for (op, value, given, fits) in table {
        let rule = json!({"names": ["umask"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "args": [arg(0, value, op)]});
        let mut bundle = with_rule(cx, json!([rule]));
        let seen = call(cx, &mut bundle, libc::SYS_umask, &[given]);
        assert_eq!(seen == "errno 77", fits, "{op} {value} on {given}: {seen}");
    }
    let masked = json!({"names": ["umask"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77,
        "args": [{"index": 0, "value": 0xf0, "valueTwo": 0x30, "op": "SCMP_CMP_MASKED_EQ"}]});
    let mut bundle = with_rule(cx, json!([masked]));
    assert_eq!(call(cx, &mut bundle, libc::SYS_umask, &[0x3f]), "errno 77");
    assert!(call(cx, &mut bundle, libc::SYS_umask, &[0x4f]).starts_with("ok"));
    Ok(())
}

fn s14_conditions_on_one_index_are_alternatives(cx: &Context) -> Done {
    let rule = json!({"names": ["umask"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77,
        "args": [arg(0, 1, "SCMP_CMP_EQ"), arg(0, 2, "SCMP_CMP_EQ")]});
    let mut bundle = with_rule(cx, json!([rule]));
    for (given, fits) in [(1, true), (2, true), (3, false)] {
        let seen = call(cx, &mut bundle, libc::SYS_umask, &[given]);
        assert_eq!(seen == "errno 77", fits, "{given}: {seen}");
    }
    // On different indexes all must hold.
    let rule = json!({"names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77,
        "args": [arg(0, 0, "SCMP_CMP_EQ"), arg(1, 1, "SCMP_CMP_EQ")]});
    let mut bundle = with_rule(cx, json!([rule]));
    assert_eq!(call(cx, &mut bundle, libc::SYS_getpriority, &[0, 1]), "errno 77");
    assert!(call(cx, &mut bundle, libc::SYS_getpriority, &[0, 0]).starts_with("ok"));
    Ok(())
}

fn s14_unknown_names_are_skipped(cx: &Context) -> Done {
    let mut bundle = with_rule(
        cx,
        json!([{"names": ["not_a_syscall", "sync", "arm_fadvise64_64"], "action": "SCMP_ACT_ERRNO"}]),
    );
    assert_eq!(call(cx, &mut bundle, libc::SYS_sync, &[]), EPERM);
    Ok(())
}

/// Everything that a small program needs, as in an engine's profile.
fn allow_list() -> Value {
    json!([{"action": "SCMP_ACT_ALLOW", "names": [
        "access", "arch_prctl", "brk", "capget", "capset", "chdir", "clone", "close", "close_range",
        "dup", "dup2", "dup3", "epoll_create1", "epoll_ctl", "epoll_pwait", "execve", "execveat",
        "exit", "exit_group", "faccessat", "faccessat2", "fchdir", "fchown", "fcntl", "fstat",
        "fstatfs", "futex", "getcwd", "getdents64", "getegid", "geteuid", "getgid", "getpid",
        "getppid", "getrandom", "getrlimit", "getsid", "gettid", "getuid", "ioctl", "lseek",
        "lstat", "madvise", "mmap", "mprotect", "munmap", "nanosleep", "newfstatat", "open",
        "openat", "openat2", "pipe", "pipe2", "poll", "ppoll", "prctl", "pread64", "prlimit64",
        "read", "readlink", "readlinkat", "readv", "rseq", "rt_sigaction", "rt_sigprocmask",
        "rt_sigreturn", "sched_getaffinity", "sched_yield", "sendmsg", "sendto", "set_robust_list",
        "set_tid_address", "setgid", "setgroups", "setresgid", "setresuid", "setuid", "sigaltstack",
        "socket", "stat", "statfs", "statx", "sysinfo", "tgkill", "umask", "uname", "wait4",
        "write", "writev", "clock_gettime", "clock_nanosleep", "clone3", "keyctl", "unlinkat"]}])
}

fn docker_like(cx: &Context) -> Bundle {
    let mut bundle = with_rule(cx, allow_list());
    bundle.set("/linux/seccomp/defaultAction", json!("SCMP_ACT_ERRNO"));
    bundle.set("/linux/seccomp/defaultErrnoRet", json!(1));
    bundle
}

fn s15_newer_syscalls_answer_enosys(cx: &Context) -> Done {
    let mut bundle = docker_like(cx);
    // Above every number that the profile names, also where the kernel has it.
    for number in [999, 1500, 100_000] {
        assert_eq!(call(cx, &mut bundle, number, &[]), "errno 38", "{number}");
    }
    assert_eq!(call(cx, &mut bundle, libc::SYS_mount, &[]), EPERM);
    Ok(())
}

fn docker_like_default_denies_what_it_should(cx: &Context) -> Done {
    let mut bundle = docker_like(cx);
    assert_eq!(cx.run_ok(&mut bundle, &["sh", "-c", "echo works; cat /etc/passwd | head -n 1"]), "works\nroot:x:0:0:root:/root:/bin/sh");
    let denied = [
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_init_module,
        libc::SYS_ptrace,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_open_by_handle_at,
    ];
    for number in denied {
        assert_eq!(call(cx, &mut bundle, number, &[]), EPERM, "{number}");
    }
    for allowed in [libc::SYS_getpid, libc::SYS_umask, libc::SYS_getuid] {
        assert!(call(cx, &mut bundle, allowed, &[0]).starts_with("ok"), "{allowed}");
    }
    Ok(())
}

fn s10_filter_is_there_with_and_without_no_new_privs(cx: &Context) -> Done {
    for value in [true, false] {
        let mut bundle = docker_like(cx);
        bundle.set("/process/noNewPrivileges", json!(value));
        bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
        let status = Status::parse(&cx.run_ok(&mut bundle, &["cat", "/proc/self/status"]));
        assert_eq!(status.get("Seccomp"), "2");
        assert_eq!(status.get("NoNewPrivs"), u8::from(value).to_string());
        assert_eq!(call(cx, &mut bundle, libc::SYS_mount, &[]), EPERM);
    }
    Ok(())
}

fn seccomp_confines_exec_too(cx: &Context) -> Done {
    for value in [true, false] {
        let mut bundle = docker_like(cx);
        bundle.set("/process/noNewPrivileges", json!(value)).args(&["sleep", "1000"]);
        let container = cx.start(&bundle);
        let status = Status::parse(&container.exec(&["cat", "/proc/self/status"]));
        assert_eq!(status.get("Seccomp"), "2");
        let number = libc::SYS_mount.to_string();
        assert_eq!(container.exec(&["/probe", "syscall", &number]), EPERM);
        let out = container.exec_call(&["-u", "1000"], &["/probe", "syscall", &number]).run();
        assert_eq!(out.ok(), EPERM);
    }
    Ok(())
}

fn foreign_architectures_are_covered(cx: &Context) -> Done {
    cx.need(cfg!(target_arch = "x86_64"), "x32 numbers exist on x86_64 only")?;
    let x32 = 0x4000_0000_i64;
    // With x32 in the profile its calls follow the same rules.
    let mut bundle = with_rule(cx, json!([{"names": ["sync"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77}]));
    assert_eq!(call(cx, &mut bundle, x32 | libc::SYS_sync, &[]), "errno 77");
    Ok(())
}

fn seccomp_garbage_is_refused(cx: &Context) -> Done {
    let good = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []});
    let table = [
        ("/defaultAction", json!("SCMP_ACT_NONSENSE")),
        ("/defaultAction", json!(5)),
        ("/architectures", json!(["SCMP_ARCH_NONSENSE"])),
        ("/syscalls", json!([{"names": ["sync"], "action": "SCMP_ACT_NONSENSE"}])),
        ("/syscalls", json!([{"names": "sync", "action": "SCMP_ACT_ERRNO"}])),
        ("/syscalls", json!([{"names": ["sync"], "action": "SCMP_ACT_ERRNO", "args": [arg(0, 1, "SCMP_CMP_NONSENSE")]}])),
        ("/syscalls", json!([{"names": ["sync"], "action": "SCMP_ACT_ERRNO", "args": [arg(6, 1, "SCMP_CMP_EQ")]}])),
    ];
    for (pointer, value) in table {
        let mut bundle = cx.bundle();
        bundle.set("/linux/seccomp", good.clone());
        bundle.set(&format!("/linux/seccomp{pointer}"), value.clone());
        let out = cx.run(&bundle);
        assert_eq!(out.code, Some(1), "{pointer} {value}: {out}");
    }
    Ok(())
}

fn empty_profile_is_no_filter(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.remove("/linux/seccomp");
    let status = Status::parse(&cx.run_ok(&mut bundle, &["cat", "/proc/self/status"]));
    assert_eq!(status.get("Seccomp"), "0");
    Ok(())
}

fn log_and_trap_actions(cx: &Context) -> Done {
    let mut bundle = with_rule(cx, json!([{"names": ["sync"], "action": "SCMP_ACT_LOG"}]));
    assert!(call(cx, &mut bundle, libc::SYS_sync, &[]).starts_with("ok"));
    let mut bundle = with_rule(cx, json!([{"names": ["sync"], "action": "SCMP_ACT_TRAP"}]));
    bundle.args(&["/probe", "syscall", &libc::SYS_sync.to_string()]);
    assert_eq!(cx.run(&bundle).code, Some(128 + libc::SIGSYS));
    Ok(())
}

fn large_profile(cx: &Context) -> Done {
    let rules: Vec<Value> = (0..800)
        .map(|n| json!({"names": ["umask"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77, "args": [arg(0, 1000 + n, "SCMP_CMP_EQ")]}))
        .collect();
    let mut bundle = with_rule(cx, json!(rules));
    assert_eq!(call(cx, &mut bundle, libc::SYS_umask, &[1799]), "errno 77");
    assert!(call(cx, &mut bundle, libc::SYS_umask, &[0]).starts_with("ok"));
    Ok(())
}
