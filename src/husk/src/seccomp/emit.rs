//! Writes the program: a balanced search by number for each architecture, the checks of
//! arguments behind it.
//!
//! Nothing but loads of the number and the architecture, comparisons and returns stands before a
//! number is decided, so that the kernel can find out which numbers need no filter at all and
//! skips it for them.

use super::abi::Width;
use super::bpf::{Assembler, Compare, Instruction, Target};
use super::condition::Condition;
use super::decide::{Check, Clause, Decisions, Range, Verdict};
use super::names::{KILL_THREAD, Operator};

/// Offset of the number in `struct seccomp_data`.
const NUMBER: u32 = 0;
/// Offset of the architecture.
const ARCHITECTURE: u32 = 4;
/// Offset of the first argument; each has 8 bytes.
const ARGUMENTS: u32 = 16;

/// The most values that are compared one after the other instead of being searched.
const CHAIN: usize = 2;

/// The program that answers as `decisions` say.
pub(super) fn emit(decisions: &Decisions) -> Vec<Instruction> {
    let ranges: usize = decisions.architectures.iter().map(|a| a.ranges.len()).sum();
    let mut writer = Writer {
        code: Assembler::with_capacity(ranges.saturating_mul(2).saturating_add(64)),
        checks: vec![None; decisions.checks.len()],
        decisions,
    };
    // A call of an ABI that is not listed is not decided by the profile.
    let mut entry = Target::Return(KILL_THREAD);
    // The last one written is the first one asked: the machine's own.
    for architecture in decisions.architectures.iter().rev() {
        let search = writer.search(&architecture.ranges);
        let search = writer.code.load(NUMBER, u32::MAX, search);
        entry = writer.code.branch(Compare::Equal, architecture.audit, search, entry);
    }
    writer.code.load(ARCHITECTURE, u32::MAX, entry);
    writer.code.finish()
}

struct Writer<'d> {
    code: Assembler,
    /// Where the checks stand that have been written.
    checks: Vec<Option<Target>>,
    decisions: &'d Decisions,
}

