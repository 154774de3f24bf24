//! `linux.namespaces`, the id mappings and the time offsets (config-linux.md §Namespaces).

use crate::config::{Config, IdMapping};
use crate::error::{Code, Pointer, Problems};
use crate::plan::Steps;
use husk_init::wire::{Op, Slot, Text};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

/// A type of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Mount points.
    Mount,
    /// Host and domain name.
    Uts,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Process ids.
    Pid,
    /// Network.
    Network,
    /// Control groups.
    Cgroup,
    /// Clocks.
    Time,
    /// Ids and capabilities.
    User,
}

/// Every type with its name in config.json and its `CLONE_NEW…` flag, in the order in which they
/// are joined: the user namespace last, while husk's own rights still hold for the others.
pub const KINDS: [(Kind, &str, u32); 8] = [
    (Kind::Network, "network", libc::CLONE_NEWNET as u32),
    (Kind::Ipc, "ipc", libc::CLONE_NEWIPC as u32),
    (Kind::Uts, "uts", libc::CLONE_NEWUTS as u32),
    (Kind::Pid, "pid", libc::CLONE_NEWPID as u32),
    (Kind::Cgroup, "cgroup", libc::CLONE_NEWCGROUP as u32),
    (Kind::Time, "time", 0x80),
    (Kind::Mount, "mount", libc::CLONE_NEWNS as u32),
    (Kind::User, "user", libc::CLONE_NEWUSER as u32),
];

/// Lines that the kernel takes in an id map.
const MOST_MAPPINGS: usize = 340;

impl Kind {
    /// The `CLONE_NEW…` flag.
    pub fn flag(self) -> u32 {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or(0, |(_, _, flag)| *flag)
    }

    fn named(name: &str) -> Option<Self> {
        KINDS.iter().find(|(_, n, _)| *n == name).map(|(kind, ..)| *kind)
    }
}

/// What a container does about one type of namespace.
#[derive(Debug)]
enum Choice {
    New,
    /// Joined through its file, which goes to the launcher.
    Joined(Option<OwnedFd>, (u64, u64), Pointer),
}

/// The namespaces of a container.
#[derive(Debug, Default)]
pub struct Namespaces {
    chosen: Vec<(Kind, Choice)>,
}

impl Namespaces {
    /// Whether the container has its own namespace of that type, new or joined.
    pub fn has(&self, kind: Kind) -> bool {
        self.chosen.iter().any(|(k, _)| *k == kind)
    }

    /// Whether the container gets a new namespace of that type.
    pub fn is_new(&self, kind: Kind) -> bool {
        self.chosen.iter().any(|(k, choice)| *k == kind && matches!(choice, Choice::New))
    }

    /// Whether the container joins the very namespace that husk runs in.
    pub fn is_the_callers(&self, kind: Kind) -> bool {
        let name = match kind {
            Kind::Network => "net",
            Kind::Ipc => "ipc",
            Kind::Uts => "uts",
            _ => return false,
        };
        self.chosen.iter().any(|(k, choice)| match choice {
            Choice::Joined(_, identity, _) if *k == kind => {
                let own = nix::sys::stat::stat(format!("/proc/self/ns/{name}").as_str());
                own.is_ok_and(|own| (own.st_dev, own.st_ino) == *identity)
            }
            _ => false,
        })
    }

