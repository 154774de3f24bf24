//! Which devices a container may open or make: `resources.devices` (config-linux.md §Allowed
//! Device list), the same set on v1, by rules, and on v2, by a program.

pub(super) mod program;
mod rules;

use super::controllers::Sink;
use super::layout::Version;
use super::write::Write;
use crate::config::{Device, DeviceRule};
use crate::error::Pointer;
use std::collections::BTreeMap;
use std::fmt;

/// What can be done with a device; the bits of the kernel's device programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access(u8);

impl Access {
    pub(super) const MKNOD: Self = Self(1);
    pub(super) const READ: Self = Self(2);
    pub(super) const WRITE: Self = Self(4);
    pub(super) const ALL: Self = Self(7);

    /// The bits.
    pub(super) fn bits(self) -> u8 {
        self.0
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::MKNOD, "m")] {
            if self.meets(bit) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// Kind of a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Block,
    Char,
}

/// Devices of one kind; a number that is absent stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Devices {
    pub(super) kind: Kind,
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
}

impl Devices {
    /// Whether all of `other` are among these.
    fn cover(self, other: Self) -> bool {
        self.kind == other.kind
            && (self.major.is_none() || self.major == other.major)
            && (self.minor.is_none() || self.minor == other.minor)
    }

    /// Whether some device is in both.
    fn meet(self, other: Self) -> bool {
        let either = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        self.kind == other.kind
            && either(self.major, other.major)
            && either(self.minor, other.minor)
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.kind == Kind::Block { "b" } else { "c" })?;
        for (number, before) in [(self.major, ' '), (self.minor, ':')] {
            match number {
                Some(number) => write!(f, "{before}{number}")?,
                None => write!(f, "{before}*")?,
            }
        }
        Ok(())
    }
}

/// What remains of a list of rules: a default, and the devices that are excepted from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeviceSet {
    allow_all: bool,
    exceptions: BTreeMap<Devices, Access>,
}

/// A rule that asks for an exception to an exception, which v1 has no way to keep.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hole(Devices, Access);

impl DeviceSet {
    /// No device at all: what rules start from.
    pub(super) fn nothing() -> Self {
        Self { allow_all: false, exceptions: BTreeMap::new() }
    }

    /// Whether everything is allowed but the exceptions.
    pub(super) fn allows_by_default(&self) -> bool {
        self.allow_all
    }

    /// What is excepted from the default.
    pub(super) fn exceptions(&self) -> impl Iterator<Item = (Devices, Access)> {
        self.exceptions.iter().map(|(devices, access)| (*devices, *access))
    }

    /// Makes `allow` the default, without exceptions.
    fn reset(&mut self, allow: bool) {
        self.allow_all = allow;
        self.exceptions.clear();
    }

    /// Adds a rule after the ones before.
    fn add(&mut self, allow: bool, devices: Devices, access: Access) -> Result<(), Hole> {
        if allow != self.allow_all {
            let entry = self.exceptions.entry(devices).or_insert(Access(0));
            *entry = entry.union(access);
            return Ok(());
        }
        for (other, theirs) in &self.exceptions {
            if other.meet(devices) && !devices.cover(*other) && theirs.meets(access) {
                return Err(Hole(*other, *theirs));
            }
        }
        for (other, theirs) in &mut self.exceptions {
            if devices.cover(*other) {
                *theirs = theirs.without(access);
            }
        }
        self.exceptions.retain(|_, access| !access.is_none());
        Ok(())
    }

    /// The rules of v1 that give a cgroup this set, whatever it had before.
    fn writes_of_v1(&self, at: &Pointer) -> Vec<Write> {
        let (default, other) = if self.allow_all {
            ("devices.allow", "devices.deny")
        } else {
            ("devices.deny", "devices.allow")
        };
        let mut writes = vec![Write::new(default, "a", at.clone())];
        let exceptions = self.exceptions.iter();
        writes.extend(exceptions.map(|(d, a)| Write::new(other, format!("{d} {a}"), at.clone())));
        writes
    }
}

