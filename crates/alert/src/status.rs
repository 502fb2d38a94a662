//! How alerts stand, in a form for people and for the API.

use std::collections::BTreeMap;
use std::time::Duration;

use hesper_model::{Tags, Timestamp};
use hesper_stack::span::ShortSpan;
use serde::Serialize;

use crate::book::{Book, Group, RuleError, RuleRecord};
use crate::phase::{Phase, State};
use crate::rule::{NoData, Rule, Severity};
use crate::time_text;

/// How all rules stand.
#[derive(Clone, Debug, Serialize)]
pub struct AlertsStatus {
    /// The last time that was evaluated.
    #[serde(with = "time_text::option", skip_serializing_if = "Option::is_none")]
    pub evaluated: Option<Timestamp>,
    /// Alerts that fire.
    pub firing: usize,
    /// Groups whose signal is on, but not for long enough.
    pub pending: usize,
    /// Rules whose last evaluation failed.
    pub in_error: usize,
    /// Why the state could not be written, if it could not: after a restart alerts may then fire once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_error: Option<String>,
    /// The rules, in the order of their files.
    pub rules: Vec<RuleStatus>,
}

/// Whether a rule works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Its last evaluation had an answer.
    Ok,
    /// Its last evaluation had none, see `last_error`; its alerts stand as they did.
    Error,
    /// It has not been evaluated yet.
    Unknown,
}

/// How a rule stands.
#[derive(Clone, Debug, Serialize)]
pub struct RuleStatus {
    /// The name.
    pub name: String,
    /// The worst state of its groups.
    pub state: State,
    /// Whether it works.
    pub health: Health,
    /// How much it matters.
    pub severity: Severity,
    /// The expression, on one line.
    pub expr: String,
    /// How long a signal has to be on: `5m`.
    #[serde(rename = "for")]
    pub before_firing: String,
    /// How long a signal has to be off.
    #[serde(rename = "keep_firing_for")]
    pub before_resolving: String,
    /// What missing data mean.
    pub no_data: NoData,
    /// Free text by which alerts are routed and grouped.
    pub labels: BTreeMap<String, String>,
    /// The address of a page that says what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// The file it was read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The last time that was evaluated with an answer.
    #[serde(with = "time_text::option", skip_serializing_if = "Option::is_none")]
    pub evaluated: Option<Timestamp>,
    /// How long the last evaluation took, in milliseconds.
    pub evaluation_millis: f64,
    /// The last error. It may be over, see `health`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<RuleError>,
    /// The path of a graph of all its groups.
    pub graph: String,
    /// The path of the page that shows that graph.
    pub page: String,
    /// Its alerts: firing, pending, and resolved within the last hour, in this order; of each the newest first.
    pub alerts: Vec<AlertStatus>,
}

/// How an alert stands.
#[derive(Clone, Debug, Serialize)]
pub struct AlertStatus {
    /// Pending, firing or resolved.
    pub state: State,
    /// What is wrong, in a sentence.
    pub summary: String,
    /// How much it matters.
    pub severity: Severity,
    /// The tags that tell it from others of the rule.
    pub group: Tags,
    /// All tags of the line.
    pub tags: Tags,
    /// The labels of the rule.
    pub labels: BTreeMap<String, String>,
    /// The value at the last time that was evaluated, if it is a finite one.
    pub value: Option<f64>,
    /// True when there was no data at that time.
    pub no_data: bool,
    /// The first time the signal was on.
    #[serde(with = "time_text")]
    pub since: Timestamp,
    /// The time from which it fires.
    #[serde(with = "time_text::option", skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// The time it was resolved.
    #[serde(with = "time_text::option", skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// The address of a page that says what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// The path of a graph of its group.
    pub graph: String,
    /// The path of the page that shows that graph.
    pub page: String,
}

impl AlertsStatus {
    /// How rules stand, given how long each took last.
    pub(crate) fn of(
        book: &Book,
        rules: &[Rule],
        elapsed: &[Duration],
        state_error: Option<String>,
    ) -> Self {
        let now = book.evaluated().unwrap_or(Timestamp(0));
        let rules: Vec<_> = rules
            .iter()
            .zip(elapsed)
            .map(|(rule, elapsed)| RuleStatus::of(rule, book.rule(rule.name()), *elapsed, now))
            .collect();
        let is_in_error = |r: &&RuleStatus| r.health == Health::Error;
        Self {
            evaluated: book.evaluated(),
            firing: book.count(State::Firing),
            pending: book.count(State::Pending),
            in_error: rules.iter().filter(is_in_error).count(),
            state_error,
            rules,
        }
    }
}

impl RuleStatus {
    fn of(rule: &Rule, record: Option<&RuleRecord>, elapsed: Duration, now: Timestamp) -> Self {
        let groups = record.iter().flat_map(|r| r.groups.values());
        let mut alerts: Vec<_> = groups
            .filter_map(|group| AlertStatus::of(rule, group, now))
            .collect();
        let order = |a: &AlertStatus| {
            let urgency = match a.state {
                State::Firing => 0,
                State::Pending => 1,
                State::Resolved | State::Inactive => 2,
            };
            (urgency, std::cmp::Reverse(a.starts_at.unwrap_or(a.since)))
        };
        alerts.sort_by_key(order);
        let state = match alerts.first().map(|a| a.state) {
            Some(worst @ (State::Firing | State::Pending)) => worst,
            _ => State::Inactive,
        };
        let health = match record {
            Some(r) if r.in_error => Health::Error,
            Some(r) if r.evaluated.is_some() => Health::Ok,
            _ => Health::Unknown,
        };
        let definition = rule.definition();
        let links = rule.graph().links(&Tags::empty(), now);
        Self {
            name: definition.name.clone(),
            state,
            health,
            severity: definition.severity,
            expr: definition.expr.clone(),
            before_firing: duration_text(definition.delays.before_firing),
            before_resolving: duration_text(definition.delays.before_resolving),
            no_data: definition.no_data,
            labels: definition.labels.clone(),
            runbook: definition.runbook.clone(),
            file: rule.file().map(str::to_owned),
            evaluated: record.and_then(|r| r.evaluated),
            evaluation_millis: elapsed.as_micros() as f64 / 1000.0,
            last_error: record.and_then(|r| r.last_error.clone()),
            graph: links.image,
            page: links.page,
            alerts,
        }
    }
}

impl AlertStatus {
    fn of(rule: &Rule, group: &Group, now: Timestamp) -> Option<Self> {
        let (since, starts_at, ends_at) = match group.phase {
            Phase::Inactive => return None,
            Phase::Pending { since } => (since, None, None),
            Phase::Firing {
                since, starts_at, ..
            } => (since, Some(starts_at), None),
            Phase::Resolved {
                since,
                starts_at,
                ends_at,
            } => (since, Some(starts_at), Some(ends_at)),
        };
        let definition = rule.definition();
        let links = rule.graph().links(&group.tags, ends_at.unwrap_or(now));
        Some(Self {
            state: group.phase.state(),
            summary: rule.summary(&group.tags),
            severity: definition.severity,
            group: group.group.clone(),
            tags: group.tags.clone(),
            labels: definition.labels.clone(),
            value: group.value,
            no_data: group.no_data,
            since,
            starts_at,
            ends_at,
            runbook: definition.runbook.clone(),
            graph: links.image,
            page: links.page,
        })
    }
}

fn duration_text(duration: Duration) -> String {
    match i64::try_from(duration.as_millis()) {
        Ok(0) => "0s".to_owned(),
        millis => ShortSpan(millis.unwrap_or(i64::MAX)).to_string(),
    }
}
