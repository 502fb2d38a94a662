//! The marked values of an axis: which they are, and how they are written.
//!
//! The steps between marks and the labels are Atlas's, since `format=v2.json` shows them as the bounds of a heatmap's cells.

pub(crate) mod prefix;
mod sizes;
pub(crate) mod time;
mod value;

use crate::chart::{Plot, Scale, TickLabels};

/// The pixels that there are at least between two labels of a Y axis in Atlas, whose marks the cells of heatmaps lie between.
pub(crate) const LABEL_DISTANCE: u32 = 42;

/// A marked value.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// The value.
    pub value: f64,
    /// What is taken away from the values for the labels to differ; 0 if they differ anyhow.
    pub offset: f64,
    /// True when it has a label.
    pub is_major: bool,
    /// How it is written.
    pub label: String,
}

/// The marks between the finite bounds of an axis so many pixels high, with a label every `distance` pixels at most.
pub fn value_ticks(
    plot: &Plot,
    (lower, upper): (f64, f64),
    height: u32,
    distance: u32,
) -> Vec<Tick> {
    let n = (height / distance.max(1)) as usize;
    match (plot.tick_labels, plot.scale) {
        (TickLabels::Binary, _) => value::binary(lower, upper, n),
        (TickLabels::Duration, _) => value::duration(lower, upper, n),
        (_, Scale::LogLinear) => value::log_linear(lower, upper, n),
        (_, Scale::Logarithmic) => value::log(lower, upper, n),
        _ => value::decimal(lower, upper, n),
    }
}

