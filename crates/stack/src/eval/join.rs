//! Binary operators: which series meets which.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use hesper_model::Tags;

use super::TimeSeries;
use crate::error::StackError;
use crate::expr::{BinaryOp, TimeSeriesExpr};

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
    l: Vec<Cow<'_, TimeSeries>>,
    right: &TimeSeriesExpr,
    r: Vec<Cow<'_, TimeSeries>>,
) -> Result<Vec<TimeSeries>, StackError> {
    let (left_keys, right_keys) = (left.final_grouping(), right.final_grouping());
    if right_keys.iter().all(|k| left_keys.contains(k)) {
        meet(l, &r, &right_keys, |l, r| match l {
            Cow::Owned(mut l) => {
                (op.into_left)(&mut l.values, &r.values);
                l.label_by_tags();
                l
            }
            Cow::Borrowed(l) => {
                let values = (op.both)(&l.values, &r.values);
                TimeSeries::new(l.tags.clone(), l.source, values)
            }
        })
    } else {
        meet(r, &l, &left_keys, |r, l| match r {
            Cow::Owned(mut r) => {
                (op.into_right)(&l.values, &mut r.values);
                r.source = l.source;
                r.label_by_tags();
                r
            }
            Cow::Borrowed(r) => {
                let values = (op.both)(&l.values, &r.values);
                TimeSeries::new(r.tags.clone(), l.source, values)
            }
        })
    }
}

/// Applies `f` to each of `series` and its partner among `others`, which are told apart by these keys.
fn meet<'a>(
    series: Vec<Cow<'a, TimeSeries>>,
    others: &[Cow<'_, TimeSeries>],
    keys: &[Arc<str>],
    f: impl Fn(Cow<'a, TimeSeries>, &TimeSeries) -> TimeSeries,
) -> Result<Vec<TimeSeries>, StackError> {
    let mut by_group: HashMap<Option<Group<'_>>, Partner<'_>> =
        HashMap::with_capacity(others.len());
    for other in others {
        let partner = by_group.entry(group_of(keys, &other.tags));
        partner
            .and_modify(|partner| *partner = Partner::Several)
            .or_insert(Partner::One(other));
    }
    let mut result = Vec::with_capacity(series.len());
    for one in series {
        let partner = by_group.get(&group_of(keys, &one.tags)).copied();
        match partner {
            None => {}
            Some(Partner::One(other)) => result.push(f(one, other)),
            Some(Partner::Several) => {
                return Err(StackError::IllegalState(
                    "too many values for key".to_owned(),
                ));
            }
        }
    }
    Ok(result)
}

/// The values of the keys that tell the groups apart.
type Group<'a> = Vec<&'a str>;

/// The group of a series. Without keys, as without one of the keys, it is `None`.
fn group_of<'a>(keys: &[Arc<str>], tags: &'a Tags) -> Option<Group<'a>> {
    let values = keys.iter().map(|k| tags.get(k));
    values
        .collect::<Option<Group<'_>>>()
        .filter(|g| !g.is_empty())
}

/// What a series meets.
#[derive(Clone, Copy)]
enum Partner<'a> {
    One(&'a TimeSeries),
    Several,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::DataExpr;
    use crate::expr::binary::binary_op;
    use hesper_model::{DataSource, TagQuery};
    use proptest::prelude::*;

    fn grouped(keys: &[&str]) -> TimeSeriesExpr {
        let data = DataExpr::sum(TagQuery::True);
        TimeSeriesExpr::Data(match keys {
            [] => data,
            keys => data.grouped(keys.iter().map(|k| (*k).into()).collect()),
        })
    }

    fn owned(series: &[TimeSeries]) -> Vec<Cow<'static, TimeSeries>> {
        series.iter().cloned().map(Cow::Owned).collect()
    }

    fn borrowed(series: &[TimeSeries]) -> Vec<Cow<'_, TimeSeries>> {
        series.iter().map(Cow::Borrowed).collect()
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
            let (l_expr, r_expr) = (grouped(l_keys), grouped(r_keys));
            let op = binary_op("fsub");
            let lent = join(op, &l_expr, borrowed(&l), &r_expr, borrowed(&tens));
            let got = join(op, &l_expr, owned(&l), &r_expr, owned(&tens));
            let shown = |r: Result<Vec<TimeSeries>, StackError>| r.map(|s| format!("{s:?}"));
            prop_assert_eq!(shown(lent), shown(got.clone()));
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
        let (l, r) = (owned(&[l]), owned(&[r]));
        let result = join(op, &grouped(&["a"]), l, &grouped(&[]), r).expect("one each");
        assert_eq!(result[0].label(), "a=x");
        assert_eq!(
            (result[0].values[0], result[0].source),
            (3.0, DataSource::Gauge)
        );
    }
}
