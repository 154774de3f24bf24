//! Devices: nodes, symlinks, and which of them may be opened.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use serde_json::{Value, json};

use crate::case::Done;
use crate::context::Context;
use crate::{cgroup, tests};

tests![
    d1_listed_devices_are_made,
    d1_devices_outside_dev,
    d1_devices_in_a_user_namespace_are_the_hosts,
    stricter d2_existing_node_of_another_kind_is_refused,
    d3_default_devices,
    r13_default_symlinks,
    d3_no_console_without_terminal,
    d5_unlisted_devices_cannot_be_opened,
    d5_allowed_devices_can_be_opened,
    d5_rules_apply_in_order,
    d5_rules_of_the_cgroup_are_readable,
    d5_exec_is_bound_by_the_rules,
    stricter d5_bad_rules_are_refused,
    stricter bad_devices_are_refused,
    dev_may_be_a_bind_mount,
];

fn d1_listed_devices_are_made(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set(
        "/linux/devices",
        json!([
            {"path": "/dev/mychar", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 5, "gid": 6},
            {"path": "/dev/myblock", "type": "b", "major": 8, "minor": 3, "fileMode": 0o600},
            {"path": "/dev/mypipe", "type": "p", "fileMode": 0o622, "uid": 7},
            {"path": "/dev/sub/dir/u", "type": "u", "major": 1, "minor": 3},
        ]),
    );
    bundle.shell(
        "umask; stat -c '%n %F %t:%T %a %u:%g' /dev/mychar /dev/myblock /dev/mypipe /dev/sub/dir/u",
    );
    let text = cx.run(&bundle).ok();
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(rows[0], "/dev/mychar character special file a:e5 640 5:6");
    assert_eq!(rows[1], "/dev/myblock block special file 8:3 600 0:0");
    assert!(rows[2].starts_with("/dev/mypipe fifo") && rows[2].ends_with("622 7:0"), "{}", rows[2]);
    assert!(rows[3].starts_with("/dev/sub/dir/u character special file 1:3"), "{}", rows[3]);
    Ok(())
}