/// The counts at which the colours of a heatmap change: the lower bound, and then the end of each of `n` colours.
pub(crate) fn color_ticks(scale: Scale, lower: f64, upper: f64, n: usize) -> Vec<Tick> {
    let ends = (1..=n).map(|i| crate::scale::value_at(scale, lower, upper, i, n));
    std::iter::once(lower)
        .chain(ends)
        .map(|v| value::unlabelled(v, true))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticks(scale: Scale, labels: TickLabels, lower: f64, upper: f64, height: u32) -> Vec<Tick> {
        let mut plot = Plot::new(Vec::new());
        plot.scale = scale;
        plot.tick_labels = labels;
        value_ticks(&plot, (lower, upper), height, LABEL_DISTANCE)
    }

    fn majors(ticks: &[Tick]) -> Vec<&str> {
        let majors = ticks.iter().filter(|t| t.is_major);
        majors.map(|t| t.label.as_str()).collect()
    }

    #[test]
    fn decimal_steps_are_tens_to_fifties() {
        let t = ticks(Scale::Linear, TickLabels::Decimal, 0.0, 100.0, 300);
        assert_eq!(majors(&t), ["0.0", "20.0", "40.0", "60.0", "80.0", "100.0"]);
        assert_eq!(t.len(), 21);
        let t = ticks(Scale::Linear, TickLabels::Decimal, -1500.0, 2500.0, 300);
        assert_eq!(
            majors(&t),
            ["-1.0k", "0.0k", "1.0k", "2.0k"],
            "one prefix for all"
        );
        let t = ticks(
            Scale::Linear,
            TickLabels::Decimal,
            1_000_000.1,
            1_000_000.5,
            300,
        );
        assert!(t[0].offset > 0.0, "labels would all be the same");
        assert!(ticks(Scale::Linear, TickLabels::Decimal, 0.0, 1.0, 0).len() == 2);
    }

    #[test]
    fn other_labels_have_other_steps() {
        let t = ticks(Scale::Linear, TickLabels::Binary, 0.0, 4096.0, 300);
        assert_eq!(majors(&t), ["0", "1024", "2048", "3072", "4096"]);
        let t = ticks(Scale::Linear, TickLabels::Binary, 0.0, 163_840.0, 300);
        assert_eq!(
            majors(&t),
            ["0Ki", "30Ki", "60Ki", "90Ki", "120Ki", "150Ki"]
        );
        let t = ticks(Scale::Linear, TickLabels::Duration, 0.0, 300.0, 300);
        assert_eq!(majors(&t), ["0m", "1m", "2m", "3m", "4m", "5m"]);
        let t = ticks(Scale::Linear, TickLabels::Duration, 0.0, 0.3, 300);
        assert_eq!(majors(&t)[1], "50.0ms");
    }

    #[test]
    fn logarithmic_steps_are_powers() {
        let t = ticks(Scale::Logarithmic, TickLabels::Decimal, 0.0, 1e6, 300);
        assert_eq!(majors(&t), ["0", "10", "100", "1k", "10k", "100k", "1M"]);
        let t = ticks(Scale::Logarithmic, TickLabels::Decimal, -1e3, 1e3, 300);
        assert_eq!(majors(&t), ["-1k", "-100", "-10", "0", "10", "100", "1k"]);
        let t = ticks(Scale::LogLinear, TickLabels::Decimal, 0.5, 200.0, 300);
        assert_eq!(majors(&t), ["1.0", "10.0", "100.0"]);
        let t = ticks(Scale::LogLinear, TickLabels::Decimal, -5.0, 5.0, 300);
        assert!(t.iter().any(|t| t.value == 0.0));
        let t = ticks(Scale::LogLinear, TickLabels::Off, 3.2e8, 1.5e9, 0);
        assert_eq!(majors(&t).len(), 7, "few buckets are labelled in any case");
    }

    fn arbitrary_bounds() -> impl Strategy<Value = (f64, f64)> {
        let wild = (any::<f64>(), any::<f64>());
        let near = (-1e9..1e9f64, -12.0..3.0f64)
            .prop_map(|(v, e)| (v, v + v.abs().max(1.0) * 10f64.powf(e)));
        let small = (1e-320..1e-290f64, 1.0..1e6f64).prop_map(|(v, f)| (v, v * f));
        prop_oneof![wild, near, small].prop_filter_map("bounds in order", |(a, b)| {
            let clean = |v: f64| {
                if v.is_finite() {
                    v.clamp(f64::MIN / 4.0, f64::MAX / 4.0)
                } else {
                    0.0
                }
            };
            let (a, b) = (clean(a), clean(b));
            (a != b).then(|| (a.min(b), a.max(b)))
        })
    }

    proptest! {
        #[test]
        fn ticks_grow_within_the_bounds_and_are_few(
            (lower, upper) in arbitrary_bounds(),
            height in 0u32..1000,
            scale in prop_oneof![Just(Scale::Linear), Just(Scale::Logarithmic), Just(Scale::LogLinear), Just(Scale::Power2), Just(Scale::Sqrt)],
            labels in prop_oneof![Just(TickLabels::Decimal), Just(TickLabels::Binary), Just(TickLabels::Duration), Just(TickLabels::Off)],
        ) {
            let ticks = ticks(scale, labels, lower, upper, height);
            prop_assert!(ticks.iter().all(|t| (lower..=upper).contains(&t.value)), "{ticks:?}");
            prop_assert!(ticks.is_sorted_by(|a, b| a.value < b.value), "{ticks:?}");
            let n = (height / LABEL_DISTANCE) as usize;
            let majors = ticks.iter().filter(|t| t.is_major).count();
            // Fewer than nine log-linear buckets all have labels, however low the axis is.
            let buckets = if scale == Scale::LogLinear { 9 } else { 0 };
            prop_assert!(majors <= buckets.max(2 * n + 3), "{majors} of {n}");
            // Each power of ten between the smallest number that counts and the largest has a mark.
            let powers = if scale == Scale::LogLinear { 640 } else { 0 };
            prop_assert!(ticks.len() <= 10 * (n + 2) + 80 + powers, "{} of {n}", ticks.len());
            prop_assert!(ticks.iter().all(|t| t.label.chars().count() <= 24), "{ticks:?}");
        }
    }
}
