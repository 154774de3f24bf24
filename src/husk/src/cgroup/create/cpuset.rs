//! The cpuset hierarchy of v1, where a new cgroup has no CPU and no memory until it is given some,
//! and can be given none before its parent has some.

use crate::cgroup::dir::Dir;
use crate::cgroup::group::{Part, failed};
use crate::cgroup::path::parent;
use crate::cgroup::write::Write;
use crate::error::Failure;
use nix::errno::Errno;

const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// Gives a cgroup what its parent has, for the files that `writes` do not write. Parents that are
/// empty, as those that were just made, are filled first, from the top.
/// In a cgroup that was there before, what it has stays.
pub(super) fn fill(part: &Part, dir: &Dir, fresh: bool, writes: &[Write]) -> Result<(), Failure> {
    let above = open(parent(dir.path()))?;
    for file in FILES {
        let mut value = read(&above, file)?;
        if value.is_empty() {
            fill_parents(part, file)?;
            value = read(&above, file)?;
        }
        let given = writes.iter().any(|write| write.file == file);
        if !given && (fresh || read(dir, file)?.is_empty()) {
            set(dir, file, &value)?;
        }
    }
    Ok(())
}

fn fill_parents(part: &Part, file: &str) -> Result<(), Failure> {
    let mut value = read(&open(&part.mount)?, file)?;
    let path = part.path.as_str();
    for (at, _) in path.match_indices('/').skip(1) {
        let dir = open(&format!("{}{}", part.mount, path.get(..at).unwrap_or_default()))?;
        let own = read(&dir, file)?;
        if own.is_empty() {
            set(&dir, file, &value)?;
        } else {
            value = own;
        }
    }
    Ok(())
}

fn open(directory: &str) -> Result<Dir, Failure> {
    Dir::open(directory).map_err(|errno| failed(format!("open {directory}"), "open", errno))
}

fn read(dir: &Dir, file: &str) -> Result<String, Failure> {
    dir.read_line(file).map_err(|errno| refused("read", dir, file, errno))
}

fn set(dir: &Dir, file: &str, value: &str) -> Result<(), Failure> {
    dir.write(file, value).map_err(|errno| refused("write", dir, file, errno))
}

fn refused(call: &'static str, dir: &Dir, file: &str, errno: Errno) -> Failure {
    failed(format!("{call} {}/{file}", dir.path()), call, errno)
        .hint("a cgroup of v1 needs CPUs and memory nodes from its parent before it can be used")
}
