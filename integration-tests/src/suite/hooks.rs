//! Hooks: order, where they run, what they are told, how they fail.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::case::Done;
use crate::context::Context;
use crate::{guard, host, tests};

tests![
    stricter h1_all_kinds_run_in_order,
    h1_hooks_of_delete_run_once,
    stricter h2_relative_path_is_refused,
    h3_hooks_see_their_namespaces,
    stricter h4_state_comes_on_stdin,
    h5_env_and_args_are_as_given,
    h6_timeout_kills_the_hook,
    stricter h6_timeout_kills_what_the_hook_started,
    stricter h6_timeout_must_be_positive,
    h7_failing_hook_stops_the_create,
    h7_start_container_hook_stops_the_start,
    stricter h8_failing_poststart_ends_the_container,
    stricter h9_failing_poststop_lets_the_others_run,
    h10_output_of_a_failing_hook_is_shown,
    stricter hook_gets_only_three_descriptors,
    prestart_hook_can_use_the_network_namespace,
    hook_that_is_not_there,
    hook_with_a_large_state,
];

const RUNTIME_SIDE: [&str; 4] = ["prestart", "createRuntime", "poststart", "poststop"];
const CONTAINER_SIDE: [&str; 2] = ["createContainer", "startContainer"];

/// A script on the host that gets the kind as `$1`.
fn script(cx: &Context, text: &str) -> PathBuf {
    let path = cx.fresh_path("hook");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("write a hook");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    path
}

fn hook(path: &Path, args: &[&str]) -> Value {
    let mut all = vec![path.display().to_string()];
    all.extend(args.iter().map(|a| (*a).to_owned()));
    json!({"path": path, "args": all, "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]})
}

/// Hooks of every kind, two of each, that add a line to the file returned.
fn tracing(cx: &Context, bundle: &mut Bundle) -> PathBuf {
    let dir = cx.fresh_dir("trace");
    let log = dir.join("log");
    fs::write(&log, "").expect("write");
    let text = format!("echo $1 >>{}", log.display());
    let path = script(cx, &text);
    // startContainer runs inside: the same file lies there under another name.
    bundle.bind(&dir, "/trace", &[]);
    let inner = bundle.inside("/hook");
    fs::write(&inner, "#!/bin/sh\necho $1 >>/trace/log\n").expect("write");
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).expect("chmod");
    for kind in RUNTIME_SIDE.iter().chain(&CONTAINER_SIDE) {
        let path = if *kind == "startContainer" { Path::new("/hook") } else { &path };
        for n in ["1", "2"] {
            bundle.push(&format!("/hooks/{kind}"), hook(path, &[&format!("{kind}-{n}")]));
        }
    }
    log
}

fn h1_all_kinds_run_in_order(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let log = tracing(cx, &mut bundle);
    bundle.args(&["sleep", "1000"]);
    let container = cx.create(&bundle);
    let mut expected = Vec::new();
    let mut more = |kinds: &[&str]| {
        for kind in kinds {
            expected.push(format!("{kind}-1"));
            expected.push(format!("{kind}-2"));
        }
        expected.clone()
    };
    let seen = || -> Vec<String> {
        fs::read_to_string(&log).expect("read").lines().map(str::to_owned).collect()
    };
    assert_eq!(seen(), more(&["prestart", "createRuntime", "createContainer"]));
    container.start();
    assert_eq!(seen(), more(&["startContainer", "poststart"]));
    container.kill("9");
    container.wait_status("stopped");
    container.delete();
    assert_eq!(seen(), more(&["poststop"]));
    Ok(())
}

fn h1_hooks_of_delete_run_once(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let log = tracing(cx, &mut bundle);
    bundle.args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    container.delete_force();
    container.verb(&["delete", "--force"]).ok();
    let text = fs::read_to_string(&log).expect("read");
    assert_eq!(text.matches("poststop-1").count(), 1, "{text}");
    Ok(())
}

fn h2_relative_path_is_refused(cx: &Context) -> Done {
    for path in ["hook", "./hook", ""] {
        for kind in RUNTIME_SIDE.iter().chain(&CONTAINER_SIDE) {
            let mut bundle = cx.bundle();
            bundle.push(&format!("/hooks/{kind}"), json!({"path": path}));
            cx.run(&bundle).refused();
        }
    }
    Ok(())
}

fn h3_hooks_see_their_namespaces(cx: &Context) -> Done {
    let dir = cx.fresh_dir("seen");
    let links = "for n in mnt net pid; do readlink /proc/self/ns/$n; done";
    let text = format!("{links} >{}/$1", dir.display());
    let path = script(cx, &text);
    let mut bundle = cx.bundle();
    bundle.bind(&dir, "/seen", &[]);
    let inner = bundle.inside("/hook");
    fs::write(&inner, format!("#!/bin/sh\n{links} >/seen/$1; ls / >>/seen/$1\n")).expect("write");
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).expect("chmod");
    for kind in RUNTIME_SIDE {
        bundle.push(&format!("/hooks/{kind}"), hook(&path, &[kind]));
    }
    bundle.push("/hooks/createContainer", hook(&path, &["createContainer"]));
    bundle.push("/hooks/startContainer", hook(Path::new("/hook"), &["startContainer"]));
    bundle.args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let links = |pid: &str| -> Vec<String> {
        let link = |k: &str| fs::read_link(format!("/proc/{pid}/ns/{k}")).expect("ns").display().to_string();
        ["mnt", "net", "pid"].map(link).to_vec()
    };
    let (own, inside) = (links("self"), links(&container.pid.to_string()));
    container.delete_force();
    for kind in RUNTIME_SIDE.iter().chain(&CONTAINER_SIDE) {
        let text = fs::read_to_string(dir.join(kind)).unwrap_or_else(|e| panic!("{kind}: {e}"));
        let seen: Vec<String> = text.lines().take(3).map(str::to_owned).collect();
        let expected = if CONTAINER_SIDE.contains(kind) { &inside } else { &own };
        assert_eq!(&seen, expected, "{kind}");
    }
    let root = fs::read_to_string(dir.join("startContainer")).expect("read");
    assert!(root.lines().any(|l| l == "hook"), "in the container's root: {root}");
    Ok(())
}

