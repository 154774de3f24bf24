//! The v2 side: on a pure v2 host everything, on a hybrid one what its second hierarchy can do.

use super::host::{Host, LONG, start};
use super::sys::born_into;
use crate::cgroup::layout::{Layout, Version};
use crate::cgroup::{Cgroup, FreezerState};
use crate::config::{BlockIo, Cpu, DeviceRule, HugepageLimit, Map, Memory, Pids, Resources};
use crate::error::Code;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;

/// A host whose v2 hierarchy is used as if it were the only one.
fn any_host() -> Option<Host> {
    let mut host = Host::with(Version::V2).or_else(|| Host::with(Version::V1))?;
    if host.layout.version() == Version::V1 {
        let Some(unified) = host.layout.hierarchies().iter().find(|h| h.is_unified()) else {
            eprintln!("skipped: no hierarchy of version 2 here");
            return None;
        };
        host.layout = Layout::v2(&unified.mount);
    }
    Some(host)
}

fn docker() -> Resources<'static> {
    Resources {
        memory: Some(Memory {
            limit: Some(268_435_456),
            reservation: Some(134_217_728),
            swap: Some(536_870_912),
            ..Memory::default()
        }),
        cpu: Some(Cpu {
            shares: Some(512),
            quota: Some(150_000),
            period: Some(200_000),
            burst: Some(1000),
            cpus: "0".into(),
            mems: "0".into(),
            ..Cpu::default()
        }),
        pids: Some(Pids { limit: Some(64) }),
        block_io: Some(BlockIo { weight: Some(500), ..BlockIo::default() }),
        unified: Map::from(vec![("memory.high".into(), "200000000".into())]),
        ..Resources::default()
    }
}

#[test]
#[ignore = "needs a host with pure cgroup v2; the integration tests look at the same in the guest"]
fn limits_are_in_force_and_removed_again() {
    let host = Host::with(Version::V2).expect("pure cgroup v2");
    let plan = host.plan("parent/c", &docker());
    let group = plan.create().unwrap();
    for (file, value) in [
        ("memory.max", "268435456"),
        ("memory.swap.max", "268435456"),
        ("memory.low", "134217728"),
        ("memory.high", "199999488"),
        ("cpu.weight", "59"),
        ("cpu.max", "150000 200000"),
        ("cpu.max.burst", "1000"),
        ("cpuset.cpus", "0"),
        ("cpuset.mems", "0"),
        ("pids.max", "64"),
    ] {
        assert_eq!(host.read("", "parent/c", file), value, "{file}");
    }
    let has = |file: &str| {
        std::fs::metadata(format!("{}/{file}", host.directory("", "parent/c"))).is_ok()
    };
    let weight =
        if has("io.bfq.weight") { ("io.bfq.weight", "500") } else { ("io.weight", "4950") };
    assert!(host.read("", "parent/c", weight.0).contains(weight.1));
    // Also what has no limit is counted.
    let offered = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap();
    assert_eq!(host.read("", "parent/c", "cgroup.controllers"), offered.trim());
    let mut child = start(&group, "sleep 1000");
    let stats = group.stats().unwrap();
    assert_eq!(stats.memory.usage.limit, 268_435_456);
    assert_eq!(stats.memory.swap.limit, 536_870_912);
    assert_eq!(stats.pids.limit, 64);
    assert!(stats.memory.usage.usage > 0 && stats.cpu.usage.total > 0 && stats.pids.current > 0);
    group.kill(LONG).unwrap();
    child.wait().unwrap();
    Cgroup::from_record(&plan.record()).unwrap().remove(LONG).unwrap();
    assert!(host.is_gone("parent/c"));
}

#[test]
#[ignore = "needs a host with pure cgroup v2; the integration tests look at the same in the guest"]
fn huge_pages_have_both_limits() {
    let host = Host::with(Version::V2).expect("pure cgroup v2");
    let limits = Resources {
        hugepage_limits: vec![HugepageLimit { page_size: "2MB".into(), limit: 4 << 20 }].into(),
        ..Resources::default()
    };
    let group = host.create("c", &limits).unwrap();
    assert_eq!(host.read("", "c", "hugetlb.2MB.max"), "4194304");
    assert_eq!(host.read("", "c", "hugetlb.2MB.rsvd.max"), "4194304");
    group.remove(LONG).unwrap();
}

