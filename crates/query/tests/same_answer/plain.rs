//! The plain computation that answers are held to.

use std::collections::{BTreeMap, BTreeSet};

use hesper_model::{ItemId, Slot, TagQuery, Tags, Timestamp};
use hesper_query::tags::TagRequest;
use hesper_stack::EvalContext;

use crate::node::{BASE, Node, tags};

/// Values by series and slot.
pub type Data = BTreeMap<(usize, i64), f64>;

pub const AGGREGATES: [&str; 4] = ["sum", "count", "min", "max"];
pub const CONSOLIDATIONS: [&str; 4] = ["avg", "sum", "min", "max"];
pub const GROUPINGS: [&[&str]; 3] = [&[], &["app"], &["zone", "name"]];

/// The program of a data expression.
fn program(query: &str, aggregate: &str, consolidation: &str, keys: &[&str]) -> String {
    let by = match keys {
        [] => String::new(),
        keys => format!(",(,{},),:by", keys.join(",")),
    };
    format!("{query},:{aggregate}{by},:cf-{consolidation}")
}

fn combine(how: &str, values: &[f64]) -> f64 {
    let values = values.iter().copied();
    match how {
        "min" => values.fold(f64::INFINITY, f64::min),
        "max" => values.fold(f64::NEG_INFINITY, f64::max),
        _ => values.sum(),
    }
}

fn is_gauge(series: usize) -> bool {
    tags(series).get("atlas.dstype") == Some("gauge")
}

/// How a group may be averaged: as its first series is. Which one that is depends on whose data is looked at, at the least all that have some in the range;
/// memory still knows series whose data are `gone`.
fn kinds(
    data: &Data,
    members: &[usize],
    gone: &[usize],
    slots: &std::ops::RangeInclusive<i64>,
) -> BTreeSet<bool> {
    let item = |s: &usize| ItemId::of(&tags(*s));
    let in_range = |s: &&usize| {
        let (from, to) = ((**s, *slots.start()), (**s, *slots.end()));
        data.range(from..=to).next().is_some()
    };
    let first = members.iter().filter(in_range).min_by_key(|s| item(s));
    let before = |s: &&usize| first.is_none_or(|first| item(s) <= item(first));
    let before = members.iter().chain(gone).filter(before);
    before.map(|s| is_gauge(*s)).collect()
}

/// What a data expression should give: by group, a value for each cell, in one or two ways.
fn expected(
    data: &Data,
    gone: &BTreeSet<usize>,
    matches: impl Fn(&Tags) -> bool,
    aggregate: &str,
    consolidation: &str,
    keys: &[&str],
    ctx: &EvalContext,
) -> BTreeMap<Vec<String>, Vec<Vec<f64>>> {
    let m = ctx.step.millis() / BASE.millis();
    let grouped = |series: &BTreeSet<usize>| {
        let mut groups: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
        for s in series {
            let tags = tags(*s);
            let key = keys.iter().map(|k| Some(tags.get(k)?.to_owned()));
            if let (true, Some(key)) = (matches(&tags), key.collect()) {
                groups.entry(key).or_default().push(*s);
            }
        }
        groups
    };
    let groups = grouped(&data.keys().map(|(s, _)| *s).collect());
    let gone = grouped(gone);
    let cell = |members: &[usize], gauge: bool, time: Timestamp| {
        let last = time.millis() / BASE.millis();
        let mut slots = BTreeSet::new();
        let mut of_series = Vec::new();
        for s in members {
            let found: Vec<(i64, f64)> = data
                .range((*s, last - m + 1)..=(*s, last))
                .map(|((_, slot), v)| (*slot, *v))
                .collect();
            slots.extend(found.iter().map(|(slot, _)| *slot));
            let values: Vec<f64> = match aggregate {
                "count" => found.iter().map(|_| 1.0).collect(),
                _ => found.iter().map(|(_, v)| *v).collect(),
            };
            if !values.is_empty() {
                of_series.push(combine(if m == 1 { "sum" } else { consolidation }, &values));
            }
        }
        if of_series.is_empty() {
            return f64::NAN;
        }
        let value = combine(aggregate, &of_series);
        match consolidation {
            "avg" if m > 1 && gauge => value / slots.len() as f64,
            "avg" if m > 1 => value / m as f64,
            _ => value,
        }
    };
    let slot = |time: Timestamp| Slot::ending_by(time, BASE).0;
    let times: Vec<Timestamp> = ctx.times().collect();
    let (first, last) = (times[0], times[times.len() - 1]);
    let asked = slot(first) - m + 1..=slot(last);
    groups
        .into_iter()
        .map(|(key, members)| {
            let gone = gone.get(&key).map_or(&[][..], Vec::as_slice);
            let kinds = kinds(data, &members, gone, &asked);
            let ways = kinds.into_iter().map(|gauge| {
                let cells = times.iter().map(|t| cell(&members, gauge, *t));
                cells.collect::<Vec<_>>()
            });
            (key, ways.collect::<Vec<_>>())
        })
        .filter(|(_, ways)| ways.iter().flatten().any(|v| !v.is_nan()))
        .collect()
}

