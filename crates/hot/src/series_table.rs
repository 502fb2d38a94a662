//! The series of a shard: a number for each, its tags as symbols, and the way from an id to the number.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet, HashTable};
use hesper_model::data_source::DSTYPE;
use hesper_model::{DataSource, ItemId, SeriesId, Tags};
use roaring::RoaringBitmap;

use crate::by_number::{ByNumber, CHUNK};
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
pub struct SeriesTable {
    /// Found by the low half of the id; the id itself is in the row.
    by_id: HashTable<SeriesRef>,
    rows: ByNumber<Row>,
    /// By series: [`UNKNOWN`], or one more than the number of its data source. Apart from the rows: it is all that a datapoint needs.
    sources: ByNumber<u8>,
    /// The number of the next series.
    next: u32,
    /// The values of all series, one after another, each in the order of its keys.
    values: Vec<Symbol>,
    /// The keys of series, in the order of their text. Most series share them with many.
    key_sets: Vec<Box<[Symbol]>>,
    key_set_numbers: HashMap<Box<[Symbol]>, u32>,
    /// Bytes of the keys in one of the two.
    key_bytes: usize,
    live: usize,
}

/// The source of a number that belongs to no known series.
const UNKNOWN: u8 = 0;

#[derive(Clone, Copy)]
struct Row {
    id: SeriesId,
    /// The first bytes of the item id, which decide its order.
    item_prefix: u64,
    first_value: u32,
    key_set: u32,
}

impl Row {
    const EMPTY: Self = Self {
        id: SeriesId(0),
        item_prefix: 0,
        first_value: 0,
        key_set: 0,
    };
}

impl Default for SeriesTable {
    fn default() -> Self {
        Self {
            by_id: HashTable::new(),
            rows: ByNumber::new(Row::EMPTY),
            sources: ByNumber::new(UNKNOWN),
            next: 0,
            values: Vec::new(),
            key_sets: Vec::new(),
            key_set_numbers: HashMap::new(),
            key_bytes: 0,
            live: 0,
        }
    }
}

