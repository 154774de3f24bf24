//! Which of several conditional rules for one call decides, when more than one of them holds.
//!
//! The specification does not say. Profiles are written for libseccomp, which keeps no order of
//! its own making but sorts the comparisons; the same order is used here. It matters only where
//! rules with different actions overlap:
//!
//! - rules on a higher argument come before rules on a lower one; of two rules that begin with
//!   the same comparisons, the one that ends there comes first;
//! - on one argument, first equalities (also negated and masked), then `<` and `<=`, then `>=` and
//!   `>`; among equalities and lower bounds the greater value first, among upper bounds the lower;
//! - a 64-bit value is compared by its upper half first;
//! - then the order of the profile.

use super::abi::Width;
use super::condition::Condition;
use super::decide::Clause;
use super::names::Operator;
use std::cmp::Ordering;

/// One 32-bit comparison, as far as the order is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// Argument and half.
    word: u8,
    /// Equality, upper bound, lower bound.
    kind: Kind,
    value: u32,
    mask: u32,
    /// What the machine compares, a negation being the same comparison.
    test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Equality,
    Upper,
    Lower,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Equal,
    Masked,
    Greater,
    GreaterEqual,
}

impl Step {
    fn before(&self, other: &Self) -> Ordering {
        other.word.cmp(&self.word).then(self.kind.cmp(&other.kind)).then(match self.kind {
            Kind::Upper => self.value.cmp(&other.value),
            _ => other.value.cmp(&self.value),
        })
    }

    /// Whether both are the same comparison, so that the rules share it.
    fn same(&self, other: &Self) -> bool {
        (self.word, self.value, self.mask, self.test)
            == (other.word, other.value, other.mask, other.test)
    }
}

/// The halves of a condition in the order in which they are compared.
fn steps(width: Width, condition: &Condition) -> impl Iterator<Item = Step> {
    let word = condition.argument << 1;
    let (kind, test) = match condition.operator {
        Operator::Equal | Operator::NotEqual => (Kind::Equality, Test::Equal),
        Operator::MaskedEqual => (Kind::Equality, Test::Masked),
        Operator::Less => (Kind::Upper, Test::GreaterEqual),
        Operator::LessEqual => (Kind::Upper, Test::Greater),
        Operator::GreaterEqual => (Kind::Lower, Test::GreaterEqual),
        Operator::Greater => (Kind::Lower, Test::Greater),
    };
    let low = Step { word, kind, test, value: condition.value as u32, mask: condition.mask as u32 };
    let high = (width == Width::Bits64).then(|| Step {
        word: word | 1,
        test: if kind == Kind::Equality { test } else { Test::Greater },
        value: (condition.value >> 32) as u32,
        mask: (condition.mask >> 32) as u32,
        ..low
    });
    high.into_iter().chain([low])
}

/// Puts the clauses for one call into the order in which they are tried.
pub(super) fn arrange(width: Width, clauses: &mut Vec<Clause>) {
    let Some(first) = clauses.first() else {
        return;
    };
    if clauses.iter().all(|clause| clause.action == first.action) {
        return;
    }
    let chains = clauses
        .iter()
        .map(|clause| (clause.conditions.iter().flat_map(|c| steps(width, c)).collect(), *clause))
        .collect();
    clauses.clear();
    walk(chains, 0, clauses);
}

/// A clause and all that it compares.
type Chain = (Vec<Step>, Clause);

/// Appends the clauses of `chains`, which agree in their first `depth` steps, in order.
fn walk(chains: Vec<Chain>, depth: usize, out: &mut Vec<Clause>) {
    let mut groups: Vec<(Step, Vec<Chain>)> = Vec::new();
    for (chain, clause) in chains {
        let Some(step) = chain.get(depth).copied() else {
            out.push(clause);
            continue;
        };
        match groups.iter_mut().find(|(first, _)| first.same(&step)) {
            Some((_, group)) => group.push((chain, clause)),
            None => groups.push((step, vec![(chain, clause)])),
        }
    }
    groups.sort_by(|(a, _), (b, _)| a.before(b));
    for (_, group) in groups {
        walk(group, depth.saturating_add(1), out);
    }
}