fn d1_devices_outside_dev(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let node = json!({"path": "/opt/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666});
    bundle.set("/linux/devices", json!([node]));
    assert_eq!(cx.run_ok(&mut bundle, &["stat", "-c", "%t:%T", "/opt/null"]), "1:3");
    Ok(())
}

fn d1_devices_in_a_user_namespace_are_the_hosts(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.user_namespace();
    bundle.shell("stat -c '%n %t:%T' /dev/null /dev/zero /dev/tty; echo x >/dev/null && head -c 3 /dev/zero | wc -c");
    let text = cx.run(&bundle).ok();
    assert_eq!(text, "/dev/null 1:3\n/dev/zero 1:5\n/dev/tty 5:0\n3");
    Ok(())
}

fn d2_existing_node_of_another_kind_is_refused(cx: &Context) -> Done {
    for (kind, major, minor) in [("c", 1, 5), ("b", 1, 3)] {
        let mut bundle = cx.bundle();
        bundle.set(
            "/linux/devices",
            json!([{"path": "/odd", "type": kind, "major": major, "minor": minor}]),
        );
        let (flag, mode) = (nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::S_IRWXU);
        let device = nix::sys::stat::makedev(1, 3);
        nix::sys::stat::mknod(&bundle.inside("/odd"), flag, mode, device).expect("mknod");
        cx.run(&bundle).refused_with("/odd");
        let meta = fs::metadata(bundle.inside("/odd")).expect("still there");
        assert!(meta.file_type().is_char_device() && meta.rdev() == device);
    }
    Ok(())
}

fn d3_default_devices(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let text = cx.run_ok(
        &mut bundle,
        &["stat", "-c", "%n %t:%T %a %u:%g", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"],
    );
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(
        rows,
        [
            "/dev/null 1:3 666 0:0",
            "/dev/zero 1:5 666 0:0",
            "/dev/full 1:7 666 0:0",
            "/dev/random 1:8 666 0:0",
            "/dev/urandom 1:9 666 0:0",
            "/dev/tty 5:0 666 0:0"
        ]
    );
    Ok(())
}

fn r13_default_symlinks(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    let links = "for l in fd stdin stdout stderr ptmx; do echo $l=$(readlink /dev/$l); done";
    let seen = crate::inside::lines(&cx.run_ok(&mut bundle, &["sh", "-c", links]));
    assert_eq!(seen["fd"], "/proc/self/fd");
    assert_eq!(seen["stdin"], "/proc/self/fd/0");
    assert_eq!(seen["stdout"], "/proc/self/fd/1");
    assert_eq!(seen["stderr"], "/proc/self/fd/2");
    assert_eq!(seen["ptmx"], "pts/ptmx");
    assert_eq!(cx.run_ok(&mut bundle, &["sh", "-c", "echo x >/dev/stdout"]), "x");
    Ok(())
}

fn d3_no_console_without_terminal(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    assert_eq!(cx.run_ok(&mut bundle, &["sh", "-c", "test -c /dev/console || echo none"]), "none");
    Ok(())
}

/// Makes a node without a driver behind it and opens it: `errno 1` where the
/// rules of the container forbid it, `errno 6` where nothing but the driver is
/// missing.
const OPEN_NODE: &str = "mknod /tmp/node c 242 7; /probe open /tmp/node r";
const DENIED: &str = "errno 1";
const ALLOWED: &str = "errno 6";

fn opened(cx: &Context, rules: Value) -> String {
    let mut bundle = cx.bundle();
    bundle.with_probe().set("/linux/resources/devices", rules);
    cx.run_ok(&mut bundle, &["sh", "-c", OPEN_NODE])
}

fn d5_unlisted_devices_cannot_be_opened(cx: &Context) -> Done {
    assert_eq!(opened(cx, json!([{"allow": false, "access": "rwm"}])), DENIED);
    // Making a node is allowed by default, what counts is the opening.
    let mut bundle = cx.bundle();
    bundle.with_probe();
    let script = "for d in null zero full random urandom tty ptmx; do /probe open /dev/$d r; done";
    let text = cx.run_ok(&mut bundle, &["sh", "-c", script]);
    let rows: Vec<&str> = text.lines().collect();
    // Without a controlling terminal there is nothing behind /dev/tty.
    assert_eq!(rows, ["ok", "ok", "ok", "ok", "ok", "errno 6", "ok"]);
    Ok(())
}

fn d5_allowed_devices_can_be_opened(cx: &Context) -> Done {
    let deny = json!({"allow": false, "access": "rwm"});
    let table = [
        (json!({"allow": true, "type": "c", "major": 242, "minor": 7, "access": "r"}), ALLOWED),
        (json!({"allow": true, "type": "c", "major": 242, "minor": 7, "access": "w"}), DENIED),
        (json!({"allow": true, "type": "c", "major": 242, "access": "rwm"}), ALLOWED),
        (json!({"allow": true, "type": "c", "access": "rw"}), ALLOWED),
        (json!({"allow": true, "type": "b", "major": 242, "minor": 7, "access": "rwm"}), DENIED),
        (json!({"allow": true, "type": "c", "major": 242, "minor": 8, "access": "rwm"}), DENIED),
    ];
    for (rule, expected) in table {
        assert_eq!(opened(cx, json!([deny, rule])), expected, "{rule}");
    }
    Ok(())
}

fn d5_rules_apply_in_order(cx: &Context) -> Done {
    let deny_all = json!({"allow": false, "access": "rwm"});
    let allow = json!({"allow": true, "type": "c", "major": 242, "minor": 7, "access": "rwm"});
    let deny = json!({"allow": false, "type": "c", "major": 242, "minor": 7, "access": "rwm"});
    assert_eq!(opened(cx, json!([deny_all, allow, deny])), DENIED);
    assert_eq!(opened(cx, json!([deny_all, deny, allow])), ALLOWED);
    assert_eq!(opened(cx, json!([allow, deny_all])), DENIED);
    Ok(())
}

fn d5_rules_of_the_cgroup_are_readable(cx: &Context) -> Done {
    cx.need(cx.cgroups.v1.contains_key("devices"), "device rules are a program on cgroup v2")?;
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]);
    bundle.push("/linux/resources/devices", json!({"allow": true, "type": "b", "major": 7, "access": "r"}));
    let _container = cx.start(&bundle);
    let list = fs::read_to_string(cgroup::dir(cx, "devices", &bundle.cgroup()).join("devices.list"));
    let list = list.expect("devices.list");
    assert!(list.lines().any(|l| l == "b 7:* r"), "{list}");
    assert!(list.lines().any(|l| l == "c 1:3 rwm"), "{list}");
    assert!(!list.lines().any(|l| l.starts_with('a')), "{list}");
    Ok(())
}

fn d5_exec_is_bound_by_the_rules(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    assert_eq!(container.exec(&["sh", "-c", OPEN_NODE]), DENIED);
    Ok(())
}

fn d5_bad_rules_are_refused(cx: &Context) -> Done {
    let table = [
        json!({"allow": false, "access": "xyz"}),
        json!({"allow": true, "type": "q", "major": 1, "minor": 1, "access": "r"}),
        json!({"allow": "yes", "access": "rwm"}),
        json!({"allow": true, "type": "c", "major": "one", "access": "r"}),
        json!({"allow": true, "type": "c", "major": 99_999_999_999_u64, "minor": 1, "access": "r"}),
    ];
    for rule in table {
        let mut bundle = cx.bundle();
        bundle.push("/linux/resources/devices", rule.clone());
        let out = cx.run(&bundle);
        assert_eq!(out.code, Some(1), "{rule}: {out}");
    }
    Ok(())
}

fn bad_devices_are_refused(cx: &Context) -> Done {
    let table = [
        json!({"path": "/dev/x", "type": "q", "major": 1, "minor": 1}),
        json!({"path": "", "type": "c", "major": 1, "minor": 1}),
        json!({"type": "c", "major": 1, "minor": 1}),
        json!({"path": "/dev/x", "type": "c", "major": "x", "minor": 1}),
        json!("/dev/null"),
    ];
    for device in table {
        let mut bundle = cx.bundle();
        bundle.set("/linux/devices", json!([device]));
        let out = cx.run(&bundle);
        assert_eq!(out.code, Some(1), "{device}: {out}");
    }
    Ok(())
}

fn dev_may_be_a_bind_mount(cx: &Context) -> Done {
    let dir = cx.fresh_dir("dev");
    fs::create_dir(dir.join("pts")).expect("mkdir");
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
    let null = nix::sys::stat::makedev(1, 3);
    nix::sys::stat::mknod(&dir.join("null"), nix::sys::stat::SFlag::S_IFCHR, mode, null)
        .expect("mknod");
    let mut bundle = cx.bundle();
    for target in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle.unmount(target);
    }
    bundle.bind(&dir, "/dev", &["rbind"]);
    cx.run_ok(&mut bundle, &["ls", "/dev"]);
    assert!(!dir.join("zero").exists(), "somebody else's /dev is left as it is");
    Ok(())
}
