//! `mounts` (config.md §Mounts).

use super::options::Options;
use crate::config::{Config, Mount};
use crate::error::{Code, Pointer, Problems, errno_text};
use crate::namespaces::{Kind, Namespaces};
use crate::paths::{ContainerPath, HostPath};
use crate::plan::{CgroupSteps, Steps};
use crate::sys::mount::{self, Change, attr};
use husk_init::wire::{Op, Slot, Text, Texts, lookup};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use std::os::fd::OwnedFd;

/// The longest value that fsconfig(2) takes, with its NUL.
const LONGEST_VALUE: usize = 256;

/// File systems whose superblock is the kernel's own or the namespace's: read-only is a property
/// of the mount there, never of the file system.
const SHARED_SUPERBLOCK: [&str; 7] =
    ["proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts", "tmpfs"];

/// What may be mounted below /proc: files that lxcfs and the like provide.
const BELOW_PROC: [&str; 11] = [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
    "pressure",
];

/// What the mounts depend on besides their own list.
pub struct Surroundings<'a> {
    /// Directory that relative sources are taken from.
    pub bundle: &'a HostPath,
    /// The container's namespaces.
    pub namespaces: &'a Namespaces,
    /// Propagation that a bind mount gets when it asks for none.
    pub default_propagation: u64,
}

/// Mounts that are made read-only once everything inside them has been made.
#[derive(Debug, Default)]
pub struct ReadOnlyLater(Vec<(ContainerPath, Pointer)>);

impl ReadOnlyLater {
    /// Appends the steps that make them read-only.
    pub fn steps(&self, steps: &mut Steps) {
        for (target, at) in &self.0 {
            let op = Op::Attributes {
                target: Text::new(target.as_str()),
                set: attr::RDONLY,
                clear: 0,
                propagation: 0,
                recursive: false,
            };
            steps.push(&op, at);
        }
    }
}

/// Appends the steps of all mounts, in their order.
pub fn plan(
    config: &Config<'_>,
    around: &Surroundings<'_>,
    cgroup: &mut CgroupSteps,
    steps: &mut Steps,
    problems: &mut Problems,
) -> ReadOnlyLater {
    let mut late = ReadOnlyLater::default();
    for (n, mount) in config.mounts.iter().enumerate() {
        let at = Pointer::from("/mounts").index(n);
        if let Some(target) = one(config, mount, &at, around, cgroup, steps, problems) {
            late.0.push((target, at));
        }
    }
    late
}

/// How the target of a mount is looked up. procfs, sysfs and what is bound in their place lie on
/// real directories only, and so does /dev; nothing else comes to lie in a procfs through a link of
/// the image.
fn lookup_of(target: &ContainerPath) -> u32 {
    let real = ["/proc", "/sys"].iter().any(|d| target.below(d).is_some());
    let links = if real || target.as_str() == "/dev" { lookup::NO_SYMLINKS } else { 0 };
    let procfs = if target.below("/proc").is_some() { 0 } else { lookup::NOT_PROC };
    links | procfs
}

