//! What is known of all rules and their groups, and how it came to be. It is what survives a restart.

use std::collections::{BTreeMap, VecDeque};

use hesper_model::{Tags, Timestamp};
use serde::{Deserialize, Serialize};

use crate::phase::{Phase, Signal, State};
use crate::rule::{Grouping, NoData, Rule, Severity};
use crate::signal::{Answer, Seen};
use crate::time_text;

/// Transitions that are remembered; older ones make room.
pub const MAX_HISTORY: usize = 1000;

/// Groups of a rule that are followed; a rule with more is in error and follows no new ones.
pub const MAX_GROUPS: usize = 10_000;

/// How long a group without data is remembered under the policy `alert` while other groups of its rule have data: what is gone for a
/// day was taken away on purpose.
pub const FORGOTTEN_AFTER_MILLIS: i64 = 24 * 3600 * 1000;

/// How long an alert that was resolved is shown.
pub const RESOLVED_SHOWN_MILLIS: i64 = 3600 * 1000;

/// A change of a group's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The time of the datapoint that brought it about.
    #[serde(with = "time_text")]
    pub at: Timestamp,
    /// The rule.
    pub rule: String,
    /// How much the rule matters.
    pub severity: Severity,
    /// The tags that tell the group from others of the rule.
    pub group: Tags,
    /// The state before.
    pub from: State,
    /// The state from now on.
    pub to: State,
    /// The value of the line, if it has a finite one.
    pub value: Option<f64>,
    /// What is wrong, in a sentence.
    pub summary: String,
    /// Why, when it was not the signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a rule could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleError {
    /// The time that was to be evaluated.
    #[serde(with = "time_text")]
    pub at: Timestamp,
    /// What went wrong.
    pub message: String,
}

/// A group of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The tags that tell it from others of the rule.
    pub group: Tags,
    /// The tags of its line.
    pub tags: Tags,
    /// Where it stands.
    pub phase: Phase,
    /// The value at the last time that was evaluated, if it was a finite one.
    pub value: Option<f64>,
    /// True when there was no data at that time.
    pub no_data: bool,
    /// The last time there was data, or the first time it was missed.
    #[serde(with = "time_text")]
    pub data_at: Timestamp,
}

/// A rule with its groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// How much it matters.
    pub severity: Severity,
    /// What tells its groups apart.
    pub grouping: Grouping,
    /// The last time that was evaluated with an answer.
    #[serde(with = "time_text::option", default)]
    pub evaluated: Option<Timestamp>,
    /// True when the last time that was to be evaluated had no answer.
    pub in_error: bool,
    /// The last error, which may be over.
    #[serde(default)]
    pub last_error: Option<RuleError>,
    /// Its groups, by the tags that tell them apart: those that are pending or firing, were resolved lately, or would be missed.
    #[serde(with = "groups")]
    pub groups: BTreeMap<Tags, Group>,
}

/// All rules with their groups, and the history of their transitions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    /// The last time that was evaluated.
    #[serde(with = "time_text::option", default)]
    evaluated: Option<Timestamp>,
    rules: BTreeMap<String, RuleRecord>,
    /// Oldest first.
    history: VecDeque<Transition>,
}

impl Book {
    /// The last time that was evaluated.
    pub fn evaluated(&self) -> Option<Timestamp> {
        self.evaluated
    }

    /// What is known of a rule.
    pub fn rule(&self, name: &str) -> Option<&RuleRecord> {
        self.rules.get(name)
    }

    /// The last transitions, at most [`MAX_HISTORY`], oldest first.
    pub fn history(&self) -> impl ExactSizeIterator<Item = &Transition> + DoubleEndedIterator {
        self.history.iter()
    }

    /// How many groups are in a state.
    pub fn count(&self, state: State) -> usize {
        let groups = self.rules.values().flat_map(|r| r.groups.values());
        groups.filter(|g| g.phase.state() == state).count()
    }

