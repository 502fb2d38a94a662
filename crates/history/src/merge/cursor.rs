//! A walk through the rows of files that lie sorted one after another, a record batch at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::TimestampMillisecondType;
use futures::TryStreamExt;
use hesper_model::{BLOCK_SLOTS, Block, Slot, Step, Tags, Timestamp, Window};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::async_reader::ParquetRecordBatchStream;

use super::tag_columns::TagColumns;
use crate::file_index::is_indexed;
use crate::layout;
use crate::objects::Objects;
use crate::read::{
    ObjectReader, VALUE_COLUMNS, ValueColumns, contained, open, primitive, projection,
};
use crate::rollup::{CellValues, RollupCells, RollupColumns, rollup_columns};
use crate::{DataFile, HistoryError};

/// Rows of raw data that are decoded at a time.
const RAW_ROWS: usize = 1024;

/// Rows of a roll-up: each has the cells of a day.
const ROLLUP_ROWS: usize = 128;

/// The rows of a batch, decoded.
enum Rows {
    Raw {
        /// All values, one row after another.
        values: Vec<f64>,
        /// Where each row begins, and the end.
        offsets: Vec<usize>,
    },
    Rollup(Vec<RollupCells>),
}

struct Batch {
    tags: TagColumns,
    starts: TimestampMillisecondArray,
    rows: Rows,
    at: usize,
}

/// A cursor over the rows of files of one resolution and one sequence.
pub(super) struct Cursor {
    objects: Objects,
    step: Step,
    /// The file under the cursor, and those that follow.
    files: VecDeque<Arc<DataFile>>,
    stream: Option<ParquetRecordBatchStream<ObjectReader>>,
    batch: Option<Batch>,
    /// The sort key of the row under the cursor.
    key: Vec<u8>,
    window: Window,
    before: Vec<u8>,
}

impl Cursor {
    /// A cursor before the first row of the first file.
    pub fn new(objects: &Objects, step: Step, files: Vec<Arc<DataFile>>) -> Self {
        Self {
            objects: objects.clone(),
            step,
            files: files.into(),
            stream: None,
            batch: None,
            key: Vec::new(),
            window: Window(i64::MIN),
            before: Vec::new(),
        }
    }

