//! `process`: identity, capabilities, limits, environment, working directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::case::Done;
use crate::context::Context;
use crate::inside::Status;
use crate::{host, tests};

tests![
    p4_cwd_is_entered,
    p4_missing_cwd_is_created,
    stricter p4_relative_cwd_is_refused,
    p4_cwd_that_only_the_user_may_enter,
    p5_env_is_exactly_as_given,
    p5_home_comes_from_passwd,
    stricter p5_bad_env_entries_are_refused,
    p6_args_are_found_in_path_of_env,
    p6_args_reach_the_program_unchanged,
    p6_a_script_runs_by_its_first_line,
    p7_uid_and_gid,
    p8_umask,
    p9_additional_groups,
    p10_capabilities_five_sets,
    stricter p10_unknown_capability_is_a_warning,
    stricter p10_no_capabilities_object_means_none,
    p10_bounding_set_only,
    p11_ambient_capabilities_reach_a_user,
    p12_rlimits_are_exact,
    p12_rlimits_of_a_user,
    p12_unknown_rlimit_is_refused,
    stricter p12_duplicate_rlimit_is_refused,
    p12_small_nofile_does_not_break_the_start,
    p13_no_new_privileges,
    stricter p14_apparmor_profile_without_apparmor_is_refused,
    stricter p15_selinux_label_without_selinux_is_refused,
    p16_oom_score_adj,
    stricter p17_scheduler,
    stricter p18_io_priority,
    p20_cpu_affinity_of_the_caller_is_reset,
    inherits_stdin_stdout_and_stderr,
    stricter sigpipe_is_default,
    hundred_thousand_variables,
    long_argument_list,
];

fn status(cx: &Context, bundle: &mut Bundle) -> Status {
    Status::parse(&cx.run_ok(bundle, &["cat", "/proc/self/status"]))
}

fn p4_cwd_is_entered(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/process/cwd", json!("/tmp"));
    assert_eq!(cx.run_ok(&mut bundle, &["sh", "-c", "pwd"]), "/tmp");
    Ok(())
}

fn p4_missing_cwd_is_created(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/process/cwd", json!("/new/deep/folder"));
    assert_eq!(cx.run_ok(&mut bundle, &["sh", "-c", "pwd"]), "/new/deep/folder");
    let mode = fs::metadata(bundle.inside("/new/deep")).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    Ok(())
}

