//! A cgroup of one's own for a test, and processes in it.

use crate::cgroup::dir::Dir;
use crate::cgroup::group::{Member, Part};
use crate::cgroup::path::CgroupPath;
use crate::cgroup::{Cgroup, CgroupPlan, Hierarchy, Join, Layout, Request, Version};
use crate::config::Resources;
use crate::error::{Error, Problems};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
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
    enter(&mut command, tasks);
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

#[allow(unsafe_code)]
fn enter(command: &mut Command, tasks: Vec<std::os::fd::OwnedFd>) {
    let enter = move || {
        for file in &tasks {
            nix::unistd::write(file, b"0")?;
        }
        Ok(())
    };
    // SAFETY: the closure only calls write(2) on descriptors that it owns.
    unsafe { command.pre_exec(enter) };
}

/// Makes a child that is born into `directory` (`CLONE_INTO_CGROUP`) and ends at once; its pid is
/// kept a zombie until the answer, its cgroup, has been read.
#[allow(unsafe_code)]
pub fn born_into(directory: &std::os::fd::OwnedFd) -> String {
    use std::os::fd::AsRawFd;
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
    // set_tid_size, cgroup
    let mut args = [0_u64; 11];
    args[0] = INTO_CGROUP;
    args[4] = libc::SIGCHLD as u64;
    args[10] = directory.as_raw_fd() as u64;
    let mut gate = [0; 2];
    // SAFETY: `gate` has room for two descriptors.
    assert_eq!(unsafe { libc::pipe2(gate.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: a fork by another name: without CLONE_VM the child has memory of its own, and it
    // only calls read(2) and _exit(2).
    let pid = unsafe {
        let pid = libc::syscall(libc::SYS_clone3, args.as_mut_ptr(), size_of_val(&args));
        if pid == 0 {
            libc::close(gate[1]);
            libc::read(gate[0], args.as_mut_ptr().cast(), 1);
            libc::_exit(0);
        }
        pid
    };
    assert!(pid > 0, "{}", std::io::Error::last_os_error());
    let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    // SAFETY: closes the pipe of this function, and waits for the child of this function.
    unsafe {
        libc::close(gate[1]);
        libc::close(gate[0]);
        libc::waitpid(pid as i32, std::ptr::null_mut(), 0);
    }
    cgroup
}
