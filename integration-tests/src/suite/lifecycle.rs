//! create, start, kill, delete, run: what each does and when it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::case::Done;
use crate::container::Container;
use crate::context::Context;
use crate::{guard, host, tests};

tests![
    create_waits_with_the_program_not_yet_running,
    create_writes_the_pid_file_and_nothing_beside_it,
    pid_file_is_relative_to_the_caller,
    create_uses_the_current_directory_as_bundle,
    init_becomes_a_child_of_the_callers_reaper,
    r1_state_has_all_fields,
    r2_state_walks_through_created_running_paused_stopped,
    r4_second_create_of_an_id_leaves_the_first_alone,
    r7_start_only_from_created,
    r8_kill_only_while_it_lives,
    kill_takes_names_and_numbers,
    kill_without_a_signal_sends_term,
    stricter kill_all_reaches_every_process,
    kill_all_of_a_stopped_one_succeeds,
    kill_of_a_created_one,
    kill_in_a_shared_pid_namespace_reaches_all,
    r10_delete_of_a_running_one_is_refused,
    delete_of_a_created_one,
    delete_force_in_every_state,
    delete_force_of_an_unknown_id_is_silent,
    delete_twice,
    r11_delete_leaves_foreign_things,
    id_can_be_used_again_after_delete,
    run_gives_the_status_of_the_program,
    run_gives_128_plus_signal,
    run_deletes_the_container,
    run_keep_leaves_it_stopped,
    run_detached_returns_at_once,
    run_forwards_signals,
    run_passes_stdio_through,
    run_reaps_orphans_of_a_foreign_parent,
    stricter run_killed_takes_its_container_along_on_delete,
    r5_failed_create_leaves_no_trace,
    c11_config_edits_after_create_have_no_effect,
    annotations_come_back_in_state,
    absolute_and_relative_bundles,
    bundle_path_in_state_is_absolute,
    state_directory_is_private,
    umask_of_the_caller_does_not_matter,
];

fn create_waits_with_the_program_not_yet_running(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("echo started; sleep 1000");
    let container = cx.create(&bundle);
    assert_eq!(container.status(), "created");
    assert_eq!(container.output(), "");
    container.start();
    container.wait_output("started");
    assert_eq!(container.status(), "running");
    Ok(())
}

fn create_writes_the_pid_file_and_nothing_beside_it(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    let dir = cx.fresh_dir("pids");
    let file = dir.join("init.pid");
    let id = cx.id();
    cx.call(&["create", "-b"]).arg(bundle.dir()).arg("--pid-file").arg(&file).arg(&id).run().ok();
    let text = fs::read_to_string(&file).expect("the pid file");
    assert!(text.bytes().all(|b| b.is_ascii_digit()), "digits only: {text:?}");
    assert_eq!(cx.state(&id)["pid"].to_string(), text);
    assert_eq!(fs::read_dir(&dir).expect("list").count(), 1, "no temporary file stays");
    Ok(())
}

fn pid_file_is_relative_to_the_caller(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    let dir = cx.fresh_dir("here");
    cx.call(&["create", "-b"])
        .arg(bundle.dir())
        .args(&["--pid-file", "p", &cx.id()])
        .dir(&dir)
        .run()
        .ok();
    assert!(dir.join("p").exists());
    Ok(())
}

fn create_uses_the_current_directory_as_bundle(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    let id = cx.id();
    cx.call(&["create", &id]).dir(bundle.dir()).run().ok();
    assert_eq!(cx.state(&id)["bundle"], json!(bundle.dir()));
    Ok(())
}

fn init_becomes_a_child_of_the_callers_reaper(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("exit 7");
    let container = cx.create(&bundle);
    assert_eq!(guard::children_of(std::process::id() as i32), [container.pid]);
    container.start();
    assert_eq!(container.wait(), 7);
    Ok(())
}

