//! `linux.sysctl` (config-linux.md §Sysctl): parameters of the container's own namespaces only.

use crate::config::Config;
use crate::error::{Code, Pointer, Problems};
use crate::namespaces::{Kind, Namespaces};
use crate::plan::Steps;
use husk_init::wire::{Op, Slot, Text};

/// Parameters of the IPC namespace.
const IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

/// The path below /proc/sys that a key names: the first separator decides whether dots or slashes
/// separate, as sysctl(8) has it. `None` for a key that is no path.
fn path(key: &str) -> Option<String> {
    let first = key.find(['.', '/'])?;
    let path: String = if key.get(first..)?.starts_with('/') {
        key.to_owned()
    } else {
        let swap = |c| match c {
            '.' => '/',
            '/' => '.',
            c => c,
        };
        key.chars().map(swap).collect()
    };
    let bad = |part: &str| matches!(part, "" | "." | "..");
    (!path.split('/').any(bad)).then_some(path)
}

/// Which namespace a parameter belongs to.
fn namespace(path: &str) -> Option<Kind> {
    if IPC.contains(&path) || path.starts_with("fs/mqueue/") {
        return Some(Kind::Ipc);
    }
    if path.starts_with("net/") {
        return Some(Kind::Network);
    }
    if path.starts_with("user/") {
        return Some(Kind::User);
    }
    (path == "kernel/domainname").then_some(Kind::Uts)
}

/// Appends a step for each parameter.
pub fn plan(
    config: &Config<'_>,
    namespaces: &Namespaces,
    proc: Slot,
    steps: &mut Steps,
    problems: &mut Problems,
) {
    for (key, value) in config.linux.iter().flat_map(|linux| &linux.sysctl) {
        let at = Pointer::from("/linux/sysctl").key(key);
        let path = path(key);
        if path.as_deref() == Some("kernel/hostname") {
            let reason = "sysctl \"kernel.hostname\" is not allowed as it conflicts with the OCI \"hostname\" field";
            problems.refuse(Code::SYSCTL, at, reason, "use hostname");
            continue;
        }
        let owner = path.as_deref().and_then(namespace);
        let (Some(path), Some(owner)) = (path, owner) else {
            let reason = format!("sysctl {:?} is not in a separate kernel namespace", &**key);
            let hint = "only parameters of the ipc, network, uts and user namespaces can be set";
            problems.refuse(Code::SYSCTL, at, reason, hint);
            continue;
        };
        if !namespaces.has(owner) || namespaces.is_the_callers(owner) {
            let reason = format!(
                "sysctl {:?} is not in a separate kernel namespace: the container shares it with the host",
                &**key
            );
            let hint = "add the namespace to linux.namespaces";
            problems.refuse(Code::SYSCTL, at, reason, hint);
            continue;
        }
        steps.push(&Op::Sysctl { proc, path: Text::new(&path), value: Text::new(&**value) }, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_the_same_file_and_nothing_climbs() {
        for (key, expected) in [
            ("net.ipv4.ip_forward", Some("net/ipv4/ip_forward")),
            ("net/ipv4/ip_forward", Some("net/ipv4/ip_forward")),
            ("net.ipv4.conf.eth0/1.forwarding", Some("net/ipv4/conf/eth0.1/forwarding")),
            ("net/../vm/swappiness", None),
            ("net..x", None),
            ("/net/x", None),
            ("hostname", None),
            ("", None),
        ] {
            assert_eq!(path(key).as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn only_parameters_of_namespaces_are_known() {
        for (path, expected) in [
            ("kernel/shmmax", Some(Kind::Ipc)),
            ("fs/mqueue/msg_max", Some(Kind::Ipc)),
            ("net/core/somaxconn", Some(Kind::Network)),
            ("kernel/domainname", Some(Kind::Uts)),
            ("user/max_user_namespaces", Some(Kind::User)),
            ("vm/swappiness", None),
            ("kernel/panic", None),
            ("netx/y", None),
        ] {
            assert_eq!(namespace(path), expected, "{path}");
        }
    }
}
