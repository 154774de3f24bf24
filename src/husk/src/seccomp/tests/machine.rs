//! A machine that runs filters as the kernel does.

use crate::seccomp::bpf::{AND, Instruction, JUMP, LOAD, RETURN};

/// What the kernel shows to a filter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Data {
    pub(super) number: u32,
    pub(super) arch: u32,
    pub(super) arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                match offset % 8 {
                    0 => argument as u32,
                    4 => (argument >> 32) as u32,
                    _ => panic!("load of {offset}"),
                }
            }
            _ => panic!("load of {offset}"),
        }
    }
}

/// What the filter returns, and after how many instructions.
pub(super) fn run(program: &[Instruction], data: &Data) -> (u32, usize) {
    let (mut a, mut at, mut steps) = (0_u32, 0, 0);
    // It ends, since jumps only go forward.
    loop {
        steps += 1;
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let skip = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            LOAD => a = data.word(k),
            AND => a &= k,
            JUMP => at += k as usize,
            0x15 => at += skip(a == k),
            0x25 => at += skip(a > k),
            0x35 => at += skip(a >= k),
            0x45 => at += skip(a & k != 0),
            RETURN => return (k, steps),
            _ => panic!("instruction {code:#x}"),
        }
    }
}

/// The checks that the kernel makes before it accepts a program.
pub(super) fn assert_accepted(program: &[Instruction]) {
    assert!((1..=4096).contains(&program.len()), "{} instructions", program.len());
    assert_eq!(program.last().unwrap().code, RETURN);
    for (at, i) in program.iter().enumerate() {
        let farthest = match i.code {
            JUMP => i.k as usize,
            _ => usize::from(i.jt.max(i.jf)),
        };
        assert!(at + 1 + farthest <= program.len() || i.code == RETURN, "{at}: {i:?}");
        assert!(i.code != LOAD || i.k % 4 == 0 && i.k < 64, "{at}: {i:?}");
    }
}
