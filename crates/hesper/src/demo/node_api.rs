//! The node as the world sees it: its HTTP API, asked as any viewer would.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chrono::{DateTime, Utc};
use hesper_server::Node;
use hesper_server::self_observation::reachable;
use hyper::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::totals::Expectation;
use crate::error::CommandError;
use crate::fetch;

/// Datapoints of a line that are asked for at a time; beyond 1,440 the API would choose a longer step.
const MAX_CELLS: i64 = 700;

/// A range of whole steps: the datapoints after `start` up to `end`.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The end of the step before the first, in milliseconds.
    pub start_millis: i64,
    /// The time of the last datapoint, in milliseconds.
    pub end_millis: i64,
    /// The distance between datapoints.
    pub step_millis: i64,
}

/// The lines that an expression gives, as the API writes them.
#[derive(Clone, Debug, Deserialize)]
pub struct Lines {
    start: i64,
    step: i64,
    /// The label of each line.
    pub legend: Vec<String>,
    metrics: Vec<BTreeMap<String, String>>,
    /// Rows of values, one a line; a text where there is no number.
    values: Vec<Vec<Value>>,
    /// What the reader should know, a part that is missing for example.
    pub notices: Vec<String>,
}

impl Lines {
    /// The values of a line.
    pub fn values_of(&self, line: usize) -> impl Iterator<Item = f64> {
        // Infinities and NaN are texts.
        let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
        self.values.iter().map(move |row| number(&row[line]))
    }

    /// Adds up the values of each line within a range, by a tag.
    fn add_up(&self, range: Range, key: Option<&str>, sums: &mut BTreeMap<String, f64>) {
        for (line, tags) in self.metrics.iter().enumerate() {
            let group = key.and_then(|key| tags.get(key)).cloned();
            let times = (0..).map(|row| self.start + row * self.step);
            let within = |t: i64| t > range.start_millis && t <= range.end_millis;
            let counted = times.zip(self.values_of(line));
            let counted = counted.filter(|(t, v)| within(*t) && !v.is_nan());
            let sum: f64 = counted.map(|(_, v)| v).sum();
            *sums.entry(group.unwrap_or_default()).or_default() += sum;
        }
    }
}

/// How alerts stand, as far as the demo shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Alerts {
    /// Alerts that fire.
    pub firing: usize,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
struct Rule {
    name: String,
    health: String,
    last_error: Option<RuleError>,
}

#[derive(Clone, Debug, Deserialize)]
struct RuleError {
    message: String,
}

impl Alerts {
    /// Number of rules.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// What is wrong with rules that could not be evaluated.
    pub fn errors(&self) -> Vec<String> {
        let failed = self.rules.iter().filter(|rule| rule.health == "error");
        let told = failed.map(|rule| {
            let message = rule.last_error.as_ref().map(|e| e.message.as_str());
            format!("{}: {}", rule.name, message.unwrap_or("no reason given"))
        });
        told.collect()
    }
}

/// A change of an alert's state.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Transition {
    /// The time of the datapoint that brought it about.
    #[serde(deserialize_with = "time")]
    pub at: DateTime<Utc>,
    /// The rule.
    pub rule: String,
    /// The tags that tell the alert from others of the rule.
    pub group: BTreeMap<String, String>,
    /// The state from now on.
    pub to: String,
    /// What is wrong, in a sentence.
    pub summary: String,
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = DateTime::parse_from_rfc3339(&text).map_err(serde::de::Error::custom)?;
    Ok(time.to_utc())
}

/// The API of a node.
#[derive(Clone, Debug)]
pub struct NodeApi {
    base: String,
}

impl NodeApi {
    /// The API of a running node.
    pub fn of(node: &Node) -> Self {
        Self::at(node.http())
    }

