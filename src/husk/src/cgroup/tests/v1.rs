//! The v1 side, pure or hybrid.

use super::host::{Host, LONG, start};
use crate::cgroup::{Cgroup, FreezerState, SubCgroup, Version};
use crate::config::{Cpu, Memory, Pids, Resources};
use crate::error::Code;
use std::os::unix::process::ExitStatusExt;

fn docker() -> Resources<'static> {
    Resources {
        memory: Some(Memory {
            limit: Some(268_435_456),
            reservation: Some(134_217_728),
            swap: Some(536_870_912),
            swappiness: Some(10),
            ..Memory::default()
        }),
        cpu: Some(Cpu {
            shares: Some(512),
            quota: Some(150_000),
            period: Some(200_000),
            burst: Some(1000),
            cpus: "0".into(),
            ..Cpu::default()
        }),
        pids: Some(Pids { limit: Some(64) }),
        ..Resources::default()
    }
}

#[test]
fn limits_are_in_force_and_removed_again() {
    let Some(host) = Host::with(Version::V1) else { return };
    let plan = host.plan("c", &docker());
    let group = plan.create().unwrap();
    assert_eq!(group.record(), plan.record());
    for (controller, file, value) in [
        ("memory", "memory.limit_in_bytes", "268435456"),
        ("memory", "memory.memsw.limit_in_bytes", "536870912"),
        ("memory", "memory.soft_limit_in_bytes", "134217728"),
        ("memory", "memory.swappiness", "10"),
        ("cpu", "cpu.shares", "512"),
        ("cpu", "cpu.cfs_quota_us", "150000"),
        ("cpu", "cpu.cfs_period_us", "200000"),
        ("cpu", "cpu.cfs_burst_us", "1000"),
        ("cpuset", "cpuset.cpus", "0"),
        ("pids", "pids.max", "64"),
    ] {
        assert_eq!(host.read(controller, "c", file), value, "{file}");
    }
    let devices = host.read("devices", "c", "devices.list");
    assert!(devices.lines().any(|l| l == "c 1:3 rwm"), "{devices}");
    assert!(!devices.contains("a *:* rwm"), "{devices}");
    // What was not asked for comes from the parent.
    assert!(!host.read("cpuset", "c", "cpuset.mems").is_empty());
    let again = Cgroup::from_record(&plan.record()).unwrap();
    again.remove(LONG).unwrap();
    assert!(host.is_gone("c"));
    again.remove(LONG).unwrap();
}

#[test]
fn a_process_joins_every_hierarchy_is_listed_and_killed() {
    let Some(host) = Host::with(Version::V1) else { return };
    let group = host.create("c", &docker()).unwrap();
    let mut child = start(&group, "sleep 1000 & sleep 1000");
    let pid = child.id() as i32;
    let own = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    for line in own.lines() {
        let mounted = host
            .layout
            .hierarchies()
            .iter()
            .any(|h| line.split(':').nth(1).is_some_and(|list| list == h.names.join(",")));
        assert!(!mounted || line.ends_with(&host.path("c")), "{own}");
    }
    assert!(group.processes().unwrap().contains(&pid));
    group.kill(LONG).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    assert!(group.processes().unwrap().is_empty());
    group.remove(LONG).unwrap();
    assert!(host.is_gone("c"));
}

#[test]
fn frozen_processes_stand_still_and_still_die() {
    let Some(host) = Host::with(Version::V1) else { return };
    let group = host.create("c", &Resources::default()).unwrap();
    let mut child = start(&group, "sleep 1000");
    assert_eq!(group.freezer_state().unwrap(), FreezerState::Thawed);
    group.freeze().unwrap();
    assert_eq!(group.freezer_state().unwrap(), FreezerState::Frozen);
    // A signal does not thaw what somebody else froze.
    group.signal(libc::SIGTERM).unwrap();
    assert!(group.is_frozen().unwrap());
    group.thaw().unwrap();
    assert!(!group.is_frozen().unwrap());
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));

    let mut child = start(&group, "sleep 1000");
    group.freeze().unwrap();
    group.kill(LONG).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    group.remove(LONG).unwrap();
}

