//! Control groups: limits read back, limits that hold, freezing.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::case::Done;
use crate::context::Context;
use crate::{cgroup, guard, host, tests};

tests![
    g1_absolute_path,
    g1_relative_and_missing_path,
    g1_deep_path_with_foreign_parent,
    container_sits_in_its_cgroup_when_create_returns,
    g3_memory_limit,
    g4_memory_swap,
    g5_memory_reservation,
    g7_v1_memory_extras,
    g9_cpu_shares,
    g10_cpu_quota_and_period,
    g12_cpuset,
    stricter g13_cpu_idle,
    g15_block_io_throttle,
    g16_hugepages,
    g17_network_priorities,
    g18_pids_limit,
    stricter g18_pids_limit_zero_and_absent,
    stricter g20_unified,
    limits_apply_to_exec,
    memory_limit_kills_with_137,
    pids_limit_holds,
    fork_bomb_is_deleted,
    bad_limits_are_refused_and_leave_nothing,
    stricter g4_swap_below_limit_is_refused,
    g23_pause_stops_and_resume_goes_on,
    pause_of_a_created_one,
    paused_twice_and_resumed_twice,
    stricter kill_of_a_paused_one_works,
    delete_force_with_a_frozen_child_cgroup,
    delete_removes_child_cgroups,
    stricter cgroup_path_cannot_leave_the_hierarchy,
    r12_existing_cgroup_with_a_process,
    unlimited_values,
];

/// A running container with these resources; gives the cgroup's path.
fn limited<'a>(cx: &'a Context, resources: Value) -> (crate::container::Container<'a>, String) {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]);
    for (key, value) in resources.as_object().expect("an object") {
        bundle.set(&format!("/linux/resources/{key}"), value.clone());
    }
    (cx.start(&bundle), bundle.cgroup())
}

fn g1_absolute_path(cx: &Context) -> Done {
    let (container, path) = limited(cx, json!({}));
    for line in container.proc_file("cgroup").lines() {
        let (head, seen) = line.rsplit_once(':').expect("three parts");
        // An unmounted hierarchy has nothing to put the container into.
        if !guard::cgroups_named(cx.token()).is_empty() && !head.starts_with("0:") {
            assert_eq!(seen, path, "{line}");
        }
    }
    let count = guard::cgroups_named(cx.token()).len();
    let roots = cx.cgroups.roots().len();
    assert!(count >= roots - usize::from(!cx.cgroups.is_pure_v2()), "{count} of {roots}");
    Ok(())
}

fn g1_relative_and_missing_path(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.remove("/linux/cgroupsPath").args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let found = guard::cgroups_named(&container.id);
    assert!(!found.is_empty(), "named by the id");
    assert!(cgroup::members(&found[0]).contains(&container.pid));
    container.delete_force();
    let name = format!("{}rel", cx.token());
    bundle.set("/linux/cgroupsPath", json!(name));
    let container = cx.start(&bundle);
    let found = guard::cgroups_named(&name);
    assert!(cgroup::members(&found[0]).contains(&container.pid));
    container.delete_force();
    assert!(guard::cgroups_named(&name).is_empty());
    Ok(())
}

fn g1_deep_path_with_foreign_parent(cx: &Context) -> Done {
    let parent = format!("/{}/{}p", guard::COMMON_PARENT, cx.token());
    let mut bundle = cx.bundle();
    bundle.set("/linux/cgroupsPath", json!(format!("{parent}/a/b/c"))).args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    let dir = cgroup::dir(cx, "pids", &parent);
    assert!(cgroup::members(&dir.join("a/b/c")).contains(&container.pid));
    container.verb(&["delete", "--force"]).ok();
    assert!(!dir.join("a/b/c").exists(), "its own directory is gone");
    // Parents may stay; this test is their owner.
    for root in cx.cgroups.roots() {
        for path in ["a/b", "a", ""] {
            let _ = fs::remove_dir(root.join(&parent[1..]).join(path));
        }
    }
    Ok(())
}

