//! The names of actions, operators, flags and architectures: one table each, read by the planner
//! and printed by `husk features`.

/// What the kernel does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// `SECCOMP_RET_…`, without data.
    pub value: u32,
    /// The errno (for `TRACE`, the message to the tracer) that it carries.
    pub errno: Errno,
}

/// Whether an action carries an errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// It does not, and `errnoRet` is an error.
    None,
    /// It does, up to this value.
    UpTo(u16),
}

impl Action {
    const fn plain(value: u32) -> Self {
        Self { value, errno: Errno::None }
    }
}

/// `SECCOMP_RET_KILL_THREAD`: also what a call of an ABI gets that the profile does not list.
pub(super) const KILL_THREAD: u32 = 0;
/// `SECCOMP_RET_ERRNO`.
pub(super) const ERRNO: u32 = 0x0005_0000;
/// `SECCOMP_RET_USER_NOTIF`.
pub(super) const NOTIFY: u32 = 0x7fc0_0000;
/// `SECCOMP_RET_TRACE`.
pub(super) const TRACE: u32 = 0x7ff0_0000;
/// `SECCOMP_RET_LOG`.
pub(super) const LOG: u32 = 0x7ffc_0000;
/// `SECCOMP_RET_ALLOW`.
pub(super) const ALLOW: u32 = 0x7fff_0000;
/// The part of a return value that says what to do; the rest is data.
pub(super) const ACTION_MASK: u32 = 0xffff_0000;

/// The actions of the specification.
pub const ACTIONS: &[(&str, Action)] = &[
    ("SCMP_ACT_ALLOW", Action::plain(ALLOW)),
    // The kernel answers 4095 to what is above it.
    ("SCMP_ACT_ERRNO", Action { value: ERRNO, errno: Errno::UpTo(4095) }),
    ("SCMP_ACT_KILL", Action::plain(KILL_THREAD)),
    ("SCMP_ACT_KILL_PROCESS", Action::plain(0x8000_0000)),
    ("SCMP_ACT_KILL_THREAD", Action::plain(KILL_THREAD)),
    ("SCMP_ACT_LOG", Action::plain(LOG)),
    ("SCMP_ACT_NOTIFY", Action::plain(NOTIFY)),
    ("SCMP_ACT_TRACE", Action { value: TRACE, errno: Errno::UpTo(u16::MAX) }),
    ("SCMP_ACT_TRAP", Action::plain(0x0003_0000)),
];

/// How a condition compares an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `argument != value`.
    NotEqual,
    /// `argument < value`; all comparisons are of unsigned numbers.
    Less,
    /// `argument <= value`.
    LessEqual,
    /// `argument == value`.
    Equal,
    /// `argument >= value`.
    GreaterEqual,
    /// `argument > value`.
    Greater,
    /// `argument & value == valueTwo & value`.
    MaskedEqual,
}

/// The operators of the specification.
pub const OPERATORS: &[(&str, Operator)] = &[
    ("SCMP_CMP_EQ", Operator::Equal),
    ("SCMP_CMP_GE", Operator::GreaterEqual),
    ("SCMP_CMP_GT", Operator::Greater),
    ("SCMP_CMP_LE", Operator::LessEqual),
    ("SCMP_CMP_LT", Operator::Less),
    ("SCMP_CMP_MASKED_EQ", Operator::MaskedEqual),
    ("SCMP_CMP_NE", Operator::NotEqual),
];

/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`: set when a profile has no `flags`.
pub const FLAG_SPEC_ALLOW: u32 = 1 << 2;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`: set when a rule notifies; no profile names it.
pub const FLAG_NEW_LISTENER: u32 = 1 << 3;
/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`: needs [`FLAG_NEW_LISTENER`].
pub const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// The flags of the specification, with their bits for seccomp(2). The container's init has one
/// thread, so `TSYNC` asks for nothing: it is accepted, and has no bit here.
pub const FLAGS: &[(&str, u32)] = &[
    ("SECCOMP_FILTER_FLAG_LOG", 1 << 1),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", FLAG_SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_TSYNC", 0),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", FLAG_WAIT_KILLABLE_RECV),
];

/// The architectures of the specification. Those of another machine are accepted and change
/// nothing: no call on this machine can be one of theirs.
pub const ARCHITECTURES: &[&str] = &[
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];

/// The entry of `table` with this name.
pub(super) fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// What to write instead of a name that is not known.
pub(super) fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    format!("use one of {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_whole() {
        let sorted = |names: Vec<&str>| names.is_sorted();
        assert!(sorted(ACTIONS.iter().map(|a| a.0).collect()));
        assert!(sorted(OPERATORS.iter().map(|o| o.0).collect()));
        assert!(sorted(FLAGS.iter().map(|f| f.0).collect()));
        assert!(sorted(ARCHITECTURES.to_vec()));
        assert_eq!((ACTIONS.len(), OPERATORS.len(), ARCHITECTURES.len()), (9, 7, 23));
    }

    #[test]
    fn values_of_the_kernel() {
        let value = |name| find(ACTIONS, name).unwrap().value;
        assert_eq!(value("SCMP_ACT_KILL_PROCESS"), libc::SECCOMP_RET_KILL_PROCESS);
        assert_eq!(value("SCMP_ACT_KILL"), libc::SECCOMP_RET_KILL_THREAD);
        assert_eq!(value("SCMP_ACT_TRAP"), libc::SECCOMP_RET_TRAP);
        assert_eq!(value("SCMP_ACT_ERRNO"), libc::SECCOMP_RET_ERRNO);
        assert_eq!(value("SCMP_ACT_NOTIFY"), libc::SECCOMP_RET_USER_NOTIF);
        assert_eq!(value("SCMP_ACT_TRACE"), libc::SECCOMP_RET_TRACE);
        assert_eq!(value("SCMP_ACT_LOG"), libc::SECCOMP_RET_LOG);
        assert_eq!(value("SCMP_ACT_ALLOW"), libc::SECCOMP_RET_ALLOW);
        assert_eq!(u64::from(FLAG_SPEC_ALLOW), libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW);
        assert_eq!(u64::from(FLAG_NEW_LISTENER), libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
    }
}
