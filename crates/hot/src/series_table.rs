//! The series of a shard: a number for each, its tags as symbols, and the way from an id to the number.

use std::sync::Arc;

use hashbrown::HashTable;
use hesper_model::data_source::DSTYPE;
use hesper_model::{DataSource, ItemId, SeriesId, Tags};
use roaring::RoaringBitmap;

use crate::symbols::{Symbol, Symbols};

/// The number of a series in its shard. Never given to another series while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u32);

impl SeriesRef {
    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Two series with the same 128-bit id: the store cannot tell them apart and refuses the second.
#[derive(Debug, thiserror::Error)]
#[error("the series [{new}] has the same id as [{known}]; change one of its tags")]
pub struct IdCollision {
    new: Tags,
    known: Tags,
}

const fn hash(id: SeriesId) -> u64 {
    id.0 as u64
}

/// All series of a shard.
#[derive(Default)]
pub struct SeriesTable {
    /// Found by the low half of the id; the id itself is in the row.
    by_id: HashTable<SeriesRef>,
    rows: Vec<Row>,
    /// Keys and values of all series, one after another.
    pairs: Vec<(Symbol, Symbol)>,
    live: usize,
}

#[derive(Clone, Copy)]
struct Row {
    id: SeriesId,
    /// The first bytes of the item id, which decide its order.
    item_prefix: u64,
    first_pair: u32,
    pairs: u16,
    source: DataSource,
    live: bool,
}

impl Row {
    const DEAD: Self = Self {
        id: SeriesId(0),
        item_prefix: 0,
        first_pair: 0,
        pairs: 0,
        source: DataSource::Rate,
        live: false,
    };
}

impl SeriesTable {
    /// The number of a series that is known.
    ///
    /// # Errors
    /// When another series has the id.
    pub fn find(
        &self,
        symbols: &Symbols,
        id: SeriesId,
        tags: &Tags,
    ) -> Result<Option<SeriesRef>, IdCollision> {
        let Some(&series) = self.by_id.find(hash(id), |s| self.rows[s.index()].id == id) else {
            return Ok(None);
        };
        let same = self.pairs(series).len() == tags.len()
            && self
                .text_pairs(symbols, series)
                .zip(tags.iter())
                .all(|((k, v), (key, value))| **k == *key && **v == *value);
        if same {
            Ok(Some(series))
        } else {
            Err(IdCollision {
                new: tags.clone(),
                known: self.tags(symbols, series),
            })
        }
    }

    /// Adds a series that is not known yet and gives its number.
    pub fn insert(&mut self, symbols: &Symbols, id: SeriesId, tags: &Tags) -> SeriesRef {
        let series = SeriesRef(self.rows.len() as u32);
        self.insert_at(symbols, series, id, tags);
        series
    }

    /// Adds a series under the number it had before, which is not below the numbers already given.
    pub fn insert_at(&mut self, symbols: &Symbols, series: SeriesRef, id: SeriesId, tags: &Tags) {
        self.reserve_numbers(series.0 + 1);
        let first_pair = self.pairs.len() as u32;
        for (k, v) in tags.iter() {
            self.pairs.push((symbols.intern(k), symbols.intern(v)));
        }
        let item = ItemId::of(tags);
        let prefix = item.0.first_chunk().expect("20 bytes");
        self.rows[series.index()] = Row {
            id,
            item_prefix: u64::from_be_bytes(*prefix),
            first_pair,
            pairs: tags.len() as u16,
            source: DataSource::of_tag(tags.get(DSTYPE)),
            live: true,
        };
        let rows = &self.rows;
        self.by_id
            .insert_unique(hash(id), series, |s| hash(rows[s.index()].id));
        self.live += 1;
    }

    /// Makes the next series get at least this number.
    pub fn reserve_numbers(&mut self, next: u32) {
        if self.rows.len() < next as usize {
            self.rows.resize(next as usize, Row::DEAD);
        }
    }

    /// Forgets series. Their numbers stay unused.
    pub fn remove(&mut self, series: &RoaringBitmap) {
        for number in series {
            let row = &mut self.rows[number as usize];
            if !row.live {
                continue;
            }
            row.live = false;
            self.live -= 1;
            let gone = self.by_id.find_entry(hash(row.id), |s| s.0 == number);
            if let Ok(entry) = gone {
                entry.remove();
            }
        }
        self.drop_dead_pairs();
    }

    /// Gives back the room of forgotten series once they hold most of it.
    fn drop_dead_pairs(&mut self) {
        let used: usize = self
            .rows
            .iter()
            .filter(|r| r.live)
            .map(|r| r.pairs as usize)
            .sum();
        if used * 2 > self.pairs.len() {
            return;
        }
        let mut kept = Vec::with_capacity(used);
        for row in self.rows.iter_mut().filter(|r| r.live) {
            let from = row.first_pair as usize;
            row.first_pair = kept.len() as u32;
            kept.extend_from_slice(&self.pairs[from..from + row.pairs as usize]);
        }
        self.pairs = kept;
    }