    /// Reads `linux.namespaces`, opening the files of those that are joined.
    pub fn plan(config: &Config<'_>, problems: &mut Problems) -> Self {
        let mut all = Self::default();
        let list = config.linux.as_ref().map(|linux| &*linux.namespaces).unwrap_or_default();
        for (n, namespace) in list.iter().enumerate() {
            let at = Pointer::from("/linux/namespaces").index(n);
            let Some(kind) = Kind::named(&namespace.kind) else {
                let reason = format!("unknown namespace type {:?}", &*namespace.kind);
                let hint = "one of pid, network, mount, ipc, uts, user, cgroup, time";
                problems.refuse(Code::NAMESPACE, at.key("type"), reason, hint);
                continue;
            };
            if all.has(kind) {
                let reason = format!("malformed spec file: duplicated ns {:?}", &*namespace.kind);
                problems.refuse(Code::NAMESPACE, at, reason, "name each type once");
                continue;
            }
            if namespace.path.is_empty() {
                all.chosen.push((kind, Choice::New));
            } else if let Some(file) = open(&namespace.path, kind, &at.key("path"), problems) {
                let identity = nix::sys::stat::fstat(&file).map(|s| (s.st_dev, s.st_ino));
                let identity = identity.unwrap_or_default();
                all.chosen.push((kind, Choice::Joined(Some(file), identity, at)));
            }
        }
        all
    }

    /// Appends the launcher's steps up to the clone.
    ///
    /// Namespaces are joined before a user namespace is made or joined, with the rights of husk
    /// itself; new ones are made after it, so that they belong to it.
    pub fn launcher_steps(
        &mut self,
        config: &Config<'_>,
        proc: Slot,
        keep_proc: bool,
        cgroup: Option<Slot>,
        steps: &mut Steps,
    ) {
        let mut clone_flags = 0u64;
        for (kind, _, flag) in KINDS {
            let Some((_, choice)) = self.chosen.iter_mut().find(|(k, _)| *k == kind) else {
                continue;
            };
            match choice {
                Choice::Joined(file, _, origin) => {
                    let Some(file) = file.take() else { continue };
                    let namespace = steps.descriptor(file);
                    steps.push(&Op::Join { namespace, kinds: flag }, &*origin);
                    if kind == Kind::User {
                        steps.push(&Op::BecomeRoot {}, "/linux/namespaces");
                    }
                }
                Choice::New => match kind {
                    // The init makes it itself, once it is in its cgroup, which becomes the root.
                    // The clocks are set before anything enters the namespace.
                    Kind::Cgroup | Kind::Time => {}
                    _ => clone_flags |= u64::from(flag),
                },
            }
        }
        if self.is_new(Kind::Time) {
            let offsets = time_offsets(config);
            let op = Op::NewTime { proc, offsets: Text::new(&offsets) };
            steps.push(&op, "/linux/timeOffsets");
        }
        if !keep_proc {
            steps.push(&Op::Forget { slot: proc }, "");
        }
        let into_cgroup = cgroup.is_some();
        let cgroup = cgroup.unwrap_or(Slot(0));
        steps.push(&Op::Clone { flags: clone_flags, cgroup, into_cgroup }, "/linux/namespaces");
    }
}

fn open(path: &str, kind: Kind, at: &Pointer, problems: &mut Problems) -> Option<OwnedFd> {
    if !path.starts_with('/') {
        let reason = format!("namespace path {path:?} is not absolute");
        problems.refuse(Code::NAMESPACE, at, reason, "such as /proc/PID/ns/net");
        return None;
    }
    // Non-blocking: the path may name a fifo.
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = match opened {
        Ok(file) => OwnedFd::from(file),
        Err(error) => {
            let reason = format!("namespace path {path:?} cannot be opened: {}", io_text(&error));
            problems.refuse(
                Code::NAMESPACE,
                at,
                reason,
                "name the namespace file of a process that runs, or one that is kept by a mount",
            );
            return None;
        }
    };
    let is_namespace = fstatfs(&file).is_ok_and(|s| s.filesystem_type() == NSFS_MAGIC);
    let found = if is_namespace { crate::sys::process::namespace_kind(&file) } else { 0 };
    if found != kind.flag() {
        let names = KINDS.iter().find(|(_, _, flag)| *flag == found).map(|(_, name, _)| *name);
        let wanted = KINDS.iter().find(|(k, ..)| *k == kind).map_or("", |(_, name, _)| *name);
        let reason = match names {
            Some(name) => format!("{path:?} is a {name} namespace, not a {wanted} one"),
            None => format!("{path:?} is not a namespace file"),
        };
        problems.refuse(Code::NAMESPACE, at, reason, "name the file of that type in /proc/PID/ns");
        return None;
    }
    Some(file)
}

