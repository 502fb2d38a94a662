//! Several columns made one.

use std::borrow::Borrow;

use hesper_model::Aggregate;
use hesper_model::aggregate::{add_nan, max_nan, min_nan};

use super::TimeSeries;

/// The values of all series made one, in the order in which they come. There has to be at least one.
pub(super) fn all<S: Borrow<TimeSeries>>(op: Aggregate, series: Vec<S>) -> Vec<f64> {
    let mut columns = series.iter().map(|s| &s.borrow().values);
    let mut total = columns.next().cloned().unwrap_or_default();
    if op == Aggregate::Count {
        total.iter_mut().for_each(|v| *v = present(*v));
    }
    for column in columns {
        let pairs = total.iter_mut().zip(column);
        match op {
            Aggregate::Sum => pairs.for_each(|(t, v)| *t = add_nan(*t, *v)),
            Aggregate::Count => pairs.for_each(|(t, v)| *t = add_nan(*t, present(*v))),
            Aggregate::Min => pairs.for_each(|(t, v)| *t = min_nan(*t, *v)),
            Aggregate::Max => pairs.for_each(|(t, v)| *t = max_nan(*t, *v)),
        }
    }
    total
}

/// The mean of the series that have data at a time. There has to be at least one.
pub(super) fn mean(series: Vec<TimeSeries>) -> Vec<f64> {
    let counts = all(Aggregate::Count, series.clone());
    let mut means = all(Aggregate::Sum, series);
    for (mean, count) in means.iter_mut().zip(&counts) {
        *mean /= count;
    }
    means
}

/// 1 for data, NaN for none.
fn present(v: f64) -> f64 {
    if v.is_nan() { f64::NAN } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hesper_model::{DataSource, Tags};

    fn made_one(op: Aggregate, columns: &[[f64; 3]]) -> Vec<String> {
        let series = columns
            .iter()
            .map(|c| TimeSeries::new(Tags::empty(), DataSource::Gauge, c.to_vec()))
            .collect();
        all(op, series).iter().map(f64::to_string).collect()
    }

    #[test]
    fn a_mean_is_of_what_is_there() {
        let nan = f64::NAN;
        let series = [[1.0, nan, nan], [3.0, 4.0, nan]]
            .map(|c| TimeSeries::new(Tags::empty(), DataSource::Gauge, c.to_vec()));
        let means = mean(series.to_vec());
        assert_eq!(means[..2], [2.0, 4.0]);
        assert!(means[2].is_nan());
    }

    #[test]
    fn gaps_do_not_count() {
        let nan = f64::NAN;
        let columns = [[1.0, nan, nan], [3.0, 4.0, nan]];
        assert_eq!(made_one(Aggregate::Sum, &columns), ["4", "4", "NaN"]);
        assert_eq!(made_one(Aggregate::Count, &columns), ["2", "1", "NaN"]);
        assert_eq!(made_one(Aggregate::Min, &columns), ["1", "4", "NaN"]);
        assert_eq!(made_one(Aggregate::Max, &columns), ["3", "4", "NaN"]);
    }
}
