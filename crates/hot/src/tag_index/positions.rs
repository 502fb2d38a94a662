//! The positions that carry a value: a few in place, more in a sorted list, many in a roaring bitmap.
//!
//! Most values of a tag that tells instances apart are carried by very few series of a shard; a bitmap costs some 200 bytes before the
//! first position.

use std::borrow::Cow;

use roaring::RoaringBitmap;

/// Positions that lie in place.
const IN_PLACE: usize = 3;

/// A longer list becomes a bitmap.
const MAX_LIST: usize = 64;

/// Bytes of a bitmap with one container, its positions not counted.
const BITMAP_BYTES: usize = 24 + 16 + 4 * 40;

/// Bytes of a container in which most of 65,536 positions may be set.
const CONTAINER_BYTES: usize = 8192;

/// A set of positions.
#[derive(Clone, Debug)]
pub enum Positions {
    /// The first `len` of these, sorted.
    InPlace {
        /// How many.
        len: u8,
        /// The positions.
        at: [u32; IN_PLACE],
    },
    /// Sorted.
    #[expect(
        clippy::box_collection,
        reason = "there are millions of sets: each is two words"
    )]
    List(Box<Vec<u32>>),
    /// Any number.
    Bitmap(Box<RoaringBitmap>),
}

impl Default for Positions {
    fn default() -> Self {
        Self::InPlace {
            len: 0,
            at: [0; IN_PLACE],
        }
    }
}

impl Positions {
    /// The positions in order, unless they are a bitmap.
    fn sorted(&self) -> Result<&[u32], &RoaringBitmap> {
        match self {
            Self::InPlace { len, at } => Ok(&at[..usize::from(*len)]),
            Self::List(list) => Ok(list),
            Self::Bitmap(bitmap) => Err(bitmap),
        }
    }

    /// Adds a position.
    pub fn insert(&mut self, position: u32) {
        let (place, len) = match self.sorted() {
            Ok(sorted) => match sorted.binary_search(&position) {
                Ok(_) => return,
                Err(place) => (place, sorted.len()),
            },
            Err(_) => (0, 0),
        };
        match self {
            Self::InPlace { len, at } if usize::from(*len) < IN_PLACE => {
                at[place..].rotate_right(1);
                at[place] = position;
                *len += 1;
            }
            Self::InPlace { at, .. } => {
                let mut list = Vec::with_capacity(2 * IN_PLACE);
                list.extend_from_slice(&at[..]);
                list.insert(place, position);
                *self = Self::List(Box::new(list));
            }
            Self::List(list) if len < MAX_LIST => list.insert(place, position),
            Self::List(list) => {
                let mut bitmap: RoaringBitmap = list.iter().copied().collect();
                bitmap.insert(position);
                *self = Self::Bitmap(Box::new(bitmap));
            }
            Self::Bitmap(bitmap) => _ = bitmap.insert(position),
        }
    }

    /// Removes positions.
    pub fn remove(&mut self, positions: &RoaringBitmap) {
        match self {
            Self::InPlace { len, at } => {
                let mut kept = 0;
                for i in 0..usize::from(*len) {
                    if !positions.contains(at[i]) {
                        at[kept] = at[i];
                        kept += 1;
                    }
                }
                *len = kept as u8;
            }
            Self::List(list) => {
                list.retain(|p| !positions.contains(*p));
                if list.len() <= IN_PLACE {
                    let mut at = [0; IN_PLACE];
                    at[..list.len()].copy_from_slice(list);
                    let len = list.len() as u8;
                    *self = Self::InPlace { len, at };
                } else {
                    list.shrink_to_fit();
                }
            }
            Self::Bitmap(bitmap) => {
                **bitmap -= positions;
                if bitmap.len() <= MAX_LIST as u64 / 2 {
                    let mut list = Self::List(Box::new(bitmap.iter().collect()));
                    list.remove(&RoaringBitmap::new());
                    *self = list;
                }
            }
        }
    }

