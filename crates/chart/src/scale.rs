//! From values to positions along an axis, and from places among colours back to counts.

pub(crate) mod log_linear;

use crate::chart::Scale;

/// Where values lie between two bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapping {
    scale: Scale,
    /// What values are divided by before they are raised to a power, so that none leaves the range of numbers.
    unit: f64,
    low: f64,
    high: f64,
}

impl Mapping {
    /// A mapping of what lies between finite bounds, the first below the second.
    pub fn new(scale: Scale, lower: f64, upper: f64) -> Self {
        let unit = lower.abs().max(upper.abs());
        let mapping = Self {
            scale,
            unit,
            low: lower,
            high: upper,
        };
        let (low, high) = (mapping.bent(lower), mapping.bent(upper));
        if low < high && (high - low).is_finite() {
            Self {
                low,
                high,
                ..mapping
            }
        } else {
            // So close together that the scale does not tell them apart.
            Self {
                scale: Scale::Linear,
                ..mapping
            }
        }
    }

    /// 0 at the lower bound, 1 at the upper, and not far outside for any value; NaN for NaN.
    pub fn fraction(&self, v: f64) -> f64 {
        if v.is_infinite() {
            return if v > 0.0 { 3.0 } else { -2.0 };
        }
        ((self.bent(v) - self.low) / (self.high - self.low)).clamp(-2.0, 3.0)
    }

    fn bent(&self, v: f64) -> f64 {
        match self.scale {
            Scale::Linear => v,
            Scale::Logarithmic => v.signum() * v.abs().ln_1p(),
            Scale::LogLinear => log_linear::position(v),
            Scale::Power2 => {
                let v = v / self.unit;
                v * v.abs()
            }
            Scale::Sqrt => v.signum() * (v / self.unit).abs().sqrt(),
        }
    }
}

/// The value at place `i` of `n` between two bounds, as Atlas computes it for the ticks of a colour scale.
///
/// On the logarithmic scale it is not the inverse of the mapping: one is added where one should be taken away.
pub(crate) fn value_at(scale: Scale, lower: f64, upper: f64, i: usize, n: usize) -> f64 {
    let linear = |from: f64, to: f64| i as f64 * ((to - from) / n as f64) + from;
    let signed = |v: f64, f: &dyn Fn(f64) -> f64| {
        if v > 0.0 {
            f(v)
        } else if v < 0.0 {
            -f(-v)
        } else {
            0.0
        }
    };
    match scale {
        Scale::Linear => linear(lower, upper),
        Scale::Logarithmic => {
            let log = |v: f64| signed(v, &|v| (v + 1.0).log10());
            signed(linear(log(lower), log(upper)), &|v| 10f64.powf(v) + 1.0)
        }
        Scale::LogLinear => {
            let first = log_linear::bucket_of(lower) - 1;
            let first = if lower >= 0.0 { first.max(0) } else { first };
            let last = log_linear::bucket_of(upper);
            if first == last {
                return linear(lower, upper);
            }
            let places_per_bucket = n as f64 / f64::from((last - first).abs());
            log_linear::bucket_end((i as f64 / places_per_bucket) as i32 + first)
        }
        Scale::Power2 | Scale::Sqrt => {
            let exponent = if scale == Scale::Power2 { 2.0 } else { 0.5 };
            let power = |v: f64| signed(v, &|v| v.powf(exponent));
            signed(linear(power(lower), power(upper)), &|v| {
                v.powf(1.0 / exponent)
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCALES: [Scale; 5] = [
        Scale::Linear,
        Scale::Logarithmic,
        Scale::LogLinear,
        Scale::Power2,
        Scale::Sqrt,
    ];

    #[test]
    fn scales_bend() {
        let at = |scale, v| Mapping::new(scale, 0.0, 99.0).fraction(v);
        assert!((at(Scale::Linear, 49.5) - 0.5).abs() < 1e-12);
        assert!((at(Scale::Logarithmic, 9.0) - 0.5).abs() < 1e-12);
        assert!((at(Scale::Power2, 49.5) - 0.25).abs() < 1e-12);
        assert!((at(Scale::Sqrt, 24.75) - 0.5).abs() < 1e-12);
        let log_linear = Mapping::new(Scale::LogLinear, 1.0, 100.0);
        assert!((log_linear.fraction(10.0) - 0.5).abs() < 1e-9);
        assert!((log_linear.fraction(5.5) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn places_have_values() {
        let at = |scale, i| value_at(scale, 0.0, 100.0, i, 4);
        assert_eq!(at(Scale::Linear, 1), 25.0);
        assert_eq!(at(Scale::Sqrt, 2), 25.0);
        assert!((at(Scale::Power2, 1) - 50.0).abs() < 1e-9);
        assert!((at(Scale::Logarithmic, 4) - 102.0).abs() < 1e-9);
        assert_eq!(value_at(Scale::LogLinear, 1.0, 100.0, 2, 4), 9.0);
        assert_eq!(value_at(Scale::LogLinear, 0.0, 0.0, 1, 2), 0.0);
    }

    proptest! {
        #[test]
        fn positions_grow_with_values(
            bounds in proptest::array::uniform2(-1e300..1e300f64),
            values in proptest::collection::vec(any::<f64>(), 2..20),
        ) {
            let (lower, upper) = (bounds[0].min(bounds[1]), bounds[0].max(bounds[1]));
            prop_assume!(lower < upper);
            let mut values: Vec<f64> = values.into_iter().filter(|v| !v.is_nan()).collect();
            values.sort_by(f64::total_cmp);
            for scale in SCALES {
                let mapping = Mapping::new(scale, lower, upper);
                let places: Vec<f64> = values.iter().map(|v| mapping.fraction(*v)).collect();
                prop_assert!(places.is_sorted(), "{scale:?} {values:?} {places:?}");
                prop_assert!((mapping.fraction(lower)).abs() < 1e-9);
                prop_assert!((mapping.fraction(upper) - 1.0).abs() < 1e-9);
            }
        }

        #[test]
        fn narrow_ranges_keep_their_ends(lower in -1e-300..1e-300f64, width in 1e-310..1e-300f64) {
            let upper = lower + width;
            prop_assume!(lower < upper);
            for scale in SCALES {
                let mapping = Mapping::new(scale, lower, upper);
                prop_assert!(mapping.fraction(lower).abs() < 1e-6);
                prop_assert!((mapping.fraction(upper) - 1.0).abs() < 1e-6);
            }
        }
    }
}