    /// The API of the node that listens there.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            base: format!("http://{}", reachable(address)),
        }
    }

    /// The address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The lines of an expression over a range of at most [`MAX_CELLS`] steps.
    ///
    /// # Errors
    /// When the node cannot be reached or refuses.
    pub async fn lines(&self, program: &str, range: Range) -> Result<Lines, CommandError> {
        let params = [
            ("q", program),
            ("s", &range.start_millis.to_string()),
            ("e", &range.end_millis.to_string()),
            ("step", &format!("{}s", range.step_millis / 1000)),
            ("w", "1440"),
            ("format", "json"),
        ];
        self.json("/api/v1/graph", &params).await
    }

    /// The lines of an expression over the last minutes, as a dashboard asks for them.
    ///
    /// # Errors
    /// When the node cannot be reached or refuses.
    pub async fn recent(&self, program: &str) -> Result<Lines, CommandError> {
        let params = [("q", program), ("s", "e-15m"), ("format", "json")];
        self.json("/api/v1/graph", &params).await
    }

    /// What the datapoints of a query add up to over a range, by its groups.
    ///
    /// # Errors
    /// When the node cannot be reached, refuses, or gives a partial answer.
    pub async fn totals(
        &self,
        expected: &Expectation,
        range: Range,
    ) -> Result<BTreeMap<String, f64>, CommandError> {
        let mut sums = BTreeMap::new();
        let mut start_millis = range.start_millis;
        while start_millis < range.end_millis {
            let end_millis = range
                .end_millis
                .min(start_millis + MAX_CELLS * range.step_millis);
            let part = Range {
                start_millis,
                end_millis,
                ..range
            };
            let lines = self.lines(expected.program, part).await?;
            if !lines.notices.is_empty() {
                return Err(CommandError::Other(lines.notices.join("; ")));
            }
            lines.add_up(part, expected.key, &mut sums);
            start_millis = end_millis;
        }
        Ok(sums)
    }

    /// Datapoints of all series within a range.
    ///
    /// # Errors
    /// When the node cannot be reached, refuses, or gives a partial answer.
    pub async fn datapoints(&self, range: Range) -> Result<u64, CommandError> {
        let all = Expectation {
            what: "datapoints",
            program: ":true,:count",
            key: None,
            totals: BTreeMap::new(),
        };
        let counts = self.totals(&all, range).await?;
        Ok(counts.values().sum::<f64>() as u64)
    }

    /// How alerts stand; nothing when the node has none.
    ///
    /// # Errors
    /// When the node cannot be reached or its answer cannot be read.
    pub async fn alerts(&self) -> Result<Option<Alerts>, CommandError> {
        self.json_if_there("/api/v1/alerts").await
    }

    /// The last changes of alerts, newest first; nothing when the node has none.
    ///
    /// # Errors
    /// When the node cannot be reached or its answer cannot be read.
    pub async fn alert_history(&self) -> Result<Option<Vec<Transition>>, CommandError> {
        self.json_if_there("/api/v1/alerts/history").await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        path: &str,
        params: &[(&str, &str)],
    ) -> Result<T, CommandError> {
        let target = fetch::target(path, params);
        let fetched = fetch::get_ok(&self.base, &target).await?;
        read(path, &fetched.body)
    }

    async fn json_if_there<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<T>, CommandError> {
        let fetched = fetch::get(&self.base, path).await?;
        if fetched.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        read(path, &fetched.body).map(Some)
    }
}

fn read<T: DeserializeOwned>(path: &str, body: &[u8]) -> Result<T, CommandError> {
    serde_json::from_slice(body)
        .map_err(|e| CommandError::Other(format!("the answer of {path} cannot be read: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_within_a_range_are_added_up_by_group() {
        let text = r#"{"start":10000,"step":5000,"legend":["a","b"],"notices":[],
            "metrics":[{"app":"a"},{"app":"b"}],"values":[[1,"NaN"],[2,4],[8,16]]}"#;
        let lines: Lines = serde_json::from_str(text).expect("an answer");
        let range = Range {
            start_millis: 10_000,
            end_millis: 15_000,
            step_millis: 5_000,
        };
        let mut sums = BTreeMap::new();
        lines.add_up(range, Some("app"), &mut sums);
        assert_eq!(sums, BTreeMap::from([("a".into(), 2.0), ("b".into(), 4.0)]));
        let mut sums = BTreeMap::new();
        lines.add_up(range, None, &mut sums);
        assert_eq!(sums, BTreeMap::from([(String::new(), 6.0)]));
    }

    #[test]
    fn transitions_are_read() {
        let text = r#"{"at":"2026-01-05T02:00:05Z","rule":"slow","severity":"page","group":{"app":"x"},
            "from":"pending","to":"firing","value":2.5,"summary":"x is slow"}"#;
        let transition: Transition = serde_json::from_str(text).expect("a transition");
        assert_eq!(transition.at.timestamp(), 1_767_578_405);
        assert_eq!(transition.to, "firing");
    }
}
