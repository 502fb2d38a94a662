//! Who hears of the series that a store takes in and lets go.

use std::sync::Arc;

use hesper_model::Tags;

use super::HotStore;

/// Hears of every series of a store: those it holds when the listener is set, and what comes and goes from then on.
///
/// It is called under the lock of a shard: it must be quick, and must not call the store.
pub trait SeriesListener: Send + Sync {
    /// A series was taken in.
    fn added(&self, tags: &Tags);

    /// A series was let go.
    fn removed(&self, tags: &Tags);
}

impl HotStore {
    /// Sets who hears of series, in the place of whoever heard of them before.
    pub fn listen(&self, listener: Arc<dyn SeriesListener>) {
        // All shards at once, so that no series is told twice or never. Nobody else holds two of these locks.
        let shards: Vec<_> = self.shards.iter().map(|s| s.write()).collect();
        for shard in &shards {
            for series in shard.table.iter() {
                listener.added(&shard.table.tags(&self.symbols.read(), series));
            }
        }
        *self.listener.write() = Some(listener);
    }

    pub(super) fn tell(&self, event: impl FnOnce(&dyn SeriesListener)) {
        if let Some(listener) = &*self.listener.read() {
            event(&**listener);
        }
    }
}
