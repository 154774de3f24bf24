//! Reads control group files under either layout.

use std::fs;
use std::path::PathBuf;

use crate::context::Context;

/// The directory of `path` in the hierarchy that has `controller`.
pub fn dir(context: &Context, controller: &str, path: &str) -> PathBuf {
    let groups = &context.cgroups;
    let root = if groups.is_pure_v2() { groups.v2.as_ref() } else { groups.v1.get(controller) };
    root.unwrap_or_else(|| panic!("no {controller} hierarchy")).join(path.trim_start_matches('/'))
}

/// The content of a file that has one name on v1 and another on v2.
#[track_caller]
pub fn read(context: &Context, controller: &str, path: &str, v1: &str, v2: &str) -> String {
    let file = if context.cgroups.is_pure_v2() { v2 } else { v1 };
    let path = dir(context, controller, path).join(file);
    fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .trim()
        .to_owned()
}

/// Processes in a cgroup and all below it.
pub fn members(dir: &std::path::Path) -> Vec<i32> {
    let list = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<i32> = list.lines().filter_map(|l| l.parse().ok()).collect();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            pids.extend(members(&entry.path()));
        }
    }
    pids
}