impl Writer<'_> {
    /// Finds the verdict of the number in the accumulator, which is in `ranges`.
    fn search(&mut self, ranges: &[Range]) -> Target {
        if let Some(target) = self.chain(ranges) {
            return target;
        }
        let middle = ranges.len() / 2;
        let Some((left, right)) = ranges.split_at_checked(middle) else {
            return Target::Return(self.decisions.default);
        };
        let Some(start) = right.first().map(|range| range.start) else {
            return Target::Return(self.decisions.default);
        };
        let right = self.search(right);
        let left = self.search(left);
        self.code.branch(Compare::GreaterEqual, start, right, left)
    }

    /// One verdict but for a few single numbers: these are compared one by one.
    fn chain(&mut self, ranges: &[Range]) -> Option<Target> {
        let (first, second) = (ranges.first()?, ranges.get(1));
        let common = [Some(first), second].into_iter().flatten().map(|range| range.verdict).find(
            |common| {
                let others = ranges.iter().zip(1..).filter(|(range, _)| range.verdict != *common);
                let mut count = 0;
                let single = others.into_iter().all(|(range, next)| {
                    count += 1;
                    let end = ranges.get(next).map(|range| range.start);
                    end.is_some_and(|end| end.wrapping_sub(range.start) == 1)
                });
                single && count <= CHAIN
            },
        )?;
        let mut target = self.verdict(common);
        for range in ranges.iter().rev().filter(|range| range.verdict != common) {
            let verdict = self.verdict(range.verdict);
            target = self.code.branch(Compare::Equal, range.start, verdict, target);
        }
        Some(target)
    }

    fn verdict(&mut self, verdict: Verdict) -> Target {
        let default = Target::Return(self.decisions.default);
        match verdict {
            Verdict::Return(value) => Target::Return(value),
            Verdict::Check(index) => {
                if let Some(Some(written)) = self.checks.get(index) {
                    return *written;
                }
                let check = self.decisions.checks.get(index);
                let target = check.map_or(default, |check| self.check(check, default));
                if let Some(place) = self.checks.get_mut(index) {
                    *place = Some(target);
                }
                target
            }
        }
    }

    /// The first clause that holds decides.
    fn check(&mut self, check: &Check, otherwise: Target) -> Target {
        let mut next = otherwise;
        let mut clauses = check.clauses.as_slice();
        while let Some((last, before)) = clauses.split_last() {
            let alike = before.iter().rev().take_while(|c| same_word(c, last)).count();
            let first = before.len().saturating_sub(alike);
            let yes = Target::Return(last.action);
            next = match (alike, clauses.split_at_checked(first)) {
                (1.., Some((rest, run))) => {
                    clauses = rest;
                    self.any_of(check.width, run, yes, next)
                }
                _ => {
                    clauses = before;
                    let mut yes = yes;
                    for condition in last.conditions.iter().rev() {
                        yes = self.condition(check.width, condition, yes, next);
                    }
                    yes
                }
            };
        }
        next
    }

    /// Equalities on one argument whose upper halves agree: one load for all.
    fn any_of(&mut self, width: Width, run: &[Clause], yes: Target, no: Target) -> Target {
        let mut target = no;
        let mut last = None;
        for condition in run.iter().rev().filter_map(|clause| clause.conditions.single()) {
            target = self.code.branch(Compare::Equal, condition.value as u32, yes, target);
            last = Some(condition);
        }
        let Some(condition) = last else {
            return no;
        };
        let (low, high) = words(condition);
        target = self.code.load(low, u32::MAX, target);
        if width == Width::Bits64 {
            let value = (condition.value >> 32) as u32;
            target = self.code.branch(Compare::Equal, value, target, no);
            target = self.code.load(high, u32::MAX, target);
        }
        target
    }

    /// `if (condition) goto yes else goto no`.
    fn condition(
        &mut self,
        width: Width,
        condition: &Condition,
        yes: Target,
        no: Target,
    ) -> Target {
        let (low, high) = words(condition);
        let value = (condition.value as u32, (condition.value >> 32) as u32);
        let mask = (condition.mask as u32, (condition.mask >> 32) as u32);
        let wide = width == Width::Bits64;
        let bound = match condition.operator {
            Operator::Equal | Operator::MaskedEqual => None,
            Operator::NotEqual => None,
            Operator::Greater | Operator::LessEqual => Some(Compare::Greater),
            Operator::GreaterEqual | Operator::Less => Some(Compare::GreaterEqual),
        };
        let (yes, no) = match condition.operator {
            Operator::NotEqual | Operator::Less | Operator::LessEqual => (no, yes),
            _ => (yes, no),
        };
        let mut target = yes;
        if mask.0 != 0 {
            target = self.code.branch(bound.unwrap_or(Compare::Equal), value.0, yes, no);
            target = self.code.load(low, mask.0, target);
        }
        if wide && mask.1 != 0 {
            target = self.code.branch(Compare::Equal, value.1, target, no);
            if bound.is_some() {
                target = self.code.branch(Compare::Greater, value.1, yes, target);
            }
            target = self.code.load(high, mask.1, target);
        }
        target
    }
}

/// Offsets of the lower and the upper half of the argument.
fn words(condition: &Condition) -> (u32, u32) {
    let low = ARGUMENTS.saturating_add(u32::from(condition.argument).saturating_mul(8));
    (low, low.saturating_add(4))
}

/// Whether both clauses are one equality on the same argument with the same upper half, and
/// have the same action.
fn same_word(a: &Clause, b: &Clause) -> bool {
    let (Some(one), Some(other)) = (a.conditions.single(), b.conditions.single()) else {
        return false;
    };
    a.action == b.action
        && (one.operator, other.operator) == (Operator::Equal, Operator::Equal)
        && one.argument == other.argument
        && one.value >> 32 == other.value >> 32
}
