//! The queries that are under way, who asked them, and those that took long.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hesper_model::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::engine::QueryStats;
use crate::error::QueryError;

/// Slow queries that are remembered.
const MAX_SLOW: usize = 100;

/// A text longer than this is cut in lists.
const MAX_TEXT: usize = 4096;

/// A query under way.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningQuery {
    /// Its number, by which it can be ended.
    pub id: u64,
    /// What is asked.
    pub text: String,
    /// Who asks.
    pub caller: String,
    /// When it was asked, in milliseconds.
    pub began: i64,
    /// How long ago, in milliseconds.
    pub elapsed_millis: u64,
}

/// A query that took long.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowQuery {
    /// The query.
    #[serde(flatten)]
    pub query: RunningQuery,
    /// How it ended: `ok`, or the error.
    pub outcome: String,
    /// Series that matched.
    pub series: u64,
    /// Blocks folded.
    pub blocks: u64,
    /// History rows read.
    pub rows: u64,
}

struct Entry {
    text: String,
    caller: String,
    began: Timestamp,
    since: Instant,
    kill: watch::Sender<bool>,
}

impl Entry {
    fn query(&self, id: u64) -> RunningQuery {
        RunningQuery {
            id,
            text: self.text.clone(),
            caller: self.caller.clone(),
            began: self.began.millis(),
            elapsed_millis: self.since.elapsed().as_millis() as u64,
        }
    }
}

#[derive(Default)]
struct State {
    last: u64,
    running: BTreeMap<u64, Entry>,
    slow: VecDeque<SlowQuery>,
}

/// The queries of a node.
pub struct RunningQueries {
    slow_after: Duration,
    state: Arc<Mutex<State>>,
}

impl RunningQueries {
    /// None yet; those that take longer than this are remembered.
    pub fn new(slow_after: Duration) -> Self {
        Self {
            slow_after,
            state: Arc::default(),
        }
    }

    /// The queries under way, oldest first.
    pub fn running(&self) -> Vec<RunningQuery> {
        let state = self.state.lock();
        state.running.iter().map(|(id, e)| e.query(*id)).collect()
    }

    /// The last slow queries, newest first.
    pub fn slow(&self) -> Vec<SlowQuery> {
        self.state.lock().slow.iter().rev().cloned().collect()
    }

    /// Ends a query; false when it is not under way.
    pub fn kill(&self, id: u64) -> bool {
        let state = self.state.lock();
        let entry = state.running.get(&id);
        entry.is_some_and(|e| e.kill.send(true).is_ok())
    }

    /// Lists a query until what is given back is dropped.
    pub fn begin(&self, text: &str, caller: &str, now: Timestamp) -> Listed {
        let (kill, killed) = watch::channel(false);
        let entry = Entry {
            text: text.chars().take(MAX_TEXT).collect(),
            caller: caller.chars().take(MAX_TEXT).collect(),
            began: now,
            since: Instant::now(),
            kill,
        };
        Listed {
            state: self.state.clone(),
            slow_after: self.slow_after,
            id: self.add(entry),
            killed,
            outcome: "the caller went away".to_owned(),
            stats: QueryStats::default(),
            span: tracing::info_span!(
                "query",
                text,
                caller,
                outcome = Empty,
                series = Empty,
                blocks = Empty,
                files = Empty,
                rows = Empty,
            ),
        }
    }

    /// Runs a query under its name. It can be ended meanwhile, which drops it.
    ///
    /// # Errors
    /// Those of the query, and [`QueryError::Killed`].
    pub async fn run<T: Measured>(
        &self,
        text: &str,
        caller: &str,
        now: Timestamp,
        query: impl Future<Output = Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        let mut listed = self.begin(text, caller, now);
        let span = listed.span();
        let answer = tokio::select! {
            biased;
            () = listed.killed() => Err(QueryError::Killed),
            answer = query.instrument(span) => answer,
        };
        match &answer {
            Ok(answer) => listed.end("ok", answer.stats()),
            Err(error) => listed.end(error.to_string(), QueryStats::default()),
        }
        answer
    }

    fn add(&self, entry: Entry) -> u64 {
        let mut state = self.state.lock();
        state.last += 1;
        let id = state.last;
        state.running.insert(id, entry);
        id
    }
}

/// An answer that tells what was looked at for it.
pub trait Measured {
    /// What was looked at.
    fn stats(&self) -> QueryStats;
}

impl Measured for crate::engine::Answer {
    fn stats(&self) -> QueryStats {
        self.stats
    }
}

/// A query on the list. It is taken off when this is dropped, however it ends.
pub struct Listed {
    state: Arc<Mutex<State>>,
    slow_after: Duration,
    id: u64,
    killed: watch::Receiver<bool>,
    outcome: String,
    stats: QueryStats,
    span: Span,
}

impl Listed {
    /// The span that the work for the query belongs into.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Waits until somebody ends the query.
    pub async fn killed(&mut self) {
        if self.killed.wait_for(|kill| *kill).await.is_err() {
            // It is no longer on the list, so that nobody can end it.
            std::future::pending().await
        }
    }

    /// Says how it ended, and what was looked at.
    pub fn end(&mut self, outcome: impl Into<String>, stats: QueryStats) {
        self.outcome = outcome.into();
        self.stats = stats;
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.span.record("outcome", &self.outcome);
        self.span.record("series", self.stats.series);
        self.span.record("blocks", self.stats.blocks);
        self.span.record("files", self.stats.files);
        self.span.record("rows", self.stats.rows);
        let mut state = self.state.lock();
        let Some(entry) = state.running.remove(&self.id) else {
            return;
        };
        if entry.since.elapsed() < self.slow_after {
            return;
        }
        let slow = SlowQuery {
            query: entry.query(self.id),
            outcome: std::mem::take(&mut self.outcome),
            series: self.stats.series,
            blocks: self.stats.blocks,
            rows: self.stats.rows,
        };
        tracing::warn!(
            target: "slow_query",
            millis = slow.query.elapsed_millis,
            caller = slow.query.caller,
            outcome = slow.outcome,
            series = slow.series,
            text = slow.query.text,
        );
        if state.slow.len() == MAX_SLOW {
            state.slow.pop_front();
        }
        state.slow.push_back(slow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Measured for Nothing {
        fn stats(&self) -> QueryStats {
            QueryStats::default()
        }
    }

    #[tokio::test]
    async fn a_query_is_listed_while_it_runs_and_can_be_ended() {
        let queries = Arc::new(RunningQueries::new(Duration::ZERO));
        let asked = queries.clone();
        let task = tokio::spawn(async move {
            let for_ever = std::future::pending::<Result<Nothing, QueryError>>();
            asked
                .run("name,x,:eq", "page", Timestamp(5), for_ever)
                .await
        });
        while queries.running().is_empty() {
            tokio::task::yield_now().await;
        }
        let listed = queries.running().remove(0);
        assert_eq!((listed.text.as_str(), listed.began), ("name,x,:eq", 5));
        assert!(!queries.kill(listed.id + 1) && queries.kill(listed.id));
        assert!(matches!(
            task.await.expect("no panic"),
            Err(QueryError::Killed)
        ));
        assert!(queries.running().is_empty());
        let slow = queries.slow();
        assert_eq!(slow[0].outcome, QueryError::Killed.to_string());
    }

    #[tokio::test]
    async fn quick_queries_are_not_remembered() {
        let queries = RunningQueries::new(Duration::from_secs(60));
        let done = async { Ok(Nothing) };
        assert!(queries.run("q", "c", Timestamp(0), done).await.is_ok());
        assert!(queries.slow().is_empty() && queries.running().is_empty());
    }
}