fn container_sits_in_its_cgroup_when_create_returns(cx: &Context) -> Done {
    let bundle = cx.bundle();
    let container = cx.create(&bundle);
    let controllers: Vec<&str> =
        ["cpu", "memory", "pids", "freezer", "devices", "blkio", "cpuset"]
            .into_iter()
            .filter(|c| cx.cgroups.is_pure_v2() || cx.cgroups.has(c))
            .collect();
    for controller in controllers {
        let members = cgroup::members(&cgroup::dir(cx, controller, &bundle.cgroup()));
        assert_eq!(members, [container.pid], "{controller}");
    }
    if let Some(root) = &cx.cgroups.v2 {
        // Engines with a unified mount beside v1 look here, too.
        let members = cgroup::members(&root.join(&bundle.cgroup()[1..]));
        assert!(members == [container.pid] || members.is_empty());
    }
    Ok(())
}

fn g3_memory_limit(cx: &Context) -> Done {
    cx.need_controller("memory")?;
    let (_c, path) = limited(cx, json!({"memory": {"limit": 64 << 20}}));
    let text = cgroup::read(cx, "memory", &path, "memory.limit_in_bytes", "memory.max");
    assert_eq!(text, (64 << 20).to_string());
    Ok(())
}

fn g4_memory_swap(cx: &Context) -> Done {
    cx.need_controller("memory")?;
    let has = |path: &str| {
        let file = if cx.cgroups.is_pure_v2() { "memory.swap.max" } else { "memory.memsw.limit_in_bytes" };
        cgroup::dir(cx, "memory", path).join(file).exists()
    };
    let (_c, path) = limited(cx, json!({"memory": {"limit": 64 << 20, "swap": 96 << 20}}));
    cx.need(has(&path), "this kernel does not account swap")?;
    let file = ("memory.memsw.limit_in_bytes", "memory.swap.max");
    let text = cgroup::read(cx, "memory", &path, file.0, file.1);
    let expected = if cx.cgroups.is_pure_v2() { 32 << 20 } else { 96 << 20 };
    assert_eq!(text, expected.to_string());
    let (_c, path) = limited(cx, json!({"memory": {"limit": 64 << 20, "swap": 64 << 20}}));
    let text = cgroup::read(cx, "memory", &path, file.0, file.1);
    assert_eq!(text, if cx.cgroups.is_pure_v2() { "0".to_owned() } else { (64 << 20).to_string() });
    Ok(())
}

fn g5_memory_reservation(cx: &Context) -> Done {
    cx.need_controller("memory")?;
    let (_c, path) = limited(cx, json!({"memory": {"limit": 64 << 20, "reservation": 32 << 20}}));
    let text = cgroup::read(cx, "memory", &path, "memory.soft_limit_in_bytes", "memory.low");
    assert_eq!(text, (32 << 20).to_string());
    Ok(())
}

fn g7_v1_memory_extras(cx: &Context) -> Done {
    cx.need(cx.cgroups.v1.contains_key("memory"), "no memory controller on v1 here")?;
    let (_c, path) = limited(cx, json!({"memory": {"swappiness": 42, "disableOOMKiller": true}}));
    let dir = cgroup::dir(cx, "memory", &path);
    assert_eq!(fs::read_to_string(dir.join("memory.swappiness")).expect("read").trim(), "42");
    let oom = fs::read_to_string(dir.join("memory.oom_control")).expect("read");
    assert!(oom.contains("oom_kill_disable 1"), "{oom}");
    Ok(())
}

fn g9_cpu_shares(cx: &Context) -> Done {
    cx.need_controller("cpu")?;
    let table = [(2, "1"), (1024, "100"), (262_144, "10000")];
    for (shares, weight) in table {
        let (c, path) = limited(cx, json!({"cpu": {"shares": shares}}));
        let text = cgroup::read(cx, "cpu", &path, "cpu.shares", "cpu.weight");
        if !cx.cgroups.is_pure_v2() {
            assert_eq!(text, shares.to_string());
        } else if !host::is_peer() {
            assert_eq!(text, weight, "shares {shares}");
        }
        c.delete_force();
    }
    Ok(())
}

