//! A history on some object store, with a clock of its own, and what is done to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hesper_history::day::DAY_MILLIS;
use hesper_history::objects::Retry;
use hesper_history::{History, HistoryError, HistoryOptions, Loader, Policy, Work};
use hesper_model::{Slot, Step, TagQuery, Tags, Timestamp};
use object_store::ObjectStore;
use proptest::prelude::*;

pub const STEP: Step = Step::from_secs(60);
pub const DAY_SLOTS: i64 = 1440;
pub const HOUR_MILLIS: i64 = 3_600_000;

/// A store, its clock, and the sequences given out so far.
pub struct Place {
    pub store: Arc<dyn ObjectStore>,
    pub step: Step,
    now: Arc<AtomicI64>,
    sequence: u64,
    opened: u32,
    loads: u32,
}

impl Place {
    /// A place on a store.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            step: STEP,
            now: Arc::new(AtomicI64::new(4 * DAY_MILLIS)),
            sequence: 0,
            opened: 0,
            loads: 0,
        }
    }

    /// Sequences and loads are counted from here on.
    pub fn start_at(&mut self, number: u64) {
        self.sequence = number;
        self.loads = number as u32;
        self.opened = number as u32;
    }

    /// Opens the history.
    pub async fn open(&mut self) -> History {
        self.try_open().await.expect("a manifest that can be read")
    }

    pub async fn try_open(&mut self) -> Result<History, HistoryError> {
        self.opened += 1;
        let now = self.now.clone();
        let options = HistoryOptions {
            retry: Retry {
                attempts: 3,
                pause: Duration::from_millis(1),
                ..Retry::default()
            },
            clock: Arc::new(move || Timestamp(now.load(Ordering::Relaxed))),
            ..HistoryOptions::new(self.step, format!("writer-{}", self.opened))
        };
        History::open_with(self.store.clone(), options).await
    }

    pub fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    pub fn pass(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::Relaxed);
    }

    /// Loads datapoints: series, slot, value.
    pub async fn load(&mut self, history: &History, points: &[(usize, i64, f64)]) {
        self.loads += 1;
        self.try_load(history, points).await.expect("loaded");
    }

    /// Tries to, again when it was tried before.
    pub async fn try_load(
        &mut self,
        history: &History,
        points: &[(usize, i64, f64)],
    ) -> Result<(), HistoryError> {
        let sequence = &mut self.sequence;
        let next = || {
            *sequence += 1;
            *sequence
        };
        // Room for a few blocks only, so that a load makes several parts.
        let mut loader = Loader::new(history, format!("load-{}", self.loads), next, 8_000);
        for (i, slot, value) in points {
            let (tags, values) = (series(*i), [*value]);
            loader.push(&tags, Slot(*slot), &values).await?;
        }
        loader.finish().await.map(|_| ())
    }

    /// What is loaded next is another input.
    pub fn next_load(&mut self) {
        self.loads += 1;
    }

    /// Does all that is due.
    pub async fn maintain(&self, history: &History, policy: &Policy) -> Vec<Work> {
        let mut done = Vec::new();
        while let Some(report) = history.compact_due(self.now(), policy).await.expect("done") {
            done.push(report.work);
            assert!(
                done.len() < 200,
                "maintenance does not come to an end: {done:?}"
            );
        }
        done
    }
}

pub fn series(i: usize) -> Tags {
    let mut tags = Tags::from_pairs([
        ("name", format!("metric.{}", i % 2)),
        ("nf.app", ["api", "www", "debug"][i % 3].to_owned()),
        ("node", format!("i-{i}")),
    ]);
    if i % 4 == 1 {
        tags.insert("Node", "upper");
    }
    tags
}

pub fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (0i32..1000).prop_map(|n| f64::from(n) / 60.0),
        3 => (-100_000i32..100_000).prop_map(|n| f64::from(n) / 100.0),
        2 => (0i32..3).prop_map(f64::from),
        1 => any::<f64>().prop_filter("a number", |v| v.is_finite()),
    ]
}

pub fn points() -> impl Strategy<Value = Vec<(usize, i64, f64)>> {
    let scattered = (0usize..6, 1i64..=3 * DAY_SLOTS, value());
    let run = (0usize..6, 1i64..=3 * DAY_SLOTS - 200, 1usize..200, value());
    prop_oneof![
        prop::collection::vec(scattered, 1..40),
        run.prop_map(|(i, first, n, v)| {
            (0..n)
                .map(|k| (i, first + k as i64, v + k as f64))
                .collect()
        }),
    ]
}

#[derive(Clone, Debug)]
pub enum Action {
    Load(Vec<(usize, i64, f64)>),
    Maintain(i64),
    Delete(TagQuery, i64, i64),
    Reopen,
}

pub fn query() -> impl Strategy<Value = TagQuery> {
    let app = prop::sample::select(vec!["api", "www", "debug", "none"]);
    prop_oneof![
        2 => app.prop_map(|a| TagQuery::Equal("nf.app".into(), a.into())),
        1 => Just(TagQuery::Has("Node".into())),
        1 => Just(TagQuery::True),
    ]
}

pub fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => points().prop_map(Action::Load),
        3 => (0i64..30).prop_map(Action::Maintain),
        1 => (query(), 1i64..3 * DAY_SLOTS, 0i64..2000).prop_map(|(q, from, n)| Action::Delete(q, from, from + n)),
        1 => Just(Action::Reopen),
    ]
}

/// Small files and narrow merges, so that all ways of merging are taken.
pub fn narrow() -> Policy {
    Policy {
        max_streams: 3,
        crowd: 5,
        max_file_rows: 20,
        ..Policy::default()
    }
}
