//! Sockets that the runtime speaks through besides the console's: the pidfd
//! socket, `NOTIFY_SOCKET`, the seccomp agent.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

use serde_json::{Value, json};

use crate::case::Done;
use crate::console::FdSocket;
use crate::context::Context;
use crate::{host, sys, tests};

tests![
    stricter pidfd_socket_of_create,
    stricter pidfd_socket_of_exec,
    notify_socket_waits_for_ready,
    notify_socket_of_a_run,
    notify_socket_gives_up_when_the_program_ends,
    s16_seccomp_agent_gets_state_and_listener,
    s16_seccomp_agent_that_is_not_there,
    s18_seccomp_agent_of_an_exec,
];

fn pid_of(fd: &impl AsRawFd) -> i32 {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).expect("fdinfo");
    let line = text.lines().find_map(|l| l.strip_prefix("Pid:")).expect("a pidfd");
    line.trim().parse().expect("a number")
}

fn pidfd_socket_of_create(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).write();
    let socket = FdSocket::new(cx);
    let id = cx.id();
    let call = cx.call(&["create", "--pidfd-socket"]).arg(socket.path()).arg("-b").arg(bundle.dir());
    let running = call.arg(&id).spawn();
    let (payload, fds) = socket.receive();
    running.finish().ok();
    assert_eq!(payload, "standard");
    assert_eq!(cx.state(&id)["pid"], pid_of(&fds[0]));
    Ok(())
}

fn pidfd_socket_of_exec(cx: &Context) -> Done {
    let container = cx.sleeper();
    let socket = FdSocket::new(cx);
    let pid_file = cx.fresh_path("pid");
    let running = cx
        .call(&["exec", "-d", "--pidfd-socket"])
        .arg(socket.path())
        .arg("--pid-file")
        .arg(&pid_file)
        .args(&[&container.id, "sleep", "1000"])
        .spawn();
    let (payload, fds) = socket.receive();
    running.finish().ok();
    assert_eq!(payload, "setns");
    assert_eq!(fs::read_to_string(pid_file).expect("pid file"), pid_of(&fds[0]).to_string());
    Ok(())
}

/// Writes a word to the socket that the variable names, as sd_notify does.
fn notifier(word: &str) -> String {
    format!(
        "echo socket=$NOTIFY_SOCKET; sleep 0.2; /probe notify \"$NOTIFY_SOCKET\" {word}; exec sleep 1000"
    )
}

fn notify_socket_waits_for_ready(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe().shell(&notifier("READY=1"));
    bundle.write();
    let path = cx.fresh_path("notify.sock");
    let socket = UnixDatagram::bind(&path).expect("bind");
    socket.set_read_timeout(Some(host::deadline(20))).expect("a deadline");
    let id = cx.id();
    cx.call(&["create", "-b"]).arg(bundle.dir()).arg(&id).env("NOTIFY_SOCKET", &path).run().ok();
    let running = cx.call(&["start", &id]).env("NOTIFY_SOCKET", &path).spawn();
    let mut text = [0; 4096];
    let mut seen = String::new();
    while !(seen.contains("READY=1") && seen.contains("MAINPID=")) {
        let length = socket.recv(&mut text).unwrap_or_else(|e| panic!("{e}; so far {seen:?}"));
        seen.push_str(&String::from_utf8_lossy(&text[..length]));
        seen.push('\n');
    }
    let pid = cx.state(&id)["pid"].to_string();
    assert!(seen.contains(&format!("MAINPID={pid}")), "{seen}");
    // The barrier's descriptor goes with the message that is never read.
    drop(socket);
    running.finish().ok();
    Ok(())
}

