//! Waiting for something that the kernel finishes on its own, with a deadline.

use std::time::{Duration, Instant};

/// First pause; most waits are over before it is.
const SHORTEST: Duration = Duration::from_micros(20);
/// Longest pause.
const LONGEST: Duration = Duration::from_millis(20);

/// Pauses that grow until a deadline.
pub(super) struct Backoff {
    pause: Duration,
    deadline: Instant,
}

impl Backoff {
    /// Waits for `most` in all.
    pub(super) fn new(most: Duration) -> Self {
        let now = Instant::now();
        Self { pause: SHORTEST, deadline: now.checked_add(most).unwrap_or(now) }
    }

    /// Sleeps a little; `false` when the time is up.
    pub(super) fn pause(&mut self) -> bool {
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(self.pause.min(left));
        self.pause = self.pause.saturating_mul(2).min(LONGEST);
        true
    }

    /// What is left of the time.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends() {
        let mut backoff = Backoff::new(Duration::from_millis(5));
        let mut pauses = 0;
        while backoff.pause() {
            pauses += 1;
        }
        assert!((1..1000).contains(&pauses));
        assert!(!Backoff::new(Duration::ZERO).pause());
    }
}