fn g10_cpu_quota_and_period(cx: &Context) -> Done {
    cx.need_controller("cpu")?;
    let (_c, path) = limited(cx, json!({"cpu": {"quota": 50_000, "period": 200_000}}));
    if cx.cgroups.is_pure_v2() {
        assert_eq!(cgroup::read(cx, "cpu", &path, "", "cpu.max"), "50000 200000");
    } else {
        let dir = cgroup::dir(cx, "cpu", &path);
        cx.need(dir.join("cpu.cfs_quota_us").exists(), "this kernel has no CPU bandwidth control")?;
        assert_eq!(cgroup::read(cx, "cpu", &path, "cpu.cfs_quota_us", ""), "50000");
        assert_eq!(cgroup::read(cx, "cpu", &path, "cpu.cfs_period_us", ""), "200000");
    }
    Ok(())
}

fn g12_cpuset(cx: &Context) -> Done {
    cx.need_controller("cpuset")?;
    let (container, path) = limited(cx, json!({"cpu": {"cpus": "0", "mems": "0"}}));
    assert_eq!(cgroup::read(cx, "cpuset", &path, "cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(cgroup::read(cx, "cpuset", &path, "cpuset.mems", "cpuset.mems"), "0");
    let text = container.exec(&["grep", "Cpus_allowed_list", "/proc/self/status"]);
    assert!(text.ends_with("\t0"), "{text}");
    Ok(())
}

fn g13_cpu_idle(cx: &Context) -> Done {
    cx.need_controller("cpu")?;
    let root = cgroup::dir(cx, "cpu", "/").join(guard::COMMON_PARENT);
    let (_c, path) = limited(cx, json!({}));
    cx.need(cgroup::dir(cx, "cpu", &path).join("cpu.idle").exists() || root.join("cpu.idle").exists(), "this kernel has no cpu.idle")?;
    let (_c, path) = limited(cx, json!({"cpu": {"idle": 1}}));
    assert_eq!(cgroup::read(cx, "cpu", &path, "cpu.idle", "cpu.idle"), "1");
    Ok(())
}

fn disk() -> Option<(u64, u64)> {
    let entry = fs::read_dir("/sys/block").ok()?.flatten().next()?;
    let text = fs::read_to_string(entry.path().join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn g15_block_io_throttle(cx: &Context) -> Done {
    let name = if cx.cgroups.is_pure_v2() { "io" } else { "blkio" };
    cx.need_controller(name)?;
    let disk = disk();
    cx.need(disk.is_some(), "no block device on this machine")?;
    let (major, minor) = disk.unwrap_or_default();
    let rate = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
    let (_c, path) = limited(
        cx,
        json!({"blockIO": {"throttleReadBpsDevice": rate(1 << 20),
                           "throttleWriteBpsDevice": rate(2 << 20),
                           "throttleReadIOPSDevice": rate(300),
                           "throttleWriteIOPSDevice": rate(400)}}),
    );
    if cx.cgroups.is_pure_v2() {
        let text = cgroup::read(cx, "io", &path, "", "io.max");
        let words = ["rbps=1048576", "wbps=2097152", "riops=300", "wiops=400"];
        assert!(words.iter().all(|w| text.contains(w)), "{text}");
    } else {
        let table = [
            ("read_bps", 1 << 20),
            ("write_bps", 2 << 20),
            ("read_iops", 300),
            ("write_iops", 400),
        ];
        for (file, value) in table {
            let file = format!("blkio.throttle.{file}_device");
            let text = cgroup::read(cx, "blkio", &path, &file, "");
            assert_eq!(text, format!("{major}:{minor} {value}"), "{file}");
        }
    }
    Ok(())
}

fn g16_hugepages(cx: &Context) -> Done {
    cx.need_controller("hugetlb")?;
    let (_c, path) =
        limited(cx, json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}]}));
    let text =
        cgroup::read(cx, "hugetlb", &path, "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max");
    assert_eq!(text, (4 << 20).to_string());
    Ok(())
}

fn g17_network_priorities(cx: &Context) -> Done {
    cx.need(cx.cgroups.v1.contains_key("net_cls"), "no net_cls controller on this machine")?;
    let (_c, path) = limited(cx, json!({"network": {"classID": 1_048_577}}));
    assert_eq!(cgroup::read(cx, "net_cls", &path, "net_cls.classid", ""), "1048577");
    Ok(())
}

