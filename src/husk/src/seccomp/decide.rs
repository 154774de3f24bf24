//! Which verdict each number gets, for each ABI of a profile.

use super::abi::{Abi, Family, Width, X32_BIT};
use super::calls::{Call, Multiplexed, PRIVATE};
use super::condition::{Condition, Conditions};
use super::names::{KILL_THREAD, Operator};
use super::order;
use super::profile::{NO_SUCH_CALL, Profile, Rule, welcomes_new_calls};

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This return value, whatever the arguments.
    Return(u32),
    /// What the check of this index says.
    Check(usize),
}

/// A decision by arguments: the first clause that holds, or the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) width: Width,
    pub(super) clauses: Vec<Clause>,
}

/// What to return under which conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) conditions: Conditions,
    pub(super) action: u32,
}

/// Numbers from `start` on, up to the next range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u32,
    pub(super) verdict: Verdict,
}

/// The verdicts of one value of `seccomp_data.arch`, for all numbers.
#[derive(Debug)]
pub(super) struct Architecture {
    pub(super) audit: u32,
    pub(super) ranges: Vec<Range>,
}

/// Everything that a program must tell apart.
#[derive(Debug)]
pub(super) struct Decisions {
    pub(super) default: u32,
    pub(super) architectures: Vec<Architecture>,
    pub(super) checks: Vec<Check>,
}

/// Numbers of a table below the private ones.
const REGULAR: usize = 576;
/// Numbers of a table, private ones included.
const SLOTS: usize = REGULAR + 16;

/// What is known of a number while rules are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// No rule.
    Free,
    /// Only rules with conditions.
    Conditional,
    /// A rule without conditions, the first of them.
    Always(u32),
}

/// The rules of one ABI, by number.
struct Numbers<'f> {
    abi: &'f Abi,
    column: usize,
    slots: [Slot; SLOTS],
    /// The highest number that the profile names.
    newest: Option<u16>,
    clauses: Vec<(usize, Clause)>,
}

fn slot(number: u16) -> usize {
    match number & PRIVATE {
        0 => usize::from(number),
        _ => REGULAR.saturating_add(usize::from(number & !PRIVATE)),
    }
}

impl<'f> Numbers<'f> {
    fn new(abi: &'f Abi, column: usize) -> Self {
        Self { abi, column, slots: [Slot::Free; SLOTS], newest: None, clauses: Vec::new() }
    }

    /// Notes a rule for a call that the profile names; `known` when it only repeats the default.
    fn add(&mut self, call: &Call, rule: &Rule<'_>, known: bool) {
        let multiplexed = self.abi.multiplexers.zip(call.multiplexed());
        let number = call.number(self.column);
        if let (Some(number), None) = (number, multiplexed)
            && number & PRIVATE == 0
        {
            self.newest = self.newest.max(Some(number));
        }
        if known {
            return;
        }
        if let Some((numbers, operation)) = multiplexed {
            let (number, operation) = match operation {
                Multiplexed::Socketcall(n) => (numbers.socketcall, n),
                Multiplexed::Ipc(n) => (numbers.ipc, n),
            };
            let operation = Condition::new(0, Operator::Equal, u64::from(operation), 0);
            self.add_multiplexed(number, operation, rule);
        }
        let Some(number) = number else {
            return;
        };
        if rule.when.is_empty() {
            self.set_always(number, rule.action);
        }
        for conditions in &rule.when {
            self.set(number, *conditions, rule.action);
        }
    }

    /// The rule on the multiplexer: its first argument is the operation, so that what the rule
    /// says of the call's own first argument is lost.
    fn add_multiplexed(&mut self, number: u16, operation: Condition, rule: &Rule<'_>) {
        if rule.when.is_empty() {
            self.set(number, Conditions::of(operation), rule.action);
        }
        for conditions in &rule.when {
            let mut conditions = *conditions;
            conditions.set(operation);
            self.set(number, conditions, rule.action);
        }
    }

    /// A rule without conditions, which is most of them: the first one stays.
    fn set_always(&mut self, number: u16, action: u32) {
        if let Some(slot) = self.slots.get_mut(slot(number))
            && !matches!(slot, Slot::Always(_))
        {
            *slot = Slot::Always(action);
        }
    }

    fn set(&mut self, number: u16, conditions: Conditions, action: u32) {
        let number = slot(number);
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        if matches!(slot, Slot::Always(_)) {
            return;
        }
        let conditions = conditions.seen_by(self.abi.width);
        if conditions.is_empty() {
            *slot = Slot::Always(action);
        } else {
            *slot = Slot::Conditional;
            self.clauses.push((number, Clause { conditions, action }));
        }
    }

