//! Input that is wrong: a clear error, status 1, nothing created, no panic and
//! no hang.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::case::Done;
use crate::context::Context;
use crate::{guard, tests};

tests![
    bad_ids_are_refused_by_every_command,
    stricter bad_json_is_refused,
    wrong_types_are_refused,
    stricter c10_wrong_types_anywhere_are_refused,
    c9_unknown_properties_are_ignored,
    stricter c1_unsupported_versions_are_refused,
    stricter nul_bytes_are_refused,
    stricter numbers_out_of_range_are_refused,
    stricter all_problems_come_at_once_with_pointers,
    stricter missing_parts_are_named,
    stricter c7_empty_annotation_key_is_refused,
    config_as_something_else_than_a_file,
    huge_config,
    deep_nesting,
    pid_file_and_log_that_cannot_be_written,
    stricter unknown_state_contents,
    stricter broken_state_is_cleaned_by_delete_force,
    state_root_that_is_a_file,
    options_without_values,
];

fn bad_ids_are_refused_by_every_command(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    let long = "x".repeat(5000);
    let ids =
        ["", ".", "..", "../x", "a/b", "/abs", "new\nline", "sp ace", "ä", "a*b", "a:b", "a\\b", "a;b", &long];
    for id in ids {
        for verb in ["create", "run"] {
            let out = cx.call(&[verb, "-b"]).arg(bundle.dir()).arg(id).run();
            assert_eq!(out.code, Some(1), "{verb} {id:?}: {out}");
        }
        for verb in ["start", "state", "kill", "delete", "pause", "resume", "ps"] {
            let out = cx.call(&[verb, id]).run();
            assert_eq!(out.code, Some(1), "{verb} {id:?}: {out}");
        }
    }
    for id in ["--", "-x", "--help"] {
        let out = cx.call(&["create", "-b"]).arg(bundle.dir()).args(&["--", id]).run();
        // A leading dash is a legal character behind `--`.
        if out.code == Some(0) {
            cx.call(&["delete", "--force", "--", id]).run().ok();
        }
    }
    for id in [".hidden", "A_b+c.d-e", "0", &"y".repeat(200)] {
        let id = format!("{}{id}", cx.token());
        cx.call(&["create", "-b"]).arg(bundle.dir()).arg(&id).run().ok();
        cx.call(&["delete", "--force", &id]).run().ok();
    }
    assert!(guard::state_entries(&cx.state_root()).is_empty());
    Ok(())
}

fn refuse(cx: &Context, what: &str, out: &crate::runtime::Output) -> String {
    assert_eq!(out.code, Some(1), "{what}: {out}");
    assert!(!out.stderr.trim().is_empty(), "{what} says nothing: {out}");
    assert!(guard::state_entries(&cx.state_root()).is_empty(), "{what} left state");
    let left = guard::cgroups_named(cx.token());
    assert!(left.is_empty(), "{what} left {left:?}");
    out.stderr.clone()
}

fn bad_json_is_refused(cx: &Context) -> Done {
    let bundle = cx.bundle();
    let good = bundle.config.to_string();
    let table = [
        String::new(),
        " ".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "{".to_owned(),
        "\"text\"".to_owned(),
        "\u{feff}{}".to_owned(),
        good[..good.len() / 2].to_owned(),
        format!("{good}{good}"),
        format!("{good} trailing"),
        good.replacen("true", "\u{1}", 1),
    ];
    for text in table {
        bundle.write_text(&text);
        let out = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).run();
        refuse(cx, &text.chars().take(40).collect::<String>(), &out);
    }
    fs::write(bundle.dir().join("config.json"), b"{\"ociVersion\": \"1.0\xff\"}").expect("write");
    let out = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).run();
    refuse(cx, "invalid UTF-8", &out);
    Ok(())
}

