//! Terminals: in the foreground and handed out through a console socket.


use nix::sys::termios;
use serde_json::json;

use crate::bundle::Bundle;
use crate::case::Done;
use crate::console::{ConsoleSocket, Terminal};
use crate::container::Container;
use crate::context::Context;
use crate::inside::lines;
use crate::{host, tests};

tests![
    p2_console_socket_gets_the_master,
    p3_console_size_is_set_before_the_program_runs,
    p2_terminal_is_the_controlling_one,
    console_is_dev_console,
    console_socket_of_a_run,
    terminal_belongs_to_the_user,
    terminal_ends_with_the_program,
    foreground_terminal_talks_both_ways,
    foreground_terminal_takes_the_size_of_the_callers,
    foreground_terminal_follows_resizes,
    foreground_terminal_is_restored,
    foreground_terminal_passes_control_c,
    exec_terminal_in_the_foreground,
    exec_terminal_through_a_console_socket,
    exec_process_file_decides_about_the_terminal,
    console_socket_that_cannot_be_used,
    detached_run_with_terminal_needs_a_socket,
    consolesize_without_terminal_is_ignored,
];

fn with_terminal(cx: &Context, args: &[&str]) -> Bundle {
    let mut bundle = cx.bundle();
    bundle.with_probe().set("/process/terminal", json!(true)).args(args);
    bundle
}

fn create<'a>(cx: &'a Context, bundle: &Bundle, socket: &ConsoleSocket) -> Container<'a> {
    let path = socket.path().display().to_string();
    Container::create(cx, bundle, &["--console-socket", &path])
}

fn p2_console_socket_gets_the_master(cx: &Context) -> Done {
    let bundle = with_terminal(cx, &["/probe", "tty"]);
    let socket = ConsoleSocket::new(cx);
    let container = create(cx, &bundle, &socket);
    let mut received = socket.receive();
    assert_eq!(received.count, 1, "one descriptor");
    assert!(received.payload.starts_with('/'), "the name of the terminal: {:?}", received.payload);
    container.start();
    let text = received.master.expect("controlling=");
    assert!(!text.contains("none"), "0, 1, 2 are terminals: {text}");
    Ok(())
}

fn p3_console_size_is_set_before_the_program_runs(cx: &Context) -> Done {
    let mut bundle = with_terminal(cx, &["/probe", "tty"]);
    bundle.set("/process/consoleSize", json!({"width": 121, "height": 37}));
    let socket = ConsoleSocket::new(cx);
    let container = create(cx, &bundle, &socket);
    let mut received = socket.receive();
    assert_eq!(received.master.size(), (121, 37));
    container.start();
    let text = received.master.expect("controlling=").replace('\r', "");
    assert_eq!(lines(&text)["fd0"], "121x37");
    Ok(())
}

fn p2_terminal_is_the_controlling_one(cx: &Context) -> Done {
    let bundle = with_terminal(cx, &["sh", "-c", "/probe tty; /probe session; cat /proc/1/stat"]);
    let socket = ConsoleSocket::new(cx);
    let container = create(cx, &bundle, &socket);
    let mut received = socket.receive();
    container.start();
    let text = received.master.expect("1 (").replace('\r', "");
    assert_eq!(lines(&text)["controlling"], "true", "{text}");
    assert_eq!(lines(&text)["sid"], "1", "{text}");
    Ok(())
}

fn console_is_dev_console(cx: &Context) -> Done {
    let script = "stat -c 'console %t:%T' /dev/console; stat -c 'own %t:%T' /dev/pts/0; \
                  echo name=$(readlink /proc/self/fd/0); echo hello >/dev/console; echo end";
    let bundle = with_terminal(cx, &["sh", "-c", script]);
    let socket = ConsoleSocket::new(cx);
    let container = create(cx, &bundle, &socket);
    let mut received = socket.receive();
    container.start();
    let text = received.master.expect("end").replace('\r', "");
    let number = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(name));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(number("console"), number("own"));
    assert!(text.contains("hello"), "{text}");
    assert!(text.contains("name=/dev/pts/0") || text.contains("name=/dev/console"), "{text}");
    Ok(())
}

