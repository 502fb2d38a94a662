//! How long to wait before the next attempt to connect.

use std::time::Duration;

/// Doubles the wait with every failure in a row. (Jitter: a random half, so that clients of a server that went down together
/// don't come back together.)
#[derive(Debug)]
pub(super) struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest: longest.max(shortest),
            failures: 0,
        }
    }

    /// Something went well.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure; `random` in [0, 1) shortens it by up to a half.
    pub(super) fn next_delay(&mut self, random: f64) -> Duration {
        let doubled = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let delay = self.shortest.saturating_mul(doubled).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        delay.mul_f64(1.0 - random / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_success() {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(millis(100), millis(1000));
        let delays: Vec<Duration> = (0..6).map(|_| backoff.next_delay(0.0)).collect();
        let expected = [100, 200, 400, 800, 1000, 1000].map(millis);
        assert_eq!(delays, expected);
        for _ in 0..100 {
            assert_eq!(backoff.next_delay(0.5), millis(750));
        }
        backoff.reset();
        assert_eq!(backoff.next_delay(1.0), millis(50));
    }
}
