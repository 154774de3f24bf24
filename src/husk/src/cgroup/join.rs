//! Descriptors with which a process gets into a cgroup.
//!
//! Writing another process's number into `cgroup.procs` makes the kernel wait for a grace period of
//! some ten milliseconds. A process that is born in its cgroup (`CLONE_INTO_CGROUP`, version 2), or
//! that moves itself while it has one thread (`0` into `tasks`, version 1), does not wait.

use super::dir::{Dir, open_file_for_write, read_file};
use super::group::{Cgroup, Member, failed};
use super::layout::{Version, own_cgroup};
use super::path::sub_path;
use crate::error::{Code, Error, Failure};
use nix::errno::Errno;
use std::os::fd::OwnedFd;

/// How a new process gets into a cgroup. Both may be needed: on a hybrid host it is born into the
/// one and moves itself into the others. Without either there is no cgroup to get into.
#[derive(Debug, Default)]
pub struct Join {
    /// Directory for the `cgroup` member of clone3's arguments.
    pub into: Option<OwnedFd>,
    /// `tasks` files that are open for writing: the new process, still with one thread, writes `0`
    /// to each. The kernel checks the rights of who opened them.
    pub tasks: Vec<OwnedFd>,
}

/// A cgroup below the container's, for `exec --cgroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubCgroup {
    /// Controllers of v1 that it is for; empty: all.
    controllers: Vec<String>,
    /// Path below the container's cgroup; empty, or beginning with `/`.
    path: String,
}

impl SubCgroup {
    /// Reads `[CONTROLLER[,CONTROLLER…]:]PATH`.
    ///
    /// # Errors
    /// [`Code::CGROUP_PATH`] when the path would leave the container's cgroup.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            Some((controllers, path)) => {
                let controllers: Vec<String> = controllers.split(',').map(str::to_owned).collect();
                Self::new(&controllers, path)
            }
            None => Self::new(&[], text),
        }
    }

    /// One whose controllers and path have been told apart already.
    ///
    /// # Errors
    /// As [`SubCgroup::parse`].
    pub fn new(controllers: &[String], path: &str) -> Result<Self, Error> {
        let refused = |reason: String| {
            let doing = format!("bad sub cgroup path: {path}: {reason}");
            Error::from(Failure::new(Code::CGROUP_PATH, doing))
        };
        if controllers.iter().any(String::is_empty) {
            return Err(refused("a controller without a name".to_owned()));
        }
        let path = sub_path(path).map_err(refused)?;
        Ok(Self { controllers: controllers.to_vec(), path })
    }

    fn is_for(&self, member: &Member) -> bool {
        self.controllers.is_empty() || self.controllers.iter().any(|c| member.part.has(c))
    }
}

impl Cgroup {
    /// The way into the container's cgroup.
    ///
    /// System calls: one for each hierarchy, or two to four where its directory was not open.
    ///
    /// # Errors
    /// [`Code::CGROUP_FAILED`] when the cgroup is gone or cannot be opened.
    pub fn join(&self) -> Result<Join, Error> {
        self.join_sub(&[])
    }

    /// The way into cgroups below the container's, which must exist; in hierarchies that `subs` do
    /// not name, the container's own.
    ///
    /// # Errors
    /// [`Code::CGROUP_PATH`] when `subs` name a controller that the container has no cgroup of.
    pub fn join_sub(&self, subs: &[SubCgroup]) -> Result<Join, Error> {
        self.require_known(subs)?;
        let mut join = Join::default();
        for member in &self.parts {
            let sub = subs.iter().rev().find(|sub| sub.is_for(member));
            let path = sub.map_or("", |sub| sub.path.trim_start_matches('/'));
            if member.part.is_unified() {
                join.into = Some(directory(member, path)?);
            } else {
                join.tasks.push(tasks(member, path)?);
            }
        }
        Ok(join)
    }

