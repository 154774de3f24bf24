//! From `resources.devices` to a set of devices.

use super::{Access, DeviceSet, Devices, Kind};
use crate::cgroup::controllers::Sink;
use crate::config::{Device, DeviceRule};
use crate::error::{Code, Pointer};

/// A device that every container may use.
struct Default {
    /// Its node, where the container gets one.
    node: &'static str,
    devices: Devices,
    access: Access,
}

const fn default(
    node: &'static str,
    kind: Kind,
    major: Option<u32>,
    minor: Option<u32>,
    access: Access,
) -> Default {
    Default { node, devices: Devices { kind, major, minor }, access }
}

/// What every container may use, after the rules of its configuration. Engines rely on this list,
/// which is runc's.
const DEFAULTS: [Default; 11] = [
    default("", Kind::Char, None, None, Access::MKNOD),
    default("", Kind::Block, None, None, Access::MKNOD),
    default("/dev/null", Kind::Char, Some(1), Some(3), Access::ALL),
    default("/dev/zero", Kind::Char, Some(1), Some(5), Access::ALL),
    default("/dev/full", Kind::Char, Some(1), Some(7), Access::ALL),
    default("/dev/random", Kind::Char, Some(1), Some(8), Access::ALL),
    default("/dev/urandom", Kind::Char, Some(1), Some(9), Access::ALL),
    default("/dev/tty", Kind::Char, Some(5), Some(0), Access::ALL),
    // The multiplexer and the terminals of devpts.
    default("", Kind::Char, Some(5), Some(2), Access::ALL),
    default("", Kind::Char, Some(136), None, Access::ALL),
    // Tunnels.
    default("", Kind::Char, Some(10), Some(200), Access::ALL),
];

/// Adds one rule of the configuration.
pub(super) fn add(set: &mut DeviceSet, rule: &DeviceRule<'_>, at: &Pointer, sink: &mut Sink<'_>) {
    let kinds: &[Kind] = match rule.kind.as_str() {
        "" | "a" => &[Kind::Block, Kind::Char],
        "b" => &[Kind::Block],
        "c" => &[Kind::Char],
        other => {
            let reason = format!("\"{other}\" is not a kind of device that rules know");
            sink.limit(at.key("type"), reason, "give c, b, or a for both");
            return;
        }
    };
    let access = access(rule, at, sink);
    let major = number(rule.major, at, "major", sink);
    let minor = number(rule.minor, at, "minor", sink);
    let (Some(access), Some(major), Some(minor)) = (access, major, minor) else { return };
    if kinds.len() > 1 && major.is_none() && minor.is_none() && access == Access::ALL {
        set.reset(rule.allow);
        return;
    }
    for kind in kinds {
        let devices = Devices { kind: *kind, major, minor };
        if let Err(hole) = set.add(rule.allow, devices, access) {
            let (verb, before) =
                if rule.allow { ("allows", "denies") } else { ("denies", "allows") };
            sink.problems.refuse(
                Code::CGROUP_LIMIT,
                at,
                format!(
                    "the rule {verb} {access} of {devices}, but an earlier one {before} {} of {} \
                     as a whole",
                    hole.1, hole.0
                ),
                "an exception to an exception cannot be kept: list single devices in the earlier rule",
            );
            return;
        }
    }
}

