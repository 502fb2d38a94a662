//! Listing the keys and values of the series in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use hesper_model::{TagQuery, Window};
use parking_lot::RwLock;

use super::HotStore;
use crate::series_table::SeriesRef;
use crate::shard::Shard;
use crate::symbols::Symbol;

/// The first bytes of a text as a number: where two differ, they are in the order of their texts.
fn prefix(text: &str) -> u64 {
    let mut first = [0; 8];
    let len = text.len().min(first.len());
    first[..len].copy_from_slice(&text.as_bytes()[..len]);
    u64::from_be_bytes(first)
}

/// To ask so many series for their value costs as much as to ask whether any of them is among those of a value.
const SERIES_A_VALUE: u64 = 8;

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
        let Some(query) = narrowed(query) else {
            return self.list(limit, |shard| shard.index.values(key, None, after, limit));
        };
        let symbols = self.symbols.read();
        let Some(key_symbol) = symbols.find(key) else {
            return Vec::new();
        };
        // By number: most values occur in all shards.
        let mut found: Vec<Symbol> = Vec::new();
        for shard in &self.shards {
            let shard = shard.read();
            let matched = shard.index.matching(query);
            if matched.len() / SERIES_A_VALUE > shard.index.value_count(key) as u64 {
                let values = shard.index.values(key, Some(&matched), after, limit);
                found.extend(values.iter().filter_map(|text| symbols.find(text)));
            } else {
                let series: Vec<SeriesRef> = matched.iter().map(SeriesRef).collect();
                let mut values = Vec::with_capacity(series.len());
                shard.table.values_of_key(&series, key_symbol, &mut values);
                let mut of_shard: Vec<Symbol> = values.into_iter().flatten().collect();
                of_shard.sort_unstable();
                of_shard.dedup();
                found.append(&mut of_shard);
            }
        }
        found.sort_unstable();
        found.dedup();
        let texts = found.into_iter().map(|s| symbols.text(s));
        let texts = texts.filter(|text| after.is_none_or(|a| ***text > *a));
        let mut texts: Vec<(u64, &Arc<str>)> = texts.map(|text| (prefix(text), text)).collect();
        // By their first bytes, which lie here, before their texts, which lie anywhere.
        texts.sort_unstable();
        let texts = texts.into_iter().take(limit);
        texts.map(|(_, text)| text.clone()).collect()
    }

    /// The windows that every shard holds all of: of their series history knows no other.
    pub fn complete_windows(&self) -> BTreeSet<Window> {
        let complete = |shard: &RwLock<Shard>| -> BTreeSet<Window> {
            let shard = shard.read();
            let windows = shard.windows.iter();
            windows
                .filter(|(_, w)| w.complete)
                .map(|(w, _)| *w)
                .collect()
        };
        let mut shards = self.shards.iter();
        let Some(first) = shards.next().map(complete) else {
            return BTreeSet::new();
        };
        shards.fold(first, |all, shard| {
            let of_shard = complete(shard);
            all.intersection(&of_shard).copied().collect()
        })
    }

    /// Number of series in memory that match.
    pub fn count_matching(&self, query: &TagQuery) -> u64 {
        let count = |s: &RwLock<Shard>| match narrowed(query) {
            Some(q) => s.read().index.matching(q).len(),
            None => s.read().index.len(),
        };
        self.shards.iter().map(count).sum()
    }

    fn list(&self, limit: usize, of_shard: impl Fn(&Shard) -> Vec<Arc<str>>) -> Vec<Arc<str>> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn prefixes_are_in_the_order_of_texts(a in "[a\\x00é]{0,10}", b in "[a\\x00é]{0,10}") {
            let with_prefix = |text: &str| (prefix(text), text.to_owned());
            prop_assert_eq!(with_prefix(&a).cmp(&with_prefix(&b)), a.cmp(&b));
        }
    }
}