    /// What unknown numbers above the newest one get.
    fn beyond(&self, default: u32) -> u32 {
        // A profile that names nothing but number 0 says nothing about its age (with x32's bit, a
        // number is never 0).
        let dated = self.newest.is_some_and(|newest| newest > 0 || self.abi.offset > 0);
        if dated && !welcomes_new_calls(default) { NO_SUCH_CALL } else { default }
    }

    /// Appends the ranges of this ABI's numbers, the last one open.
    fn ranges(mut self, default: u32, checks: &mut Vec<Check>, ranges: &mut Vec<Range>) {
        let beyond = Verdict::Return(self.beyond(default));
        let newest = usize::from(self.newest.unwrap_or_default());
        self.clauses.sort_by_key(|(number, _)| *number);
        for (number, slot) in self.slots.iter().enumerate() {
            let verdict = match slot {
                Slot::Free if number > newest => beyond,
                Slot::Free => Verdict::Return(default),
                Slot::Always(action) => Verdict::Return(*action),
                Slot::Conditional => {
                    let first = self.clauses.partition_point(|(n, _)| *n < number);
                    let own = self.clauses.iter().skip(first).take_while(|(n, _)| *n == number);
                    check(self.abi.width, own.map(|(_, clause)| *clause).collect(), checks)
                }
            };
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let regular = REGULAR as u32;
            let start = match number.checked_sub(regular) {
                None => self.abi.offset.saturating_add(number),
                Some(private) => self.abi.private.saturating_add(private),
            };
            if number == regular {
                push(ranges, self.abi.offset.saturating_add(regular), beyond);
            }
            push(ranges, start, verdict);
        }
    }
}

fn check(width: Width, mut clauses: Vec<Clause>, checks: &mut Vec<Check>) -> Verdict {
    order::arrange(width, &mut clauses);
    let check = Check { width, clauses };
    let known = checks.iter().position(|c| *c == check);
    Verdict::Check(known.unwrap_or_else(|| {
        checks.push(check);
        checks.len().saturating_sub(1)
    }))
}

fn push(ranges: &mut Vec<Range>, start: u32, verdict: Verdict) {
    if ranges.last().is_none_or(|last| last.verdict != verdict) {
        ranges.push(Range { start, verdict });
    }
}

/// Decides for every number of every ABI that `profile` lists.
pub(super) fn decide(family: &Family, profile: &Profile<'_>) -> Decisions {
    let default = profile.default;
    let mut numbers: Vec<Numbers<'_>> = (family.abis.iter().enumerate())
        .filter(|(column, _)| profile.listed.get(*column) == Some(&true))
        .map(|(column, abi)| Numbers::new(abi, column))
        .collect();
    for rule in &profile.rules {
        // A rule that says what the default says makes no difference, not even against others.
        let known = rule.action == default;
        for call in rule.names.iter().filter_map(|name| family.calls.find(name)) {
            for abi in &mut numbers {
                abi.add(call, rule, known);
            }
        }
    }
    let mut checks = Vec::new();
    let mut architectures: Vec<Architecture> = Vec::with_capacity(2);
    let has_x32 = family.abis.iter().any(|abi| abi.offset == X32_BIT);
    let mut bare = has_x32.then_some(());
    let mut beyond_native = default;
    for abi in numbers {
        let (audit, offset, beyond) = (abi.abi.audit, abi.abi.offset, abi.beyond(default));
        if offset == 0 {
            let mut ranges = Vec::with_capacity(256);
            if abi.column == 0 {
                beyond_native = beyond;
            }
            abi.ranges(default, &mut checks, &mut ranges);
            architectures.push(Architecture { audit, ranges });
        } else if let Some(native) = architectures.iter_mut().find(|a| a.audit == audit) {
            bare = None;
            abi.ranges(default, &mut checks, &mut native.ranges);
            push(&mut native.ranges, 1 << 31, Verdict::Return(beyond_native));
            push(&mut native.ranges, (1 << 31) | X32_BIT, Verdict::Return(beyond));
        }
    }
    if let (Some(()), Some(native)) = (bare, architectures.first_mut()) {
        without_x32(&mut native.ranges, default, beyond_native);
    }
    Decisions { default, architectures, checks }
}

/// Ends the ranges of x86-64 for a profile that does not list x32: its calls are another ABI's.
/// Number -1 is no call but how a tracer skips one.
fn without_x32(ranges: &mut Vec<Range>, default: u32, beyond: u32) {
    let kill = Verdict::Return(KILL_THREAD);
    push(ranges, X32_BIT, kill);
    if beyond == NO_SUCH_CALL {
        push(ranges, 1 << 31, Verdict::Return(beyond));
    }
    push(ranges, (1 << 31) | X32_BIT, kill);
    push(ranges, u32::MAX, Verdict::Return(default));
}
