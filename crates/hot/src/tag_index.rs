//! The tag index: for every key and value the set of positions that carry it.
//!
//! A position is whatever the owner numbers, as the series of a shard. Positions are added one by one and are found at once.

mod positions;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use hesper_model::{TagPattern, TagQuery};
use roaring::RoaringBitmap;

use positions::{Positions, bitmap_bytes};

/// Bytes of a key or value in its tree: nodes are filled to two thirds.
const ENTRY_BYTES: usize = (size_of::<Arc<str>>() + size_of::<Positions>()) * 3 / 2;

/// Sets of positions by tag.
#[derive(Default)]
pub struct TagIndex {
    all: RoaringBitmap,
    keys: BTreeMap<Arc<str>, KeyIndex>,
}

#[derive(Default)]
struct KeyIndex {
    present: RoaringBitmap,
    values: BTreeMap<Arc<str>, Positions>,
    /// Bytes held by the sets of the values, about.
    bytes: usize,
}

impl TagIndex {
    /// Adds a position with its tags.
    pub fn insert<'a>(
        &mut self,
        position: u32,
        tags: impl IntoIterator<Item = (&'a Arc<str>, &'a Arc<str>)>,
    ) {
        self.all.insert(position);
        for (key, value) in tags {
            let index = match self.keys.get_mut(key) {
                Some(index) => index,
                None => self.keys.entry(key.clone()).or_default(),
            };
            index.insert(position, value);
        }
    }

    /// Removes positions, and the keys and values that nothing carries any more.
    pub fn remove(&mut self, positions: &RoaringBitmap) {
        self.all -= positions;
        self.keys.retain(|_, index| {
            if index.present.is_disjoint(positions) {
                return true;
            }
            index.remove(positions);
            !index.present.is_empty()
        });
    }

    /// Number of positions.
    pub fn len(&self) -> u64 {
        self.all.len()
    }

    /// True when there is no position.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Number of different keys, and of different values over all keys.
    pub fn sizes(&self) -> (usize, usize) {
        let values = self.keys.values().map(|k| k.values.len()).sum();
        (self.keys.len(), values)
    }

    /// Number of different values of a key.
    pub fn value_count(&self, key: &str) -> usize {
        self.keys.get(key).map_or(0, |index| index.values.len())
    }

    /// Bytes held, about; the text of keys and values, which is shared, is not counted.
    pub fn size_bytes(&self) -> usize {
        let keys = self.keys.values();
        let keys = keys.map(|k| ENTRY_BYTES + k.bytes + bitmap_bytes(&k.present));
        bitmap_bytes(&self.all) + keys.sum::<usize>()
    }

    /// The positions that fit a query.
    pub fn matching(&self, query: &TagQuery) -> RoaringBitmap {
        self.find(query).into_owned()
    }

    fn find(&self, query: &TagQuery) -> Cow<'_, RoaringBitmap> {
        match query {
            TagQuery::True => Cow::Borrowed(&self.all),
            TagQuery::False => Cow::default(),
            TagQuery::And(a, b) => {
                let left = self.find(a);
                if left.is_empty() {
                    return left;
                }
                // Taking away is cheaper than building the complement first.
                let both = match &**b {
                    TagQuery::Not(q) => &*left - &*self.find(q),
                    q => &*left & &*self.find(q),
                };
                Cow::Owned(both)
            }
            TagQuery::Or(a, b) => {
                let mut left = self.find(a).into_owned();
                left |= &*self.find(b);
                Cow::Owned(left)
            }
            TagQuery::Not(q) => Cow::Owned(&self.all - &*self.find(q)),
            TagQuery::Has(k) => self.key(k, |index| Cow::Borrowed(&index.present)),
            TagQuery::Equal(k, v) => self.key(k, |index| index.equal(v)),
            TagQuery::In(k, vs) => self.key(k, |index| {
                Positions::union(vs.iter().filter_map(|v| index.values.get(v)))
            }),
            TagQuery::LessThan(k, v) => self.range(k, Bound::Unbounded, Bound::Excluded(v.clone())),
            TagQuery::LessThanEqual(k, v) => {
                self.range(k, Bound::Unbounded, Bound::Included(v.clone()))
            }
            TagQuery::GreaterThan(k, v) => {
                self.range(k, Bound::Excluded(v.clone()), Bound::Unbounded)
            }
            TagQuery::GreaterThanEqual(k, v) => {
                self.range(k, Bound::Included(v.clone()), Bound::Unbounded)
            }
            TagQuery::Matches(k, p) => self.key(k, |index| index.matching(p)),
        }
    }

    fn key<'a>(
        &'a self,
        key: &str,
        find: impl FnOnce(&'a KeyIndex) -> Cow<'a, RoaringBitmap>,
    ) -> Cow<'a, RoaringBitmap> {
        self.keys.get(key).map_or_else(Cow::default, find)
    }

    fn range(
        &self,
        key: &str,
        from: Bound<Arc<str>>,
        to: Bound<Arc<str>>,
    ) -> Cow<'_, RoaringBitmap> {
        self.key(key, |index| {
            Positions::union(
                index
                    .values
                    .range((from, to))
                    .map(|(_, positions)| positions),
            )
        })
    }

    /// The keys that positions of `within` carry (of all positions when `None`), after `after`, sorted, at most `limit`.
    pub fn keys(
        &self,
        within: Option<&RoaringBitmap>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<str>> {
        self.keys
            .range::<str, _>((
                after.map_or(Bound::Unbounded, Bound::Excluded),
                Bound::Unbounded,
            ))
            .filter(|(_, index)| within.is_none_or(|w| !index.present.is_disjoint(w)))
            .map(|(key, _)| key.clone())
            .take(limit)
            .collect()
    }

    /// The values of a key that positions of `within` carry (of all positions when `None`), after `after`, sorted, at most `limit`.
    pub fn values(
        &self,
        key: &str,
        within: Option<&RoaringBitmap>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<str>> {
        let Some(index) = self.keys.get(key) else {
            return Vec::new();
        };
        index
            .values
            .range::<str, _>((
                after.map_or(Bound::Unbounded, Bound::Excluded),
                Bound::Unbounded,
            ))
            .filter(|(_, positions)| within.is_none_or(|w| !positions.is_disjoint(w)))
            .map(|(value, _)| value.clone())
            .take(limit)
            .collect()
    }
}

impl KeyIndex {
    fn insert(&mut self, position: u32, value: &Arc<str>) {
        self.present.insert(position);
        let positions = match self.values.get_mut(value) {
            Some(positions) => positions,
            None => {
                self.bytes += ENTRY_BYTES;
                self.values.entry(value.clone()).or_default()
            }
        };
        let before = positions.heap_bytes();
        positions.insert(position);
        self.bytes = self.bytes + positions.heap_bytes() - before;
    }

    fn remove(&mut self, gone: &RoaringBitmap) {
        self.present -= gone;
        let bytes = &mut self.bytes;
        self.values.retain(|_, positions| {
            let before = positions.heap_bytes();
            positions.remove(gone);
            *bytes = *bytes + positions.heap_bytes() - before;
            if positions.is_empty() {
                *bytes -= ENTRY_BYTES;
            }
            !positions.is_empty()
        });
    }

    fn equal(&self, value: &str) -> Cow<'_, RoaringBitmap> {
        self.values
            .get(value)
            .map_or_else(Cow::default, Positions::as_bitmap)
    }

    fn matching(&self, pattern: &TagPattern) -> Cow<'_, RoaringBitmap> {
        if pattern.prefixes().is_empty() {
            return Positions::union(
                self.values
                    .iter()
                    .filter(|(value, _)| pattern.matches(value))
                    .map(|(_, positions)| positions),
            );
        }
        Positions::union(pattern.prefixes().iter().flat_map(|prefix| {
            self.values
                .range::<str, _>((Bound::Included(&*prefix.text), Bound::Unbounded))
                .take_while(|(value, _)| value.starts_with(&*prefix.text))
                .filter(|(value, _)| prefix.sufficient || pattern.matches(value))
                .map(|(_, positions)| positions)
        }))
    }
}