fn p4_relative_cwd_is_refused(cx: &Context) -> Done {
    for cwd in ["tmp", "", "./tmp", "../tmp"] {
        let mut bundle = cx.bundle();
        bundle.set("/process/cwd", json!(cwd));
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn p4_cwd_that_only_the_user_may_enter(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    fs::create_dir(bundle.inside("/home")).expect("mkdir");
    fs::create_dir(bundle.inside("/home/user")).expect("mkdir");
    let path = bundle.inside("/home/user");
    std::os::unix::fs::chown(&path, Some(1000), Some(1000)).expect("chown");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("chmod");
    bundle.set("/process/cwd", json!("/home/user")).capabilities(&[]);
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    assert_eq!(cx.run_ok(&mut bundle, &["sh", "-c", "pwd"]), "/home/user");
    Ok(())
}

fn p5_env_is_exactly_as_given(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/process/env", json!(["PATH=/bin", "A=1", "B=", "C=x=y z", "A=2", "HOME=/h", "Ä=ö"]));
    let text = cx.run_ok(&mut bundle, &["env"]);
    let mut seen: Vec<&str> = text.lines().collect();
    seen.sort_unstable();
    assert_eq!(seen, ["A=2", "B=", "C=x=y z", "HOME=/h", "PATH=/bin", "Ä=ö"]);
    Ok(())
}

fn p5_home_comes_from_passwd(cx: &Context) -> Done {
    for (uid, home) in [(0, "/root"), (1000, "/home/user"), (4321, "/")] {
        let mut bundle = cx.bundle();
        bundle.set("/process/user", json!({"uid": uid, "gid": 0}));
        assert_eq!(cx.run_ok(&mut bundle, &["sh", "-c", "echo $HOME"]), home, "uid {uid}");
    }
    let mut bundle = cx.bundle();
    fs::remove_file(bundle.inside("/etc/passwd")).expect("remove passwd");
    assert_eq!(cx.run_ok(&mut bundle, &["sh", "-c", "echo $HOME"]), "/");
    Ok(())
}

fn p5_bad_env_entries_are_refused(cx: &Context) -> Done {
    for entry in ["NOEQUALS", "=value", "A\0B=1", "A=1\0B=2"] {
        let mut bundle = cx.bundle();
        bundle.push("/process/env", json!(entry));
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn p6_args_are_found_in_path_of_env(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    fs::create_dir(bundle.inside("/mine")).expect("mkdir");
    fs::write(bundle.inside("/mine/tool"), "#!/bin/sh\necho from-mine\n").expect("write");
    // Not executable, so the search goes on.
    fs::create_dir(bundle.inside("/first")).expect("mkdir");
    fs::write(bundle.inside("/first/tool"), "").expect("write");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(bundle.inside("/mine/tool"), mode).expect("chmod");
    bundle.set("/process/env", json!(["PATH=/first:/nowhere:/mine:/bin"]));
    assert_eq!(cx.run_ok(&mut bundle, &["tool"]), "from-mine");
    bundle.set("/process/cwd", json!("/mine"));
    assert_eq!(cx.run_ok(&mut bundle, &["./tool"]), "from-mine");
    Ok(())
}

fn p6_args_reach_the_program_unchanged(cx: &Context) -> Done {
    let words = ["", " ", "--help", "ä€😀", "\"q\"", "$HOME `id` \\", "tab\there", "*"];
    let mut bundle = cx.bundle();
    bundle.with_probe();
    let mut args = vec!["/probe", "args"];
    args.extend(words);
    bundle.args(&args);
    let out = cx.run(&bundle);
    out.ok();
    assert_eq!(out.stdout, words.map(|w| format!("{w}\n")).concat());
    Ok(())
}

fn p6_a_script_runs_by_its_first_line(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    fs::write(bundle.inside("/script"), "#!/bin/sh\necho script $1\n").expect("write");
    fs::set_permissions(bundle.inside("/script"), fs::Permissions::from_mode(0o755)).expect("chmod");
    assert_eq!(cx.run_ok(&mut bundle, &["/script", "works"]), "script works");
    Ok(())
}

fn p7_uid_and_gid(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/process/user", json!({"uid": 1234, "gid": 4321}));
    let status = status(cx, &mut bundle);
    assert_eq!(status.get("Uid"), "1234 1234 1234 1234");
    assert_eq!(status.get("Gid"), "4321 4321 4321 4321");
    assert_eq!(status.get("Groups"), "");
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(status.bits(set), 0, "{set}");
    }
    Ok(())
}

fn p8_umask(cx: &Context) -> Done {
    for (umask, seen) in [(0o027, "0027"), (0, "0000"), (0o777, "0777")] {
        let mut bundle = cx.bundle();
        bundle.set("/process/user/umask", json!(umask));
        assert_eq!(cx.run_ok(&mut bundle, &["sh", "-c", "umask"]), seen);
    }
    let mut bundle = cx.bundle();
    assert_eq!(cx.run_ok(&mut bundle, &["sh", "-c", "umask"]), "0022");
    Ok(())
}

fn p9_additional_groups(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/process/user", json!({"uid": 5, "gid": 6, "additionalGids": [1000, 7, 65534]}));
    let status = status(cx, &mut bundle);
    assert_eq!(status.get("Groups"), "7 1000 65534");
    let gids: Vec<u32> = (1000..1500).collect();
    bundle.set("/process/user/additionalGids", json!(gids));
    assert_eq!(self::status(cx, &mut bundle).get("Groups").split(' ').count(), 500);
    Ok(())
}

fn p10_capabilities_five_sets(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set(
        "/process/capabilities",
        json!({
            "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SYS_CHROOT"],
            "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
            "effective": ["CAP_CHOWN", "CAP_KILL"],
            "inheritable": ["CAP_KILL", "CAP_NET_RAW"],
            "ambient": ["CAP_KILL"],
        }),
    );
    // As a user, the ambient set alone becomes effective at the exec.
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let user = status(cx, &mut bundle);
    let (chown, kill, raw, chroot) = (1, 1 << 5, 1 << 13, 1 << 18);
    assert_eq!(user.bits("CapBnd"), chown | kill | raw | chroot);
    assert_eq!(user.bits("CapInh"), kill | raw);
    assert_eq!(user.bits("CapAmb"), kill);
    assert_eq!(user.bits("CapPrm"), kill);
    assert_eq!(user.bits("CapEff"), kill);
    // As root, no_new_privs keeps the exec from going beyond the permitted set.
    bundle.set("/process/user", json!({"uid": 0, "gid": 0}));
    bundle.set("/process/capabilities/ambient", json!([]));
    let root = status(cx, &mut bundle);
    assert_eq!(root.bits("CapBnd"), chown | kill | raw | chroot);
    assert_eq!(root.bits("CapInh"), kill | raw);
    assert_eq!(root.bits("CapAmb"), 0);
    assert_eq!(root.bits("CapPrm"), chown | kill | raw);
    Ok(())
}

fn p10_unknown_capability_is_a_warning(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.add_capability("CAP_NOT_INVENTED_YET");
    bundle.args(&["cat", "/proc/self/status"]).write();
    let log = cx.fresh_path("log");
    let out = cx
        .call(&["--log"])
        .arg(&log)
        .args(&["--log-format=json", "run", "-b"])
        .arg(bundle.dir())
        .arg(cx.id())
        .run();
    let status = Status::parse(&out.ok());
    let expected = crate::bundle::CAPABILITIES.len() as u32;
    assert_eq!(status.bits("CapEff").count_ones(), expected);
    let text = fs::read_to_string(&log).unwrap_or_default();
    assert!(text.contains("warning") && text.contains("CAP_NOT_INVENTED_YET"), "{text}");
    Ok(())
}

fn p10_no_capabilities_object_means_none(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.remove("/process/capabilities");
    let status = status(cx, &mut bundle);
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd"] {
        assert_eq!(status.bits(set), 0, "{set}");
    }
    Ok(())
}

fn p10_bounding_set_only(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/process/capabilities", json!({"bounding": ["CAP_KILL"]}));
    bundle.set("/process/user", json!({"uid": 9, "gid": 9}));
    let status = status(cx, &mut bundle);
    assert_eq!(status.bits("CapBnd"), 1 << 5);
    assert_eq!(status.bits("CapEff") | status.bits("CapPrm"), 0);
    Ok(())
}

fn p11_ambient_capabilities_reach_a_user(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let names = ["CAP_NET_BIND_SERVICE"];
    bundle.set(
        "/process/capabilities",
        json!({"bounding": names, "permitted": names, "effective": names, "inheritable": names,
               "ambient": names}),
    );
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let status = status(cx, &mut bundle);
    assert_eq!(status.bits("CapAmb"), 1 << 10);
    assert_eq!(status.bits("CapEff"), 1 << 10);
    Ok(())
}

fn limit(text: &str, name: &str) -> (String, String) {
    let line = text.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    let words: Vec<&str> = line[26..].split_whitespace().collect();
    (words[0].to_owned(), words[1].to_owned())
}

fn p12_rlimits_are_exact(cx: &Context) -> Done {
    // Limits are only lowered: raising needs a right that not every root has.
    let table = [
        ("RLIMIT_AS", "Max address space", 9_000_000_000_u64, 9_500_000_000_u64),
        ("RLIMIT_CORE", "Max core file size", 0, 1024),
        ("RLIMIT_CPU", "Max cpu time", 600, 700),
        ("RLIMIT_DATA", "Max data size", 800_000_000, 900_000_000),
        ("RLIMIT_FSIZE", "Max file size", 1_000_000_000, 2_000_000_000),
        ("RLIMIT_LOCKS", "Max file locks", 100, 200),
        ("RLIMIT_MEMLOCK", "Max locked memory", 4096, 8192),
        ("RLIMIT_MSGQUEUE", "Max msgqueue size", 1000, 2000),
        ("RLIMIT_NICE", "Max nice priority", 0, 0),
        ("RLIMIT_NOFILE", "Max open files", 64, 128),
        ("RLIMIT_NPROC", "Max processes", 500, 600),
        ("RLIMIT_RSS", "Max resident set", 5_000_000, 6_000_000),
        ("RLIMIT_RTPRIO", "Max realtime priority", 0, 0),
        ("RLIMIT_RTTIME", "Max realtime timeout", 1000, 2000),
        ("RLIMIT_SIGPENDING", "Max pending signals", 50, 60),
        ("RLIMIT_STACK", "Max stack size", 4_194_304, 8_388_608),
    ];
    let mut bundle = cx.bundle();
    for (kind, _, soft, hard) in table {
        bundle.push("/process/rlimits", json!({"type": kind, "soft": soft, "hard": hard}));
    }
    let text = cx.run_ok(&mut bundle, &["cat", "/proc/self/limits"]);
    for (kind, name, soft, hard) in table {
        assert_eq!(limit(&text, name), (soft.to_string(), hard.to_string()), "{kind}");
    }
    Ok(())
}

fn p12_rlimits_of_a_user(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000})).capabilities(&[]);
    bundle.push("/process/rlimits", json!({"type": "RLIMIT_NPROC", "soft": 50, "hard": 60}));
    bundle.push("/process/rlimits", json!({"type": "RLIMIT_NOFILE", "soft": 33, "hard": 44}));
    let text = cx.run_ok(&mut bundle, &["cat", "/proc/self/limits"]);
    assert_eq!(limit(&text, "Max processes"), ("50".to_owned(), "60".to_owned()));
    assert_eq!(limit(&text, "Max open files"), ("33".to_owned(), "44".to_owned()));
    Ok(())
}