fn g18_pids_limit(cx: &Context) -> Done {
    cx.need_controller("pids")?;
    for (limit, seen) in [(7, "7"), (-1, "max")] {
        let (_c, path) = limited(cx, json!({"pids": {"limit": limit}}));
        assert_eq!(cgroup::read(cx, "pids", &path, "pids.max", "pids.max"), seen);
    }
    Ok(())
}

fn g18_pids_limit_zero_and_absent(cx: &Context) -> Done {
    cx.need_controller("pids")?;
    let (_c, path) = limited(cx, json!({"pids": {}}));
    assert_eq!(cgroup::read(cx, "pids", &path, "pids.max", "pids.max"), "max");
    // Zero is a limit: what is in the cgroup already goes on, nothing can fork.
    let mut bundle = cx.bundle();
    bundle.set("/linux/resources/pids", json!({"limit": 0})).args(&["sh", "-c", "true | true; echo $?"]);
    let out = cx.run(&bundle);
    assert_ne!(out.stdout.trim(), "0", "{out}");
    Ok(())
}

fn g20_unified(cx: &Context) -> Done {
    let unified = json!({"unified": {"pids.max": "9"}});
    if cx.cgroups.is_pure_v2() {
        let (_c, path) = limited(cx, unified);
        assert_eq!(cgroup::read(cx, "pids", &path, "", "pids.max"), "9");
        for bad in [json!({"nosuch.file": "1"}), json!({"../pids.max": "1"}), json!({"pids.max": "x"})] {
            let mut bundle = cx.bundle();
            bundle.set("/linux/resources/unified", bad);
            cx.run(&bundle).refused();
        }
    } else {
        let mut bundle = cx.bundle();
        bundle.set("/linux/resources/unified", unified["unified"].clone());
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn limits_apply_to_exec(cx: &Context) -> Done {
    cx.need_controller("pids")?;
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["sleep", "1000"]).set("/linux/resources/pids", json!({"limit": 20}));
    let container = cx.start(&bundle);
    let out = container.exec_call(&[], &["/probe", "spawn", "100"]).run().ok();
    let made: u32 = crate::inside::lines(&out)["made"].parse().expect("a number");
    assert!(made < 20 && made > 5, "{out}");
    Ok(())
}

fn memory_limit_kills_with_137(cx: &Context) -> Done {
    cx.need_controller("memory")?;
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["/probe", "alloc", "200"]);
    assert_eq!(cx.run(&bundle).ok(), "allocated", "without a limit it works");
    bundle.set("/linux/resources/memory", json!({"limit": 48 << 20, "swap": 48 << 20}));
    let out = cx.run(&bundle);
    assert_eq!(out.code, Some(137), "{out}");
    assert!(!out.stdout.contains("allocated"));
    Ok(())
}

fn pids_limit_holds(cx: &Context) -> Done {
    cx.need_controller("pids")?;
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["/probe", "spawn", "500"]);
    bundle.set("/linux/resources/pids", json!({"limit": 16}));
    let seen = crate::inside::lines(&cx.run(&bundle).ok());
    let made: u32 = seen["made"].parse().expect("a number");
    assert!((10..16).contains(&made), "{seen:?}");
    assert_eq!(seen["errno"], libc::EAGAIN.to_string());
    Ok(())
}

fn fork_bomb_is_deleted(cx: &Context) -> Done {
    cx.need_controller("pids")?;
    let mut bundle = cx.bundle();
    bundle.with_probe().args(&["/probe", "bomb", "1000000"]);
    bundle.set("/linux/resources/pids", json!({"limit": 100}));
    for own_namespace in [true, false] {
        if !own_namespace {
            bundle.without_namespace("pid");
        }
        let container = cx.start(&bundle);
        let dir = cgroup::dir(cx, "pids", &bundle.cgroup());
        host::wait_for("the bomb to fill its limit", || {
            let now = fs::read_to_string(dir.join("pids.current")).unwrap_or_default();
            (now.trim().parse::<u32>().unwrap_or(0) > 90).then_some(())
        });
        container.delete_force();
        assert!(!dir.exists());
    }
    Ok(())
}

