//! Builds bundles: a root file system from busybox and a `config.json`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::context::Context;
use crate::guard::COMMON_PARENT;
use crate::host;

/// The applets that tests use, each a link to busybox.
const APPLETS: &str = "[ awk cat chmod chown cp cut date dd df echo env expr false find grep head \
    hostname id ifconfig ip ipcs kill ln ls mkdir mkfifo mknod mount mv nice od printf ps pwd \
    readlink rm rmdir sed seq sh sleep sort stat stty tail tee test touch tr true tty umount uname \
    unshare wc nsenter xargs setsid yes";

/// Capabilities of the base configuration: those that Docker leaves.
pub const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Host user and group behind root of [`Bundle::user_namespace`].
pub const MAPPED: u32 = 100_000;

/// Changes the owner of a whole tree, links not followed.
pub fn give(path: &Path, owner: u32) {
    std::os::unix::fs::lchown(path, Some(owner), Some(owner)).expect("change an owner");
    if fs::symlink_metadata(path).is_ok_and(|m| m.is_dir()) {
        for entry in fs::read_dir(path).expect("list a directory").flatten() {
            give(&entry.path(), owner);
        }
    }
}

/// The static busybox of this machine.
pub fn busybox() -> Result<PathBuf, String> {
    ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .map(PathBuf::from)
        .find(|p| p.is_file())
        .ok_or_else(|| "no /bin/busybox; install the package busybox-static".to_owned())
}

/// A bundle directory and the configuration that will be written there.
pub struct Bundle {
    dir: PathBuf,
    /// What `config.json` will hold; [`Bundle::set`] edits it by JSON pointer.
    pub config: Value,
}

impl Bundle {
    /// Lays out a new bundle in the scratch directory of the test.
    pub fn new(context: &Context) -> Self {
        let bundle = Self::without_rootfs(context);
        make_rootfs(&bundle.rootfs());
        bundle
    }

    /// The same without a root file system.
    pub fn without_rootfs(context: &Context) -> Self {
        let dir = context.fresh_dir("bundle");
        let stem = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let cgroup = format!("/{COMMON_PARENT}/{}-{stem}", context.token());
        Bundle { dir, config: base_config(&cgroup) }
    }

    /// Another bundle with the same configuration and the same root file system.
    pub fn twin(&self, context: &Context) -> Self {
        let mut twin = Self::without_rootfs(context);
        let cgroup = twin.config["linux"]["cgroupsPath"].clone();
        twin.config = self.config.clone();
        twin.set("/linux/cgroupsPath", cgroup);
        twin.set("/root/path", json!(self.rootfs()));
        twin
    }

    /// The bundle directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The root file system, as a path on the host.
    pub fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    /// A path in the root file system, as a path on the host.
    pub fn inside(&self, path: &str) -> PathBuf {
        self.rootfs().join(path.trim_start_matches('/'))
    }

    /// The cgroup that the configuration asks for.
    pub fn cgroup(&self) -> String {
        self.config["linux"]["cgroupsPath"].as_str().unwrap_or_default().to_owned()
    }

    /// Sets the value at a JSON pointer, making objects on the way.
    pub fn set(&mut self, pointer: &str, value: Value) -> &mut Self {
        *slot(&mut self.config, pointer) = value;
        self
    }

    /// Appends to the array at a JSON pointer, which is made if missing.
    pub fn push(&mut self, pointer: &str, value: Value) -> &mut Self {
        let array = slot(&mut self.config, pointer);
        if array.is_null() {
            *array = json!([]);
        }
        array.as_array_mut().unwrap_or_else(|| panic!("{pointer} is no array")).push(value);
        self
    }