fn h4_state_comes_on_stdin(cx: &Context) -> Done {
    let dir = cx.fresh_dir("states");
    let path = script(cx, &format!("cat >{}/$1", dir.display()));
    let mut bundle = cx.bundle();
    bundle.bind(&dir, "/states", &[]).set("/annotations", json!({"key": "value"}));
    let inner = bundle.inside("/hook");
    fs::write(&inner, "#!/bin/sh\ncat >/states/$1\n").expect("write");
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).expect("chmod");
    for kind in RUNTIME_SIDE.iter().chain(&["createContainer"]) {
        bundle.push(&format!("/hooks/{kind}"), hook(&path, &[kind]));
    }
    bundle.push("/hooks/startContainer", hook(Path::new("/hook"), &["startContainer"]));
    bundle.args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let pid = container.pid;
    container.delete_force();
    let table = [
        ("prestart", "creating", Some(pid)),
        ("createRuntime", "creating", Some(pid)),
        ("createContainer", "creating", None),
        ("startContainer", "created", None),
        ("poststart", "running", Some(pid)),
        ("poststop", "stopped", Some(0)),
    ];
    for (kind, status, host_pid) in table {
        let text = fs::read_to_string(dir.join(kind)).unwrap_or_else(|e| panic!("{kind}: {e}"));
        let state: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{kind}: {e}: {text}"));
        assert_eq!(state["status"], status, "{kind}: {text}");
        assert_eq!(state["id"], json!(container.id), "{kind}");
        assert_eq!(state["bundle"], json!(bundle.dir()), "{kind}");
        assert_eq!(state["annotations"]["key"], "value", "{kind}");
        assert!(state["ociVersion"].as_str().is_some_and(|v| v.starts_with("1.")), "{kind}");
        match host_pid {
            // A stopped container may leave the number out.
            Some(0) => assert!(state["pid"].as_i64().unwrap_or(0) == 0, "{kind}: {text}"),
            Some(pid) => assert_eq!(state["pid"], pid, "{kind}"),
            None => assert!(state["pid"].as_i64().unwrap_or(0) > 0, "{kind}: {text}"),
        }
    }
    Ok(())
}

