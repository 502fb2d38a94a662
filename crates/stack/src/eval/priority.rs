//! The lines with the highest, or lowest, figures.

use std::cmp::Ordering;

use hesper_model::Tags;

use super::series::tag_label;
use super::{Evaluation, TimeSeries, aggregate};
use crate::error::StackError;
use crate::expr::TimeSeriesExpr;
use crate::expr::filter::{Others, PriorityOp};
use crate::stats::SummaryStats;

/// What the group of a line made of others is called.
const OTHERS: &str = "--others--";

impl Evaluation<'_> {
    /// The `k` series of an expression that come first by a figure, and before them one made of the others, if the operator wants it.
    pub(super) fn priority(
        &mut self,
        op: &PriorityOp,
        input: &TimeSeriesExpr,
        stat: &str,
        k: usize,
    ) -> Result<Vec<TimeSeries>, StackError> {
        let found = self.series(input)?;
        let mut kept = Kept {
            k,
            highest: op.highest,
            heap: Vec::with_capacity(k.min(found.len())),
        };
        let mut others = Vec::new();
        for series in found {
            let stats = SummaryStats::of(self.in_range(&series.values));
            let figure = stats.get(super::filter::statistic(stat)?);
            others.extend(kept.add(Ranked { series, figure }).map(|gone| gone.series));
        }
        let kept = kept.heap.into_iter().map(|ranked| ranked.series);
        match op.others {
            Some(how) if !others.is_empty() => {
                let keys = input.final_grouping();
                let rest = self.others(how, others, &keys)?;
                Ok(rest.into_iter().chain(kept).collect())
            }
            _ => Ok(kept.collect()),
        }
    }

    /// A line made of the series that are not kept; outside of the range it is not there.
    fn others(
        &self,
        how: Others,
        mut others: Vec<TimeSeries>,
        keys: &[std::sync::Arc<str>],
    ) -> Result<Vec<TimeSeries>, StackError> {
        for series in &mut others {
            series.values = self.in_range(&series.values).to_vec();
        }
        let mut tags: Tags = others[0].tags.clone();
        for key in keys {
            tags.insert(key.clone(), OTHERS);
        }
        let label = tag_label(&tags);
        let source = others[0].source;
        let values = match how {
            Others::Of(aggregate) => aggregate::all(aggregate, others),
            Others::Avg => aggregate::mean(others),
        };
        self.widened(vec![TimeSeries::labelled(tags, label, source, values)])
    }
}

struct Ranked {
    series: TimeSeries,
    figure: f64,
}

/// At most `k` series. Which of equal ones stay, and in which order they come out, is that of the binary heap in Java's library: Atlas
/// adds up what comes out, and a sum of floating-point numbers depends on their order.
struct Kept {
    k: usize,
    highest: bool,
    /// The one to go next is first.
    heap: Vec<Ranked>,
}

impl Kept {
    /// Adds a series; the one that has to go for it, which may be the same, is given back.
    fn add(&mut self, new: Ranked) -> Option<Ranked> {
        if self.heap.len() < self.k {
            self.heap.push(new);
            self.sift_up();
            return None;
        }
        match self.heap.first() {
            Some(worst) if self.compare(&new, worst) == Ordering::Greater => {}
            _ => return Some(new),
        }
        // The last one takes the place of the first, and the new one comes last.
        let worst = self.heap.swap_remove(0);
        self.sift_down();
        self.heap.push(new);
        self.sift_up();
        Some(worst)
    }

    /// The one that stays longer is greater.
    fn compare(&self, a: &Ranked, b: &Ranked) -> Ordering {
        match self.highest {
            true => compare_doubles(a.figure, b.figure),
            false => compare_doubles(b.figure, a.figure),
        }
    }

    fn sift_up(&mut self) {
        let mut at = self.heap.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.compare(&self.heap[at], &self.heap[parent]) != Ordering::Less {
                break;
            }
            self.heap.swap(at, parent);
            at = parent;
        }
    }

    fn sift_down(&mut self) {
        let len = self.heap.len();
        let mut at = 0;
        while at < len / 2 {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let less =
                |a: usize, b: usize| self.compare(&self.heap[a], &self.heap[b]) == Ordering::Less;
            let child = if right < len && less(right, left) {
                right
            } else {
                left
            };
            if !less(child, at) {
                break;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }
}

/// The order of Java's `Double.compare`: zeros differ by their sign, and NaN is above all and equal to itself.
fn compare_doubles(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.total_cmp(&b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hesper_model::DataSource;
    use proptest::prelude::*;

    fn kept(k: usize, highest: bool, figures: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut kept = Kept {
            k,
            highest,
            heap: Vec::new(),
        };
        let mut gone = Vec::new();
        for &figure in figures {
            let series = TimeSeries::new(Tags::empty(), DataSource::Gauge, Vec::new());
            gone.extend(kept.add(Ranked { series, figure }).map(|r| r.figure));
        }
        (kept.heap.iter().map(|r| r.figure).collect(), gone)
    }

    #[test]
    fn the_order_is_that_of_javas_heap() {
        // What java.util.PriorityQueue holds after the same.
        let figures = [5.0, 3.0, 8.0, 1.0, 9.0, 7.0, 2.0, 6.0];
        assert_eq!(
            kept(4, true, &figures),
            (vec![6.0, 7.0, 8.0, 9.0], vec![1.0, 3.0, 2.0, 5.0])
        );
        assert_eq!(
            kept(4, false, &figures),
            (vec![5.0, 3.0, 1.0, 2.0], vec![9.0, 8.0, 7.0, 6.0])
        );
        let figures = [
            5.0, 3.0, 8.0, 1.0, 9.0, 7.0, 2.0, 6.0, 4.0, 10.0, 0.0, 12.0, 11.0,
        ];
        assert_eq!(kept(6, true, &figures).0, [7.0, 8.0, 10.0, 12.0, 9.0, 11.0]);
        assert_eq!(kept(6, false, &figures).0, [5.0, 3.0, 4.0, 1.0, 2.0, 0.0]);
        assert_eq!(kept(3, true, &[4.0, 4.0, 4.0, 4.0]).1, [4.0]);
    }

    #[test]
    fn nan_is_above_every_number() {
        let nan = f64::NAN;
        assert_eq!(kept(1, false, &[nan, 1.0, f64::INFINITY]).0, [1.0]);
        assert!(kept(1, true, &[f64::INFINITY, nan, 1.0]).0[0].is_nan());
        assert_eq!(compare_doubles(-0.0, 0.0), Ordering::Less);
        assert_eq!(compare_doubles(-nan, nan), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn they_are_the_first_of_all_when_sorted(figures in proptest::collection::vec(-9.0..9.0, 0..40), k in 1usize..9, highest: bool) {
            let (mut kept, gone) = kept(k, highest, &figures);
            let mut sorted = figures.clone();
            sorted.sort_by(|a, b| if highest { b.total_cmp(a) } else { a.total_cmp(b) });
            prop_assert_eq!(kept.len() + gone.len(), sorted.len());
            kept.sort_by(|a, b| if highest { b.total_cmp(a) } else { a.total_cmp(b) });
            prop_assert_eq!(&kept[..], &sorted[..k.min(sorted.len())]);
        }
    }
}
