//! A Parquet file under way, of rows of any kind: batches go in, and what the file holds is gathered for the manifest.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::{EncodedFile, refused};
use crate::HistoryError;

/// Rows of a record batch on their way into the file.
const BATCH_ROWS: usize = 2048;

/// What a file holds, gathered while it is written.
struct Extent {
    rows: u64,
    datapoints: u64,
    names: (String, String),
    slots: (i64, i64),
}

impl Default for Extent {
    fn default() -> Self {
        Self {
            rows: 0,
            datapoints: 0,
            names: (String::new(), String::new()),
            slots: (i64::MAX, i64::MIN),
        }
    }
}

impl Extent {
    /// Notes a row; rows come in the order of their names.
    fn note(&mut self, name: &str, slots: (i64, i64), datapoints: u64) {
        if self.rows == 0 {
            name.clone_into(&mut self.names.0);
        }
        if self.names.1 != name {
            name.clone_into(&mut self.names.1);
        }
        self.rows += 1;
        self.datapoints += datapoints;
        self.slots.0 = self.slots.0.min(slots.0);
        self.slots.1 = self.slots.1.max(slots.1);
    }

    /// The file that was written.
    fn into_file(self, bytes: Vec<u8>) -> EncodedFile {
        EncodedFile {
            bytes: bytes.into(),
            rows: self.rows,
            datapoints: self.datapoints,
            names: self.names,
            slots: self.slots,
        }
    }
}

/// A file under way. Rows are gathered in columns by whoever makes them, and become batches of it.
pub(crate) struct RowFile {
    writer: ArrowWriter<Vec<u8>>,
    schema: SchemaRef,
    extent: Extent,
    buffered: usize,
}

impl RowFile {
    /// A file without rows.
    ///
    /// # Errors
    /// When Parquet refuses the columns.
    pub fn new(schema: SchemaRef, properties: WriterProperties) -> Result<Self, HistoryError> {
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties));
        Ok(Self {
            writer: writer.map_err(refused)?,
            schema,
            extent: Extent::default(),
            buffered: 0,
        })
    }

    /// Notes that the columns have got a row; true when they are to be written.
    pub fn note(&mut self, name: &str, slots: (i64, i64), datapoints: u64) -> bool {
        self.extent.note(name, slots, datapoints);
        self.buffered += 1;
        self.buffered == BATCH_ROWS
    }

    /// True when the columns hold rows that are not written.
    pub fn has_unwritten(&self) -> bool {
        self.buffered > 0
    }

    /// Writes the rows that were gathered.
    ///
    /// # Errors
    /// When Parquet refuses them.
    pub fn write(&mut self, columns: Vec<ArrayRef>) -> Result<(), HistoryError> {
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(refused)?;
        self.writer.write(&batch).map_err(refused)?;
        self.buffered = 0;
        Ok(())
    }

    /// Number of rows so far.
    pub fn rows(&self) -> u64 {
        self.extent.rows
    }

    /// Bytes that are encoded so far.
    pub fn size_bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// The file, once all rows are written.
    ///
    /// # Errors
    /// When Parquet refuses it.
    pub fn finish(self) -> Result<EncodedFile, HistoryError> {
        let bytes = self.writer.into_inner().map_err(refused)?;
        Ok(self.extent.into_file(bytes))
    }
}
