//! Who is in a cgroup, and in the cgroups below it.

use super::dir::Dir;
use super::group::{Cgroup, Member, failed, is_gone};
use super::layout::Version;
use crate::error::Error;
use nix::errno::Errno;
use std::time::{Duration, Instant};

/// Hierarchies of v1 in which the processes are looked for, in order of preference.
const BEST: [&str; 5] = ["freezer", "devices", "pids", "memory", "cpu"];
/// Longest walk over the cgroups of one container.
const LONGEST_WALK: Duration = Duration::from_secs(10);

impl Cgroup {
    /// The processes in the cgroup and all below it, by their numbers in husk's own pid namespace,
    /// in ascending order. Empty when the cgroup is gone.
    ///
    /// # Errors
    /// [`crate::error::Code::CGROUP_FAILED`] when a list cannot be read.
    pub fn processes(&self) -> Result<Vec<i32>, Error> {
        let Some(member) = self.census() else { return Ok(Vec::new()) };
        let mut pids = Vec::new();
        let walked = walk(member, |dir| {
            pids.extend(listed(dir)?);
            Ok(())
        });
        match walked {
            Ok(()) => {
                pids.sort_unstable();
                pids.dedup();
                Ok(pids)
            }
            Err(errno) => {
                let doing = format!("list the processes of {}", member.part.directory());
                Err(failed(doing, "read", errno).into())
            }
        }
    }

    /// Where the processes are looked for.
    pub(super) fn census(&self) -> Option<&Member> {
        match self.version {
            Version::V2 => self.parts.first(),
            Version::V1 => {
                let best = BEST.iter().find_map(|name| self.member(name));
                best.or_else(|| self.parts.first())
            }
        }
    }
}

/// The processes listed in one directory, without those of other pid namespaces.
pub(super) fn listed(dir: &Dir) -> Result<Vec<i32>, Errno> {
    let text = match dir.read("cgroup.procs") {
        // A threaded cgroup lists threads only.
        Err(Errno::EOPNOTSUPP) => dir.read("cgroup.threads")?,
        other => other?,
    };
    Ok(text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect())
}

/// Calls `enter` for the directory of `member` and all below it, parents first. Directories that
/// vanish meanwhile are passed over.
pub(super) fn walk(
    member: &Member,
    mut enter: impl FnMut(&Dir) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let top = match member.dir().and_then(Dir::duplicate) {
        Ok(top) => top,
        Err(errno) if is_gone(errno) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    walk_tree(top, &mut enter, &mut |_, _| Ok(()))
}

/// Calls `enter` for `top` and every directory below it before those in it, and `leave` with the
/// parent and the name of every directory below `top` after those in it.
///
/// A container with a writable cgroup mount can nest as deep as it likes, so one descriptor is held
/// and the way back goes by `..`, which in these file systems is where one came from.
pub(super) fn walk_tree(
    top: Dir,
    enter: &mut dyn FnMut(&Dir) -> Result<(), Errno>,
    leave: &mut dyn FnMut(&Dir, &str) -> Result<(), Errno>,
) -> Result<(), Errno> {
    struct Level {
        name: String,
        todo: Vec<String>,
    }
    let start = Instant::now();
    let mut levels = Vec::new();
    let Some(todo) = present(enter(&top).and_then(|()| top.children()))? else { return Ok(()) };
    levels.push(Level { name: String::new(), todo });
    let mut here = top;
    while let Some(level) = levels.last_mut() {
        if start.elapsed() > LONGEST_WALK {
            return Err(Errno::ETIMEDOUT);
        }
        if let Some(name) = level.todo.pop() {
            let Some(child) = present(here.child(&name))? else { continue };
            let Some(todo) = present(enter(&child).and_then(|()| child.children()))? else {
                continue;
            };
            levels.push(Level { name, todo });
            here = child;
            continue;
        }
        let done = levels.pop().map(|level| level.name).unwrap_or_default();
        if levels.is_empty() {
            break;
        }
        // When this directory has been removed meanwhile there is no way back; the caller tries
        // again or is content.
        let Some(above) = present(here.above())? else { return Ok(()) };
        present(leave(&above, &done))?;
        here = above;
    }
    Ok(())
}

fn present<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(errno) if is_gone(errno) => Ok(None),
        Err(errno) => Err(errno),
    }
}