fn r1_state_has_all_fields(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).set("/annotations", json!({"a.b": "c"}));
    let container = cx.start(&bundle);
    let state = container.state();
    assert!(state["ociVersion"].as_str().is_some_and(|v| v.starts_with("1.")), "{state}");
    assert_eq!(state["id"], json!(container.id));
    assert_eq!(state["status"], "running");
    assert_eq!(state["pid"], container.pid);
    assert_eq!(state["bundle"], json!(bundle.dir()));
    assert_eq!(state["rootfs"], json!(bundle.rootfs()));
    assert_eq!(state["annotations"], json!({"a.b": "c"}));
    assert_eq!(state["owner"], "");
    let created = state["created"].as_str().expect("created");
    assert!(created.ends_with('Z') && created.contains('T'), "{created}");
    let raw = container.verb(&["state"]).stdout;
    assert!(raw.starts_with("{\n  \"ociVersion\""), "indented, version first: {raw}");
    Ok(())
}

fn r2_state_walks_through_created_running_paused_stopped(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = cx.create(&bundle);
    assert_eq!(container.status(), "created");
    container.start();
    assert_eq!(container.status(), "running");
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    container.verb(&["resume"]).ok();
    assert_eq!(container.status(), "running");
    container.kill("KILL");
    container.wait_status("stopped");
    assert_eq!(container.state()["pid"], 0);
    container.delete();
    Ok(())
}

fn r4_second_create_of_an_id_leaves_the_first_alone(cx: &Context) -> Done {
    let first = cx.sleeper();
    let bundle = cx.bundle();
    bundle.write();
    let before = first.verb(&["state"]).ok();
    for verb in ["create", "run"] {
        let out = cx.call(&[verb, "-b"]).arg(bundle.dir()).arg(&first.id).run();
        out.refused_with("container with given ID already exists");
    }
    assert_eq!(first.verb(&["state"]).ok(), before);
    assert_eq!(first.exec(&["echo", "alive"]), "alive");
    Ok(())
}

fn r7_start_only_from_created(cx: &Context) -> Done {
    let container = cx.sleeper();
    container.verb(&["start"]).refused_with("cannot start an already running container");
    container.verb(&["pause"]).ok();
    container.verb(&["start"]).refused_with("cannot start a container in the paused state");
    container.verb(&["resume"]).ok();
    container.kill("KILL");
    container.wait_status("stopped");
    container.verb(&["start"]).refused_with("cannot start a container that has stopped");
    Ok(())
}

fn r8_kill_only_while_it_lives(cx: &Context) -> Done {
    let container = cx.sleeper();
    container.kill("9");
    container.wait_status("stopped");
    for signal in ["9", "TERM", "0"] {
        let out = cx.call(&["kill", &container.id, signal]).run();
        out.refused_with("container not running");
    }
    Ok(())
}

fn kill_takes_names_and_numbers(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("for s in HUP INT USR1 USR2 TERM WINCH; do trap \"echo got-$s\" $s; done; echo ready; while :; do sleep 0.01; done");
    let container = cx.start(&bundle);
    container.wait_output("ready");
    let table = [
        ("HUP", "got-HUP"),
        ("SIGINT", "got-INT"),
        ("10", "got-USR1"),
        ("sigusr2", "got-USR2"),
        ("winch", "got-WINCH"),
        ("15", "got-TERM"),
    ];
    for (signal, answer) in table {
        container.kill(signal);
        container.wait_output(answer);
    }
    for bad in ["SIGNOPE", "0x9", "65", "-1", "999999999999999999999", "9 "] {
        let out = cx.call(&["kill", &container.id]).arg(bad).run();
        assert_eq!(out.code, Some(1), "signal {bad:?}: {out}");
    }
    let out = cx.call(&["kill", &container.id, "SIGNOPE"]).run();
    out.refused_with("unknown signal \"SIGNOPE\"");
    assert_eq!(container.status(), "running");
    Ok(())
}

fn kill_without_a_signal_sends_term(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done");
    let container = cx.start(&bundle);
    container.wait_output("ready");
    container.verb(&["kill"]).ok();
    assert_eq!(container.wait(), 9);
    Ok(())
}

fn kill_all_reaches_every_process(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell(
        "for i in 1 2 3; do (trap 'echo bye' TERM; echo up; while :; do sleep 0.01; done) & done; \
         trap '' TERM; wait",
    );
    let container = cx.start(&bundle);
    host::wait_for("three children", || {
        (container.output().matches("up").count() == 3).then_some(())
    });
    for words in [["kill", "--all"], ["kill", "-a"]] {
        cx.call(&words).args(&[&container.id, "TERM"]).run().ok();
    }
    host::wait_for("three answers", || {
        (container.output().matches("bye").count() >= 3).then_some(())
    });
    cx.call(&["kill", "--all", &container.id, "9"]).run().ok();
    container.wait_status("stopped");
    Ok(())
}

