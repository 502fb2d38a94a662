//! The 276 buckets that percentiles are estimated from. They are the same for every series, so that counts can be added up across
//! instances before a percentile is taken. (Bounds: Spectator's `PercentileBuckets`.)
//!
//! The bounds are 1, 2, 3, then for each power of four 4ᵏ (k = 1…30) the numbers 4ᵏ, 4ᵏ + δ, 4ᵏ + 2δ … below 4ᵏ⁺¹ − δ, with
//! δ = ⌊4ᵏ / 3⌋, and last 2⁶³ − 1. A value v belongs to the bucket i with bound(i − 1) ≤ v < bound(i).

/// The number of buckets.
pub const COUNT: usize = 276;

/// The largest k.
const GROUPS: u32 = 30;

static BOUNDS: [u64; COUNT] = bounds();

const fn bounds() -> [u64; COUNT] {
    let mut bounds = [0; COUNT];
    let mut next = 0;
    while next < 3 {
        bounds[next] = next as u64 + 1;
        next += 1;
    }
    let mut k = 1;
    while k <= GROUPS {
        let power = 1u64 << (2 * k);
        let delta = power / 3;
        let mut bound = power;
        while bound < 4 * power - delta {
            bounds[next] = bound;
            next += 1;
            bound += delta;
        }
        k += 1;
    }
    bounds[next] = i64::MAX as u64;
    assert!(next + 1 == COUNT);
    bounds
}

/// The upper bound of a bucket, which does not belong to it.
///
/// # Panics
/// When there is no such bucket.
pub fn bound(index: usize) -> u64 {
    BOUNDS[index]
}

/// The bucket of a value. The last one also takes what lies above its bound.
pub fn index_of(value: u64) -> usize {
    if value < 4 {
        return value as usize;
    }
    let k = value.ilog2() / 2;
    if k > GROUPS {
        return COUNT - 1;
    }
    let power = 1u64 << (2 * k);
    let (first, bounds_of_power) = if k == 1 {
        (3, 11)
    } else {
        (14 + 9 * (k as usize - 2), 9)
    };
    let place = ((value - power) / (power / 3)) as usize;
    first + place.min(bounds_of_power - 1) + 1
}

/// The bucket of an amount that may have a fraction, which doesn't count; below zero is the first bucket.
pub fn index_of_f64(amount: f64) -> usize {
    // The conversion saturates: below zero and NaN become 0, what is too large the largest number.
    index_of(amount as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_follow_the_rule() {
        assert_eq!(
            BOUNDS[..14],
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
        );
        assert_eq!(BOUNDS[14..23], [16, 21, 26, 31, 36, 41, 46, 51, 56]);
        assert_eq!(BOUNDS[23..25], [64, 85]);
        assert_eq!(BOUNDS[COUNT - 1], i64::MAX as u64);
        assert!(BOUNDS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn indices_match_those_found_by_hand() {
        for (value, index) in [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 3),
            (4, 4),
            (5, 5),
            (14, 14),
            (15, 14),
            (16, 15),
            (20, 15),
            (21, 16),
            (56, 23),
            (63, 23),
            (64, 24),
            // The default range of a percentile timer, 10 ms to 1 min.
            (10_000_000, 100),
            (60_000_000_000, 157),
            (i64::MAX as u64, 275),
            (u64::MAX, 275),
        ] {
            assert_eq!(index_of(value), index, "{value}");
        }
        assert_eq!(index_of_f64(-1.0), 0);
        assert_eq!(index_of_f64(f64::NAN), 0);
        assert_eq!(index_of_f64(0.9), 0);
        assert_eq!(index_of_f64(20.99), 15);
        assert_eq!(index_of_f64(f64::INFINITY), 275);
    }

    #[test]
    fn every_bound_begins_the_next_bucket() {
        for index in 0..COUNT - 1 {
            assert_eq!(index_of(bound(index)), index + 1);
            assert_eq!(index_of(bound(index) - 1), index);
        }
    }

    proptest! {
        #[test]
        fn a_value_lies_between_its_bounds(bits in 0u32..63, low in any::<u64>()) {
            let value = (1u64 << bits) | (low & ((1 << bits) - 1));
            let index = index_of(value);
            prop_assert!(index == 0 || bound(index - 1) <= value);
            prop_assert!(value < bound(index) || index == COUNT - 1);
        }
    }
}