    /// Removes the property at a JSON pointer.
    pub fn remove(&mut self, pointer: &str) -> &mut Self {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer with a slash");
        if let Some(object) = self.config.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.remove(name);
        }
        self
    }

    /// Sets `process.args`.
    pub fn args(&mut self, args: &[&str]) -> &mut Self {
        self.set("/process/args", json!(args))
    }

    /// Lets a shell run `script`.
    pub fn shell(&mut self, script: &str) -> &mut Self {
        self.args(&["sh", "-c", script])
    }

    /// Appends a mount.
    pub fn mount(&mut self, kind: &str, source: &str, target: &str, options: &[&str]) -> &mut Self {
        self.push(
            "/mounts",
            json!({"destination": target, "type": kind, "source": source, "options": options}),
        )
    }

    /// Appends a bind mount of a host path.
    pub fn bind(&mut self, source: &Path, target: &str, options: &[&str]) -> &mut Self {
        let mut all = vec!["bind"];
        all.extend(options);
        self.mount("bind", &source.display().to_string(), target, &all)
    }

    /// Removes the mount at this destination.
    pub fn unmount(&mut self, target: &str) -> &mut Self {
        if let Some(mounts) = self.config["mounts"].as_array_mut() {
            mounts.retain(|m| m["destination"] != target);
        }
        self
    }

    /// Removes the namespace of this type.
    pub fn without_namespace(&mut self, kind: &str) -> &mut Self {
        if let Some(all) = self.config["linux"]["namespaces"].as_array_mut() {
            all.retain(|n| n["type"] != kind);
        }
        self
    }

    /// Replaces the namespace of this type by one that is joined.
    pub fn join_namespace(&mut self, kind: &str, path: &str) -> &mut Self {
        self.without_namespace(kind);
        self.push("/linux/namespaces", json!({"type": kind, "path": path}))
    }

    /// Gives the container these capabilities in the bounding, effective and
    /// permitted sets.
    pub fn capabilities(&mut self, names: &[&str]) -> &mut Self {
        self.set(
            "/process/capabilities",
            json!({"bounding": names, "effective": names, "permitted": names}),
        )
    }

    /// Adds one capability to the three usual sets.
    pub fn add_capability(&mut self, name: &str) -> &mut Self {
        for set in ["bounding", "effective", "permitted"] {
            self.push(&format!("/process/capabilities/{set}"), json!(name));
        }
        self
    }

    /// Adds a user namespace in which root is host user 100000, and gives that
    /// user the root file system.
    pub fn user_namespace(&mut self) -> &mut Self {
        self.push("/linux/namespaces", json!({"type": "user"}));
        let map = json!([{"containerID": 0, "hostID": MAPPED, "size": 65536}]);
        self.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
        give(&self.rootfs(), MAPPED);
        self
    }

    /// Puts the probe into the root file system as `/probe`.
    pub fn with_probe(&mut self) -> &mut Self {
        let exe = std::env::current_exe().expect("own path");
        fs::copy(exe, self.inside("/probe")).expect("copy the probe");
        self
    }

    /// Writes `config.json`.
    pub fn write(&self) {
        let text = serde_json::to_string_pretty(&self.config).expect("a JSON value");
        self.write_text(&text);
    }

    /// Writes `config.json` as it is given, sense or not.
    pub fn write_text(&self, text: &str) {
        fs::write(self.dir.join("config.json"), text).expect("write config.json");
    }
}

fn slot<'v>(value: &'v mut Value, pointer: &str) -> &'v mut Value {
    let mut at = value;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        at = match at {
            Value::Array(items) => {
                let index: usize = part.parse().unwrap_or_else(|_| panic!("{pointer}: {part}"));
                &mut items[index]
            }
            _ => {
                if !at.is_object() {
                    *at = json!({});
                }
                at.as_object_mut().expect("made above").entry(part).or_insert(Value::Null)
            }
        };
    }
    at
}

fn make_rootfs(root: &Path) {
    for dir in ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var"] {
        fs::create_dir_all(root.join(dir)).expect("lay out the rootfs");
    }
    let tmp = fs::Permissions::from_mode(0o1777);
    fs::set_permissions(root.join("tmp"), tmp).expect("mode of /tmp");
    let source = busybox().unwrap_or_else(|why| panic!("{why}"));
    fs::copy(source, root.join("bin/busybox")).expect("copy busybox");
    for applet in APPLETS.split_whitespace() {
        symlink("busybox", root.join("bin").join(applet)).expect("link an applet");
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n";
    fs::write(root.join("etc/passwd"), passwd).expect("write passwd");
    fs::write(root.join("etc/group"), "root:x:0:\nuser:x:1000:\n").expect("write group");
}

fn base_config(cgroup: &str) -> Value {
    json!({
        // What engines write; an older peer knows the older one only.
        "ociVersion": if host::is_peer() { "1.0.2" } else { "1.2.1" },
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": ["true"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
            },
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": false},
        "hostname": "inside",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                {"type": "mount"}, {"type": "cgroup"},
            ],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list",
                            "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                              "/proc/sysrq-trigger"],
        },
    })
}