/// What the system answered, in the words of the errno.
pub fn io_text(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), crate::error::errno_text)
}

fn time_offsets(config: &Config<'_>) -> String {
    let mut lines = String::new();
    for (clock, offset) in config.linux.iter().flat_map(|linux| &linux.time_offsets) {
        let _ = writeln!(lines, "{} {} {}", &**clock, offset.secs, offset.nanosecs);
    }
    lines
}

/// Checks `linux.timeOffsets` against the namespaces.
pub fn check_time_offsets(config: &Config<'_>, namespaces: &Namespaces, problems: &mut Problems) {
    let Some(linux) = &config.linux else { return };
    if linux.time_offsets.is_empty() {
        return;
    }
    let at = Pointer::from("/linux/timeOffsets");
    if !namespaces.is_new(Kind::Time) {
        let reason = "time offsets need a new time namespace";
        problems.refuse(
            Code::NAMESPACE,
            &at,
            reason,
            "add {\"type\": \"time\"} without a path to linux.namespaces",
        );
    }
    for (clock, offset) in &linux.time_offsets {
        if !matches!(&**clock, "monotonic" | "boottime") {
            let reason = format!("unknown clock {:?}", &**clock);
            let hint = "one of monotonic, boottime";
            problems.refuse(Code::NAMESPACE, at.key(clock), reason, hint);
        }
        if offset.nanosecs >= 1_000_000_000 {
            let reason = format!("{} nanoseconds are a second or more", offset.nanosecs);
            problems.refuse(
                Code::NAMESPACE,
                at.key(clock).key("nanosecs"),
                reason,
                "0 to 999999999; put whole seconds into secs",
            );
        }
    }
}

/// The text of the two map files of a new user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maps {
    /// For `uid_map`.
    pub uid: String,
    /// For `gid_map`.
    pub gid: String,
}

impl Maps {
    /// Reads `linux.uidMappings` and `gidMappings`; `None` when no user namespace is made.
    pub fn plan(
        config: &Config<'_>,
        namespaces: &Namespaces,
        problems: &mut Problems,
    ) -> Option<Self> {
        let linux = config.linux.as_ref()?;
        let lists = [
            ("/linux/uidMappings", &*linux.uid_mappings),
            ("/linux/gidMappings", &*linux.gid_mappings),
        ];
        let new = namespaces.is_new(Kind::User);
        for (at, list) in lists {
            match (namespaces.has(Kind::User), list.is_empty()) {
                (false, false) => problems.refuse(
                    Code::ID_MAPPING,
                    at,
                    "user namespace mappings specified, but user namespace isn't enabled in the config",
                    "add {\"type\": \"user\"} to linux.namespaces",
                ),
                (true, true) if new => problems.refuse(
                    Code::ID_MAPPING,
                    at,
                    "user namespaces enabled, but no mapping found",
                    "map at least id 0, e.g. {\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}",
                ),
                _ => {}
            }
            check_mappings(&Pointer::from(at), list, problems);
        }
        new.then(|| Self {
            uid: map_lines(&linux.uid_mappings),
            gid: map_lines(&linux.gid_mappings),
        })
    }
}

fn check_mappings(at: &Pointer, list: &[IdMapping], problems: &mut Problems) {
    if list.len() > MOST_MAPPINGS {
        let reason = format!("{} mappings are more than the kernel takes", list.len());
        problems.refuse(Code::ID_MAPPING, at, reason, "340 at the most");
        return;
    }
    for (n, mapping) in list.iter().enumerate() {
        if mapping.size == 0 {
            problems.refuse(
                Code::ID_MAPPING,
                at.index(n).key("size"),
                "a mapping of no ids",
                "give a size of 1 or more, or take the mapping out",
            );
        }
        for (key, first) in [("containerID", mapping.container_id), ("hostID", mapping.host_id)] {
            // The last id is reserved.
            if first.checked_add(mapping.size).is_none() {
                let reason = format!("{} ids from {first} on go beyond 4294967295", mapping.size);
                problems.refuse(
                    Code::ID_MAPPING,
                    at.index(n).key(key),
                    reason,
                    "make size smaller",
                );
            }
        }
    }
}

