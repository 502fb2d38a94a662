//! The series cache: from the labels of a series, as they lie in a request, to its place.
//!
//! Senders send the same series again and again, in about the same order. A label is kept once, with the two bytes before it, and a series
//! as the numbers of its labels: about 75 bytes for eight labels. The series after the one found last is compared first, label by label, which
//! needs no hash; otherwise the labels are hashed as they lie (XXH3) and what is found is compared, so that two series of one hash are never
//! mixed up. Labels in another order, or encoded in another way, are another entry for the same series.
//!
//! The cache is bounded by forgetting: entries are made in a young generation, which becomes the old one when it has grown well beyond the
//! number of series that the store holds, or to half of what is allowed. What is used moves on from the old generation; what is not is dropped
//! with it ten minutes later. A series that was let go by the store and is sent again is noticed when the store refuses its number.

use hashbrown::HashTable;
use hesper_model::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use super::wire::{self, LABEL, WireError};
use crate::place::Place;

/// A young generation is never turned old with fewer entries than this.
const MIN_GENERATION: usize = 1 << 16;

/// How long the old generation is kept, and the young one at least: every sender that is alive has sent by then.
const OLD_MILLIS: i64 = 10 * 60 * 1000;

/// A series.
#[derive(Clone, Copy)]
struct Entry {
    /// The lower half of the hash.
    hash: u32,
    place: Place,
    first_label: u32,
    labels: u16,
}

/// The hash by which an entry lies in the table.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[derive(Default)]
struct Generation {
    /// In the order in which they came, which is about that in which they come again.
    entries: Vec<Entry>,
    by_hash: HashTable<u32>,
    /// The labels of all entries, one after another.
    labels: Vec<u32>,
    /// Where each label lies in `bytes`; one more at the end.
    label_ends: Vec<u32>,
    by_label: HashTable<u32>,
    bytes: Vec<u8>,
}

/// What is remembered of the series that were sent.
#[derive(Default)]
pub(super) struct SeriesCache {
    young: Generation,
    old: Generation,
    /// When the old generation was the young one last.
    turned: Timestamp,
}

/// A series that was found.
pub(super) struct Hit<'a> {
    pub(super) place: Place,
    /// What comes after its labels.
    pub(super) rest: &'a [u8],
    /// True when it should be put into the young generation.
    pub(super) is_old: bool,
}

/// The entry that is looked at first.
#[derive(Clone, Copy, Default)]
pub(super) struct Guess(u32);

impl SeriesCache {
    /// Finds the series that the bytes of a request describe.
    ///
    /// # Errors
    /// When the labels cannot be told from the rest.
    #[inline]
    pub(super) fn find<'a>(
        &self,
        series: &'a [u8],
        guess: &mut Guess,
    ) -> Result<Option<Hit<'a>>, WireError> {
        if let Some(entry) = self.young.entries.get(guess.0 as usize)
            && let Some(rest) = self.young.labels_match(entry, series)
        {
            guess.0 += 1;
            return Ok(Some(Hit {
                place: entry.place,
                rest,
                is_old: false,
            }));
        }
        self.find_by_hash(series, guess)
    }

    fn find_by_hash<'a>(
        &self,
        series: &'a [u8],
        guess: &mut Guess,
    ) -> Result<Option<Hit<'a>>, WireError> {
        let (labels, _) = wire::split_labels(series)?;
        let hash = xxh3_64(labels) as u32;
        for generation in [&self.young, &self.old] {
            if let Some((number, rest)) = generation.find(hash, series) {
                let is_old = std::ptr::eq(generation, &self.old);
                if !is_old {
                    guess.0 = number + 1;
                }
                return Ok(Some(Hit {
                    place: generation.entries[number as usize].place,
                    rest,
                    is_old,
                }));
            }
        }
        Ok(None)
    }

    /// Notes the place of a series, in place of the one that is known.
    ///
    /// # Errors
    /// When the labels cannot be told from the rest.
    pub(super) fn insert(&mut self, series: &[u8], place: Place) -> Result<(), WireError> {
        let (labels, _) = wire::split_labels(series)?;
        let hash = xxh3_64(labels) as u32;
        if let Some((number, _)) = self.young.find(hash, series) {
            self.young.entries[number as usize].place = place;
            return Ok(());
        }
        self.young.insert(hash, labels, place)
    }

    /// Forgets what was not used for long, when it is time to. `live` is the number of series in the store, `limit` the most entries that may be
    /// kept.
    pub(super) fn turn(&mut self, live: usize, limit: usize, now: Timestamp) {
        if self.is_stale(now) {
            self.old = Generation::default();
        }
        if self.is_overgrown(live, limit, now) {
            self.old = std::mem::take(&mut self.young);
            self.turned = now;
        }
    }

    /// True when it is time.
    pub(super) fn wants_turn(&self, live: usize, limit: usize, now: Timestamp) -> bool {
        self.is_stale(now) || self.is_overgrown(live, limit, now)
    }

    fn has_rested(&self, now: Timestamp) -> bool {
        now.0.saturating_sub(self.turned.0) >= OLD_MILLIS
    }

    fn is_stale(&self, now: Timestamp) -> bool {
        !self.old.entries.is_empty() && self.has_rested(now)
    }

    fn is_overgrown(&self, live: usize, limit: usize, now: Timestamp) -> bool {
        let entries = self.young.entries.len();
        let beyond_live = entries > (live + live / 4).max(MIN_GENERATION);
        (beyond_live && self.has_rested(now)) || entries > limit / 2 || self.young.is_full()
    }

    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        self.young.entries.len() + self.old.entries.len()
    }

    /// Bytes held.
    pub(super) fn size_bytes(&self) -> usize {
        self.young.size_bytes() + self.old.size_bytes()
    }
}

