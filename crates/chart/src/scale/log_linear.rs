//! Buckets that grow by powers of ten and are of one width in between: …, 0.9, 1, 2, … 9, 10, 20, ….
//!
//! Bucket i ends at `bucket_end(i)`; nine have the same width. The first, 0, ends at 10⁻⁹ and takes all that is smaller. Bucket
//! −1 − i mirrors bucket i.

/// Buckets of one width.
const PER_POWER: i32 = 9;

/// The exponent of the first bucket.
const LEAST: i32 = -9;

/// The end of a bucket that is farther from zero.
pub(crate) fn bucket_end(i: i32) -> f64 {
    if i < 0 {
        return -bucket_end(-i - 1);
    }
    bucket_width(i) * f64::from(i % PER_POWER + 1)
}

fn bucket_width(i: i32) -> f64 {
    let place = if i < 0 { -i - 1 } else { i };
    10f64.powf(f64::from(place / PER_POWER + LEAST))
}

/// The bucket that a finite value is in.
pub(crate) fn bucket_of(v: f64) -> i32 {
    if v < 0.0 {
        return -bucket_of(-v) - 1;
    }
    if v == 0.0 {
        return 0;
    }
    let exponent = (v.log10().floor() as i32).max(LEAST);
    let before = (exponent - LEAST) * PER_POWER;
    if exponent <= 6 {
        // In whole millionths of the power, as Atlas has it, since 0.3 / 0.1 is not 3.
        let millionths = (v * 10f64.powf(f64::from(6 - exponent))) as i64;
        before + ((millionths - 1) / 1_000_000) as i32
    } else {
        let power = 10f64.powf(f64::from(exponent));
        before + ((v - power) / power).ceil() as i32
    }
}

/// Where a value lies, counted in buckets.
pub(crate) fn position(v: f64) -> f64 {
    if v < 0.0 {
        return -position(-v);
    }
    // The next bucket would end beyond the largest number.
    let v = v.min(1e308);
    let i = bucket_of(v);
    let width = bucket_width(i);
    let start = bucket_end(i) - width;
    // The first of a power starts where the last of the power before ends, not at zero.
    let start = if i > 0 && i % PER_POWER == 0 {
        bucket_end(i - 1)
    } else {
        start
    };
    let width = bucket_end(i) - start;
    f64::from(i) + ((v - start) / width).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_in_buckets() {
        for (v, end) in [
            (1.0, 1.0),
            (1.5, 2.0),
            (9.5, 10.0),
            (10.0, 10.0),
            (0.3, 0.3),
            (1e7, 1e7),
            (1.5e7, 2e7),
            (3e12, 3e12),
        ] {
            let found = bucket_end(bucket_of(v));
            assert!((found / end - 1.0).abs() < 1e-12, "{v}: {found}");
            assert_eq!(bucket_of(-v), -bucket_of(v) - 1);
        }
        assert_eq!(bucket_of(0.0), 0);
        assert_eq!(bucket_of(1e-300), 0);
    }

    proptest! {
        #[test]
        fn positions_are_continuous(exponent in -12.0..300.0f64) {
            let v = 10f64.powf(exponent);
            let (a, b) = (position(v), position(v * (1.0 + 1e-9)));
            prop_assert!(b >= a - 1e-6 && b - a < 1e-3, "{v}: {a} {b}");
        }
    }
}
