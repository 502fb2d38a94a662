//! What maintenance makes of history: roll-ups, how long data is kept, when files are merged.

use std::collections::BTreeMap;

use hesper_model::{Step, TagQuery, Tags};

use crate::HistoryError;
use crate::day::{DAY_MILLIS, cell_slots};

const MINUTE_MILLIS: i64 = 60_000;
const HOUR_MILLIS: i64 = 60 * MINUTE_MILLIS;

/// How long data is kept, by resolution, counted from the end of its day. What is not named is kept for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Raw data, in milliseconds.
    pub raw_millis: Option<i64>,
    /// Roll-ups, by the length of their cells in milliseconds.
    pub rollup_millis: BTreeMap<i64, i64>,
}

/// How long the series of a query are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepRule {
    /// The series.
    pub query: TagQuery,
    /// How long they are kept. For a resolution that is not named here the general rule counts.
    pub keep: Keep,
    /// The resolutions, 0 for raw data, that are kept for ever whatever the general rule says.
    pub forever: Vec<i64>,
}

/// The policy of maintenance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The lengths of the cells of roll-ups, in milliseconds.
    pub rollups_millis: Vec<i64>,
    /// How long data is kept. By default nothing expires.
    pub keep: Keep,
    /// Exceptions: the first whose query a series fits counts for it.
    pub rules: Vec<KeepRule>,
    /// A day is merged when it, and the last file that came for it, are older than this.
    pub settle_millis: i64,
    /// More files than this for a part of a day are merged although they still come.
    pub crowd: usize,
    /// Objects that were replaced are deleted after this time: readers of the manifest before still use them.
    pub retired_grace_millis: i64,
    /// Objects that the manifest never named are deleted when they are older than this: before, someone may be about to commit them.
    pub orphan_grace_millis: i64,
    /// Objects of the manifest that a snapshot has made dispensable are deleted when they are older than this.
    pub manifest_grace_millis: i64,
    /// Files, or sequences of files, that a merge reads at a time. Each costs the memory of a row group, about 6 MB.
    pub max_streams: usize,
    /// A merge begins a new file at about this size. It holds one of each resolution, and while it is put on the object store twice that.
    pub max_file_bytes: usize,
    /// And at this number of rows.
    pub max_file_rows: u64,
}

impl Default for Policy {
    /// Roll-ups of five minutes and an hour; nothing expires.
    fn default() -> Self {
        Self {
            rollups_millis: vec![5 * MINUTE_MILLIS, HOUR_MILLIS],
            keep: Keep::default(),
            rules: Vec::new(),
            settle_millis: HOUR_MILLIS,
            crowd: 64,
            retired_grace_millis: HOUR_MILLIS,
            orphan_grace_millis: DAY_MILLIS,
            manifest_grace_millis: 7 * DAY_MILLIS,
            max_streams: 32,
            max_file_bytes: 32 << 20,
            max_file_rows: 262_144,
        }
    }
}

/// A policy for a store of a certain step. Resolutions are told by slots in a cell, 1 for raw data.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    policy: Policy,
    /// Ascending.
    pub rollups: Vec<u32>,
    step: Step,
    /// Tells the rules of retention from others.
    pub fingerprint: u32,
}

impl Policy {
    /// The policy for a store of this step.
    ///
    /// # Errors
    /// When a roll-up cannot be made of the step, or a limit is out of range.
    pub(crate) fn for_step(&self, step: Step) -> Result<Rules, HistoryError> {
        let wrong = |what: &str| {
            Err(HistoryError::Policy {
                what: what.to_owned(),
            })
        };
        if self.max_streams < 2 {
            return wrong("max_streams is below 2, a merge needs at least two");
        }
        if self.manifest_grace_millis < DAY_MILLIS {
            return wrong("manifest_grace_millis is below a day, writers may be that far behind");
        }
        let slots = self.rollups_millis.iter().map(|m| cell_slots(*m, step));
        let mut rollups = slots.collect::<Result<Vec<u32>, _>>()?;
        rollups.sort_unstable();
        rollups.dedup();
        let retention = format!("{:?}{:?}", self.keep, self.rules);
        Ok(Rules {
            policy: self.clone(),
            rollups,
            step,
            fingerprint: crc32c::crc32c(retention.as_bytes()),
        })
    }
}

