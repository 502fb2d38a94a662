//! A store that keeps nothing: its log goes nowhere.

#[path = "../../crates/hot/benches/sink.rs"]
mod sink;

use std::sync::Arc;

use hesper_hot::store::InHistory;
use hesper_hot::{HotStore, StoreOptions};
use hesper_ingest::Router;
use hesper_model::validation::Limits;
use hesper_model::{Step, Timestamp};
use sink::Sink;

/// The time at which inputs arrive.
pub(crate) const NOW: Timestamp = Timestamp(1_767_578_400_000);

/// A router into a new store, which is as small as inputs are.
pub(crate) fn router() -> Arc<Router> {
    let mut options = StoreOptions::new(Step::from_secs(60));
    options.shards = 2;
    options.max_series = 1000;
    let store = HotStore::open(Arc::new(Sink), options, InHistory::default(), false);
    let limits = Limits {
        max_age_millis: 3_600_000,
        ..Limits::default()
    };
    Arc::new(Router::new(Arc::new(store.expect("a new store").0), limits))
}
