//! `list` and `ps`.

use std::fs;

use serde_json::{Value, json};

use crate::case::Done;
use crate::context::Context;
use crate::runtime::Call;
use crate::tests;

tests![
    list_table_has_six_columns,
    list_json_is_one_line,
    list_quiet_prints_ids,
    list_of_nothing,
    stricter list_skips_a_broken_one_and_says_so,
    stricter list_of_a_missing_explicit_root_is_an_error,
    ps_json_gives_host_pids,
    ps_table_shows_only_the_container,
    ps_of_a_stopped_one_is_null,
    ps_of_an_unknown_one_is_an_error,
    ps_sees_descendants_and_execs,
];

fn list_table_has_six_columns(cx: &Context) -> Done {
    let empty = cx.call(&["list"]).run().ok();
    let words: Vec<&str> = empty.split_whitespace().collect();
    assert_eq!(words, ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    let container = cx.sleeper();
    let text = cx.call(&["list", "--format", "table"]).run().ok();
    let row: Vec<&str> = text.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(row[0], container.id);
    assert_eq!(row[1], container.pid.to_string());
    assert_eq!(row[2], "running");
    assert_eq!(row[5], "root");
    Ok(())
}

fn list_json_is_one_line(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]).set("/annotations", json!({"k": "v"}));
    let container = cx.start(&bundle);
    let second = cx.create(&bundle.twin(cx));
    let text = cx.call(&["list", "-f", "json"]).run().ok();
    assert_eq!(text.lines().count(), 1, "{text}");
    let all: Vec<Value> = serde_json::from_str(&text).expect("an array");
    assert_eq!(all.len(), 2);
    let first = all.iter().find(|c| c["id"] == json!(container.id)).expect("the first");
    assert_eq!(first["status"], "running");
    assert_eq!(first["pid"], container.pid);
    assert_eq!(first["owner"], "root");
    assert_eq!(first["annotations"], json!({"k": "v"}));
    let other = all.iter().find(|c| c["id"] == json!(second.id)).expect("the second");
    assert_eq!(other["status"], "created");
    Ok(())
}

fn list_quiet_prints_ids(cx: &Context) -> Done {
    let (a, b) = (cx.sleeper(), cx.sleeper());
    for option in ["-q", "--quiet"] {
        let text = cx.call(&["list", option]).run().ok();
        let mut ids: Vec<&str> = text.lines().collect();
        ids.sort_unstable();
        let mut expected = [a.id.as_str(), b.id.as_str()];
        expected.sort_unstable();
        assert_eq!(ids, expected);
    }
    Ok(())
}

fn list_of_nothing(cx: &Context) -> Done {
    assert_eq!(cx.call(&["list", "-f", "json"]).run().ok(), "null");
    assert_eq!(cx.call(&["list", "-q"]).run().ok(), "");
    cx.call(&["list", "-f", "xml"]).run().refused();
    Ok(())
}

fn list_skips_a_broken_one_and_says_so(cx: &Context) -> Done {
    let container = cx.sleeper();
    let broken = cx.state_root().join(format!("{}broken", cx.token()));
    fs::create_dir(&broken).expect("a half-made container");
    fs::write(broken.join("state.json"), "{").expect("a broken state");
    let out = cx.call(&["list", "-q"]).run();
    assert_eq!(out.ok(), container.id);
    assert!(out.stderr.contains("broken"), "{out}");
    let id = broken.file_name().expect("a name").to_string_lossy().into_owned();
    cx.call(&["delete", "--force", &id]).run().ok();
    assert!(!broken.exists(), "delete --force removes a broken one");
    Ok(())
}

fn list_of_a_missing_explicit_root_is_an_error(cx: &Context) -> Done {
    Call::bare(cx).arg("--root").arg(cx.fresh_path("no")).arg("list").run().refused();
    Ok(())
}

fn ps_json_gives_host_pids(cx: &Context) -> Done {
    let container = cx.sleeper();
    let text = cx.call(&["ps", "--format", "json", &container.id]).run().ok();
    assert_eq!(text, format!("[{}]", container.pid));
    assert_eq!(cx.call(&["ps", "-f=json", &container.id]).run().ok(), text);
    Ok(())
}

fn ps_table_shows_only_the_container(cx: &Context) -> Done {
    cx.need(std::path::Path::new("/bin/ps").exists(), "no ps program on this machine")?;
    let container = cx.sleeper();
    let text = container.verb(&["ps"]).ok();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("PID") && lines[0].contains("CMD"), "{text}");
    assert!(lines[1].contains(&container.pid.to_string()) && lines[1].contains("sleep"), "{text}");
    let text = cx.call(&["ps", &container.id, "-o", "pid,comm"]).run().ok();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words, ["PID", "COMMAND", &container.pid.to_string(), "sleep"]);
    Ok(())
}

fn ps_of_a_stopped_one_is_null(cx: &Context) -> Done {
    let container = cx.sleeper();
    container.kill("9");
    container.wait_status("stopped");
    assert_eq!(cx.call(&["ps", "-f", "json", &container.id]).run().ok(), "null");
    Ok(())
}

fn ps_of_an_unknown_one_is_an_error(cx: &Context) -> Done {
    cx.call(&["ps", "-f", "json", "nobody"]).run().refused_with("does not exist");
    Ok(())
}

fn ps_sees_descendants_and_execs(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.shell("sleep 1000 & echo up; wait");
    let container = cx.start(&bundle);
    container.wait_output("up");
    let pid_file = cx.fresh_path("pid");
    let options = ["--detach", "--pid-file", &pid_file.display().to_string()];
    container.exec_call(&options, &["sleep", "1000"]).run().ok();
    let exec_pid: i32 = fs::read_to_string(pid_file).expect("pid").parse().expect("a number");
    let text = cx.call(&["ps", "-f", "json", &container.id]).run().ok();
    let pids: Vec<i32> = serde_json::from_str(&text).expect("numbers");
    assert_eq!(pids.len(), 3, "{pids:?}");
    assert!(pids.contains(&container.pid) && pids.contains(&exec_pid), "{pids:?}");
    Ok(())
}