fn p12_unknown_rlimit_is_refused(cx: &Context) -> Done {
    for kind in ["RLIMIT_NOTHING", "NOFILE", "", "rlimit_nofile"] {
        let mut bundle = cx.bundle();
        bundle.push("/process/rlimits", json!({"type": kind, "soft": 1, "hard": 1}));
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn p12_duplicate_rlimit_is_refused(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    for soft in [10, 20] {
        bundle.push("/process/rlimits", json!({"type": "RLIMIT_NOFILE", "soft": soft, "hard": 64}));
    }
    cx.run(&bundle).refused_with("RLIMIT_NOFILE");
    let mut bundle = cx.bundle();
    bundle.push("/process/rlimits", json!({"type": "RLIMIT_NOFILE", "soft": 20, "hard": 10}));
    cx.run(&bundle).refused();
    Ok(())
}

fn p12_small_nofile_does_not_break_the_start(cx: &Context) -> Done {
    // Four are what the program itself needs: 0, 1, 2 and a file to read.
    let smallest = if host::is_peer() { 64 } else { 4 };
    let mut bundle = cx.bundle();
    bundle.push(
        "/process/rlimits",
        json!({"type": "RLIMIT_NOFILE", "soft": smallest, "hard": smallest}),
    );
    let text = cx.run_ok(&mut bundle, &["cat", "/proc/self/limits"]);
    assert_eq!(limit(&text, "Max open files").0, smallest.to_string());
    Ok(())
}

fn p13_no_new_privileges(cx: &Context) -> Done {
    for (value, seen) in [(json!(true), "1"), (json!(false), "0"), (Value::Null, "0")] {
        let mut bundle = cx.bundle();
        if value.is_null() {
            bundle.remove("/process/noNewPrivileges");
        } else {
            bundle.set("/process/noNewPrivileges", value);
        }
        assert_eq!(status(cx, &mut bundle).get("NoNewPrivs"), seen);
    }
    Ok(())
}

fn p14_apparmor_profile_without_apparmor_is_refused(cx: &Context) -> Done {
    cx.need(!host::has_apparmor(), "AppArmor is on here")?;
    let mut bundle = cx.bundle();
    bundle.set("/process/apparmorProfile", json!("a-profile"));
    cx.run(&bundle).refused();
    bundle.set("/process/apparmorProfile", json!(""));
    cx.run(&bundle).ok();
    Ok(())
}

fn p15_selinux_label_without_selinux_is_refused(cx: &Context) -> Done {
    cx.need(!host::has_selinux(), "SELinux is on here")?;
    let mut bundle = cx.bundle();
    bundle.set("/process/selinuxLabel", json!("system_u:system_r:container_t:s0"));
    cx.run(&bundle).refused();
    let mut bundle = cx.bundle();
    bundle.set("/linux/mountLabel", json!("system_u:object_r:container_file_t:s0"));
    cx.run(&bundle).refused();
    Ok(())
}

fn p16_oom_score_adj(cx: &Context) -> Done {
    for value in [0, 500, 1000] {
        let mut bundle = cx.bundle();
        bundle.set("/process/oomScoreAdj", json!(value));
        bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
        assert_eq!(cx.run_ok(&mut bundle, &["cat", "/proc/self/oom_score_adj"]), value.to_string());
    }
    let mut bundle = cx.bundle();
    bundle.set("/process/oomScoreAdj", json!(1001));
    cx.run(&bundle).refused();
    Ok(())
}

fn p17_scheduler(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 7}));
    let text = cx.run_ok(&mut bundle, &["cat", "/proc/self/stat"]);
    let words: Vec<&str> = text.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!(words[16], "7", "nice: {text}");
    assert_eq!(words[38], "3", "SCHED_BATCH: {text}");
    bundle.set("/process/scheduler", json!({"policy": "SCHED_NONSENSE"}));
    cx.run(&bundle).refused();
    Ok(())
}