    /// The way to where the process `pid`, the container's init, is: version 2 takes no process into
    /// a cgroup that hands controllers to others, and an init such as systemd's makes the container's
    /// cgroup one of that kind. The kernel then answers EBUSY to the way of [`Cgroup::join`].
    ///
    /// # Errors
    /// [`Code::CGROUP_FAILED`] when the process is gone, or is not below the container's cgroup.
    pub fn join_beside(&self, pid: i32) -> Result<Join, Error> {
        let mut join = Join::default();
        for member in &self.parts {
            if member.part.is_unified() {
                let sub = below(member, pid)?;
                join.into = Some(directory(member, sub.trim_start_matches('/'))?);
            } else {
                join.tasks.push(tasks(member, "")?);
            }
        }
        Ok(join)
    }

    fn require_known(&self, subs: &[SubCgroup]) -> Result<(), Error> {
        for controller in subs.iter().flat_map(|sub| &sub.controllers) {
            let known = self.parts.iter().any(|m| m.part.has(controller));
            if !known {
                let doing = match self.version {
                    Version::V1 => format!("unknown controller {controller} in --cgroup"),
                    Version::V2 => {
                        format!(
                            "--cgroup names the controller {controller}, but v2 has one hierarchy"
                        )
                    }
                };
                return Err(Failure::new(Code::CGROUP_PATH, doing).into());
            }
        }
        Ok(())
    }
}

/// Where the process `pid` is, below the container's cgroup; empty, or beginning with `/`.
fn below(member: &Member, pid: i32) -> Result<String, Error> {
    let file = format!("/proc/{pid}/cgroup");
    let text = read_file(&file).map_err(|errno| failed(format!("read {file}"), "open", errno))?;
    let path = own_cgroup(&text, &member.part.names).unwrap_or_default();
    let ours = member.part.path.as_str();
    // In a container of its own husk sees a part of the path: what counts is how it ends.
    let below = path.find(ours).and_then(|at| path.get(at.saturating_add(ours.len())..));
    match below {
        Some(sub) if sub.is_empty() || sub.starts_with('/') => Ok(sub.to_owned()),
        _ => Err(Failure::new(
            Code::CGROUP_FAILED,
            format!("find process {pid} below {ours}: it is in {path}"),
        )
        .into()),
    }
}

fn directory(member: &Member, sub: &str) -> Result<OwnedFd, Error> {
    let opened = member.dir().and_then(|dir| match sub {
        "" => dir.duplicate(),
        _ => dir.child(sub),
    });
    opened.map(Dir::into_fd).map_err(|errno| gone(member, sub, errno))
}

fn tasks(member: &Member, sub: &str) -> Result<OwnedFd, Error> {
    let slash = if sub.is_empty() { "" } else { "/" };
    let opened = match member.opened() {
        Some(dir) => dir.open_for_write(&format!("{sub}{slash}tasks")),
        None => open_file_for_write(&format!("{}/{sub}{slash}tasks", member.part.directory())),
    };
    opened.map_err(|errno| gone(member, sub, errno))
}

fn gone(member: &Member, sub: &str, errno: Errno) -> Error {
    let directory = member.part.directory();
    let slash = if sub.is_empty() { "" } else { "/" };
    failed(format!("open the cgroup {directory}{slash}{sub}"), "openat", errno).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_cgroups() {
        let sub = |controllers: &[&str], path: &str| SubCgroup {
            controllers: controllers.iter().map(|c| (*c).to_owned()).collect(),
            path: path.to_owned(),
        };
        for (text, parsed) in [
            ("", sub(&[], "")),
            ("/", sub(&[], "")),
            ("a/b", sub(&[], "/a/b")),
            ("/a//b/", sub(&[], "/a/b")),
            ("cpu,memory:x", sub(&["cpu", "memory"], "/x")),
            ("cpu:/", sub(&["cpu"], "")),
        ] {
            assert_eq!(SubCgroup::parse(text).unwrap(), parsed, "{text}");
        }
        for bad in ["..", "../x", "a/../b", "cpu:../x", ":x", "cpu,:x", "a\nb"] {
            assert_eq!(SubCgroup::parse(bad).unwrap_err().code(), Code::CGROUP_PATH, "{bad}");
        }
    }
}
