//! Making a planned cgroup and giving it its limits, while it is empty.

mod cpuset;
mod directory;
pub(super) mod v2;

use super::dir::Dir;
use super::group::{Cgroup, Member, Part, failed};
use super::layout::Version;
use super::plan::{CgroupPlan, PartPlan};
use super::write::apply;
use crate::error::{Code, Error, Failure};
use directory::{Made, make};
use nix::errno::Errno;

impl CgroupPlan {
    /// Makes the cgroup in every hierarchy and writes all limits.
    ///
    /// # Errors
    /// [`Code::CGROUP_PATH`] when the cgroup has processes or is frozen, other codes when the
    /// kernel refuses something. The directories that were made are then removed again.
    pub fn create(&self) -> Result<Cgroup, Error> {
        let mut made = Made::default();
        let mut parts = Vec::with_capacity(self.parts.len());
        for plan in &self.parts {
            match self.create_part(plan, &mut made) {
                Ok(dir) => parts.push(Member::new(plan.part.clone(), dir)),
                Err(failure) if self.optional && is_refusal(failure.errno) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        made.keep();
        Ok(Cgroup { version: self.version, parts })
    }

    /// The directory is returned where it had to be opened.
    fn create_part(&self, plan: &PartPlan, made: &mut Made) -> Result<Option<Dir>, Failure> {
        let part = &plan.part;
        let is_cpuset = part.has("cpuset");
        let directory = part.directory();
        let fresh = make(part, made)?;
        let limits = self.version == Version::V2;
        // Only what is below a frozen cgroup is born frozen, and the root never is.
        let below_root = part.path.as_str().rfind('/') == Some(0);
        let may_be_frozen = (part.has("freezer") || part.is_unified()) && !(fresh && below_root);
        let untouched = plan.writes.is_empty() && !is_cpuset && !may_be_frozen && !limits;
        if fresh && untouched {
            return Ok(None);
        }
        let dir = Dir::open(&directory)
            .map_err(|errno| failed(format!("open {directory}"), "open", errno))?;
        if !fresh {
            require_empty(&dir, part)?;
        }
        if may_be_frozen {
            require_thawed(&dir, part)?;
        }
        if limits {
            v2::enable_controllers(part, &dir, &self.controllers, &plan.writes)?;
            if !fresh {
                v2::check_usage(&dir, &self.usage_checks)?;
            }
        }
        if is_cpuset {
            cpuset::fill(part, &dir, fresh, &plan.writes)?;
        }
        apply(&dir, &plan.writes)?;
        if let Some(program) = self.program.as_ref().filter(|_| limits) {
            v2::set_program(&dir, program, fresh)?;
        }
        Ok(Some(dir))
    }
}

/// Whether the kernel says that husk may not do this.
fn is_refusal(errno: i32) -> bool {
    [Errno::EPERM, Errno::EACCES, Errno::EROFS].iter().any(|e| *e as i32 == errno)
}

/// Refuses a cgroup that something lives in: its processes would get the limits, and would be
/// killed with the container.
fn require_empty(dir: &Dir, part: &Part) -> Result<(), Failure> {
    let file = "cgroup.procs";
    let found = match dir.read(file) {
        Ok(text) => text.lines().count(),
        // A threaded cgroup lists threads only.
        Err(Errno::EOPNOTSUPP) => dir.read("cgroup.threads").map_or(1, |t| t.lines().count()),
        Err(errno) => return Err(failed(format!("read {}/{file}", dir.path()), "read", errno)),
    };
    if found == 0 {
        return Ok(());
    }
    let doing =
        format!("container's cgroup is not empty: {found} process(es) found in {}", dir.path());
    Err(in_use(doing, part))
}

/// Refuses a cgroup that is frozen, or is below a frozen one: a process started there would stand
/// still before it can say anything.
fn require_thawed(dir: &Dir, part: &Part) -> Result<(), Failure> {
    let (file, frozen) =
        if part.is_unified() { ("cgroup.events", "frozen 1") } else { ("freezer.state", "FR") };
    // Both are a few short lines.
    match dir.read_line(file) {
        Ok(text) if text.lines().any(|line| line.starts_with(frozen)) => {
            let doing = format!("container's cgroup is unexpectedly frozen: {}", dir.path());
            Err(in_use(doing, part))
        }
        // Kernels before 5.2 cannot freeze on v2.
        Ok(_) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(failed(format!("read {}/{file}", dir.path()), "read", errno)),
    }
}

fn in_use(doing: String, part: &Part) -> Failure {
    Failure::new(Code::CGROUP_PATH, doing).at("/linux/cgroupsPath").hint(format!(
        "another container or program uses {}; give this container a path of its own",
        part.path.as_str()
    ))
}