fn kill_all_of_a_stopped_one_succeeds(cx: &Context) -> Done {
    let container = cx.sleeper();
    container.kill("9");
    container.wait_status("stopped");
    let out = cx.call(&["kill", "--all", &container.id, "9"]).run();
    out.ok();
    assert_eq!(out.stderr, "");
    Ok(())
}

fn kill_of_a_created_one(cx: &Context) -> Done {
    let bundle = cx.bundle();
    let container = cx.create(&bundle);
    container.kill("9");
    container.wait_status("stopped");
    container.delete();
    Ok(())
}

fn kill_in_a_shared_pid_namespace_reaches_all(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.without_namespace("pid").shell("sleep 1000 & sleep 1000 & echo up; wait");
    // Without a pid namespace procfs may not be mounted over masked paths.
    let container = cx.start(&bundle);
    container.wait_output("up");
    let dir = crate::cgroup::dir(cx, "pids", &bundle.cgroup());
    assert!(crate::cgroup::members(&dir).len() >= 3);
    cx.call(&["kill", "--all", &container.id, "9"]).run().ok();
    host::wait_for("an empty cgroup", || crate::cgroup::members(&dir).is_empty().then_some(()));
    container.delete();
    Ok(())
}

fn r10_delete_of_a_running_one_is_refused(cx: &Context) -> Done {
    let container = cx.sleeper();
    let words = format!("cannot delete container {} that is not stopped: running", container.id);
    container.verb(&["delete"]).refused_with(&words);
    assert_eq!(container.status(), "running");
    container.verb(&["pause"]).ok();
    container.verb(&["delete"]).refused_with("that is not stopped: paused");
    container.delete_force();
    Ok(())
}

fn delete_of_a_created_one(cx: &Context) -> Done {
    let bundle = cx.bundle();
    cx.create(&bundle).delete();
    Ok(())
}

fn delete_force_in_every_state(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]);
    let created = cx.create(&bundle);
    created.delete_force();
    let running = cx.start(&bundle);
    running.delete_force();
    let paused = cx.start(&bundle);
    paused.verb(&["pause"]).ok();
    paused.delete_force();
    let stopped = cx.start(&bundle);
    stopped.kill("9");
    stopped.wait_status("stopped");
    stopped.delete_force();
    Ok(())
}

fn delete_force_of_an_unknown_id_is_silent(cx: &Context) -> Done {
    let out = cx.call(&["delete", "--force", "nobody"]).run();
    out.ok();
    assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("", ""));
    cx.call(&["delete", "nobody"]).run().refused_with("does not exist");
    Ok(())
}

fn delete_twice(cx: &Context) -> Done {
    let container = cx.sleeper();
    container.delete_force();
    container.verb(&["delete"]).refused_with("does not exist");
    container.verb(&["delete", "--force"]).ok();
    Ok(())
}

fn r11_delete_leaves_foreign_things(cx: &Context) -> Done {
    let other = cx.sleeper();
    let container = cx.sleeper();
    let foreign = cx.state_root().join(format!("{}-notes", cx.token()));
    fs::write(&foreign, "mine").expect("a foreign file");
    container.delete_force();
    assert_eq!(other.status(), "running");
    assert_eq!(fs::read_to_string(&foreign).expect("read"), "mine");
    fs::remove_file(&foreign).expect("remove");
    Ok(())
}

fn id_can_be_used_again_after_delete(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    let id = cx.id();
    for _ in 0..3 {
        cx.call(&["create", "-b"]).arg(bundle.dir()).arg(&id).run().ok();
        cx.call(&["start", &id]).run().ok();
        cx.call(&["delete", "--force", &id]).run().ok();
    }
    Ok(())
}

fn run_gives_the_status_of_the_program(cx: &Context) -> Done {
    for status in [0, 1, 2, 42, 126, 127, 255] {
        let mut bundle = cx.bundle();
        bundle.shell(&format!("exit {status}"));
        assert_eq!(cx.run(&bundle).code, Some(status));
    }
    Ok(())
}

