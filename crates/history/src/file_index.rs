//! The index of a data file: which rows carry which tags. Made from the file's tag columns when the file is first asked for.
//!
//! The rows of a series are neighbours, so that tags are kept by series, and a row knows its series.

mod builder;
mod cache;
mod row_tags;
mod rows;
mod series;

use std::sync::Arc;

use hesper_model::{DataSource, ItemId, SeriesId, Slot, Tags, TimeRange};
use parquet::file::metadata::ParquetMetaData;
use roaring::RoaringBitmap;

pub use builder::{BadColumn, FileIndexBuilder};
pub use cache::IndexCache;
pub use rows::FileRows;
pub use series::{FileSeries, SeriesTags};

use crate::DataFile;
use crate::deletion::Deletion;
use crate::layout;

/// No value.
const ABSENT: u32 = u32::MAX;

/// The rows of a data file and their tags.
pub struct FileIndex {
    rows: Arc<FileRows>,
    series: Arc<FileSeries>,
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
    /// The rows of a file, and their series, which are those that the rows were read with.
    pub fn new(rows: Arc<FileRows>, series: Arc<FileSeries>) -> Self {
        Self { rows, series }
    }

    /// The footer of the file, needed to read from it.
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        &self.rows.metadata
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.series.series_of.len()
    }

    /// True when the file has no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known of a row.
    pub fn row(&self, row: u32) -> Row {
        let (id, source) = self.series.ids[self.series.of_row(row)];
        Row {
            id,
            first: self.rows.firsts.of_row(row),
            source,
        }
    }

    /// Number of series.
    pub fn series(&self) -> usize {
        self.series.columns.len()
    }

    /// The number of a key's column, to ask for values with.
    pub fn key(&self, key: &str) -> Option<usize> {
        self.series.columns.key_number(key)
    }

    /// The value that a row has for a key.
    pub fn value(&self, row: u32, key: usize) -> Option<&Arc<str>> {
        Some(self.text(self.value_number(row, key)?))
    }

    /// The number, in this file, of the value that a row has for a key.
    pub fn value_number(&self, row: u32, key: usize) -> Option<u32> {
        let series = self.series.of_row(row);
        self.series.columns.value_number(series, key)
    }

    /// The text of a value's number.
    pub fn text(&self, number: u32) -> &Arc<str> {
        &self.series.columns.texts[number as usize]
    }

    /// The tags of a row, in the order of the keys.
    pub fn pairs(&self, row: u32) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> + Clone {
        self.series.columns.pairs(self.series.of_row(row))
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

    /// Leaves out what deletions hide of the file.
    #[must_use]
    pub(crate) fn without(self, file: &DataFile, deletions: &[Arc<Deletion>]) -> Self {
        if deletions.is_empty() {
            return self;
        }
        let mut rows = FileRows::clone(&self.rows);
        for deletion in deletions {
            let found = self.matching(&deletion.query);
            let hidden = deletion.range();
            let (whole, part): (RoaringBitmap, RoaringBitmap) = found
                .iter()
                .filter(|row| meet(hidden, self.slots(file, *row)))
                .partition(|row| {
                    let slots = self.slots(file, *row);
                    hidden.first <= slots.first && slots.last <= hidden.last
                });
            rows.hidden |= whole;
            rows.masks.push((part, hidden));
        }
        Self::new(Arc::new(rows), self.series)
    }

    /// The slots, of the store's step, that a row can hold values of.
    fn slots(&self, file: &DataFile, row: u32) -> TimeRange {
        if !file.is_raw() {
            return file.range();
        }
        let first = self.rows.firsts.of_row(row);
        TimeRange {
            first,
            last: first.window().last_slot(),
        }
    }

    /// The slots of a row that deletions hide.
    pub(crate) fn hidden(&self, row: u32) -> impl Iterator<Item = TimeRange> {
        let masks = self.rows.masks.iter();
        let masks = masks.filter(move |(rows, _)| rows.contains(row));
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