    /// Moves to the next row; false when there is none.
    ///
    /// # Errors
    /// When a file cannot be read, or its rows are not sorted.
    pub async fn advance(&mut self) -> Result<bool, HistoryError> {
        if let Some(batch) = &mut self.batch {
            let at = batch.at;
            if at + 1 < batch.starts.len() {
                batch.at = at + 1;
                let same = batch.tags.same_series(at, at + 1);
                self.read_key(same)?;
                return Ok(true);
            }
        }
        loop {
            let Some(file) = self.files.front().cloned() else {
                self.batch = None;
                return Ok(false);
            };
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => contained(&file, self.open(&file)).await?,
            };
            // What is decoded takes a while: others get their turn.
            tokio::task::yield_now().await;
            let next = contained(&file, async {
                let batch = stream.try_next().await;
                let batch = batch.map_err(|e| HistoryError::file(&file.path, e))?;
                batch.map(|batch| self.decode(&file, &batch)).transpose()
            });
            match next.await? {
                None => _ = self.files.pop_front(),
                Some(batch) => {
                    self.stream = Some(stream);
                    let empty = batch.starts.is_empty();
                    self.batch = Some(batch);
                    if !empty {
                        self.read_key(false)?;
                        return Ok(true);
                    }
                }
            }
        }
    }

    async fn open(
        &self,
        file: &DataFile,
    ) -> Result<ParquetRecordBatchStream<ObjectReader>, HistoryError> {
        let failed = |e: &dyn std::fmt::Display| HistoryError::file(&file.path, e);
        let builder = ParquetRecordBatchStreamBuilder::new(open(&self.objects, file))
            .await
            .map_err(|e| failed(&e))?;
        let (columns, rows) = match file.is_raw() {
            true => (VALUE_COLUMNS.to_vec(), RAW_ROWS),
            false => (rollup_columns(CellValues::ALL), ROLLUP_ROWS),
        };
        let wanted = |name: &str| is_indexed(name) || columns.contains(&name);
        let mask = projection(builder.parquet_schema(), wanted);
        let builder = builder.with_projection(mask).with_batch_size(rows);
        builder.build().map_err(|e| failed(&e))
    }

    fn decode(&self, file: &DataFile, batch: &RecordBatch) -> Result<Batch, HistoryError> {
        let failed = |e: &dyn std::fmt::Display| HistoryError::file(&file.path, e);
        let starts = primitive::<TimestampMillisecondType>(batch, layout::START);
        let rows = match file.is_raw() {
            true => decode_raw(batch),
            false => decode_rollup(batch, file.cell_slots),
        };
        Ok(Batch {
            tags: TagColumns::of(batch).map_err(|e| failed(&e))?,
            starts: starts.map_err(|e| failed(&e))?.clone(),
            rows: rows.map_err(|e| failed(&e))?,
            at: 0,
        })
    }

    /// Reads the key of the row under the cursor, and holds it against the row before.
    fn read_key(&mut self, same_series: bool) -> Result<(), HistoryError> {
        let batch = self.batch.as_ref().expect("there is a row");
        let file = self.files.front().expect("there is a row");
        let row = batch.at;
        let before = self.window;
        if !same_series {
            std::mem::swap(&mut self.key, &mut self.before);
            if !batch.tags.sort_key(row, &mut self.key) {
                return Err(HistoryError::file(
                    &file.path,
                    "a row's tags cannot be read",
                ));
            }
        }
        self.window = match &batch.rows {
            Rows::Rollup(_) => Window(i64::MIN),
            Rows::Raw { offsets, .. } => {
                let first = self.first_slot(batch);
                let length = offsets[row + 1] - offsets[row];
                if first.position() + length > BLOCK_SLOTS {
                    return Err(HistoryError::file(
                        &file.path,
                        "a row is not within a window",
                    ));
                }
                first.window()
            }
        };
        let sorted = match same_series {
            true => before < self.window,
            false => self.before < self.key || (self.before == self.key && before < self.window),
        };
        if !sorted {
            return Err(HistoryError::file(&file.path, "its rows are not sorted"));
        }
        Ok(())
    }

    fn first_slot(&self, batch: &Batch) -> Slot {
        Slot::ending_by(Timestamp(batch.starts.value(batch.at)), self.step)
    }

    /// The file of the row under the cursor.
    pub fn file(&self) -> &Arc<DataFile> {
        self.files.front().expect("there is a row")
    }

    /// The sort key of the row under the cursor.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The window of the row; the lowest there is for a roll-up.
    pub fn window(&self) -> Window {
        self.window
    }

    /// The tags of the row.
    pub fn tags(&self) -> Tags {
        let batch = self.batch.as_ref().expect("there is a row");
        batch.tags.tags(batch.at)
    }

    /// The values of a row of raw data.
    pub fn block(&self) -> Block {
        let batch = self.batch.as_ref().expect("there is a row");
        let mut block = Block::EMPTY;
        if let Rows::Raw { values, offsets } = &batch.rows {
            let values = &values[offsets[batch.at]..offsets[batch.at + 1]];
            let position = self.first_slot(batch).position();
            block.0[position..position + values.len()].copy_from_slice(values);
        }
        block
    }

    /// The cells of a row of a roll-up.
    pub fn cells(&self) -> Option<&RollupCells> {
        let batch = self.batch.as_ref().expect("there is a row");
        match &batch.rows {
            Rows::Raw { .. } => None,
            Rows::Rollup(cells) => Some(&cells[batch.at]),
        }
    }
}

fn decode_raw(batch: &RecordBatch) -> Result<Rows, String> {
    let columns = ValueColumns::of(batch).map_err(|e| e.to_string())?;
    let mut all = Vec::with_capacity(batch.num_rows() * BLOCK_SLOTS);
    let mut offsets = vec![0];
    let mut values = Vec::new();
    for row in 0..batch.num_rows() {
        let read = columns.values(row, &mut values);
        read.map_err(|e| format!("a row is damaged: {e}"))?;
        all.extend_from_slice(&values);
        offsets.push(all.len());
    }
    Ok(Rows::Raw {
        values: all,
        offsets,
    })
}

fn decode_rollup(batch: &RecordBatch, cell_slots: u32) -> Result<Rows, String> {
    let columns = RollupColumns::of(batch, CellValues::ALL).map_err(|e| e.to_string())?;
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut cells = RollupCells::default();
        let read = columns.cells(row, &mut cells);
        read.map_err(|e| format!("a row is damaged: {e}"))?;
        if cells.cell_slots != cell_slots {
            return Err(format!("its cells have {} slots", cells.cell_slots));
        }
        rows.push(cells);
    }
    Ok(Rows::Rollup(rows))
}