fn run_gives_128_plus_signal(cx: &Context) -> Done {
    for signal in [9, 15] {
        let mut bundle = cx.bundle();
        bundle.shell("echo ready; exec sleep 1000").write();
        let id = cx.id();
        let running = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(&id).spawn();
        host::wait_for("the container", || running.stdout().contains("ready").then_some(()));
        // The init of a pid namespace ignores what it does not handle, but for
        // SIGKILL from outside.
        let sent = if signal == 9 { "9" } else { "15" };
        cx.call(&["kill", &id, sent]).run().ok();
        if signal == 15 {
            cx.call(&["kill", &id, "9"]).run().ok();
        }
        assert_eq!(running.finish().code, Some(137));
    }
    Ok(())
}

fn run_deletes_the_container(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    let id = cx.id();
    cx.call(&["run", "-b"]).arg(bundle.dir()).arg(&id).run().ok();
    cx.call(&["state", &id]).run().refused_with("does not exist");
    assert!(guard::state_entries(&cx.state_root()).is_empty());
    assert!(guard::cgroups_named(cx.token()).is_empty());
    Ok(())
}

fn run_keep_leaves_it_stopped(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    let id = cx.id();
    cx.call(&["run", "--keep", "-b"]).arg(bundle.dir()).arg(&id).run().ok();
    assert_eq!(cx.state(&id)["status"], "stopped");
    cx.call(&["delete", &id]).run().ok();
    Ok(())
}

fn run_detached_returns_at_once(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("echo up; exec sleep 1000").write();
    for option in ["-d", "--detach"] {
        let id = cx.id();
        let pid_file = cx.fresh_path("pid");
        let out = cx
            .call(&["run", option, "--pid-file"])
            .arg(&pid_file)
            .arg("-b")
            .arg(bundle.dir())
            .arg(&id)
            .run();
        out.ok();
        let container = Container::adopt(cx, id, &pid_file, out.stdout_path);
        container.wait_output("up");
        assert_eq!(container.status(), "running");
        container.delete_force();
    }
    Ok(())
}

fn run_forwards_signals(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle
        .shell("trap 'echo got-it; exit 5' USR1; echo ready; while :; do sleep 0.01; done")
        .write();
    let running = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).spawn();
    host::wait_for("the container", || running.stdout().contains("ready").then_some(()));
    running.signal(nix::sys::signal::Signal::SIGUSR1);
    let out = running.finish();
    assert_eq!(out.code, Some(5), "{out}");
    assert!(out.stdout.contains("got-it"), "{out}");
    Ok(())
}

fn run_passes_stdio_through(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("cat; echo to-stderr >&2").write();
    let out = cx
        .call(&["run", "-b"])
        .arg(bundle.dir())
        .arg(cx.id())
        .input(cx, "line one\nline two\n")
        .run();
    out.ok();
    assert_eq!(out.stdout, "line one\nline two\n");
    assert_eq!(out.stderr, "to-stderr\n");
    Ok(())
}

fn run_reaps_orphans_of_a_foreign_parent(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    // In a shared pid namespace an orphan of the container comes to `run`.
    bundle.without_namespace("pid").shell("(sleep 0.05 &) ; exit 3");
    let out = cx.run(&bundle);
    assert_eq!(out.code, Some(3), "{out}");
    Ok(())
}

fn run_killed_takes_its_container_along_on_delete(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("echo ready; exec sleep 1000").write();
    let id = cx.id();
    let running = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(&id).spawn();
    host::wait_for("the container", || running.stdout().contains("ready").then_some(()));
    running.kill();
    running.finish();
    cx.call(&["delete", "--force", &id]).run().ok();
    assert!(guard::cgroups_named(&id).is_empty());
    Ok(())
}

