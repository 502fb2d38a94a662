//! Counts in cells of time and value.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::bounds::{bounds, lower_end, upper_end};
use crate::chart::{Bound, Chart, HeatmapSettings, Line, Plot, Scale};
use crate::color::Color;
use crate::palette::Palette;
use crate::scale::Mapping;
use crate::ticks::{LABEL_DISTANCE, Tick, color_ticks, value_ticks};
use hesper_stack::expr::style::LineStyle;

/// The tag with the name of a bucket: `T` for timers or `D` for others, and four hexadecimal digits.
const PERCENTILE: &str = "percentile";

/// The counts of a plot's heatmap.
#[derive(Clone, Debug)]
pub struct Heatmap {
    /// The values at the ends of the axis.
    pub bounds: (f64, f64),
    /// The values between cells, from low to high. Below the first, between two of them and above the last are cells.
    pub ticks: Vec<Tick>,
    /// By time, then by cell: how many values are in it.
    pub counts: Vec<Vec<f64>>,
    /// The smallest count above zero; zero if there is none.
    pub min_count: f64,
    /// The largest count.
    pub max_count: f64,
    /// The colours, from few to many.
    pub palette: Palette,
    /// The counts between the colours; the first is that of the lower end.
    pub color_ticks: Vec<Tick>,
    settings: HeatmapSettings,
}

impl Heatmap {
    /// The heatmap of a plot, in a chart of so many times and pixels; `None` without lines for it.
    pub fn of(chart: &Chart, plot: &Plot) -> Option<Self> {
        let first = plot.heatmap_lines().next()?;
        let bounds = bounds(plot);
        let ticks = value_ticks(plot, bounds, chart.height, LABEL_DISTANCE);
        let grid = Grid {
            bounds,
            ends: ticks.iter().map(|t| t.value).collect(),
        };
        let mut counts = vec![vec![0.0; ticks.len() + 1]; chart.cells()];
        for line in plot.heatmap_lines() {
            let range = bucket_range(line);
            for (cells, v) in counts.iter_mut().zip(&line.values) {
                match range {
                    // The samples of a bucket are spread over the cells that it overlaps.
                    Some((low, high)) if *v > 0.0 => grid.spread(low, high, *v, cells),
                    None => grid.count(*v, cells),
                    _ => {}
                }
            }
        }
        let all = || counts.iter().flatten().copied();
        let max_count = all().fold(0.0, f64::max);
        let min_count = all()
            .filter(|c| *c > 0.0)
            .fold(f64::INFINITY, f64::min)
            .min(max_count);
        let settings = plot.heatmap.clone();
        let palette = settings
            .palette
            .clone()
            .unwrap_or_else(|| Palette::gradient(first.color));
        let color_ticks = color_ticks(
            settings.scale,
            lower_end(settings.lower, false, min_count),
            upper_end(settings.upper, false, max_count),
            palette.colors().len(),
        );
        Some(Self {
            bounds,
            ticks,
            counts,
            min_count,
            max_count,
            palette,
            color_ticks,
            settings,
        })
    }

    /// The text of the legend.
    pub fn label(&self) -> &str {
        self.settings.label.as_deref().unwrap_or("Heatmap")
    }

    /// The colours of counts.
    pub(crate) fn shades(&self) -> Shades<'_> {
        let lower = lower_end(self.settings.lower, false, self.min_count);
        let upper = upper_end(self.settings.upper, false, self.max_count);
        Shades {
            colors: self.palette.colors(),
            mapping: (lower < upper).then(|| Mapping::new(self.settings.scale, lower, upper)),
        }
    }

    /// How counts become places among the colours.
    pub fn scale(&self) -> Scale {
        self.settings.scale
    }

    /// The bounds of the counts as they were asked for: the lower, then the upper.
    pub fn count_bounds(&self) -> (Bound, Bound) {
        (self.settings.lower, self.settings.upper)
    }

    /// The text of the legend as it was asked for.
    pub fn given_label(&self) -> Option<&str> {
        self.settings.label.as_deref()
    }
}

/// From counts to colours.
pub(crate) struct Shades<'a> {
    colors: &'a [Color],
    /// `None` when all counts are the same.
    mapping: Option<Mapping>,
}

impl Shades<'_> {
    /// The colour of a count; `None` of zero.
    pub fn of(&self, count: f64) -> Option<Color> {
        if count.is_nan() || count <= 0.0 {
            return None;
        }
        let last = self.colors.len() - 1;
        let place = match &self.mapping {
            Some(mapping) => mapping.fraction(count) * self.colors.len() as f64,
            None => last as f64,
        };
        // Counts beyond the bounds have the colours at the ends.
        Some(self.colors[(place.max(0.0) as usize).min(last)])
    }
}

