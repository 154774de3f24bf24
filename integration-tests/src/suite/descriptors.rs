//! What travels into the container from the caller: descriptors, environment,
//! signals, groups, keyring. Only what was asked for may.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::case::Done;
use crate::context::Context;
use crate::inside::{Status, lines};
use crate::tests;

tests![
    p21_only_stdio_reaches_the_program,
    p21_only_stdio_reaches_a_created_program,
    preserve_fds_pass_in_order,
    stricter preserve_fds_that_is_not_open_is_refused,
    listen_fds_are_passed_to_the_right_process,
    listen_fds_of_another_process_are_not_passed,
    environment_of_the_caller_stays_outside,
    stdio_pipes_belong_to_the_user,
    stricter blocked_and_ignored_signals_stay_outside,
    stricter groups_of_the_caller_stay_outside,
    session_keyring_is_new,
    no_new_keyring_keeps_the_callers,
    program_is_a_session_leader,
    stricter abstract_sockets_are_not_used,
    oom_score_of_the_caller_stays_when_none_is_set,
];

fn p21_only_stdio_reaches_the_program(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["/probe", "fds"]).write();
    let mut call = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id());
    for number in 3..16 {
        call = call.give(File::open("/").expect("open /"), number);
    }
    let text = call.run().ok();
    let numbers: Vec<&str> = text.lines().filter_map(|l| l.split(' ').next()).collect();
    assert_eq!(numbers, ["0", "1", "2"], "{text}");
    Ok(())
}

fn p21_only_stdio_reaches_a_created_program(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).write();
    let id = cx.id();
    let pid_file = cx.fresh_path("pid");
    let leak = |mut call: crate::runtime::Call| {
        for number in 3..16 {
            call = call.give(File::open("/").expect("open /"), number);
        }
        call.run().ok()
    };
    leak(cx.call(&["create", "-b"]).arg(bundle.dir()).arg("--pid-file").arg(&pid_file).arg(&id));
    leak(cx.call(&["start", &id]));
    let pid = fs::read_to_string(&pid_file).expect("pid file");
    let fds = crate::host::wait_for("the program itself", || {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        let count = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        (name.trim() == "sleep").then_some(count)
    });
    assert_eq!(fds, 3);
    Ok(())
}

fn files(cx: &Context, count: usize) -> Vec<File> {
    (0..count)
        .map(|n| {
            let path = cx.fresh_path("given");
            fs::write(&path, format!("content {n}\n")).expect("write");
            File::open(path).expect("open")
        })
        .collect()
}

fn preserve_fds_pass_in_order(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe().shell("cat <&3; cat <&4; exec /probe fds").write();
    let given = files(cx, 3);
    let mut call = cx.call(&["run", "--preserve-fds", "2", "-b"]).arg(bundle.dir()).arg(cx.id());
    for (file, number) in given.iter().zip(3..) {
        call = call.give(file, number);
    }
    let text = call.run().ok();
    assert!(text.starts_with("content 0\ncontent 1\n"), "{text}");
    assert_eq!(text.lines().count(), 2 + 5, "0-4 and no more: {text}");
    Ok(())
}

fn preserve_fds_that_is_not_open_is_refused(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    let given = files(cx, 1);
    let out = cx
        .call(&["create", "--preserve-fds", "3", "-b"])
        .arg(bundle.dir())
        .arg(cx.id())
        .give(&given[0], 3)
        .run();
    out.refused();
    for bad in ["-1", "x", "99999999999999999999", "100000000"] {
        let out = cx.call(&["create", "--preserve-fds", bad, "-b"]).arg(bundle.dir()).arg(cx.id()).run();
        assert!(!matches!(out.code, Some(0) | None), "{bad}: {out}");
    }
    Ok(())
}

fn listen_fds_are_passed_to_the_right_process(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("echo fds=$LISTEN_FDS; echo pid=$LISTEN_PID; echo own=$$; cat <&3; cat <&4; cat <&5").write();
    let given = files(cx, 3);
    let mut call = cx.call(&["run", "--preserve-fds=1", "-b"]).arg(bundle.dir()).arg(cx.id());
    for (file, number) in given.iter().zip(3..) {
        call = call.give(file, number);
    }
    let text = call.env("LISTEN_FDS", "2").through_shell("LISTEN_PID=$$; export LISTEN_PID;").run().ok();
    assert_eq!(lines(&text)["fds"], "2");
    assert_eq!(lines(&text)["pid"], "1");
    assert!(text.ends_with("content 0\ncontent 1\ncontent 2"), "{text}");
    Ok(())
}

