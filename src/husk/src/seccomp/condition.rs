//! Conditions on the arguments of a call.

use super::abi::Width;
use super::names::Operator;

/// The arguments of a system call.
pub(super) const ARGUMENTS: usize = 6;

/// A condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Which argument.
    pub(super) argument: u8,
    pub(super) operator: Operator,
    /// The bits that count; all of them for every operator but `MaskedEqual`.
    pub(super) mask: u64,
    /// What they are compared with; no bit outside of the mask.
    pub(super) value: u64,
}

impl Condition {
    /// `value` and `value_two` as the profile has them.
    pub(super) fn new(argument: u8, operator: Operator, value: u64, value_two: u64) -> Self {
        match operator {
            Operator::MaskedEqual => {
                Self { argument, operator, mask: value, value: value & value_two }
            }
            _ => Self { argument, operator, mask: u64::MAX, value },
        }
    }

    /// The condition as an ABI of this width sees it; nothing when it always holds there.
    fn seen_by(mut self, width: Width) -> Option<Self> {
        if width == Width::Bits32 {
            self.mask &= u64::from(u32::MAX);
            self.value &= u64::from(u32::MAX);
        }
        (self.mask != 0).then_some(self)
    }
}

/// Conditions that must all hold; at most one an argument, in the arguments' order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions([Option<Condition>; ARGUMENTS]);

impl Conditions {
    /// Only this condition.
    pub(super) fn of(condition: Condition) -> Self {
        let mut one = Self::default();
        one.set(condition);
        one
    }

    /// Sets the condition on its argument; the one that was there is returned.
    pub(super) fn set(&mut self, condition: Condition) -> Option<Condition> {
        self.0.get_mut(usize::from(condition.argument))?.replace(condition)
    }

    /// The conditions as an ABI of this width sees them.
    pub(super) fn seen_by(self, width: Width) -> Self {
        Self(self.0.map(|c| c.and_then(|c| c.seen_by(width))))
    }

    /// Whether they always hold.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// The conditions, by argument.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Condition> {
        self.0.iter().flatten()
    }

    /// The condition, if there is exactly one.
    pub(super) fn single(&self) -> Option<&Condition> {
        let mut all = self.iter();
        match (all.next(), all.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        }
    }
}
