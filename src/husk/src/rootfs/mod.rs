//! The container's root file system: mounts, devices, masks and the change of root.

pub mod devices;
mod idmap;
pub mod mounts;
pub mod options;

use mounts::ReadOnlyLater;

use crate::config::Config;
use crate::error::{Code, Pointer, Problems, errno_text};
use crate::namespaces::{Kind, Namespaces};
use crate::paths::{ContainerPath, HostPath};
use crate::plan::{CgroupSteps, Steps};
use crate::sys::mount::{self, Change, attr};
use husk_init::wire::{Op, Text};
use nix::sys::stat::{SFlag, fstat};

/// Where the root file system is on the host.
pub fn path(config: &Config<'_>, bundle: &HostPath, problems: &mut Problems) -> Option<HostPath> {
    let Some(root) = &config.root else {
        let hint = "add \"root\": {\"path\": \"rootfs\"}";
        problems.refuse(Code::CONFIG_MISSING, "/root", "root is required", hint);
        return None;
    };
    if root.path.is_empty() {
        problems.refuse(
            Code::CONFIG_MISSING,
            "/root/path",
            "root.path is required",
            "e.g. \"rootfs\", relative to the bundle",
        );
        return None;
    }
    Some(HostPath::new(bundle, &root.path))
}

/// The propagation of the container's root mount; `None` for the default.
fn propagation(config: &Config<'_>, problems: &mut Problems) -> Option<u64> {
    let word = config.linux.as_ref().map(|linux| &*linux.rootfs_propagation).unwrap_or_default();
    if word.is_empty() {
        return None;
    }
    let flags = options::propagation(word);
    if flags.is_none() {
        let reason = format!("rootfsPropagation={word} is not supported");
        let hint = "one of shared, slave, private, unbindable, or those with an r in front";
        problems.refuse(Code::ROOTFS, "/linux/rootfsPropagation", reason, hint);
    }
    flags
}

/// What a caller decides about the root besides the configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct RootChoice {
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// Whether hooks run while the old root is still in place, and look for the new one at its
    /// path there.
    pub at_its_path: bool,
}

/// What the root file system depends on besides the configuration.
pub struct Around<'a> {
    /// Directory that relative paths are taken from.
    pub bundle: &'a HostPath,
    /// What the caller chose.
    pub root: RootChoice,
    /// The container's namespaces.
    pub namespaces: &'a Namespaces,
}

