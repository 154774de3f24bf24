//! Classic BPF as seccomp takes it, and an assembler that writes a program from its end.
//!
//! Jumps of classic BPF only go forward, so a program written backwards knows where each of its
//! jumps ends. A conditional jump reaches 255 instructions; farther goes through a `ja`, or, for
//! a return, to another copy of it.

/// One instruction, laid out as the kernel's `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// Instructions to skip when the condition holds.
    pub jt: u8,
    /// Instructions to skip otherwise.
    pub jf: u8,
    /// Constant, offset or distance.
    pub k: u32,
}

impl Instruction {
    /// The eight bytes that the kernel reads.
    pub fn to_bytes(self) -> [u8; 8] {
        let ([a, b], [e, f, g, h]) = (self.code.to_ne_bytes(), self.k.to_ne_bytes());
        [a, b, self.jt, self.jf, e, f, g, h]
    }
}

/// The most instructions that the kernel takes in one program.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// `ld [k]`: a 32-bit word of `struct seccomp_data`.
pub(super) const LOAD: u16 = 0x20;
/// `and #k`.
pub(super) const AND: u16 = 0x54;
/// `ja k`.
pub(super) const JUMP: u16 = 0x05;
/// `ret #k`.
pub(super) const RETURN: u16 = 0x06;

/// A condition on the accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    /// `jeq #k`.
    Equal = 0x15,
    /// `jgt #k`, unsigned.
    Greater = 0x25,
    /// `jge #k`, unsigned.
    GreaterEqual = 0x35,
}

/// Where a jump goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The instruction at this place, counted from the end of the program.
    At(usize),
    /// A return of this value.
    Return(u32),
}

/// A program being written, last instruction first.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    backwards: Vec<Instruction>,
    /// The nearest copy of each return.
    returns: Vec<(u32, usize)>,
}

/// How far the first target of a jump may be: one less than the reach for each instruction that
/// may still be put between.
const REACH: usize = 255 - 2;

impl Assembler {
    pub(super) fn with_capacity(instructions: usize) -> Self {
        Self { backwards: Vec::with_capacity(instructions), returns: Vec::with_capacity(8) }
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> usize {
        self.backwards.push(Instruction { code, jt, jf, k });
        self.backwards.len().saturating_sub(1)
    }

    /// Instructions between the next one to be written and the one at `place`.
    fn distance(&self, place: usize) -> usize {
        self.backwards.len().saturating_sub(place).saturating_sub(1)
    }

    /// A place near enough for a conditional jump that leads to `target`.
    fn near(&mut self, target: Target) -> usize {
        match target {
            Target::At(place) if self.distance(place) <= REACH => place,
            Target::At(place) => {
                let distance = u32::try_from(self.distance(place)).unwrap_or(u32::MAX);
                self.push(JUMP, 0, 0, distance)
            }
            Target::Return(value) => self.near_return(value),
        }
    }

    fn near_return(&mut self, value: u32) -> usize {
        let known = self.returns.iter().position(|(v, _)| *v == value);
        if let Some(&(_, place)) = known.and_then(|i| self.returns.get(i))
            && self.distance(place) <= REACH
        {
            return place;
        }
        let place = self.push(RETURN, 0, 0, value);
        match known.and_then(|i| self.returns.get_mut(i)) {
            Some(entry) => entry.1 = place,
            None => self.returns.push((value, place)),
        }
        place
    }

    /// `if (a compare k) goto yes else goto no`.
    pub(super) fn branch(&mut self, compare: Compare, k: u32, yes: Target, no: Target) -> Target {
        if yes == no {
            return yes;
        }
        let (yes, no) = (self.near(yes), self.near(no));
        // Both distances fit: `near` left room for the other's instruction.
        let jt = u8::try_from(self.distance(yes)).unwrap_or(u8::MAX);
        let jf = u8::try_from(self.distance(no)).unwrap_or(u8::MAX);
        Target::At(self.push(compare as u16, jt, jf, k))
    }

    /// Loads the word at `offset`, keeps the bits of `mask`, goes on at `next`.
    pub(super) fn load(&mut self, offset: u32, mask: u32, next: Target) -> Target {
        self.fall_to(next);
        if mask != u32::MAX {
            self.push(AND, 0, 0, mask);
        }
        Target::At(self.push(LOAD, 0, 0, offset))
    }

    /// Makes `target` what comes after the next instruction to be written.
    fn fall_to(&mut self, target: Target) {
        match target {
            Target::At(place) if self.distance(place) == 0 => {}
            Target::At(place) => {
                let distance = u32::try_from(self.distance(place)).unwrap_or(u32::MAX);
                self.push(JUMP, 0, 0, distance);
            }
            Target::Return(value) => {
                self.push(RETURN, 0, 0, value);
            }
        }
    }

    /// The program, first instruction first, beginning at what was written last.
    pub(super) fn finish(self) -> Vec<Instruction> {
        let mut program = self.backwards;
        program.reverse();
        program
    }
}
