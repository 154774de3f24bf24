//! The bundles that the README and the benchmark use, on a root file system
//! built here.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::{Bundle, CAPABILITIES, give};
use crate::case::Done;
use crate::context::Context;
use crate::inside::{Status, lines, mount_at};
use crate::{cgroup, tests};

tests![
    every_bundle_runs_as_it_is,
    every_bundle_goes_through_its_life,
    minimal_leaves_the_network_alone,
    default_bundle_is_read_only_with_three_capabilities,
    docker_bundle_is_confined_and_limited,
    docker_bundle_in_a_user_namespace,
];

const ALL: [(&str, &str); 4] = [
    ("minimal", include_str!("../../../bundles/minimal/config.json")),
    ("default", include_str!("../../../bundles/default/config.json")),
    ("docker", include_str!("../../../bundles/docker/config.json")),
    ("docker-userns", include_str!("../../../bundles/docker-userns/config.json")),
];

/// The bundle of this name, in the cgroup of the tests.
fn bundle(cx: &Context, name: &str) -> Bundle {
    let mut bundle = cx.bundle();
    let cgroup = bundle.cgroup();
    let text = ALL.iter().find(|(n, _)| *n == name).expect("a bundle").1;
    bundle.config = serde_json::from_str(text).expect("JSON");
    bundle.set("/linux/cgroupsPath", json!(cgroup));
    let files = bundle.dir().join("etc");
    fs::create_dir(&files).expect("mkdir");
    for file in ["hostname", "hosts", "resolv.conf"] {
        fs::write(files.join(file), format!("{file} of {name}\n")).expect("write");
    }
    if let Some(base) = bundle.config["linux"]["uidMappings"][0]["hostID"].as_u64() {
        give(&bundle.rootfs(), base as u32);
        give(&files, base as u32);
    }
    // A kernel may lack the controller of a limit; a test of its own tells.
    for (key, controller) in [("memory", "memory"), ("cpu", "cpu"), ("pids", "pids")] {
        if !cx.cgroups.has(controller) {
            bundle.remove(&format!("/linux/resources/{key}"));
        }
    }
    bundle
}

fn every_bundle_runs_as_it_is(cx: &Context) -> Done {
    for (name, _) in ALL {
        let out = cx.run(&bundle(cx, name));
        assert_eq!(out.code, Some(0), "{name}: {out}");
        assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("", ""), "{name}");
    }
    Ok(())
}

fn every_bundle_goes_through_its_life(cx: &Context) -> Done {
    for (name, _) in ALL {
        let mut bundle = bundle(cx, name);
        bundle.args(&["/bin/sleep", "1000"]);
        let container = cx.create(&bundle);
        assert_eq!(container.status(), "created", "{name}");
        container.start();
        assert_eq!(container.exec(&["/bin/echo", name]), name);
        container.verb(&["pause"]).ok();
        container.verb(&["resume"]).ok();
        container.kill("KILL");
        assert_eq!(container.wait(), 137, "{name}");
        container.delete();
    }
    Ok(())
}

fn minimal_leaves_the_network_alone(cx: &Context) -> Done {
    let mut bundle = bundle(cx, "minimal");
    bundle.shell("for n in net pid; do echo $n=$(readlink /proc/self/ns/$n); done");
    let seen = lines(&cx.run(&bundle).ok());
    let own = |kind: &str| fs::read_link(format!("/proc/self/ns/{kind}")).expect("own").display().to_string();
    assert_eq!(seen["net"], own("net"));
    assert_ne!(seen["pid"], own("pid"));
    Ok(())
}

fn default_bundle_is_read_only_with_three_capabilities(cx: &Context) -> Done {
    let mut bundle = bundle(cx, "default");
    bundle.shell("touch /x 2>/dev/null || echo fixed; hostname; cat /proc/self/status /proc/self/mountinfo");
    let text = cx.run(&bundle).ok();
    assert!(text.starts_with("fixed\ndefault\n"), "{text}");
    let status = Status::parse(&text);
    // CAP_KILL, CAP_NET_BIND_SERVICE, CAP_AUDIT_WRITE.
    assert_eq!(status.bits("CapEff"), 1 << 5 | 1 << 10 | 1 << 29);
    assert_eq!(status.get("NoNewPrivs"), "1");
    assert!(mount_at(&text, "/").has("ro"));
    Ok(())
}

fn confined(cx: &Context, name: &str) -> (String, Value) {
    let mut bundle = bundle(cx, name);
    bundle.shell(
        "cat /etc/hostname /etc/hosts; id -G; mount -t tmpfs t /tmp 2>/dev/null || echo denied; \
         cat /proc/sys/net/ipv4/ip_unprivileged_port_start; cat /proc/self/status; sleep 1000",
    );
    let container = cx.start(&bundle);
    let text = container.wait_output("nonvoluntary_ctxt_switches");
    let mut limits = json!({});
    for (controller, v1, v2) in [
        ("memory", "memory.limit_in_bytes", "memory.max"),
        ("pids", "pids.max", "pids.max"),
        ("cpu", "cpu.shares", "cpu.weight"),
    ] {
        if cx.cgroups.has(controller) {
            limits[controller] = json!(cgroup::read(cx, controller, &bundle.cgroup(), v1, v2));
        }
    }
    container.delete_force();
    (text, limits)
}

fn check(cx: &Context, name: &str) {
    let (text, limits) = confined(cx, name);
    let expected = format!("hostname of {name}\nhosts of {name}\n0 10\ndenied\n0\n");
    assert!(text.starts_with(&expected), "{text}");
    let status = Status::parse(&text);
    assert_eq!(status.get("Seccomp"), "2");
    assert_eq!(status.bits("CapEff").count_ones() as usize, CAPABILITIES.len());
    assert_eq!(status.bits("CapInh") | status.bits("CapAmb"), 0);
    if cx.cgroups.has("memory") {
        assert_eq!(limits["memory"], "268435456");
    }
    if cx.cgroups.has("pids") {
        assert_eq!(limits["pids"], "256");
    }
    if cx.cgroups.v1.contains_key("cpu") {
        assert_eq!(limits["cpu"], "512");
    }
}

fn docker_bundle_is_confined_and_limited(cx: &Context) -> Done {
    check(cx, "docker");
    Ok(())
}

fn docker_bundle_in_a_user_namespace(cx: &Context) -> Done {
    check(cx, "docker-userns");
    let mut bundle = bundle(cx, "docker-userns");
    bundle.args(&["cat", "/proc/self/uid_map"]);
    let text = cx.run(&bundle).ok();
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
    Ok(())
}
