//! Rows of raw data to Parquet: a file in memory, ready to be put on the object store.

mod elements;
mod key_columns;
mod properties;
mod row_file;
mod values;
mod written_tags;

use std::sync::Arc;

use hesper_hot::codec::{Divisors, EncodedBlock};
use hesper_model::{Block, Step, Tags, Window};
use parquet::file::properties::WriterProperties;

pub(crate) use elements::{Elements, Scale};
pub(crate) use key_columns::KeyColumns;
pub(crate) use properties::properties;
pub(crate) use row_file::RowFile;
pub use values::Summary;
pub(crate) use written_tags::WrittenTags;

use values::ValueColumns;

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

/// A row: a series' block of a window.
#[derive(Clone, Debug)]
pub struct Row {
    /// The tags of the series.
    pub tags: Tags,
    /// The window.
    pub window: Window,
    /// The values.
    pub block: Block,
}

/// Encodes rows, sorted by name, tags and window, as a data file. `sequence` decides which of two rows of a series counts.
///
/// # Errors
/// When Parquet refuses them.
///
/// # Panics
/// When there is no row.
pub fn encode(rows: &[Row], step: Step, sequence: u64) -> Result<EncodedFile, HistoryError> {
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
    /// True when the tags are those of another file.
    repeating: bool,
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
        let file = RowFile::new(layout::schema(&keys), raw_properties())?;
        Ok(Self::of(file, step, keys))
    }

    /// The same; [`Self::finish_with_tags`] gives what [`Self::repeating`] takes.
    ///
    /// # Errors
    /// When Parquet refuses the columns.
    pub(crate) fn remembering(step: Step, keys: Vec<String>) -> Result<Self, HistoryError> {
        let schema = layout::schema(&keys);
        let columns = layout::tag_leaves(&keys);
        let file = RowFile::remembering(schema, raw_properties(), columns)?;
        Ok(Self::of(file, step, keys))
    }

    /// A file whose rows are of the same series in the same order as those of another one: rows come by [`Self::push_next`].
    ///
    /// # Errors
    /// When Parquet refuses the columns.
    pub(crate) fn repeating(step: Step, tags: Arc<WrittenTags>) -> Result<Self, HistoryError> {
        let keys = tags.keys.clone();
        let (schema, fields) = (layout::schema(&keys), layout::tag_fields(&keys));
        let file = RowFile::repeating(schema, raw_properties(), fields, tags)?;
        let mut writer = Self::of(file, step, keys);
        writer.repeating = true;
        Ok(writer)
    }

    fn of(file: RowFile, step: Step, keys: Vec<String>) -> Self {
        Self {
            file,
            repeating: false,
            keys: KeyColumns::new(keys),
            values: ValueColumns::default(),
            step,
            divisors: Divisors::new(step),
        }
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
        let datapoints = self.values.push(block, &self.divisors);
        self.note(tags, window, sequence, datapoints)
    }

    /// Adds a row as [`Self::push`] does, of a block that lies in memory.
    ///
    /// # Errors
    /// When Parquet refuses it.
    pub(crate) fn push_encoded(
        &mut self,
        tags: &Tags,
        window: Window,
        block: &EncodedBlock<'_>,
        sequence: u64,
    ) -> Result<(), HistoryError> {
        let datapoints = self.values.push_encoded(block, &self.divisors);
        self.note(tags, window, sequence, datapoints)
    }

    /// Adds the next row of a file whose tags are known.
    ///
    /// # Errors
    /// When Parquet refuses it: also when there are other rows than in the file that the tags are of.
    pub(crate) fn push_next(
        &mut self,
        window: Window,
        block: &EncodedBlock<'_>,
        sequence: u64,
    ) -> Result<(), HistoryError> {
        let datapoints = self.values.push_encoded(block, &self.divisors);
        let slots = self.push_place(window, sequence);
        match self.file.note_repeated(slots, datapoints) {
            true => self.write_columns(),
            false => Ok(()),
        }
    }

    fn note(
        &mut self,
        tags: &Tags,
        window: Window,
        sequence: u64,
        datapoints: u64,
    ) -> Result<(), HistoryError> {
        self.keys.push_tags(tags);
        let slots = self.push_place(window, sequence);
        let name = tags.name().unwrap_or_default();
        match self.file.note(name, slots, datapoints) {
            true => self.write_columns(),
            false => Ok(()),
        }
    }

    /// Adds window and sequence of a row, and gives the first and the last slot.
    fn push_place(&mut self, window: Window, sequence: u64) -> (i64, i64) {
        let start = window.first_slot().time(self.step);
        self.keys.push_place(start, self.step.millis(), sequence);
        (window.first_slot().0, window.last_slot().0)
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
        let mut arrays = Vec::new();
        if !self.repeating {
            self.keys.finish_tags(&mut arrays);
        }
        self.keys.finish_places(&mut arrays);
        self.values.finish(&mut arrays);
        self.file.write(arrays)
    }

    /// The file.
    ///
    /// # Errors
    /// When Parquet refuses the last rows.
    pub fn finish(self) -> Result<EncodedFile, HistoryError> {
        Ok(self.finish_with_tags()?.0)
    }

    /// The file, and its tags if they were to be remembered.
    ///
    /// # Errors
    /// When Parquet refuses the last rows.
    pub(crate) fn finish_with_tags(
        mut self,
    ) -> Result<(EncodedFile, Option<Arc<WrittenTags>>), HistoryError> {
        if self.file.has_unwritten() {
            self.write_columns()?;
        }
        self.file.finish(self.keys.into_keys())
    }
}