    /// Takes in the rules as they are now. Groups of rules that are gone, or that tell their groups apart in another way, end at
    /// `now`: nobody would ever resolve them. Gives the transitions.
    pub fn take_rules(&mut self, rules: &[Rule], now: Timestamp) -> Vec<Transition> {
        let mut transitions = Vec::new();
        let by_name: BTreeMap<&str, &Rule> = rules.iter().map(|r| (r.name(), r)).collect();
        self.rules.retain(|name, record| {
            let rule = by_name.get(name.as_str()).copied();
            let same_groups = rule.is_some_and(|r| *r.grouping() == record.grouping);
            if !same_groups {
                let reason = match rule {
                    None => "the rule is gone",
                    Some(_) => "the rule groups by other keys now",
                };
                for group in record.groups.values() {
                    let ended = group.phase.ended(now);
                    let what = Told {
                        name,
                        severity: record.severity,
                        at: now,
                        reason: Some(reason),
                    };
                    let summary = || rule.map_or(name.clone(), |r| r.summary(&group.tags));
                    transitions.extend(what.transition(group, ended, summary));
                }
            }
            same_groups
        });
        for rule in rules {
            let record = RuleRecord {
                severity: rule.definition().severity,
                grouping: rule.grouping().clone(),
                evaluated: None,
                in_error: false,
                last_error: None,
                groups: BTreeMap::new(),
            };
            let record = self.rules.entry(rule.name().to_owned()).or_insert(record);
            record.severity = rule.definition().severity;
        }
        self.remember(&transitions);
        transitions
    }

    /// Takes in what a rule says at time `at`, or why it said nothing: then its groups stay as they are. Gives the transitions.
    ///
    /// A rule that was not given to [`Self::take_rules`] is ignored.
    pub fn apply(
        &mut self,
        rule: &Rule,
        at: Timestamp,
        answer: Result<Answer, String>,
    ) -> Vec<Transition> {
        let Some(record) = self.rules.get_mut(rule.name()) else {
            return Vec::new();
        };
        let transitions = match answer {
            Ok(answer) => record.apply(rule, at, answer),
            Err(message) => {
                record.fail(at, message);
                Vec::new()
            }
        };
        self.remember(&transitions);
        transitions
    }

    /// Notes that all rules were evaluated at a time.
    pub fn set_evaluated(&mut self, at: Timestamp) {
        self.evaluated = Some(at);
    }

    /// Passes over the time up to `until`, which is not evaluated. What was pending begins anew: nobody knows whether the signal
    /// stayed on. Gives the transitions.
    pub fn skip(&mut self, rules: &[Rule], until: Timestamp) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for rule in rules {
            let Some(record) = self.rules.get_mut(rule.name()) else {
                continue;
            };
            let pending = |g: &&mut Group| g.phase.state() == State::Pending;
            for group in record.groups.values_mut().filter(pending) {
                let what = Told {
                    name: rule.name(),
                    severity: record.severity,
                    at: until,
                    reason: Some("too many steps were missed"),
                };
                let summary = || rule.summary(&group.tags);
                transitions.extend(what.transition(group, Phase::Inactive, summary));
                group.phase = Phase::Inactive;
            }
        }
        self.evaluated = Some(until);
        self.remember(&transitions);
        transitions
    }

    fn remember(&mut self, transitions: &[Transition]) {
        self.history.extend(transitions.iter().cloned());
        let excess = self.history.len().saturating_sub(MAX_HISTORY);
        self.history.drain(..excess);
    }
}

impl RuleRecord {
    fn fail(&mut self, at: Timestamp, message: String) {
        self.in_error = true;
        self.last_error = Some(RuleError { at, message });
    }

    fn apply(&mut self, rule: &Rule, at: Timestamp, answer: Answer) -> Vec<Transition> {
        self.evaluated = Some(at);
        self.in_error = false;
        self.follow_new(rule, at, &answer);
        let mut transitions = Vec::new();
        let (name, severity, delays) = (rule.name(), self.severity, rule.definition().delays);
        let knows_groups = self.knows_groups(rule);
        for (key, group) in &mut self.groups {
            let seen = if stands_for_all(rule, key) && (knows_groups || answer.has_data()) {
                Seen::Off
            } else {
                answer.seen(key)
            };
            group.no_data = seen == Seen::NoData;
            match answer.groups.get(key) {
                Some(observation) if seen != Seen::NoData => {
                    group.tags = observation.tags.clone();
                    group.value = observation.value;
                }
                _ => group.value = None,
            }
            if seen != Seen::NoData {
                group.data_at = at;
            }
            let is_forgotten = rule.definition().no_data == NoData::Alert
                && answer.has_data()
                && at.millis() - group.data_at.millis() >= FORGOTTEN_AFTER_MILLIS;
            let (next, reason) = if is_forgotten {
                (group.phase.ended(at), Some("it had no data for a day"))
            } else {
                let signal = signal(seen, rule.definition().no_data);
                (group.phase.next(signal, at, delays), None)
            };
            let what = Told {
                name,
                severity,
                at,
                reason: reason.or(group.no_data.then_some("there is no data")),
            };
            transitions.extend(what.transition(group, next, || rule.summary(&group.tags)));
            group.phase = next;
        }
        self.let_go(rule, at, &answer);
        transitions
    }

