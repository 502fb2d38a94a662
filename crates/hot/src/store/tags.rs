//! Listing the keys and values of the series in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use hesper_model::TagQuery;

use super::HotStore;

impl HotStore {
    /// The tag keys of the series that match, after `after`, sorted, at most `limit`.
    pub fn tag_keys(&self, query: &TagQuery, after: Option<&str>, limit: usize) -> Vec<Arc<str>> {
        self.list(limit, |shard| {
            let matched = narrowed(query).map(|q| shard.index.matching(q));
            shard.index.keys(matched.as_ref(), after, limit)
        })
    }

    /// The values that the series that match have for a key, after `after`, sorted, at most `limit`.
    pub fn tag_values(
        &self,
        key: &str,
        query: &TagQuery,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<str>> {
        self.list(limit, |shard| {
            let matched = narrowed(query).map(|q| shard.index.matching(q));
            shard.index.values(key, matched.as_ref(), after, limit)
        })
    }

    /// Number of series in memory that match.
    pub fn count_matching(&self, query: &TagQuery) -> u64 {
        let count = |s: &parking_lot::RwLock<crate::shard::Shard>| match narrowed(query) {
            Some(q) => s.read().index.matching(q).len(),
            None => s.read().index.len(),
        };
        self.shards.iter().map(count).sum()
    }

    fn list(
        &self,
        limit: usize,
        of_shard: impl Fn(&crate::shard::Shard) -> Vec<Arc<str>>,
    ) -> Vec<Arc<str>> {
        let mut all = BTreeSet::new();
        for shard in &self.shards {
            all.extend(of_shard(&shard.read()));
            while all.len() > limit {
                all.pop_last();
            }
        }
        all.into_iter().collect()
    }
}

/// The query, unless it lets everything through.
fn narrowed(query: &TagQuery) -> Option<&TagQuery> {
    (*query != TagQuery::True).then_some(query)
}