    /// True when there is no position.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::InPlace { len: 0, .. })
    }

    /// True when none of the positions is in `others`.
    pub fn is_disjoint(&self, others: &RoaringBitmap) -> bool {
        match self.sorted() {
            Ok(sorted) => !sorted.iter().any(|p| others.contains(*p)),
            Err(bitmap) => bitmap.is_disjoint(others),
        }
    }

    /// The positions as a bitmap.
    pub fn as_bitmap(&self) -> Cow<'_, RoaringBitmap> {
        match self.sorted() {
            Ok(sorted) => Cow::Owned(sorted.iter().copied().collect()),
            Err(bitmap) => Cow::Borrowed(bitmap),
        }
    }

    /// All positions of several sets.
    pub fn union<'a>(mut sets: impl Iterator<Item = &'a Self>) -> Cow<'a, RoaringBitmap> {
        let Some(first) = sets.next() else {
            return Cow::default();
        };
        let Some(second) = sets.next() else {
            return first.as_bitmap();
        };
        let mut union = RoaringBitmap::new();
        // Single positions are gathered and sorted: to insert them one by one in any order would move much.
        let mut singles = Vec::new();
        for set in [first, second].into_iter().chain(sets) {
            match set.sorted() {
                Ok(sorted) => singles.extend_from_slice(sorted),
                Err(bitmap) => union |= bitmap,
            }
        }
        singles.sort_unstable();
        singles.dedup();
        let singles = RoaringBitmap::from_sorted_iter(singles).expect("sorted, each once");
        union |= singles;
        Cow::Owned(union)
    }

    /// Bytes held beside the set itself; of a bitmap about.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::InPlace { .. } => 0,
            Self::List(list) => size_of::<Vec<u32>>() + list.capacity() * size_of::<u32>(),
            Self::Bitmap(bitmap) => bitmap_bytes(bitmap),
        }
    }
}

/// Bytes of a bitmap, about: as if its positions were spread evenly.
pub fn bitmap_bytes(bitmap: &RoaringBitmap) -> usize {
    let containers = bitmap.max().map_or(1, |m| (m >> 16) as usize + 1);
    let each = bitmap.len() as usize / containers;
    // Lists of sixteen-bit numbers have room for half as many again.
    BITMAP_BYTES + containers * (each * 3).min(CONTAINER_BYTES)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_set_is_two_words() {
        assert_eq!(size_of::<Positions>(), 16);
    }

    fn set_of(positions: &[u32]) -> Positions {
        let mut set = Positions::default();
        positions.iter().for_each(|p| set.insert(*p));
        set
    }

    fn positions() -> impl Strategy<Value = Vec<u32>> {
        prop_oneof![
            prop::collection::vec(0u32..200, 0..6),
            prop::collection::vec(0u32..100_000, 0..90),
            prop::collection::vec(0u32..90, 0..200),
        ]
    }

    proptest! {
        #[test]
        fn sets_hold_what_was_put_in(a in positions(), b in positions(), gone in positions()) {
            let gone: RoaringBitmap = gone.into_iter().collect();
            let mut set = set_of(&a);
            let mut model: BTreeSet<u32> = a.iter().copied().collect();
            prop_assert!(set.as_bitmap().iter().eq(model.iter().copied()));
            let other = set_of(&b);
            let union = Positions::union([&set, &other, &set].into_iter()).into_owned();
            prop_assert!(union.iter().eq(model.union(&b.iter().copied().collect()).copied()));
            prop_assert_eq!(set.is_disjoint(&gone), !model.iter().any(|p| gone.contains(*p)));
            set.remove(&gone);
            model.retain(|p| !gone.contains(*p));
            prop_assert!(set.as_bitmap().iter().eq(model.iter().copied()));
            prop_assert_eq!(set.is_empty(), model.is_empty());
            set.insert(7);
            model.insert(7);
            prop_assert!(set.as_bitmap().iter().eq(model.iter().copied()));
        }
    }
}