#[test]
fn a_process_can_be_born_into_it() {
    let Some(host) = any_host() else { return };
    let group = host.create("c", &Resources::default()).unwrap();
    let cgroup = born_into(&group.join().unwrap().into.unwrap());
    let unified = format!("0::{}", host.path("c"));
    assert!(cgroup.lines().any(|line| line == unified), "{cgroup}");
    group.remove(LONG).unwrap();
}

#[test]
fn frozen_processes_stand_still_and_still_die() {
    let Some(host) = any_host() else { return };
    let group = host.create("c", &Resources::default()).unwrap();
    let mut child = start(&group, "sleep 1000");
    assert_eq!(group.processes().unwrap().first(), Some(&(child.id() as i32)));
    group.freeze().unwrap();
    assert_eq!(group.freezer_state().unwrap(), FreezerState::Frozen);
    group.signal(libc::SIGTERM).unwrap();
    assert!(group.is_frozen().unwrap());
    group.thaw().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));

    let mut child = start(&group, "sleep 1000 & sleep 1000");
    group.freeze().unwrap();
    group.kill(LONG).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    assert!(group.processes().unwrap().is_empty());
    group.remove(LONG).unwrap();
    assert!(host.is_gone("c"));
}

#[test]
fn sub_cgroups_die_with_their_container() {
    let Some(host) = any_host() else { return };
    let group = host.create("c", &Resources::default()).unwrap();
    let directory = host.directory("", "c");
    for sub in ["a", "a/b", "a/b/c"] {
        std::fs::create_dir(format!("{directory}/{sub}")).unwrap();
    }
    let mut child = start(&group, "sleep 1000");
    std::fs::write(format!("{directory}/a/b/cgroup.procs"), child.id().to_string()).unwrap();
    std::fs::write(format!("{directory}/a/cgroup.freeze"), "1").unwrap();
    // Beside init is where init is.
    group.join_beside(child.id() as i32).unwrap();
    group.join_beside(1).unwrap_err();
    group.kill(LONG).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    group.remove(LONG).unwrap();
    assert!(host.is_gone("c"));
}

#[test]
fn a_cgroup_in_use_is_refused_and_left_alone() {
    let Some(host) = any_host() else { return };
    let group = host.create("c", &Resources::default()).unwrap();
    let mut child = start(&group, "sleep 1000");
    let error = host.create("c", &Resources::default()).unwrap_err();
    assert_eq!(error.code(), Code::CGROUP_PATH);
    assert!(error.to_string().contains("container's cgroup is not empty"), "{error}");
    group.kill(LONG).unwrap();
    child.wait().unwrap();
    group.freeze().unwrap();
    let error = host.create("c/below", &Resources::default()).unwrap_err();
    assert!(error.to_string().contains("unexpectedly frozen"), "{error}");
    assert!(host.is_gone("c/below"));
    group.thaw().unwrap();
    group.remove(LONG).unwrap();
}

#[test]
fn the_kernel_takes_the_device_program_and_obeys_it() {
    let Some(host) = any_host() else { return };
    let rule = |allow, kind: &'static str, numbers: Option<(i64, i64)>, access: &'static str| {
        let (major, minor) = numbers.unzip();
        DeviceRule { allow, kind: kind.into(), major, minor, access: access.into() }
    };
    let kmsg = Some((1, 11));
    // The cgroup stays, so from the second on the program is replaced.
    for (rules, expected) in [
        (vec![rule(true, "a", None, "rwm")], ["yes", "yes", "yes", "yes"]),
        (
            vec![rule(true, "a", None, "rwm"), rule(false, "c", kmsg, "w")],
            ["yes", "yes", "yes", "no"],
        ),
        (
            vec![rule(false, "a", None, "rwm"), rule(true, "c", kmsg, "r")],
            ["yes", "yes", "yes", "no"],
        ),
        (vec![], ["yes", "yes", "no", "no"]),
    ] {
        let limits = Resources { devices: rules.into(), ..Resources::default() };
        let group = host.create("c", &limits).unwrap();
        let dir = group.unified().unwrap().dir().unwrap();
        assert_eq!(crate::sys::bpf::attached(dir.as_fd()).unwrap().len(), 1);
        // The kernel's log is no default device; opening it does nothing.
        let probe = "cd $(mktemp -d -p /var/tmp) || exit; mknod kmsg c 1 11; \
            try() { if (eval \"$1\") 2>/dev/null; then echo yes; else echo no; fi; }; \
            try 'exec 3<>/dev/null'; try 'exec 3>/dev/zero'; \
            try 'exec 3<kmsg'; try 'exec 3<>kmsg'; rm kmsg; rmdir $PWD";
        assert_eq!(answers(&group, probe), expected, "{:?}", limits.devices);
    }
}

