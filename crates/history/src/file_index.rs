//! The index of a data file: which rows carry which tags. Made from the file's tag columns when the file is first asked for.
//!
//! The rows of a series are neighbours, so that tags are kept by series, and a row knows its series.

mod builder;
mod row_tags;

use std::sync::Arc;

use hesper_model::{DataSource, ItemId, SeriesId, Slot, Tags, TimeRange};
use parquet::file::metadata::ParquetMetaData;
use roaring::RoaringBitmap;

pub use builder::{BadColumn, FileIndexBuilder};
pub use row_tags::RowTags;

use crate::DataFile;
use crate::deletion::Deletion;
use crate::layout;

/// No value.
const ABSENT: u32 = u32::MAX;

/// The rows of a data file and their tags.
pub struct FileIndex {
    /// The footer of the file, needed to read from it.
    pub metadata: Arc<ParquetMetaData>,
    /// Rows by tag.
    pub tags: RowTags,
    keys: Vec<Arc<str>>,
    /// By key, by series: the number of the value.
    values: Vec<Vec<u32>>,
    texts: Vec<Arc<str>>,
    series: Vec<Series>,
    /// By row: the slot of element 0.
    firsts: Vec<Slot>,
    /// Rows of which a deletion hides these slots.
    masks: Vec<(RoaringBitmap, TimeRange)>,
    bytes: usize,
}

struct Series {
    id: SeriesId,
    source: DataSource,
}

/// What is known of a row beside its tags.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The series.
    pub id: SeriesId,
    /// The slot of element 0, counted in steps of the row.
    pub first: Slot,
    /// How its values are consolidated.
    pub source: DataSource,
}

impl FileIndex {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.firsts.len()
    }

    /// True when the file has no row.
    pub fn is_empty(&self) -> bool {
        self.firsts.is_empty()
    }

    /// What is known of a row.
    pub fn row(&self, row: u32) -> Row {
        let series = &self.series[self.tags.series_of(row)];
        Row {
            id: series.id,
            first: self.firsts[row as usize],
            source: series.source,
        }
    }

    /// Number of series.
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// The number of a key's column, to ask for values with.
    pub fn key(&self, key: &str) -> Option<usize> {
        self.keys.iter().position(|k| **k == *key)
    }

    /// The value that a row has for a key.
    pub fn value(&self, row: u32, key: usize) -> Option<&Arc<str>> {
        let number = self.value_number(row, key)?;
        Some(&self.texts[number as usize])
    }

    /// The number, in this file, of the value that a row has for a key.
    pub fn value_number(&self, row: u32, key: usize) -> Option<u32> {
        let number = self.values[key][self.tags.series_of(row)];
        (number != ABSENT).then_some(number)
    }

    /// The text of a value's number.
    pub fn text(&self, number: u32) -> &Arc<str> {
        &self.texts[number as usize]
    }

    /// The tags of a row, in the order of the keys.
    pub fn pairs(&self, row: u32) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> + Clone {
        let keys = self.keys.iter().enumerate();
        keys.filter_map(move |(k, key)| Some((key, self.value(row, k)?)))
    }

    /// The tags of a row.
    pub fn tags_of(&self, row: u32) -> Tags {
        let pairs = self.pairs(row);
        pairs.map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// The first eight bytes of the item id of a row's series, as the hot tier compares them.
    pub fn item_prefix(&self, row: u32) -> u64 {
        let item = ItemId::of_pairs(self.pairs(row).map(|(k, v)| (&**k, &**v)));
        u64::from_be_bytes(*item.0.first_chunk().expect("20 bytes"))
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// Leaves out what deletions hide of the file.
    pub(crate) fn hide(&mut self, file: &DataFile, deletions: &[Arc<Deletion>]) {
        for deletion in deletions {
            let rows = self.tags.matching(&deletion.query);
            let hidden = deletion.range();
            let (whole, part): (RoaringBitmap, RoaringBitmap) = rows
                .iter()
                .filter(|row| meet(hidden, self.slots(file, *row)))
                .partition(|row| {
                    let slots = self.slots(file, *row);
                    hidden.first <= slots.first && slots.last <= hidden.last
                });
            self.tags.hide(&whole);
            self.masks.push((part, hidden));
        }
    }

    /// The slots, of the store's step, that a row can hold values of.
    fn slots(&self, file: &DataFile, row: u32) -> TimeRange {
        if !file.is_raw() {
            return file.range();
        }
        let first = self.firsts[row as usize];
        TimeRange {
            first,
            last: first.window().last_slot(),
        }
    }

    /// The slots of a row that deletions hide.
    pub(crate) fn hidden(&self, row: u32) -> impl Iterator<Item = TimeRange> {
        let masks = self
            .masks
            .iter()
            .filter(move |(rows, _)| rows.contains(row));
        masks.map(|(_, range)| *range)
    }
}

fn meet(a: TimeRange, b: TimeRange) -> bool {
    a.first <= b.last && b.first <= a.last
}

/// The columns that an index is made from.
pub fn is_indexed(column: &str) -> bool {
    column == layout::NAME
        || column == layout::MORE_TAGS
        || column == layout::START
        || column == layout::STEP_MS
        || column.starts_with(layout::TAG_PREFIX)
}
