//! What the fleet knows to have recorded: exact totals, kept beside the meters, and the queries that must give the same.

use std::collections::BTreeMap;
use std::time::Duration;

use hesper_client::ipc::Status;

use super::topology::App;

/// Totals since the fleet was started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Streams started.
    pub streams: u64,
    /// Calls that clients made, by who was called and how they ended.
    pub client_calls: BTreeMap<(App, &'static str), u64>,
    /// Time that clients waited, in seconds, by who was called.
    pub client_seconds: BTreeMap<App, f64>,
    /// Calls that servers answered, by who served and how they ended.
    pub server_calls: BTreeMap<(App, &'static str), u64>,
    /// Calls that a fallback answered.
    pub fallbacks: u64,
}

impl Totals {
    /// Counts a client's call.
    pub fn client_call(&mut self, callee: App, status: Status, took: Duration) {
        *self
            .client_calls
            .entry((callee, status.as_str()))
            .or_default() += 1;
        *self.client_seconds.entry(callee).or_default() += took.as_secs_f64();
    }

    /// Counts a server's call.
    pub fn server_call(&mut self, server: App, status: Status) {
        *self
            .server_calls
            .entry((server, status.as_str()))
            .or_default() += 1;
    }

    /// What queries have to give for them.
    pub fn expectations(&self) -> Vec<Expectation> {
        let by_app = |calls: &BTreeMap<(App, &'static str), u64>| {
            let mut sums: BTreeMap<String, f64> = BTreeMap::new();
            for ((app, _), count) in calls {
                *sums.entry(app.name().to_owned()).or_default() += *count as f64;
            }
            sums
        };
        let by_status = |calls: &BTreeMap<(App, &'static str), u64>| {
            let mut sums: BTreeMap<String, f64> = BTreeMap::new();
            for ((_, status), count) in calls {
                *sums.entry((*status).to_owned()).or_default() += *count as f64;
            }
            sums
        };
        let seconds = self.client_seconds.iter();
        let one = |total: u64| BTreeMap::from([(String::new(), total as f64)]);
        vec![
            Expectation {
                what: "streams started",
                program: "name,sps,:eq,statistic,count,:eq,:and,:sum,:per-step",
                key: None,
                totals: one(self.streams),
            },
            Expectation {
                what: "calls of clients, by server",
                program: "name,ipc.client.call,:eq,statistic,count,:eq,:and,:sum,(,ipc.server.app,),:by,:per-step",
                key: Some("ipc.server.app"),
                totals: by_app(&self.client_calls),
            },
            Expectation {
                what: "calls of clients, by status",
                program: "name,ipc.client.call,:eq,statistic,count,:eq,:and,:sum,(,ipc.status,),:by,:per-step",
                key: Some("ipc.status"),
                totals: by_status(&self.client_calls),
            },
            Expectation {
                what: "calls in the buckets of percentiles, by server",
                program: "name,ipc.client.call,:eq,statistic,percentile,:eq,:and,:sum,(,ipc.server.app,),:by,:per-step",
                key: Some("ipc.server.app"),
                totals: by_app(&self.client_calls),
            },
            Expectation {
                what: "seconds that clients waited, by server",
                program: "name,ipc.client.call,:eq,statistic,totalTime,:eq,:and,:sum,(,ipc.server.app,),:by,:per-step",
                key: Some("ipc.server.app"),
                totals: seconds
                    .map(|(app, s)| (app.name().to_owned(), *s))
                    .collect(),
            },
            Expectation {
                what: "calls of servers, by app",
                program: "name,ipc.server.call,:eq,statistic,count,:eq,:and,:sum,(,nf.app,),:by,:per-step",
                key: Some("nf.app"),
                totals: by_app(&self.server_calls),
            },
            Expectation {
                what: "calls of servers, by status",
                program: "name,ipc.server.call,:eq,statistic,count,:eq,:and,:sum,(,ipc.status,),:by,:per-step",
                key: Some("ipc.status"),
                totals: by_status(&self.server_calls),
            },
            Expectation {
                what: "calls answered by a fallback",
                program: "name,ipc.client.call,:eq,ipc.source,fallback,:eq,:and,statistic,count,:eq,:and,:sum,:per-step",
                key: None,
                totals: one(self.fallbacks),
            },
        ]
    }
}

/// A query over the fleet's run whose datapoints add up to known totals.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// What is counted.
    pub what: &'static str,
    /// The query; it gives amounts a step.
    pub program: &'static str,
    /// The key that its lines are grouped by, if there are several.
    pub key: Option<&'static str>,
    /// The total of each group; under the empty name when there is one line.
    pub totals: BTreeMap<String, f64>,
}
