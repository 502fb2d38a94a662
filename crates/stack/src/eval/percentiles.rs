//! Percentiles from counts by bucket.
//!
//! The buckets are those of Spectator: 1, 2, 3, then for every power of four p up to 4^30 the values p, p + p/3, … below 4p − p/3, and
//! last the largest 64-bit number. A bucket counts the samples from the value before its own up to its own.

use std::sync::LazyLock;

use hesper_model::{DataSource, Tags};

use super::{EvalContext, TimeSeries, group_key};
use crate::error::StackError;
use crate::expr::percentiles::PERCENTILE;
use crate::expr::{Percentiles, query_label};
use crate::number::JavaDouble;

/// The upper ends of the buckets.
pub(super) static BUCKETS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let mut ends = vec![1.0, 2.0, 3.0];
    for power in 1..=30 {
        let first: u64 = 1 << (2 * power);
        let step = first / 3;
        let last = 4 * first - step;
        let mut end = first;
        while end < last {
            ends.push(end as f64);
            end += step;
        }
    }
    ends.push(i64::MAX as f64);
    ends
});

/// The estimates for every group among the counts.
///
/// # Errors
/// When the name of a bucket is not one, two series count for the same bucket, or no percentile is asked for.
pub(super) fn percentiles(
    expr: &Percentiles,
    found: &[TimeSeries],
    ctx: &EvalContext,
) -> Result<Vec<TimeSeries>, StackError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let keys = expr.group_keys();
    if keys.is_empty() {
        return estimate(
            expr,
            &query_label(expr.query()),
            found.iter().collect(),
            ctx,
        );
    }
    let mut groups: Vec<(Tags, Vec<&TimeSeries>)> = Vec::new();
    for series in found {
        let tags = series.tags.filtered(|k| k != PERCENTILE);
        match groups.iter_mut().find(|(other, _)| *other == tags) {
            Some((_, group)) => group.push(series),
            None => groups.push((tags, vec![series])),
        }
    }
    let mut result = Vec::with_capacity(groups.len() * expr.percentiles().len());
    for (tags, group) in groups {
        let label = group_key(&keys, &tags).unwrap_or_else(|| "null".to_owned());
        result.extend(estimate(expr, &label, group, ctx)?);
    }
    Ok(result)
}

fn estimate(
    expr: &Percentiles,
    label: &str,
    found: Vec<&TimeSeries>,
    ctx: &EvalContext,
) -> Result<Vec<TimeSeries>, StackError> {
    let bucket_of = |s: &TimeSeries| s.tags.get(PERCENTILE).map(str::to_owned);
    let mut counts: Vec<(usize, &TimeSeries)> = Vec::new();
    let mut is_timer = None;
    for series in &found {
        let Some(name) = bucket_of(series) else {
            continue;
        };
        // Timers record nanoseconds, and are shown in seconds.
        is_timer.get_or_insert(name.starts_with('T'));
        counts.push((bucket_index(&name)?, series));
    }
    let Some(is_timer) = is_timer else {
        return Ok(vec![TimeSeries::no_data(ctx)]);
    };
    counts.sort_by_key(|(bucket, _)| *bucket);
    if let Some(pair) = counts.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let bucket = pair[0].0;
        let names: Vec<String> = counts
            .iter()
            .filter(|(other, _)| *other == bucket)
            .filter_map(|(_, s)| bucket_of(s))
            .collect();
        return Err(StackError::requirement(format!(
            "invalid percentile encoding: [{}]",
            names.join(",")
        )));
    }
    let wanted = expr.percentiles();
    if wanted.is_empty() && ctx.cells() > 0 {
        return Err(StackError::IllegalArgument(
            "pct array cannot be empty".to_owned(),
        ));
    }
    let unit = if is_timer { 1e-9 } else { 1.0 };
    let mut columns = vec![Vec::with_capacity(ctx.cells()); wanted.len()];
    let mut row = vec![f64::NAN; wanted.len()];
    let mut samples = vec![(0usize, 0.0f64); counts.len()];
    for cell in 0..ctx.cells() {
        for (sample, (bucket, series)) in samples.iter_mut().zip(&counts) {
            let v = series.values.get(cell).copied().unwrap_or(f64::NAN);
            *sample = (*bucket, if v.is_finite() { v } else { 0.0 });
        }
        for_each_percentile(&samples, wanted, |i, v| row[i] = v * unit);
        for (column, v) in columns.iter_mut().zip(&mut row) {
            column.push(std::mem::replace(v, f64::NAN));
        }
    }
    let tags = &found[0].tags;
    Ok(wanted
        .iter()
        .zip(columns)
        .map(|(p, values)| {
            let shown = JavaDouble(*p).to_string();
            // Padded so that the points stand below each other.
            let padded = match *p {
                p if p < 10.0 => format!("  {shown}"),
                p if p < 100.0 => format!(" {shown}"),
                _ => shown,
            };
            let label = format!("percentile({label}, {padded})");
            let mut tags = tags.clone();
            tags.insert(PERCENTILE, padded);
            TimeSeries::labelled(tags, label, DataSource::Gauge, values)
        })
        .collect())
}

/// The number of a bucket: a letter, and four hexadecimal digits.
fn bucket_index(name: &str) -> Result<usize, StackError> {
    let digits = name.get(1..).unwrap_or("");
    let index = i32::from_str_radix(digits, 16).map_err(|_| StackError::not_hexadecimal(digits))?;
    usize::try_from(index)
        .ok()
        .filter(|i| *i < BUCKETS.len())
        .ok_or_else(|| {
            StackError::ArrayIndexOutOfBounds(format!(
                "Index {index} out of bounds for length {}",
                BUCKETS.len()
            ))
        })
}