fn wrong(cx: &Context, table: &[(&str, Value)]) {
    for (pointer, value) in table {
        let mut bundle = cx.bundle();
        bundle.set(pointer, value.clone());
        let out = cx.run(&bundle);
        refuse(cx, &format!("{pointer} = {value}"), &out);
    }
}

fn wrong_types_are_refused(cx: &Context) -> Done {
    wrong(
        cx,
        &[
            ("/hostname", json!(5)),
            ("/process", json!([])),
            ("/process/args", json!("true")),
            ("/process/args", json!([1])),
            ("/process/env", json!({})),
            ("/process/terminal", json!("yes")),
            ("/process/user", json!("root")),
            ("/process/user/uid", json!("0")),
            ("/process/user/uid", json!(-1)),
            ("/process/user/gid", json!(1.5)),
            ("/process/rlimits", json!({})),
            ("/root", json!("rootfs")),
            ("/root/readonly", json!("no")),
            ("/mounts", json!({})),
            ("/mounts", json!(["proc"])),
            ("/linux", json!([])),
            ("/linux/namespaces", json!({})),
            ("/linux/uidMappings", json!("0")),
            ("/linux/maskedPaths", json!("/proc")),
            ("/linux/sysctl", json!([])),
            ("/linux/resources/memory/limit", json!("1g")),
            ("/hooks", json!([])),
            ("/hooks/prestart", json!({})),
        ],
    );
    Ok(())
}

fn c10_wrong_types_anywhere_are_refused(cx: &Context) -> Done {
    wrong(
        cx,
        &[
            ("/ociVersion", json!(1)),
            ("/annotations", json!({"a": 1})),
            ("/annotations", json!([])),
            ("/process/cwd", json!(["/"])),
            ("/process/args", json!([])),
            ("/process/capabilities", json!(["CAP_KILL"])),
            ("/process/noNewPrivileges", json!(1)),
            ("/mounts/0/destination", json!(7)),
            ("/mounts/0/options", json!("ro")),
            ("/linux/cgroupsPath", json!(7)),
            ("/linux/rootfsPropagation", json!(["private"])),
            ("/linux/seccomp", json!("default")),
            ("/linux/devices", json!({"a": 1})),
            ("/linux/sysctl", json!({"net.ipv4.ip_forward": 1})),
        ],
    );
    Ok(())
}

fn c9_unknown_properties_are_ignored(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle
        .set("/x-vendor", json!({"any": ["thing"]}))
        .set("/process/newThing", json!(1))
        .set("/linux/later", json!({"a": null}))
        .set("/mounts/0/hint", json!("x"))
        .set("/windows", json!({"layerFolders": ["x"]}))
        .set("/solaris", json!({"milestone": "x"}))
        .set("/vm", json!({"kernel": {"path": "/x"}}))
        .set("/zos", json!({}))
        .set("/process/commandLine", json!("windows only"));
    assert_eq!(cx.run_ok(&mut bundle, &["echo", "runs"]), "runs");
    Ok(())
}

fn c1_unsupported_versions_are_refused(cx: &Context) -> Done {
    for version in ["junk", "9.9.9", "2.0.0", "0.9.0", "", "1", "1.0", "1.0.0.0", "v1.0.0"] {
        let mut bundle = cx.bundle();
        bundle.set("/ociVersion", json!(version));
        let text = refuse(cx, version, &cx.run(&bundle));
        assert!(text.contains("ociVersion"), "{text}");
    }
    for version in ["1.0.0", "1.0.2-dev", "1.2.1", "1.3.0", "1.3.0+dev"] {
        let mut bundle = cx.bundle();
        bundle.set("/ociVersion", json!(version));
        cx.run(&bundle).ok();
    }
    Ok(())
}

