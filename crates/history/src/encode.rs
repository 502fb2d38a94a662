//! Rows of raw data to Parquet: a file in memory, ready to be put on the object store.

mod elements;
mod key_columns;
mod properties;
mod row_file;

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, Int32Builder, Int64Builder};
use hesper_hot::codec::Divisors;
use hesper_hot::store::FlushRow;
use hesper_model::{BLOCK_SLOTS, Block, Step, Tags, Window};

pub(crate) use elements::{Elements, Scale};
pub(crate) use key_columns::KeyColumns;
pub(crate) use properties::properties;
pub(crate) use row_file::RowFile;

use crate::HistoryError;
use crate::layout::{self, split_keys};

/// A data file, encoded.
#[derive(Clone, Debug)]
pub struct EncodedFile {
    /// The Parquet file.
    pub bytes: bytes::Bytes,
    /// Its rows.
    pub rows: u64,
    /// Datapoints in them.
    pub datapoints: u64,
    /// The lowest and the highest name.
    pub names: (String, String),
    /// The first and the last slot that the rows cover.
    pub slots: (i64, i64),
}

/// Encodes rows, sorted by name, tags and window, as a data file. `sequence` decides which of two rows of a series counts.
///
/// # Errors
/// When Parquet refuses them.
///
/// # Panics
/// When there is no row.
pub fn encode(rows: &[FlushRow], step: Step, sequence: u64) -> Result<EncodedFile, HistoryError> {
    let (keys, _) = split_keys(rows.iter().flat_map(|r| r.tags.iter().map(|(k, _)| k)));
    let mut writer = FileWriter::new(step, keys)?;
    for row in rows {
        writer.push(&row.tags, row.window, &row.block, sequence)?;
    }
    writer.finish()
}

fn refused(error: impl std::fmt::Display) -> HistoryError {
    HistoryError::file("(being written)", error)
}

/// Writes a file of raw data, row by row, into memory.
pub struct FileWriter {
    file: RowFile,
    keys: KeyColumns,
    values: ValueColumns,
    step: Step,
    divisors: Divisors,
}

impl FileWriter {
    /// A file in which `keys`, which are sorted, have a column each: see [`split_keys`]. Tags with other keys may come too.
    ///
    /// # Errors
    /// When Parquet refuses the columns.
    pub fn new(step: Step, keys: Vec<String>) -> Result<Self, HistoryError> {
        let schema = layout::schema(&keys);
        let lists = [layout::SCALED_VALUES, layout::PLAIN_VALUES];
        let properties = properties(&lists, &[layout::BASE, layout::SUM, layout::MIN]);
        Ok(Self {
            file: RowFile::new(schema, properties)?,
            keys: KeyColumns::new(keys),
            values: ValueColumns::default(),
            step,
            divisors: Divisors::new(step),
        })
    }

    /// Adds a row: a series' block of a window. Rows come sorted by name, tags and window.
    ///
    /// # Errors
    /// When Parquet refuses it.
    pub fn push(
        &mut self,
        tags: &Tags,
        window: Window,
        block: &Block,
        sequence: u64,
    ) -> Result<(), HistoryError> {
        let start = window.first_slot().time(self.step);
        self.keys.push(tags, start, self.step.millis(), sequence);
        let datapoints = self.values.push(block, &self.divisors);
        let slots = (window.first_slot().0, window.last_slot().0);
        let name = tags.name().unwrap_or_default();
        if self.file.note(name, slots, datapoints) {
            self.write_columns()?;
        }
        Ok(())
    }

    /// Number of rows so far.
    pub fn rows(&self) -> u64 {
        self.file.rows()
    }

    /// Bytes that are encoded so far.
    pub fn size_bytes(&self) -> usize {
        self.file.size_bytes()
    }

    fn write_columns(&mut self) -> Result<(), HistoryError> {
        let mut arrays = self.keys.finish();
        self.values.finish(&mut arrays);
        self.file.write(arrays)
    }

    /// The file.
    ///
    /// # Errors
    /// When Parquet refuses the last rows.
    pub fn finish(mut self) -> Result<EncodedFile, HistoryError> {
        if self.file.has_unwritten() {
            self.write_columns()?;
        }
        self.file.finish()
    }
}

/// Builders of the columns from `divisor` on.
#[derive(Default)]
struct ValueColumns {
    divisor: Float64Builder,
    base: Int64Builder,
    values: Elements,
    count: Int32Builder,
    sum: Float64Builder,
    min: Float64Builder,
    max: Float64Builder,
}

impl ValueColumns {
    /// Adds a row and gives the number of its datapoints.
    fn push(&mut self, block: &Block, divisors: &Divisors) -> u64 {
        let mut present = [0.0; BLOCK_SLOTS];
        let mut count = 0;
        for v in block.0 {
            if !v.is_nan() {
                present[count] = v;
                count += 1;
            }
        }
        let present = &present[..count];
        let divisor = divisors.for_values(present);
        self.divisor.append_value(divisor.unwrap_or(1.0));
        let summary = Summary::of(present);
        let scale = divisor.zip(summary).map(|(divisor, summary)| Scale {
            divisor,
            base: (summary.min * divisor).round() as i64,
        });
        self.base.append_value(scale.map_or(0, |s| s.base));
        self.values.push_exact(&block.0, scale);
        self.count.append_value(count as i32);
        self.sum.append_option(summary.map(|s| s.sum));
        self.min.append_option(summary.map(|s| s.min));
        self.max.append_option(summary.map(|s| s.max));
        count as u64
    }

    fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
        arrays.push(Arc::new(self.divisor.finish()));
        arrays.push(Arc::new(self.base.finish()));
        arrays.extend(self.values.finish());
        arrays.extend::<[ArrayRef; 4]>([
            Arc::new(self.count.finish()),
            Arc::new(self.sum.finish()),
            Arc::new(self.min.finish()),
            Arc::new(self.max.finish()),
        ]);
    }
}

/// What the columns `sum`, `min` and `max` hold of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The sum, added in the order of time.
    pub sum: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Summary {
    /// The summary of values without NaN; `None` for none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let (first, rest) = values.split_first()?;
        let mut summary = Self {
            sum: *first,
            min: *first,
            max: *first,
        };
        for v in rest {
            summary.sum += v;
            summary.min = summary.min.min(*v);
            summary.max = summary.max.max(*v);
        }
        Some(summary)
    }
}
