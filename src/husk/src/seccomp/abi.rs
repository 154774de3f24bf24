//! The ABIs that one kernel serves: the machine's own and those of its 32-bit programs.

use super::calls::{self, Calls};

/// How many bits of an argument a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// The low 32.
    Bits32,
    /// All 64.
    Bits64,
}

/// One way of calling the kernel.
#[derive(Debug)]
pub(super) struct Abi {
    /// Its name in `architectures`.
    pub(super) name: &'static str,
    /// What the kernel puts into `seccomp_data.arch` (`AUDIT_ARCH_…`).
    pub(super) audit: u32,
    pub(super) width: Width,
    /// Added to every number: x32's bit.
    pub(super) offset: u32,
    /// Where the numbers begin that the table marks as private.
    pub(super) private: u32,
    /// `socketcall(2)` and `ipc(2)`, where several calls share them.
    pub(super) multiplexers: Option<Multiplexers>,
}

/// The numbers of the two calls of 32-bit x86 that stand for many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Multiplexers {
    pub(super) socketcall: u16,
    pub(super) ipc: u16,
}

/// The bit by which x32's numbers differ from x86-64's.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// The ABIs of one kernel; the first is the machine's own. An ABI's place is its column in the
/// table of calls.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) abis: &'static [Abi],
    pub(super) calls: &'static Calls,
}

const PLAIN: Abi = Abi {
    name: "",
    audit: 0,
    width: Width::Bits32,
    offset: 0,
    private: 0x000f_0000,
    multiplexers: None,
};

/// x86-64, with 32-bit x86 and x32.
#[cfg(any(test, target_arch = "x86_64"))]
pub(super) static X86: Family = Family {
    abis: &[
        Abi { name: "SCMP_ARCH_X86_64", audit: 0xc000_003e, width: Width::Bits64, ..PLAIN },
        Abi {
            name: "SCMP_ARCH_X86",
            audit: 0x4000_0003,
            multiplexers: Some(Multiplexers { socketcall: 102, ipc: 117 }),
            ..PLAIN
        },
        // The kernel reports x86-64 for x32 too; only the bit in the number tells them apart.
        Abi { name: "SCMP_ARCH_X32", audit: 0xc000_003e, offset: X32_BIT, ..PLAIN },
    ],
    calls: &calls::X86,
};

/// AArch64, with 32-bit ARM.
#[cfg(any(test, target_arch = "aarch64"))]
pub(super) static ARM: Family = Family {
    abis: &[
        Abi { name: "SCMP_ARCH_AARCH64", audit: 0xc000_00b7, width: Width::Bits64, ..PLAIN },
        Abi { name: "SCMP_ARCH_ARM", audit: 0x4000_0028, ..PLAIN },
    ],
    calls: &calls::ARM,
};

/// The family of the machine that this program is for.
#[cfg(target_arch = "x86_64")]
pub(super) static NATIVE: &Family = &X86;
/// The family of the machine that this program is for.
#[cfg(target_arch = "aarch64")]
pub(super) static NATIVE: &Family = &ARM;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the seccomp compiler has no table of system calls for this architecture");