#[cfg(test)]
mod tests {
    use hesper_model::Tags;
    use proptest::prelude::*;

    use super::*;

    fn index_of(series: &[Tags]) -> TagIndex {
        let mut index = TagIndex::default();
        for (i, tags) in series.iter().enumerate() {
            index.insert(i as u32, tags.pairs().iter().map(|(k, v)| (k, v)));
        }
        index
    }

    fn fleet() -> Vec<Tags> {
        let mut series = Vec::new();
        for app in ["api", "apple", "www"] {
            for node in 0..4 {
                let mut tags = Tags::from_pairs([
                    ("name", "cpu".to_owned()),
                    ("app", app.to_owned()),
                    ("node", format!("i-{node}")),
                ]);
                if node % 2 == 0 {
                    tags.insert("even", "yes");
                }
                series.push(tags);
            }
        }
        series
    }

    #[test]
    fn keys_and_values_are_sorted_paged_and_narrowed() {
        let index = index_of(&fleet());
        let texts = |v: Vec<Arc<str>>| v.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        assert_eq!(
            texts(index.keys(None, None, 9)),
            ["app", "even", "name", "node"]
        );
        assert_eq!(texts(index.keys(None, Some("app"), 2)), ["even", "name"]);
        assert_eq!(
            texts(index.values("app", None, None, 9)),
            ["api", "apple", "www"]
        );
        let odd = index.matching(&TagQuery::Has("even".into()).negated());
        assert_eq!(
            texts(index.values("node", Some(&odd), None, 9)),
            ["i-1", "i-3"]
        );
        assert_eq!(
            texts(index.keys(Some(&odd), None, 9)),
            ["app", "name", "node"]
        );
        assert!(index.values("zone", None, None, 9).is_empty());
    }