/// Adds what every container has.
pub(super) fn add_defaults(set: &mut DeviceSet, nodes: &[Device<'_>]) {
    for Default { node, devices, access } in DEFAULTS {
        let replaced = !node.is_empty() && nodes.iter().any(|n| n.path.as_str() == node);
        if !replaced {
            // Where everything is allowed by default, a configuration that denies more than one of
            // these as a whole keeps what it asked for.
            let _ = set.add(true, devices, access);
        }
    }
}

fn access(rule: &DeviceRule<'_>, at: &Pointer, sink: &mut Sink<'_>) -> Option<Access> {
    let mut access = Access(0);
    for letter in rule.access.chars() {
        access = access.union(match letter {
            'r' => Access::READ,
            'w' => Access::WRITE,
            'm' => Access::MKNOD,
            _ => {
                let reason = format!("\"{}\" holds a letter other than r, w, m", rule.access);
                sink.limit(at.key("access"), reason, "give some of r (read), w (write), m (mknod)");
                return None;
            }
        });
    }
    if access.is_none() {
        sink.problems.refuse(
            Code::CONFIG_MISSING,
            at.key("access"),
            "device access cannot be empty",
            "give some of r (read), w (write), m (mknod)",
        );
        return None;
    }
    Some(access)
}

/// `Some(None)` stands for all numbers.
fn number(value: Option<i64>, at: &Pointer, key: &str, sink: &mut Sink<'_>) -> Option<Option<u32>> {
    match value {
        None | Some(-1) => Some(None),
        Some(value) => match u32::try_from(value) {
            Ok(value) => Some(Some(value)),
            Err(_) => {
                let reason = format!("{value} is not the number of a device");
                sink.limit(at.key(key), reason, "give a number, or leave it out for all");
                None
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan;
    use super::super::tests::{allows, uses};
    use super::*;
    use crate::cgroup::controllers::Sink;
    use crate::cgroup::layout::Version;
    use crate::error::Problems;

    fn rule(
        allow: bool,
        kind: &'static str,
        numbers: [i64; 2],
        access: &'static str,
    ) -> DeviceRule<'static> {
        let [major, minor] = numbers.map(|n| (n >= -1).then_some(n));
        DeviceRule { allow, kind: kind.into(), major, minor, access: access.into() }
    }

    fn set_of(
        rules: &[DeviceRule<'_>],
        nodes: &[Device<'_>],
    ) -> (DeviceSet, Vec<String>, Vec<String>) {
        let mut problems = Problems::default();
        let mut sink = Sink::new(Version::V1, &mut problems);
        let set = plan(rules, nodes, &Pointer::from("/d"), &mut sink);
        let writes = sink.writes.iter().map(|w| format!("{} {}", w.file, w.value)).collect();
        let refused = problems.list().iter().map(|p| p.pointer.to_string()).collect();
        (set, writes, refused)
    }

    #[test]
    fn without_rules_the_defaults_remain() {
        let (set, writes, _) = set_of(&[], &[]);
        assert_eq!(writes.first().unwrap(), "devices.deny a");
        assert_eq!(writes.len(), 1 + DEFAULTS.len());
        assert!(allows(&set, (Kind::Char, 1, 3, Access::READ)));
        assert!(allows(&set, (Kind::Block, 8, 0, Access::MKNOD)));
        assert!(!allows(&set, (Kind::Block, 8, 0, Access::READ)));
        let null = Device { path: "/dev/null".into(), ..Device::default() };
        let (set, _, _) = set_of(&[], &[null]);
        assert!(!allows(&set, (Kind::Char, 1, 3, Access::READ)));
    }

    #[test]
    fn what_an_engine_writes() {
        // The rules of Docker, which also end with a device that was never allowed.
        let rules = [
            rule(false, "", [-2, -2], "rwm"),
            rule(true, "c", [1, 5], "rwm"),
            rule(true, "b", [8, 0], "r"),
            rule(false, "c", [10, 229], "rwm"),
        ];
        let (set, _, refused) = set_of(&rules, &[]);
        assert!(refused.is_empty());
        assert!(!set.allows_by_default());
        assert!(allows(&set, (Kind::Block, 8, 0, Access::READ)));
        assert!(!allows(&set, (Kind::Block, 8, 0, Access::WRITE)));
        assert!(!allows(&set, (Kind::Char, 10, 229, Access::READ)));
        // Privileged containers.
        let (set, writes, _) = set_of(&[rule(true, "a", [-1, -1], "rwm")], &[]);
        assert_eq!(writes, ["devices.allow a"]);
        assert!(uses().into_iter().all(|use_| allows(&set, use_)));
    }

    #[test]
    fn a_rule_for_both_kinds_keeps_its_numbers_and_access() {
        let (set, _, _) = set_of(&[rule(true, "a", [8, -1], "r")], &[]);
        assert!(!set.allows_by_default());
        assert!(allows(&set, (Kind::Block, 8, 3, Access::READ)));
        assert!(allows(&set, (Kind::Char, 8, 3, Access::READ)));
        assert!(!allows(&set, (Kind::Char, 8, 3, Access::WRITE)));
    }

    #[test]
    fn refusals_point_at_the_property() {
        for (rules, at) in [
            (vec![rule(true, "x", [1, 1], "r")], "/d/0/type"),
            (vec![rule(true, "c", [1, 1], "")], "/d/0/access"),
            (vec![rule(true, "c", [1, 1], "rx")], "/d/0/access"),
            (vec![rule(true, "c", [1 << 32, 1], "r")], "/d/0/major"),
            (vec![rule(true, "c", [-1, -1], "r"), rule(false, "c", [1, 3], "r")], "/d/1"),
        ] {
            assert_eq!(set_of(&rules, &[]).2, [at]);
        }
        let negative = DeviceRule { minor: Some(-7), ..rule(true, "c", [1, 1], "r") };
        assert_eq!(set_of(&[negative], &[]).2, ["/d/0/minor"]);
    }
}