/// Appends the steps of one mount; a tmpfs that becomes read-only later is returned.
fn one(
    config: &Config<'_>,
    mount: &Mount<'_>,
    at: &Pointer,
    around: &Surroundings<'_>,
    cgroup: &mut CgroupSteps,
    steps: &mut Steps,
    problems: &mut Problems,
) -> Option<ContainerPath> {
    if mount.destination.is_empty() {
        problems.refuse(
            Code::MOUNT,
            at.key("destination"),
            "a mount without a destination",
            "name the path in the container",
        );
        return None;
    }
    let target = ContainerPath::new(&mount.destination);
    if target.is_root() {
        let reason = "a mount on the container's root would hide everything";
        problems.refuse(Code::MOUNT, at.key("destination"), reason, "use root.path instead");
        return None;
    }
    let options = Options::read(mount.options.iter().map(|option| &**option));
    let kind = &*mount.kind;
    check_proc(&target, mount, &options, at, problems);
    if options.remount {
        remount(kind, &options, &target, at, steps);
        return None;
    }
    if let Some(recursive) = options.bind.or((kind == "bind").then_some(true)) {
        bind(config, mount, recursive, &options, &target, at, around, steps, problems);
        return None;
    }
    if mount.uid_mappings.is_some() || mount.gid_mappings.is_some() || options.id_map.is_some() {
        let reason = "only bind mounts can map ids";
        problems.refuse(Code::MOUNT, at, reason, "add \"bind\" to the mount's options");
        return None;
    }
    if kind.is_empty() {
        let reason = "a mount without a type";
        let hint = "name a file system, or add \"bind\" to the mount's options";
        problems.refuse(Code::MOUNT, at.key("type"), reason, hint);
        return None;
    }
    if matches!(kind, "cgroup" | "cgroup2")
        && cgroup.is_unified()
        && !around.namespaces.has(Kind::Cgroup)
        && let Some(tree) = cgroup.instead(options.own, at, steps)
    {
        // A cgroup2 that is mounted from the host's cgroup namespace is the host's, and its
        // options would change with it.
        let lookup = lookup::DIRECTORY;
        steps.push(&Op::Attach { tree, target: Text::new(target.as_str()), lookup }, at);
        return None;
    }
    if kind == "cgroup" && !cgroup.is_unified() {
        cgroup.mount_steps(&target, options.own, at, steps);
        return None;
    }
    filesystem(config, mount, &options, &target, at, around, cgroup, steps)
}

/// Nothing is mounted on or below /proc but procfs itself and a few of its files.
fn check_proc(
    target: &ContainerPath,
    mount: &Mount<'_>,
    options: &Options<'_>,
    at: &Pointer,
    problems: &mut Problems,
) {
    let Some(below) = target.below("/proc") else { return };
    let is_bind = options.bind.is_some() || &*mount.kind == "bind";
    let allowed = match below {
        "" => &*mount.kind == "proc" || is_bind,
        file => BELOW_PROC.contains(&file) && is_bind || &*mount.kind == "binfmt_misc",
    };
    if !allowed {
        let reason = format!("{target} cannot be mounted: it is inside /proc");
        problems.refuse(
            Code::MOUNT,
            at.key("destination"),
            reason,
            "only procfs on /proc itself, and files such as /proc/meminfo below it",
        );
    }
}

fn remount(
    kind: &str,
    options: &Options<'_>,
    target: &ContainerPath,
    at: &Pointer,
    steps: &mut Steps,
) {
    if options.data.is_empty() {
        let op = Op::Attributes {
            target: Text::new(target.as_str()),
            set: options.own.set | options.recursive.set,
            clear: options.own.clear | options.recursive.clear,
            propagation: options.propagation,
            recursive: !options.recursive.is_nothing(),
        };
        steps.push(&op, at);
        return;
    }
    let data: Vec<&str> = options.data.iter().map(|(_, text)| *text).collect();
    let data = data.join(",");
    let op = Op::OldMount {
        kind: Text::new(kind),
        source: Text::new(""),
        data: Text::new(&data),
        target: Text::new(target.as_str()),
        lookup: 0,
        flags: libc::MS_REMOUNT | old_flags(options),
    };
    steps.push(&op, at);
}

/// The attributes as flags of mount(2).
fn old_flags(options: &Options<'_>) -> u64 {
    const PAIRS: [(u64, u64); 7] = [
        (attr::RDONLY, libc::MS_RDONLY),
        (attr::NOSUID, libc::MS_NOSUID),
        (attr::NODEV, libc::MS_NODEV),
        (attr::NOEXEC, libc::MS_NOEXEC),
        (attr::NOATIME, libc::MS_NOATIME),
        (attr::STRICTATIME, libc::MS_STRICTATIME),
        (attr::NODIRATIME, libc::MS_NODIRATIME),
    ];
    let flags = PAIRS.iter().filter(|(attr, _)| options.own.set & attr != 0);
    flags.fold(options.common, |flags, (_, old)| flags | old)
}

