//! The cpuset hierarchy of v1, where a new cgroup has no CPU and no memory until it is given some,
//! and so have its parents.

use super::directory::{Made, make_path};
use crate::cgroup::dir::Dir;
use crate::cgroup::group::{Part, failed};
use crate::cgroup::path::parent;
use crate::error::Failure;
use nix::errno::Errno;

const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// Makes the parents of `part` and fills those that are empty, from the top.
pub(super) fn make_parents(part: &Part, made: &mut Made) -> Result<(), Failure> {
    let path = part.path.as_str();
    for (at, _) in path.match_indices('/').skip(1) {
        let directory = format!("{}{}", part.mount, path.get(..at).unwrap_or_default());
        make_path(&part.mount, &directory, made)?;
        fill(&open(&directory)?)?;
    }
    Ok(())
}

/// Gives a cgroup what its parent has, where it has nothing.
pub(super) fn fill(dir: &Dir) -> Result<(), Failure> {
    let mut above = None;
    for file in FILES {
        if !read(dir, file)?.trim().is_empty() {
            continue;
        }
        let above = match &mut above {
            Some(dir) => dir,
            none => none.insert(open(parent(dir.path()))?),
        };
        let value = read(above, file)?;
        dir.write(file, value.trim()).map_err(|errno| refused("write", dir, file, errno))?;
    }
    Ok(())
}

fn open(directory: &str) -> Result<Dir, Failure> {
    Dir::open(directory).map_err(|errno| failed(format!("open {directory}"), "open", errno))
}

fn read(dir: &Dir, file: &str) -> Result<String, Failure> {
    dir.read(file).map_err(|errno| refused("read", dir, file, errno))
}

fn refused(call: &'static str, dir: &Dir, file: &str, errno: Errno) -> Failure {
    failed(format!("{call} {}/{file}", dir.path()), call, errno)
        .hint("a cgroup of v1 needs CPUs and memory nodes from its parent before it can be used")
}
