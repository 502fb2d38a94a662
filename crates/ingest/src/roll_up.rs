//! Roll-ups: series are written under fewer tags, in place of themselves or beside themselves.
//!
//! A rule says which series and which tags go. All rules that match a series take away their tags together, into one series; the original is
//! kept only if all of them keep it. Series that thereby get the same tags are combined slot by slot, over all batches, connections and clients:
//!
//! - what adds up is **added**: the roll-up gets `atlas.dstype=sum`, and holds for each slot the sum of what the originals hold. The originals
//!   are read by their own type first: a rate is weighted by time, a counter becomes its rate, and a repeated sample of either counts once.
//! - of everything else the **highest** counts: the roll-up gets `atlas.dstype=gauge`.
//!
//! `atlas.dstype` decides: `rate`, `sum` and `counter` add up, a `gauge` does not. Where a series does not say, its `statistic` does: `count`,
//! `totalAmount`, `totalTime`, `totalOfSquares` and `percentile` add up, other statistics do not. A series with neither is a rate, as
//! everywhere. (The statistics are those that Spectator's own roll-up adds.)
//!
//! The combining is done by the store, driven by its log ([`hesper_hot::feed`]): what was acknowledged is there after a crash, and a batch that
//! comes again changes nothing. A datapoint for a slot that only history holds is refused as late, since memory does not know what to add to.
//! A query that matches originals and their roll-up counts twice; a rule that keeps the originals can mark the roll-up with tags of its own.
//! Declared back-fill is written as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use hesper_model::data_source::DSTYPE;
use hesper_model::tags::NAME;
use hesper_model::validation::Limits;
use hesper_model::{DataSource, TagQuery, Tags};
use serde::{Deserialize, Serialize};

use crate::settings::{self, InvalidSetting};

/// The key that tells what of a meter a series is.
const STATISTIC: &str = "statistic";

/// Statistics that add up.
const ADDED: [&str; 5] = [
    "count",
    "totalAmount",
    "totalTime",
    "totalOfSquares",
    "percentile",
];

/// Which series are written under fewer tags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RollUpRule {
    /// Which series; a query of the stack language such as `percentile,:has`.
    pub query: String,
    /// The keys of the tags that go. A series that has none of them is not rolled up.
    pub drop: Vec<String>,
    /// Whether the originals are written too.
    #[serde(default)]
    pub keep_original: bool,
    /// Tags that the roll-up gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, String>,
}

/// How what has the same tags becomes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// It is added.
    Add,
    /// The highest counts.
    Max,
}

impl Merge {
    /// What becomes of series with these tags.
    pub(crate) fn of(tags: &Tags) -> Self {
        let declared: Option<DataSource> = tags.get(DSTYPE).and_then(|v| v.parse().ok());
        let adds = match (declared, tags.get(STATISTIC)) {
            (Some(source), _) => source != DataSource::Gauge,
            (None, Some(statistic)) => ADDED.contains(&statistic),
            (None, None) => true,
        };
        if adds { Self::Add } else { Self::Max }
    }

    /// The type of the series into which they go.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Add => "sum",
            Self::Max => "gauge",
        }
    }

    /// How a sample of a series with these tags is to be read.
    pub(crate) fn source(self, tags: &Tags) -> DataSource {
        match self {
            Self::Add => DataSource::of_tag(tags.get(DSTYPE)),
            Self::Max => DataSource::Gauge,
        }
    }
}

struct Rule {
    query: TagQuery,
    drop: Vec<String>,
    keep_original: bool,
    add: Vec<(Arc<str>, Arc<str>)>,
}

/// The rules at work.
#[derive(Default)]
pub(crate) struct RollUps(Vec<Rule>);

/// What becomes of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RolledUp {
    /// The tags that are left, without the type.
    pub(crate) tags: Tags,
    pub(crate) keep_original: bool,
}