fn nul_bytes_are_refused(cx: &Context) -> Done {
    let nul = "a\0b";
    wrong(
        cx,
        &[
            ("/process/args", json!(["true", nul])),
            ("/process/args", json!(["tr\0ue"])),
            ("/process/env", json!(["PATH=/bin", "A=x\0y"])),
            ("/process/cwd", json!("/\0")),
            ("/hostname", json!(nul)),
            ("/root/path", json!("rootfs\0x")),
            ("/mounts/0/destination", json!("/proc\0x")),
            ("/mounts/0/source", json!(nul)),
            ("/mounts/0/options", json!([nul])),
            ("/linux/cgroupsPath", json!("/husk-test/x\0y")),
            ("/linux/maskedPaths", json!(["/proc/\0"])),
            ("/linux/readonlyPaths", json!([nul])),
            ("/linux/namespaces", json!([{"type": "network", "path": "/proc/self/ns/net\0"}])),
            ("/hooks/createRuntime", json!([{"path": "/bin/true\0"}])),
        ],
    );
    Ok(())
}

fn numbers_out_of_range_are_refused(cx: &Context) -> Done {
    let big = 4_294_967_296_u64;
    wrong(
        cx,
        &[
            ("/process/user", json!({"uid": big, "gid": 0})),
            ("/process/user", json!({"uid": big - 1, "gid": 0})),
            ("/process/user", json!({"uid": 0, "gid": big})),
            ("/process/user", json!({"uid": 0, "gid": big - 1})),
            ("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [big]})),
            ("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [big - 1]})),
            ("/process/user", json!({"uid": 0, "gid": 0, "umask": 0o10000})),
            ("/process/user", json!({"uid": 1e3, "gid": 0.5})),
            ("/process/oomScoreAdj", json!(100_000)),
            ("/process/oomScoreAdj", json!(-100_000)),
            ("/process/consoleSize", json!({"width": -1, "height": 5})),
            ("/linux/resources/pids", json!({"limit": 1e30})),
        ],
    );
    Ok(())
}

fn all_problems_come_at_once_with_pointers(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle
        .set("/process/cwd", json!("relative"))
        .push("/process/env", json!("NOEQUALS"))
        .set("/linux/rootfsPropagation", json!("nonsense"))
        .push("/linux/namespaces", json!({"type": "pid"}));
    let text = refuse(cx, "four problems", &cx.run(&bundle));
    let last = bundle.config["linux"]["namespaces"].as_array().map_or(0, Vec::len) - 1;
    for pointer in [
        "/process/cwd".to_owned(),
        "/process/env/1".to_owned(),
        "/linux/rootfsPropagation".to_owned(),
        format!("/linux/namespaces/{last}"),
    ] {
        assert!(text.contains(&pointer), "no {pointer}: {text}");
    }
    Ok(())
}

fn missing_parts_are_named(cx: &Context) -> Done {
    for pointer in ["/ociVersion", "/root", "/root/path", "/process/cwd", "/process/args", "/mounts/0/destination"] {
        let mut bundle = cx.bundle();
        bundle.remove(pointer);
        let text = refuse(cx, pointer, &cx.run(&bundle));
        let name = pointer.rsplit('/').next().unwrap();
        assert!(text.contains(name), "{pointer}: {text}");
    }
    Ok(())
}

fn c7_empty_annotation_key_is_refused(cx: &Context) -> Done {
    wrong(cx, &[("/annotations", json!({"": "x"}))]);
    Ok(())
}

fn config_as_something_else_than_a_file(cx: &Context) -> Done {
    let bundle = cx.bundle();
    let path = bundle.dir().join("config.json");
    fs::create_dir(&path).expect("mkdir");
    let out = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).run();
    refuse(cx, "a directory", &out);
    fs::remove_dir(&path).expect("rmdir");
    if !crate::host::is_peer() {
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
        let out = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).run();
        refuse(cx, "a fifo", &out);
        fs::remove_file(&path).expect("remove");
        std::os::unix::fs::symlink("/dev/zero", &path).expect("symlink");
        let out = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).run();
        refuse(cx, "an endless device", &out);
    }
    Ok(())
}

fn huge_config(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/x-blob", json!("y".repeat(30_000_000)));
    let out = cx.run(&bundle);
    assert!(matches!(out.code, Some(0 | 1)), "{out}");
    Ok(())
}

