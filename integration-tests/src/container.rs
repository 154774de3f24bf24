//! A container that a test has made.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bundle::Bundle;
use crate::context::Context;
use crate::runtime::{Call, Output};
use crate::{host, reaper};

/// A created container. It is deleted at the end of the test at the latest.
pub struct Container<'a> {
    context: &'a Context,
    /// Its id.
    pub id: String,
    /// Process id of its init, on the host.
    pub pid: i32,
    stdout: PathBuf,
}

impl<'a> Container<'a> {
    /// Runs `create` with a pid file and the given further options.
    pub fn create(context: &'a Context, bundle: &Bundle, options: &[&str]) -> Self {
        bundle.write();
        let id = context.id();
        let pid_file = context.fresh_path("pid");
        let out = context
            .call(&["create", "--bundle"])
            .arg(bundle.dir())
            .arg("--pid-file")
            .arg(&pid_file)
            .args(options)
            .arg(&id)
            .run();
        out.ok();
        Self::adopt(context, id, &pid_file, out.stdout_path)
    }

    /// Takes over a container that a test created with a call of its own.
    pub fn adopt(context: &'a Context, id: String, pid_file: &Path, stdout: PathBuf) -> Self {
        let text = fs::read_to_string(pid_file).expect("read the pid file");
        let pid = text.parse().unwrap_or_else(|e| panic!("pid file {text:?}: {e}"));
        Container { context, id, pid, stdout }
    }

    /// `start`, which must succeed.
    #[track_caller]
    pub fn start(&self) {
        self.verb(&["start"]).ok();
    }

    /// Runs `words... ID`.
    pub fn verb(&self, words: &[&str]) -> Output {
        self.context.call(words).arg(&self.id).run()
    }

    /// `kill ID SIGNAL`, which must succeed.
    #[track_caller]
    pub fn kill(&self, signal: &str) {
        self.context.call(&["kill", &self.id, signal]).run().ok();
    }

    /// The parsed state.
    #[track_caller]
    pub fn state(&self) -> Value {
        self.context.state(&self.id)
    }

    /// The word under `status`.
    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().expect("status is a string").to_owned()
    }

    /// Waits until the state says `status`.
    #[track_caller]
    pub fn wait_status(&self, status: &str) {
        host::wait_for(&format!("status {status}"), || (self.status() == status).then_some(()));
    }

    /// A call of `exec ID` with options in front and a command behind.
    pub fn exec_call(&self, options: &[&str], command: &[&str]) -> Call {
        self.context.call(&["exec"]).args(options).arg(&self.id).args(command)
    }

    /// Runs a command in the container, which must succeed.
    #[track_caller]
    pub fn exec(&self, command: &[&str]) -> String {
        self.exec_call(&[], command).run().ok()
    }

    /// What the container has written to its stdout.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    /// Waits until its stdout holds `text`.
    #[track_caller]
    pub fn wait_output(&self, text: &str) -> String {
        host::wait_for(&format!("{text:?} in the output, which is {:?}", self.output()), || {
            let now = self.output();
            now.contains(text).then_some(now)
        })
    }

    /// Waits for the end of init, which is a child of this process since its
    /// creator has ended. A signal counts as 128 + its number.
    #[track_caller]
    pub fn wait(&self) -> i32 {
        host::wait_for("the end of the container", || reaper::ended(self.pid)).code()
    }

    /// `delete`, which must succeed and leave no cgroup of this container.
    #[track_caller]
    pub fn delete(&self) {
        self.verb(&["delete"]).ok();
        self.assert_gone();
    }

    /// `delete --force`, which must succeed and leave nothing of it.
    #[track_caller]
    pub fn delete_force(&self) {
        self.verb(&["delete", "--force"]).ok();
        self.assert_gone();
    }

    /// Asserts that no state, no cgroup and no live init is left.
    #[track_caller]
    pub fn assert_gone(&self) {
        assert!(!self.context.state_root().join(&self.id).exists(), "state directory stays");
        let left = crate::guard::cgroups_named(&self.id);
        assert!(left.is_empty(), "cgroups stay: {left:?}");
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let state = stat.rsplit(") ").next().unwrap_or("").chars().next();
        assert!(matches!(state, None | Some('Z' | 'X')), "init lives on: {stat}");
    }

    /// A file of init's directory in the host's `/proc`.
    #[track_caller]
    pub fn proc_file(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.pid);
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Target of a link of init's directory in the host's `/proc`.
    #[track_caller]
    pub fn proc_link(&self, name: &str) -> String {
        let path = format!("/proc/{}/{name}", self.pid);
        fs::read_link(&path).unwrap_or_else(|e| panic!("{path}: {e}")).display().to_string()
    }
}
