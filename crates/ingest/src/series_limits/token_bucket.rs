//! A token bucket: so many in a second on the long run, and so many at once.

use hesper_model::Timestamp;

/// Tokens, filled up as time passes. It tells the time by what it is told.
#[derive(Debug)]
pub(super) struct TokenBucket {
    per_second: f64,
    most: f64,
    tokens: f64,
    filled: Option<Timestamp>,
}

impl TokenBucket {
    /// A full bucket.
    pub(super) fn new(per_second: u64, most: u64) -> Self {
        Self {
            per_second: per_second as f64,
            most: most as f64,
            tokens: most as f64,
            filled: None,
        }
    }

    /// Takes a token; false when there is none. A time before the last one fills nothing.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let filled = *self.filled.get_or_insert(now);
        let millis = now.0.saturating_sub(filled.0);
        if millis > 0 {
            self.tokens = (self.tokens + self.per_second * millis as f64 / 1000.0).min(self.most);
            self.filled = Some(now);
        }
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut bucket = TokenBucket::new(2, 5);
        let taken = |bucket: &mut TokenBucket, millis| {
            (0..100).filter(|_| bucket.take(Timestamp(millis))).count()
        };
        assert_eq!(taken(&mut bucket, 1_000), 5);
        assert_eq!(taken(&mut bucket, 1_400), 0);
        assert_eq!(taken(&mut bucket, 2_000), 2);
        assert_eq!(taken(&mut bucket, 500), 0, "the clock went back");
        assert_eq!(taken(&mut bucket, 1_000_000), 5);
    }

    proptest! {
        #[test]
        fn no_more_than_burst_and_rate_allow(
            per_second in 0u64..50,
            most in 0u64..50,
            pauses in prop::collection::vec(0i64..500, 1..200),
        ) {
            let mut bucket = TokenBucket::new(per_second, most);
            let (mut now, mut taken) = (0, 0u64);
            for pause in pauses {
                now += pause;
                taken += u64::from(bucket.take(Timestamp(now)));
            }
            let allowed = most as f64 + per_second as f64 * now as f64 / 1000.0;
            prop_assert!(taken as f64 <= allowed + 1e-6, "{taken} of {allowed}");
        }
    }
}
