//! Making a cgroup's directory, and unmaking it when something fails later.

use crate::cgroup::dir::rmdir;
use crate::cgroup::group::{Part, failed};
use crate::cgroup::path::parent;
use crate::error::Failure;
use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkdir;

/// How often a parent that another runtime has just removed is made again.
const MOST_RACES: u32 = 10;

/// Directories made so far; they are removed in reverse order unless [`Made::keep`] is called.
#[derive(Debug, Default)]
pub(super) struct Made(Vec<String>);

impl Made {
    /// The cgroup is complete: nothing is removed.
    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for directory in self.0.iter().rev() {
            // Nothing has ever run in them. A parent that another container moved into meanwhile
            // is busy, and stays.
            let _ = rmdir(directory);
        }
    }
}

/// Makes the directory of `part` with its parents; whether it is new.
pub(super) fn make(part: &Part, made: &mut Made) -> Result<bool, Failure> {
    let (mount, directory) = (part.mount.as_str(), &part.directory());
    for _ in 0..MOST_RACES {
        match make_one(directory, made) {
            Ok(fresh) => return Ok(fresh),
            Err(Errno::ENOENT) => make_parents(mount, directory, made)?,
            Err(errno) => return Err(refused(directory, errno)),
        }
    }
    Err(refused(directory, Errno::ENOENT))
}

fn make_parents(mount: &str, directory: &str, made: &mut Made) -> Result<(), Failure> {
    let below = directory.strip_prefix(mount).unwrap_or_default();
    for (at, _) in below.match_indices('/').skip(1) {
        let above = below.get(..at).unwrap_or_default();
        let path = format!("{mount}{above}");
        match make_one(&path, made) {
            // One that vanished again is made in the next round.
            Ok(_) | Err(Errno::ENOENT) if path != mount => {}
            Ok(_) => {}
            Err(errno) => return Err(refused(&path, errno)),
        }
    }
    Ok(())
}

fn make_one(directory: &str, made: &mut Made) -> Result<bool, Errno> {
    match mkdir(directory, Mode::from_bits_truncate(0o755)) {
        Ok(()) => {
            made.0.push(directory.to_owned());
            Ok(true)
        }
        Err(Errno::EEXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn refused(directory: &str, errno: Errno) -> Failure {
    let failure =
        failed(format!("make the cgroup {directory}"), "mkdir", errno).at("/linux/cgroupsPath");
    match errno {
        Errno::ENOENT => failure.hint(format!("is {} still mounted?", parent(directory))),
        Errno::EPERM | Errno::EACCES | Errno::EROFS => {
            failure.hint("husk needs root, or a cgroup that has been delegated to it")
        }
        Errno::EAGAIN | Errno::ENOSPC | Errno::ENOMEM => {
            failure.hint("the host has too many cgroups; look at cgroup.max.descendants")
        }
        _ => failure,
    }
}
