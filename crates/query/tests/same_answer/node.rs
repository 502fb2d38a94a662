//! A node whose process can be ended and begun again, and whose history is maintained by a clock of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use hesper_history::day::DAY_MILLIS;
use hesper_history::{History, HistoryOptions, Loader, Policy};
use hesper_hot::directory::DiskDirectory;
use hesper_hot::log::record::ClientId;
use hesper_hot::{Batch, HotStore, StoreOptions};
use hesper_model::{Slot, Step, TagQuery, Tags, TimeRange, Timestamp, Window};
use hesper_query::engine::QueryOptions;
use hesper_query::{Answer, QueryEngine, QueryError, QueryLimits, Tiers};
use hesper_stack::{EvalContext, GraphOptions, TimeSeries, parse_graph};
use object_store::ObjectStore;
use object_store::memory::InMemory;

pub const BASE: Step = Step::from_secs(60);
pub const HOUR_MILLIS: i64 = 3_600_000;

/// Datapoints: series, slot, value.
pub type Points = [(usize, i64, f64)];

pub fn tags(i: usize) -> Tags {
    let mut tags = Tags::from_pairs([
        ("name", format!("metric.{}", i % 2)),
        ("app", format!("app-{}", i % 3)),
        ("node", format!("i-{i:02}")),
    ]);
    if i % 4 < 2 {
        tags.insert("atlas.dstype", "gauge");
    }
    if !i.is_multiple_of(5) {
        tags.insert("zone", format!("z{}", i % 2));
    }
    tags
}

pub struct Node {
    directory: tempfile::TempDir,
    pub objects: Arc<dyn ObjectStore>,
    pub tiers: Arc<Tiers>,
    /// The time of history, in milliseconds.
    now: Arc<AtomicI64>,
    loads: AtomicU64,
}

impl Node {
    pub async fn new() -> Self {
        Self::on(Arc::new(InMemory::new())).await
    }

    pub async fn on(objects: Arc<dyn ObjectStore>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let now = Arc::new(AtomicI64::new(4 * DAY_MILLIS));
        let tiers = open(&directory, &objects, &now).await;
        Self {
            directory,
            objects,
            tiers,
            now,
            loads: AtomicU64::new(0),
        }
    }

    pub async fn restart(&mut self) {
        self.tiers.hot.log().commit().expect("a working disk");
        self.tiers = open(&self.directory, &self.objects, &self.now).await;
    }

    pub fn publish(&self, points: &Points) {
        let hot = &self.tiers.hot;
        let mut batch = Batch::new(hot.shards());
        batch.begin(None);
        for (series, slot, value) in points {
            let handle = hot.resolve(&tags(*series)).expect("room");
            batch.push(handle, Slot(*slot).time(BASE), *value);
        }
        batch.set_origin(ClientId::NONE, 0, Timestamp(0));
        hot.append(&batch, &mut Vec::new()).expect("room");
    }

    /// Declared back-fill into memory, which may write anything.
    pub fn load(&self, points: &Points) {
        let hot = &self.tiers.hot;
        let rows: Vec<_> = points
            .iter()
            .map(|(series, slot, value)| {
                let handle = hot.resolve(&tags(*series)).expect("room");
                (handle, Slot(*slot), vec![*value])
            })
            .collect();
        hot.load(&rows, Timestamp(0)).expect("room");
    }

    pub async fn flush(&self, windows: impl Iterator<Item = i64>) {
        let (hot, history) = (&self.tiers.hot, &self.tiers.history);
        let windows: BTreeSet<Window> = windows.map(Window).collect();
        if let Some(flush) = hot.seal(&windows).expect("room") {
            let encoded = history.encode_flush(hot, &flush).expect("encoded");
            history.commit_flush(encoded).await.expect("committed");
            hot.flushed(flush.id, &flush.windows);
        }
    }

    /// Takes everything out of memory, and out of the log too as a node does after each flush: what is deleted or expires afterwards is not to be read back.
    pub async fn empty_memory(&mut self) {
        self.flush(0..100).await;
        let hot = &self.tiers.hot;
        hot.checkpoint(Timestamp(0)).expect("a working disk");
        self.restart().await;
    }

    /// Declared back-fill into history, of windows that memory does not hold.
    pub async fn back_fill(&mut self, points: &Points) {
        self.empty_memory().await;
        let mut sequence = self.tiers.hot.next_flush().0;
        let next = || {
            sequence += 1;
            sequence - 1
        };
        let name = format!("load-{}", self.loads.fetch_add(1, Ordering::Relaxed));
        // Room for some blocks only, so that there are several parts.
        let mut loader = Loader::new(&self.tiers.history, name, next, 50_000);
        for (series, slot, value) in points {
            let pushed = loader.push(&tags(*series), Slot(*slot), &[*value]).await;
            pushed.expect("taken");
        }
        loader.finish().await.expect("loaded");
        self.restart().await;
    }

