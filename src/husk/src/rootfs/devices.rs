//! `linux.devices` and the devices that every container has (config-linux.md §Devices).

use crate::config::{Config, Device};
use crate::error::{Code, Pointer, Problems, errno_text};
use crate::namespaces::{Kind, Namespaces};
use crate::paths::ContainerPath;
use crate::plan::Steps;
use crate::sys::mount::{self, Change};
use husk_init::wire::{Op, Text};
use std::ffi::CString;

/// A device to make.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    path: ContainerPath,
    mode: u32,
    major: u32,
    minor: u32,
    uid: u32,
    gid: u32,
    origin: Pointer,
}

/// What every container has: path, major and minor number, all of them character devices.
pub const DEFAULT_DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Links in /dev: path, target, and what must exist for it.
const LINKS: [(&str, &str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd", ""),
    ("/dev/stdin", "/proc/self/fd/0", ""),
    ("/dev/stdout", "/proc/self/fd/1", ""),
    ("/dev/stderr", "/proc/self/fd/2", ""),
    ("/dev/core", "/proc/kcore", "/proc/kcore"),
];

const DEFAULT_MODE: u32 = 0o666;

/// Appends the steps that make devices and links. Nothing is made where /dev is a bind mount: it
/// is the host's.
pub fn plan(
    config: &Config<'_>,
    namespaces: &Namespaces,
    steps: &mut Steps,
    problems: &mut Problems,
) {
    let nodes = nodes(config, problems);
    let bound = config.mounts.iter().any(|mount| {
        ContainerPath::new(&mount.destination).as_str() == "/dev"
            && (&*mount.kind == "bind"
                || mount.options.iter().any(|o| matches!(&**o, "bind" | "rbind")))
    });
    if bound {
        return;
    }
    // A device of a user namespace cannot be made, and could not be opened.
    let bind = namespaces.has(Kind::User) || !nix::unistd::geteuid().is_root();
    for node in nodes {
        if bind {
            bind_from_host(&node, steps, problems);
        } else {
            let Node { path, mode, major, minor, uid, gid, origin } = &node;
            let (mode, major, minor, uid, gid) = (*mode, *major, *minor, *uid, *gid);
            let path = Text::new(path.as_str());
            steps.push(&Op::Node { path, mode, major, minor, uid, gid }, origin);
        }
    }
    for (path, target, needs) in LINKS {
        let (path, target) = (Text::new(path), Text::new(target));
        let op = Op::Symlink { path, target, unless_missing: Text::new(needs), replace: false };
        steps.push(&op, "");
    }
    let op = Op::Symlink {
        path: Text::new("/dev/ptmx"),
        target: Text::new("pts/ptmx"),
        unless_missing: Text::new(""),
        replace: true,
    };
    steps.push(&op, "");
}

/// The default devices and those of the configuration, which take their place.
fn nodes(config: &Config<'_>, problems: &mut Problems) -> Vec<Node> {
    let mut nodes: Vec<Node> = DEFAULT_DEVICES
        .iter()
        .map(|(path, major, minor)| Node {
            path: ContainerPath::new(path),
            mode: libc::S_IFCHR | DEFAULT_MODE,
            major: *major,
            minor: *minor,
            uid: 0,
            gid: 0,
            origin: Pointer::default(),
        })
        .collect();
    let devices = config.linux.as_ref().map(|linux| &*linux.devices).unwrap_or_default();
    for (n, device) in devices.iter().enumerate() {
        let at = Pointer::from("/linux/devices").index(n);
        let Some(node) = node(device, at, problems) else { continue };
        nodes.retain(|other| other.path != node.path);
        nodes.push(node);
    }
    nodes
}

fn node(device: &Device<'_>, at: Pointer, problems: &mut Problems) -> Option<Node> {
    let kind = match &*device.kind {
        "c" | "u" => libc::S_IFCHR,
        "b" => libc::S_IFBLK,
        "p" => libc::S_IFIFO,
        other => {
            let reason = format!("unknown device type {other:?}");
            problems.refuse(Code::DEVICE, at.key("type"), reason, "one of c, b, u, p");
            return None;
        }
    };
    let path = ContainerPath::new(&device.path);
    if !device.path.starts_with('/') || path.is_root() {
        let reason = format!("device path {:?} is not an absolute path of a file", &*device.path);
        problems.refuse(Code::DEVICE, at.key("path"), reason, "such as /dev/name");
        return None;
    }
    let mut number = |key: &str, value: Option<i64>, most: i64| match value {
        _ if kind == libc::S_IFIFO => Some(0),
        Some(value) if (0..=most).contains(&value) => u32::try_from(value).ok(),
        Some(value) => {
            let reason = format!("{value} is not a device number");
            problems.refuse(Code::DEVICE, at.key(key), reason, format!("0 to {most}"));
            None
        }
        None => {
            problems.refuse(
                Code::DEVICE,
                at.key(key),
                "a device without this number",
                "ls -l shows both numbers of a device",
            );
            None
        }
    };
    let (major, minor) =
        (number("major", device.major, 0xfff), number("minor", device.minor, 0xf_ffff));
    Some(Node {
        path,
        mode: kind | device.file_mode.unwrap_or(DEFAULT_MODE) & 0o7777,
        major: major?,
        minor: minor?,
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
        origin: at,
    })
}

/// Binds the host's device of that path, for a container that cannot make one.
fn bind_from_host(node: &Node, steps: &mut Steps, problems: &mut Problems) {
    if node.mode & libc::S_IFMT == libc::S_IFIFO {
        let Node { path, mode, uid, gid, origin, .. } = node;
        let (mode, uid, gid) = (*mode, *uid, *gid);
        let path = Text::new(path.as_str());
        steps.push(&Op::Node { path, mode, major: 0, minor: 0, uid, gid }, origin);
        return;
    }
    let path = CString::new(node.path.as_str()).unwrap_or_default();
    let change = Change { propagation: libc::MS_SLAVE, ..Change::default() };
    let tree = mount::clone_tree(&path, false)
        .and_then(|tree| mount::set_attributes(&tree, change, false).map(|()| tree));
    match tree {
        Ok(tree) => {
            let tree = steps.descriptor(tree);
            let target = Text::new(node.path.as_str());
            steps.push(&Op::Attach { tree, target, lookup: 0 }, &node.origin);
        }
        Err(errno) => {
            let reason = format!("device {} of the host: {}", node.path, errno_text(errno as i32));
            problems.refuse(
                Code::DEVICE,
                node.origin.key("path"),
                reason,
                "with a user namespace a device is the host's, bound by its path",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn devices_are_checked_and_replace_the_default_ones() {
        let text = r#"{"linux":{"devices":[
            {"type":"c","path":"/dev/null","major":1,"minor":3,"fileMode":384,"uid":5},
            {"type":"x","path":"/dev/x"},
            {"type":"c","path":"dev/y","major":1,"minor":1},
            {"type":"b","path":"/dev/z","major":-1,"minor":1},
            {"type":"c","path":"/dev/w","major":1},
            {"type":"p","path":"/a/fifo"}]}}"#;
        let config = config::parse(text.as_bytes()).unwrap();
        let mut problems = Problems::default();
        let nodes = nodes(&config, &mut problems);
        let at: Vec<_> = problems.list().iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(
            at,
            [
                "/linux/devices/1/type",
                "/linux/devices/2/path",
                "/linux/devices/3/major",
                "/linux/devices/4/minor"
            ]
        );
        assert_eq!(nodes.len(), 7);
        let null = nodes.iter().find(|n| n.path.as_str() == "/dev/null").unwrap();
        assert_eq!((null.mode, null.uid), (libc::S_IFCHR | 0o600, 5));
    }
}