fn bad_limits_are_refused_and_leave_nothing(cx: &Context) -> Done {
    let table = [
        ("memory", json!({"memory": {"limit": 1}})),
        ("cpuset", json!({"cpu": {"cpus": "4096"}})),
        ("cpuset", json!({"cpu": {"cpus": "nonsense"}})),
        ("cpu", json!({"cpu": {"quota": 1, "period": 1}})),
        ("pids", json!({"pids": {"limit": "many"}})),
        ("blkio", json!({"blockIO": {"throttleReadBpsDevice": [{"major": 9999, "minor": 9, "rate": 1}]}})),
        ("memory", json!({"memory": {"swap": "x"}})),
        ("hugetlb", json!({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]})),
    ];
    for (controller, resources) in table {
        if !cx.cgroups.has(controller) {
            continue;
        }
        let mut bundle = cx.bundle();
        for (key, value) in resources.as_object().expect("an object") {
            bundle.set(&format!("/linux/resources/{key}"), value.clone());
        }
        let out = cx.run(&bundle);
        assert_eq!(out.code, Some(1), "{resources}: {out}");
        assert!(guard::state_entries(&cx.state_root()).is_empty(), "{resources}");
        let left = guard::cgroups_named(cx.token());
        assert!(left.is_empty(), "{resources} left {left:?}");
    }
    Ok(())
}

fn g4_swap_below_limit_is_refused(cx: &Context) -> Done {
    cx.need_controller("memory")?;
    for memory in [json!({"limit": 64 << 20, "swap": 32 << 20}), json!({"swap": 32 << 20})] {
        let mut bundle = cx.bundle();
        bundle.set("/linux/resources/memory", memory);
        cx.run(&bundle).refused();
    }
    Ok(())
}

fn ticker(cx: &Context) -> Bundle {
    let mut bundle = cx.bundle();
    bundle.shell("n=0; while :; do n=$((n+1)); echo $n >/tmp/n; sleep 0.01; done");
    bundle
}

fn g23_pause_stops_and_resume_goes_on(cx: &Context) -> Done {
    let bundle = ticker(cx);
    let container = cx.start(&bundle);
    let file = bundle.inside("/tmp/n");
    let now = || fs::read_to_string(&file).unwrap_or_default().trim().parse::<u64>().unwrap_or(0);
    host::wait_for("the first ticks", || (now() > 3).then_some(()));
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    let path = bundle.cgroup();
    let state = if cx.cgroups.is_pure_v2() {
        cgroup::read(cx, "freezer", &path, "", "cgroup.freeze")
    } else {
        cgroup::read(cx, "freezer", &path, "freezer.state", "")
    };
    assert!(state == "1" || state == "FROZEN", "{state}");
    let frozen = now();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(now(), frozen);
    container.verb(&["resume"]).ok();
    assert_eq!(container.status(), "running");
    host::wait_for("more ticks", || (now() > frozen + 3).then_some(()));
    Ok(())
}

fn pause_of_a_created_one(cx: &Context) -> Done {
    let bundle = cx.bundle();
    let container = cx.create(&bundle);
    container.verb(&["pause"]).ok();
    assert_eq!(container.status(), "paused");
    container.verb(&["resume"]).ok();
    assert_eq!(container.status(), "created");
    container.start();
    Ok(())
}

fn paused_twice_and_resumed_twice(cx: &Context) -> Done {
    let container = cx.sleeper();
    container.verb(&["pause"]).ok();
    let again = container.verb(&["pause"]);
    assert!(again.code.is_some() && container.status() == "paused", "{again}");
    container.verb(&["resume"]).ok();
    container.verb(&["resume"]).refused_with("container not paused");
    Ok(())
}

fn kill_of_a_paused_one_works(cx: &Context) -> Done {
    for words in [&["kill"][..], &["kill", "--all"]] {
        let container = cx.sleeper();
        container.verb(&["pause"]).ok();
        cx.call(words).args(&[container.id.as_str(), "KILL"]).run().ok();
        assert_eq!(container.wait(), 137);
        container.delete();
    }
    Ok(())
}

