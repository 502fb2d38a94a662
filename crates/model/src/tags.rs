//! Tags: the sorted map of key to value that names a series.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The key whose value is the metric's name.
pub const NAME: &str = "name";

/// A map of tag key to tag value, sorted by key, each key once.
///
/// Keys and values are compared as bytes of UTF-8. Atlas compares UTF-16 units; the orders differ only beyond the Basic
/// Multilingual Plane, which the validation rules keep out of stored series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tags {
    pairs: Vec<(Arc<str>, Arc<str>)>,
}

impl Tags {
    /// No tags at all.
    pub const fn empty() -> Self {
        Self { pairs: Vec::new() }
    }

    /// Builds tags from pairs in any order; of a key given twice the last value counts.
    pub fn from_pairs<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let mut pairs: Vec<(Arc<str>, Arc<str>)> = pairs
            .into_iter()
            .map(|(k, v)| (k.into(), v.into()))
            .collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        // The sort is stable: of equal keys the last one given is the last one here.
        pairs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = later.1.clone();
            }
            same
        });
        Self { pairs }
    }

    /// Number of tags.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// True when there is no tag.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.get_shared(key).map(|v| &**v)
    }

    /// The value of a key, to be kept without copying its text.
    pub fn get_shared(&self, key: &str) -> Option<&Arc<str>> {
        self.pairs
            .binary_search_by(|(k, _)| (**k).cmp(key))
            .ok()
            .map(|i| &self.pairs[i].1)
    }

    /// The value of the key `name`.
    pub fn name(&self) -> Option<&str> {
        self.get(NAME)
    }

    /// The pairs in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.pairs.iter().map(|(k, v)| (&**k, &**v))
    }

    /// The pairs in the order of their keys, to be kept without copying their text.
    pub fn pairs(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.pairs
    }

    /// Sets a key, replacing its value if it had one.
    pub fn insert(&mut self, key: impl Into<Arc<str>>, value: impl Into<Arc<str>>) {
        let (key, value) = (key.into(), value.into());
        match self.pairs.binary_search_by(|(k, _)| k.cmp(&key)) {
            Ok(i) => self.pairs[i].1 = value,
            Err(i) => self.pairs.insert(i, (key, value)),
        }
    }

    /// Removes a key and gives its value, if it had one.
    pub fn remove(&mut self, key: &str) -> Option<Arc<str>> {
        let i = self.pairs.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        Some(self.pairs.remove(i).1)
    }

    /// The tags whose key passes the test.
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        Self {
            pairs: self
                .pairs
                .iter()
                .filter(|(k, _)| keep(k))
                .cloned()
                .collect(),
        }
    }

    /// The tags that both sides hold with the same value.
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            pairs: self
                .pairs
                .iter()
                .filter(|(k, v)| other.get(k) == Some(v))
                .cloned()
                .collect(),
        }
    }
}

/// `k1=v1, k2=v2`, as Atlas labels a line by its tags.
impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (k, v)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{k}={v}")?;
        }
        Ok(())
    }
}

impl<K: Into<Arc<str>>, V: Into<Arc<str>>> FromIterator<(K, V)> for Tags {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(pairs: T) -> Self {
        Self::from_pairs(pairs)
    }
}

impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (k, v) in self.iter() {
            map.serialize_entry(k, v)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Tags;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map of tag key to tag value")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tags, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(pair) = map.next_entry::<String, String>()? {
                    pairs.push(pair);
                }
                Ok(Tags::from_pairs(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_and_the_last_of_a_key_counts() {
        let tags = Tags::from_pairs([("name", "a"), ("app", "x"), ("name", "b")]);
        assert_eq!(tags.to_string(), "app=x, name=b");
        assert_eq!(tags.name(), Some("b"));
        assert_eq!(tags.get("zone"), None);
    }

    #[test]
    fn insert_and_remove_keep_the_order() {
        let mut tags = Tags::from_pairs([("b", "2")]);
        tags.insert("c", "3");
        tags.insert("a", "1");
        tags.insert("b", "two");
        assert_eq!(tags.to_string(), "a=1, b=two, c=3");
        assert_eq!(tags.remove("b").as_deref(), Some("two"));
        assert_eq!(tags.remove("b"), None);
    }

    #[test]
    fn the_intersection_keeps_what_is_equal_on_both_sides() {
        let a = Tags::from_pairs([("a", "1"), ("b", "2"), ("c", "3")]);
        let b = Tags::from_pairs([("a", "1"), ("b", "3")]);
        assert_eq!(a.intersection(&b).to_string(), "a=1");
    }

    #[test]
    fn json_is_a_plain_map() {
        let tags: Tags = serde_json::from_str(r#"{"name":"cpu","app":"x"}"#).expect("valid");
        assert_eq!(
            serde_json::to_string(&tags).expect("strings"),
            r#"{"app":"x","name":"cpu"}"#
        );
    }
}
