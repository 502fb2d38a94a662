//! Feeds: the ways by which what was sent for other series goes into one that gathers it.
//!
//! A series gathers from the first feed it has. Its slots then hold the sum of what was brought for them (`sum`), or the highest (`gauge`). What
//! a feed brings depends on the type of the series that was sent:
//!
//! - **rate, counter**: the feed is of one original and remembers its last sample, as the normaliser does for a series. What the normaliser
//!   makes for a slot is added there once: a sample that comes again, or too late for its original, adds nothing.
//! - **sum**: each sample is added to the slot that its time rounds up to.
//! - **gauge**: each sample counts in the slot that its time rounds up to if it is the highest.
//!
//! The last two remember nothing, so that all originals share one feed. Feeds live in the shard of the series that gathers and change with
//! records of its log, so that they are there again after a restart. In samples a feed takes the place of a series.

use hashbrown::{HashMap, HashTable};
use hesper_model::{DataSource, ItemId, SeriesId, Tags, Timestamp};
use roaring::RoaringBitmap;

use crate::normaliser::NormaliserState;
use crate::series_table::SeriesRef;

/// Set in the number of a feed, never in that of a series.
pub const FEED: u32 = 1 << 31;

impl SeriesRef {
    /// True for the number of a feed.
    #[inline]
    pub const fn is_feed(self) -> bool {
        self.0 & FEED != 0
    }
}

/// Whose samples a feed brings: the 128-bit id of a series, and the beginning of its item id, which another series of that id does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Original(pub [u64; 3]);

impl Original {
    /// All originals.
    pub const ANY: Self = Self([0; 3]);

    /// The original with these tags.
    pub fn of(tags: &Tags) -> Self {
        let id = SeriesId::of(tags).0;
        let item = ItemId::of(tags);
        let check = item.0.first_chunk().expect("20 bytes");
        Self([id as u64, (id >> 64) as u64, u64::from_be_bytes(*check)])
    }
}

/// From where to where a feed goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The series that gathers.
    pub target: SeriesRef,
    /// The type of what is sent.
    pub source: DataSource,
    /// Whose samples it brings.
    pub original: Original,
}

impl Way {
    /// The way into a series. What is sent as a rate or a counter has one for each original, the rest shares one.
    pub fn new(target: SeriesRef, source: DataSource, original: &Tags) -> Self {
        let original = match source {
            DataSource::Rate | DataSource::Counter => Original::of(original),
            DataSource::Sum | DataSource::Gauge => Original::ANY,
        };
        Self {
            target,
            source,
            original,
        }
    }

    /// True when it is of one original.
    pub fn is_of_one(&self) -> bool {
        self.original != Original::ANY
    }

    fn hash(&self) -> u64 {
        // The id is a hash; the odd factor spreads the shared ways, whose id is 0.
        let target = u64::from(self.target.0) << 2 | self.source as u64;
        self.original.0[0] ^ target.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

/// A feed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feed {
    /// From where to where it goes.
    pub way: Way,
    /// What the normaliser remembers of its original.
    pub state: NormaliserState,
}

impl Feed {
    /// A feed that has brought nothing yet.
    pub fn new(way: Way) -> Self {
        Self {
            way,
            state: NormaliserState::default(),
        }
    }
}

/// All feeds of a shard.
#[derive(Default)]
pub struct Feeds {
    /// By their numbers. A number is not given to another feed while the process lives.
    rows: HashMap<u32, Feed>,
    next: u32,
    by_way: HashTable<u32>,
    /// A bit for each series that gathers.
    gathering: Vec<u64>,
}

impl Feeds {
    /// The number of the feed that goes a way.
    pub fn find(&self, way: &Way) -> Option<SeriesRef> {
        let same = |n: &u32| self.rows[n].way == *way;
        self.by_way.find(way.hash(), same).map(|n| SeriesRef(*n))
    }

    /// The number that the next feed gets; `None` when there are no more.
    pub fn next(&self) -> Option<SeriesRef> {
        (self.next < FEED).then_some(SeriesRef(self.next | FEED))
    }

    /// Takes in a feed under its number.
    pub fn insert_at(&mut self, number: SeriesRef, feed: Feed) {
        self.next = self.next.max((number.0 & !FEED) + 1);
        self.rows.insert(number.0, feed);
        let rows = &self.rows;
        self.by_way
            .insert_unique(feed.way.hash(), number.0, |n| rows[n].way.hash());
        let target = feed.way.target.index();
        let (word, bit) = (target / 64, target % 64);
        if word >= self.gathering.len() {
            self.gathering.resize(word + 1, 0);
        }
        self.gathering[word] |= 1 << bit;
    }

