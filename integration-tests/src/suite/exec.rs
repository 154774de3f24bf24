//! `exec`: another program in a running container.

use std::fs;

use serde_json::{Value, json};

use crate::case::Done;
use crate::container::Container;
use crate::context::Context;
use crate::inside::Status;
use crate::{cgroup, host, tests};

tests![
    exec_gives_status_and_streams,
    exec_gives_128_plus_signal,
    exec_reads_its_stdin,
    exec_joins_every_namespace,
    exec_joins_every_cgroup,
    exec_takes_a_process_file,
    exec_process_file_with_everything,
    stricter exec_process_file_sets_the_umask,
    stricter exec_refuses_a_bad_process_file,
    exec_cwd,
    exec_env,
    exec_home_follows_the_user,
    exec_user_and_groups,
    stricter exec_refuses_bad_users,
    exec_cap_touches_only_bounding_effective_permitted,
    exec_no_new_privs,
    exec_keeps_no_new_privs_of_the_config,
    exec_has_the_capabilities_of_the_config,
    exec_user_has_no_effective_capabilities,
    exec_detached_returns_at_once,
    exec_pid_file_names_the_process,
    exec_detached_process_belongs_to_the_caller,
    exec_preserves_descriptors,
    exec_leaks_no_descriptor,
    exec_in_a_created_container,
    exec_ignore_paused_waits_for_resume,
    exec_into_a_sub_cgroup,
    exec_cgroup_cannot_leave_the_container,
    exec_uses_the_config_of_create,
    exec_missing_cwd_and_options,
    exec_passes_every_byte_of_arguments,
    exec_twenty_at_once,
    exec_dies_with_the_container,
    exec_forwards_signals,
    stricter exec_has_rlimits_of_the_config,
    exec_into_a_user_namespace,
    exec_needs_a_command,
];

fn exec_gives_status_and_streams(cx: &Context) -> Done {
    let container = cx.sleeper();
    let out = container.exec_call(&[], &["sh", "-c", "echo out; echo err >&2; exit 42"]).run();
    assert_eq!(out.code, Some(42));
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(container.status(), "running");
    Ok(())
}

fn exec_gives_128_plus_signal(cx: &Context) -> Done {
    let container = cx.sleeper();
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("40", 168)] {
        let script = format!("kill -{signal} $$; sleep 100");
        assert_eq!(container.exec_call(&[], &["sh", "-c", &script]).run().code, Some(code));
    }
    Ok(())
}

fn exec_reads_its_stdin(cx: &Context) -> Done {
    let container = cx.sleeper();
    let text = "a\nb\n".repeat(20_000);
    let out = container.exec_call(&[], &["cat"]).input(cx, &text).run();
    out.ok();
    assert!(out.stdout == text, "{} bytes of {} came back", out.stdout.len(), text.len());
    Ok(())
}

const LINKS: &str =
    "for n in pid net ipc uts mnt cgroup user; do echo $n=$(readlink /proc/self/ns/$n); done";

fn exec_joins_every_namespace(cx: &Context) -> Done {
    let container = cx.sleeper();
    let seen = crate::inside::lines(&container.exec(&["sh", "-c", LINKS]));
    for (kind, link) in &seen {
        assert_eq!(*link, container.proc_link(&format!("ns/{kind}")), "{kind}");
    }
    assert_eq!(seen.len(), 7);
    Ok(())
}

fn exec_joins_every_cgroup(cx: &Context) -> Done {
    let container = cx.sleeper();
    let pid_file = cx.fresh_path("pid");
    let options = ["-d", "--pid-file", &pid_file.display().to_string()];
    container.exec_call(&options, &["sleep", "1000"]).run().ok();
    let pid = fs::read_to_string(&pid_file).expect("pid file");
    let other = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("cgroup");
    assert_eq!(other, container.proc_file("cgroup"));
    Ok(())
}

fn process_file(cx: &Context, process: &Value) -> String {
    let path = cx.fresh_path("process");
    fs::write(&path, process.to_string()).expect("write the process file");
    path.display().to_string()
}