impl RollUps {
    pub(crate) fn new(rules: &[RollUpRule], limits: &Limits) -> Result<Self, InvalidSetting> {
        let compile = |rule: &RollUpRule| {
            for key in rule.drop.iter().chain(rule.add.keys()) {
                if [NAME, DSTYPE, STATISTIC].contains(&key.as_str()) {
                    let what = format!("'{key}' tells what a series is; it cannot be changed");
                    return Err(InvalidSetting::new("roll-ups", what));
                }
            }
            if rule.drop.is_empty() {
                let what = format!("'{}' drops no tag; name at least one", rule.query);
                return Err(InvalidSetting::new("roll-ups.drop", what));
            }
            let mut added = Tags::from_pairs(rule.add.clone());
            added.insert(NAME, "checked");
            limits
                .check_tags(added.iter())
                .map_err(|r| InvalidSetting::new("roll-ups.add", r.message))?;
            let pair = |(k, v): (&String, &String)| (k.as_str().into(), v.as_str().into());
            Ok(Rule {
                query: settings::query("roll-ups.query", &rule.query)?,
                drop: rule.drop.clone(),
                keep_original: rule.keep_original,
                add: rule.add.iter().map(pair).collect(),
            })
        };
        rules
            .iter()
            .map(compile)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What becomes of a series; `None` when no rule takes anything away.
    pub(crate) fn of(&self, tags: &Tags) -> Option<RolledUp> {
        let takes = |rule: &&Rule| {
            rule.drop.iter().any(|key| tags.get(key).is_some()) && rule.query.matches(tags)
        };
        let matching: Vec<&Rule> = self.0.iter().filter(takes).collect();
        if matching.is_empty() {
            return None;
        }
        let dropped = |key: &str| matching.iter().any(|r| r.drop.iter().any(|d| d == key));
        let mut rolled = tags.filtered(|key| !dropped(key));
        for (key, value) in matching.iter().flat_map(|r| &r.add) {
            rolled.insert(key.clone(), value.clone());
        }
        Some(RolledUp {
            tags: rolled,
            keep_original: matching.iter().all(|r| r.keep_original),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(query: &str, drop: &[&str], keep_original: bool) -> RollUpRule {
        RollUpRule {
            query: query.to_owned(),
            drop: drop.iter().map(|k| (*k).to_owned()).collect(),
            keep_original,
            add: BTreeMap::new(),
        }
    }

    fn rules(rules: &[RollUpRule]) -> Result<RollUps, String> {
        RollUps::new(rules, &Limits::default()).map_err(|e| e.to_string())
    }

    #[test]
    fn rules_that_match_work_together() {
        let mut marked = rule("nf.app,api,:eq", &["nf.zone"], true);
        marked.add.insert("rollup".to_owned(), "zone".to_owned());
        let rules = rules(&[
            rule("percentile,:has", &["nf.node", "nf.task"], false),
            marked,
        ]);
        let rules = rules.expect("valid");
        let of = |pairs: &[(&str, &str)]| {
            let rolled = rules.of(&Tags::from_pairs(pairs.iter().copied()))?;
            Some((rolled.tags.to_string(), rolled.keep_original))
        };
        let all = [
            ("name", "x"),
            ("nf.app", "api"),
            ("nf.node", "i-1"),
            ("nf.zone", "a"),
            ("percentile", "T0001"),
        ];
        assert_eq!(
            of(&all),
            Some((
                "name=x, nf.app=api, percentile=T0001, rollup=zone".to_owned(),
                false
            ))
        );
        assert_eq!(
            of(&all[..4]),
            Some((
                "name=x, nf.app=api, nf.node=i-1, rollup=zone".to_owned(),
                true
            ))
        );
        assert_eq!(of(&all[..1]), None);
        assert_eq!(of(&[all[0], all[4]]), None, "there is nothing to drop");
    }

    #[test]
    fn type_and_statistic_say_what_adds_up() {
        let merge = |pairs: &[(&str, &str)]| Merge::of(&Tags::from_pairs(pairs.iter().copied()));
        for (pairs, want) in [
            (&[][..], Merge::Add),
            (
                &[("atlas.dstype", "counter"), ("statistic", "max")],
                Merge::Add,
            ),
            (
                &[("atlas.dstype", "gauge"), ("statistic", "count")],
                Merge::Max,
            ),
            (&[("atlas.dstype", "sum")], Merge::Add),
            (&[("statistic", "totalTime")], Merge::Add),
            (&[("statistic", "max")], Merge::Max),
            (
                &[("atlas.dstype", "what"), ("statistic", "gauge")],
                Merge::Max,
            ),
        ] {
            assert_eq!(merge(pairs), want, "{pairs:?}");
        }
    }

    #[test]
    fn rules_without_sense_are_refused() {
        let refused = |rule| rules(&[rule]).err().expect("refused");
        assert!(refused(rule("percentile,:hass", &["nf.node"], false)).contains("roll-ups.query"));
        assert!(refused(rule(":true", &["name"], false)).contains("'name'"));
        assert!(refused(rule(":true", &["statistic"], false)).contains("'statistic'"));
        assert!(refused(rule(":true", &[], false)).contains("at least one"));
        let mut bad = rule(":true", &["nf.node"], false);
        bad.add.insert("k".to_owned(), "v".to_owned());
        assert!(refused(bad).contains("key too short"));
    }
}