fn console_socket_of_a_run(cx: &Context) -> Done {
    let bundle = with_terminal(cx, &["sh", "-c", "read x; echo got-$x; exit 3"]);
    bundle.write();
    let socket = ConsoleSocket::new(cx);
    let id = cx.id();
    let running = cx
        .call(&["run", "--detach", "--console-socket"])
        .arg(socket.path())
        .arg("-b")
        .arg(bundle.dir())
        .arg(&id)
        .spawn();
    let mut received = socket.receive();
    running.finish().ok();
    received.master.type_in("word\n");
    received.master.expect("got-word");
    host::wait_for("the end", || (cx.state(&id)["status"] == "stopped").then_some(()));
    Ok(())
}

fn terminal_belongs_to_the_user(cx: &Context) -> Done {
    let mut bundle = with_terminal(cx, &["sh", "-c", "stat -L -c 'owner %u' /proc/self/fd/0; echo again >$(readlink /proc/self/fd/0)"]);
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let socket = ConsoleSocket::new(cx);
    let container = create(cx, &bundle, &socket);
    let mut received = socket.receive();
    container.start();
    let text = received.master.expect("again");
    assert!(text.contains("owner 1000"), "{text}");
    Ok(())
}

fn terminal_ends_with_the_program(cx: &Context) -> Done {
    let bundle = with_terminal(cx, &["echo", "last words"]);
    let socket = ConsoleSocket::new(cx);
    let container = create(cx, &bundle, &socket);
    let mut received = socket.receive();
    container.start();
    assert!(received.master.drain().contains("last words"), "nobody else holds the terminal");
    container.wait();
    Ok(())
}

/// Starts a foreground `run` on a terminal of ours.
fn foreground(
    cx: &Context,
    bundle: &Bundle,
) -> (Terminal, std::os::fd::OwnedFd, crate::runtime::Running) {
    bundle.write();
    let (master, slave) = Terminal::pair();
    master.resize(90, 30);
    let call = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).terminal(&slave);
    let running = call.spawn();
    (master, slave, running)
}

fn foreground_terminal_talks_both_ways(cx: &Context) -> Done {
    let bundle = with_terminal(cx, &["sh", "-c", "echo ready; read x; echo got-$x; exit 4"]);
    let (mut master, _slave, running) = foreground(cx, &bundle);
    master.expect("ready");
    master.type_in("word\n");
    master.expect("got-word");
    assert_eq!(running.finish().code, Some(4));
    Ok(())
}

fn foreground_terminal_takes_the_size_of_the_callers(cx: &Context) -> Done {
    let bundle = with_terminal(cx, &["sh", "-c", "stty size; read x"]);
    let (mut master, _slave, running) = foreground(cx, &bundle);
    // The size is set by the runtime side by side with the program's start.
    let text = master.expect("\n");
    if !text.contains("30 90") {
        master.type_in("\n");
        running.finish();
        let bundle = with_terminal(
            cx,
            &["sh", "-c", "while [ \"$(stty size)\" != '30 90' ]; do sleep 0.01; done; echo fits"],
        );
        let (mut master, _slave, running) = foreground(cx, &bundle);
        master.expect("fits");
        running.finish().ok_status();
        return Ok(());
    }
    master.type_in("\n");
    running.finish().ok_status();
    Ok(())
}

fn foreground_terminal_follows_resizes(cx: &Context) -> Done {
    let script = "echo ready; while [ \"$(stty size)\" != '41 123' ]; do sleep 0.01; done; echo fits";
    let bundle = with_terminal(cx, &["sh", "-c", script]);
    let (mut master, _slave, running) = foreground(cx, &bundle);
    master.expect("ready");
    master.resize(123, 41);
    master.expect("fits");
    assert_eq!(running.finish().code, Some(0));
    Ok(())
}