struct Grid {
    bounds: (f64, f64),
    ends: Vec<f64>,
}

impl Grid {
    /// Counts a value in the cell where it is, if it can be seen.
    fn count(&self, v: f64, cells: &mut [f64]) {
        let (lower, upper) = self.bounds;
        if (lower..=upper).contains(&v) {
            cells[self.ends.partition_point(|end| *end <= v)] += 1.0;
        }
    }

    /// Spreads a count between two values.
    fn spread(&self, low: f64, high: f64, count: f64, cells: &mut [f64]) {
        let mut from = self.bounds.0;
        let ends = self.ends.iter().copied().chain([self.bounds.1]);
        for (cell, to) in cells.iter_mut().zip(ends) {
            let overlap = high.min(to) - low.max(from);
            if overlap > 0.0 {
                *cell += count * overlap / (high - low);
            }
            from = to;
        }
    }
}

/// The values between which the samples of a line are, if it is the bucket of a percentile heatmap.
pub(crate) fn bucket_range(line: &Line) -> Option<(f64, f64)> {
    if line.style != LineStyle::Heatmap {
        return None;
    }
    RANGES.get(line.tags.get(PERCENTILE)?).copied()
}

/// The buckets of Spectator's percentile meters. Those of timers count nanoseconds and are shown in seconds.
static RANGES: LazyLock<HashMap<String, (f64, f64)>> = LazyLock::new(|| {
    let mut ends = vec![1.0, 2.0, 3.0];
    for power in 1..=30 {
        let first: u64 = 1 << (2 * power);
        let width = first / 3;
        let after = 4 * first - width;
        ends.extend((first..after).step_by(width as usize).map(|v| v as f64));
    }
    ends.push(i64::MAX as f64);
    let starts = std::iter::once(0.0).chain(ends.clone());
    let ranges = starts.zip(ends).enumerate();
    ranges
        .flat_map(|(i, (low, high))| {
            [
                (format!("D{i:04X}"), (low, high)),
                (format!("T{i:04X}"), (low / 1e9, high / 1e9)),
            ]
        })
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::Item;
    use crate::samples::{chart_of, styled};
    use proptest::prelude::*;

    fn heatmap(lines: &[&[f64]]) -> Heatmap {
        let lines = lines
            .iter()
            .map(|values| Item::Line(styled(LineStyle::Heatmap, "a", values)));
        let chart = chart_of(Plot::new(lines.collect()));
        Heatmap::of(&chart, &chart.plots[0]).expect("lines")
    }

    #[test]
    fn values_are_counted() {
        let map = heatmap(&[&[0.0, 5.0, f64::NAN], &[10.0, 5.0, 10.0]]);
        assert_eq!(map.bounds, (0.0, 10.0));
        assert_eq!(map.counts.len(), 3);
        let sum = |i: usize| map.counts[i].iter().sum::<f64>();
        assert_eq!((sum(0), sum(1), sum(2)), (2.0, 2.0, 1.0));
        assert_eq!((map.min_count, map.max_count), (1.0, 2.0));
        assert_eq!(map.palette.colors().len(), 5);
        assert_eq!(map.color_ticks.len(), 6);
        let shades = map.shades();
        assert_eq!(shades.of(0.0), None);
        assert_eq!(shades.of(1.0), Some(map.palette.at(0)));
        assert_eq!(shades.of(99.0), Some(map.palette.at(4)));
    }

    #[test]
    fn buckets_are_spread() {
        let mut line = styled(LineStyle::Heatmap, "a", &[8.0]);
        line.tags.insert(PERCENTILE, "D0004");
        assert_eq!(bucket_range(&line), Some((4.0, 5.0)));
        let chart = chart_of(Plot::new(vec![Item::Line(line)]));
        let map = Heatmap::of(&chart, &chart.plots[0]).expect("a line");
        assert_eq!(map.bounds, (4.0, 5.0));
        let total: f64 = map.counts[0].iter().sum();
        assert!((total - 8.0).abs() < 1e-9);
        assert!(map.counts[0].iter().all(|c| *c < 8.0));
    }

    #[test]
    fn there_are_276_buckets() {
        assert_eq!(RANGES.len(), 2 * 276);
        assert_eq!(
            RANGES.get("T0113").map(|r| r.1),
            Some(i64::MAX as f64 / 1e9)
        );
    }

    proptest! {
        #[test]
        fn each_value_is_counted_once(values in proptest::collection::vec(any::<f64>(), 1..20)) {
            let map = heatmap(&[&values]);
            let (lower, upper) = map.bounds;
            let seen = values.iter().filter(|v| (lower..=upper).contains(*v)).count();
            let total: f64 = map.counts.iter().flatten().sum();
            prop_assert_eq!(total, seen as f64);
        }
    }
}
