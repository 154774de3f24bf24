//! The numbers that test programs print when they end.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that were not run, with a reason in the output.
    pub skipped: u64,
}

impl Counts {
    /// Reads a closing line: that of Rust's own test runner (`test result: ok. 3
    /// passed; 0 failed; 1 ignored; ...`) or the plain one (`3 passed, 0 failed, 1
    /// skipped`). Any other line is `None`.
    pub fn of_line(line: &str) -> Option<Self> {
        let line = line.trim();
        let numbers = match line.strip_prefix("test result: ") {
            Some(rest) => rest.split_once(". ")?.1,
            None => line,
        };
        let mut counts = Counts::default();
        let mut words = Vec::new();
        for item in numbers.split([',', ';']) {
            let mut parts = item.split_whitespace();
            let (number, word) = (parts.next()?, parts.next()?);
            // "finished in 0.01s" ends the list of the first form.
            let Ok(number) = number.parse::<u64>() else { break };
            match word {
                "passed" => counts.passed = number,
                "failed" => counts.failed = number,
                "ignored" | "skipped" => counts.skipped = number,
                _ => {}
            }
            words.push(word);
        }
        (words.starts_with(&["passed", "failed"])).then_some(counts)
    }

    /// True if nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.skipped = self.skipped.saturating_add(other.skipped);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_read_and_others_are_not() {
        let some = |passed, failed, skipped| Some(Counts { passed, failed, skipped });
        let table = [
            ("12 passed, 0 failed", some(12, 0, 0)),
            ("  1 passed, 2 failed, 3 skipped\n", some(1, 2, 3)),
            ("85 passed, 2 failed, 0 skipped, 11 differ", some(85, 2, 0)),
            (
                "test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s",
                some(7, 0, 1),
            ),
            (
                "test result: FAILED. 7 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
                some(7, 1, 0),
            ),
            ("test a::b ... ok", None),
            ("3 passed", None),
            ("99999999999999999999999 passed, 0 failed", None),
            ("", None),
        ];
        for (line, want) in table {
            assert_eq!(Counts::of_line(line), want, "{line}");
        }
    }

    #[test]
    fn what_is_printed_can_be_read_back() {
        let counts = Counts { passed: 3, failed: 2, skipped: 1 };
        assert_eq!(Counts::of_line(&counts.to_string()), Some(counts));
    }
}