#[test]
fn a_frozen_sub_cgroup_does_not_survive() {
    let Some(host) = Host::with(Version::V1) else { return };
    let group = host.create("c", &Resources::default()).unwrap();
    let freezer = host.directory("freezer", "c");
    for sub in ["a", "a/b"] {
        std::fs::create_dir(format!("{freezer}/{sub}")).unwrap();
    }
    let mut child = start(&group, "sleep 1000");
    let pid = child.id();
    std::fs::write(format!("{freezer}/a/b/cgroup.procs"), pid.to_string()).unwrap();
    std::fs::write(format!("{freezer}/a/b/freezer.state"), "FROZEN").unwrap();
    std::fs::write(format!("{freezer}/a/freezer.state"), "FROZEN").unwrap();
    assert!(group.processes().unwrap().contains(&(pid as i32)));
    group.kill(LONG).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    group.remove(LONG).unwrap();
    assert!(host.is_gone("c"));
}

#[test]
fn a_fork_bomb_is_killed() {
    let Some(host) = Host::with(Version::V1) else { return };
    let limits = Resources { pids: Some(Pids { limit: Some(40) }), ..Resources::default() };
    let group = host.create("c", &limits).unwrap();
    let mut child = start(&group, "f() { f & f & wait; }; f 2>/dev/null; sleep 1000");
    group.kill(LONG).unwrap();
    child.wait().unwrap();
    group.remove(LONG).unwrap();
    assert!(host.is_gone("c"));
}

#[test]
fn a_cgroup_in_use_is_refused_and_left_alone() {
    let Some(host) = Host::with(Version::V1) else { return };
    let group = host.create("c", &Resources::default()).unwrap();
    let mut child = start(&group, "sleep 1000");
    let error = host.create("c", &docker()).unwrap_err();
    assert_eq!(error.code(), Code::CGROUP_PATH);
    assert!(error.to_string().contains("container's cgroup is not empty"), "{error}");
    assert!(group.processes().unwrap().contains(&(child.id() as i32)));
    group.kill(LONG).unwrap();
    child.wait().unwrap();
    // Empty it is taken, and its old limits give way.
    host.create("c", &docker()).unwrap();
    let mut small = docker();
    small.memory = Some(Memory { limit: Some(1 << 30), swap: Some(1 << 30), ..Memory::default() });
    host.create("c", &small).unwrap();
    assert_eq!(host.read("memory", "c", "memory.memsw.limit_in_bytes"), "1073741824");
    // Frozen it is not.
    group.freeze().unwrap();
    let error = host.create("c", &docker()).unwrap_err();
    assert!(error.to_string().contains("unexpectedly frozen"), "{error}");
    let error = host.create("c/below", &docker()).unwrap_err();
    assert!(error.to_string().contains("unexpectedly frozen"), "{error}");
    assert!(host.is_gone("c/below"));
    group.thaw().unwrap();
    group.remove(LONG).unwrap();
}

#[test]
fn a_refused_limit_leaves_nothing() {
    let Some(host) = Host::with(Version::V1) else { return };
    let limits = Resources {
        cpu: Some(Cpu { cpus: "60000".into(), ..Cpu::default() }),
        ..Resources::default()
    };
    let error = host.create("deep/er/c", &limits).unwrap_err();
    assert_eq!(error.code(), Code::CGROUP_FAILED);
    let text = error.to_string();
    assert!(
        text.contains("write \"60000\" to") && text.contains("/linux/resources/cpu/cpus"),
        "{text}"
    );
    assert!(host.is_gone("deep/er/c") && host.is_gone("deep"));
}

#[test]
fn exec_joins_sub_cgroups() {
    let Some(host) = Host::with(Version::V1) else { return };
    let group = host.create("c", &Resources::default()).unwrap();
    let hierarchies = host.layout.hierarchies().len();
    let join = group.join().unwrap();
    assert_eq!(join.tasks.len() + usize::from(join.into.is_some()), hierarchies);
    std::fs::create_dir(format!("{}/sub", host.directory("pids", "c"))).unwrap();
    group.join_sub(&[SubCgroup::parse("pids:sub").unwrap()]).unwrap();
    for bad in ["sub", "pids:gone", "nonsense:sub"] {
        group.join_sub(&[SubCgroup::parse(bad).unwrap()]).unwrap_err();
    }
    // A process outside has no place beside which another could be.
    assert!(group.join_beside(1).is_err() || group.unified().is_none());
    group.remove(LONG).unwrap();
    assert!(group.join().is_err());
    assert!(group.processes().unwrap().is_empty());
    assert!(!group.is_frozen().unwrap());
    group.kill(LONG).unwrap();
}