fn h5_env_and_args_are_as_given(cx: &Context) -> Done {
    let file = cx.fresh_path("seen");
    let path = script(cx, &format!("{{ echo \"0=$0 n=$# 1=$1 2=$2\"; env; }} >{}", file.display()));
    let mut bundle = cx.bundle();
    bundle.push(
        "/hooks/createRuntime",
        json!({"path": path, "args": ["zero", "one two", ""], "env": ["A=1", "B=x y"]}),
    );
    bundle.write();
    cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).env("SECRET", "1").run().ok();
    let text = fs::read_to_string(&file).expect("read");
    assert!(text.contains("n=2 1=one two 2=\n"), "{text}");
    assert!(text.contains("A=1\n") && text.contains("B=x y\n"), "{text}");
    assert!(!text.contains("SECRET"), "the runtime's environment stays out: {text}");
    Ok(())
}

fn h6_timeout_kills_the_hook(cx: &Context) -> Done {
    let path = script(cx, "exec sleep 300");
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let mut bundle = cx.bundle();
        let mut value = hook(&path, &[]);
        value["timeout"] = json!(1);
        bundle.push(&format!("/hooks/{kind}"), value);
        cx.run(&bundle).refused();
        assert!(guard::state_entries(&cx.state_root()).is_empty(), "{kind}");
    }
    Ok(())
}

fn h6_timeout_kills_what_the_hook_started(cx: &Context) -> Done {
    let path = script(cx, "sleep 300 & sleep 300 & wait");
    let mut bundle = cx.bundle();
    let mut value = hook(&path, &[]);
    value["timeout"] = json!(1);
    bundle.push("/hooks/createRuntime", value);
    cx.run(&bundle).refused();
    // What is left would be a child of this process now; the end of the test
    // looks for it.
    Ok(())
}

fn h6_timeout_must_be_positive(cx: &Context) -> Done {
    for timeout in [json!(0), json!(-1), json!("1"), json!(1.5)] {
        let mut bundle = cx.bundle();
        bundle.push("/hooks/createRuntime", json!({"path": "/bin/true", "timeout": timeout}));
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn h7_failing_hook_stops_the_create(cx: &Context) -> Done {
    let dir = cx.fresh_dir("marks");
    let fail = script(cx, "echo to-stdout; echo to-stderr >&2; exit 33");
    let mark = script(cx, &format!("touch {}/$1", dir.display()));
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let mut bundle = cx.bundle();
        bundle.push(&format!("/hooks/{kind}"), hook(&fail, &[]));
        bundle.push(&format!("/hooks/{kind}"), hook(&mark, &["second"]));
        bundle.push("/hooks/poststop", hook(&mark, &[kind]));
        bundle.write();
        let out = cx.call(&["create", "-b"]).arg(bundle.dir()).arg(cx.id()).run();
        let text = out.refused();
        assert!(text.contains("33"), "the status of the hook: {text}");
        assert!(!dir.join("second").exists(), "{kind}: the next one must not run");
        assert!(dir.join(kind).exists(), "{kind}: poststop must run");
        assert!(guard::state_entries(&cx.state_root()).is_empty(), "{kind}");
    }
    Ok(())
}

fn h7_start_container_hook_stops_the_start(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let inner = bundle.inside("/hook");
    fs::write(&inner, "#!/bin/sh\nexit 7\n").expect("write");
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).expect("chmod");
    bundle.push("/hooks/startContainer", json!({"path": "/hook"}));
    bundle.shell("echo must-not-run");
    let container = cx.create(&bundle);
    let out = container.verb(&["start"]);
    if !host::is_peer() {
        out.refused();
    }
    // Stopped, and with its state gone where the runtime goes on to destroy it.
    host::wait_for("the end of init", || crate::reaper::ended(container.pid));
    if cx.state_root().join(&container.id).exists() {
        assert_eq!(container.status(), "stopped");
    }
    assert!(!container.output().contains("must-not-run"));
    Ok(())
}

