//! What is kept of a container (`state.json`), and the state document of the specification.

use super::init::Identity;
use crate::error::{Code, Error};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Version of the specification that states and hooks are told.
pub const SPEC_VERSION: &str = "1.3.0";

/// Version of `state.json`; a reader refuses greater ones.
const FORMAT: u32 = 1;

/// `state.json`. Small, and read by every command: what only few need is in other files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    husk: u32,
    /// The container's id.
    pub id: String,
    /// The first process, on the host.
    pid: i32,
    /// When it started.
    start_time: u64,
    /// When the container was made, RFC 3339.
    pub created: String,
    /// Absolute path of the bundle.
    pub bundle: String,
    /// Absolute path of the root file system.
    pub rootfs: String,
    /// The control group, as the cgroup module records it; absent: none of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cgroup: Option<String>,
    /// Whether the pid namespace was made for it, so that nothing outlives its first process.
    pub own_pid_namespace: bool,
    /// Whether its root is not that of its mount namespace.
    #[serde(skip_serializing_if = "is_false", default)]
    pub chroot: bool,
    /// Whether it has the session keyring of whoever made it.
    #[serde(skip_serializing_if = "is_false", default)]
    pub no_new_keyring: bool,
    /// Hooks that `config.json` has for later commands.
    #[serde(skip_serializing_if = "Later::is_nothing", default)]
    pub hooks: Later,
    /// The configuration's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: BTreeMap<String, String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Which hooks run after `create`; only for these is the kept `config.json` read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Later {
    /// `startContainer`.
    pub start_container: bool,
    /// `poststart`.
    pub poststart: bool,
    /// `poststop`.
    pub poststop: bool,
}

impl Later {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl State {
    /// The state of a container whose first process is `init`, with nothing optional in it.
    pub fn new(id: &super::ContainerId, init: Identity, created: String) -> Self {
        Self {
            husk: FORMAT,
            id: id.as_str().to_owned(),
            pid: init.pid.as_raw(),
            start_time: init.start_time,
            created,
            bundle: String::new(),
            rootfs: String::new(),
            cgroup: None,
            own_pid_namespace: false,
            chroot: false,
            no_new_keyring: false,
            hooks: Later::default(),
            annotations: BTreeMap::new(),
        }
    }

    /// The first process.
    pub fn init(&self) -> Identity {
        Identity { pid: Pid::from_raw(self.pid), start_time: self.start_time }
    }

    /// The text of `state.json`.
    ///
    /// # Errors
    /// Does not fail for any state that can be made.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|e| {
            Error::said(Code::STATE_FAILED, format!("cannot write the container's state: {e}"))
        })
    }

    /// Reads a `state.json`.
    ///
    /// # Errors
    /// Says why it is no state that this husk understands.
    pub fn from_json(text: &[u8]) -> Result<Self, String> {
        let state: Self = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        if state.husk != FORMAT {
            return Err(format!("format {} is not one that this husk knows", state.husk));
        }
        // kill(2) would take these for groups of processes.
        if state.pid <= 1 {
            return Err(format!("{} is not the pid of a container", state.pid));
        }
        Ok(state)
    }
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being made; only hooks are told so.
    Creating,
    /// Made; the program waits for `start`.
    Created,
    /// The program runs.
    Running,
    /// The control group is frozen.
    Paused,
    /// The first process has ended.
    Stopped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// The state document (runtime.md §State), with the members that runc adds for people.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document<'a> {
    oci_version: &'static str,
    id: &'a str,
    pid: i32,
    status: Status,
    bundle: &'a str,
    rootfs: &'a str,
    created: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    owner: &'a str,
}

impl<'a> Document<'a> {
    /// The document for `state` (without an owner) and `list`.
    pub fn new(state: &'a State, status: Status, owner: &'a str) -> Self {
        Self {
            oci_version: SPEC_VERSION,
            id: &state.id,
            pid: if status == Status::Stopped { 0 } else { state.pid },
            status,
            bundle: &state.bundle,
            rootfs: &state.rootfs,
            created: &state.created,
            annotations: &state.annotations,
            owner,
        }
    }
}

/// The state as hooks read it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ForHooks<'a> {
    oci_version: &'static str,
    id: &'a str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    bundle: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

/// The state that a hook gets on its standard input; `pid` as that hook sees it.
///
/// # Errors
/// Does not fail for any state that can be made.
pub fn for_hooks(
    id: &str,
    status: Status,
    pid: Option<i32>,
    bundle: &str,
    annotations: &BTreeMap<String, String>,
) -> Result<Vec<u8>, Error> {
    let state = ForHooks { oci_version: SPEC_VERSION, id, status, pid, bundle, annotations };
    serde_json::to_vec(&state)
        .map_err(|e| Error::said(Code::STATE_FAILED, format!("cannot write the state: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::ContainerId;
    use std::ffi::OsStr;

    fn state() -> State {
        let id = ContainerId::new(OsStr::new("c1")).unwrap();
        let init = Identity { pid: Pid::from_raw(4711), start_time: u64::MAX };
        let mut state = State::new(&id, init, "2026-08-01T00:00:00Z".into());
        state.bundle = "/b \" ü".into();
        state.rootfs = "/b/rootfs".into();
        state
    }

    #[test]
    fn round_trip() {
        let plain = state();
        assert_eq!(State::from_json(&plain.to_json().unwrap()), Ok(plain.clone()));
        assert!(plain.to_json().unwrap().len() < 200);
        let mut full = plain;
        full.cgroup = Some("v1 /a:b".into());
        full.own_pid_namespace = true;
        full.hooks.poststop = true;
        full.annotations.insert("k=\n".into(), String::new());
        let text = full.to_json().unwrap();
        assert_eq!(State::from_json(&text), Ok(full));
        for end in 0..text.len() {
            assert!(State::from_json(&text[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn what_is_no_state() {
        let good = String::from_utf8(state().to_json().unwrap()).unwrap();
        let table = [
            ("\"husk\":1", "\"husk\":2"),
            ("\"pid\":4711", "\"pid\":-1"),
            ("\"pid\":4711", "\"pid\":0"),
            ("\"pid\":4711", "\"pid\":1"),
            ("\"pid\":4711", "\"pid\":4294967296"),
            ("\"id\":\"c1\"", "\"id\":null"),
        ];
        for (from, to) in table {
            assert!(good.contains(from), "{good}");
            assert!(State::from_json(good.replace(from, to).as_bytes()).is_err(), "{to}");
        }
        assert!(State::from_json(good.replace("{", "{\"later\":[1],").as_bytes()).is_ok());
    }

    #[test]
    fn the_document_of_a_stopped_container_has_no_pid() {
        let state = state();
        let text = |status| serde_json::to_value(Document::new(&state, status, "")).unwrap();
        assert_eq!(text(Status::Running)["pid"], 4711);
        assert_eq!(text(Status::Stopped)["pid"], 0);
        assert_eq!(text(Status::Paused)["status"], "paused");
        assert_eq!(text(Status::Paused)["owner"], "");
    }

    #[test]
    fn hooks_are_told_what_the_specification_names() {
        let text = for_hooks("c", Status::Stopped, None, "/b", &BTreeMap::new()).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"ociVersion":"1.3.0","id":"c","status":"stopped","bundle":"/b"}"#
        );
    }
}
