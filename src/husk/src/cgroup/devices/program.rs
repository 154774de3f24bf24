//! The device program of cgroup v2: a set of devices as instructions of eBPF.
//!
//! The kernel runs it with the device and the access in a small structure: `access << 16 | kind`,
//! major, minor. It answers 1 to allow. No map and no helper is needed, so the verifier has nothing
//! to follow but forward jumps.

use super::{Access, DeviceSet, Devices, Kind};
use crate::sys::bpf::Insn;

// linux/bpf_common.h and linux/bpf.h.
const LOAD_WORD: u8 = 0x61;
const MOVE_IMMEDIATE: u8 = 0xb7;
const MOVE_32: u8 = 0xbc;
const AND_32_IMMEDIATE: u8 = 0x54;
const SHIFT_RIGHT_32_IMMEDIATE: u8 = 0x74;
const JUMP_EQUAL_IMMEDIATE: u8 = 0x15;
const JUMP_NOT_EQUAL_IMMEDIATE: u8 = 0x55;
const EXIT: u8 = 0x95;

const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
/// The context is not needed any more once its words are loaded.
const SCRATCH: u8 = 1;

/// The program for `set`.
pub(in crate::cgroup) fn assemble(set: &DeviceSet) -> Vec<Insn> {
    let mut program = vec![
        load(KIND, 0),
        insn(MOVE_32, ACCESS, KIND, 0, 0),
        insn(AND_32_IMMEDIATE, KIND, 0, 0, 0xffff),
        insn(SHIFT_RIGHT_32_IMMEDIATE, ACCESS, 0, 0, 16),
        load(MAJOR, 4),
        load(MINOR, 8),
    ];
    for (devices, access) in set.exceptions() {
        program.extend(block(devices, access, set.allows_by_default()));
    }
    program.extend(answer(set.allows_by_default()));
    program
}

/// What answers the opposite of the default for `devices`, and is jumped over by all others.
fn block(devices: Devices, access: Access, allow_all: bool) -> Vec<Insn> {
    let mut tests = Vec::new();
    let kind = if devices.kind == Kind::Block { 1 } else { 2 };
    tests.push(insn(JUMP_NOT_EQUAL_IMMEDIATE, KIND, 0, 0, kind));
    for (register, number) in [(MAJOR, devices.major), (MINOR, devices.minor)] {
        let Some(number) = number else { continue };
        // The comparison extends the sign. No device of Linux has a number this great.
        let Ok(number) = i32::try_from(number) else { return Vec::new() };
        tests.push(insn(JUMP_NOT_EQUAL_IMMEDIATE, register, 0, 0, number));
    }
    if allow_all {
        // Denied when any of the access is.
        tests.push(insn(MOVE_32, SCRATCH, ACCESS, 0, 0));
        tests.push(insn(AND_32_IMMEDIATE, SCRATCH, 0, 0, i32::from(access.bits())));
        tests.push(insn(JUMP_EQUAL_IMMEDIATE, SCRATCH, 0, 0, 0));
    } else if access != Access::ALL {
        // Allowed when all of the access is.
        let others = Access::ALL.without(access);
        tests.push(insn(MOVE_32, SCRATCH, ACCESS, 0, 0));
        tests.push(insn(AND_32_IMMEDIATE, SCRATCH, 0, 0, i32::from(others.bits())));
        tests.push(insn(JUMP_NOT_EQUAL_IMMEDIATE, SCRATCH, 0, 0, 0));
    }
    tests.extend(answer(!allow_all));
    let length = tests.len();
    for (index, test) in tests.iter_mut().enumerate() {
        if matches!(test.code, JUMP_EQUAL_IMMEDIATE | JUMP_NOT_EQUAL_IMMEDIATE) {
            // At most a dozen instructions, counted from the one after the jump.
            let over = length.saturating_sub(index).saturating_sub(1);
            test.offset = i16::try_from(over).unwrap_or(i16::MAX);
        }
    }
    tests
}

