//! What the publisher says about itself, in the registry that it publishes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::id::Id;
use crate::proto::Reject;
use crate::registry::Registry;
use crate::series::Series;

/// The rules of a store are fewer; what a server sends must not fill the registry.
const MAX_REASONS: usize = 64;
const OTHER_REASONS: &str = "--others--";

/// How often a reason is logged at most.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Counters {
    registry: Registry,
    reasons: Mutex<HashMap<String, RejectLog>>,
}

/// When a reason was logged, and how often it occurred since.
#[derive(Debug)]
struct RejectLog {
    logged: Instant,
    unlogged: u64,
}

impl Counters {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            reasons: Mutex::default(),
        }
    }

    fn measurements<const N: usize>(&self, tags: [(&str, &str); N], datapoints: usize) {
        if datapoints > 0 {
            let id = Id::from(("hesper.client.measurements", tags));
            self.registry.counter(id).add(datapoints as u64);
        }
    }

    pub(super) fn sent(&self, datapoints: usize) {
        self.measurements([("id", "sent")], datapoints);
    }

    pub(super) fn resent(&self, datapoints: usize) {
        self.measurements([("id", "resent")], datapoints);
    }

    pub(super) fn dropped(&self, error: &str, datapoints: usize) {
        self.measurements([("id", "dropped"), ("error", error)], datapoints);
    }

    pub(super) fn skipped_steps(&self, steps: u64) {
        let id = Id::from(("hesper.client.steps", [("id", "skipped")]));
        self.registry.counter(id).add(steps);
    }

    /// What happened to a connection: `opened`, `failed` or `lost`.
    pub(super) fn connection(&self, what: &str) {
        let id = Id::from(("hesper.client.connections", [("id", what)]));
        self.registry.counter(id).increment();
    }

    pub(super) fn queue(&self, datapoints: usize) {
        self.registry
            .gauge("hesper.client.queue")
            .set(datapoints as f64);
    }

    /// Counts rejects by reason and logs one of each reason in a while. `series_of` tells which series a number stands for.
    pub(super) fn rejected<'a>(
        &self,
        rejects: &[Reject],
        series_of: impl Fn(u32) -> Option<&'a Arc<Series>>,
    ) {
        let mut counts: HashMap<&str, (usize, &Reject)> = HashMap::new();
        for reject in rejects {
            let reason = if reject.reason.is_empty() {
                "unknown"
            } else {
                &reject.reason
            };
            counts.entry(reason).or_insert((0, reject)).0 += 1;
        }
        for (reason, (count, example)) in counts {
            let reason = self.log(reason, count as u64, example, &series_of);
            self.measurements([("id", "rejected"), ("reason", reason)], count);
        }
    }

    /// The reason to count for.
    fn log<'r, 'a>(
        &self,
        reason: &'r str,
        count: u64,
        example: &Reject,
        series_of: impl Fn(u32) -> Option<&'a Arc<Series>>,
    ) -> &'r str {
        let mut reasons = self.reasons.lock();
        let now = Instant::now();
        let known = reasons.len();
        let unlogged = match reasons.get_mut(reason) {
            Some(log) if now.duration_since(log.logged) < LOG_INTERVAL => {
                log.unlogged += count;
                return reason;
            }
            Some(log) => {
                log.logged = now;
                std::mem::take(&mut log.unlogged)
            }
            None if known >= MAX_REASONS => return OTHER_REASONS,
            None => {
                let logged = now;
                let log = RejectLog {
                    logged,
                    unlogged: 0,
                };
                reasons.insert(reason.to_owned(), log);
                0
            }
        };
        drop(reasons);
        let series = series_of(example.r#ref).map(ToString::to_string);
        tracing::warn!(
            reason,
            datapoints = count + unlogged,
            series = series.as_deref().unwrap_or("unknown"),
            message = example.message,
            "the store refused datapoints"
        );
        reason
    }
}
