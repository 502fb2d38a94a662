//! The tag columns of a file as they were written, for the next file with the same series.
//!
//! Windows one after another mostly have the same series, and so the same tags, row by row. Encoding them again would take as long as
//! encoding the values.

use bytes::Bytes;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaDataPtr};
use parquet::file::reader::{ChunkReader, Length};

/// Bytes of a block of a bloom filter.
const BLOOM_BLOCK: usize = 32;

/// The tag columns of a file.
#[derive(Debug)]
pub struct WrittenTags {
    /// The keys with a column.
    pub(super) keys: Vec<String>,
    /// The lowest and the highest name.
    pub(super) names: (String, String),
    /// By row group, and column by column.
    pub(super) groups: Vec<Vec<WrittenColumn>>,
}

impl WrittenTags {
    /// The tag columns of a file that is written: what was said of them when they were closed, by row group.
    pub(super) fn of(
        file: &[u8],
        groups: Vec<(RowGroupMetaDataPtr, Vec<ColumnCloseResult>)>,
        keys: Vec<String>,
        names: (String, String),
    ) -> Self {
        let groups = groups.into_iter().map(|(group, closed)| {
            let columns = closed.into_iter().zip(group.columns());
            columns
                .map(|(closed, written)| WrittenColumn::new(closed, written, file))
                .collect()
        });
        Self {
            keys,
            names,
            groups: groups.collect(),
        }
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> usize {
        let columns = self.groups.iter().flatten();
        columns.map(WrittenColumn::size_bytes).sum()
    }
}

/// A column of a row group, with what is to be said of it in the footer.
#[derive(Debug)]
pub struct WrittenColumn {
    pub(super) closed: ColumnCloseResult,
    /// Where `bytes` lay in their file: what `closed` says is counted from its beginning.
    begin: u64,
    bytes: Bytes,
}

impl WrittenColumn {
    /// A column of a group of a file, as it was `closed` before it went there.
    fn new(mut closed: ColumnCloseResult, written: &ColumnChunkMetaData, file: &[u8]) -> Self {
        closed.metadata = written.clone();
        // Where the pages are was noted before it was known that the dictionary goes first.
        let mut at = closed.metadata.data_page_offset();
        let pages = closed.offset_index.as_mut().map(|i| &mut i.page_locations);
        for page in pages.into_iter().flatten() {
            page.offset = at;
            at += i64::from(page.compressed_page_size);
        }
        let (begin, length) = closed.metadata.byte_range();
        let bytes = &file[begin as usize..][..length as usize];
        Self {
            closed,
            begin,
            bytes: Bytes::copy_from_slice(bytes),
        }
    }

    fn size_bytes(&self) -> usize {
        let filter = self.closed.bloom_filter.as_ref();
        let filter = filter.map_or(0, |f| f.num_blocks() * BLOOM_BLOCK);
        self.bytes.len() + filter + size_of::<Self>()
    }
}

impl Length for WrittenColumn {
    fn len(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }
}

impl ChunkReader for WrittenColumn {
    type T = <Bytes as ChunkReader>::T;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        self.bytes.get_read(start.saturating_sub(self.begin))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let start = start.saturating_sub(self.begin);
        self.bytes.get_bytes(start, length)
    }
}