fn close(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 + 1e-9 * a.abs().max(b.abs())
}

/// Asks for an aggregate, and holds the answer to the plain computation. Of series that are `gone` data were deleted.
#[allow(clippy::too_many_arguments, reason = "one way of asking")]
pub async fn check_one(
    node: &Node,
    data: &Data,
    gone: &BTreeSet<usize>,
    aggregate: &str,
    consolidation: &str,
    keys: &[&str],
    ctx: &EvalContext,
) {
    let asked = program(
        "name,metric,:re,node,i-07,:eq,:not,:and",
        aggregate,
        consolidation,
        keys,
    );
    let got = node.ask(&asked, ctx).await;
    let matches = |t: &Tags| t.get("node") != Some("i-07");
    let want = expected(data, gone, matches, aggregate, consolidation, keys, ctx);
    let got: BTreeMap<Vec<String>, Vec<f64>> = got
        .iter()
        .filter(|s| s.tags.name() != Some("NO_DATA"))
        .map(|s| {
            let key = keys
                .iter()
                .map(|k| s.tags.get(k).expect("grouped").to_owned());
            (key.collect(), s.values.clone())
        })
        .collect();
    assert_eq!(
        got.keys().collect::<Vec<_>>(),
        want.keys().collect::<Vec<_>>(),
        "{asked} at {ctx:?}"
    );
    for (key, ways) in &want {
        let got = &got[key];
        let same = |way: &&Vec<f64>| way.iter().zip(got).all(|(a, b)| close(*a, *b));
        if !ways.iter().any(|way| same(&way)) {
            let differ: Vec<_> = (0..got.len())
                .filter(|i| !close(ways[0][*i], got[*i]))
                .map(|i| (i, ways[0][i], got[i]))
                .take(10)
                .collect();
            panic!("{asked} at {ctx:?}, {key:?}: cell, expected, found: {differ:?}");
        }
    }
}

/// Which nodes of an app there are, by tags and by the data.
pub async fn tags_of(node: &Node, data: &Data) -> (BTreeSet<String>, BTreeSet<String>) {
    let request = TagRequest {
        query: TagQuery::Equal("app".into(), "app-1".into()),
        after: None,
        limit: 100,
        range: None,
    };
    let got = node.tiers.tag_values("node", &request).await;
    assert_eq!(got.missing, []);
    let series: BTreeSet<usize> = data.keys().map(|(s, _)| *s).collect();
    let want: BTreeSet<String> = series
        .iter()
        .map(|s| tags(*s))
        .filter(|t| t.get("app") == Some("app-1"))
        .map(|t| t.get("node").expect("tagged").to_owned())
        .collect();
    let got: BTreeSet<String> = got.texts.iter().map(|t| t.to_string()).collect();
    (got, want)
}