    #[test]
    fn what_is_removed_is_found_no_more() {
        let mut index = index_of(&fleet());
        let www = index.matching(&TagQuery::Equal("app".into(), "www".into()));
        index.remove(&www);
        assert_eq!(index.len(), 8);
        assert!(
            index
                .matching(&TagQuery::Equal("app".into(), "www".into()))
                .is_empty()
        );
        assert_eq!(index.values("app", None, None, 9).len(), 2);
        let even = index.matching(&TagQuery::Has("even".into()));
        index.remove(&even);
        assert_eq!(index.keys(None, None, 9).len(), 3);
    }

    fn clause() -> impl Strategy<Value = TagQuery> {
        let key = prop::sample::select(vec!["app", "node", "even", "zone"]);
        let value = prop::sample::select(vec!["api", "apple", "i-1", "i-3", "yes", "z", ""]);
        let pattern = prop::sample::select(vec![
            "ap",
            "api$",
            "(api|www)",
            "a.*e",
            ".*i",
            "i-[12]",
            "api|3",
            "",
            "AP",
            "app(?!le)",
        ]);
        prop_oneof![
            Just(TagQuery::True),
            Just(TagQuery::False),
            key.clone().prop_map(|k| TagQuery::Has(k.into())),
            (key.clone(), value.clone(), 0..5).prop_map(|(k, v, op)| {
                let (k, v) = (k.into(), v.into());
                match op {
                    0 => TagQuery::Equal(k, v),
                    1 => TagQuery::LessThan(k, v),
                    2 => TagQuery::LessThanEqual(k, v),
                    3 => TagQuery::GreaterThan(k, v),
                    _ => TagQuery::GreaterThanEqual(k, v),
                }
            }),
            (key.clone(), prop::collection::vec(value, 0..3)).prop_map(|(k, vs)| {
                TagQuery::In(k.into(), vs.into_iter().map(Into::into).collect())
            }),
            (key, pattern, any::<bool>()).prop_map(|(k, p, i)| {
                TagQuery::Matches(k.into(), TagPattern::new(p, i).expect("valid"))
            }),
        ]
    }

    fn query() -> impl Strategy<Value = TagQuery> {
        clause().prop_recursive(4, 16, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone())
                    .prop_map(|(a, b)| TagQuery::And(Box::new(a), Box::new(b))),
                (inner.clone(), inner.clone())
                    .prop_map(|(a, b)| TagQuery::Or(Box::new(a), Box::new(b))),
                inner.prop_map(TagQuery::negated),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_index_finds_what_the_query_matches(query in query()) {
            let series = fleet();
            let found: Vec<u32> = index_of(&series).matching(&query).iter().collect();
            let expected: Vec<u32> = (0..series.len() as u32)
                .filter(|i| query.matches(&series[*i as usize]))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