fn exec_takes_a_process_file(cx: &Context) -> Done {
    let container = cx.sleeper();
    let file = process_file(
        cx,
        &json!({
            "args": ["sh", "-c", "echo $FOO $(pwd) $(id -u)"], "cwd": "/tmp",
            "env": ["FOO=bar", "PATH=/bin"], "user": {"uid": 1000, "gid": 1000},
        }),
    );
    for words in [vec!["-p", &file], vec!["--process", &file], vec!["-process", &file]] {
        let out = cx.call(&["exec"]).args(&words).arg(&container.id).run();
        assert_eq!(out.ok(), "bar /tmp 1000");
    }
    let out = cx.call(&["exec", &format!("--process={file}"), &container.id]).run();
    assert_eq!(out.ok(), "bar /tmp 1000");
    Ok(())
}

fn exec_process_file_with_everything(cx: &Context) -> Done {
    let container = cx.sleeper();
    let file = process_file(
        cx,
        &json!({
            "args": ["sh", "-c", "cat /proc/self/status; grep 'open files' /proc/self/limits"],
            "cwd": "/", "env": ["PATH=/bin"],
            "user": {"uid": 7, "gid": 8, "additionalGids": [9, 10]},
            "capabilities": {"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"],
                "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"], "effective": ["CAP_KILL"]},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 111, "hard": 222}],
            "noNewPrivileges": true,
        }),
    );
    let text = cx.call(&["exec", "-p", &file, &container.id]).run().ok();
    let status = Status::parse(&text);
    assert_eq!(status.get("Uid"), "7 7 7 7");
    assert_eq!(status.get("Gid"), "8 8 8 8");
    assert_eq!(status.get("Groups"), "9 10");
    assert_eq!(status.bits("CapBnd"), 1 << 5 | 1);
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(status.bits(set), 1 << 5, "{set}");
    }
    assert_eq!(status.get("NoNewPrivs"), "1");
    let limits: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(limits[3..5], ["111", "222"]);
    Ok(())
}

fn exec_process_file_sets_the_umask(cx: &Context) -> Done {
    let container = cx.sleeper();
    let user = json!({"uid": 0, "gid": 0, "umask": 0o27});
    let process = json!({"args": ["sh", "-c", "umask"], "cwd": "/", "env": ["PATH=/bin"], "user": user});
    let out = cx.call(&["exec", "-p", &process_file(cx, &process), &container.id]).run();
    assert_eq!(out.ok(), "0027");
    Ok(())
}

fn exec_refuses_a_bad_process_file(cx: &Context) -> Done {
    let container = cx.sleeper();
    let table = [
        "",
        "{",
        "null",
        "[]",
        r#"{"cwd":"/"}"#,
        r#"{"args":[],"cwd":"/"}"#,
        r#"{"args":"true","cwd":"/"}"#,
        r#"{"args":["true"]}"#,
        r#"{"args":["true"],"cwd":"tmp"}"#,
        r#"{"args":["true"],"cwd":"/","user":{"uid":-1}}"#,
        r#"{"args":["true"],"cwd":"/","user":{"uid":4294967296}}"#,
        r#"{"args":["true"],"cwd":"/","env":["NOEQUALS"]}"#,
        r#"{"args":["tr\u0000ue"],"cwd":"/"}"#,
    ];
    for text in table {
        let path = cx.fresh_path("bad");
        fs::write(&path, text).expect("write");
        let out = cx.call(&["exec", "-p"]).arg(&path).arg(&container.id).run();
        assert!(!matches!(out.code, Some(0) | None), "{text}: {out}");
        assert!(!out.stderr.is_empty(), "{text}: {out}");
    }
    let out = cx.call(&["exec", "-p", "/does/not/exist", &container.id]).run();
    assert!(!matches!(out.code, Some(0) | None), "{out}");
    assert_eq!(container.status(), "running");
    Ok(())
}

fn exec_cwd(cx: &Context) -> Done {
    let container = cx.sleeper();
    assert_eq!(container.exec_call(&["--cwd", "/tmp"], &["pwd"]).run().ok(), "/tmp");
    assert_eq!(container.exec_call(&["--cwd=/etc"], &["pwd"]).run().ok(), "/etc");
    assert_eq!(container.exec(&["pwd"]), "/");
    Ok(())
}