    /// Back-fills so many series with a value a slot.
    pub async fn fill(&mut self, series: usize, slots: i64, value: impl Fn(usize, i64) -> f64) {
        let mut sequence = 0;
        let next = || {
            sequence += 1;
            sequence
        };
        let mut loader = Loader::new(&self.tiers.history, "fill".to_owned(), next, 1 << 30);
        for i in 0..series {
            let tags = Tags::from_pairs([
                ("name", "speed".to_owned()),
                ("app", format!("app-{}", i % 20)),
                ("node", format!("i-{i:06}")),
            ]);
            let values: Vec<f64> = (1..=slots).map(|slot| value(i, slot)).collect();
            let pushed = loader.push(&tags, Slot(1), &values).await;
            pushed.expect("taken");
        }
        loader.finish().await.expect("loaded");
        self.restart().await;
    }

    /// Lets hours pass and does all that is due.
    pub async fn maintain(&self, hours: i64, policy: &Policy) {
        let passed = hours * HOUR_MILLIS;
        let now = Timestamp(self.now.fetch_add(passed, Ordering::Relaxed) + passed);
        let history = &self.tiers.history;
        while let Some(report) = history.compact_due(now, policy).await.expect("done") {
            assert_eq!(report.too_late, 0, "{report:?}");
        }
    }

    /// Deletes what is in history: all is taken there before.
    pub async fn delete(&mut self, query: TagQuery, range: TimeRange) {
        self.empty_memory().await;
        let deleted = self.tiers.history.delete("d".to_owned(), query, range);
        deleted.await.expect("deleted");
    }

    pub fn engine(&self, limits: QueryLimits) -> QueryEngine {
        QueryEngine::new(self.tiers.clone(), limits, 3)
    }

    pub async fn ask(&self, program: &str, ctx: &EvalContext) -> Vec<TimeSeries> {
        let engine = self.engine(QueryLimits::default());
        ask(&engine, program, ctx).await.expect("an answer")
    }

    /// The answer as a whole, which may lack a part.
    pub async fn answer(&self, program: &str, ctx: &EvalContext) -> Answer {
        let engine = self.engine(QueryLimits::default());
        let exprs = parse_graph(program, &GraphOptions::default()).expect("a valid program");
        let asked = [&*exprs[0].expr];
        let answer = engine.evaluate(&asked, ctx, QueryOptions::default());
        answer.await.expect("an answer")
    }
}

pub async fn ask(
    engine: &QueryEngine,
    program: &str,
    ctx: &EvalContext,
) -> Result<Vec<TimeSeries>, QueryError> {
    let exprs = parse_graph(program, &GraphOptions::default()).expect("a valid program");
    let options = QueryOptions {
        strict: true,
        ..QueryOptions::default()
    };
    let answer = engine.evaluate(&[&exprs[0].expr], ctx, options).await?;
    Ok(answer.results.into_iter().next().expect("one").series)
}

async fn open(
    directory: &tempfile::TempDir,
    objects: &Arc<dyn ObjectStore>,
    now: &Arc<AtomicI64>,
) -> Arc<Tiers> {
    let now = now.clone();
    let history = HistoryOptions {
        clock: Arc::new(move || Timestamp(now.load(Ordering::Relaxed))),
        ..HistoryOptions::new(BASE, "test".to_owned())
    };
    let history = History::open_with(objects.clone(), history).await;
    let history = history.expect("a manifest that can be read");
    let disk = DiskDirectory::open(directory.path().join("log")).expect("opened");
    let mut options = StoreOptions::new(BASE);
    options.shards = 5;
    options.hot_window_millis = HOUR_MILLIS;
    let opened = HotStore::open(
        Arc::new(disk),
        options,
        history.manifest().in_history(),
        false,
    );
    Arc::new(Tiers {
        hot: Arc::new(opened.expect("a store that can be opened").0),
        history: Arc::new(history),
    })
}

/// A range of so many steps of so many minutes that begins at a minute, or at the next whole step.
pub fn range(minute: i64, steps: i64, minutes: u32) -> EvalContext {
    let step = Step::from_secs(60 * minutes);
    let start = Timestamp(minute * 60_000).ceil(step);
    EvalContext {
        start,
        end: start.plus_millis(steps * step.millis()),
        step,
    }
}
