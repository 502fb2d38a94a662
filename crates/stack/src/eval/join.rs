//! Binary operators: which series meets which.

use std::collections::HashMap;

use super::TimeSeries;
use crate::error::StackError;
use crate::expr::{BinaryOp, TimeSeriesExpr, group_key};

/// Applies an operator to the series of two expressions that have the same group.
///
/// The side whose keys are among the other's is looked up by them: the right one if both are. The result has the order, and the tags,
/// of the other side; series without a partner are dropped.
///
/// # Errors
/// When a series has several partners.
pub(super) fn join(
    op: &BinaryOp,
    left: &TimeSeriesExpr,
    l: Vec<TimeSeries>,
    right: &TimeSeriesExpr,
    r: Vec<TimeSeries>,
) -> Result<Vec<TimeSeries>, StackError> {
    let (left_keys, right_keys) = (left.final_grouping(), right.final_grouping());
    if right_keys.iter().all(|k| left_keys.contains(k)) {
        meet(l, r, right, |l, r| {
            (op.into_left)(&mut l.values, &r.values);
        })
    } else {
        meet(r, l, left, |r, l| {
            (op.into_right)(&l.values, &mut r.values);
            r.source = l.source;
        })
    }
}

/// Applies `f` to each of `series` and its partner among `others`, which are told apart by the grouping of `other_expr`.
fn meet(
    series: Vec<TimeSeries>,
    others: Vec<TimeSeries>,
    other_expr: &TimeSeriesExpr,
    f: impl Fn(&mut TimeSeries, &TimeSeries),
) -> Result<Vec<TimeSeries>, StackError> {
    let keys = other_expr.final_grouping();
    // Without keys, as without one of the keys, a series has the group `None`.
    let key = |s: &TimeSeries| {
        let grouped = !keys.is_empty();
        grouped.then(|| group_key(&keys, &s.tags)).flatten()
    };
    let mut by_key: HashMap<Option<String>, Vec<&TimeSeries>> = HashMap::new();
    for other in &others {
        by_key.entry(key(other)).or_default().push(other);
    }
    let mut result = Vec::with_capacity(series.len());
    for mut one in series {
        match by_key.get(&key(&one)).map(Vec::as_slice) {
            None | Some([]) => {}
            Some([other]) => {
                f(&mut one, other);
                one.label_by_tags();
                result.push(one);
            }
            Some(_) => {
                return Err(StackError::IllegalState(
                    "too many values for key".to_owned(),
                ));
            }
        }
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::DataExpr;
    use crate::expr::binary::binary_op;
    use hesper_model::{DataSource, TagQuery, Tags};
    use proptest::prelude::*;

    fn grouped(keys: &[&str]) -> TimeSeriesExpr {
        let data = DataExpr::sum(TagQuery::True);
        TimeSeriesExpr::Data(match keys {
            [] => data,
            keys => data.grouped(keys.iter().map(|k| (*k).into()).collect()),
        })
    }

    fn series(tags: &[(&'static str, String)], v: f64) -> TimeSeries {
        let tags = Tags::from_pairs(tags.iter().map(|(k, v)| (*k, v.as_str())));
        TimeSeries::new(tags, DataSource::Rate, vec![v])
    }

    /// Series with some of the keys, values numbered.
    fn any_series() -> impl Strategy<Value = Vec<TimeSeries>> {
        let one = ("[xy]?", "[xy]?");
        proptest::collection::vec(one, 0..6).prop_map(|all| {
            all.into_iter()
                .enumerate()
                .map(|(i, (a, b))| {
                    let tags = [("a", a), ("b", b)];
                    let tags: Vec<_> = tags.into_iter().filter(|(_, v)| !v.is_empty()).collect();
                    series(&tags, i as f64)
                })
                .collect()
        })
    }

    /// The join as it is described: every pair is looked at.
    fn naive(
        l_keys: &[&str],
        l: &[TimeSeries],
        r_keys: &[&str],
        r: &[TimeSeries],
    ) -> Option<Vec<(String, f64)>> {
        let left_leads = r_keys.iter().all(|k| l_keys.contains(k));
        let (one, other, keys) = match left_leads {
            true => (l, r, r_keys),
            false => (r, l, l_keys),
        };
        let group = |s: &TimeSeries| -> Option<Vec<String>> {
            keys.iter()
                .map(|k| s.tags.get(k).map(str::to_owned))
                .collect()
        };
        let mut result = Vec::new();
        for a in one {
            let partners: Vec<_> = other.iter().filter(|b| group(b) == group(a)).collect();
            match partners.as_slice() {
                [] => {}
                [b] if left_leads => {
                    result.push((a.tags.to_string(), a.values[0] - 10.0 * b.values[0]));
                }
                [b] => result.push((a.tags.to_string(), b.values[0] - 10.0 * a.values[0])),
                _ => return None,
            }
        }
        Some(result)
    }

    proptest! {
        #[test]
        fn it_does_what_looking_at_every_pair_does(
            l in any_series(),
            r in any_series(),
            which in 0usize..7,
        ) {
            let (l_keys, r_keys): (&[&str], &[&str]) = [
                (&["a", "b"][..], &["a", "b"][..]),
                (&["a", "b"], &["b"]),
                (&["a"], &["b", "a"]),
                (&["a", "b"], &[]),
                (&[], &["b"]),
                (&[], &[]),
                (&["a"], &["a"]),
            ][which];
            let mut tens = r.clone();
            tens.iter_mut().for_each(|s| s.values[0] *= 10.0);
            let want = naive(l_keys, &l, r_keys, &r);
            let got = join(binary_op("fsub"), &grouped(l_keys), l, &grouped(r_keys), tens);
            match want {
                None => prop_assert_eq!(
                    got.expect_err("several partners").to_string(),
                    "IllegalStateException: too many values for key"
                ),
                Some(want) => {
                    let got = got.expect("at most one partner each");
                    let got: Vec<_> = got.iter().map(|s| (s.tags.to_string(), s.values[0])).collect();
                    prop_assert_eq!(got, want);
                }
            }
        }
    }

    #[test]
    fn the_label_is_made_from_the_tags_again() {
        let tags = [("a", "x".to_owned())];
        let l = TimeSeries::labelled(series(&tags, 0.0).tags, "own", DataSource::Gauge, vec![1.0]);
        let r = series(&[], 2.0);
        let op = binary_op("add");
        let result = join(op, &grouped(&["a"]), vec![l], &grouped(&[]), vec![r]).expect("one each");
        assert_eq!(result[0].label(), "a=x");
        assert_eq!(
            (result[0].values[0], result[0].source),
            (3.0, DataSource::Gauge)
        );
    }
}
