//! `process.capabilities` (config.md §Linux process).

use crate::config::{Capabilities, Str};
use crate::error::{Code, Pointer, Problems};
use crate::plan::Steps;
use husk_init::wire::Op;

/// The names of all capabilities, by their numbers.
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Every capability that has a name here.
const ALL: u64 = (1 << NAMES.len()) - 1;
/// What husk itself needs until it has loaded the filter.
const SYS_ADMIN: u64 = 1 << 21;

/// The five sets, as masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// Bounding.
    pub bounding: u64,
    /// Effective.
    pub effective: u64,
    /// Permitted.
    pub permitted: u64,
    /// Inheritable.
    pub inheritable: u64,
    /// Ambient.
    pub ambient: u64,
}

/// The mask of one capability.
pub fn named(name: &str) -> Option<u64> {
    NAMES.iter().position(|known| *known == name).map(|number| 1 << number)
}

/// The names in a mask.
fn names(mask: u64) -> Vec<&'static str> {
    let is_set = |n: &usize| mask >> n & 1 == 1;
    NAMES.iter().enumerate().filter(|(n, _)| is_set(n)).map(|(_, name)| *name).collect()
}

impl Sets {
    /// Reads the sets; without the object there are no capabilities at all.
    ///
    /// A name that is unknown, or that husk itself does not have, is left out with a warning, as
    /// the specification asks for.
    pub fn plan(
        given: Option<&Capabilities<'_>>,
        at: &Pointer,
        own: u64,
        problems: &mut Problems,
    ) -> Self {
        let Some(given) = given else { return Self::default() };
        let mut read = |key: &str, names: &[Str<'_>]| {
            let mut mask = 0;
            for (n, name) in names.iter().enumerate() {
                match named(name) {
                    Some(bit) if bit & own != 0 => mask |= bit,
                    Some(_) => {
                        let reason =
                            format!("{} cannot be granted: husk does not have it", &**name);
                        problems.warn(Code::CAPABILITY, at.key(key).index(n), reason);
                    }
                    None => {
                        let reason = format!("unknown capability {:?} is ignored", &**name);
                        problems.warn(Code::CAPABILITY, at.key(key).index(n), reason);
                    }
                }
            }
            mask
        };
        let mut sets = Self {
            bounding: read("bounding", &given.bounding),
            effective: read("effective", &given.effective),
            permitted: read("permitted", &given.permitted),
            inheritable: read("inheritable", &given.inheritable),
            ambient: read("ambient", &given.ambient),
        };
        let lost = sets.ambient & !(sets.permitted & sets.inheritable);
        if lost != 0 {
            let reason = format!(
                "{} cannot be ambient without being permitted and inheritable",
                names(lost).join(", ")
            );
            problems.warn(Code::CAPABILITY, at.key("ambient"), reason);
            sets.ambient &= !lost;
        }
        sets
    }

    /// Appends the drop from the bounding set, which needs capabilities itself.
    pub fn bounding_steps(&self, origin: &Pointer, steps: &mut Steps) {
        let mask = ALL & !self.bounding;
        if mask != 0 {
            steps.push(&Op::DropBounding { mask }, origin.key("bounding"));
        }
    }

    /// Appends the sets that the process keeps until its filter is loaded: its own, and the right
    /// to load one without the no-new-privileges bit.
    pub fn interim_steps(&self, origin: &Pointer, steps: &mut Steps) {
        let mask = self.permitted | SYS_ADMIN;
        steps.push(&Op::Capabilities { effective: mask, permitted: mask, inheritable: 0 }, origin);
    }

    /// Appends the final sets.
    pub fn final_steps(&self, origin: &Pointer, steps: &mut Steps) {
        let Self { effective, permitted, inheritable, ambient, .. } = *self;
        steps.push(&Op::Capabilities { effective, permitted, inheritable }, origin);
        if ambient != 0 {
            steps.push(&Op::Ambient { mask: ambient }, origin.key("ambient"));
        }
    }
}

/// The capabilities that husk could pass on: those of its own permitted set.
pub fn own() -> u64 {
    crate::sys::process::permitted_capabilities()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn sets_are_exactly_as_given_and_odd_names_only_warn() {
        let text = r#"{"capabilities":{"bounding":["CAP_CHOWN","CAP_KILL"],"permitted":["CAP_KILL","CAP_X"],
            "effective":["CAP_SYS_TIME"]}}"#;
        let process = config::parse_process(text.as_bytes()).unwrap();
        let mut problems = Problems::default();
        let own = ALL & !(1 << 25);
        let at = Pointer::from("/process/capabilities");
        let sets = Sets::plan(process.capabilities.as_ref(), &at, own, &mut problems);
        assert_eq!((sets.bounding, sets.permitted, sets.effective), (0b10_0001, 0b10_0000, 0));
        assert!(!problems.refused());
        let at: Vec<_> = problems.list().iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(at, ["/process/capabilities/effective/0", "/process/capabilities/permitted/1"]);
    }

    #[test]
    fn none_given_is_none_at_all() {
        let sets = Sets::plan(None, &Pointer::default(), ALL, &mut Problems::default());
        assert_eq!(sets, Sets::default());
        assert_eq!(named("CAP_CHECKPOINT_RESTORE"), Some(1 << 40));
    }
}