impl SeriesTable {
    fn row(&self, series: SeriesRef) -> &Row {
        let row = self.rows.get(series.0);
        row.expect("the series is known")
    }

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
        let Some(&series) = self.by_id.find(hash(id), |s| self.row(*s).id == id) else {
            return Ok(None);
        };
        let mut pairs = self.text_pairs(symbols, series);
        let same = pairs.len() == tags.len()
            && tags.iter().all(|(key, value)| {
                let pair = pairs.next();
                pair.is_some_and(|(k, v)| **k == *key && **v == *value)
            });
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
        let series = SeriesRef(self.next);
        self.insert_at(symbols, series, id, tags);
        series
    }

    /// Adds a series under the number it had before, which is not below the numbers already given.
    pub fn insert_at(&mut self, symbols: &Symbols, series: SeriesRef, id: SeriesId, tags: &Tags) {
        self.reserve_numbers(series.0 + 1);
        let keys: Vec<Symbol> = tags.iter().map(|(k, _)| symbols.intern(k)).collect();
        let key_set = match self.key_set_numbers.get(&keys[..]) {
            Some(number) => *number,
            None => self.add_key_set(keys),
        };
        let first_value = self.values.len() as u32;
        make_room(&mut self.values, tags.len());
        let values = tags.iter().map(|(_, v)| symbols.intern(v));
        self.values.extend(values);
        let item = ItemId::of(tags);
        let prefix = item.0.first_chunk().expect("20 bytes");
        *self.rows.get_mut(series.0) = Row {
            id,
            item_prefix: u64::from_be_bytes(*prefix),
            first_value,
            key_set,
        };
        *self.sources.get_mut(series.0) = DataSource::of_tag(tags.get(DSTYPE)) as u8 + 1;
        let rows = &self.rows;
        self.by_id
            .insert_unique(hash(id), series, |s| hash_of(rows, *s));
        self.live += 1;
    }

    fn add_key_set(&mut self, keys: Vec<Symbol>) -> u32 {
        let number = self.key_sets.len() as u32;
        let keys: Box<[Symbol]> = keys.into();
        self.key_bytes += size_of_val(&*keys) + size_of::<Box<[Symbol]>>();
        self.key_sets.push(keys.clone());
        self.key_set_numbers.insert(keys, number);
        number
    }

    /// Makes the next series get at least this number.
    pub fn reserve_numbers(&mut self, next: u32) {
        self.next = self.next.max(next);
    }

    /// Forgets series. Their numbers stay unused. Gives a number of each chunk (see [`ByNumber`]) in which no series is known any more.
    pub fn remove(&mut self, series: &RoaringBitmap) -> Vec<u32> {
        let mut chunks: Vec<u32> = Vec::new();
        for number in series {
            if !self.is_live(SeriesRef(number)) {
                continue;
            }
            *self.sources.get_mut(number) = UNKNOWN;
            self.live -= 1;
            let id = self.row(SeriesRef(number)).id;
            let gone = self.by_id.find_entry(hash(id), |s| s.0 == number);
            if let Ok(entry) = gone {
                entry.remove();
            }
            let first = number - number % CHUNK as u32;
            if chunks.last() != Some(&first) {
                chunks.push(first);
            }
        }
        chunks.retain(|first| (0..CHUNK as u32).all(|n| !self.is_live(SeriesRef(first + n))));
        for first in &chunks {
            self.rows.drop_chunk(*first);
            self.sources.drop_chunk(*first);
        }
        self.drop_dead_values();
        chunks
    }

    /// Gives back the room of forgotten series once they hold most of it.
    fn drop_dead_values(&mut self) {
        let used: usize = self.iter().map(|s| self.keys(s).len()).sum();
        if used * 2 <= self.values.len() {
            self.renumber(|symbol| symbol);
        }
    }

    /// Gives the keys and values of known series other numbers, and gives back the room of forgotten ones.
    pub fn renumber(&mut self, mut number: impl FnMut(Symbol) -> Symbol) {
        let used = self.iter().map(|s| self.keys(s).len()).sum();
        let known: Vec<SeriesRef> = self.iter().collect();
        let mut values = Vec::with_capacity(used);
        let old_sets = std::mem::take(&mut self.key_sets);
        self.key_set_numbers = HashMap::new();
        self.key_bytes = 0;
        let mut set_numbers: Vec<Option<u32>> = vec![None; old_sets.len()];
        for series in known {
            let Row {
                first_value,
                key_set,
                ..
            } = *self.row(series);
            let keys = &old_sets[key_set as usize];
            let kept = match set_numbers[key_set as usize] {
                Some(number) => number,
                None => {
                    let keys = keys.iter().map(|k| number(*k));
                    self.add_key_set(keys.collect())
                }
            };
            set_numbers[key_set as usize] = Some(kept);
            let row = self.rows.get_mut(series.0);
            row.key_set = kept;
            row.first_value = values.len() as u32;
            let old = &self.values[first_value as usize..][..keys.len()];
            values.extend(old.iter().map(|v| number(*v)));
        }
        self.values = values;
        let rows = &self.rows;
        self.by_id.shrink_to_fit(|s| hash_of(rows, *s));
    }

    /// True when the number belongs to a series that is known.
    #[inline]
    pub fn is_live(&self, series: SeriesRef) -> bool {
        let source = self.sources.get(series.0);
        source.is_some_and(|s| *s != UNKNOWN)
    }

    /// Numbers given out so far; every number is below.
    pub fn capacity(&self) -> usize {
        self.next as usize
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
        self.sources.chunks().flat_map(|(first, sources)| {
            let numbered = (first..).zip(sources);
            numbered
                .filter(|(_, source)| **source != UNKNOWN)
                .map(|(number, _)| SeriesRef(number))
        })
    }

    /// The 128-bit id of a series.
    pub fn id(&self, series: SeriesRef) -> SeriesId {
        self.row(series).id
    }

    /// The first eight bytes of the item id, big-endian: compares as the item id does.
    pub fn item_prefix(&self, series: SeriesRef) -> u64 {
        self.row(series).item_prefix
    }

    /// How the samples of a series are read; `None` when it is not known.
    #[inline]
    pub fn source_of(&self, series: SeriesRef) -> Option<DataSource> {
        let source = self.sources.get(series.0)?;
        DataSource::from_number(source.wrapping_sub(1))
    }

    /// How the samples of N neighbours are read, as [`Self::source_of`] says of each; `None` where none of them is known. `first` is a
    /// multiple of N, and N a power of two up to 256.
    #[inline(always)]
    pub fn sources_of<const N: usize>(
        &self,
        first: SeriesRef,
    ) -> Option<impl Fn(usize) -> Option<DataSource>> {
        let sources = self.sources.neighbours::<N>(first.0)?;
        Some(move |lane: usize| DataSource::from_number(sources[lane % N].wrapping_sub(1)))
    }

    /// How the samples of a known series are read.
    pub fn source(&self, series: SeriesRef) -> DataSource {
        self.source_of(series).unwrap_or(DataSource::Rate)
    }

    fn keys(&self, series: SeriesRef) -> &[Symbol] {
        &self.key_sets[self.row(series).key_set as usize]
    }

    /// The keys that any of these series has.
    pub fn all_keys(&self, series: impl Iterator<Item = SeriesRef>) -> HashSet<Symbol> {
        let sets: HashSet<u32> = series.map(|s| self.row(s).key_set).collect();
        let keys = sets.iter().flat_map(|set| &*self.key_sets[*set as usize]);
        keys.copied().collect()
    }

    fn values(&self, series: SeriesRef) -> &[Symbol] {
        let first = self.row(series).first_value as usize;
        &self.values[first..][..self.keys(series).len()]
    }

    /// Appends the value that each of some series has for a key; `None` where it lacks the key.
    ///
    /// All rows are read before the first value: they lie far apart, and the processor then waits for many of them at once.
    pub fn values_of_key(&self, series: &[SeriesRef], key: Symbol, out: &mut Vec<Option<Symbol>>) {
        // Most have the keys of the one before.
        let (mut set, mut place) = (None, None);
        let places = series.iter().map(|s| {
            let row = self.row(*s);
            if set != Some(row.key_set) {
                let keys = &self.key_sets[row.key_set as usize];
                set = Some(row.key_set);
                place = keys.iter().position(|k| *k == key);
            }
            Some(row.first_value as usize + place?)
        });
        let places: Vec<Option<usize>> = places.collect();
        out.extend(places.into_iter().map(|p| Some(self.values[p?])));
    }

    /// The tags of a series as symbols, in the order of the keys' text.
    pub fn pairs(
        &self,
        series: SeriesRef,
    ) -> impl ExactSizeIterator<Item = (Symbol, Symbol)> + Clone + '_ {
        let keys = self.keys(series).iter().copied();
        keys.zip(self.values(series).iter().copied())
    }

    /// The tags of a series as text, in the order of the keys.
    pub fn text_pairs<'a>(
        &'a self,
        symbols: &'a Symbols,
        series: SeriesRef,
    ) -> impl ExactSizeIterator<Item = (&'a Arc<str>, &'a Arc<str>)> + Clone {
        let pairs = self.pairs(series);
        pairs.map(|(k, v)| (symbols.text(k), symbols.text(v)))
    }

    /// The tags of a series.
    pub fn tags(&self, symbols: &Symbols, series: SeriesRef) -> Tags {
        self.text_pairs(symbols, series)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.by_id.allocation_size()
            + self.rows.size_bytes()
            + self.sources.size_bytes()
            + self.values.capacity() * size_of::<Symbol>()
            + 2 * self.key_bytes
            + self.key_set_numbers.allocation_size()
    }
}

