//! A cgroup of one's own for a test, and processes in it.

use super::sys;
use crate::cgroup::dir::Dir;
use crate::cgroup::group::{Member, Part};
use crate::cgroup::path::CgroupPath;
use crate::cgroup::{Cgroup, CgroupPlan, Hierarchy, Join, Layout, Request, Version};
use crate::config::Resources;
use crate::error::{Error, Problems};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longest wait of a test for anything.
pub const LONG: Duration = Duration::from_secs(20);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A parent cgroup that is removed, with whatever is in it, when the test ends.
pub struct Host {
    pub layout: Layout,
    parent: String,
}

impl Host {
    /// This machine, if the tests can use it and it limits through `version`.
    pub fn with(version: Version) -> Option<Self> {
        let root = std::fs::metadata("/proc/self")
            .map(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
            .unwrap_or_default();
        let layout = Layout::detect().unwrap();
        if !root || layout.version() != version || layout.hierarchies().is_empty() {
            eprintln!("skipped: needs root and a host that limits through {version:?}");
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let parent = format!("/husk-test-{}-{number}", std::process::id());
        Some(Self { layout, parent })
    }

    /// A path below the test's parent.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.parent)
    }

    /// A plan for the cgroup `name`.
    pub fn plan(&self, name: &str, resources: &Resources<'_>) -> CgroupPlan {
        let path = self.path(name);
        let request = Request {
            id: name,
            cgroups_path: &path,
            resources: Some(resources),
            devices: &[],
            driver: crate::cgroup::Driver::Cgroupfs,
            rootless: false,
        };
        let mut problems = Problems::default();
        let plan = CgroupPlan::new(&request, &self.layout, &mut problems).unwrap();
        assert!(problems.list().is_empty(), "{:?}", problems.list());
        plan.unwrap()
    }

    /// The cgroup `name`, made.
    pub fn create(&self, name: &str, resources: &Resources<'_>) -> Result<Cgroup, Error> {
        self.plan(name, resources).create()
    }

    /// The file of the cgroup `name` in the hierarchy of `controller`.
    pub fn read(&self, controller: &str, name: &str, file: &str) -> String {
        let path = format!("{}/{file}", self.directory(controller, name));
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}")).trim().to_owned()
    }

    /// The directory of the cgroup `name` in the hierarchy of `controller`.
    pub fn directory(&self, controller: &str, name: &str) -> String {
        format!("{}{}", self.mount(controller), self.path(name))
    }

    /// Whether the cgroup `name` is nowhere.
    pub fn is_gone(&self, name: &str) -> bool {
        let path = self.path(name);
        self.layout.hierarchies().iter().all(|h| Dir::open(&format!("{}{path}", h.mount)).is_err())
    }

    fn mount(&self, controller: &str) -> &str {
        let mut all = self.layout.hierarchies().iter();
        let found = match self.layout.version() {
            Version::V1 if controller == "unified" => all.find(|h| h.is_unified()),
            Version::V1 => all.find(|h| h.has(controller)),
            Version::V2 => all.next(),
        };
        &found.unwrap_or_else(|| panic!("no {controller} here")).mount
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Also what a failed test has left running.
        let path = CgroupPath::parse(&self.parent).unwrap();
        let part = |h: &Hierarchy| Member::new(Part::new(&h.names, &h.mount, path.clone()), None);
        let parts = self.layout.hierarchies().iter().map(part).collect();
        let parent = Cgroup { version: self.layout.version(), parts };
        let _ = parent.kill(LONG);
        let _ = parent.remove(LONG);
    }
}

/// Starts a shell script in a cgroup: the child moves itself before it becomes the shell.
pub fn start(group: &Cgroup, script: &str) -> Child {
    let Join { into, mut tasks } = group.join().unwrap();
    if into.is_some() {
        let dir = group.unified().unwrap().dir().unwrap();
        tasks.push(dir.open_for_write("cgroup.procs").unwrap());
    }
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("echo ready; {script}")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    sys::enter(&mut command, tasks);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}
