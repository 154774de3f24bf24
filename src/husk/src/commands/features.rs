//! `husk features`: the features document of the specification (features.md).
//!
//! What is listed is what is there; each list comes from the module that implements it.

use super::{Context, DONE};
use crate::cli::Given;
use crate::container::SPEC_VERSION;
use crate::error::Error;
use crate::rootfs::options;
use crate::{capabilities, namespaces, scheduling, seccomp};
use serde_json::{Value, json};
use std::ffi::OsString;

const HOOKS: &[&str] =
    &["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// Prints the document. Nothing of the host is looked at, no state is touched.
pub(super) fn run(cx: &mut Context<'_>, _: &Given, _: &[OsString]) -> Result<u8, Error> {
    let document = json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPEC_VERSION,
        "hooks": HOOKS,
        "mountOptions": options::names().collect::<Vec<_>>(),
        "linux": {
            "namespaces": namespace_names(),
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
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "intelRdt": { "enabled": false },
            "memoryPolicy": {
                "modes": names(&scheduling::MEMORY_MODES),
                "flags": names(&scheduling::MEMORY_FLAGS),
            },
            "netDevices": { "enabled": true },
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

fn namespace_names() -> Vec<&'static str> {
    let mut names = namespaces::KINDS.map(|(_, name, _)| name).to_vec();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(options::names().is_sorted() && namespace_names().is_sorted());
    }
}