fn h8_failing_poststart_ends_the_container(cx: &Context) -> Done {
    let fail = script(cx, "exit 3");
    let mut bundle = cx.bundle();
    bundle.push("/hooks/poststart", hook(&fail, &[])).args(&["sleep", "1000"]);
    let container = cx.create(&bundle);
    container.verb(&["start"]).refused();
    host::wait_for("the end of init", || crate::reaper::ended(container.pid));
    Ok(())
}

fn h9_failing_poststop_lets_the_others_run(cx: &Context) -> Done {
    let mark = cx.fresh_path("mark");
    let (fail, second) = (script(cx, "exit 3"), script(cx, &format!("touch {}", mark.display())));
    let mut bundle = cx.bundle();
    bundle.push("/hooks/poststop", hook(&fail, &[])).push("/hooks/poststop", hook(&second, &[]));
    let container = cx.create(&bundle);
    container.delete_force();
    assert!(mark.exists());
    Ok(())
}

fn h10_output_of_a_failing_hook_is_shown(cx: &Context) -> Done {
    let fail = script(cx, "echo the-reason >&2; exit 1");
    let mut bundle = cx.bundle();
    bundle.push("/hooks/createRuntime", hook(&fail, &[]));
    cx.run(&bundle).refused_with("the-reason");
    // However much it prints, the error stays readable and the call ends.
    let loud = script(cx, "yes | head -c 3000000; echo the-end >&2; exit 1");
    let mut bundle = cx.bundle();
    bundle.push("/hooks/createRuntime", hook(&loud, &[]));
    cx.run(&bundle).refused();
    Ok(())
}

fn hook_gets_only_three_descriptors(cx: &Context) -> Done {
    let dir = cx.fresh_dir("fds");
    let probe = std::env::current_exe().expect("own path");
    let mut bundle = cx.bundle();
    let kinds = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    for kind in kinds {
        let file = dir.join(kind);
        bundle.push(
            &format!("/hooks/{kind}"),
            json!({"path": probe, "args": ["probe", "fds", file], "env": ["A=b"]}),
        );
    }
    bundle.args(&["sleep", "1000"]).write();
    let id = cx.id();
    let mut call = cx.call(&["run", "-d", "-b"]).arg(bundle.dir()).arg(&id);
    for number in 3..8 {
        call = call.give(fs::File::open("/").expect("open /"), number);
    }
    call.run().ok();
    cx.call(&["delete", "--force", &id]).run().ok();
    for kind in kinds {
        let text = fs::read_to_string(dir.join(kind)).unwrap_or_else(|e| panic!("{kind}: {e}"));
        let numbers: Vec<&str> = text.lines().filter_map(|l| l.split(' ').next()).collect();
        assert_eq!(numbers, ["0", "1", "2"], "{kind}: {text}");
    }
    Ok(())
}

fn prestart_hook_can_use_the_network_namespace(cx: &Context) -> Done {
    let file = cx.fresh_path("seen");
    let text = format!(
        "pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/' | head -n 1); \
         readlink /proc/$pid/ns/net >{}",
        file.display()
    );
    let path = script(cx, &text);
    let mut bundle = cx.bundle();
    bundle.push("/hooks/prestart", hook(&path, &[])).shell("readlink /proc/self/ns/net");
    let seen = cx.run(&bundle).ok();
    assert_eq!(fs::read_to_string(&file).expect("read").trim(), seen);
    Ok(())
}

fn hook_that_is_not_there(cx: &Context) -> Done {
    for kind in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        let mut bundle = cx.bundle();
        bundle.push(&format!("/hooks/{kind}"), json!({"path": "/not/there"}));
        let out = cx.run(&bundle);
        if kind == "startContainer" {
            assert!(!matches!(out.code, Some(0) | None), "{out}");
        } else {
            assert!(out.refused().contains("/not/there"), "{out}");
        }
    }
    Ok(())
}

fn hook_with_a_large_state(cx: &Context) -> Done {
    // Larger than a pipe, and the hook does not read it.
    let path = script(cx, "exit 0");
    let mut bundle = cx.bundle();
    bundle.push("/hooks/createRuntime", hook(&path, &[]));
    bundle.set("/annotations", json!({"big": "x".repeat(300_000)}));
    cx.run(&bundle).ok();
    Ok(())
}
