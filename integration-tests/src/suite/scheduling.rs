//! How the kernel serves the program: policy, priorities, CPUs of an exec, memory policy; and
//! that a value which means nothing is refused.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::case::Done;
use crate::context::Context;
use crate::inside::Status;
use crate::tests;

tests![
    stricter p17_scheduler_of_an_exec,
    stricter p17_scheduler_values_without_meaning_are_refused,
    stricter p19_cpus_of_an_exec,
    stricter p19_lists_that_are_none_are_refused,
    stricter s7_memory_policy,
    stricter s7_memory_policy_that_cannot_be_is_refused,
    stricter a_property_that_cannot_be_honoured_is_refused,
];

/// The policy and the nice value in a line of `/proc/PID/stat`.
fn policy_and_nice(stat: &str) -> (String, String) {
    let words: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    (words[38].to_owned(), words[16].to_owned())
}

fn p17_scheduler_of_an_exec(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 3}));
    let container = cx.start(bundle.args(&["sleep", "1000"]));
    let own = container.exec(&["cat", "/proc/self/stat"]);
    assert_eq!(policy_and_nice(&own), ("3".into(), "3".into()), "as the container's own: {own}");
    let file = cx.fresh_path("process");
    let process = json!({
        "args": ["/bin/cat", "/proc/self/stat"], "cwd": "/",
        "scheduler": {"policy": "SCHED_IDLE", "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
    });
    fs::write(&file, process.to_string()).expect("write");
    let text = cx.call(&["exec", "-p"]).arg(&file).arg(&container.id).run().ok();
    assert_eq!(policy_and_nice(&text), ("5".into(), "0".into()), "{text}");
    Ok(())
}

fn p17_scheduler_values_without_meaning_are_refused(cx: &Context) -> Done {
    for (scheduler, pointer) in [
        (json!({"policy": "SCHED_OTHER", "nice": 20}), "/process/scheduler/nice"),
        (json!({"policy": "SCHED_OTHER", "priority": 1}), "/process/scheduler/priority"),
        (json!({"policy": "SCHED_FIFO", "priority": 100}), "/process/scheduler/priority"),
        (json!({"policy": "SCHED_RR", "priority": 1, "runtime": 5}), "/process/scheduler/runtime"),
        (json!({"policy": "SCHED_DEADLINE"}), "/process/scheduler/runtime"),
        (json!({"policy": "SCHED_OTHER", "flags": ["X"]}), "/process/scheduler/flags/0"),
        (json!({}), "/process/scheduler/policy"),
    ] {
        let mut bundle = cx.bundle();
        bundle.set("/process/scheduler", scheduler);
        let text = cx.run(&bundle).refused();
        assert!(text.contains(pointer), "{pointer}: {text}");
    }
    Ok(())
}

fn cpus(text: &str) -> String {
    Status::parse(text).get("Cpus_allowed_list")
}

fn p19_cpus_of_an_exec(cx: &Context) -> Done {
    let all = cpus(&fs::read_to_string("/proc/self/status").expect("status"));
    cx.need(all.starts_with("0-"), "one CPU only")?;
    for (affinity, expected) in [
        (Value::Null, all.as_str()),
        (json!({"initial": "0"}), "0"),
        (json!({"initial": "0", "final": "1"}), "1"),
        (json!({"final": "0-1"}), "0-1"),
    ] {
        let mut bundle = cx.bundle();
        if !affinity.is_null() {
            bundle.set("/process/execCPUAffinity", affinity);
        }
        let container = cx.start(bundle.args(&["sleep", "1000"]));
        assert_eq!(cpus(&container.proc_file("status")), all, "the first process is not bound");
        assert_eq!(cpus(&container.exec(&["cat", "/proc/self/status"])), expected);
        container.delete_force();
    }
    let container = cx.sleeper();
    let file = cx.fresh_path("process");
    let process = json!({
        "args": ["/bin/cat", "/proc/self/status"], "cwd": "/",
        "execCPUAffinity": {"initial": "1"},
    });
    fs::write(&file, process.to_string()).expect("write");
    let text = cx.call(&["exec", "-p"]).arg(&file).arg(&container.id).run().ok();
    assert_eq!(cpus(&text), "1");
    Ok(())
}

fn p19_lists_that_are_none_are_refused(cx: &Context) -> Done {
    for (key, list) in [("initial", "x"), ("final", "3-1"), ("final", "99999"), ("initial", ",")] {
        let mut bundle = cx.bundle();
        bundle.set("/process/execCPUAffinity", json!({key: list}));
        let text = cx.run(&bundle).refused();
        assert!(text.contains(&format!("/process/execCPUAffinity/{key}")), "{text}");
    }
    // A CPU that no machine of these tests has.
    let mut bundle = cx.bundle();
    bundle.set("/process/execCPUAffinity", json!({"initial": "8191"}));
    let container = cx.start(bundle.args(&["sleep", "1000"]));
    let out = container.exec_call(&[], &["true"]).run();
    assert!(!matches!(out.code, Some(0) | None), "{out}");
    assert!(out.to_string().contains("/process/execCPUAffinity/initial"), "{out}");
    Ok(())
}

fn s7_memory_policy(cx: &Context) -> Done {
    cx.need(Path::new("/proc/self/numa_maps").exists(), "a kernel without NUMA")?;
    for (policy, seen) in [
        (json!({"mode": "MPOL_BIND", "nodes": "0"}), "bind:0"),
        (json!({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}), "interleave=static:0"),
        (json!({"mode": "MPOL_PREFERRED", "nodes": "0"}), "prefer:0"),
        (json!({"mode": "MPOL_LOCAL"}), "local"),
        (json!({"mode": "MPOL_DEFAULT", "nodes": ""}), "default"),
    ] {
        let mut bundle = cx.bundle();
        bundle.set("/linux/memoryPolicy", policy);
        let text = cx.run_ok(&mut bundle, &["cat", "/proc/self/numa_maps"]);
        assert!(text.lines().any(|l| l.split(' ').nth(1) == Some(seen)), "{seen}: {text}");
        let container = cx.start(bundle.args(&["sleep", "1000"]));
        let text = container.exec(&["cat", "/proc/self/numa_maps"]);
        assert!(text.lines().any(|l| l.split(' ').nth(1) == Some(seen)), "exec: {seen}: {text}");
        container.delete_force();
    }
    Ok(())
}

fn s7_memory_policy_that_cannot_be_is_refused(cx: &Context) -> Done {
    for (policy, key) in [
        (json!({"mode": "MPOL_NONSENSE", "nodes": "0"}), "/mode"),
        (json!({"mode": "MPOL_BIND", "nodes": ""}), "/nodes"),
        (json!({"mode": "MPOL_BIND", "nodes": "0-"}), "/nodes"),
        (json!({"mode": "MPOL_LOCAL", "nodes": "0"}), "/nodes"),
        (json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}), "/flags/0"),
        // Known only to the kernel: there is no such node.
        (json!({"mode": "MPOL_BIND", "nodes": "1023"}), ""),
    ] {
        let mut bundle = cx.bundle();
        bundle.set("/linux/memoryPolicy", policy);
        let text = cx.run(&bundle).refused();
        assert!(text.contains(&format!("/linux/memoryPolicy{key}")), "{key}: {text}");
    }
    Ok(())
}

fn a_property_that_cannot_be_honoured_is_refused(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.set("/linux/intelRdt", json!({"closID": "group"}));
    let text = cx.run(&bundle).refused();
    assert!(text.contains("/linux/intelRdt"), "{text}");
    Ok(())
}
