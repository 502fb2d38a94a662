//! A node: a store in a temporary directory with history beside it, and an engine over both.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use hesper_alert::{AlertError, AlertRunner, RuleSet, Transition};
use hesper_history::History;
use hesper_hot::directory::DiskDirectory;
use hesper_hot::store::InHistory;
use hesper_hot::{HotStore, StoreOptions};
use hesper_model::{Slot, Step, Tags, Timestamp, Window};
use hesper_query::{QueryEngine, QueryLimits, Tiers};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

pub struct Node {
    directory: tempfile::TempDir,
    objects: Arc<dyn ObjectStore>,
    tiers: Arc<Tiers>,
    pub step: Step,
}

impl Node {
    pub async fn new(step: Step) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let history = History::open(objects.clone(), step, "test".to_owned(), 64 << 20);
        let history = history.await.expect("a manifest that can be read");
        let disk = DiskDirectory::open(directory.path().join("log")).expect("opened");
        let mut options = StoreOptions::new(step);
        options.shards = 3;
        let in_history: InHistory = history.manifest().in_history();
        let hot = HotStore::open(Arc::new(disk), options, in_history, false);
        let tiers = Arc::new(Tiers {
            hot: Arc::new(hot.expect("a store that can be opened").0),
            history: Arc::new(history),
        });
        Self {
            directory,
            objects,
            tiers,
            step,
        }
    }

    /// The time of a slot.
    pub fn time(&self, slot: i64) -> Timestamp {
        Slot(slot).time(self.step)
    }

    /// Writes values of a series from a slot on; NaN is no data.
    pub fn load(&self, tags: &[(&str, &str)], first: i64, values: &[f64]) {
        let hot = &self.tiers.hot;
        let tags = Tags::from_pairs(tags.iter().copied());
        let handle = hot.resolve(&tags).expect("room");
        let rows = [(handle, Slot(first), values.to_vec())];
        hot.load(&rows, Timestamp(0)).expect("room");
    }

    /// Moves windows to history, out of memory, and makes the files of one of them unreadable. Gives their contents.
    pub async fn break_history(
        &self,
        windows: std::ops::Range<i64>,
        broken: i64,
    ) -> Vec<(Path, object_store::PutPayload)> {
        let (hot, history) = (&self.tiers.hot, &self.tiers.history);
        let windows: BTreeSet<Window> = windows.map(Window).collect();
        let flush = hot
            .seal(&windows)
            .expect("room")
            .expect("something to flush");
        let encoded = history.encode_flush(hot, &flush).expect("encoded");
        history.commit_flush(encoded).await.expect("committed");
        hot.flushed(flush.id, &flush.windows);
        hot.evict(Timestamp(i64::MAX / 2)).expect("room");
        let manifest = history.manifest();
        let first_slot = Window(broken).first_slot().0;
        let files = manifest.files().filter(|f| f.first_slot == first_slot);
        let paths: Vec<_> = files.map(|f| Path::from(f.path.as_str())).collect();
        let mut whole = Vec::new();
        for path in paths {
            let found = self.objects.get(&path).await.expect("a file");
            let bytes = found.bytes().await.expect("a file");
            self.objects
                .put(&path, "no parquet".into())
                .await
                .expect("put");
            whole.push((path, bytes.into()));
        }
        assert!(!whole.is_empty(), "a file of the window");
        whole
    }

    /// Puts files back.
    pub async fn mend_history(&self, files: Vec<(Path, object_store::PutPayload)>) {
        for (path, payload) in files {
            self.objects.put(&path, payload).await.expect("put");
        }
    }

    pub fn engine(&self, limits: QueryLimits) -> Arc<QueryEngine> {
        Arc::new(QueryEngine::new(self.tiers.clone(), limits, 2))
    }

    /// Where the state of alerts is kept.
    pub fn state_path(&self) -> PathBuf {
        self.directory.path().join("alerts.json")
    }

    /// A runner with rules and a state file, whose clock stands still.
    pub fn runner(&self, rules: &str) -> Result<AlertRunner, AlertError> {
        let rules = RuleSet::read([("rules.yaml", rules)])?;
        let engine = self.engine(QueryLimits::default());
        AlertRunner::new(
            engine,
            rules,
            Some(self.state_path()),
            Arc::new(|| Timestamp(0)),
        )
    }
}

/// Transitions as texts: `slot rule {group} from>to`, the slot counted with the step given.
pub fn shown(transitions: &[Transition], step: Step) -> Vec<String> {
    let one = |t: &Transition| {
        let slot = t.at.millis() / step.millis();
        let states = format!("{:?}>{:?}", t.from, t.to).to_lowercase();
        format!("{slot} {} {{{}}} {states}", t.rule, t.group)
    };
    transitions.iter().map(one).collect()
}
