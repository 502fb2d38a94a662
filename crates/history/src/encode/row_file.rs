//! A Parquet file under way, of rows of any kind: batches go in, and what the file holds is gathered for the manifest.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::RowGroupMetaDataPtr;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::properties::ROW_GROUP_ROWS;
use super::written_tags::WrittenTags;
use super::{EncodedFile, refused};
use crate::HistoryError;

/// Rows of a record batch on their way into the file.
const BATCH_ROWS: usize = 2048;

const _: () = assert!(
    ROW_GROUP_ROWS.is_multiple_of(BATCH_ROWS),
    "a row group is made of whole batches"
);

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
    /// Notes the name of a row, before [`Self::note`]; rows come in the order of their names.
    fn note_name(&mut self, name: &str) {
        if self.rows == 0 {
            name.clone_into(&mut self.names.0);
        }
        if self.names.1 != name {
            name.clone_into(&mut self.names.1);
        }
    }

    /// Notes a row.
    fn note(&mut self, slots: (i64, i64), datapoints: u64) {
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
    writer: SerializedFileWriter<Vec<u8>>,
    columns: ArrowRowGroupWriterFactory,
    /// The columns of a batch: all, or those after the tags.
    fields: SchemaRef,
    group: Option<Group>,
    tags: TagColumns,
    extent: Extent,
    buffered: usize,
}

/// A row group under way.
struct Group {
    /// Columns of the Parquet file, of those that are made of batches.
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
}

/// Where the tag columns come from, and where they go.
enum TagColumns {
    /// They come with the batches.
    Written,
    /// They come with the batches, and are remembered: so many columns, and what is known of them, by row group.
    Remembered(usize, Vec<(RowGroupMetaDataPtr, Vec<ColumnCloseResult>)>),
    /// They are those of another file.
    Repeated(Arc<WrittenTags>),
}

impl RowFile {
    /// A file without rows.
    ///
    /// # Errors
    /// When Parquet refuses the columns.
    pub fn new(schema: SchemaRef, properties: WriterProperties) -> Result<Self, HistoryError> {
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties));
        let (writer, columns) = writer
            .and_then(ArrowWriter::into_serialized_writer)
            .map_err(refused)?;
        Ok(Self {
            writer,
            columns,
            fields: schema,
            group: None,
            tags: TagColumns::Written,
            extent: Extent::default(),
            buffered: 0,
        })
    }

    /// A file without rows, of which the tag columns, the first so many of the Parquet file, are remembered.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn remembering(
        schema: SchemaRef,
        properties: WriterProperties,
        tag_columns: usize,
    ) -> Result<Self, HistoryError> {
        let mut file = Self::new(schema, properties)?;
        file.tags = TagColumns::Remembered(tag_columns, Vec::new());
        Ok(file)
    }

    /// A file without rows that takes its tag columns, the first `tag_fields` of the schema, from another one; batches have the others.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn repeating(
        schema: SchemaRef,
        properties: WriterProperties,
        tag_fields: usize,
        tags: Arc<WrittenTags>,
    ) -> Result<Self, HistoryError> {
        let mut file = Self::new(schema.clone(), properties)?;
        let others: Vec<_> = schema.fields().iter().skip(tag_fields).cloned().collect();
        file.fields = Arc::new(Schema::new(others));
        file.extent.names = tags.names.clone();
        file.tags = TagColumns::Repeated(tags);
        Ok(file)
    }

    /// Notes that the columns have got a row of a series of this name; true when they are to be written.
    pub fn note(&mut self, name: &str, slots: (i64, i64), datapoints: u64) -> bool {
        self.extent.note_name(name);
        self.note_repeated(slots, datapoints)
    }

    /// Notes that the columns have got a row whose tags are known; true when they are to be written.
    pub fn note_repeated(&mut self, slots: (i64, i64), datapoints: u64) -> bool {
        self.extent.note(slots, datapoints);
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
        let batch = RecordBatch::try_new(self.fields.clone(), columns).map_err(refused)?;
        self.buffered = 0;
        self.take(&batch).map_err(refused)
    }

    fn take(&mut self, batch: &RecordBatch) -> parquet::errors::Result<()> {
        let mut group = match self.group.take() {
            Some(group) => group,
            None => self.begin_group()?,
        };
        let mut writers = group.columns.iter_mut();
        for (field, column) in self.fields.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, column)? {
                let writer = writers.next();
                writer.expect("a writer for each column").write(&leaf)?;
            }
        }
        group.rows += batch.num_rows();
        if group.rows >= ROW_GROUP_ROWS {
            return self.end_group(group);
        }
        self.group = Some(group);
        Ok(())
    }

    fn begin_group(&self) -> parquet::errors::Result<Group> {
        let number = self.writer.flushed_row_groups().len();
        let mut columns = self.columns.create_column_writers(number)?;
        if let TagColumns::Repeated(tags) = &self.tags {
            let known = tags.groups.first().map_or(0, Vec::len);
            columns.drain(..known);
        }
        Ok(Group { columns, rows: 0 })
    }

    /// Brings a row group into the file.
    fn end_group(&mut self, group: Group) -> parquet::errors::Result<()> {
        let number = self.writer.flushed_row_groups().len();
        let mut out = self.writer.next_row_group()?;
        if let TagColumns::Repeated(tags) = &self.tags {
            // Parquet refuses the group when its columns have not the same number of rows.
            for column in tags.groups.get(number).into_iter().flatten() {
                out.append_column(column, column.closed.clone())?;
            }
        }
        let mut closed = Vec::new();
        for writer in group.columns {
            let column = writer.close()?;
            if let TagColumns::Remembered(columns, _) = &self.tags
                && closed.len() < *columns
            {
                closed.push(column.close().clone());
            }
            column.append_to_row_group(&mut out)?;
        }
        let written = out.close()?;
        if let TagColumns::Remembered(_, groups) = &mut self.tags {
            groups.push((written, closed));
        }
        Ok(())
    }

    /// Number of rows so far.
    pub fn rows(&self) -> u64 {
        self.extent.rows
    }

    /// Bytes that are encoded so far.
    pub fn size_bytes(&self) -> usize {
        let columns = self.group.iter().flat_map(|group| &group.columns);
        let under_way = columns.map(ArrowColumnWriter::get_estimated_total_bytes);
        self.writer.bytes_written() + under_way.sum::<usize>()
    }

    /// The file, once all rows are written; with its tags if they were remembered, of which `keys` have a column each.
    ///
    /// # Errors
    /// When Parquet refuses it.
    pub fn finish(
        mut self,
        keys: Vec<String>,
    ) -> Result<(EncodedFile, Option<Arc<WrittenTags>>), HistoryError> {
        if let Some(group) = self.group.take() {
            self.end_group(group).map_err(refused)?;
        }
        let bytes = self.writer.into_inner().map_err(refused)?;
        let tags = match self.tags {
            TagColumns::Remembered(_, groups) => {
                let names = self.extent.names.clone();
                Some(Arc::new(WrittenTags::of(&bytes, groups, keys, names)))
            }
            TagColumns::Written | TagColumns::Repeated(_) => None,
        };
        Ok((self.extent.into_file(bytes), tags))
    }
}
