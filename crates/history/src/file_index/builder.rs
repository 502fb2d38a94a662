//! Makes an index of the rows of a file, record batch by record batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, MapArray, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{Int32Type, TimestampMillisecondType};
use hashbrown::HashMap;
use hesper_model::data_source::DSTYPE;
use hesper_model::{DataSource, SeriesId, Slot, Step, Timestamp};
use parquet::file::metadata::ParquetMetaData;
use roaring::RoaringBitmap;

use super::column::{ABSENT, Column};
use super::rows::{Firsts, SeriesRows};
use super::{FileIndex, Sources};
use crate::layout;

/// Gathers the rows of a file, record batch by record batch.
#[derive(Default)]
pub struct FileIndexBuilder {
    keys: BTreeMap<Arc<str>, KeyRows>,
    starts: Vec<i64>,
    steps: Vec<i32>,
}

/// The values of a key, and by row the number of its value.
#[derive(Default)]
struct KeyRows {
    /// In the order in which they came; the first has the number 1.
    values: Vec<Arc<str>>,
    known: HashMap<Arc<str>, u32>,
    /// By row; [`ABSENT`] where there is none. Shorter than the rows when the last ones have none.
    numbers: Vec<u32>,
}

impl KeyRows {
    fn number(&mut self, value: &str) -> u32 {
        if let Some(number) = self.known.get(value) {
            return *number;
        }
        let value: Arc<str> = value.into();
        self.values.push(value.clone());
        let number = self.values.len() as u32;
        self.known.insert(value, number);
        number
    }

    fn set(&mut self, row: usize, value: &str) {
        let number = self.number(value);
        self.numbers.resize(self.numbers.len().max(row + 1), ABSENT);
        self.numbers[row] = number;
    }

    /// The column of the series that begin at these rows. A value of the file's dictionary that no row has is left out.
    fn column(self, first_rows: &[u32]) -> Column {
        let mut carried = vec![false; self.values.len() + 1];
        for row in first_rows {
            carried[self.numbers[*row as usize] as usize] = true;
        }
        let places = 0..self.values.len();
        let mut order: Vec<usize> = places.filter(|place| carried[place + 1]).collect();
        order.sort_by_key(|place| &self.values[*place]);
        let mut sorted = vec![ABSENT; carried.len()];
        for (number, place) in (1..).zip(&order) {
            sorted[place + 1] = number;
        }
        let values = order.iter().map(|place| self.values[*place].clone());
        let numbers = first_rows.iter().map(|row| self.numbers[*row as usize]);
        Column::new(values.collect(), numbers.map(|n| sorted[n as usize]))
    }
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
            let key = self.key(key);
            let mut number = |text: Option<&str>| text.map_or(ABSENT, |text| key.number(text));
            let numbers: Vec<u32> = texts.iter().map(&mut number).collect();
            key.numbers.resize(before, ABSENT);
            let entries = dictionary.keys().iter();
            key.numbers.extend(entries.map(|entry| {
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
        Ok(())
    }

    fn add_more(&mut self, before: usize, more: &MapArray) -> Option<()> {
        for row in (0..more.len()).filter(|row| !more.is_null(*row)) {
            let entries = more.value(row);
            let keys = entries.column(0).as_string_opt::<i32>()?;
            let values = entries.column(1).as_string_opt::<i32>()?;
            for (key, value) in keys.iter().zip(values.iter()) {
                if let (Some(key), Some(value)) = (key, value) {
                    self.key(key).set(before + row, value);
                }
            }
        }
        Some(())
    }

    fn key(&mut self, key: &str) -> &mut KeyRows {
        if !self.keys.contains_key(key) {
            self.keys.insert(key.into(), KeyRows::default());
        }
        self.keys.get_mut(key).expect("it is there now")
    }

    /// The index of all rows added.
    pub fn finish(mut self, metadata: Arc<ParquetMetaData>) -> FileIndex {
        let rows = self.starts.len();
        for key in self.keys.values_mut() {
            key.numbers.resize(rows, ABSENT);
        }
        let columns: Vec<&[u32]> = self.keys.values().map(|k| &k.numbers[..]).collect();
        let same = |a: usize, b: usize| columns.iter().all(|column| column[a] == column[b]);
        // The rows of a series are neighbours.
        let first_rows: Vec<u32> = (0..rows)
            .filter(|row| *row == 0 || !same(row - 1, *row))
            .map(|row| row as u32)
            .collect();
        let firsts = self.starts.iter().zip(&self.steps).map(|(start, step)| {
            let step = Step::from_millis(i64::from(*step)).unwrap_or(Step::from_secs(60));
            Slot::ending_by(Timestamp(*start), step)
        });
        let firsts = Firsts::of(firsts);
        let (keys, columns): (Vec<_>, Vec<_>) = self
            .keys
            .into_iter()
            .map(|(key, rows)| (key, rows.column(&first_rows)))
            .filter(|(_, column)| !column.values().is_empty())
            .unzip();
        let mut index = FileIndex {
            metadata,
            keys,
            columns,
            ids: Vec::with_capacity(first_rows.len()),
            rows: SeriesRows::new(&first_rows, rows),
            firsts,
            sources: None,
            hidden: RoaringBitmap::new(),
            masks: Vec::new(),
        };
        let mut scratch = Vec::new();
        for series in 0..first_rows.len() {
            let pairs = index.pairs_of(series).map(|(k, v)| (&**k, &**v));
            let id = SeriesId::of_pairs(pairs, &mut scratch);
            index.ids.push(id);
        }
        index.sources = index.key(DSTYPE).map(|key| {
            let values = index.columns[key].values().iter();
            Sources {
                key,
                of_value: values.map(|v| DataSource::of_tag(Some(v))).collect(),
            }
        });
        index
    }
}