impl Generation {
    /// What comes after the labels of `series` when they are those of the entry.
    #[inline]
    fn labels_match<'a>(&self, entry: &Entry, series: &'a [u8]) -> Option<&'a [u8]> {
        let mut rest = series;
        let first = entry.first_label as usize;
        for label in &self.labels[first..first + entry.labels as usize] {
            rest = rest.strip_prefix(self.label(*label))?;
        }
        (rest.first() != Some(&LABEL)).then_some(rest)
    }

    #[inline]
    fn label(&self, number: u32) -> &[u8] {
        let from = match number.checked_sub(1) {
            Some(before) => self.label_ends[before as usize] as usize,
            None => 0,
        };
        &self.bytes[from..self.label_ends[number as usize] as usize]
    }

    fn find<'a>(&self, hash: u32, series: &'a [u8]) -> Option<(u32, &'a [u8])> {
        let mut rest = None;
        let number = self.by_hash.find(spread(hash), |number| {
            let entry = &self.entries[*number as usize];
            if entry.hash != hash {
                return false;
            }
            rest = self.labels_match(entry, series);
            rest.is_some()
        })?;
        Some((*number, rest?))
    }

    fn insert(&mut self, hash: u32, mut labels: &[u8], place: Place) -> Result<(), WireError> {
        let first_label = self.labels.len() as u32;
        loop {
            let length = wire::label_length(labels)?;
            if length == 0 {
                break;
            }
            let (label, rest) = labels.split_at(length);
            labels = rest;
            let number = self.intern(label);
            make_room(&mut self.labels, 1);
            self.labels.push(number);
        }
        let Ok(labels) = u16::try_from(self.labels.len() - first_label as usize) else {
            // Nothing that has so many is ever valid.
            self.labels.truncate(first_label as usize);
            return Ok(());
        };
        let number = self.entries.len() as u32;
        make_room(&mut self.entries, 1);
        self.entries.push(Entry {
            hash,
            place,
            first_label,
            labels,
        });
        let entries = &self.entries;
        let hash_of = |n: &u32| spread(entries[*n as usize].hash);
        self.by_hash.insert_unique(spread(hash), number, hash_of);
        Ok(())
    }

    fn intern(&mut self, label: &[u8]) -> u32 {
        let hash = xxh3_64(label);
        let known = self.by_label.find(hash, |n| self.label(*n) == label);
        if let Some(number) = known {
            return *number;
        }
        let number = self.label_ends.len() as u32;
        make_room(&mut self.bytes, label.len());
        self.bytes.extend_from_slice(label);
        make_room(&mut self.label_ends, 1);
        self.label_ends.push(self.bytes.len() as u32);
        let (ends, bytes) = (&self.label_ends, &self.bytes);
        self.by_label.insert_unique(hash, number, |n| {
            let from = n.checked_sub(1).map_or(0, |b| ends[b as usize] as usize);
            xxh3_64(&bytes[from..ends[*n as usize] as usize])
        });
        number
    }

    /// True when the offsets of 32 bits are about to run out.
    fn is_full(&self) -> bool {
        const HALF: usize = 1 << 31;
        self.bytes.len() > HALF || self.labels.len() > HALF
    }

    fn size_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + (self.labels.capacity() + self.label_ends.capacity()) * 4
            + self.by_hash.allocation_size()
            + self.by_label.allocation_size()
            + self.bytes.capacity()
    }
}

/// Makes room for more elements, an eighth of what there is at least: to double would leave much of it unused.
fn make_room<T>(vec: &mut Vec<T>, more: usize) {
    if vec.capacity() - vec.len() < more {
        vec.reserve_exact(more.max(vec.len() / 8).max(8));
    }
}
