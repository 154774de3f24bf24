//! The seccomp agent: who decides about calls that the profile hands over (config-linux.md
//! §The Container Process State).

use super::sockets::Receiver;
use crate::container::SPEC_VERSION;
use crate::error::{Code, Error};
use crate::seccomp::Agent;
use nix::unistd::Pid;
use serde::Serialize;
use serde_json::value::RawValue;
use std::os::fd::OwnedFd;
use std::path::Path;

/// The container process state.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessState<'a> {
    oci_version: &'a str,
    fds: [&'a str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: &'a RawValue,
}

/// Gives the notification descriptor of process `pid` to the agent; `state` is the container's, as
/// hooks read it.
///
/// # Errors
/// When nobody listens at the agent's socket.
pub fn notify(agent: &Agent, pid: Pid, state: &[u8], fd: &OwnedFd) -> Result<(), Error> {
    let no_json = |e: serde_json::Error| {
        Error::said(Code::SECCOMP_LOAD, format!("cannot write the process state: {e}"))
    };
    let state = ProcessState {
        oci_version: SPEC_VERSION,
        fds: ["seccompFd"],
        pid: pid.as_raw(),
        metadata: &agent.metadata,
        state: serde_json::from_slice(state).map_err(no_json)?,
    };
    let text = serde_json::to_string(&state).map_err(no_json)?;
    Receiver::connect(Path::new(&agent.listener_path), "seccomp agent")?.send(&text, fd)
}