fn deep_nesting(cx: &Context) -> Done {
    let bundle = cx.bundle();
    let depth = if crate::host::is_peer() { 5_000 } else { 200_000 };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let text = bundle.config.to_string();
        bundle.write_text(&format!("{{\"x\": {nested}, {}", &text[1..]));
        let out = cx.call(&["run", "-b"]).arg(bundle.dir()).arg(cx.id()).run();
        assert!(matches!(out.code, Some(0 | 1)), "{out}");
    }
    Ok(())
}

fn pid_file_and_log_that_cannot_be_written(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    for path in ["/does/not/exist/pid", "/proc/pid", "/"] {
        let out = cx.call(&["create", "--pid-file", path, "-b"]).arg(bundle.dir()).arg(cx.id()).run();
        refuse(cx, path, &out);
    }
    // Where the log cannot be written, the error still reaches somebody.
    for path in ["/does/not/exist/log", "/", "/proc/log"] {
        let out = cx.call(&["--log", path, "--log-format=json", "state", "nobody"]).run();
        assert!(refuse(cx, path, &out).len() > 10, "{out}");
    }
    Ok(())
}

fn unknown_state_contents(cx: &Context) -> Done {
    let id = cx.id();
    let dir = cx.state_root().join(&id);
    for content in [None, Some(""), Some("{"), Some("null"), Some("{\"id\": 5}"), Some("[]")] {
        fs::create_dir(&dir).expect("a foreign directory");
        if let Some(text) = content {
            fs::write(dir.join("state.json"), text).expect("write");
        }
        for verb in ["state", "start", "pause", "kill"] {
            let out = cx.call(&[verb, &id]).run();
            assert_eq!(out.code, Some(1), "{verb} with {content:?}: {out}");
        }
        fs::remove_dir_all(&dir).expect("remove");
    }
    Ok(())
}

fn broken_state_is_cleaned_by_delete_force(cx: &Context) -> Done {
    for content in ["", "{", "null", "CUT"] {
        let container = cx.sleeper();
        let dir = cx.state_root().join(&container.id);
        for entry in fs::read_dir(&dir).expect("list").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("state") {
                let old = fs::read(entry.path()).expect("read");
                let new = if content == "CUT" { old[..old.len() / 2].to_vec() } else { content.into() };
                fs::write(entry.path(), new).expect("write");
            }
        }
        cx.call(&["delete", "--force", &container.id]).run().ok();
        assert!(!dir.exists(), "{content:?}");
        let left = guard::cgroups_named(&container.id);
        assert!(left.is_empty(), "{content:?}: {left:?}");
        crate::host::wait_for("the end of its process", || crate::reaper::ended(container.pid));
    }
    Ok(())
}

fn state_root_that_is_a_file(cx: &Context) -> Done {
    let bundle = cx.bundle();
    bundle.write();
    for root in ["/dev/null", "/proc/self", "/proc/1/mem"] {
        if !Path::new(root).exists() {
            continue;
        }
        let out = crate::runtime::Call::bare(cx)
            .args(&["--root", root, "create", "-b"])
            .arg(bundle.dir())
            .arg(cx.id())
            .run();
        refuse(cx, root, &out);
    }
    Ok(())
}

fn options_without_values(cx: &Context) -> Done {
    let table: &[&[&str]] = &[
        &["--root"],
        &["--log"],
        &["create", "--bundle"],
        &["create", "--pid-file"],
        &["create", "--console-socket"],
        &["exec", "--process"],
        &["list", "--format"],
    ];
    for args in table {
        let out = crate::runtime::Call::bare(cx).args(args).run();
        assert!(!matches!(out.code, Some(0) | None), "{out}");
        let said = format!("{}{}", out.stdout, out.stderr);
        assert!(
            said.contains("flag needs an argument") || said.contains("requires an argument"),
            "{out}"
        );
    }
    Ok(())
}
