//! Selected rows of data files for queries: the pages that hold them are fetched a row group at a time, decoded column by column, and walked row by row.
//!
//! A page goes from its bytes to plain numbers in one step; no array of Arrow's with its offsets, masks and padding is made in between, which would
//! take most of the time. What merges files reads all of them and uses Arrow's reader: see [`crate::merge`].

mod chunk;
mod flat;
mod levels;
mod lists;
mod pages;
mod streams;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;
use object_store::path::Path;
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use roaring::RoaringBitmap;

use crate::objects::Objects;
use crate::{DataFile, HistoryError};
use chunk::{Chunk, ColumnPages};
use streams::Element;

pub(crate) use flat::Flat;
pub(crate) use lists::{List, Lists};

/// Rows between two that are selected which are read with them: to skip fewer takes longer.
const READ_THROUGH: u32 = 64;

/// The rows of a row group that are selected, by their places in it.
struct GroupRows {
    group: usize,
    /// The place of its first row in the file.
    first: u32,
    rows: Vec<u32>,
}

/// Reads selected rows of a file.
pub(crate) struct RowReader {
    objects: Objects,
    path: Path,
    metadata: Arc<ParquetMetaData>,
    columns: Vec<&'static str>,
    groups: VecDeque<GroupRows>,
    /// The row group that was fetched ahead.
    ahead: Option<RowGroup>,
}

impl RowReader {
    /// A reader of these columns of rows, with the first of them fetched.
    ///
    /// # Errors
    /// When the file does not have so many rows, or cannot be read.
    pub async fn open(
        objects: &Objects,
        file: &DataFile,
        metadata: &Arc<ParquetMetaData>,
        rows: &RoaringBitmap,
        columns: &[&'static str],
    ) -> Result<Self, HistoryError> {
        let groups = group_rows(metadata, rows);
        let groups = groups
            .map_err(|row| HistoryError::file(&file.path, format!("row {row} is missing")))?;
        let mut reader = Self {
            objects: objects.clone(),
            path: Path::from(file.path.as_str()),
            metadata: metadata.clone(),
            columns: columns.to_vec(),
            groups,
            ahead: None,
        };
        reader.ahead = reader.fetch().await?;
        Ok(reader)
    }

    /// The next row group with any of the rows.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn next(&mut self) -> Result<Option<RowGroup>, HistoryError> {
        match self.ahead.take() {
            Some(group) => Ok(Some(group)),
            None => self.fetch().await,
        }
    }

    async fn fetch(&mut self) -> Result<Option<RowGroup>, HistoryError> {
        let Some(GroupRows { group, first, rows }) = self.groups.pop_front() else {
            return Ok(None);
        };
        let spans = spans(&rows);
        let of_group = self.metadata.row_group(group);
        let pages = self.metadata.offset_index().and_then(|all| all.get(group));
        let schema = of_group.schema_descr();
        let mut columns = HashMap::new();
        let mut ranges = Vec::new();
        for column in 0..of_group.num_columns() {
            let name = schema.get_column_root(column).name();
            let Some(name) = self.columns.iter().find(|c| **c == name) else {
                continue;
            };
            let locations = pages.and_then(|pages| pages.get(column));
            let locations = locations.map(|pages| pages.page_locations().as_slice());
            let pages = ColumnPages::of(of_group, column, locations);
            let needed = pages.ranges(&spans);
            let of_column = ranges.len()..ranges.len() + needed.len();
            ranges.extend(needed);
            columns.insert(*name, (pages, of_column));
        }
        let parts = self.objects.get_ranges(&self.path, &ranges).await;
        let parts = parts.map_err(HistoryError::store(&self.path))?;
        let parts: Vec<_> = ranges.iter().map(|r| r.start).zip(parts).collect();
        let columns = columns.into_iter().map(|(name, (pages, of_column))| {
            let chunk = Arc::new(Chunk::new(parts[of_column].to_vec()));
            (name, (pages, chunk))
        });
        Ok(Some(RowGroup {
            first,
            rows,
            spans,
            columns: columns.collect(),
        }))
    }
}

/// The selected rows of a row group, fetched.
pub(crate) struct RowGroup {
    first: u32,
    rows: Vec<u32>,
    spans: Vec<Range<u32>>,
    columns: HashMap<&'static str, (ColumnPages, Arc<Chunk>)>,
}

impl RowGroup {
    /// The rows: the place of each in the row group, and in the file.
    pub fn rows(&self) -> impl Iterator<Item = (u32, u32)> {
        self.rows.iter().map(|row| (*row, self.first + row))
    }

    fn column(&self, name: &str) -> Result<&(ColumnPages, Arc<Chunk>), String> {
        let column = self.columns.get(name);
        column.ok_or_else(|| format!("column {name} is missing"))
    }

    /// A column with one value a row, by the order of the rows.
    ///
    /// # Errors
    /// When it is missing, of another type or damaged.
    pub fn flat<T: DataType>(&self, name: &str) -> Result<Flat<T>, String> {
        let (pages, chunk) = self.column(name)?;
        let read = Flat::read(pages, chunk, &self.spans, &self.rows);
        read.map_err(in_column(name))
    }

    /// A column of lists.
    ///
    /// # Errors
    /// When it is missing, of another type or damaged.
    pub fn lists<T: Element>(&self, name: &str) -> Result<Lists<T>, String> {
        let (pages, chunk) = self.column(name)?;
        Lists::new(pages, chunk).map_err(in_column(name))
    }

    /// The physical type of the values of a column; `None` when it is missing.
    pub fn physical_type(&self, name: &str) -> Option<parquet::basic::Type> {
        let (pages, _) = self.columns.get(name)?;
        Some(pages.meta.column_type())
    }
}

/// Says in which column something is wrong.
pub(crate) fn in_column(name: &str) -> impl Fn(ParquetError) -> String {
    move |e| format!("column {name}: {e}")
}

/// The rows of each row group that has any; else the first that is in none.
fn group_rows(
    metadata: &ParquetMetaData,
    rows: &RoaringBitmap,
) -> Result<VecDeque<GroupRows>, u32> {
    let mut groups = VecDeque::new();
    let mut rows = rows.iter().peekable();
    let mut first = 0u32;
    for (group, of_group) in metadata.row_groups().iter().enumerate() {
        let count = u32::try_from(of_group.num_rows()).unwrap_or_default();
        let end = first.saturating_add(count);
        let selected: Vec<u32> =
            std::iter::from_fn(|| rows.next_if(|row| *row < end).map(|row| row - first)).collect();
        if !selected.is_empty() {
            groups.push_back(GroupRows {
                group,
                first,
                rows: selected,
            });
        }
        first = end;
    }
    match rows.next() {
        None => Ok(groups),
        Some(missing) => Err(missing),
    }
}

/// The rows and what is read through between them.
fn spans(rows: &[u32]) -> Vec<Range<u32>> {
    let mut spans: Vec<Range<u32>> = Vec::new();
    for row in rows {
        match spans.last_mut() {
            Some(span) if *row <= span.end + READ_THROUGH => span.end = row + 1,
            _ => spans.push(*row..row + 1),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "a span is meant")]
    fn short_gaps_are_read_through() {
        assert_eq!(spans(&[3, 4, 68, 200]), [3..69, 200..201]);
        assert_eq!(spans(&[0]), [0..1]);
        assert!(spans(&[]).is_empty());
    }
}
