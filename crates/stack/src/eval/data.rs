//! What storage found, named and put in order.

use std::sync::Arc;

use hesper_model::{DataSource, Step, Tags};

use super::series::tag_label;
use super::{EvalContext, TimeSeries};
use crate::expr::{DataAggregate, DataExpr, group_key};

/// What storage found for a data expression: one for each group; at most one when it is not grouped; one for each series under `:all`.
#[derive(Clone, Debug)]
pub struct DataGroup {
    /// The keys of the group and their values; all tags of the series under `:all`; empty when the expression is not grouped.
    pub tags: Tags,
    /// The source of the series with the lowest item id.
    pub source: DataSource,
    /// A value for each cell of the range shifted by the offset, see [`EvalContext::shifted`].
    pub values: Vec<f64>,
}

/// The result of a data expression over the range `ctx`: its series with tags and labels, in order. Groups without a single value are
/// left out; without any, an ungrouped expression has a line of NaN.
pub fn data_result(expr: &DataExpr, groups: Vec<DataGroup>, ctx: &EvalContext) -> Vec<TimeSeries> {
    let offset_label = expr.offset_label();
    // What is left of the offset after whole steps shows each value later, or earlier when the offset is negative.
    let lag_millis =
        expr.offset_millis - (ctx.start.millis() - ctx.shifted(expr.offset_millis).start.millis());
    let exact = expr.query.exact_tags();
    let mut result: Vec<(Arc<str>, TimeSeries)> = groups
        .into_iter()
        .filter(|group| group.values.iter().any(|v| !v.is_nan()))
        .filter_map(|group| {
            let (tags, label) = match (&expr.group_by, expr.aggregate) {
                (Some(keys), _) => (
                    with_keys(exact.clone(), keys, &group.tags),
                    group_key(keys, &group.tags)?,
                ),
                (None, DataAggregate::All) => {
                    let label = tag_label(&group.tags);
                    (group.tags, label)
                }
                (None, DataAggregate::Of(_)) => (exact.clone(), expr.label()),
            };
            let label: Arc<str> = (label + &offset_label).into();
            let values = match lag_millis {
                0 => group.values,
                lag => lagging(&group.values, lag, ctx.step),
            };
            let series = TimeSeries::labelled(tags, label.clone(), group.source, values);
            Some((label, series))
        })
        .collect();
    if result.is_empty() && expr.is_aggregate_function() {
        return vec![TimeSeries::no_data(ctx)];
    }
    result.sort_by(|a, b| a.0.cmp(&b.0));
    result.into_iter().map(|(_, series)| series).collect()
}

/// Tags, and those of these keys that a group has.
fn with_keys(mut tags: Tags, keys: &[Arc<str>], group: &Tags) -> Tags {
    for key in keys {
        if let Some(value) = group.get_shared(key) {
            tags.insert(key.clone(), value.clone());
        }
    }
    tags
}

/// The values so much later: in each cell the one that was there at the time before, NaN where there is none.
fn lagging(values: &[f64], lag_millis: i64, step: Step) -> Vec<f64> {
    (0..values.len() as i64)
        .map(|i| {
            let at = (i * step.millis() - lag_millis).div_euclid(step.millis());
            let value = usize::try_from(at).ok().and_then(|at| values.get(at));
            value.copied().unwrap_or(f64::NAN)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{GraphOptions, parse_graph};
    use hesper_model::Timestamp;

    const CTX: EvalContext = EvalContext {
        start: Timestamp(0),
        end: Timestamp(180_000),
        step: Step::from_secs(60),
    };

    fn data(program: &str) -> DataExpr {
        let exprs = parse_graph(program, &GraphOptions::default()).expect("a valid program");
        exprs[0].expr.data_exprs().remove(0)
    }

    fn group(tags: &[(&str, &str)], values: [f64; 3]) -> DataGroup {
        DataGroup {
            tags: Tags::from_pairs(tags.iter().copied()),
            source: DataSource::Rate,
            values: values.to_vec(),
        }
    }

    fn shown(series: &[TimeSeries]) -> Vec<String> {
        let show = |s: &TimeSeries| format!("{} [{}] {:?}", s.label(), s.tags, s.values);
        series.iter().map(show).collect()
    }

    #[test]
    fn results_carry_what_the_query_fixes() {
        let found = vec![group(&[], [1.0, 2.0, 3.0])];
        assert_eq!(
            shown(&data_result(
                &data("name,a,:eq,b,:has,:and,:max"),
                found,
                &CTX
            )),
            ["max((name=a) and (has(b))) [name=a] [1.0, 2.0, 3.0]"]
        );
    }

    #[test]
    fn groups_are_sorted_by_key_and_empty_ones_left_out() {
        let found = vec![
            group(&[("k", "z")], [1.0, 1.0, 1.0]),
            group(&[("k", "m")], [f64::NAN; 3]),
            group(&[("k", "b")], [2.0, 2.0, 2.0]),
        ];
        let result = data_result(&data("name,a,:eq,(,k,),:by"), found, &CTX);
        let labels: Vec<_> = result.iter().map(TimeSeries::label).collect();
        assert_eq!(labels, ["(k=b)", "(k=z)"]);
        assert_eq!(result[0].tags.get("name"), Some("a"));
    }

    #[test]
    fn nothing_found_is_a_line_only_without_groups() {
        let empty = vec![group(&[], [f64::NAN; 3])];
        let result = data_result(&data("name,a,:eq"), empty, &CTX);
        assert_eq!(shown(&result), ["NO DATA [name=NO_DATA] [NaN, NaN, NaN]"]);
        assert!(data_result(&data("name,a,:eq,(,k,),:by"), vec![], &CTX).is_empty());
        assert!(data_result(&data("name,a,:eq,:all"), vec![], &CTX).is_empty());
    }

    #[test]
    fn the_rest_of_an_offset_moves_values_into_the_next_cell() {
        let expr = data("name,a,:eq,90s,:offset");
        assert_eq!(CTX.shifted(expr.offset_millis).start, Timestamp(-60_000));
        assert_eq!(CTX.shifted(30_000), CTX);
        let result = data_result(&expr, vec![group(&[], [1.0, 2.0, 3.0])], &CTX);
        assert_eq!(
            shown(&result),
            ["sum(name=a) (offset=90s) [name=a] [NaN, 1.0, 2.0]"]
        );
        let ahead = data("name,a,:eq,PT-1M,:offset");
        assert_eq!(CTX.shifted(ahead.offset_millis), CTX);
        let result = data_result(&ahead, vec![group(&[], [1.0, 2.0, 3.0])], &CTX);
        assert_eq!(result[0].values[..2], [2.0, 3.0]);
        assert!(result[0].values[2].is_nan());
    }
}
