//! The pages of a column in a row group: which are needed, and their bytes once they are fetched.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};

use super::pages::Pages;

/// Parts of a file, by their offsets.
pub(super) struct Chunk {
    parts: Vec<(u64, Bytes)>,
}

impl Chunk {
    /// Parts, each with its offset, ascending.
    pub fn new(parts: Vec<(u64, Bytes)>) -> Self {
        Self { parts }
    }

    fn from(&self, start: u64) -> Result<Bytes, ParquetError> {
        let at = self.parts.partition_point(|(offset, _)| *offset <= start);
        let part = at.checked_sub(1).map(|at| &self.parts[at]);
        let within = part.and_then(|(offset, bytes)| {
            let skip = usize::try_from(start - offset).ok()?;
            (skip < bytes.len()).then(|| bytes.slice(skip..))
        });
        within.ok_or_else(|| {
            let missing = io::Error::new(io::ErrorKind::UnexpectedEof, "a page was not fetched");
            ParquetError::External(Box::new(missing))
        })
    }
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        let last = self.parts.last();
        last.map_or(0, |(offset, bytes)| offset + bytes.len() as u64)
    }
}

impl ChunkReader for Chunk {
    type T = Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF("a page is cut off".to_owned()));
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// The pages of a column in a row group.
pub(super) struct ColumnPages {
    pub meta: ColumnChunkMetaData,
    rows: usize,
    /// Where they are; `None` in a file that does not say.
    pub locations: Option<Vec<PageLocation>>,
}

impl ColumnPages {
    /// Those of a column.
    pub fn of(group: &RowGroupMetaData, column: usize, locations: Option<&[PageLocation]>) -> Self {
        Self {
            meta: group.column(column).clone(),
            rows: usize::try_from(group.num_rows()).unwrap_or_default(),
            locations: locations.filter(|l| !l.is_empty()).map(<[_]>::to_vec),
        }
    }

    /// The bytes that are needed to read spans of rows, ascending: a dictionary, and the pages that hold any of the rows.
    pub fn ranges(&self, spans: &[Range<u32>]) -> Vec<Range<u64>> {
        let (start, length) = self.meta.byte_range();
        let Some(locations) = &self.locations else {
            return std::iter::once(start..start + length).collect();
        };
        let mut ranges = Vec::new();
        let first = locations[0].offset as u64;
        if first > start {
            ranges.push(start..first);
        }
        let mut spans = spans.iter().peekable();
        for (n, page) in locations.iter().enumerate() {
            let next = locations.get(n + 1);
            let end = next.map_or(self.rows as i64, |next| next.first_row_index);
            while spans
                .next_if(|s| i64::from(s.end) <= page.first_row_index)
                .is_some()
            {}
            if spans.peek().is_some_and(|s| i64::from(s.start) < end) {
                let from = page.offset as u64;
                ranges.push(from..from + page.compressed_page_size as u64);
            }
        }
        ranges
    }

    /// Reads the pages one after another, or skips those that were not fetched.
    pub fn reader(&self, chunk: &Arc<Chunk>) -> Result<Pages, ParquetError> {
        Pages::new(chunk, &self.meta, self.rows, self.locations.clone())
    }
}
