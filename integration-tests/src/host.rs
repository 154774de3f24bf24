//! Facts about the machine that decide which tests make sense.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// How control groups are mounted here.
#[derive(Debug, Clone)]
pub struct Cgroups {
    /// v1 controller (or `name=x`) to its mount point.
    pub v1: BTreeMap<String, PathBuf>,
    /// Mount point of the unified hierarchy.
    pub v2: Option<PathBuf>,
}

impl Cgroups {
    /// Reads the mounts of this process.
    pub fn detect() -> Self {
        let mut found = Cgroups { v1: BTreeMap::new(), v2: None };
        for line in mountinfo().lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let Some(point) = left.split(' ').nth(4).map(PathBuf::from) else { continue };
            if !point.starts_with("/sys/fs/cgroup") {
                continue;
            }
            let mut right = right.split(' ');
            match right.next() {
                Some("cgroup2") => found.v2 = Some(point),
                Some("cgroup") => {
                    for option in right.nth(1).unwrap_or_default().split(',') {
                        if option != "rw" && option != "ro" {
                            found.v1.insert(option.to_owned(), point.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// True when controllers sit on the unified hierarchy and nothing on v1.
    pub fn is_pure_v2(&self) -> bool {
        self.v1.is_empty() && self.v2.is_some()
    }

    /// True when the controller can limit anything here.
    pub fn has(&self, controller: &str) -> bool {
        if self.is_pure_v2() {
            let root = self.v2.as_ref().expect("checked above");
            let list = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
            list.split_whitespace().any(|c| c == controller)
        } else {
            self.v1.contains_key(controller)
        }
    }

    /// Every mounted hierarchy, each once.
    pub fn roots(&self) -> Vec<PathBuf> {
        let mut roots: Vec<PathBuf> = self.v1.values().chain(self.v2.iter()).cloned().collect();
        roots.sort();
        roots.dedup();
        roots
    }
}

/// The mount table of this process.
pub fn mountinfo() -> String {
    fs::read_to_string("/proc/self/mountinfo").expect("read /proc/self/mountinfo")
}

/// Kernel version as (major, minor).
pub fn kernel() -> (u32, u32) {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = text.split(|c: char| !c.is_ascii_digit()).map(|p| p.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// True when AppArmor can confine a process here.
pub fn has_apparmor() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|t| t.trim() == "Y")
}

/// True when SELinux is mounted.
pub fn has_selinux() -> bool {
    PathBuf::from("/sys/fs/selinux/enforce").exists()
}

/// True when the effective capability set of this process holds bit `number`.
pub fn has_capability(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status
        .lines()
        .find_map(|l| l.strip_prefix("CapEff:"))
        .and_then(|t| u64::from_str_radix(t.trim(), 16).ok())
        .unwrap_or(0);
    set & (1 << number) != 0
}

/// A deadline of `seconds` on a usual machine, stretched by `HUSK_TEST_SLOW`.
pub fn deadline(seconds: u64) -> Duration {
    let slow = std::env::var("HUSK_TEST_SLOW").ok().and_then(|s| s.parse::<u32>().ok());
    Duration::from_secs(seconds) * slow.unwrap_or(1).clamp(1, 100)
}

/// How often a repeated trial is made: `usual` times, fewer on slow machines.
pub fn rounds(usual: u32) -> u32 {
    let slow = deadline(1).as_secs().max(1) as u32;
    (usual / slow).max(5).min(usual)
}

/// True when another runtime sits in the place of the one under test.
pub fn is_peer() -> bool {
    std::env::var_os("HUSK_TEST_PEER").is_some_and(|v| !v.is_empty() && v != "0")
}

/// Waits until `ready` gives a value; panics with `what` when it never does.
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let limit = std::time::Instant::now() + deadline(20);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(std::time::Instant::now() < limit, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
