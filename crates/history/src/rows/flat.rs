//! Columns with one value a row.

use std::ops::Range;
use std::sync::Arc;

use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::DataType;
use parquet::errors::ParquetError;

use super::chunk::{Chunk, ColumnPages};

/// The values of a column for the rows that were selected.
pub(crate) struct Flat<T: DataType> {
    values: Vec<T::T>,
    /// Which of them are there; empty when all are.
    valid: Vec<bool>,
}

impl<T: DataType> Flat<T> {
    /// Reads spans of rows, ascending, of which `rows` are kept.
    pub(super) fn read(
        pages: &ColumnPages,
        chunk: &Arc<Chunk>,
        spans: &[Range<u32>],
        rows: &[u32],
    ) -> Result<Self, ParquetError> {
        let description = pages.meta.column_descr_ptr();
        let max = description.max_def_level();
        if description.physical_type() != T::get_physical_type() || description.max_rep_level() > 0
        {
            return Err(ParquetError::General("it has another type".to_owned()));
        }
        let reader = Box::new(pages.reader(chunk)?);
        let mut reader = ColumnReaderImpl::<T>::new(description, reader);
        let (mut levels, mut read) = (Vec::new(), Vec::new());
        let mut at = 0;
        for span in spans {
            let (skip, wanted) = ((span.start - at) as usize, span.len());
            let skipped = reader.skip_records(skip)?;
            let (found, ..) = reader.read_records(wanted, Some(&mut levels), None, &mut read)?;
            if (skipped, found) != (skip, wanted) {
                return Err(ParquetError::EOF("it has too few rows".to_owned()));
            }
            at = span.end;
        }
        let mut kept = Self {
            values: Vec::with_capacity(rows.len()),
            valid: Vec::new(),
        };
        let mut rows = rows.iter().copied().peekable();
        let mut read = read.into_iter();
        let mut levels = levels.into_iter();
        for row in spans.iter().cloned().flatten() {
            let valid = max == 0 || levels.next() == Some(max);
            let value = match valid {
                true => read.next().unwrap_or_default(),
                false => T::T::default(),
            };
            if rows.next_if_eq(&row).is_some() {
                if !valid && kept.valid.is_empty() {
                    kept.valid.resize(kept.values.len(), true);
                }
                if !valid || !kept.valid.is_empty() {
                    kept.valid.push(valid);
                }
                kept.values.push(value);
            }
        }
        Ok(kept)
    }

    /// The value of the n-th row that was selected; `None` where it has none.
    pub fn get(&self, n: usize) -> Option<&T::T> {
        let valid = self.valid.is_empty() || self.valid[n];
        valid.then(|| &self.values[n])
    }
}
