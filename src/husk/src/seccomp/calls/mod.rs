//! The numbers of Linux' system calls: facts of the kernel's ABI, in a table that is small in the
//! binary (about 12 KB a family) and finds a name by one hash.
//!
//! The rows are generated ([`x86`] and [`arm`] say from what); the compiler packs them into the
//! table, so that no address has to be relocated when the program starts. Only the target's family
//! is compiled in; tests have both.

#[cfg(any(test, target_arch = "aarch64"))]
mod arm;
#[cfg(any(test, target_arch = "x86_64"))]
mod x86;

/// How a row is written: name, number in each ABI of the family, [`DIRECT`] or the multiplexer.
type Row = (&'static str, [u16; 3], u8);

/// An ABI that has no number for the call.
const NONE: u16 = u16::MAX;

/// A call that is not multiplexed.
const DIRECT: u8 = 0;

/// Set in the multiplexer's byte for `ipc(2)`; `socketcall(2)` otherwise.
const IPC: u8 = 0x80;

/// Operation `n` of `socketcall(2)`.
#[cfg(any(test, target_arch = "x86_64"))]
const fn socketcall(n: u8) -> u8 {
    n
}

/// Operation `n` of `ipc(2)`.
#[cfg(any(test, target_arch = "x86_64"))]
const fn ipc(n: u8) -> u8 {
    n | IPC
}

/// The call of a 32-bit x86 program that stands for several others, told apart by argument 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Multiplexed {
    /// `socketcall(n, …)`.
    Socketcall(u8),
    /// `ipc(n, …)`.
    Ipc(u8),
}

/// What the table knows of a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    start: u16,
    len: u8,
    multiplexed: u8,
    numbers: [u16; 3],
}

impl Call {
    /// The number in the ABI of this column, as the table writes it (see [`PRIVATE`]).
    pub(super) fn number(&self, column: usize) -> Option<u16> {
        self.numbers.get(column).copied().filter(|n| *n != NONE)
    }

    /// The operation of 32-bit x86's multiplexers that does the same.
    pub(super) fn multiplexed(&self) -> Option<Multiplexed> {
        match self.multiplexed {
            DIRECT => None,
            n if n & IPC != 0 => Some(Multiplexed::Ipc(n & !IPC)),
            n => Some(Multiplexed::Socketcall(n)),
        }
    }
}

/// Set in a number that is counted from the ABI's private base (ARM's `__ARM_NR_BASE`).
pub(super) const PRIVATE: u16 = 0x8000;

/// Slots of the hash index; a power of two, about twice the names.
const SLOTS: usize = 1024;

/// A family's calls: names end to end, one entry a name, and the index by hash.
#[derive(Debug)]
pub(super) struct Calls {
    names: &'static str,
    entries: &'static [Call],
    index: &'static [u16; SLOTS],
}

impl Calls {
    /// The call of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Call> {
        let mut slot = hash(name.as_bytes());
        // The index is half empty, so a run of taken slots ends soon; the count is a safeguard.
        for _ in 0..SLOTS {
            let entry = self.entries.get(usize::from(*self.index.get(slot)?))?;
            let start = usize::from(entry.start);
            if self.names.get(start..start.checked_add(usize::from(entry.len))?) == Some(name) {
                return Some(entry);
            }
            slot = slot.wrapping_add(1) % SLOTS;
        }
        None
    }

    /// Every name.
    #[cfg(test)]
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().map(|e| &self.names[e.start as usize..][..e.len as usize])
    }
}

/// FNV-1a, folded to a slot.
const fn hash(name: &[u8]) -> usize {
    let mut state = 0x811c_9dc5_u32;
    let mut rest = name;
    while let Some((first, tail)) = rest.split_first() {
        state = (state ^ *first as u32).wrapping_mul(0x0100_0193);
        rest = tail;
    }
    ((state ^ (state >> 15)) as usize) % SLOTS
}

const fn names_len(rows: &[Row]) -> usize {
    let mut len = 0;
    let mut rest = rows;
    while let Some((row, tail)) = rest.split_first() {
        len += row.0.len();
        rest = tail;
    }
    len
}