fn raw_properties() -> WriterProperties {
    let lists = [layout::SCALED_VALUES, layout::PLAIN_VALUES];
    properties(&lists, &[layout::BASE, layout::SUM, layout::MIN])
}

#[cfg(test)]
mod tests {
    use hesper_hot::codec::Codec;
    use hesper_model::BLOCK_SLOTS;
    use parquet::arrow::ArrowSchemaConverter;

    use super::*;

    const STEP: Step = Step::from_secs(60);

    /// Tags of a series: some lack a key, some have one more that gets no column.
    fn tags(i: usize) -> Tags {
        let mut pairs = vec![
            ("name", format!("metric_{:02}", i / 1000)),
            ("nf.app", format!("app{}", i % 7)),
            ("nf.node", format!("i-{:05}", i % 1000)),
        ];
        if i.is_multiple_of(3) {
            pairs.push(("zone", "a".to_owned()));
        }
        if i.is_multiple_of(5) {
            pairs.push(("odd", format!("{i}")));
        }
        Tags::from_pairs(pairs)
    }

    fn block(i: usize) -> Block {
        Block(std::array::from_fn(|p| match (i + p).is_multiple_of(11) {
            true => f64::NAN,
            false => (i * BLOCK_SLOTS + p) as f64 / [1.0, 60.0, 7.0][i % 3],
        }))
    }

    fn keys() -> Vec<String> {
        ["nf.app", "nf.node", "zone"].map(str::to_owned).into()
    }

    /// Hands encoded blocks of so many series to `push`.
    fn each(rows: usize, mut push: impl FnMut(usize, &EncodedBlock<'_>)) {
        let codec = Codec::new(STEP);
        for i in 0..rows {
            let mut bytes = Vec::new();
            codec.encode(&block(i), &mut bytes);
            let (block, _) = EncodedBlock::read(&bytes).expect("just encoded");
            push(i, &block);
        }
    }

    fn remembered(rows: usize) -> (EncodedFile, Arc<WrittenTags>) {
        let mut writer = FileWriter::remembering(STEP, keys()).expect("columns");
        each(rows, |i, block| {
            let pushed = writer.push_encoded(&tags(i), Window(9), block, 4);
            pushed.expect("a row");
        });
        let (file, tags) = writer.finish_with_tags().expect("a file");
        (file, tags.expect("they were to be remembered"))
    }

    fn repeated(rows: usize, tags: &Arc<WrittenTags>) -> Result<EncodedFile, HistoryError> {
        let mut writer = FileWriter::repeating(STEP, tags.clone())?;
        let mut pushed = Ok(());
        each(rows, |_, block| {
            if pushed.is_ok() {
                pushed = writer.push_next(Window(9), block, 4);
            }
        });
        pushed?;
        writer.finish()
    }

    #[test]
    fn a_file_with_the_tags_of_another_is_the_same_byte_by_byte() {
        // Two row groups, and a batch that is not full.
        for rows in [1, 3000, 40_000] {
            let (file, tags) = remembered(rows);
            assert!(tags.size_bytes() > 0);
            let again = repeated(rows, &tags).expect("a file");
            assert_eq!(again.bytes, file.bytes);
            assert_eq!(again.rows, rows as u64);
            assert_eq!(again.datapoints, file.datapoints);
            assert_eq!((&again.names, again.slots), (&file.names, file.slots));
        }
        // It is what is written when nothing is remembered.
        let mut plain = FileWriter::new(STEP, keys()).expect("columns");
        for i in 0..3000 {
            let pushed = plain.push(&tags(i), Window(9), &block(i), 4);
            pushed.expect("a row");
        }
        let plain = plain.finish().expect("a file");
        assert_eq!(plain.bytes, remembered(3000).0.bytes);
    }

    #[test]
    fn other_rows_than_those_of_the_tags_are_refused() {
        let (_, tags) = remembered(3000);
        assert!(repeated(2999, &tags).is_err());
        assert!(repeated(3001, &tags).is_err());
        assert!(repeated(40_000, &tags).is_err());
    }

    #[test]
    fn the_tags_are_the_first_columns() {
        let keys = keys();
        let schema = layout::schema(&keys);
        let fields = layout::tag_fields(&keys);
        assert_eq!(schema.field(fields).name(), layout::START);
        assert_eq!(schema.field(fields - 1).name(), layout::MORE_TAGS);
        let parquet = ArrowSchemaConverter::new().convert(&schema);
        let parquet = parquet.expect("columns that Parquet has");
        let leaves = layout::tag_leaves(&keys);
        assert_eq!(parquet.column(leaves).name(), layout::START);
    }
}
