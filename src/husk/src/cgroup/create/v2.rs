//! What is particular to pure v2: controllers are handed down from parent to child, and devices are
//! decided by a program.

use crate::cgroup::controllers::memory::UsageCheck;
use crate::cgroup::dir::Dir;
use crate::cgroup::group::{Part, failed};
use crate::cgroup::write::Write;
use crate::error::{Code, Failure};
use crate::sys::bpf::{self, Insn};
use nix::errno::Errno;
use std::os::fd::AsFd;

/// Controllers that a threaded cgroup can have.
const THREADED: [&str; 4] = ["cpu", "cpuset", "perf_event", "pids"];

/// Has every controller of the root handed down to `dir`, as far as its parents allow: also those
/// without a limit, since engines read the statistics of all. What `writes` need must be there.
pub(super) fn enable_controllers(
    part: &Part,
    dir: &Dir,
    offered: &[String],
    writes: &[Write],
) -> Result<(), Failure> {
    let missing = missing(dir, offered)?;
    if missing.is_empty() {
        return Ok(());
    }
    let refused = hand_down(part, &missing)?;
    let missing = self::missing(dir, &missing)?;
    if missing.is_empty() {
        return Ok(());
    }
    become_threaded(dir, &missing, writes)?;
    match writes.iter().find(|w| missing.iter().any(|m| m == controller(w))) {
        None => Ok(()),
        Some(write) => {
            let doing = format!("enable the {} controller for {}", controller(write), dir.path());
            let failure = Failure::new(Code::CGROUP_CONTROLLER, doing).at(&write.pointer);
            let failure = match refused {
                Some((_, errno)) => failure.errno("write", errno as i32),
                None => failure,
            };
            Err(failure.hint(match refused {
                Some((at, Errno::EBUSY)) => format!(
                    "{at} has processes of its own and so cannot hand controllers down; choose \
                     another cgroupsPath"
                ),
                Some((at, _)) => format!("{at} cannot hand it down; is it delegated to husk?"),
                None => "a cgroup above does not have it; choose another cgroupsPath".to_owned(),
            }))
        }
    }
}

fn controller(write: &Write) -> &str {
    write.file.split('.').next().unwrap_or_default()
}

/// Which of `wanted` the cgroup does not have.
fn missing(dir: &Dir, wanted: &[String]) -> Result<Vec<String>, Failure> {
    let file = "cgroup.controllers";
    let text = dir
        .read_line(file)
        .map_err(|errno| failed(format!("read {}/{file}", dir.path()), "read", errno))?;
    let has = |name: &String| text.split_whitespace().any(|n| n == name);
    Ok(wanted.iter().filter(|name| !has(name)).cloned().collect())
}

/// Enables `controllers` in every cgroup above, from the top. What is refused is not fatal here;
/// the last place and answer are returned.
fn hand_down(part: &Part, controllers: &[String]) -> Result<Option<(String, Errno)>, Failure> {
    let file = "cgroup.subtree_control";
    let path = part.path.as_str();
    let mut refused = None;
    let all: Vec<String> = controllers.iter().map(|c| format!("+{c}")).collect();
    for (at, _) in path.match_indices('/') {
        let above = format!("{}{}", part.mount, path.get(..at).unwrap_or_default());
        let dir =
            Dir::open(&above).map_err(|errno| failed(format!("open {above}"), "open", errno))?;
        match dir.write(file, &all.join(" ")) {
            Ok(()) => continue,
            // It has processes. Asking for single ones would get some, and make it threaded, which
            // is no more to be undone.
            Err(Errno::EBUSY) => {
                refused = Some((above, Errno::EBUSY));
                continue;
            }
            Err(_) => {}
        }
        // One that cannot be had spoils the others: ask for each.
        for one in &all {
            if let Err(errno) = dir.write(file, one) {
                refused = Some((above.clone(), errno));
            }
        }
    }
    Ok(refused)
}

/// Below a threaded cgroup nothing can be run but in another threaded one, and that has no
/// controllers of memory or devices.
fn become_threaded(dir: &Dir, missing: &[String], writes: &[Write]) -> Result<(), Failure> {
    if dir.read_line("cgroup.type").unwrap_or_default() != "domain invalid" {
        return Ok(());
    }
    let domain = writes.iter().find(|w| {
        let needed = controller(w);
        missing.iter().any(|m| m == needed) && !THREADED.contains(&needed)
    });
    if let Some(write) = domain {
        let doing = format!("limit {} in {}", controller(write), dir.path());
        return Err(Failure::new(Code::CGROUP_CONTROLLER, doing)
            .at(&write.pointer)
            .hint("the cgroup above is threaded; choose a cgroupsPath that is not below it"));
    }
    dir.write("cgroup.type", "threaded").map_err(|errno| {
        failed(format!("make {} threaded", dir.path()), "write", errno)
            .hint("the cgroup above is threaded; choose a cgroupsPath that is not below it")
    })
}

/// Refuses limits that are not above what is in use already.
pub(in crate::cgroup) fn check_usage(dir: &Dir, checks: &[UsageCheck]) -> Result<(), Failure> {
    if checks.is_empty() {
        return Ok(());
    }
    // What cannot be read cannot be compared; the kernel has the last word then.
    let usage = dir.read("memory.current").ok().and_then(|t| t.trim().parse::<u64>().ok());
    let Some(usage) = usage else { return Ok(()) };
    match checks.iter().find(|check| check.limit <= usage) {
        None => Ok(()),
        Some(check) => {
            let doing =
                format!("set a memory limit of {} bytes: {usage} bytes are in use", check.limit);
            Err(Failure::new(Code::CGROUP_LIMIT, doing)
                .at(&check.pointer)
                .hint("ask for more, or leave checkBeforeUpdate out to have memory reclaimed"))
        }
    }
}

/// Loads the device program and attaches it. One that the cgroup already has is replaced in one
/// step, so that devices are guarded at every moment.
pub(super) fn set_program(dir: &Dir, program: &[Insn], fresh: bool) -> Result<(), Failure> {
    let refused = |doing: &str, errno: Errno| {
        let failure = failed(format!("{doing} the device program of {}", dir.path()), "bpf", errno)
            .at("/linux/resources/devices");
        match errno {
            Errno::EPERM => failure.hint("husk needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN"),
            Errno::ENOSYS => failure.hint("the kernel needs CONFIG_BPF_SYSCALL"),
            Errno::EINVAL => failure.hint("the kernel needs CONFIG_CGROUP_BPF"),
            _ => failure,
        }
    };
    let new = bpf::load_device_program(program).map_err(|errno| refused("load", errno))?;
    let old = if fresh {
        Vec::new()
    } else {
        bpf::attached(dir.as_fd()).map_err(|errno| refused("look for", errno))?
    };
    // Several are not of our making. Ours comes beside them: all have to allow a device.
    let old = match old.as_slice() {
        [one] => bpf::program_by_id(*one).ok(),
        _ => None,
    };
    let old = old.as_ref().map(AsFd::as_fd);
    bpf::attach_device_program(dir.as_fd(), new.as_fd(), old)
        .map_err(|errno| refused("attach", errno))
}