    /// The feed of a number.
    #[inline]
    pub fn get_mut(&mut self, number: SeriesRef) -> Option<&mut Feed> {
        self.rows.get_mut(&number.0)
    }

    /// The feed of a number.
    pub fn get(&self, number: SeriesRef) -> Option<&Feed> {
        self.rows.get(&number.0)
    }

    /// True when a series gathers: what is sent for it by itself is gathered too.
    #[inline]
    pub fn gathers(&self, series: SeriesRef) -> bool {
        let word = self.gathering.get(series.index() / 64);
        word.is_some_and(|w| w >> (series.index() % 64) & 1 == 1)
    }

    /// Number of feeds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The feeds with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (SeriesRef, &Feed)> {
        self.rows.iter().map(|(n, feed)| (SeriesRef(*n), feed))
    }

    /// The feeds that are of no more use: those into the `gone` series, and those whose original was last sent before `horizon`.
    pub fn idle(&self, gone: &RoaringBitmap, horizon: Timestamp) -> RoaringBitmap {
        let is_idle = |feed: &Feed| {
            let (last, _, _, _): (i64, i64, f64, f64) = feed.state.into();
            gone.contains(feed.way.target.0) || (feed.way.is_of_one() && last < horizon.0)
        };
        let idle = self.iter().filter(|(_, feed)| is_idle(feed));
        idle.map(|(number, _)| number.0).collect()
    }

    /// Forgets the feeds among `numbers`, and that the series among them gather.
    pub fn remove(&mut self, numbers: &RoaringBitmap) {
        for number in numbers {
            let number = SeriesRef(number);
            if !number.is_feed() {
                if let Some(word) = self.gathering.get_mut(number.index() / 64) {
                    *word &= !(1 << (number.index() % 64));
                }
                continue;
            }
            let Some(feed) = self.rows.remove(&number.0) else {
                continue;
            };
            let entry = self.by_way.find_entry(feed.way.hash(), |n| *n == number.0);
            entry.expect("every feed is in the table").remove();
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.rows.capacity() * (size_of::<(u32, Feed)>() + 1)
            + self.by_way.capacity() * 5
            + self.gathering.capacity() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(i: usize) -> Tags {
        Tags::from_pairs([("name", "cpu".to_owned()), ("node", format!("i-{i}"))])
    }

    #[test]
    fn an_original_has_one_feed_into_a_series() {
        let mut feeds = Feeds::default();
        let add = |feeds: &mut Feeds, way: Way| {
            assert_eq!(feeds.find(&way), None);
            let number = feeds.next().expect("numbers");
            feeds.insert_at(number, Feed::new(way));
            number
        };
        let of = |target, i| Way::new(SeriesRef(target), DataSource::Rate, &tags(i));
        let a = add(&mut feeds, of(7, 1));
        let b = add(&mut feeds, of(7, 2));
        let c = add(&mut feeds, of(8, 1));
        let shared = |i| Way::new(SeriesRef(9), DataSource::Sum, &tags(i));
        let d = add(&mut feeds, shared(1));
        assert!(a.is_feed() && a != b && b != c);
        assert_eq!(feeds.find(&of(7, 2)), Some(b));
        assert_eq!(feeds.find(&shared(5)), Some(d));
        assert!(feeds.gathers(SeriesRef(8)) && !feeds.gathers(SeriesRef(6)));
        let idle = feeds.idle(&[8].into(), Timestamp(i64::MIN));
        assert_eq!(idle.iter().collect::<Vec<_>>(), [c.0]);
        let mut gone = idle;
        gone.insert(8);
        feeds.remove(&gone);
        assert!(!feeds.gathers(SeriesRef(8)) && feeds.get(c).is_none());
        assert_eq!(feeds.find(&of(8, 1)), None);
        // Nothing was sent by those of one original; the shared one stays.
        let idle = feeds.idle(&RoaringBitmap::new(), Timestamp(0));
        assert_eq!(idle.iter().collect::<Vec<_>>(), [a.0, b.0]);
        assert_eq!((feeds.len(), feeds.next()), (3, Some(SeriesRef(4 | FEED))));
    }

    #[test]
    fn two_originals_of_one_id_have_two_feeds() {
        let mut feeds = Feeds::default();
        let way = Way::new(SeriesRef(1), DataSource::Counter, &tags(1));
        feeds.insert_at(SeriesRef(FEED), Feed::new(way));
        let mut other = way;
        other.original.0[2] += 1;
        assert_eq!(feeds.find(&other), None);
    }
}
