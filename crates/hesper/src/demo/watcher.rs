//! Watches the node while the demo runs: figures for the live line, and the alerts that fire and are resolved.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use hesper_server::node::NodeState;

use super::dashboard::Prober;
use super::live_line::{Figures, RateWindow};
use super::node_api::{NodeApi, Transition};

/// Watches a node over its API, and its files.
pub struct Watcher {
    node: NodeApi,
    log: PathBuf,
    /// Rates are taken over so long: two steps, since datapoints come in bursts.
    over: Duration,
    prober: Prober,
    rate: RateWindow,
    /// Alerts that fire and are resolved from here on are of this run.
    since: DateTime<Utc>,
    seen: Vec<Transition>,
    last_trouble: Option<String>,
}

/// What was noticed.
#[derive(Default)]
pub struct Noticed {
    /// The figures as they are now.
    pub figures: Figures,
    /// Alerts that have begun to fire or were resolved, oldest first.
    pub transitions: Vec<Transition>,
    /// What does not work, if that is news.
    pub trouble: Option<String>,
}

impl Watcher {
    /// Watches a node whose files are in a directory, for alerts after a time.
    pub fn new(node: NodeApi, data_dir: &Path, step: Duration, since: DateTime<Utc>) -> Self {
        Self {
            node,
            log: data_dir.join("log"),
            over: 2 * step + Duration::from_millis(500),
            prober: Prober::default(),
            rate: RateWindow::default(),
            since,
            seen: Vec::new(),
            last_trouble: None,
        }
    }

    /// Alerts that have begun to fire or were resolved so far, oldest first.
    pub fn transitions(&self) -> &[Transition] {
        &self.seen
    }

    /// Looks once: asks a panel, the alerts, and the node's counters.
    pub async fn look(&mut self, state: &NodeState) -> Noticed {
        let mut noticed = Noticed::default();
        let mut troubles = Vec::new();
        if let Err(error) = self.prober.ask(&self.node).await {
            troubles.push(format!("a query failed: {error}"));
        }
        match self.node.alerts().await {
            Ok(Some(alerts)) => {
                noticed.figures.firing = Some(alerts.firing);
                troubles.extend(alerts.errors().iter().map(|e| format!("alert rule {e}")));
            }
            Ok(None) => {}
            Err(error) => troubles.push(format!("alerts: {error}")),
        }
        match self.node.alert_history().await {
            Ok(history) => noticed.transitions = self.news(history.unwrap_or_default()),
            Err(error) => troubles.push(format!("alerts: {error}")),
        }
        let trouble = Some(troubles.join("; ")).filter(|t| !t.is_empty());
        noticed.trouble = trouble.clone().filter(|_| trouble != self.last_trouble);
        self.last_trouble = trouble;
        self.read_counters(state, &mut noticed.figures);
        noticed
    }

    fn read_counters(&mut self, state: &NodeState, figures: &mut Figures) {
        let taken = state.hot.stats().taken.load(Ordering::Relaxed);
        figures.series = state.hot.series_count() as u64;
        figures.datapoints_per_second = self.rate.add(Instant::now(), taken, self.over);
        figures.log_bytes = bytes_in(&self.log);
        figures.history_bytes = state.history.size().0;
        figures.history_files = state.history.manifest().files().len() as u64;
        figures.query_p99 = self.prober.p99();
    }

    /// The transitions to firing and resolved that were not seen yet, oldest first.
    fn news(&mut self, mut history: Vec<Transition>) -> Vec<Transition> {
        history.reverse();
        history.retain(|t| {
            let counts = t.to == "firing" || t.to == "resolved";
            counts && t.at > self.since && !self.seen.contains(t)
        });
        self.seen.extend(history.iter().cloned());
        history
    }
}

/// The bytes of the files in a directory.
pub fn bytes_in(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    // Files may vanish meanwhile.
    let lengths = entries.filter_map(|e| Some(e.ok()?.metadata().ok()?.len()));
    lengths.sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn transition(secs: i64, to: &str) -> Transition {
        Transition {
            at: DateTime::from_timestamp(secs, 0).expect("a time"),
            rule: "slow".to_owned(),
            group: BTreeMap::new(),
            to: to.to_owned(),
            summary: "it is slow".to_owned(),
        }
    }

    #[test]
    fn each_transition_of_this_run_is_news_once() {
        let since = DateTime::from_timestamp(100, 0).expect("a time");
        let node = NodeApi::at(([127, 0, 0, 1], 1).into());
        let mut watcher = Watcher::new(node, Path::new("."), Duration::from_secs(5), since);
        let history = |until: i64| {
            let all = [
                transition(90, "firing"),
                transition(105, "pending"),
                transition(110, "firing"),
                transition(120, "resolved"),
            ];
            let newest_first = all.into_iter().rev();
            newest_first
                .filter(|t| t.at.timestamp() <= until)
                .collect::<Vec<_>>()
        };
        assert_eq!(watcher.news(history(115)), [transition(110, "firing")]);
        assert_eq!(watcher.news(history(120)), [transition(120, "resolved")]);
        assert!(watcher.news(history(120)).is_empty());
        assert_eq!(watcher.transitions().len(), 2);
    }
}