impl std::ops::Deref for Rules {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.policy
    }
}

impl Rules {
    /// How long the rows of a series are kept, in milliseconds; `None` for ever.
    pub fn keep_of(&self, cell_slots: u32, tags: &Tags) -> Option<i64> {
        let rule = self.rules.iter().find(|rule| rule.query.matches(tags));
        self.kept(cell_slots, rule)
    }

    fn kept(&self, cell_slots: u32, rule: Option<&KeepRule>) -> Option<i64> {
        let resolution = match cell_slots {
            1 => 0,
            slots => i64::from(slots) * self.step.millis(),
        };
        let of = |keep: &Keep| match resolution {
            0 => keep.raw_millis,
            _ => keep.rollup_millis.get(&resolution).copied(),
        };
        match rule {
            Some(rule) if rule.forever.contains(&resolution) => None,
            Some(rule) => of(&rule.keep).or_else(|| of(&self.keep)),
            None => of(&self.keep),
        }
    }

    /// How long any row is kept; `None` for ever.
    pub fn longest(&self, cell_slots: u32) -> Option<i64> {
        let mut longest = self.kept(cell_slots, None)?;
        for rule in &self.rules {
            longest = longest.max(self.kept(cell_slots, Some(rule))?);
        }
        Some(longest)
    }

    /// The ages, in milliseconds, at which rows of some series expire; none when files expire as a whole.
    pub fn ages(&self, cell_slots: u32) -> Vec<i64> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let rules = self.rules.iter().map(Some).chain([None]);
        rules
            .filter_map(|rule| self.kept(cell_slots, rule))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Step = Step::from_secs(60);

    fn days(n: i64) -> Option<i64> {
        Some(n * DAY_MILLIS)
    }

    #[test]
    fn nothing_expires_unless_configured() {
        let rules = Policy::default().for_step(STEP).expect("valid");
        assert_eq!(rules.rollups, [5, 60]);
        assert_eq!(rules.longest(1), None);
        assert_eq!(rules.keep_of(60, &Tags::empty()), None);
        assert!(rules.ages(1).is_empty());
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rule = |app: &str, raw: Option<i64>, forever: &[i64]| KeepRule {
            query: TagQuery::Equal("nf.app".into(), app.into()),
            keep: Keep {
                raw_millis: raw,
                ..Keep::default()
            },
            forever: forever.to_vec(),
        };
        let mut policy = Policy {
            keep: Keep {
                raw_millis: days(30),
                rollup_millis: [(HOUR_MILLIS, 365 * DAY_MILLIS)].into(),
            },
            rules: vec![rule("debug", days(2), &[]), rule("debug", days(90), &[])],
            ..Policy::default()
        };
        let rules = policy.for_step(STEP).expect("valid");
        let debug = Tags::from_pairs([("nf.app", "debug")]);
        assert_eq!(rules.keep_of(1, &debug), days(2));
        assert_eq!(rules.keep_of(60, &debug), days(365));
        assert_eq!(rules.keep_of(5, &debug), None);
        assert_eq!(rules.keep_of(1, &Tags::empty()), days(30));
        assert_eq!(rules.longest(1), days(90));
        assert_eq!(rules.ages(1).len(), 3);
        policy.rules.push(rule("audit", None, &[0]));
        let kept = policy.for_step(STEP).expect("valid");
        assert_eq!(kept.longest(1), None);
        assert_ne!(kept.fingerprint, rules.fingerprint);
    }
}
