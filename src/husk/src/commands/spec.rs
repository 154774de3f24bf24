//! `husk spec`.

use super::{Context, DONE, create};
use crate::cli::Given;
use crate::error::{Code, Error, Failure};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;

/// Writes a config.json to begin with; one that is there is left alone.
pub(super) fn run(_: &mut Context<'_>, own: &Given, _: &[OsString]) -> Result<u8, Error> {
    let path = create::bundle(own)?.join("config.json");
    let mut config = if own.switch("rootless") {
        rootless(nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw())
    } else {
        usual()
    };
    if host_has_cgroup_v2_only() {
        add_namespace(&mut config, "cgroup");
    }
    let text = serde_json::to_string_pretty(&config).map_err(super::no_json)?;
    let failed = |call, e: std::io::Error| {
        let doing = format!("write {}", path.display());
        let failure = Failure::new(Code::OUTPUT_FAILED, doing);
        Error::from(failure.errno(call, e.raw_os_error().unwrap_or(libc::EIO)))
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(|e| {
        if e.kind() == std::io::ErrorKind::AlreadyExists {
            let words = format!("file {} exists: remove it first", path.display());
            return Error::said(Code::OUTPUT_FAILED, words);
        }
        failed("open", e)
    })?;
    if let Err(e) = file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")) {
        // Half a configuration helps nobody.
        let _ = std::fs::remove_file(&path);
        return Err(failed("write", e));
    }
    Ok(DONE)
}

/// A shell on a terminal, isolated as far as it can be without further decisions.
fn usual() -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": crate::container::SPEC_VERSION,
        "process": {
            "terminal": true,
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh"],
            "env": [
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "TERM=xterm"
            ],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities,
                "effective": capabilities,
                "permitted": capabilities
            },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "husk",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            {
                "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]
            },
            {
                "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": [
                    "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"
                ]
            },
            {
                "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]
            },
            {
                "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
                "options": ["nosuid", "noexec", "nodev"]
            },
            {
                "destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"]
            },
            {
                "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]
            }
        ],
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": [
                { "type": "pid" },
                { "type": "network" },
                { "type": "ipc" },
                { "type": "uts" },
                { "type": "mount" }
            ],
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                "/proc/sched_debug", "/sys/devices/virtual/powercap", "/sys/firmware",
                "/proc/scsi"
            ],
            "readonlyPaths": [
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"
            ]
        }
    })
}

/// The same for a user without rights on the host: a user namespace in which the caller is root,
/// the host's network, and nothing that only root could mount or limit.
fn rootless(uid: u32, gid: u32) -> Value {
    let mut config = usual();
    let map = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
    if let Some(linux) = config.get_mut("linux").and_then(Value::as_object_mut) {
        linux.remove("resources");
        linux.insert("uidMappings".to_owned(), map(uid));
        linux.insert("gidMappings".to_owned(), map(gid));
        if let Some(namespaces) = linux.get_mut("namespaces").and_then(Value::as_array_mut) {
            namespaces.retain(|namespace| namespace["type"] != "network");
        }
    }
    add_namespace(&mut config, "user");
    for mount in config.get_mut("mounts").and_then(Value::as_array_mut).into_iter().flatten() {
        if mount["destination"] == "/sys" {
            // A new sysfs needs a network namespace of one's own.
            *mount = json!({
                "destination": "/sys", "type": "none", "source": "/sys",
                "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]
            });
        } else if let Some(options) = mount.get_mut("options").and_then(Value::as_array_mut) {
            // A group that is not mapped cannot own anything.
            options.retain(|option| option != "gid=5");
        }
    }
    config
}

fn add_namespace(config: &mut Value, kind: &str) {
    let namespaces = config.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut);
    if let Some(namespaces) = namespaces {
        namespaces.push(json!({ "type": kind }));
    }
}

/// There the control groups of the host show in a container unless it has a namespace for them.
fn host_has_cgroup_v2_only() -> bool {
    let found = nix::sys::statfs::statfs("/sys/fs/cgroup");
    found.is_ok_and(|found| found.filesystem_type() == nix::sys::statfs::CGROUP2_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn both_are_configurations() {
        for value in [usual(), rootless(1000, 1000)] {
            let text = value.to_string();
            let config = config::parse(text.as_bytes()).unwrap();
            assert_eq!(config.root.unwrap().path.as_str(), "rootfs");
            let process = config.process.unwrap();
            assert!(process.no_new_privileges && process.terminal);
            let capabilities = process.capabilities.unwrap();
            assert!(capabilities.inheritable.is_empty() && capabilities.ambient.is_empty());
            let linux = config.linux.unwrap();
            assert_eq!(linux.namespaces.len(), 5);
            assert_eq!(config.mounts.len(), 7);
        }
    }

    #[test]
    fn rootless_needs_no_rights() {
        let config = rootless(1000, 100);
        assert_eq!(config["linux"]["uidMappings"][0]["hostID"], 1000);
        assert_eq!(config["linux"]["gidMappings"][0]["hostID"], 100);
        let text = config.to_string();
        assert!(!text.contains("gid=5") && !text.contains("\"network\""), "{text}");
        assert!(config["linux"].get("resources").is_none());
    }
}
