//! The values at the ends of an axis.

use hesper_stack::expr::style::LineStyle;

use crate::chart::{Bound, Line, Plot};
use crate::heatmap::bucket_range;

/// The values at the bottom and at the top, the first below the second and both finite.
///
/// Bounds that are given count. Automatic ones come from the finite values of lines, the sums of stacks and the buckets of a
/// percentile heatmap; where areas are drawn they reach to zero. What would be empty is one wide.
pub fn bounds(plot: &Plot) -> (f64, f64) {
    let (min, max) = data_bounds(plot);
    let has_area = plot
        .lines()
        .any(|l| matches!(l.style, LineStyle::Area | LineStyle::Stack));
    let lower = lower_end(plot.lower, has_area, min);
    let upper = upper_end(plot.upper, has_area, max);
    let (lower, upper) = if lower < upper {
        (lower, upper)
    } else {
        match (plot.lower, plot.upper) {
            (Bound::Explicit(_), Bound::Explicit(_)) => (lower, upper),
            (_, Bound::Explicit(_)) => (upper - 1.0, upper),
            (_, _) => (lower, lower + 1.0),
        }
    };
    finite(lower, upper)
}

/// The lower end that a bound stands for; where areas are drawn it is not above zero unless that was asked for.
pub(crate) fn lower_end(bound: Bound, has_area: bool, min: f64) -> f64 {
    match bound {
        Bound::AutoStyle if has_area && min > 0.0 => 0.0,
        Bound::AutoStyle | Bound::AutoData => min,
        Bound::Explicit(v) => v,
    }
}

/// The upper end that a bound stands for; where areas are drawn it is not below zero unless that was asked for.
pub(crate) fn upper_end(bound: Bound, has_area: bool, max: f64) -> f64 {
    match bound {
        Bound::AutoStyle if has_area && max < 0.0 => 0.0,
        Bound::AutoStyle | Bound::AutoData => max,
        Bound::Explicit(v) => v,
    }
}

/// What can be drawn of the bounds: explicit ones may be infinite, and beside huge ones a step of one is lost.
fn finite(lower: f64, upper: f64) -> (f64, f64) {
    // A quarter of the range of numbers, so that differences stay finite.
    let most = f64::MAX / 4.0;
    let clean = |v: f64| {
        if v.is_nan() {
            0.0
        } else {
            v.clamp(-most, most)
        }
    };
    let (lower, upper) = (clean(lower), clean(upper));
    if lower < upper {
        (lower, upper)
    } else {
        let room = (lower.abs() * 1e-6).max(1.0);
        (lower, lower + room)
    }
}

fn data_bounds(plot: &Plot) -> (f64, f64) {
    if plot.lines().next().is_none() {
        return (0.0, 1.0);
    }
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut include = |v: f64| {
        if v.is_finite() {
            min = min.min(v);
            max = max.max(v);
        }
    };
    let mut stacked: Vec<&Line> = Vec::new();
    for line in plot.lines() {
        match (line.style, bucket_range(line)) {
            (LineStyle::VSpan, _) => {}
            (LineStyle::Heatmap, Some((low, high))) => {
                if line.values.iter().any(|v| !v.is_nan() && *v != 0.0) {
                    include(low);
                    include(high);
                }
            }
            (LineStyle::Stack, _) => stacked.push(line),
            _ => line.values.iter().for_each(|v| include(*v)),
        }
    }
    if let Some(first) = stacked.first() {
        for i in 0..first.values.len() {
            let values = stacked.iter().filter_map(|line| line.values.get(i));
            let (mut above, mut below) = (0.0, 0.0);
            for v in values.filter(|v| v.is_finite()) {
                if *v >= 0.0 {
                    above += v;
                } else {
                    below += v;
                }
            }
            include(first.values[i]);
            if above > 0.0 {
                include(above);
            }
            if below < 0.0 {
                include(below);
            }
        }
    }
    (
        if min.is_finite() { min } else { 0.0 },
        if max.is_finite() { max } else { 1.0 },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::Item;
    use crate::samples::{line, styled};
    use proptest::prelude::*;

    fn plot(lines: Vec<Line>) -> Plot {
        Plot::new(lines.into_iter().map(Item::Line).collect())
    }

    #[test]
    fn lines_give_the_bounds() {
        assert_eq!(bounds(&plot(Vec::new())), (0.0, 1.0));
        let gaps = [f64::NAN, 3.0, f64::INFINITY, -2.0];
        assert_eq!(bounds(&plot(vec![line("a", &gaps)])), (-2.0, 3.0));
        assert_eq!(bounds(&plot(vec![line("a", &[5.0])])), (5.0, 6.0));
        assert_eq!(bounds(&plot(vec![line("a", &[f64::NAN])])), (0.0, 1.0));
    }

    #[test]
    fn areas_reach_to_zero() {
        let area = |values: &[f64]| plot(vec![styled(LineStyle::Area, "a", values)]);
        assert_eq!(bounds(&area(&[5.0, 7.0])), (0.0, 7.0));
        assert_eq!(bounds(&area(&[-5.0, -7.0])), (-7.0, 0.0));
        let mut tight = area(&[5.0, 7.0]);
        tight.lower = Bound::AutoData;
        assert_eq!(bounds(&tight), (5.0, 7.0));
    }

    #[test]
    fn stacks_add_up_on_either_side() {
        let lines = [[1.0, 2.0], [4.0, -3.0], [f64::NAN, -1.0]];
        let lines = lines.map(|values| styled(LineStyle::Stack, "a", &values));
        assert_eq!(bounds(&plot(lines.to_vec())), (-4.0, 5.0));
    }

    #[test]
    fn given_bounds_count() {
        let mut plot = plot(vec![line("a", &[5.0, 7.0])]);
        plot.upper = Bound::Explicit(4.0);
        assert_eq!(bounds(&plot), (3.0, 4.0));
        plot.upper = Bound::AutoStyle;
        plot.lower = Bound::Explicit(9.0);
        assert_eq!(bounds(&plot), (9.0, 10.0));
        plot.upper = Bound::Explicit(f64::INFINITY);
        let (lower, upper) = bounds(&plot);
        assert!(lower == 9.0 && upper.is_finite());
    }

    proptest! {
        #[test]
        fn bounds_are_finite_and_in_order(values in proptest::collection::vec(any::<f64>(), 0..9), style in 0usize..5, given in any::<[Option<f64>; 2]>()) {
            let style = [LineStyle::Line, LineStyle::Area, LineStyle::Stack, LineStyle::VSpan, LineStyle::Heatmap][style];
            let mut plot = plot(vec![styled(style, "a", &values), styled(style, "b", &values)]);
            plot.lower = given[0].map_or(Bound::AutoStyle, Bound::Explicit);
            plot.upper = given[1].map_or(Bound::AutoStyle, Bound::Explicit);
            let (lower, upper) = bounds(&plot);
            prop_assert!(lower.is_finite() && upper.is_finite() && lower < upper);
        }
    }
}
