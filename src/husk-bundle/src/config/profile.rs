//! What a config.json holds that the image does not say, one set for each of the
//! programs whose bundles people compare with.

use super::capabilities;
use crate::error::{Error, Result};
use crate::text::quoted;
use serde_json::{Value, json};

/// Where the defaults come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// As Docker runs an image.
    #[default]
    Docker,
    /// As `runc spec` writes it.
    Runc,
    /// As umoci writes it.
    Umoci,
}

impl Profile {
    /// Parses the name of a profile.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "docker" => Ok(Profile::Docker),
            "runc" => Ok(Profile::Runc),
            "umoci" => Ok(Profile::Umoci),
            _ => Err(Error::usage(format!(
                "there is no profile {}; choose docker, runc or umoci",
                quoted(text)
            ))),
        }
    }

    /// Capabilities before any option.
    pub fn capabilities(self) -> &'static [&'static str] {
        match self {
            Profile::Docker => &capabilities::DOCKER,
            Profile::Runc | Profile::Umoci => &capabilities::SPEC,
        }
    }

    /// Whether a user other than root starts with empty effective and permitted sets.
    pub fn drops_for_users(self) -> bool {
        self == Profile::Docker
    }

    /// Whether there is a seccomp filter unless the user says otherwise.
    pub fn has_seccomp(self) -> bool {
        self == Profile::Docker
    }

    /// Whether gaining privileges is forbidden unless the user says otherwise.
    pub fn no_new_privileges(self) -> bool {
        self != Profile::Docker
    }

    /// The host name inside. Docker would invent one; the same input must give the
    /// same bundle, and without any the host's own would show.
    pub fn hostname(self) -> &'static str {
        match self {
            Profile::Docker => "husk",
            Profile::Runc => "runc",
            Profile::Umoci => "umoci-default",
        }
    }

    /// Resource limits of the process.
    pub fn rlimits(self) -> Option<Value> {
        let one = json!([{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }]);
        (self != Profile::Docker).then_some(one)
    }

    /// Namespaces, each made anew.
    pub fn namespaces(self) -> Vec<Value> {
        ["mount", "network", "uts", "pid", "ipc", "cgroup"]
            .iter()
            .filter(|kind| self != Profile::Umoci || **kind != "cgroup")
            .map(|kind| json!({ "type": kind }))
            .collect()
    }

    /// Mounts before those of the user and the image.
    pub fn mounts(self) -> Vec<Value> {
        let cgroup = match self {
            Profile::Docker => vec!["ro", "nosuid", "noexec", "nodev"],
            Profile::Runc | Profile::Umoci => vec!["nosuid", "noexec", "nodev", "relatime", "ro"],
        };
        let proc_options = match self {
            Profile::Docker => vec!["nosuid", "noexec", "nodev"],
            Profile::Runc | Profile::Umoci => vec![],
        };
        [
            ("/proc", "proc", "proc", proc_options),
            ("/dev", "tmpfs", "tmpfs", vec!["nosuid", "strictatime", "mode=755", "size=65536k"]),
            (
                "/dev/pts",
                "devpts",
                "devpts",
                vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
            ),
            ("/sys", "sysfs", "sysfs", vec!["nosuid", "noexec", "nodev", "ro"]),
            ("/sys/fs/cgroup", "cgroup", "cgroup", cgroup),
            ("/dev/mqueue", "mqueue", "mqueue", vec!["nosuid", "noexec", "nodev"]),
            (
                "/dev/shm",
                "tmpfs",
                "shm",
                vec!["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
            ),
        ]
        .into_iter()
        .map(|(destination, kind, source, options)| {
            let mut mount = json!({ "destination": destination, "type": kind, "source": source });
            if let (Value::Object(map), false) = (&mut mount, options.is_empty()) {
                map.insert("options".into(), options.into());
            }
            mount
        })
        .collect()
    }

    /// Paths that are made to look empty.
    pub fn masked_paths(self) -> Vec<String> {
        let mut paths = vec![
            "/proc/acpi",
            "/proc/asound",
            "/proc/interrupts",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/sched_debug",
            "/proc/scsi",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/sys/devices/virtual/powercap",
            "/sys/firmware",
        ];
        if self != Profile::Docker {
            paths.retain(|p| *p != "/proc/interrupts" && !p.starts_with("/sys/devices"));
        }
        paths.into_iter().map(str::to_owned).collect()
    }

    /// Paths that are made read-only.
    pub fn readonly_paths(self) -> [&'static str; 5] {
        ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    }

    /// Rules for device access: nothing but the usual devices.
    pub fn devices(self) -> Value {
        let deny = json!({ "allow": false, "access": "rwm" });
        if self != Profile::Docker {
            // The runtime adds the usual devices by itself.
            return json!([deny]);
        }
        let character = |major: u32, minor: Option<u32>| match minor {
            Some(minor) => json!({
                "allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm"
            }),
            None => json!({ "allow": true, "type": "c", "major": major, "access": "rwm" }),
        };
        let mut rules = vec![
            deny,
            json!({ "allow": true, "type": "c", "access": "m" }),
            json!({ "allow": true, "type": "b", "access": "m" }),
        ];
        // null, zero, full, random, urandom, tty, console, ptmx, and pseudo terminals.
        for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)] {
            rules.push(character(major, Some(minor)));
        }
        rules.push(character(136, None));
        rules.into()
    }
}