/// A new file system.
#[allow(clippy::too_many_arguments)] // one call, of values that belong to no common thing
fn filesystem(
    config: &Config<'_>,
    mount: &Mount<'_>,
    options: &Options<'_>,
    target: &ContainerPath,
    at: &Pointer,
    around: &Surroundings<'_>,
    cgroup: &mut CgroupSteps,
    steps: &mut Steps,
) -> Option<ContainerPath> {
    let kind = if &*mount.kind == "cgroup" { "cgroup2" } else { &*mount.kind };
    let is_tmpfs = kind == "tmpfs";
    let read_only = options.own.set & attr::RDONLY != 0;
    let mut data: Vec<&str> = options.data.iter().map(|(_, text)| *text).collect();
    let label = label_option(config, kind);
    if let Some(label) = &label {
        data.push(label);
    }
    let mut how = lookup::DIRECTORY | lookup_of(target);
    if matches!(kind, "proc" | "sysfs") {
        how |= lookup::NO_SYMLINKS;
    }
    let source = if mount.source.is_empty() { kind } else { &*mount.source };
    if data.iter().any(|option| option.len() >= LONGEST_VALUE) {
        let data = data.join(",");
        let op = Op::OldMount {
            kind: Text::new(kind),
            source: Text::new(source),
            data: Text::new(&data),
            target: Text::new(target.as_str()),
            lookup: how,
            flags: old_flags(options),
        };
        steps.push(&op, at);
        if options.propagation != 0 {
            let op = Op::Attributes {
                target: Text::new(target.as_str()),
                set: 0,
                clear: 0,
                propagation: options.propagation & !libc::MS_REC,
                recursive: options.propagation & libc::MS_REC != 0,
            };
            steps.push(&op, at);
        }
        return None;
    }
    if read_only && !SHARED_SUPERBLOCK.contains(&kind) {
        data.push("ro");
    }
    let later = is_tmpfs && read_only;
    let attributes =
        (options.own.set | options.recursive.set) & !(if later { attr::RDONLY } else { 0 });
    let instead = match kind {
        "sysfs" => sysfs_instead(around, attributes, steps),
        "cgroup2" if cgroup.is_unified() => cgroup.instead(options.own, at, steps),
        _ => None,
    };
    let op = Op::Mount {
        kind: Text::new(kind),
        source: Text::new(source),
        options: Texts::List(&data),
        target: Text::new(target.as_str()),
        lookup: how,
        attributes,
        propagation: options.propagation & !libc::MS_REC,
        keep_mode: is_tmpfs && !data.iter().any(|option| option.starts_with("mode=")),
        copy_up: is_tmpfs && options.copy_up,
        instead: instead.unwrap_or(Slot(0)),
        has_instead: instead.is_some(),
    };
    steps.push(&op, at);
    later.then(|| target.clone())
}

/// SELinux context of file systems that take one as an option.
fn label_option(config: &Config<'_>, kind: &str) -> Option<String> {
    let label = &*config.linux.as_ref()?.mount_label;
    let labelled = !label.is_empty() && !matches!(kind, "proc" | "sysfs" | "cgroup2" | "mqueue");
    labelled.then(|| format!("context={label}"))
}

/// The host's sysfs, bound where none can be mounted: in a user namespace that does not own its
/// network namespace.
fn sysfs_instead(around: &Surroundings<'_>, attributes: u64, steps: &mut Steps) -> Option<Slot> {
    if !around.namespaces.has(Kind::User) || around.namespaces.is_new(Kind::Network) {
        return None;
    }
    let tree = mount::clone_tree(c"/sys", true).ok()?;
    let change = Change { set: attributes, clear: 0, propagation: libc::MS_SLAVE };
    mount::set_attributes(&tree, change, true).ok()?;
    Some(steps.descriptor(tree))
}

