//! What every test gets: a scratch directory, a state root, names of its own.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

use crate::bundle::Bundle;
use crate::case::{Done, Skip};
use crate::container::Container;
use crate::guard;
use crate::host::Cgroups;
use crate::runtime::{Call, Output};

/// The surroundings of one test.
pub struct Context {
    token: String,
    scratch: PathBuf,
    next: Cell<u32>,
    /// The control groups of this machine.
    pub cgroups: Cgroups,
}

impl Context {
    /// Moves this process into a mount namespace of its own and lays out the
    /// scratch directory there.
    pub fn new(token: &str) -> Result<Self, String> {
        let scratch =
            PathBuf::from(std::env::var_os("HUSK_TEST_SCRATCH").unwrap_or_else(|| "/mnt".into()));
        let none = None::<&str>;
        let step = |what: &str, e: nix::Error| format!("{what}: {e}");
        unshare(CloneFlags::CLONE_NEWNS).map_err(|e| step("new mount namespace", e))?;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .map_err(|e| step("make / private", e))?;
        // Shared with the namespaces that the runtime copies from this one: a
        // mount that it forgets to detach then shows up here.
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SHARED, none)
            .map_err(|e| step("make / shared", e))?;
        mount(Some("tmpfs"), &scratch, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
            .map_err(|e| format!("tmpfs on {}: {e}", scratch.display()))?;
        nix::sys::prctl::set_child_subreaper(true).map_err(|e| step("sub-reaper", e))?;
        let context = Context {
            token: token.to_owned(),
            scratch,
            next: Cell::new(0),
            cgroups: Cgroups::detect(),
        };
        fs::create_dir(context.state_root()).map_err(|e| format!("state root: {e}"))?;
        Ok(context)
    }

    /// The part that all names of this test share.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A directory that vanishes with the test.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// The directory given as `--root`.
    pub fn state_root(&self) -> PathBuf {
        self.scratch.join("state")
    }

    /// A path in the scratch directory that nobody has used yet.
    pub fn fresh_path(&self, stem: &str) -> PathBuf {
        self.scratch.join(format!("{stem}-{}", self.serial()))
    }

    /// A new directory in the scratch directory.
    pub fn fresh_dir(&self, stem: &str) -> PathBuf {
        let path = self.fresh_path(stem);
        fs::create_dir(&path).expect("make a directory in the scratch tmpfs");
        path
    }

    /// A container id that no other test uses.
    pub fn id(&self) -> String {
        format!("{}{}", self.token, self.serial())
    }

    fn serial(&self) -> u32 {
        self.next.set(self.next.get() + 1);
        self.next.get()
    }

    /// A bundle that can run, with a root file system of its own.
    pub fn bundle(&self) -> Bundle {
        Bundle::new(self)
    }

    /// A call of the runtime with `--root` of this test.
    pub fn call<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Call {
        Call::new(self).args(args)
    }

    /// `run` in the foreground with a new id.
    pub fn run(&self, bundle: &Bundle) -> Output {
        bundle.write();
        self.call(&["run", "--bundle"]).arg(bundle.dir()).arg(self.id()).run()
    }

    /// Runs `args` in the foreground; the output must be that of success.
    pub fn run_ok(&self, bundle: &mut Bundle, args: &[&str]) -> String {
        bundle.args(args);
        self.run(bundle).ok()
    }

    /// `create`, which must succeed.
    pub fn create(&self, bundle: &Bundle) -> Container<'_> {
        Container::create(self, bundle, &[])
    }

    /// `create` and `start`, both of which must succeed.
    pub fn start(&self, bundle: &Bundle) -> Container<'_> {
        let container = self.create(bundle);
        container.start();
        container
    }

    /// A container that sleeps until it is killed.
    pub fn sleeper(&self) -> Container<'_> {
        let mut bundle = self.bundle();
        bundle.args(&["sleep", "1000"]);
        self.start(&bundle)
    }

    /// A process that holds new namespaces until the value is dropped; `flags`
    /// are those of unshare.
    pub fn hold_namespaces(&self, flags: CloneFlags) -> Holder {
        let (pid, mut ready) = crate::sys::namespace_holder(flags.bits()).expect("fork a holder");
        let mut byte = [0];
        let done = std::io::Read::read(&mut ready, &mut byte).expect("wait for the holder");
        assert_eq!(done, 1, "the holder could not make {flags:?}");
        Holder { pid }
    }

    /// Skips the test unless `condition` holds.
    pub fn need(&self, condition: bool, otherwise: &str) -> Done {
        if condition { Ok(()) } else { Err(Skip(otherwise.to_owned())) }
    }

    /// Skips the test unless the controller can limit anything here.
    pub fn need_controller(&self, name: &str) -> Done {
        self.need(self.cgroups.has(name), &format!("no {name} cgroup controller on this machine"))
    }

    /// Deletes the containers that the test did not delete itself. A test
    /// about deletion looks before this does.
    pub fn tear_down(&self) {
        for id in guard::state_entries(&self.state_root()) {
            let out = self.call(&["delete", "--force", &id]).run_any();
            if out.code != Some(0) {
                eprintln!("delete --force {id} at the end: {out}");
            }
        }
    }

    /// Parses the state of `id`.
    pub fn state(&self, id: &str) -> Value {
        let text = self.call(&["state", id]).run().ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("state is not JSON: {e}: {text}"))
    }
}

/// See [`Context::hold_namespaces`].
pub struct Holder {
    pid: i32,
}

impl Holder {
    /// Path of one of its namespaces, such as `net`.
    pub fn path(&self, kind: &str) -> String {
        format!("/proc/{}/ns/{kind}", self.pid)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.pid);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
}
