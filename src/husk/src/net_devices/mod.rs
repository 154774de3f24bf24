//! `linux.netDevices` (config-linux.md §Network devices): interfaces of the host that become the
//! container's.
//!
//! The kernel takes the addresses and routes from an interface that changes its namespace. What
//! somebody configured is written again inside: permanent addresses of global scope, and the
//! routes through the interface. Nothing is ever moved back; when the namespace goes, the kernel
//! decides.

mod device;
mod netlink;

use crate::config::Config;
use crate::error::{Code, Error, Failure, Pointer, Problems};
use crate::namespaces::{Kind, Namespaces};
use device::{Device, Template};
use netlink::Netlink;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

/// The interfaces, checked.
#[derive(Debug, Default)]
pub struct NetDevices {
    list: Vec<Moved>,
}

#[derive(Debug)]
struct Moved {
    name: String,
    target: String,
    at: Pointer,
}

impl NetDevices {
    /// Reads `linux.netDevices`, and looks whether the host has them.
    pub fn plan(config: &Config<'_>, namespaces: &Namespaces, problems: &mut Problems) -> Self {
        let Some(given) = config.linux.as_ref().map(|linux| &linux.net_devices) else {
            return Self::default();
        };
        let all = Pointer::from("/linux/netDevices");
        let mut list: Vec<Moved> = Vec::new();
        for (name, device) in given.iter() {
            let at = all.key(name);
            let target = if device.name.is_empty() { name } else { &device.name };
            if !is_name(name) || name.contains('%') {
                let reason = format!("{:?} is not a name of a network device", &**name);
                problems.refuse(Code::NET_DEVICE, at, reason, NAMES);
                continue;
            }
            if !is_name(target) || !Template::is_sound(target) {
                let reason = format!("{:?} is not a name of a network device", &**target);
                problems.refuse(Code::NET_DEVICE, at.key("name"), reason, NAMES);
                continue;
            }
            if !target.contains('%') && list.iter().any(|other| other.target == **target) {
                let reason = format!("two network devices would be called {:?}", &**target);
                problems.refuse(Code::NET_DEVICE, at, reason, "give one another name");
                continue;
            }
            list.push(Moved { name: name.to_string(), target: target.to_string(), at });
        }
        if given.iter().next().is_none() {
            return Self { list };
        }
        if !namespaces.has(Kind::Network) || namespaces.is_the_callers(Kind::Network) {
            let reason = "network devices cannot be moved: the container has the host's network";
            let hint = "add {\"type\": \"network\"} to linux.namespaces";
            problems.refuse(Code::NET_DEVICE, all, reason, hint);
        } else if !nix::unistd::geteuid().is_root() {
            let reason = "network devices can be moved by root only";
            problems.refuse(Code::NET_DEVICE, all, reason, "leave netDevices out");
        } else {
            check_present(&list, problems);
        }
        Self { list }
    }

    /// Moves the interfaces into the network namespace of a process.
    ///
    /// # Errors
    /// What the kernel refused; interfaces that have been moved stay where they are.
    pub fn move_to(&self, pid: Pid) -> Result<(), Error> {
        let Some(first) = self.list.first() else { return Ok(()) };
        let failed = |doing: &str, call, errno: Errno| {
            Failure::new(Code::NET_DEVICE, doing).errno(call, errno as i32).at(&first.at)
        };
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let namespace = open(format!("/proc/{pid}/ns/net").as_str(), flags, Mode::empty())
            .map_err(|e| failed("open the container's network namespace", "open", e))?;
        let mut host =
            Netlink::here().map_err(|e| failed("look at the network devices", "socket", e))?;
        let mut inside = Netlink::inside(&namespace)
            .map_err(|e| failed("enter the container's network namespace", "setns", e))?;
        for Moved { name, target, at } in &self.list {
            let failed = |doing: String, errno: Errno| {
                let failure = Failure::new(Code::NET_DEVICE, doing).at(at);
                match errno {
                    Errno::EEXIST => failure.hint("the namespace has a device of that name"),
                    Errno::EINVAL => failure.hint("devices of this kind may not be moved"),
                    _ => failure,
                }
                .errno("netlink", errno as i32)
            };
            let device = Device::find(&mut host, name)
                .map_err(|e| failed(format!("look at network device {name}"), e))?;
            let moved = device
                .move_to(&mut host, &mut inside, &namespace, target)
                .map_err(|e| failed(format!("move network device {name} as {target}"), e))?;
            moved
                .set_up(&mut inside)
                .map_err(|e| failed(format!("set network device {name} up as {target}"), e))?;
        }
        Ok(())
    }
}

const NAMES: &str =
    "1 to 15 characters, no blank, slash or colon; one %d may stand for the next free number";

fn is_name(name: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
    (1..=15).contains(&name.len()) && !matches!(name, "." | "..") && !name.contains(bad)
}

fn check_present(list: &[Moved], problems: &mut Problems) {
    if list.is_empty() {
        return;
    }
    // Without netlink, the attempt will tell.
    let Ok(mut host) = Netlink::here() else { return };
    for Moved { name, at, .. } in list {
        match Device::find(&mut host, name) {
            Ok(device) if device.is_loopback() => {
                let reason = "the loopback device cannot be moved";
                problems.refuse(Code::NET_DEVICE, at, reason, "each network namespace has its own");
            }
            Err(Errno::ENODEV) => {
                let reason = format!("there is no network device {name:?} here");
                problems.refuse(Code::NET_DEVICE, at, reason, "ip link shows those there are");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn problems_of(devices: &str, namespaces: &str) -> Vec<String> {
        let text = format!(r#"{{"linux":{{"netDevices":{devices},"namespaces":{namespaces}}}}}"#);
        let config = config::parse(text.as_bytes()).unwrap();
        let mut problems = Problems::default();
        let namespaces = Namespaces::plan(&config, &mut problems);
        NetDevices::plan(&config, &namespaces, &mut problems);
        problems.list().iter().map(|p| p.pointer.to_string()).collect()
    }

    #[test]
    fn names_are_checked_one_by_one() {
        let own = r#"[{"type":"mount"}]"#;
        assert_eq!(problems_of("{}", own), Vec::<String>::new());
        for (devices, expected) in [
            (r#"{"a/b":{}}"#, "/linux/netDevices/a~1b"),
            (r#"{"":{}}"#, "/linux/netDevices/"),
            (r#"{"a%d":{}}"#, "/linux/netDevices/a%d"),
            (r#"{"sixteen-letters-":{}}"#, "/linux/netDevices/sixteen-letters-"),
            (r#"{"a":{"name":"b c"}}"#, "/linux/netDevices/a/name"),
            (r#"{"a":{"name":"b%s"}}"#, "/linux/netDevices/a/name"),
            (r#"{"a":{"name":"b%d%d"}}"#, "/linux/netDevices/a/name"),
            (r#"{"a":{"name":".."}}"#, "/linux/netDevices/a/name"),
            (r#"{"a":{"name":"x"},"b":{"name":"x"}}"#, "/linux/netDevices/b"),
        ] {
            let found = problems_of(devices, own);
            assert_eq!(found.first().map(String::as_str), Some(expected), "{devices}");
        }
    }

    #[test]
    fn a_network_of_its_own_is_needed() {
        let found = problems_of(r#"{"no-such-device":{}}"#, r#"[{"type":"mount"}]"#);
        assert_eq!(found, ["/linux/netDevices"]);
    }
}
