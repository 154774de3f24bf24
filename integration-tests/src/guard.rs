//! Proves that a test left nothing behind, and cleans up after one that did.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::context::Context;
use crate::host::{self, Cgroups};

/// Parent of the cgroups that the tests ask for, below each hierarchy's root.
pub const COMMON_PARENT: &str = "husk-test";

/// What the machine looked like before the test.
pub struct Snapshot {
    mounts: Vec<String>,
    descriptors: BTreeMap<i32, String>,
    host_name: String,
    sysctls: String,
    devices: String,
}

impl Snapshot {
    /// Looks at the test process and at the host.
    pub fn take(_: &Context) -> Self {
        Snapshot {
            mounts: mounts(),
            descriptors: descriptors(),
            host_name: host_name(),
            sysctls: host_sysctls(),
            devices: host_devices(),
        }
    }

    /// Everything that is there now and was not there before, one line each.
    pub fn left_behind(&self, context: &Context) -> Vec<String> {
        let mut left = Vec::new();
        for (pid, what) in lingering_children() {
            left.push(format!("process {pid} {what}"));
        }
        for dir in cgroups_named(context.token()) {
            left.push(format!("cgroup {}", dir.display()));
        }
        let now = mounts();
        left.extend(now.iter().filter(|m| !self.mounts.contains(m)).map(|m| format!("mount {m}")));
        // A mount also ends when somebody on the host removes the directory it is on.
        let stands = |m: &&String| m.split(' ').nth(4).is_some_and(|p| Path::new(p).exists());
        left.extend(
            self.mounts
                .iter()
                .filter(|m| !now.contains(m))
                .filter(stands)
                .map(|m| format!("lost mount {m}")),
        );
        for (fd, target) in descriptors() {
            if self.descriptors.get(&fd) != Some(&target) {
                left.push(format!("descriptor {fd} -> {target}"));
            }
        }
        for entry in state_entries(&context.state_root()) {
            left.push(format!("state {entry}"));
        }
        if host_name() != self.host_name {
            left.push(format!("host name is now {}", host_name()));
        }
        if host_devices() != self.devices {
            left.push(format!("the host's devices are now {}", host_devices()));
        }
        if host_sysctls() != self.sysctls {
            left.push(format!("host sysctls are now {}", host_sysctls()));
        }
        left
    }
}

/// Mount ids change when a namespace is copied, but not within one test.
fn mounts() -> Vec<String> {
    host::mountinfo().lines().map(str::to_owned).collect()
}

fn descriptors() -> BTreeMap<i32, String> {
    let Ok(dir) = fs::read_dir("/proc/self/fd") else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for entry in dir.flatten() {
        let Ok(fd) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        // The one that lists the directory is gone a moment later.
        if !target.ends_with("/fd") {
            all.insert(fd, target);
        }
    }
    all
}

fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default()
}

fn host_sysctls() -> String {
    ["kernel/msgmax", "kernel/shmmni", "kernel/domainname", "net/ipv4/ip_forward"]
        .iter()
        .map(|k| fs::read_to_string(Path::new("/proc/sys").join(k)).unwrap_or_default())
        .collect::<String>()
        .replace('\n', " ")
}

/// Owner and mode of the nodes that a container may get from the host.
fn host_devices() -> String {
    use std::os::unix::fs::MetadataExt;
    ["null", "zero", "full", "random", "urandom", "tty", "ptmx"]
        .iter()
        .filter_map(|name| Some((name, fs::metadata(Path::new("/dev").join(name)).ok()?)))
        .map(|(name, m)| format!("{name} {:o} {}:{} ", m.mode(), m.uid(), m.gid()))
        .collect()
}

/// What lies in the state root, without files that are not about a container.
pub fn state_entries(root: &Path) -> Vec<String> {
    let Ok(dir) = fs::read_dir(root) else { return Vec::new() };
    let mut names: Vec<String> =
        dir.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    // One lock file for the whole root may stay; anything with an id may not.
    names.retain(|n| n != ".lock");
    names
}

/// Children of `pid`, whichever of its threads started them.
pub fn children_of(pid: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return found };
    for task in tasks.flatten() {
        let list = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(list.split_whitespace().filter_map(|p| p.parse::<i32>().ok()));
    }
    found
}

/// Waits a while for the dying; what still lives then was forgotten by
/// somebody. It is killed after it has been noted.
fn lingering_children() -> Vec<(i32, String)> {
    let end = Instant::now() + host::deadline(5);
    loop {
        let left = children_of(std::process::id() as i32);
        if left.is_empty() || Instant::now() > end {
            let left: Vec<_> = left.into_iter().map(|pid| (pid, describe(pid))).collect();
            for (pid, _) in &left {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
            return left;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn describe(pid: i32) -> String {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let state = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let state = state.lines().find(|l| l.starts_with("State:")).unwrap_or_default().to_owned();
    format!("[{}] {state}", String::from_utf8_lossy(&text).replace('\0', " ").trim())
}

/// Directories of any hierarchy whose name holds `token`, deepest last.
pub fn cgroups_named(token: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for root in Cgroups::detect().roots() {
        walk(&root, 0, &mut |dir| {
            if dir.to_string_lossy().contains(token) {
                found.push(dir.to_owned());
            }
        });
    }
    found
}

fn walk(dir: &Path, depth: u32, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if depth < 12 && entry.file_type().is_ok_and(|t| t.is_dir()) {
            visit(&entry.path());
            walk(&entry.path(), depth + 1, visit);
        }
    }
}

/// Kills and removes what carries `token`; for tests that died in the middle.
pub fn scrub(token: &str) {
    for round in 0..50 {
        let mut dirs = cgroups_named(token);
        if dirs.is_empty() {
            return;
        }
        dirs.sort_by_key(|d| std::cmp::Reverse(d.components().count()));
        for dir in &dirs {
            let _ = fs::write(dir.join("freezer.state"), "THAWED");
            let _ = fs::write(dir.join("cgroup.freeze"), "0");
            let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            for pid in procs.lines().filter_map(|l| l.parse::<i32>().ok()).filter(|p| *p > 1) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            let _ = fs::remove_dir(dir);
        }
        std::thread::sleep(Duration::from_millis(round));
    }
}

/// The parent that all tests share goes with the last one, if it is empty.
pub fn remove_common_parent() {
    for root in Cgroups::detect().roots() {
        let _ = fs::remove_dir(root.join(COMMON_PARENT));
    }
}
