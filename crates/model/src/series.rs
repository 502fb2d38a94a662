//! The two identities of a series: Hesper's own 128-bit id and Atlas's SHA-1.

use std::fmt;

use sha1::{Digest, Sha1};
use xxhash_rust::xxh3::xxh3_128;

use crate::tags::{NAME, Tags};

/// Appends a text whose byte order is the order of (name, tags): first the name, then the pairs in the order of their keys.
///
/// It is the order of sealed blocks in memory and of rows in history files.
pub fn put_sort_key<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    out: &mut Vec<u8>,
) {
    let name = pairs.clone().find(|(k, _)| *k == NAME);
    out.extend_from_slice(name.map_or("", |(_, v)| v).as_bytes());
    out.push(0);
    for (k, v) in pairs {
        out.extend_from_slice(k.as_bytes());
        out.push(0);
        out.extend_from_slice(v.as_bytes());
        out.push(0);
    }
}

/// Hesper's identity of a series, for placement and storage: XXH3 with 128 bits over the canonical tags.
///
/// The canonical form is, for each pair in the order of the keys, the key, byte 0xFF, the value, byte 0xFE: neither byte
/// occurs in UTF-8. Two series with one id are possible; whoever maps an id to a series compares the tags too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub u128);

impl SeriesId {
    /// The id of a series.
    pub fn of(tags: &Tags) -> Self {
        Self::of_pairs(tags.iter(), &mut Vec::with_capacity(256))
    }

    /// The id of pairs that are sorted by key; `scratch` is overwritten and saves the allocation.
    pub fn of_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        scratch: &mut Vec<u8>,
    ) -> Self {
        scratch.clear();
        for (k, v) in pairs {
            scratch.extend_from_slice(k.as_bytes());
            scratch.push(0xFF);
            scratch.extend_from_slice(v.as_bytes());
            scratch.push(0xFE);
        }
        Self(xxh3_128(scratch))
    }

    /// The shard, of `shards`, that the series belongs to.
    pub fn shard(self, shards: u32) -> u32 {
        // The high half: hash tables use the low bits of the same id.
        let high = (self.0 >> 64) as u64;
        ((u128::from(high) * u128::from(shards)) >> 64) as u32
    }
}

impl fmt::Display for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Atlas's identity of a series: SHA-1 over `k1=v1,k2=v2,…` with the keys sorted. Its order decides ties and the order of
/// the lines of `:all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(pub [u8; 20]);

impl ItemId {
    /// The id of a series.
    pub fn of(tags: &Tags) -> Self {
        Self::of_pairs(tags.iter())
    }

    /// The id of pairs that are sorted by key.
    pub fn of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut sha = Sha1::new();
        for (i, (k, v)) in pairs.into_iter().enumerate() {
            if i > 0 {
                sha.update(b",");
            }
            sha.update(k.as_bytes());
            sha.update(b"=");
            sha.update(v.as_bytes());
        }
        Self(sha.finalize().into())
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_ids_are_those_of_atlas() {
        // sha1("") and sha1("a=1,name=x"), computed with another tool.
        assert_eq!(
            ItemId::of(&Tags::empty()).to_string(),
            "da39a3ee5e6b4b0d3255bfef95601890afd80709"
        );
        let tags = Tags::from_pairs([("name", "x"), ("a", "1")]);
        assert_eq!(
            ItemId::of(&tags).to_string(),
            "4cc30d75c551e34c04fb452de9ceed76583611d1"
        );
    }

    #[test]
    fn the_borders_between_keys_and_values_count() {
        let a = SeriesId::of(&Tags::from_pairs([("ab", "c")]));
        let b = SeriesId::of(&Tags::from_pairs([("a", "bc")]));
        assert_ne!(a, b);
    }

    #[test]
    fn names_come_before_tags_in_the_order() {
        let key = |pairs: &[(&str, &str)]| {
            let tags = Tags::from_pairs(pairs.iter().copied());
            let mut key = Vec::new();
            put_sort_key(tags.iter(), &mut key);
            key
        };
        assert!(key(&[("name", "a"), ("zz", "1")]) < key(&[("name", "b"), ("aa", "1")]));
        assert!(key(&[("name", "a"), ("kk", "1")]) < key(&[("name", "a"), ("kk", "10")]));
        assert!(key(&[("name", "a"), ("aa", "2")]) < key(&[("name", "aa"), ("aa", "1")]));
    }

    #[test]
    fn shards_are_in_range_and_about_even() {
        let mut count = [0u32; 7];
        for i in 0..7_000 {
            let id = SeriesId::of(&Tags::from_pairs([("name", format!("n{i}"))]));
            count[id.shard(7) as usize] += 1;
        }
        assert!(count.iter().all(|&n| (800..1200).contains(&n)), "{count:?}");
    }
}