/// Appends the steps up to all mounts and devices. `cgroup` says what a cgroup mount shows.
pub fn plan_mounts(
    config: &Config<'_>,
    around: &Around<'_>,
    cgroup: &mut CgroupSteps,
    steps: &mut Steps,
    problems: &mut Problems,
) -> ReadOnlyLater {
    let none = ReadOnlyLater::default();
    let Around { bundle, root: choice, namespaces } = *around;
    let Some(path) = path(config, bundle, problems) else { return none };
    let propagation = propagation(config, problems);
    if !namespaces.has(Kind::Mount) {
        without_namespace(config, &path, steps, problems);
        return none;
    }
    let default_propagation = propagation.unwrap_or(libc::MS_SLAVE | libc::MS_REC);
    let tree = match mount::clone_tree(&path.to_c_string(), true) {
        Ok(tree) => tree,
        Err(errno) => {
            unusable(&path, &errno_text(errno as i32), problems);
            return none;
        }
    };
    let is_directory = fstat(&tree)
        .is_ok_and(|s| SFlag::from_bits_truncate(s.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR);
    if !is_directory {
        unusable(&path, "not a directory", problems);
        return none;
    }
    // Whatever the root's propagation will be: while it is put together, nothing that is mounted
    // in it may reach the host.
    let change = Change { propagation: libc::MS_SLAVE, ..Change::default() };
    if let Err(errno) = mount::set_attributes(&tree, change, true) {
        unusable(&path, &errno_text(errno as i32), problems);
        return none;
    }
    steps.push(&Op::Propagation { flags: libc::MS_SLAVE | libc::MS_REC }, "");
    let tree = steps.descriptor(tree);
    let bytes = if choice.at_its_path { path.into_bytes() } else { b"/".to_vec() };
    steps.push(&Op::AttachRoot { tree, at: Text::new(&bytes) }, "/root/path");
    let around = mounts::Surroundings { bundle, namespaces, default_propagation };
    let late = mounts::plan(config, &around, cgroup, steps, problems);
    devices::plan(config, namespaces, steps, problems);
    late
}

fn unusable(path: &HostPath, why: &str, problems: &mut Problems) {
    let reason = format!("root file system {path} cannot be used: {why}");
    let hint = "root.path is relative to the bundle; make the directory, or correct the path";
    problems.refuse(Code::ROOTFS, "/root/path", reason, hint);
}

/// A container that shares the caller's mount namespace gets its directory as root and nothing
/// else: whatever it would mount, the host would have mounted.
fn without_namespace(
    config: &Config<'_>,
    path: &HostPath,
    steps: &mut Steps,
    problems: &mut Problems,
) {
    let linux = config.linux.as_ref();
    let given = [
        ("/mounts", !config.mounts.is_empty()),
        ("/linux/maskedPaths", linux.is_some_and(|l| !l.masked_paths.is_empty())),
        ("/linux/readonlyPaths", linux.is_some_and(|l| !l.readonly_paths.is_empty())),
        ("/root/readonly", config.root.as_ref().is_some_and(|root| root.readonly)),
    ];
    for (at, is_given) in given {
        if is_given {
            let reason = "not possible without a mount namespace: it would change the host";
            let hint = "add {\"type\": \"mount\"} to linux.namespaces";
            problems.refuse(Code::NAMESPACE, at, reason, hint);
        }
    }
    let opened = nix::fcntl::open(
        path.as_path(),
        nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_DIRECTORY | nix::fcntl::OFlag::O_CLOEXEC,
        nix::sys::stat::Mode::empty(),
    );
    match opened {
        Ok(directory) => {
            let directory = steps.descriptor(directory);
            steps.push(&Op::UseRoot { directory }, "/root/path");
        }
        Err(errno) => unusable(path, &errno_text(errno as i32), problems),
    }
}

/// Appends the change of root, and what is made read-only or hidden afterwards.
pub fn plan_root(config: &Config<'_>, around: &Around<'_>, steps: &mut Steps) {
    let Around { root: choice, namespaces, .. } = *around;
    let own = namespaces.has(Kind::Mount);
    let chroot = choice.no_pivot || !own;
    let moved = choice.no_pivot && own && choice.at_its_path;
    steps.push(&Op::PivotRoot { chroot, moved }, "/root/path");
    if !own {
        return;
    }
    // The rest was decided before the tree was cloned; these two hold for the new root only.
    let flags = propagation(config, &mut Problems::default()).unwrap_or(0);
    let kind = flags & !libc::MS_REC;
    if matches!(kind, libc::MS_SHARED | libc::MS_UNBINDABLE | libc::MS_PRIVATE) {
        let op = Op::Attributes {
            target: Text::new("/"),
            set: 0,
            clear: 0,
            propagation: kind,
            recursive: flags & libc::MS_REC != 0,
        };
        steps.push(&op, "/linux/rootfsPropagation");
    }
}

/// Appends the read-only root, the read-only and the masked paths.
pub fn plan_protection(
    config: &Config<'_>,
    late: &ReadOnlyLater,
    steps: &mut Steps,
    problems: &mut Problems,
) {
    late.steps(steps);
    if config.root.as_ref().is_some_and(|root| root.readonly) {
        let target = Text::new("/");
        let op = Op::Attributes {
            target,
            set: attr::RDONLY,
            clear: 0,
            propagation: 0,
            recursive: false,
        };
        steps.push(&op, "/root/readonly");
    }
    let Some(linux) = &config.linux else { return };
    for (n, path) in linux.readonly_paths.iter().enumerate() {
        let at = Pointer::from("/linux/readonlyPaths").index(n);
        if let Some(path) = covered(path, &at, problems) {
            steps.push(&Op::ReadOnly { path: Text::new(path.as_str()) }, at);
        }
    }
    if linux.masked_paths.is_empty() {
        return;
    }
    let change = Change { propagation: libc::MS_SLAVE, ..Change::default() };
    let null = mount::clone_tree(c"/dev/null", false)
        .and_then(|tree| mount::set_attributes(&tree, change, false).map(|()| tree));
    let null = match null {
        Ok(tree) if is_null_device(&tree) => steps.descriptor(tree),
        Ok(_) => {
            let reason = "/dev/null of the host is not the null device, which masks files";
            return problems.refuse(
                Code::MASK,
                "/linux/maskedPaths",
                reason,
                "mend /dev on the host: mknod -m 666 /dev/null c 1 3",
            );
        }
        Err(errno) => {
            let reason = format!("/dev/null of the host: {}", errno_text(errno as i32));
            return problems.refuse(
                Code::MASK,
                "/linux/maskedPaths",
                reason,
                "mend /dev on the host: mknod -m 666 /dev/null c 1 3",
            );
        }
    };
    for (n, path) in linux.masked_paths.iter().enumerate() {
        let at = Pointer::from("/linux/maskedPaths").index(n);
        if let Some(path) = covered(path, &at, problems) {
            steps.push(&Op::Mask { path: Text::new(path.as_str()), null }, at);
        }
    }
}

fn covered(path: &str, at: &Pointer, problems: &mut Problems) -> Option<ContainerPath> {
    if !path.starts_with('/') {
        let reason = format!("{path:?} is not absolute");
        problems.refuse(Code::MASK, at, reason, "begin the path with a slash");
        return None;
    }
    Some(ContainerPath::new(path))
}

fn is_null_device(tree: &std::os::fd::OwnedFd) -> bool {
    fstat(tree).is_ok_and(|stat| {
        SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR
            && stat.st_rdev == nix::sys::stat::makedev(1, 3)
    })
}