fn exec_env(cx: &Context) -> Done {
    let container = cx.sleeper();
    let options = ["--env", "A=1", "--env=B=two words", "--env=C=x=y", "-env", "A=2", "--env", "D="];
    let text = container.exec_call(&options, &["env"]).run().ok();
    let env = crate::inside::lines(&text);
    assert_eq!(env.get("A").map(String::as_str), Some("2"), "{text}");
    assert_eq!(env.get("B").map(String::as_str), Some("two words"));
    assert_eq!(env.get("C").map(String::as_str), Some("x=y"));
    assert_eq!(env.get("D").map(String::as_str), Some(""));
    assert!(env["PATH"].contains("/bin"), "the variables of the config stay: {text}");
    Ok(())
}

fn exec_home_follows_the_user(cx: &Context) -> Done {
    let container = cx.sleeper();
    let home = |options: &[&str]| container.exec_call(options, &["sh", "-c", "echo $HOME"]).run().ok();
    assert_eq!(home(&[]), "/root");
    assert_eq!(home(&["-u", "1000"]), "/home/user");
    assert_eq!(home(&["-u", "4321"]), "/");
    assert_eq!(home(&["-u", "1000", "-e", "HOME=/mine"]), "/mine");
    Ok(())
}

fn exec_user_and_groups(cx: &Context) -> Done {
    let container = cx.sleeper();
    let id = |options: &[&str]| {
        let text = container.exec_call(options, &["cat", "/proc/self/status"]).run().ok();
        let status = Status::parse(&text);
        (status.get("Uid"), status.get("Gid"), status.get("Groups"))
    };
    let row = |uid: u32, gid: u32, groups: &str| {
        (format!("{uid} {uid} {uid} {uid}"), format!("{gid} {gid} {gid} {gid}"), groups.to_owned())
    };
    assert_eq!(id(&[]), row(0, 0, ""));
    assert_eq!(id(&["-u", "1000"]).0, row(1000, 0, "").0);
    assert_eq!(id(&["--user", "1000:1001"]), row(1000, 1001, ""));
    assert_eq!(id(&["--user=0:5"]), row(0, 5, ""));
    assert_eq!(id(&["-u", "1:2", "-g", "33", "-g", "44"]), row(1, 2, "33 44"));
    Ok(())
}

fn exec_refuses_bad_users(cx: &Context) -> Done {
    let container = cx.sleeper();
    let table = [
        "", "-1", "4294967295", "4294967296", "18446744073709551616", "1:", ":1", "1:2:3", " 1",
        "1 ", "0x1", "root", "1:-1", "1:4294967296", "1:4294967295", "+1", "1.0",
    ];
    for user in table {
        let out = container.exec_call(&["--user", user], &["id"]).run();
        assert!(!matches!(out.code, Some(0) | None), "user {user:?}: {out}");
        assert!(!out.stdout.contains("uid="), "user {user:?}: {out}");
    }
    Ok(())
}

fn status_of(container: &Container, options: &[&str]) -> Status {
    Status::parse(&container.exec_call(options, &["cat", "/proc/self/status"]).run().ok())
}

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

fn exec_cap_touches_only_bounding_effective_permitted(cx: &Context) -> Done {
    let container = cx.sleeper();
    let plain = status_of(&container, &[]);
    let more = status_of(&container, &["-c", "CAP_SYS_PTRACE", "-c", "CAP_SYS_NICE"]);
    let added = 1 << 19 | 1 << 23;
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(plain.bits(set) & added, 0);
        assert_eq!(more.bits(set), plain.bits(set) | added, "{set}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(more.bits(set), 0, "{set}");
    }
    Ok(())
}

fn exec_no_new_privs(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).set("/process/noNewPrivileges", json!(false));
    let container = cx.start(&bundle);
    assert_eq!(status_of(&container, &[]).get("NoNewPrivs"), "0");
    assert_eq!(status_of(&container, &["--no-new-privs"]).get("NoNewPrivs"), "1");
    Ok(())
}

fn exec_keeps_no_new_privs_of_the_config(cx: &Context) -> Done {
    assert_eq!(status_of(&cx.sleeper(), &[]).get("NoNewPrivs"), "1");
    Ok(())
}

fn exec_has_the_capabilities_of_the_config(cx: &Context) -> Done {
    let container = cx.sleeper();
    let init = Status::parse(&container.proc_file("status"));
    let exec = status_of(&container, &[]);
    for set in SETS {
        assert_eq!(exec.bits(set), init.bits(set), "{set}");
    }
    Ok(())
}

fn exec_user_has_no_effective_capabilities(cx: &Context) -> Done {
    let status = status_of(&cx.sleeper(), &["-u", "1000"]);
    for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
        assert_eq!(status.bits(set), 0, "{set}");
    }
    Ok(())
}

