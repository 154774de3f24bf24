//! `husk features`: the features document of the specification (features.md).
//!
//! What is listed is what is there; each list comes from the module that implements it.

use super::{Context, DONE};
use crate::capabilities;
use crate::cli::Given;
use crate::container::SPEC_VERSION;
use crate::error::Error;
use crate::seccomp;
use serde_json::{Value, json};
use std::ffi::OsString;

const HOOKS: &[&str] =
    &["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

const NAMESPACES: &[&str] = &["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"];

/// Mount options that are not handed to the file system.
const MOUNT_OPTIONS: &[&str] = &[
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "idmap",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "tmpcopyup",
    "unbindable",
];

/// Prints the document. Nothing of the host is looked at, no state is touched.
pub(super) fn run(cx: &mut Context<'_>, _: &Given, _: &[OsString]) -> Result<u8, Error> {
    let document = json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPEC_VERSION,
        "hooks": HOOKS,
        "mountOptions": MOUNT_OPTIONS,
        "linux": {
            "namespaces": NAMESPACES,
            "capabilities": capabilities::NAMES.as_slice(),
            "cgroup": { "v1": true, "v2": true, "systemd": false, "systemdUser": false },
            "seccomp": {
                "enabled": true,
                "actions": names(seccomp::ACTIONS),
                "operators": names(seccomp::OPERATORS),
                "archs": seccomp::ARCHITECTURES,
                "knownFlags": names(seccomp::FLAGS),
                "supportedFlags": names(seccomp::FLAGS),
            },
            // Neither can label a process yet; a configuration that asks for it is refused.
            "apparmor": { "enabled": false },
            "selinux": { "enabled": false },
            "mountExtensions": { "idmap": { "enabled": true } },
        },
        "annotations": { "husk.version": env!("CARGO_PKG_VERSION") },
        "potentiallyUnsafeConfigAnnotations": [],
    });
    let text = serde_json::to_string_pretty(&document).map_err(super::no_json)?;
    cx.print(&text)?;
    cx.print("\n")?;
    Ok(DONE)
}

fn names<T>(table: &[(&str, T)]) -> Value {
    table.iter().map(|(name, _)| Value::from(*name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(MOUNT_OPTIONS.is_sorted() && NAMESPACES.is_sorted());
    }
}