/// Calls `f` with the place and the value of each percentile, lowest first, of samples counted by bucket, sorted by bucket.
///
/// Within a bucket values are taken to be spread evenly. Nothing counted makes NaN of all of them.
fn for_each_percentile(samples: &[(usize, f64)], wanted: &[f64], mut f: impl FnMut(usize, f64)) {
    let positive = |(_, count): &&(usize, f64)| *count > 0.0;
    let total: f64 = samples
        .iter()
        .filter(positive)
        .map(|(_, count)| count)
        .sum();
    let last = samples
        .iter()
        .rfind(positive)
        .map_or(0, |(bucket, _)| *bucket);
    let mut wanted = wanted.iter().enumerate().peekable();
    let (mut before, mut percent_before, mut end_before) = (0.0, 0.0, 0.0);
    let mut samples = samples.iter().peekable();
    for (bucket, &end) in BUCKETS.iter().enumerate().take(last + 1) {
        let count = samples
            .next_if(|(b, _)| *b == bucket)
            .map_or(0.0, |(_, count)| *count);
        let now = before + count;
        let percent = 100.0 * now / total;
        while let Some((i, p)) = wanted.next_if(|(_, p)| percent >= **p) {
            let part = (p - percent_before) / (percent - percent_before);
            let value = if part.is_nan() {
                0.0
            } else {
                part * (end - end_before) + end_before
            };
            f(i, value);
        }
        if wanted.peek().is_none() {
            return;
        }
        (before, percent_before, end_before) = (now, percent, end);
    }
    // Rounding may leave some: they lie in the last bucket with samples.
    let end = BUCKETS[last];
    for (i, p) in wanted {
        let part = (p - percent_before) / (100.0 - percent_before);
        f(i, part * (end - end_before) + end_before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(samples: &[(usize, f64)], wanted: &[f64]) -> Vec<f64> {
        let mut values = vec![f64::NAN; wanted.len()];
        for_each_percentile(samples, wanted, |i, v| values[i] = v);
        values
    }

    #[test]
    fn the_buckets_are_those_of_spectator() {
        assert_eq!(BUCKETS.len(), 276);
        assert_eq!(BUCKETS[..8], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(BUCKETS[14..18], [16.0, 21.0, 26.0, 31.0]);
    }

    #[test]
    fn values_are_spread_evenly_within_a_bucket() {
        // Bucket 1 goes from 1 to 2, bucket 2 from 2 to 3.
        assert_eq!(
            values(&[(1, 10.0), (2, 10.0)], &[25.0, 50.0, 75.0, 100.0]),
            [1.5, 2.0, 2.5, 3.0]
        );
        assert_eq!(values(&[(5, 1.0)], &[0.0, 50.0]), [0.0, 5.5]);
        assert!(values(&[(3, 0.0)], &[50.0])[0].is_nan());
        assert!(values(&[], &[50.0])[0].is_nan());
    }

    /// The estimates as they are described: each percentile looks through all buckets by itself.
    fn naive(samples: &[(usize, f64)], p: f64) -> f64 {
        let mut counts = vec![0.0; BUCKETS.len()];
        samples
            .iter()
            .for_each(|(bucket, count)| counts[*bucket] = *count);
        let total: f64 = counts.iter().sum();
        let mut so_far = 0.0;
        for (bucket, count) in counts.iter().enumerate() {
            let before = 100.0 * so_far / total;
            so_far += count;
            let now = 100.0 * so_far / total;
            if now >= p {
                let start = if bucket == 0 {
                    0.0
                } else {
                    BUCKETS[bucket - 1]
                };
                let part = (p - before) / (now - before);
                // Without samples up to here there is nothing to go by.
                let part = if part.is_nan() { return 0.0 } else { part };
                return start + part * (BUCKETS[bucket] - start);
            }
        }
        let last = counts.iter().rposition(|c| *c > 0.0);
        last.map_or(f64::NAN, |last| BUCKETS[last])
    }

    proptest! {
        #[test]
        fn estimates_are_those_described(
            counts in proptest::collection::btree_map(0usize..276, 0.0f64..1e6, 0..20),
            mut wanted in proptest::collection::vec(0.0f64..=100.0, 1..6),
        ) {
            let samples: Vec<_> = counts.into_iter().collect();
            wanted.sort_by(f64::total_cmp);
            for (p, got) in wanted.iter().zip(values(&samples, &wanted)) {
                let want = naive(&samples, *p);
                let same = (got - want).abs() <= 1e-6 * want.abs() || (got.is_nan() && want.is_nan());
                prop_assert!(same, "{}: want {}, got {}", p, want, got);
            }
        }

        #[test]
        fn estimates_rise_with_the_percentile(
            counts in proptest::collection::btree_map(0usize..276, 0.0f64..1e6, 1..20),
            mut wanted in proptest::collection::vec(0.0f64..=100.0, 1..6),
        ) {
            let samples: Vec<_> = counts.into_iter().collect();
            wanted.sort_by(f64::total_cmp);
            let values = values(&samples, &wanted);
            if samples.iter().any(|(_, c)| *c > 0.0) {
                prop_assert!(values.windows(2).all(|w| w[0] <= w[1] + 1e-6 * w[1].abs()), "{:?}", values);
            }
        }
    }
}