    /// Begins to follow groups: those whose signal is on, and under the policy `alert` all of them, or the rule as a whole when no group
    /// is known.
    fn follow_new(&mut self, rule: &Rule, at: Timestamp, answer: &Answer) {
        let no_data = rule.definition().no_data;
        let mut refused = 0;
        for (key, observation) in &answer.groups {
            let is_on = signal(observation.seen, no_data) == Signal::On;
            if self.groups.contains_key(key) || !(is_on || no_data == NoData::Alert) {
                continue;
            }
            if self.groups.len() >= MAX_GROUPS {
                refused += 1;
                continue;
            }
            self.groups
                .insert(key.clone(), Group::new(key, &observation.tags, at));
        }
        if no_data == NoData::Alert && !answer.has_data() && !self.knows_groups(rule) {
            let whole = Tags::empty();
            let new = || Group::new(&whole, &whole, at);
            self.groups.entry(whole.clone()).or_insert_with(new);
        }
        if refused > 0 {
            let message = format!(
                "{refused} groups are not followed, because a rule may have {MAX_GROUPS}; group by fewer keys"
            );
            self.fail(at, message);
        }
    }

    /// True when a group is followed that is not the one for the rule as a whole.
    fn knows_groups(&self, rule: &Rule) -> bool {
        self.groups.keys().any(|key| !stands_for_all(rule, key))
    }

    /// Stops to follow groups of which nobody would want to know.
    fn let_go(&mut self, rule: &Rule, at: Timestamp, answer: &Answer) {
        let no_data = rule.definition().no_data;
        self.groups.retain(|key, group| {
            let age = |since: Timestamp| at.millis() - since.millis();
            if let Phase::Resolved { ends_at, .. } = group.phase
                && age(ends_at) >= RESOLVED_SHOWN_MILLIS
            {
                group.phase = Phase::Inactive;
            }
            let is_missed = no_data == NoData::Alert
                && !(stands_for_all(rule, key) && answer.has_data())
                && !(answer.has_data() && age(group.data_at) >= FORGOTTEN_AFTER_MILLIS);
            group.phase != Phase::Inactive || is_missed
        });
    }
}

impl Group {
    fn new(key: &Tags, tags: &Tags, at: Timestamp) -> Self {
        Self {
            group: key.clone(),
            tags: tags.clone(),
            phase: Phase::default(),
            value: None,
            no_data: false,
            data_at: at,
        }
    }
}

/// True for the group without tags of a rule whose groups have some: it says that nothing is known of any group.
fn stands_for_all(rule: &Rule, key: &Tags) -> bool {
    key.is_empty() && *rule.grouping() != Grouping::One
}

fn signal(seen: Seen, no_data: NoData) -> Signal {
    match (seen, no_data) {
        (Seen::On, _) | (Seen::NoData, NoData::Alert) => Signal::On,
        (Seen::Off, _) | (Seen::NoData, NoData::Ok) => Signal::Off,
        (Seen::NoData, NoData::Keep) => Signal::Unknown,
    }
}

/// What transitions of a rule have in common.
struct Told<'a> {
    name: &'a str,
    severity: Severity,
    at: Timestamp,
    reason: Option<&'a str>,
}

impl Told<'_> {
    /// The transition of a group to its next phase, if its state changes.
    fn transition(
        &self,
        group: &Group,
        next: Phase,
        summary: impl FnOnce() -> String,
    ) -> Option<Transition> {
        let (from, to) = (group.phase.state(), next.state());
        (from != to).then(|| Transition {
            at: self.at,
            rule: self.name.to_owned(),
            severity: self.severity,
            group: group.group.clone(),
            from,
            to,
            value: group.value,
            summary: summary(),
            reason: self.reason.map(str::to_owned),
        })
    }
}

/// Groups are written as a list: JSON has no maps with tags for keys.
mod groups {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(
        groups: &BTreeMap<Tags, Group>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(groups.values())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Tags, Group>, D::Error> {
        let groups = Vec::<Group>::deserialize(deserializer)?;
        Ok(groups.into_iter().map(|g| (g.group.clone(), g)).collect())
    }
}

#[cfg(test)]
mod tests;
