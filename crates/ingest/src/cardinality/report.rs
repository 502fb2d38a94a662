//! What is told of cardinality.

use std::cmp::Reverse;
use std::ops::AddAssign;
use std::str::FromStr;
use std::sync::Arc;

use hashbrown::HashMap;
use serde::Serialize;

use super::classes::Class;
use super::{Cardinality, INTERVAL_MILLIS};

/// The most rows of a report.
pub const MAX_ROWS: usize = 1000;

/// What the rows of a report stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum By {
    /// Names.
    #[serde(rename = "name")]
    Name,
    /// Apps.
    #[serde(rename = "nf.app")]
    App,
    /// Tag keys.
    #[serde(rename = "key")]
    Key,
}

/// Which rows come first: those with the most of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Series in memory.
    #[default]
    Series,
    /// Series that were added lately.
    AddedSeries,
    /// Datapoints that came lately.
    Datapoints,
    /// Different values; of keys only.
    Values,
}

/// A name that stands for nothing here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {parameter} '{given}'; there are {known}")]
pub struct UnknownChoice {
    parameter: &'static str,
    given: String,
    known: &'static str,
}

impl FromStr for By {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        match text {
            "name" => Ok(Self::Name),
            "nf.app" => Ok(Self::App),
            "key" => Ok(Self::Key),
            other => Err(UnknownChoice {
                parameter: "by",
                given: other.to_owned(),
                known: "name, nf.app, key",
            }),
        }
    }
}

impl FromStr for Order {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        match text {
            "series" => Ok(Self::Series),
            "added-series" => Ok(Self::AddedSeries),
            "datapoints" => Ok(Self::Datapoints),
            "values" => Ok(Self::Values),
            other => Err(UnknownChoice {
                parameter: "order",
                given: other.to_owned(),
                known: "series, added-series, datapoints, values",
            }),
        }
    }
}

/// Counts of series and datapoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Series in memory.
    pub series: u64,
    /// Series that were added lately, whether they are still there or not.
    pub added_series: u64,
    /// Datapoints accepted since the node started.
    pub datapoints: u64,
    /// Datapoints accepted lately.
    pub datapoints_lately: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.series += other.series;
        self.added_series += other.added_series;
        self.datapoints += other.datapoints;
        self.datapoints_lately += other.datapoints_lately;
    }
}

/// A name, an app or a key with its counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CardinalityRow {
    /// The name, app or key; `None` for series without one.
    pub value: Option<String>,
    /// Its series and datapoints.
    #[serde(flatten)]
    pub counts: Counts,
    /// Of a key: different values in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<u64>,
    /// Of a key: values that were added lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_values: Option<u64>,
}

/// Who has the most series and datapoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CardinalityReport {
    /// What the rows stand for.
    pub by: By,
    /// Which rows come first.
    pub order: Order,
    /// How far back "lately" reaches.
    pub lately_millis: i64,
    /// All series and datapoints.
    pub total: Counts,
    /// How many rows there would be in all.
    pub rows_in_all: usize,
    /// The first of them.
    pub rows: Vec<CardinalityRow>,
}

/// A row with its rank.
type Ranked<'a> = (Reverse<u64>, Option<&'a Arc<str>>, Counts);

impl Cardinality {
    /// The `k` names, apps or keys with the most of what `order` says, [`MAX_ROWS`] at most.
    pub fn report(&self, by: By, order: Order, k: usize) -> CardinalityReport {
        let now = self.now.load(std::sync::atomic::Ordering::Relaxed);
        let interval = now.div_euclid(INTERVAL_MILLIS);
        let counts = |class: &Class| Counts {
            series: class.series,
            added_series: class.added_series.count(interval),
            datapoints: class.datapoints,
            datapoints_lately: class.datapoints_lately.count(interval),
        };
        let census = self.census();
        let mut total = Counts::default();
        let mut groups: HashMap<Option<&Arc<str>>, Counts> = HashMap::new();
        for class in census.classes.iter() {
            let of_class = counts(class);
            total += of_class;
            let mut add = |value| *groups.entry(value).or_default() += of_class;
            match by {
                By::Name => add(class.name.as_ref()),
                By::App => add(class.app.as_ref()),
                By::Key => class.keys.iter().for_each(|key| add(Some(key))),
            }
        }
        groups.retain(|_, counts| *counts != Counts::default());
        let rows_in_all = groups.len();
        let values = |key: Option<&Arc<str>>| {
            let known = key.and_then(|k| census.keys.get(k));
            let count = |k: &super::Key| (k.values.len() as u64, k.added_values.count(interval));
            known.map_or((0, 0), count)
        };
        let mut ranked: Vec<_> = groups
            .into_iter()
            .map(|(value, counts)| {
                let rank = match order {
                    Order::Series => counts.series,
                    Order::AddedSeries => counts.added_series,
                    Order::Datapoints => counts.datapoints_lately,
                    Order::Values if by == By::Key => values(value).0,
                    Order::Values => counts.series,
                };
                (Reverse(rank), value, counts)
            })
            .collect();
        let k = k.min(MAX_ROWS);
        // Ties go by the text, so that the answer is always the same.
        let order_of = |a: &Ranked<'_>, b: &Ranked<'_>| (a.0, a.1).cmp(&(b.0, b.1));
        if ranked.len() > k && k > 0 {
            ranked.select_nth_unstable_by(k - 1, order_of);
        }
        ranked.truncate(k);
        ranked.sort_unstable_by(order_of);
        let row = |(_, value, counts): Ranked<'_>| {
            let of_key = (by == By::Key).then(|| values(value));
            CardinalityRow {
                value: value.map(|v| v.to_string()),
                counts,
                values: of_key.map(|v| v.0),
                added_values: of_key.map(|v| v.1),
            }
        };
        CardinalityReport {
            by,
            order,
            lately_millis: INTERVAL_MILLIS + now.rem_euclid(INTERVAL_MILLIS),
            total,
            rows_in_all,
            rows: ranked.into_iter().map(row).collect(),
        }
    }
}