    /// True when the number belongs to a series that is known.
    pub fn is_live(&self, series: SeriesRef) -> bool {
        self.rows.get(series.index()).is_some_and(|r| r.live)
    }

    /// Numbers given out so far; every number is below.
    pub fn capacity(&self) -> usize {
        self.rows.len()
    }

    /// Series that are known.
    pub fn len(&self) -> usize {
        self.live
    }

    /// True when no series is known.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The known series, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = SeriesRef> + '_ {
        let live = self.rows.iter().enumerate().filter(|(_, r)| r.live);
        live.map(|(i, _)| SeriesRef(i as u32))
    }

    /// The 128-bit id of a series.
    pub fn id(&self, series: SeriesRef) -> SeriesId {
        self.rows[series.index()].id
    }

    /// The first eight bytes of the item id, big-endian: compares as the item id does.
    pub fn item_prefix(&self, series: SeriesRef) -> u64 {
        self.rows[series.index()].item_prefix
    }

    /// How the samples of a series are read.
    pub fn source(&self, series: SeriesRef) -> DataSource {
        self.rows[series.index()].source
    }

    /// The tags of a series as symbols, in the order of the keys' text.
    pub fn pairs(&self, series: SeriesRef) -> &[(Symbol, Symbol)] {
        let row = &self.rows[series.index()];
        &self.pairs[row.first_pair as usize..][..row.pairs as usize]
    }

    /// The value of a key.
    pub fn value(&self, series: SeriesRef, key: Symbol) -> Option<Symbol> {
        let pair = self.pairs(series).iter().find(|(k, _)| *k == key);
        pair.map(|(_, v)| *v)
    }

    /// The tags of a series as text, in the order of the keys.
    pub fn text_pairs<'a>(
        &'a self,
        symbols: &'a Symbols,
        series: SeriesRef,
    ) -> impl ExactSizeIterator<Item = (&'a Arc<str>, &'a Arc<str>)> + Clone {
        let pairs = self.pairs(series).iter();
        pairs.map(|(k, v)| (symbols.text(*k), symbols.text(*v)))
    }

    /// The tags of a series.
    pub fn tags(&self, symbols: &Symbols, series: SeriesRef) -> Tags {
        self.text_pairs(symbols, series)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(i: usize) -> Tags {
        Tags::from_pairs([
            ("name", "cpu".to_owned()),
            ("node", format!("i-{i}")),
            ("atlas.dstype", "gauge".to_owned()),
        ])
    }

    #[test]
    fn series_are_found_again() {
        let symbols = Symbols::default();
        let mut table = SeriesTable::default();
        for i in 0..10 {
            let tags = tags(i);
            let series = table.insert(&symbols, SeriesId::of(&tags), &tags);
            assert_eq!(series, SeriesRef(i as u32));
        }
        let wanted = tags(7);
        let found = table
            .find(&symbols, SeriesId::of(&wanted), &wanted)
            .expect("no collision")
            .expect("known");
        assert_eq!(table.tags(&symbols, found), wanted);
        assert_eq!(table.source(found), DataSource::Gauge);
        let node = symbols.find("node").expect("interned");
        let value = table.value(found, node).expect("tagged");
        assert_eq!(&**symbols.text(value), "i-7");
        let item = ItemId::of(&wanted);
        assert_eq!(table.item_prefix(found).to_be_bytes(), item.0[..8]);
    }

    #[test]
    fn a_collision_is_noticed() {
        let symbols = Symbols::default();
        let mut table = SeriesTable::default();
        table.insert(&symbols, SeriesId(5), &tags(1));
        assert!(table.find(&symbols, SeriesId(5), &tags(2)).is_err());
        assert!(matches!(
            table.find(&symbols, SeriesId(6), &tags(2)),
            Ok(None)
        ));
    }

    #[test]
    fn removed_series_leave_their_numbers_unused() {
        let symbols = Symbols::default();
        let mut table = SeriesTable::default();
        for i in 0..10 {
            let tags = tags(i);
            table.insert(&symbols, SeriesId::of(&tags), &tags);
        }
        table.remove(&(0..8).collect());
        assert_eq!((table.len(), table.capacity()), (2, 10));
        assert!(!table.is_live(SeriesRef(3)));
        assert_eq!(table.tags(&symbols, SeriesRef(9)), tags(9));
        let again = table.insert(&symbols, SeriesId::of(&tags(3)), &tags(3));
        assert_eq!(again, SeriesRef(10));
        assert_eq!(table.iter().map(|s| s.0).collect::<Vec<_>>(), [8, 9, 10]);
    }
}
