//! The index of a data file: which rows carry which tags. Made from the file's tag columns when the file is first asked for.
//!
//! The rows of a series are neighbours, so that tags are kept by series, and a row knows its series.

mod builder;
mod column;
mod row_tags;
mod rows;

use std::sync::Arc;

use hesper_model::{DataSource, ItemId, SeriesId, Slot, Tags, TimeRange};
use parquet::file::metadata::ParquetMetaData;
use roaring::RoaringBitmap;

pub use builder::{BadColumn, FileIndexBuilder};

use crate::DataFile;
use crate::deletion::Deletion;
use crate::layout;
use column::Column;
use rows::{Firsts, SeriesRows};

/// The rows of a data file and their tags.
pub struct FileIndex {
    /// The footer of the file, needed to read from it.
    pub metadata: Arc<ParquetMetaData>,
    /// Those that any series carries, sorted, as ids and item ids need them.
    keys: Vec<Arc<str>>,
    /// By key.
    columns: Vec<Column>,
    /// By series.
    ids: Vec<SeriesId>,
    rows: SeriesRows,
    firsts: Firsts,
    sources: Option<Sources>,
    /// Rows that a deletion hides altogether.
    hidden: RoaringBitmap,
    /// Rows of which a deletion hides these slots.
    masks: Vec<(RoaringBitmap, TimeRange)>,
}

/// How values are consolidated, as the tag for it says.
struct Sources {
    key: usize,
    /// By the number of the tag's value, from 1.
    of_value: Vec<DataSource>,
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
        self.rows.len()
    }

    /// True when the file has no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known of a row.
    pub fn row(&self, row: u32) -> Row {
        let series = self.rows.series_of(row);
        Row {
            id: self.ids[series],
            first: self.firsts.of_row(row),
            source: self.source_of(series),
        }
    }

    fn source_of(&self, series: usize) -> DataSource {
        let declared = self.sources.as_ref().and_then(|sources| {
            let number = self.columns[sources.key].number(series)?;
            Some(sources.of_value[number as usize - 1])
        });
        declared.unwrap_or_else(|| DataSource::of_tag(None))
    }

    /// Number of series.
    pub fn series(&self) -> usize {
        self.ids.len()
    }

    /// The first row of each series.
    pub(crate) fn first_rows(&self) -> impl Iterator<Item = u32> {
        (0..self.series()).map(|series| self.rows.first_of(series))
    }

    /// The number of a key's column, to ask for values with.
    pub fn key(&self, key: &str) -> Option<usize> {
        self.keys.binary_search_by(|k| (**k).cmp(key)).ok()
    }

    /// The number, in this file and for this key, of the value that a row has.
    pub fn value_number(&self, row: u32, key: usize) -> Option<u32> {
        self.columns[key].number(self.rows.series_of(row))
    }

    /// The text of a key's value by its number.
    pub fn text(&self, key: usize, number: u32) -> &Arc<str> {
        self.columns[key].value(number)
    }

    /// The tags of a row, in the order of the keys.
    pub fn pairs(&self, row: u32) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> + Clone {
        self.pairs_of(self.rows.series_of(row))
    }

    fn pairs_of(&self, series: usize) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> + Clone {
        let keys = self.keys.iter().zip(&self.columns);
        keys.filter_map(move |(key, column)| Some((key, column.value(column.number(series)?))))
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
        let columns = self.columns.iter().map(Column::size_bytes);
        let masks = self.masks.iter().map(|(rows, _)| rows);
        let bitmaps = masks.chain([&self.hidden]).map(|b| b.serialized_size());
        self.metadata.memory_size()
            + columns.chain(bitmaps).sum::<usize>()
            + self.ids.len() * size_of::<SeriesId>()
            + self.rows.size_bytes()
            + self.firsts.size_bytes()
    }

    /// Leaves out what deletions hide of the file.
    pub(crate) fn hide(&mut self, file: &DataFile, deletions: &[Arc<Deletion>]) {
        for deletion in deletions {
            let rows = self.matching(&deletion.query);
            let hidden = deletion.range();
            let (whole, part): (RoaringBitmap, RoaringBitmap) = rows
                .iter()
                .filter(|row| meet(hidden, self.slots(file, *row)))
                .partition(|row| {
                    let slots = self.slots(file, *row);
                    hidden.first <= slots.first && slots.last <= hidden.last
                });
            self.hidden |= whole;
            self.masks.push((part, hidden));
        }
    }

    /// The slots, of the store's step, that a row can hold values of.
    fn slots(&self, file: &DataFile, row: u32) -> TimeRange {
        if !file.is_raw() {
            return file.range();
        }
        let first = self.firsts.of_row(row);
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
