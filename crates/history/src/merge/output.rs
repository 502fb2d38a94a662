//! The files that a merge writes: one of raw data and one of each roll-up at a time, each put on the object store when it is full.

use hesper_model::{Block, Tags, Window};

use crate::encode::{EncodedFile, FileWriter};
use crate::policy::Rules;
use crate::rollup::{RollupCells, RollupWriter};
use crate::store::FilePlace;
use crate::{DataFile, History, HistoryError};

/// What is written so far.
pub(super) struct Outputs<'a> {
    history: &'a History,
    max_bytes: usize,
    max_rows: u64,
    keys: Vec<String>,
    raw: Output<FileWriter>,
    rollups: Vec<Output<RollupWriter>>,
    files: Vec<DataFile>,
}

struct Output<W> {
    place: FilePlace,
    writer: Option<W>,
}

/// What writes a file.
trait Writer {
    fn rows(&self) -> u64;
    fn size_bytes(&self) -> usize;
    fn finish(self) -> Result<EncodedFile, HistoryError>;
}

impl Writer for FileWriter {
    fn rows(&self) -> u64 {
        self.rows()
    }
    fn size_bytes(&self) -> usize {
        self.size_bytes()
    }
    fn finish(self) -> Result<EncodedFile, HistoryError> {
        self.finish()
    }
}

impl Writer for RollupWriter {
    fn rows(&self) -> u64 {
        self.rows()
    }
    fn size_bytes(&self) -> usize {
        self.size_bytes()
    }
    fn finish(self) -> Result<EncodedFile, HistoryError> {
        self.finish()
    }
}

impl<W: Writer> Output<W> {
    fn is_full(&self, max_bytes: usize, max_rows: u64) -> bool {
        let writer = self.writer.as_ref();
        writer.is_some_and(|w| w.rows() >= max_rows || w.size_bytes() >= max_bytes)
    }

    /// Puts the file under way on the object store.
    async fn put(
        &mut self,
        history: &History,
        files: &mut Vec<DataFile>,
    ) -> Result<(), HistoryError> {
        if let Some(writer) = self.writer.take() {
            let file = history.put_file(writer.finish()?, self.place).await?;
            files.push(file);
            self.place.part += 1;
        }
        Ok(())
    }
}

impl<'a> Outputs<'a> {
    /// Files with columns for `keys`; `place` is that of raw data.
    pub fn new(
        history: &'a History,
        rules: &Rules,
        keys: Vec<String>,
        place: FilePlace,
        rollups: &[u32],
    ) -> Self {
        let rollups = rollups.iter().map(|cell_slots| Output {
            place: FilePlace {
                cell_slots: *cell_slots,
                ..place
            },
            writer: None,
        });
        Self {
            history,
            max_bytes: rules.max_file_bytes,
            max_rows: rules.max_file_rows,
            keys,
            raw: Output {
                place,
                writer: None,
            },
            rollups: rollups.collect(),
            files: Vec::new(),
        }
    }

    /// Between two series: files that are full are put on the object store.
    ///
    /// # Errors
    /// When the object store fails.
    pub async fn begin_series(&mut self) -> Result<(), HistoryError> {
        let (max_bytes, max_rows) = (self.max_bytes, self.max_rows);
        if self.raw.is_full(max_bytes, max_rows) {
            self.raw.put(self.history, &mut self.files).await?;
        }
        for output in &mut self.rollups {
            if output.is_full(max_bytes, max_rows) {
                output.put(self.history, &mut self.files).await?;
            }
        }
        Ok(())
    }

    /// Adds a row of raw data.
    ///
    /// # Errors
    /// When Parquet refuses it.
    pub fn push_raw(
        &mut self,
        tags: &Tags,
        window: Window,
        block: &Block,
        sequence: u64,
    ) -> Result<(), HistoryError> {
        let writer = match &mut self.raw.writer {
            Some(writer) => writer,
            none => none.insert(FileWriter::new(self.history.step(), self.keys.clone())?),
        };
        writer.push(tags, window, block, sequence)
    }

    /// Adds a row of a roll-up, which is told by its place among those asked for.
    ///
    /// # Errors
    /// When Parquet refuses it.
    pub fn push_rollup(
        &mut self,
        number: usize,
        tags: &Tags,
        cells: &RollupCells,
    ) -> Result<(), HistoryError> {
        let output = &mut self.rollups[number];
        let writer = match &mut output.writer {
            Some(writer) => writer,
            none => none.insert(RollupWriter::new(self.history.step(), self.keys.clone())?),
        };
        writer.push(tags, cells, output.place.sequence)
    }

    /// The files that were written.
    ///
    /// # Errors
    /// When the last of them cannot be put on the object store.
    pub async fn finish(mut self) -> Result<Vec<DataFile>, HistoryError> {
        self.raw.put(self.history, &mut self.files).await?;
        for output in &mut self.rollups {
            output.put(self.history, &mut self.files).await?;
        }
        Ok(self.files)
    }
}