fn listen_fds_of_another_process_are_not_passed(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe().shell("echo fds=$LISTEN_FDS; exec /probe fds").write();
    let given = files(cx, 1);
    let text = cx
        .call(&["run", "-b"])
        .arg(bundle.dir())
        .arg(cx.id())
        .give(&given[0], 3)
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1")
        .run()
        .ok();
    assert_eq!(lines(&text)["fds"], "", "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
    Ok(())
}

fn environment_of_the_caller_stays_outside(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["env"]).write();
    let text = cx
        .call(&["run", "-b"])
        .arg(bundle.dir())
        .arg(cx.id())
        .env("MY_SECRET", "42")
        .env("_OCI_SYNCPIPE", "7")
        .env("LD_LIBRARY_PATH", "/x:")
        .env("GOMAXPROCS", "2")
        .run()
        .ok();
    let mut names: Vec<String> = lines(&text).into_keys().collect();
    names.sort();
    assert_eq!(names, ["HOME", "PATH"], "{text}");
    Ok(())
}

fn stdio_pipes_belong_to_the_user(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .shell("echo reopened >/dev/stdout")
        .write();
    let (read, write) = nix::unistd::pipe().expect("pipe");
    let out = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).stdout(write).run();
    assert_eq!(out.code, Some(0), "{out}");
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).expect("read the pipe");
    assert_eq!(text, "reopened\n");
    // A device of the host keeps its owner.
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata("/dev/null").expect("metadata").uid(), 0);
    Ok(())
}

fn blocked_and_ignored_signals_stay_outside(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["cat", "/proc/self/status"]).write();
    let call = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id());
    let blocked = vec![libc::SIGUSR1, libc::SIGPIPE, libc::SIGWINCH, libc::SIGRTMIN() + 3];
    let text = call.setup(|s| s.blocked = blocked.clone()).run().ok();
    let status = Status::parse(&text);
    assert_eq!(status.bits("SigBlk"), 0, "blocked");
    assert_eq!(status.bits("SigIgn"), 0, "ignored");
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let call = container.exec_call(&[], &["cat", "/proc/self/status"]);
    let status = Status::parse(&call.setup(|s| s.blocked = blocked).run().ok());
    assert_eq!(status.bits("SigBlk") | status.bits("SigIgn"), 0, "in exec");
    Ok(())
}

fn groups_of_the_caller_stay_outside(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["cat", "/proc/self/status"]).write();
    let call = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id());
    let text = call.setup(|s| s.groups = Some(vec![4242, 4243])).run().ok();
    assert_eq!(Status::parse(&text).get("Groups"), "");
    Ok(())
}

fn keyring(cx: &Context, options: &[&str]) -> (String, String) {
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["/probe", "keyring"]).write();
    let id = cx.id();
    let text = cx.call(&["run"]).args(options).arg("-b").arg(bundle.dir()).arg(&id).run().ok();
    (text, id)
}

fn session_keyring_is_new(cx: &Context) -> Done {
    let (text, id) = keyring(cx, &[]);
    cx.need(!text.contains("errno 38"), "this kernel has no keyrings")?;
    assert!(text.ends_with(&format!("_ses.{id}")), "{text}");
    Ok(())
}

fn no_new_keyring_keeps_the_callers(cx: &Context) -> Done {
    let (text, id) = keyring(cx, &["--no-new-keyring"]);
    assert!(!text.contains(&id), "{text}");
    Ok(())
}

fn program_is_a_session_leader(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe();
    let text = cx.run_ok(&mut bundle, &["/probe", "session"]);
    assert_eq!(text, "pid=1\nsid=1\npgid=1");
    Ok(())
}

fn abstract_sockets_are_not_used(cx: &Context) -> Done {
    let abstracts = || {
        let text = fs::read_to_string("/proc/net/unix").unwrap_or_default();
        text.lines().filter_map(|l| l.split(" @").nth(1)).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = abstracts();
    let mut bundle = cx.bundle();
    bundle.without_namespace("network").args(&["sleep", "1000"]).unmount("/sys");
    let created = cx.create(&bundle);
    let now = abstracts();
    assert!(now.iter().all(|n| before.contains(n)), "{now:?}");
    for entry in fs::read_dir(cx.state_root().join(&created.id)).expect("list").flatten() {
        let meta = entry.metadata().expect("metadata");
        use std::os::unix::fs::FileTypeExt;
        if meta.file_type().is_socket() {
            assert_eq!(meta.permissions().mode() & 0o077, 0, "{:?}", entry.path());
        }
    }
    Ok(())
}

fn oom_score_of_the_caller_stays_when_none_is_set(cx: &Context) -> Done {
    let own = fs::read_to_string("/proc/self/oom_score_adj").expect("read");
    let mut bundle = cx.bundle();
    let text = cx.run_ok(&mut bundle, &["cat", "/proc/self/oom_score_adj"]);
    assert_eq!(text, own.trim());
    Ok(())
}