#[expect(clippy::indexing_slicing, reason = "run by the compiler, which refuses a bad index")]
const fn pack_names<const L: usize>(rows: &[Row]) -> [u8; L] {
    let mut packed = [0; L];
    let (mut row, mut at) = (0, 0);
    while row < rows.len() {
        let name = rows[row].0.as_bytes();
        let mut byte = 0;
        while byte < name.len() {
            packed[at] = name[byte];
            (byte, at) = (byte + 1, at + 1);
        }
        row += 1;
    }
    packed
}

#[expect(clippy::indexing_slicing, reason = "run by the compiler, which refuses a bad index")]
const fn pack_entries<const N: usize>(rows: &[Row; N]) -> [Call; N] {
    let mut packed = [Call { start: 0, len: 0, multiplexed: 0, numbers: [NONE; 3] }; N];
    let (mut row, mut start) = (0, 0);
    while row < N {
        let (name, numbers, multiplexed) = rows[row];
        packed[row] = Call { start, len: name.len() as u8, multiplexed, numbers };
        start += name.len() as u16;
        row += 1;
    }
    packed
}

#[expect(clippy::indexing_slicing, reason = "run by the compiler, which refuses a bad index")]
const fn pack_index(rows: &[Row]) -> [u16; SLOTS] {
    let mut index = [NONE; SLOTS];
    let mut row = 0;
    while row < rows.len() {
        let mut slot = hash(rows[row].0.as_bytes());
        while index[slot] != NONE {
            slot = (slot + 1) % SLOTS;
        }
        index[slot] = row as u16;
        row += 1;
    }
    index
}

macro_rules! pack {
    ($(#[$doc:meta])* $name:ident = $rows:expr) => {
        $(#[$doc])*
        pub(super) static $name: Calls = {
            static NAMES: [u8; names_len(&$rows)] = pack_names(&$rows);
            static ENTRIES: [Call; $rows.len()] = pack_entries(&$rows);
            static INDEX: [u16; SLOTS] = pack_index(&$rows);
            const TEXT: &str = match std::str::from_utf8(&NAMES) {
                Ok(text) => text,
                Err(_) => "",
            };
            Calls { names: TEXT, entries: &ENTRIES, index: &INDEX }
        };
    };
}

pack! {
    /// Columns: x86-64, 32-bit x86, x32.
    #[cfg(any(test, target_arch = "x86_64"))]
    X86 = x86::ROWS
}

pack! {
    /// Columns: AArch64, 32-bit ARM (EABI).
    #[cfg(any(test, target_arch = "aarch64"))]
    ARM = arm::ROWS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_nothing_else() {
        for (calls, rows) in [(&X86, &x86::ROWS[..]), (&ARM, &arm::ROWS[..])] {
            for (name, numbers, _) in rows {
                let call = calls.find(name).unwrap();
                for (column, number) in numbers.iter().enumerate() {
                    assert_eq!(call.number(column).unwrap_or(NONE), *number, "{name}");
                }
            }
            assert_eq!(calls.names().count(), rows.len());
            for name in ["", "nosuchcall", "READ", "rea", "reads", "read\0"] {
                assert!(calls.find(name).is_none(), "{name:?}");
            }
        }
    }

    #[test]
    fn numbers_of_the_kernel() {
        let of = |calls: &Calls, name| calls.find(name).unwrap().numbers;
        assert_eq!(of(&X86, "execve"), [59, 11, 520]);
        assert_eq!(of(&X86, "clone3"), [435, 435, 435]);
        assert_eq!(of(&X86, "send"), [NONE, NONE, NONE]);
        assert_eq!(of(&ARM, "openat"), [56, 322, NONE]);
        assert_eq!(of(&ARM, "set_tls"), [NONE, PRIVATE | 5, NONE]);
        assert_eq!(X86.find("shmat").unwrap().multiplexed(), Some(Multiplexed::Ipc(21)));
        assert_eq!(X86.find("bind").unwrap().multiplexed(), Some(Multiplexed::Socketcall(2)));
        assert_eq!(ARM.find("bind").unwrap().multiplexed(), None);
    }

    #[test]
    fn no_number_is_given_twice() {
        for (rows, columns) in [(&x86::ROWS[..], 3), (&arm::ROWS[..], 2)] {
            for column in 0..columns {
                let mut seen = std::collections::BTreeMap::new();
                for (name, numbers, _) in rows {
                    let other = seen.insert(numbers[column], name);
                    assert!(numbers[column] == NONE || other.is_none(), "{name} and {other:?}");
                }
            }
        }
    }
}