#[allow(clippy::too_many_arguments)] // one call, of values that belong to no common thing
fn bind(
    config: &Config<'_>,
    mount: &Mount<'_>,
    recursive: bool,
    options: &Options<'_>,
    target: &ContainerPath,
    at: &Pointer,
    around: &Surroundings<'_>,
    steps: &mut Steps,
    problems: &mut Problems,
) {
    for (n, option) in &options.data {
        if options.common != 0 && matches!(*option, "sync" | "dirsync" | "lazytime") {
            continue;
        }
        let reason = format!("a bind mount cannot have the file system option {option:?}");
        let hint = "the options of a file system are set where it is mounted first: take it out";
        problems.refuse(Code::MOUNT_OPTION, at.key("options").index(*n), reason, hint);
    }
    if mount.source.is_empty() {
        let reason = "a bind mount without a source";
        problems.refuse(
            Code::MOUNT_SOURCE,
            at.key("source"),
            reason,
            "name a file or directory of the host",
        );
        return;
    }
    let source = HostPath::new(around.bundle, &mount.source);
    let tree = match mount::clone_tree(&source.to_c_string(), recursive) {
        Ok(tree) => tree,
        Err(errno) => {
            let reason =
                format!("bind source {source} cannot be used: {}", errno_text(errno as i32));
            problems.refuse(
                Code::MOUNT_SOURCE,
                at.key("source"),
                reason,
                "relative sources are taken from the bundle; make the path, or correct it",
            );
            return;
        }
    };
    if target.as_str() == "/proc" && !is_procfs(&tree) {
        let reason = format!("{target} cannot be mounted: {source} is not a procfs");
        let hint = "what is written to files of /proc must reach the kernel";
        problems.refuse(Code::MOUNT, at.key("source"), reason, hint);
        return;
    }
    let is_directory = fstat(&tree)
        .is_ok_and(|s| SFlag::from_bits_truncate(s.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR);
    super::idmap::apply(config, mount, options, &tree, at, around.namespaces, problems);
    if let Err(errno) = prepare(&tree, recursive, options, around.default_propagation) {
        let reason = format!(
            "the options of the bind mount of {source} cannot be set: {}",
            errno_text(errno as i32)
        );
        problems.refuse(
            Code::MOUNT_OPTION,
            at.key("options"),
            reason,
            "recursive options need kernel 5.12, nosymfollow ones 5.14",
        );
    }
    let lookup = if is_directory { lookup::DIRECTORY } else { 0 } | lookup_of(target);
    let tree = steps.descriptor(tree);
    steps.push(&Op::Attach { tree, target: Text::new(target.as_str()), lookup }, at);
}

fn is_procfs(tree: &OwnedFd) -> bool {
    fstatfs(tree).is_ok_and(|found| found.filesystem_type() == PROC_SUPER_MAGIC)
}

/// Gives a detached tree its attributes and propagation, in as few calls as they need.
fn prepare(
    tree: &OwnedFd,
    recursive: bool,
    options: &Options<'_>,
    default_propagation: u64,
) -> Result<(), nix::errno::Errno> {
    let asked = if options.propagation == 0 { default_propagation } else { options.propagation };
    let propagation = asked & !libc::MS_REC;
    let deep_propagation = recursive && asked & libc::MS_REC != 0;
    let mut own = options.own;
    let mut deep = options.recursive;
    if deep_propagation {
        deep.propagation = propagation
    } else {
        own.propagation = propagation
    }
    if !deep.is_nothing() {
        mount::set_attributes(tree, deep, true)?;
    }
    if !own.is_nothing() {
        mount::set_attributes(tree, own, false)?;
    }
    Ok(())
}