fn p18_io_priority(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe().set(
        "/process/ioPriority",
        json!({"class": "IOPRIO_CLASS_BE", "priority": 6}),
    );
    let number = libc::SYS_ioprio_get.to_string();
    let text = cx.run_ok(&mut bundle, &["/probe", "syscall", &number, "1", "0"]);
    assert_eq!(text, format!("ok {}", 2 << 13 | 6));
    for bad in [json!({"class": "IOPRIO_CLASS_BE", "priority": 8}), json!({"class": "X", "priority": 1})] {
        bundle.set("/process/ioPriority", bad);
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn p20_cpu_affinity_of_the_caller_is_reset(cx: &Context) -> Done {
    let all = fs::read_to_string("/proc/self/status").expect("status");
    let all = Status::parse(&all).get("Cpus_allowed_list");
    cx.need(all != "0", "one CPU only")?;
    let mut bundle = cx.bundle();
    bundle.args(&["cat", "/proc/self/status"]).write();
    // The caller binds itself to the first CPU.
    let mut set = nix::sched::CpuSet::new();
    set.set(0).expect("CPU 0");
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set).expect("bind to a CPU");
    let text = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).run().ok();
    let seen = Status::parse(&text).get("Cpus_allowed_list");
    if host::is_peer() {
        return Ok(());
    }
    assert_eq!(seen, all);
    Ok(())
}