/// Lines of an id map file.
pub fn map_lines(mappings: &[IdMapping]) -> String {
    let mut lines = String::new();
    for m in mappings {
        let _ = writeln!(lines, "{} {} {}", m.container_id, m.host_id, m.size);
    }
    lines
}

/// The `CLONE_NEW…` flags of the namespaces that a container has of its own, made or joined.
pub fn flags(config: &Config<'_>) -> u32 {
    let list = config.linux.as_ref().map(|linux| &*linux.namespaces).unwrap_or_default();
    list.iter().filter_map(|n| Kind::named(&n.kind)).fold(0, |flags, kind| flags | kind.flag())
}

/// Whether the container gets a pid namespace of its own, with which all its processes end.
pub fn makes_pid_namespace(config: &Config<'_>) -> bool {
    let list = config.linux.as_ref().map(|linux| &*linux.namespaces).unwrap_or_default();
    list.iter().any(|namespace| &*namespace.kind == "pid" && namespace.path.is_empty())
}

/// Whether an id of the container has a mapping; every id has one without a user namespace.
pub fn is_mapped(mappings: &[IdMapping], id: u32) -> bool {
    mappings.is_empty()
        || mappings.iter().any(|m| id >= m.container_id && id - m.container_id < m.size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn problems_of(text: &str) -> Vec<String> {
        let config = config::parse(text.as_bytes()).unwrap();
        let mut problems = Problems::default();
        let namespaces = Namespaces::plan(&config, &mut problems);
        Maps::plan(&config, &namespaces, &mut problems);
        check_time_offsets(&config, &namespaces, &mut problems);
        problems.list().iter().map(|p| p.pointer.to_string()).collect()
    }

    #[test]
    fn refusals_point_at_the_value() {
        let table = [
            (r#"{"linux":{"namespaces":[{"type":"pid"},{"type":"pid"}]}}"#, "/linux/namespaces/1"),
            (r#"{"linux":{"namespaces":[{"type":"pidd"}]}}"#, "/linux/namespaces/0/type"),
            (r#"{"linux":{"namespaces":[{"type":"pid","path":"x"}]}}"#, "/linux/namespaces/0/path"),
            (
                r#"{"linux":{"namespaces":[{"type":"pid","path":"/dev/null"}]}}"#,
                "/linux/namespaces/0/path",
            ),
            (
                r#"{"linux":{"namespaces":[{"type":"pid","path":"/proc/self/ns/net"}]}}"#,
                "/linux/namespaces/0/path",
            ),
            (r#"{"linux":{"uidMappings":[{"size":1}]}}"#, "/linux/uidMappings"),
            (r#"{"linux":{"timeOffsets":{"monotonic":{"secs":1}}}}"#, "/linux/timeOffsets"),
            (
                r#"{"linux":{"namespaces":[{"type":"time"}],"timeOffsets":{"wall":{"secs":1}}}}"#,
                "/linux/timeOffsets/wall",
            ),
        ];
        for (text, pointer) in table {
            assert_eq!(problems_of(text), [pointer], "{text}");
        }
        assert!(problems_of(r#"{"linux":{"namespaces":[{"type":"net"}]}}"#).len() == 1);
        assert!(
            problems_of(
                r#"{"linux":{"namespaces":[{"type":"network","path":"/proc/self/ns/net"}]}}"#
            )
            .is_empty()
        );
    }

    #[test]
    fn ids_are_looked_up_in_the_mappings() {
        let map = [IdMapping { container_id: 10, host_id: 0, size: 5 }];
        assert!(is_mapped(&map, 10) && is_mapped(&map, 14));
        assert!(!is_mapped(&map, 9) && !is_mapped(&map, 15));
        assert!(is_mapped(&[], 7));
    }
}