fn detached(cx: &Context, container: &Container, command: &[&str]) -> i32 {
    let pid_file = cx.fresh_path("pid");
    let path = pid_file.display().to_string();
    container.exec_call(&["--detach", "--pid-file", &path], command).run().ok();
    let text = fs::read_to_string(&pid_file).expect("the pid file");
    text.parse().unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

fn exec_detached_returns_at_once(cx: &Context) -> Done {
    let container = cx.sleeper();
    let out = container.exec_call(&["-d"], &["sh", "-c", "echo up; sleep 1000"]).run();
    out.ok();
    host::wait_for("the output", || {
        fs::read_to_string(&out.stdout_path).unwrap_or_default().contains("up").then_some(())
    });
    Ok(())
}

fn exec_pid_file_names_the_process(cx: &Context) -> Done {
    let container = cx.sleeper();
    let pid = detached(cx, &container, &["sleep", "777"]);
    host::wait_for("the program", || {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        (line == b"sleep\x00777\0").then_some(())
    });
    Ok(())
}

fn exec_detached_process_belongs_to_the_caller(cx: &Context) -> Done {
    let container = cx.sleeper();
    let pid = detached(cx, &container, &["sh", "-c", "exit 6"]);
    let end = host::wait_for("the end of the exec", || crate::reaper::ended(pid));
    assert_eq!(end.code(), 6);
    Ok(())
}

fn exec_preserves_descriptors(cx: &Context) -> Done {
    let container = cx.sleeper();
    let path = cx.fresh_path("given");
    fs::write(&path, "through three\n").expect("write");
    let open = || fs::File::open(&path).expect("open");
    let out = container
        .exec_call(&["--preserve-fds", "1"], &["sh", "-c", "cat <&3; ls /proc/self/fd"])
        .give(open(), 3)
        .give(open(), 4)
        .run();
    let text = out.ok();
    assert!(text.starts_with("through three"), "{text}");
    // `ls` itself opens one more for the directory.
    let numbers: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(numbers, ["0", "1", "2", "3", "4"], "the second one was not asked for");
    let target = container
        .exec_call(&["--preserve-fds=1"], &["sh", "-c", "readlink /proc/self/fd/4; true"])
        .give(open(), 3)
        .give(open(), 4)
        .run()
        .ok();
    assert!(!target.contains("given"), "{target}");
    Ok(())
}

fn exec_leaks_no_descriptor(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let mut call = container.exec_call(&[], &["/probe", "fds"]);
    for number in 3..12 {
        call = call.give(fs::File::open("/").expect("open /"), number);
    }
    let text = call.run().ok();
    assert_eq!(text.lines().count(), 3, "{text}");
    Ok(())
}

fn exec_in_a_created_container(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = cx.create(&bundle);
    assert_eq!(container.exec(&["hostname"]), "inside");
    assert_eq!(container.status(), "created");
    container.start();
    assert_eq!(container.status(), "running");
    Ok(())
}

fn exec_ignore_paused_waits_for_resume(cx: &Context) -> Done {
    let container = cx.sleeper();
    container.verb(&["pause"]).ok();
    let running = container.exec_call(&["--ignore-paused"], &["echo", "thawed"]).spawn();
    std::thread::sleep(std::time::Duration::from_millis(100));
    container.verb(&["resume"]).ok();
    assert_eq!(running.finish().ok(), "thawed");
    Ok(())
}

fn exec_into_a_sub_cgroup(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let dir = cgroup::dir(cx, "pids", &bundle.cgroup()).join("sub");
    fs::create_dir(&dir).expect("a sub-cgroup");
    let option = if cx.cgroups.is_pure_v2() { "sub" } else { "pids:sub" };
    let pid_file = cx.fresh_path("pid");
    let path = pid_file.display().to_string();
    for option in [option.to_owned(), option.replace("sub", "/sub")] {
        let options = ["--cgroup", &option, "-d", "--pid-file", &path];
        container.exec_call(&options, &["sleep", "1000"]).run().ok();
        let pid: i32 = fs::read_to_string(&pid_file).expect("pid").parse().expect("a number");
        assert!(cgroup::members(&dir).contains(&pid), "{option}");
        fs::remove_file(&pid_file).expect("remove the pid file");
    }
    container.exec_call(&["--cgroup", &option.replace("sub", "none")], &["true"]).run().failed(255);
    container.delete_force();
    Ok(())
}

fn exec_cgroup_cannot_leave_the_container(cx: &Context) -> Done {
    let container = cx.sleeper();
    for path in ["../..", "/..", "/../other", "x/../../.."] {
        let option =
            if cx.cgroups.is_pure_v2() { path.to_owned() } else { format!("pids:{path}") };
        let out = container.exec_call(&["--cgroup", &option], &["true"]).run();
        out.failed(255);
    }
    Ok(())
}

fn exec_uses_the_config_of_create(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    // The file itself must still be there for some runtimes, but what it says
    // about confinement later on must not count.
    bundle.write();
    let before = status_of(&container, &[]);
    assert_eq!(before.get("NoNewPrivs"), "1");
    Ok(())
}

fn exec_missing_cwd_and_options(cx: &Context) -> Done {
    let container = cx.sleeper();
    let out = container.exec_call(&["--cwd", "/etc/passwd"], &["true"]).run();
    out.failed(255);
    let out = container.exec_call(&["--pid-file", "/does/not/exist/pid"], &["true"]).run();
    assert!(!matches!(out.code, Some(0) | None), "{out}");
    Ok(())
}

fn exec_passes_every_byte_of_arguments(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let words = ["", " ", "ä€😀", "\"quoted\"", "$HOME `id` \\", "tab\there"];
    let mut command = vec!["/probe", "args"];
    command.extend(words);
    let out = container.exec_call(&[], &command).run();
    out.ok();
    assert_eq!(out.stdout, words.map(|w| format!("{w}\n")).concat());
    Ok(())
}

fn exec_twenty_at_once(cx: &Context) -> Done {
    let container = cx.sleeper();
    let running: Vec<_> = (0..20)
        .map(|n| container.exec_call(&[], &["sh", "-c", &format!("echo n{n}; exit {n}")]).spawn())
        .collect();
    for (n, call) in running.into_iter().enumerate() {
        let out = call.finish();
        assert_eq!(out.code, Some(n as i32), "{out}");
        assert_eq!(out.stdout, format!("n{n}\n"));
    }
    Ok(())
}

fn exec_dies_with_the_container(cx: &Context) -> Done {
    let container = cx.sleeper();
    let running = container.exec_call(&[], &["sh", "-c", "echo up; sleep 1000"]).spawn();
    host::wait_for("the exec", || running.stdout().contains("up").then_some(()));
    container.kill("9");
    assert_eq!(running.finish().code, Some(137));
    Ok(())
}

fn exec_forwards_signals(cx: &Context) -> Done {
    let container = cx.sleeper();
    let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done";
    let running = container.exec_call(&[], &["sh", "-c", script]).spawn();
    host::wait_for("the exec", || running.stdout().contains("ready").then_some(()));
    running.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(running.finish().code, Some(5));
    Ok(())
}

fn exec_has_rlimits_of_the_config(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).set(
        "/process/rlimits",
        json!([{"type": "RLIMIT_NOFILE", "soft": 300, "hard": 400},
               {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]),
    );
    let container = cx.start(&bundle);
    let limits = container.exec(&["cat", "/proc/self/limits"]);
    assert!(limits.lines().any(|l| l.starts_with("Max open files") && l.contains("300") && l.contains("400")), "{limits}");
    Ok(())
}

fn exec_into_a_user_namespace(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.user_namespace().args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let script = "id -u; readlink /proc/self/ns/user; touch /tmp/made";
    let text = container.exec(&["sh", "-c", script]);
    assert_eq!(text.lines().next(), Some("0"));
    assert_eq!(text.lines().nth(1), Some(container.proc_link("ns/user").as_str()));
    use std::os::unix::fs::MetadataExt;
    let made = fs::metadata(bundle.inside("/tmp/made")).expect("the file");
    assert_eq!(made.uid(), crate::bundle::MAPPED);
    Ok(())
}

fn exec_needs_a_command(cx: &Context) -> Done {
    let container = cx.sleeper();
    let out = cx.call(&["exec", &container.id]).run();
    assert!(!matches!(out.code, Some(0) | None), "{out}");
    let out = cx.call(&["exec"]).run();
    assert!(!matches!(out.code, Some(0) | None), "{out}");
    Ok(())
}