/// Translates `resources.devices`, which stands at `at`, followed by the devices that every
/// container has. `nodes` is `linux.devices`: one that stands in the place of a default device
/// takes that device's rule away.
pub(super) fn plan(
    rules: &[DeviceRule<'_>],
    nodes: &[Device<'_>],
    at: &Pointer,
    sink: &mut Sink<'_>,
) -> DeviceSet {
    let mut set = DeviceSet::nothing();
    for (index, rule) in rules.iter().enumerate() {
        rules::add(&mut set, rule, &at.index(index), sink);
    }
    rules::add_defaults(&mut set, nodes);
    if sink.version == Version::V1 {
        sink.writes.extend(set.writes_of_v1(at));
    }
    set
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A device that a container uses, and how.
    pub(in crate::cgroup) type Use = (Kind, u32, u32, Access);

    /// What the kernel's v1 code decides for `set`.
    pub(in crate::cgroup) fn allows(set: &DeviceSet, (kind, major, minor, access): Use) -> bool {
        let device = Devices { kind, major: Some(major), minor: Some(minor) };
        let mut matching = set.exceptions().filter(|(d, _)| d.cover(device));
        if set.allows_by_default() {
            !matching.any(|(_, theirs)| theirs.meets(access))
        } else {
            matching.any(|(_, theirs)| access.without(theirs).is_none())
        }
    }

    /// Uses around the numbers that rules have.
    pub(in crate::cgroup) fn uses() -> Vec<Use> {
        let mut uses = Vec::new();
        for kind in [Kind::Block, Kind::Char] {
            for major in [0, 1, 5, 8, 10, 136, 4095] {
                for minor in [0, 2, 3, 5, 200, 229, 1_048_575] {
                    for bits in 1..=7 {
                        uses.push((kind, major, minor, Access(bits)));
                    }
                }
            }
        }
        uses
    }

    fn char(major: impl Into<Option<u32>>, minor: impl Into<Option<u32>>) -> Devices {
        Devices { kind: Kind::Char, major: major.into(), minor: minor.into() }
    }

    #[test]
    fn later_rules_change_what_earlier_ones_gave() {
        let mut set = DeviceSet::nothing();
        set.add(true, char(1, 3), Access::ALL).unwrap();
        set.add(true, char(1, 5), Access::READ).unwrap();
        set.add(false, char(1, 3), Access::WRITE).unwrap();
        assert!(allows(&set, (Kind::Char, 1, 3, Access::READ)));
        assert!(!allows(&set, (Kind::Char, 1, 3, Access::WRITE)));
        // A wider rule takes all of what it covers.
        set.add(false, char(1, None), Access::ALL).unwrap();
        assert_eq!(set, DeviceSet::nothing());
        set.reset(true);
        set.add(false, char(10, 229), Access::WRITE).unwrap();
        assert!(!allows(&set, (Kind::Char, 10, 229, Access::READ.union(Access::WRITE))));
        assert!(allows(&set, (Kind::Char, 10, 229, Access::READ)));
    }

    #[test]
    fn holes_are_refused() {
        let mut set = DeviceSet::nothing();
        set.add(true, char(None, None), Access::MKNOD).unwrap();
        set.add(true, char(None, 3), Access::READ).unwrap();
        let wide = Hole(char(None, None), Access::MKNOD);
        assert_eq!(set.add(false, char(1, 3), Access::MKNOD), Err(wide));
        let crossing = Hole(char(None, 3), Access::READ);
        assert_eq!(set.add(false, char(1, None), Access::READ), Err(crossing));
        assert_eq!(set.add(false, char(1, 5), Access::WRITE), Ok(()));
    }

    #[test]
    fn rules_of_v1() {
        let mut set = DeviceSet::nothing();
        set.add(true, char(1, 3), Access::ALL).unwrap();
        set.add(true, char(136, None), Access::READ).unwrap();
        let text = |set: &DeviceSet| -> Vec<String> {
            let writes = set.writes_of_v1(&Pointer::default());
            writes.iter().map(|w| format!("{} {}", w.file, w.value)).collect()
        };
        let expected = ["devices.deny a", "devices.allow c 1:3 rwm", "devices.allow c 136:* r"];
        assert_eq!(text(&set), expected);
        set.reset(true);
        assert_eq!(text(&set), ["devices.allow a"]);
    }
}