fn foreground_terminal_is_restored(cx: &Context) -> Done {
    let bundle = with_terminal(cx, &["sh", "-c", "echo ready; read x"]);
    bundle.write();
    let (mut master, slave) = Terminal::pair();
    let before = termios::tcgetattr(&slave).expect("tcgetattr");
    let running = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).terminal(&slave).spawn();
    master.expect("ready");
    host::wait_for("raw mode", || {
        let now = termios::tcgetattr(&slave).expect("tcgetattr");
        (!now.local_flags.contains(termios::LocalFlags::ICANON)).then_some(())
    });
    master.type_in("\n");
    running.finish();
    let after = termios::tcgetattr(&slave).expect("tcgetattr");
    assert_eq!(after.local_flags, before.local_flags);
    assert_eq!(after.input_flags, before.input_flags);
    assert_eq!(after.output_flags, before.output_flags);
    Ok(())
}

fn foreground_terminal_passes_control_c(cx: &Context) -> Done {
    let script = "trap 'echo caught; exit 8' INT; echo ready; while :; do sleep 0.01; done";
    let bundle = with_terminal(cx, &["sh", "-c", script]);
    let (mut master, _slave, running) = foreground(cx, &bundle);
    master.expect("ready");
    master.type_in("\x03");
    master.expect("caught");
    assert_eq!(running.finish().code, Some(8));
    Ok(())
}

fn exec_terminal_in_the_foreground(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    for option in ["-t", "--tty"] {
        let (mut master, slave) = Terminal::pair();
        let command = ["sh", "-c", "/probe tty; read x; exit 6"];
        let running = container.exec_call(&[option], &command).terminal(&slave).spawn();
        let text = master.expect("controlling=").replace('\r', "");
        assert_eq!(lines(&text)["controlling"], "true", "{text}");
        master.type_in("\n");
        assert_eq!(running.finish().code, Some(6));
    }
    Ok(())
}

fn exec_terminal_through_a_console_socket(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let socket = ConsoleSocket::new(cx);
    let path = socket.path().display().to_string();
    let options = ["-t", "--detach", "--console-socket", &path];
    let running =
        container.exec_call(&options, &["sh", "-c", "read x; echo got-$x; /probe tty"]).spawn();
    let mut received = socket.receive();
    running.finish().ok();
    received.master.type_in("word\n");
    let text = received.master.expect("controlling=");
    assert!(text.contains("got-word") && text.contains("controlling=true"), "{text}");
    Ok(())
}

fn exec_process_file_decides_about_the_terminal(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let file = cx.fresh_path("process");
    let process = json!({
        "terminal": true, "consoleSize": {"width": 66, "height": 22}, "cwd": "/",
        "args": ["/probe", "tty"], "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0},
    });
    std::fs::write(&file, process.to_string()).expect("write");
    let socket = ConsoleSocket::new(cx);
    let running = cx
        .call(&["exec", "--detach", "--console-socket"])
        .arg(socket.path())
        .arg("--process")
        .arg(&file)
        .arg(&container.id)
        .spawn();
    let mut received = socket.receive();
    running.finish().ok();
    let text = received.master.expect("controlling=").replace('\r', "");
    assert_eq!(lines(&text)["fd0"], "66x22", "{text}");
    Ok(())
}

fn console_socket_that_cannot_be_used(cx: &Context) -> Done {
    let bundle = with_terminal(cx, &["true"]);
    bundle.write();
    let file = cx.fresh_path("file");
    std::fs::write(&file, "").expect("write");
    let fifo = cx.fresh_path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
    for path in [file, fifo, cx.fresh_path("missing"), cx.scratch().to_owned()] {
        let out = cx
            .call(&["create", "--console-socket"])
            .arg(&path)
            .arg("-b")
            .arg(bundle.dir())
            .arg(cx.id())
            .run();
        out.refused();
        assert!(crate::guard::state_entries(&cx.state_root()).is_empty(), "{out}");
    }
    Ok(())
}

fn detached_run_with_terminal_needs_a_socket(cx: &Context) -> Done {
    let bundle = with_terminal(cx, &["true"]);
    bundle.write();
    let out = cx.call(&["run", "-d", "-b"]).arg(bundle.dir()).arg(cx.id()).run();
    out.refused_with("without setting console socket");
    Ok(())
}

fn consolesize_without_terminal_is_ignored(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/process/consoleSize", json!({"width": 66, "height": 22}));
    cx.run(&bundle).ok();
    Ok(())
}