fn r5_failed_create_leaves_no_trace(cx: &Context) -> Done {
    let mounts = host::mountinfo();
    let mut table = Vec::new();
    for case in 0..5 {
        let mut bundle = cx.bundle();
        match case {
            0 => bundle.args(&["/does/not/exist"]),
            1 => bundle.mount("nosuchfs", "none", "/x", &[]),
            2 => bundle.bind(std::path::Path::new("/does/not/exist"), "/x", &[]),
            3 => bundle.set("/linux/sysctl", json!({"net.ipv4.nope": "1"})),
            _ => bundle.set("/hooks", json!({"createRuntime": [{"path": "/does/not/exist"}]})),
        };
        table.push(bundle);
    }
    for (case, bundle) in table.iter().enumerate() {
        bundle.write();
        let pid_file = cx.fresh_path("pid");
        let id = cx.id();
        let out = cx
            .call(&["create", "--pid-file"])
            .arg(&pid_file)
            .arg("-b")
            .arg(bundle.dir())
            .arg(&id)
            .run();
        assert_eq!(out.code, Some(1), "case {case}: {out}");
        assert!(!pid_file.exists(), "case {case}: a pid file stays");
        cx.call(&["state", &id]).run().refused_with("does not exist");
        assert!(guard::state_entries(&cx.state_root()).is_empty(), "case {case}: state stays");
        assert!(guard::cgroups_named(cx.token()).is_empty(), "case {case}: a cgroup stays");
        assert_eq!(host::mountinfo(), mounts, "case {case}: a mount stays");
    }
    Ok(())
}

fn c11_config_edits_after_create_have_no_effect(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("echo original; sleep 1000");
    let container = cx.create(&bundle);
    bundle.write_text("{ this is not JSON");
    container.start();
    container.wait_output("original");
    assert_eq!(container.status(), "running");
    container.kill("9");
    container.wait_status("stopped");
    container.delete();
    Ok(())
}

fn annotations_come_back_in_state(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let annotations = json!({
        "org.example.key": "value with = and \"quotes\"", "x": "",
        "run.oci.keep_original_groups": "1", "bundle.like": "umlaut ä",
    });
    bundle.set("/annotations", annotations.clone());
    let container = cx.create(&bundle);
    assert_eq!(container.state()["annotations"], annotations);
    Ok(())
}

fn absolute_and_relative_bundles(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    let name = bundle.dir().file_name().expect("a name");
    cx.call(&["run", "--bundle"]).arg(name).arg(cx.id()).dir(cx.scratch()).run().ok();
    let mut other = cx.bundle();
    other.set("/root/path", json!(bundle.rootfs()));
    cx.run(&other).ok();
    Ok(())
}

fn bundle_path_in_state_is_absolute(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    let name = bundle.dir().file_name().expect("a name");
    let id = cx.id();
    cx.call(&["create", "--bundle"]).arg(name).arg(&id).dir(cx.scratch()).run().ok();
    assert_eq!(cx.state(&id)["bundle"], json!(bundle.dir()));
    Ok(())
}

fn state_directory_is_private(cx: &Context) -> Done {
    let root = cx.fresh_path("newroot");
    let bundle = cx.bundle();
    bundle.write();
    let id = cx.id();
    let call = |words: &[&str]| crate::runtime::Call::bare(cx).arg("--root").arg(&root).args(words);
    call(&["create", "-b"]).arg(bundle.dir()).arg(&id).run().ok();
    let mode =
        |p: &std::path::Path| fs::metadata(p).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    assert!(mode(&root.join(&id)) & 0o066 == 0, "{:o}", mode(&root.join(&id)));
    for entry in fs::read_dir(root.join(&id)).expect("list").flatten() {
        let kind = entry.file_type().expect("type");
        if kind.is_file() {
            assert_eq!(mode(&entry.path()) & 0o077, 0, "{:?} is open to others", entry.path());
        }
    }
    call(&["delete", "--force", &id]).run().ok();
    assert!(guard::state_entries(&root).is_empty());
    Ok(())
}

fn umask_of_the_caller_does_not_matter(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle
        .shell("stat -c %a /dev/null /dev/zero /made /proc")
        .mount("tmpfs", "t", "/made", &[])
        .write();
    let usual = cx.run(&bundle).ok();
    for mask in [0o077, 0, 0o777] {
        let mut fresh = cx.bundle();
        fresh.config = bundle.config.clone();
        fresh.write();
        let call = cx.call(&["run", "-b"]).arg(fresh.dir()).arg(cx.id());
        assert_eq!(call.setup(|s| s.umask = Some(mask)).run().ok(), usual, "umask {mask:o}");
    }
    Ok(())
}