fn notify_socket_of_a_run(cx: &Context) -> Done {
    for detached in [true, false] {
        let mut bundle = cx.bundle();
        bundle.with_probe().shell(&notifier("READY=1"));
        bundle.write();
        let path = cx.fresh_path("notify.sock");
        let socket = UnixDatagram::bind(&path).expect("bind");
        socket.set_read_timeout(Some(host::deadline(20))).expect("a deadline");
        let id = cx.id();
        let words: &[&str] = if detached { &["run", "-d", "-b"] } else { &["run", "-b"] };
        let call = cx.call(words).arg(bundle.dir()).arg(&id).env("NOTIFY_SOCKET", &path);
        let running = call.spawn();
        let mut text = [0; 4096];
        let mut seen = String::new();
        while !(seen.contains("READY=1") && seen.contains("MAINPID=")) {
            let length = socket.recv(&mut text).unwrap_or_else(|e| panic!("{e}; so far {seen:?}"));
            seen.push_str(&String::from_utf8_lossy(&text[..length]));
            seen.push('\n');
        }
        let pid = if detached { cx.state(&id)["pid"].to_string() } else { running.pid().to_string() };
        assert!(seen.contains(&format!("MAINPID={pid}\n")), "{seen}");
        drop(socket);
        if detached {
            running.finish().ok();
        }
        cx.call(&["delete", "-f", &id]).run().ok();
    }
    Ok(())
}

fn notify_socket_gives_up_when_the_program_ends(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["true"]).write();
    let path = cx.fresh_path("notify.sock");
    let _socket = UnixDatagram::bind(&path).expect("bind");
    let id = cx.id();
    cx.call(&["create", "-b"]).arg(bundle.dir()).arg(&id).env("NOTIFY_SOCKET", &path).run().ok();
    let out = cx.call(&["start", &id]).env("NOTIFY_SOCKET", &path).run();
    assert!(out.code.is_some(), "{out}");
    Ok(())
}

fn profile(path: &std::path::Path) -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "listenerMetadata": "some words",
        "syscalls": [{"names": ["sync"], "action": "SCMP_ACT_NOTIFY"}],
    })
}

/// Takes what comes to the agent, and answers one call with error 77.
fn serve(socket: &FdSocket) -> Value {
    let (payload, fds) = socket.receive();
    assert_eq!(fds.len(), 1, "one descriptor");
    let state: Value = serde_json::from_str(&payload).unwrap_or_else(|e| panic!("{e}: {payload}"));
    let (id, number) = sys::notification(&fds[0]).expect("a notification");
    assert_eq!(i64::from(number), libc::SYS_sync);
    sys::answer(&fds[0], id, 77).expect("answer");
    state
}

fn s16_seccomp_agent_gets_state_and_listener(cx: &Context) -> Done {
    let socket = FdSocket::new(cx);
    let mut bundle = cx.bundle();
    let number = libc::SYS_sync.to_string();
    bundle.with_probe().set("/linux/seccomp", profile(socket.path()));
    bundle.args(&["/probe", "syscall", &number]).write();
    let id = cx.id();
    let running = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(&id).spawn();
    let state = serve(&socket);
    assert_eq!(running.finish().ok(), "errno 77");
    assert_eq!(state["fds"], json!(["seccompFd"]), "{state}");
    assert_eq!(state["metadata"], "some words", "{state}");
    assert_eq!(state["state"]["id"], json!(id), "{state}");
    assert_eq!(state["state"]["status"], "creating", "{state}");
    assert!(state["pid"].as_i64().is_some_and(|p| p > 1), "{state}");
    assert!(state["ociVersion"].is_string(), "{state}");
    Ok(())
}

fn s16_seccomp_agent_that_is_not_there(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/linux/seccomp", profile(&cx.fresh_path("nobody.sock")));
    cx.run(&bundle).refused();
    bundle.remove("/linux/seccomp/listenerPath");
    cx.run(&bundle).refused();
    Ok(())
}

fn s18_seccomp_agent_of_an_exec(cx: &Context) -> Done {
    let socket = FdSocket::new(cx);
    let mut bundle = cx.bundle();
    bundle.with_probe().set("/linux/seccomp", profile(socket.path())).args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let (_, first) = socket.receive();
    let number = libc::SYS_sync.to_string();
    let running = container.exec_call(&[], &["/probe", "syscall", &number]).spawn();
    let state = serve(&socket);
    assert_eq!(running.finish().ok(), "errno 77");
    assert_eq!(state["state"]["status"], "running", "{state}");
    drop(first);
    Ok(())
}