fn answer(allow: bool) -> [Insn; 2] {
    [insn(MOVE_IMMEDIATE, RESULT, 0, 0, i32::from(allow)), insn(EXIT, 0, 0, 0, 0)]
}

fn load(register: u8, offset: i16) -> Insn {
    insn(LOAD_WORD, register, CONTEXT, offset, 0)
}

fn insn(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Insn {
    Insn { code, registers: source << 4 | destination, offset, immediate }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Use, allows, uses};
    use super::*;
    use crate::cgroup::controllers::Sink;
    use crate::cgroup::layout::Version;
    use crate::config::DeviceRule;
    use crate::error::{Pointer, Problems};

    /// Runs a program as the kernel does; independent of the assembler above.
    fn run(program: &[Insn], (kind, major, minor, access): Use) -> u64 {
        let kind = if kind == Kind::Block { 1 } else { 2 };
        let context = [u32::from(access.bits()) << 16 | kind, major, minor];
        let mut registers = [0_u64; 11];
        let mut at = 0;
        for _ in 0..100_000 {
            let insn = program[at];
            at += 1;
            let destination = usize::from(insn.registers & 15);
            let source = registers[usize::from(insn.registers >> 4)];
            let value = registers[destination];
            let immediate = i64::from(insn.immediate) as u64;
            let jump = match insn.code {
                0x61 => {
                    assert_eq!(insn.registers >> 4, 1);
                    registers[destination] = u64::from(context[insn.offset as usize / 4]);
                    false
                }
                0xb7 => {
                    registers[destination] = immediate;
                    false
                }
                0xbc => {
                    registers[destination] = u64::from(source as u32);
                    false
                }
                0x54 => {
                    registers[destination] = u64::from(value as u32 & insn.immediate as u32);
                    false
                }
                0x74 => {
                    registers[destination] = u64::from(value as u32 >> insn.immediate);
                    false
                }
                0x15 => value == immediate,
                0x55 => value != immediate,
                0x95 => return registers[0],
                other => panic!("unknown instruction {other:#x}"),
            };
            if jump {
                at += insn.offset as usize;
            }
        }
        panic!("the program does not end");
    }

    fn set_of(rules: &[(bool, &'static str, i64, i64, &'static str)]) -> DeviceSet {
        let rules: Vec<DeviceRule<'_>> = rules
            .iter()
            .map(|(allow, kind, major, minor, access)| DeviceRule {
                allow: *allow,
                kind: (*kind).into(),
                major: Some(*major),
                minor: Some(*minor),
                access: (*access).into(),
            })
            .collect();
        let mut problems = Problems::default();
        let mut sink = Sink::new(Version::V2, &mut problems);
        super::super::plan(&rules, &[], &Pointer::default(), &mut sink)
    }

    #[test]
    fn the_program_decides_as_the_rules() {
        for rules in [
            vec![],
            vec![(true, "a", -1, -1, "rwm")],
            vec![(true, "a", -1, -1, "rwm"), (false, "c", 10, 229, "w")],
            vec![(true, "a", -1, -1, "rwm"), (false, "b", 8, -1, "rwm"), (false, "c", -1, 3, "r")],
            vec![(false, "a", -1, -1, "rwm"), (true, "c", 10, 229, "rw"), (true, "b", -1, -1, "r")],
            vec![(true, "c", 4095, 1_048_575, "rwm"), (true, "c", 4_294_967_295, 0, "rwm")],
        ] {
            let set = set_of(&rules);
            let program = assemble(&set);
            for use_ in uses() {
                assert_eq!(run(&program, use_) == 1, allows(&set, use_), "{rules:?} {use_:?}");
            }
        }
    }

    #[test]
    fn every_path_ends_inside_the_program() {
        let program = assemble(&set_of(&[(true, "c", 10, 229, "r")]));
        for (index, insn) in program.iter().enumerate() {
            let target = index as i64 + 1 + i64::from(insn.offset);
            let jumps = insn.code & 7 == 5 && insn.code != EXIT;
            assert!(!jumps || target < program.len() as i64);
        }
        assert_eq!(program.last().unwrap().code, EXIT);
    }
}