/// What a script prints, line by line, that runs in the cgroup.
fn answers(group: &Cgroup, script: &str) -> Vec<String> {
    let out = tempfile::NamedTempFile::new().unwrap();
    let mut child = start(group, &format!("exec >{}; {script}", out.path().display()));
    child.wait().unwrap();
    std::fs::read_to_string(out.path()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_missing_controller_is_a_problem_of_its_property() {
    let Some(host) = any_host() else { return };
    let limits = Resources {
        unified: Map::from(vec![("nosuch.max".into(), "1".into())]),
        ..Resources::default()
    };
    let request = crate::cgroup::Request {
        id: "c",
        cgroups_path: &host.path("c"),
        resources: Some(&limits),
        devices: &[],
        driver: crate::cgroup::Driver::Cgroupfs,
        rootless: false,
    };
    let mut problems = crate::error::Problems::default();
    let plan = crate::cgroup::CgroupPlan::new(&request, &host.layout, &mut problems).unwrap();
    assert!(plan.is_none());
    let problem = problems.list().first().unwrap();
    assert_eq!(problem.code, Code::CGROUP_CONTROLLER);
    assert_eq!(problem.pointer.as_str(), "/linux/resources/unified/nosuch.max");
}

#[test]
#[ignore = "needs a host with pure cgroup v2; the integration tests look at the same in the guest"]
fn a_parent_with_processes_hands_no_controllers_down() {
    let host = Host::with(Version::V2).expect("pure cgroup v2");
    let parent = host.create("parent", &Resources::default()).unwrap();
    let mut child = start(&parent, "sleep 1000");
    let error = host.create("parent/c", &docker()).unwrap_err();
    assert_eq!(error.code(), Code::CGROUP_CONTROLLER);
    assert!(error.to_string().contains("has processes of its own"), "{error}");
    assert!(host.is_gone("parent/c"));
    // Without limits it works, and siblings are not disturbed.
    let group = host.create("parent/c", &Resources::default()).unwrap();
    group.remove(LONG).unwrap();
    assert!(parent.processes().unwrap().contains(&(child.id() as i32)));
    parent.kill(LONG).unwrap();
    child.wait().unwrap();
    parent.remove(LONG).unwrap();
}

#[test]
#[ignore = "needs a host with pure cgroup v2; the integration tests look at the same in the guest"]
fn memory_in_use_is_checked_when_asked() {
    let host = Host::with(Version::V2).expect("pure cgroup v2");
    let group = host.create("c", &Resources::default()).unwrap();
    let mut child = start(&group, "head -c 20000000 /dev/zero | tail -c 20000000 | sleep 1000");
    let used = |least| group.stats().unwrap().memory.usage.usage > least;
    let deadline = std::time::Instant::now() + LONG;
    while !used(1 << 20) && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let plan = host.plan(
        "c",
        &Resources {
            memory: Some(Memory {
                limit: Some(4096),
                check_before_update: Some(true),
                ..Memory::default()
            }),
            ..Resources::default()
        },
    );
    let dir = group.unified().unwrap().dir().unwrap();
    let failure = crate::cgroup::create::v2::check_usage(dir, &plan.usage_checks).unwrap_err();
    assert_eq!(failure.code, Code::CGROUP_LIMIT);
    group.kill(LONG).unwrap();
    child.wait().unwrap();
    group.remove(LONG).unwrap();
}
