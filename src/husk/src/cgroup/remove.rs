//! Removing a container's cgroup, with those that it made below.

use super::dir::{Dir, rmdir};
use super::group::{Cgroup, Member, is_gone};
use super::processes::{listed, walk, walk_tree};
use super::wait::Backoff;
use crate::error::{Code, Error, Failure};
use nix::errno::Errno;
use std::time::Duration;

impl Cgroup {
    /// Removes the cgroup from every hierarchy, with all below it. A process that has just died
    /// keeps its cgroup busy for a moment: that is waited for, at most `most`. What is gone already
    /// is no error; parents stay.
    ///
    /// System calls: two for each hierarchy when nothing is in the way.
    ///
    /// # Errors
    /// [`Code::CGROUP_FAILED`] when a directory cannot be removed; the others are.
    pub fn remove(&self, most: Duration) -> Result<(), Error> {
        let mut time = Backoff::new(most);
        let mut left: Vec<&Member> = self.parts.iter().collect();
        let mut failure = None;
        loop {
            left.retain(|member| match remove_tree(member) {
                Ok(()) => false,
                Err(Errno::EBUSY | Errno::ENOTEMPTY) => true,
                Err(errno) => {
                    failure.get_or_insert_with(|| refused(member, errno));
                    false
                }
            });
            match left.first() {
                None => break,
                Some(member) if !time.pause() => {
                    failure.get_or_insert_with(|| refused(member, Errno::EBUSY));
                    break;
                }
                Some(_) => {}
            }
        }
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }
}

fn remove_tree(member: &Member) -> Result<(), Errno> {
    let directory = member.part.directory();
    match rmdir(&directory) {
        Err(Errno::EBUSY | Errno::ENOTEMPTY) => {}
        Err(errno) if is_gone(errno) => return Ok(()),
        other => return other,
    }
    // Busy with processes, or with cgroups below.
    let top = match member.dir() {
        Ok(top) => top,
        Err(errno) if is_gone(errno) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    if !top.has_children()? {
        return Err(Errno::EBUSY);
    }
    let mut busy = None;
    walk_tree(top.duplicate()?, &mut |_| Ok(()), &mut |above, name| {
        match above.rmdir(name) {
            Err(errno @ (Errno::EBUSY | Errno::ENOTEMPTY)) => busy = Some(errno),
            other => return other,
        }
        Ok(())
    })?;
    match busy {
        Some(errno) => Err(errno),
        None => match rmdir(&directory) {
            Err(errno) if is_gone(errno) => Ok(()),
            other => other,
        },
    }
}

fn refused(member: &Member, errno: Errno) -> Failure {
    let doing = format!("remove the cgroup {}", member.part.directory());
    let failure = Failure::new(Code::CGROUP_FAILED, doing).errno("rmdir", errno as i32);
    let mut pids = Vec::new();
    let _ = walk(member, |dir: &Dir| {
        pids.extend(listed(dir)?);
        Ok(())
    });
    if pids.is_empty() {
        return failure;
    }
    let list: Vec<String> = pids.iter().take(10).map(i32::to_string).collect();
    failure.hint(format!("these processes are still in it: {}", list.join(", ")))
}