fn delete_force_with_a_frozen_child_cgroup(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    // In a pid namespace the frozen one would die with init.
    bundle.without_namespace("pid").shell("sleep 1000 & echo child=$!; wait");
    let container = cx.start(&bundle);
    let text = container.wait_output("child=");
    let child = crate::inside::lines(&text)["child"].clone();
    let own = cgroup::dir(cx, "freezer", &bundle.cgroup());
    let sub = own.join("sub");
    fs::create_dir(&sub).expect("a child cgroup");
    fs::write(sub.join("cgroup.procs"), &child).expect("move a process");
    let (file, value) =
        if cx.cgroups.is_pure_v2() { ("cgroup.freeze", "1") } else { ("freezer.state", "FROZEN") };
    fs::write(sub.join(file), value).expect("freeze");
    let out = container.verb(&["delete", "--force"]);
    let survives = fs::read_to_string(format!("/proc/{child}/comm")).is_ok();
    if host::is_peer() && (out.code != Some(0) || survives) {
        // Known to be hard; the runner clears up behind a peer.
        fs::write(sub.join(file), if value == "1" { "0" } else { "THAWED" }).expect("thaw");
        container.verb(&["delete", "--force"]);
        guard::scrub(cx.token());
        return Ok(());
    }
    out.ok();
    container.assert_gone();
    host::wait_for("the end of the frozen one", || {
        fs::read_to_string(format!("/proc/{child}/comm")).is_err().then_some(())
    });
    Ok(())
}

fn delete_removes_child_cgroups(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]);
    let container = cx.start(&bundle);
    for root in cx.cgroups.roots() {
        let dir = root.join(&bundle.cgroup()[1..]);
        if dir.exists() {
            fs::create_dir_all(dir.join("a/b/c")).expect("child cgroups");
            fs::create_dir_all(dir.join("d")).expect("child cgroups");
        }
    }
    container.delete_force();
    assert!(guard::cgroups_named(cx.token()).is_empty());
    Ok(())
}

fn cgroup_path_cannot_leave_the_hierarchy(cx: &Context) -> Done {
    let token = cx.token();
    for path in [
        format!("/../../../../{token}up"),
        format!("../../{token}up"),
        format!("/{}/../../../tmp/{token}up", guard::COMMON_PARENT),
        format!("/{}/{token}/../../../../..{}/up", guard::COMMON_PARENT, cx.scratch().display()),
    ] {
        let mut bundle = cx.bundle();
        bundle.set("/linux/cgroupsPath", json!(path));
        let out = cx.run(&bundle);
        assert!(matches!(out.code, Some(0 | 1)), "{path}: {out}");
        for place in ["/", "/tmp", "/sys/fs", "/sys"] {
            let made = std::path::Path::new(place).join(format!("{token}up"));
            assert!(!made.exists(), "{path} made {}", made.display());
        }
        assert!(!cx.scratch().join("up").exists(), "{path}");
        // Inside the hierarchy a name may be made; it goes with its new parents.
        let mut left = guard::cgroups_named(token);
        left.sort_by_key(|dir| std::cmp::Reverse(dir.components().count()));
        for dir in left.iter().flat_map(|dir| dir.ancestors().take(4)) {
            let _ = fs::remove_dir(dir);
        }
    }
    Ok(())
}

fn r12_existing_cgroup_with_a_process(cx: &Context) -> Done {
    let mut bundle = cx.bundle();
    bundle.args(&["sleep", "1000"]);
    let first = cx.start(&bundle);
    let mut second = bundle.twin(cx);
    second.set("/linux/cgroupsPath", json!(bundle.cgroup())).args(&["true"]);
    let out = cx.run(&second);
    // Refused or shared: the first one must go on either way.
    assert!(out.code.is_some());
    assert_eq!(first.status(), "running");
    first.exec(&["true"]);
    Ok(())
}

fn unlimited_values(cx: &Context) -> Done {
    let resources = json!({"memory": {"limit": -1, "swap": -1}, "cpu": {"quota": -1}, "pids": {"limit": -1}});
    let mut bundle = cx.bundle();
    for (key, value) in resources.as_object().expect("an object") {
        let name = if key == "pids" { "pids" } else { key.as_str() };
        if cx.cgroups.has(name) {
            bundle.set(&format!("/linux/resources/{key}"), value.clone());
        }
    }
    cx.run(&bundle).ok();
    bundle.set("/linux/resources", json!({}));
    cx.run(&bundle).ok();
    bundle.remove("/linux/resources");
    cx.run(&bundle).ok();
    Ok(())
}