fn hash_of(rows: &ByNumber<Row>, series: SeriesRef) -> u64 {
    hash(rows.get(series.0).expect("the series is known").id)
}

/// Makes room for more elements, an eighth of what there is at least: to double would leave half of it unused.
fn make_room<T>(vec: &mut Vec<T>, more: usize) {
    if vec.capacity() - vec.len() < more {
        vec.reserve_exact(more.max(vec.len() / 8).max(8));
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
        let mut values = Vec::new();
        table.values_of_key(&[found], node, &mut values);
        let value = values[0].expect("tagged");
        assert_eq!(&**symbols.text(value), "i-7");
        let item = ItemId::of(&wanted);
        assert_eq!(table.item_prefix(found).to_be_bytes(), item.0[..8]);
    }

    #[test]
    fn values_of_a_key_are_those_of_each_series() {
        let symbols = Symbols::default();
        let mut table = SeriesTable::default();
        for i in 0..20 {
            let tags = match i % 3 {
                0 => Tags::from_pairs([("app", format!("a{i}")), ("name", "cpu".to_owned())]),
                _ => tags(i),
            };
            table.insert(&symbols, SeriesId::of(&tags), &tags);
        }
        let some: Vec<_> = [3, 4, 5, 0, 19, 12].map(SeriesRef).into();
        for key in ["app", "name", "node"] {
            let key = symbols.find(key).expect("interned");
            let mut values = vec![None];
            table.values_of_key(&some, key, &mut values);
            let value = |s| table.pairs(s).find(|(k, _)| *k == key).map(|(_, v)| v);
            let one_by_one = some.iter().map(|s| value(*s));
            assert_eq!(values[1..], one_by_one.collect::<Vec<_>>());
        }
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
