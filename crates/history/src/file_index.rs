//! The index of a data file: which rows carry which tags. Made from the file's tag columns when the file is first asked for.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, MapArray, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{Int32Type, TimestampMillisecondType};
use hashbrown::HashMap;
use hesper_hot::tag_index::TagIndex;
use hesper_model::data_source::DSTYPE;
use hesper_model::{DataSource, ItemId, SeriesId, Slot, Step, Tags, Timestamp};
use parquet::file::metadata::ParquetMetaData;

use crate::layout;

/// No value.
const ABSENT: u32 = u32::MAX;

/// The rows of a data file and their tags.
pub struct FileIndex {
    /// The footer of the file, needed to read from it.
    pub metadata: Arc<ParquetMetaData>,
    /// Rows by tag.
    pub tags: TagIndex,
    keys: Vec<Arc<str>>,
    /// By key, by row: the number of the value.
    values: Vec<Vec<u32>>,
    texts: Vec<Arc<str>>,
    rows: Vec<Row>,
    bytes: usize,
}

/// What is known of a row beside its tags.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The series.
    pub id: SeriesId,
    /// The slot of element 0.
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
        self.rows.is_empty()
    }

    /// What is known of a row.
    pub fn row(&self, row: u32) -> &Row {
        &self.rows[row as usize]
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
        let number = self.values[key][row as usize];
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
}

/// Gathers the rows of a file, record batch by record batch.
#[derive(Default)]
pub struct FileIndexBuilder {
    keys: Vec<Arc<str>>,
    key_numbers: HashMap<Arc<str>, usize>,
    values: Vec<Vec<u32>>,
    texts: Vec<Arc<str>>,
    text_numbers: HashMap<Arc<str>, u32>,
    starts: Vec<i64>,
    steps: Vec<i32>,
}

/// A column is missing or of another type.
#[derive(Debug, thiserror::Error)]
#[error("column {0} is missing or not of the type it should be")]
pub struct BadColumn(pub String);

impl FileIndexBuilder {
    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// When a column is missing or of another type.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), BadColumn> {
        let before = self.starts.len();
        let rows = batch.num_rows();
        let starts: &TimestampMillisecondArray = batch
            .column_by_name(layout::START)
            .and_then(|c| c.as_primitive_opt::<TimestampMillisecondType>())
            .ok_or_else(|| BadColumn(layout::START.to_owned()))?;
        let steps: &Int32Array = batch
            .column_by_name(layout::STEP_MS)
            .and_then(|c| c.as_primitive_opt::<Int32Type>())
            .ok_or_else(|| BadColumn(layout::STEP_MS.to_owned()))?;
        self.starts.extend(starts.values());
        self.steps.extend(steps.values());
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let key = match field.name().strip_prefix(layout::TAG_PREFIX) {
                Some(key) => key,
                None if field.name() == layout::NAME => layout::NAME,
                None => continue,
            };
            let bad = || BadColumn(field.name().clone());
            let dictionary = column.as_dictionary_opt::<Int32Type>().ok_or_else(bad)?;
            let texts = dictionary.values().as_string_opt::<i32>().ok_or_else(bad)?;
            let numbers: Vec<u32> = texts
                .iter()
                .map(|t| t.map_or(ABSENT, |t| self.text(t)))
                .collect();
            let key = self.key(key);
            let values = &mut self.values[key];
            values.resize(before, ABSENT);
            let entries = dictionary.keys().iter();
            values.extend(entries.map(|entry| {
                let entry = entry.and_then(|e| usize::try_from(e).ok());
                entry
                    .and_then(|e| numbers.get(e).copied())
                    .unwrap_or(ABSENT)
            }));
        }
        if let Some(more) = batch.column_by_name(layout::MORE_TAGS) {
            let bad = || BadColumn(layout::MORE_TAGS.to_owned());
            self.add_more(before, more.as_map_opt().ok_or_else(bad)?)
                .ok_or_else(bad)?;
        }
        for values in &mut self.values {
            values.resize(before + rows, ABSENT);
        }
        Ok(())
    }

    fn add_more(&mut self, before: usize, more: &MapArray) -> Option<()> {
        for row in (0..more.len()).filter(|row| !more.is_null(*row)) {
            let entries = more.value(row);
            let keys = entries.column(0).as_string_opt::<i32>()?;
            let values = entries.column(1).as_string_opt::<i32>()?;
            for (key, value) in keys.iter().zip(values.iter()) {
                let (Some(key), Some(value)) = (key, value) else {
                    continue;
                };
                let (key, value) = (self.key(key), self.text(value));
                let column = &mut self.values[key];
                column.resize(column.len().max(before + row + 1), ABSENT);
                column[before + row] = value;
            }
        }
        Some(())
    }

    fn key(&mut self, key: &str) -> usize {
        if let Some(number) = self.key_numbers.get(key) {
            return *number;
        }
        let key: Arc<str> = key.into();
        self.keys.push(key.clone());
        self.values.push(Vec::new());
        self.key_numbers.insert(key, self.keys.len() - 1);
        self.keys.len() - 1
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(number) = self.text_numbers.get(text) {
            return *number;
        }
        let text: Arc<str> = text.into();
        let number = self.texts.len() as u32;
        self.texts.push(text.clone());
        self.text_numbers.insert(text, number);
        number
    }

    /// The index of all rows added.
    pub fn finish(self, metadata: Arc<ParquetMetaData>) -> FileIndex {
        // The keys in their order, as ids and item ids need them.
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        order.sort_by_key(|k| &self.keys[*k]);
        let keys: Vec<_> = order.iter().map(|k| self.keys[*k].clone()).collect();
        let mut values = self.values;
        let values = order.iter().map(|k| std::mem::take(&mut values[*k]));
        let text_bytes: usize = self.texts.iter().map(|t| t.len() + 40).sum();
        let mut index = FileIndex {
            metadata,
            tags: TagIndex::default(),
            keys,
            values: values.collect(),
            texts: self.texts,
            rows: Vec::with_capacity(self.starts.len()),
            bytes: 0,
        };
        let dstype = index.key(DSTYPE);
        let mut scratch = Vec::new();
        let mut tags = TagIndex::default();
        for (row, (start, step)) in self.starts.iter().zip(&self.steps).enumerate() {
            let row = row as u32;
            tags.insert(row, index.pairs(row));
            let pairs = index.pairs(row).map(|(k, v)| (&**k, &**v));
            let step = Step::from_millis(i64::from(*step)).unwrap_or(Step::from_secs(60));
            index.rows.push(Row {
                id: SeriesId::of_pairs(pairs, &mut scratch),
                first: Slot::ending_by(Timestamp(*start), step),
                source: DataSource::of_tag(dstype.and_then(|k| index.value(row, k)).map(|v| &**v)),
            });
        }
        index.tags = tags;
        // Each tag of a row costs its number, and about two bytes in a bitmap.
        let cells: usize = index.values.iter().map(Vec::len).sum();
        index.bytes = text_bytes + cells * 6 + index.rows.len() * size_of::<Row>();
        index
    }
}

/// The columns that an index is made from.
pub fn is_indexed(column: &str) -> bool {
    column == layout::NAME
        || column == layout::MORE_TAGS
        || column == layout::START
        || column == layout::STEP_MS
        || column.starts_with(layout::TAG_PREFIX)
}
