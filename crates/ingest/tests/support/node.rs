//! A router with a real store, and what the store holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hesper_hot::directory::DiskDirectory;
use hesper_hot::fold::{CellLayout, FoldOp};
use hesper_hot::groups::Grouping;
use hesper_hot::scan::{PartialScan, ScanRequest};
use hesper_hot::store::InHistory;
use hesper_hot::{HotStore, StoreOptions};
use hesper_ingest::{IngestSettings, Reason, Router};
use hesper_model::validation::Limits;
use hesper_model::{SeriesId, Slot, Step, TagQuery, Tags, Timestamp, Window};

pub const STEP: Step = Step::from_secs(60);

/// On a boundary of the step, at the beginning of a window.
pub const NOW: Timestamp = Timestamp(1_767_578_400_000);

/// The slots that are looked at: ten windows, with [`NOW`] in the first.
const SLOTS: usize = 600;

pub struct Node {
    directory: tempfile::TempDir,
    options: StoreOptions,
    settings: IngestSettings,
    pub router: Arc<Router>,
}

fn open(
    directory: &tempfile::TempDir,
    options: &StoreOptions,
    settings: &IngestSettings,
) -> Arc<Router> {
    let disk = DiskDirectory::open(directory.path()).expect("opened");
    let store = HotStore::open(Arc::new(disk), options.clone(), InHistory::default(), false);
    let store = Arc::new(store.expect("a store").0);
    let limits = Limits {
        max_age_millis: 86_400_000,
        ..Limits::default()
    };
    Arc::new(Router::with_settings(store, limits, settings).expect("settings with sense"))
}

#[allow(dead_code, reason = "each test uses a part")]
impl Node {
    pub fn new(settings: IngestSettings) -> Self {
        Self::with(settings, |_| {})
    }

    pub fn with(settings: IngestSettings, change: impl FnOnce(&mut StoreOptions)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut options = StoreOptions::new(STEP);
        options.shards = 4;
        change(&mut options);
        Self {
            router: open(&directory, &options, &settings),
            directory,
            options,
            settings,
        }
    }

    /// Ends the node after a commit and opens it again.
    pub fn restart(&mut self) {
        self.router.store().log().commit().expect("a working disk");
        self.router = open(&self.directory, &self.options, &self.settings);
    }

    /// Takes everything to a history that nobody reads, and lets all series go.
    pub fn let_all_go(&self) {
        let store = self.router.store();
        let windows: BTreeSet<Window> = store.due(NOW.plus_millis(86_400_000), true);
        let flush = store.seal(&windows).expect("room").expect("something");
        store.flushed(flush.id, &flush.windows);
        store.evict(NOW.plus_millis(10 * 86_400_000)).expect("room");
        assert_eq!(store.series_count(), 0);
    }

    pub fn refused(&self, reason: Reason) -> u64 {
        let found = self.router.stats().refused().find(|(r, _)| *r == reason);
        found.expect("every reason is counted").1
    }

    pub fn series(&self) -> Vec<String> {
        let mut found = self.scan().into_keys().collect::<Vec<_>>();
        found.sort();
        found
    }

    /// What the slots of a series hold, by the slot's distance from [`NOW`].
    pub fn slots(&self, tags: &[(&str, &str)]) -> BTreeMap<i64, f64> {
        let tags = Tags::from_pairs(tags.iter().copied());
        self.scan().remove(&tags.to_string()).unwrap_or_default()
    }

    /// All series in memory with their slots.
    pub fn scan(&self) -> BTreeMap<String, BTreeMap<i64, f64>> {
        let first = Slot::ending_by(NOW, STEP).window().first_slot();
        let layout = CellLayout {
            first,
            cells: SLOTS,
            slots_per_cell: 1,
        };
        let request = ScanRequest {
            query: TagQuery::True,
            grouping: Grouping::Series,
            op: FoldOp::Max,
            layout,
            max_groups: 100_000,
        };
        let store = self.router.store();
        let mut all = BTreeMap::new();
        for shard in 0..store.shards() {
            let mut found = PartialScan::new(&request);
            store
                .scan([shard], &request, &mut found)
                .expect("few series");
            for group in 0..found.groups.len() {
                let key = found.groups.key(group as u32);
                let (pairs, _) = key.as_chunks::<2>();
                let tags: Tags = pairs.iter().map(|[k, v]| (k.clone(), v.clone())).collect();
                assert_eq!(SeriesId::of(&tags).shard(store.shards()), shard);
                let at = Slot::ending_by(NOW, STEP).0;
                let cells = (0..SLOTS).filter(|c| found.acc.has_data(group, *c));
                let slots = cells.map(|c| (first.0 + c as i64 - at, found.acc.values(group)[c]));
                all.insert(tags.to_string(), slots.collect());
            }
        }
        all
    }
}
