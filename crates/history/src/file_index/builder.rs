//! Makes an index of the rows of a file, record batch by record batch.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, MapArray, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{Int32Type, TimestampMillisecondType};
use hashbrown::HashMap;
use hesper_model::{Slot, Step, Timestamp};
use parquet::file::metadata::ParquetMetaData;
use roaring::RoaringBitmap;

use super::rows::Firsts;
use super::{ABSENT, FileRows, SeriesTags};
use crate::layout;

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

    /// All rows added, and what tells their series.
    pub fn finish(self, metadata: Arc<ParquetMetaData>) -> (FileRows, SeriesTags) {
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        order.sort_by_key(|k| &self.keys[*k]);
        let keys: Vec<_> = order.iter().map(|k| self.keys[*k].clone()).collect();
        let rows = self.starts.len();
        let same = |a: usize, b: usize| self.values.iter().all(|column| column[a] == column[b]);
        // The rows of a series are neighbours.
        let mut first_rows: Vec<u32> = (0..rows)
            .filter(|row| *row == 0 || !same(row - 1, *row))
            .map(|row| row as u32)
            .collect();
        let by_series = |key: usize| {
            let first = first_rows.iter();
            first.map(|row| self.values[key][*row as usize]).collect()
        };
        let values: Vec<Vec<u32>> = order.iter().map(|k| by_series(*k)).collect();
        first_rows.push(rows as u32);
        let firsts = self.starts.iter().zip(&self.steps).map(|(start, step)| {
            let step = Step::from_millis(i64::from(*step)).unwrap_or(Step::from_secs(60));
            Slot::ending_by(Timestamp(*start), step)
        });
        let rows = FileRows {
            metadata,
            firsts: Firsts::of(firsts.collect()),
            masks: Vec::new(),
            hidden: RoaringBitmap::new(),
        };
        let columns = SeriesTags {
            keys,
            values,
            texts: self.texts,
            first_rows,
        };
        (rows, columns)
    }
}