fn inherits_stdin_stdout_and_stderr(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("readlink /proc/self/fd/0 >/tmp/seen; echo out; echo err >&2").write();
    let file = |name: &str| {
        let path = cx.fresh_path(name);
        (fs::File::create(&path).expect("create"), path)
    };
    let ((out, out_path), (err, err_path)) = (file("o"), file("e"));
    let id = cx.id();
    cx.call(&["create", "-b"]).arg(bundle.dir()).arg(&id).stdout(out).stderr(err).run_any();
    cx.call(&["start", &id]).run().ok();
    host::wait_for("stderr", || {
        fs::read_to_string(&err_path).unwrap_or_default().contains("err").then_some(())
    });
    assert_eq!(fs::read_to_string(&out_path).expect("read"), "out\n");
    assert_eq!(fs::read_to_string(bundle.inside("/tmp/seen")).expect("read").trim(), "/dev/null");
    Ok(())
}

fn sigpipe_is_default(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let status = status(cx, &mut bundle);
    assert_eq!(status.bits("SigIgn"), 0);
    assert_eq!(status.bits("SigBlk"), 0);
    let container = cx.sleeper();
    let status = Status::parse(&container.exec(&["cat", "/proc/self/status"]));
    assert_eq!(status.bits("SigIgn") | status.bits("SigBlk"), 0);
    Ok(())
}

fn hundred_thousand_variables(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let count = if host::is_peer() { 2000 } else { 100_000 };
    let mut env: Vec<String> = (0..count).map(|n| format!("V{n}=1")).collect();
    env.push("PATH=/bin".to_owned());
    bundle.set("/process/env", json!(env)).args(&["env"]);
    let out = cx.run(&bundle);
    // Above the kernel's limit for a program's start it is refused; either way
    // it ends before the deadline.
    if out.code == Some(0) {
        assert_eq!(out.stdout.lines().count(), count + 2);
    } else {
        assert!(out.refused().to_lowercase().contains("argument list too long"), "{out}");
    }
    Ok(())
}

fn long_argument_list(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let word = "x".repeat(100_000);
    bundle.args(&["sh", "-c", "echo ${#1} ${#2}", "sh", &word, &word]);
    assert_eq!(cx.run(&bundle).ok(), "100000 100000");
    let too_long = "x".repeat(200_000);
    bundle.args(&["echo", &too_long]);
    let out = cx.run(&bundle);
    assert!(!matches!(out.code, Some(0) | None), "{out}");
    assert!(out.stderr.to_lowercase().contains("argument list too long"), "{out}");
    Ok(())
}
