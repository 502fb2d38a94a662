//! The rows of a file.

use std::panic::AssertUnwindSafe;

use arrow::array::RecordBatch;
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use bytes::Bytes;
use hesper_model::{BLOCK_SLOTS, Slot, Step, Timestamp};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{LOST_FILE, Severity, Verification};
use crate::DataFile;
use crate::encode::Summary;
use crate::file_index::FileIndexBuilder;
use crate::layout;
use crate::merge::TagColumns;
use crate::read::{ValueColumns, primitive};
use crate::rollup::{CellValues, RollupCells, RollupColumns};

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 1024;

/// Notes what is wrong with a file whose checksum is right.
pub(super) async fn verify(bytes: Bytes, file: &DataFile, step: Step, found: &mut Verification) {
    let owned = file.clone();
    let work = move || {
        let mut rows = Rows::new(&owned, step);
        // The readers panic on some damaged files.
        let read = std::panic::catch_unwind(AssertUnwindSafe(|| rows.read(bytes)));
        let read = read.unwrap_or_else(|_| Err("it is damaged, the reader gave up".to_owned()));
        (rows.count, rows.datapoints, read)
    };
    let done = tokio::task::spawn_blocking(work).await;
    let (rows, datapoints, read) = match done {
        Ok(done) => done,
        Err(error) => (0, 0, Err(error.to_string())),
    };
    found.rows += rows;
    found.datapoints += if file.is_raw() { datapoints } else { 0 };
    if let Err(what) = read {
        found.add(Severity::Damage, &file.path, what, LOST_FILE);
    }
}

/// What was seen of a file so far.
struct Rows<'a> {
    file: &'a DataFile,
    step: Step,
    count: u64,
    datapoints: u64,
    /// The sort key of the last row, and its start.
    last: (Vec<u8>, i64),
    slots: (i64, i64),
    names: (String, String),
}

impl<'a> Rows<'a> {
    fn new(file: &'a DataFile, step: Step) -> Self {
        Self {
            file,
            step,
            count: 0,
            datapoints: 0,
            last: (Vec::new(), i64::MIN),
            slots: (i64::MAX, i64::MIN),
            names: (String::new(), String::new()),
        }
    }

    fn read(&mut self, bytes: Bytes) -> Result<(), String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| text(&e))?;
        let metadata = builder.metadata().clone();
        let mut index = FileIndexBuilder::default();
        // The first row of each series, to be held against the index.
        let mut firsts = Vec::new();
        let batches = builder
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|e| text(&e))?;
        for batch in batches {
            let batch = batch.map_err(|e| text(&e))?;
            index.add(&batch).map_err(|e| text(&e))?;
            self.batch(&batch, &mut firsts)?;
        }
        let index = index.finish(metadata);
        self.against_manifest()?;
        if index.series() != firsts.len() {
            return Err(format!(
                "its index has {} series, its rows {}",
                index.series(),
                firsts.len()
            ));
        }
        for (row, tags) in firsts {
            if index.tags_of(row) != tags {
                return Err(format!("row {row} is not in its index as it is"));
            }
        }
        Ok(())
    }

    fn batch(
        &mut self,
        batch: &RecordBatch,
        firsts: &mut Vec<(u32, hesper_model::Tags)>,
    ) -> Result<(), String> {
        let tags = TagColumns::of(batch).map_err(|e| e.to_string())?;
        let missing = |e: crate::file_index::BadColumn| e.to_string();
        let starts =
            primitive::<TimestampMillisecondType>(batch, layout::START).map_err(missing)?;
        let steps = primitive::<Int32Type>(batch, layout::STEP_MS).map_err(missing)?;
        let sequences = primitive::<Int64Type>(batch, layout::SEQUENCE).map_err(missing)?;
        let values = match self.file.is_raw() {
            true => Values::Raw(ValueColumns::of(batch).map_err(missing)?),
            false => Values::Rollup(RollupColumns::of(batch, CellValues::ALL).map_err(missing)?),
        };
        let [min, max] = [layout::MIN, layout::MAX].map(|c| primitive::<Float64Type>(batch, c));
        let (min, max) = (min.map_err(missing)?, max.map_err(missing)?);
        let mut key = Vec::new();
        let mut present = Vec::new();
        for row in 0..batch.num_rows() {
            let at = self.count;
            let wrong = |what: String| format!("row {at}: {what}");
            if !tags.sort_key(row, &mut key) {
                return Err(wrong("its tags cannot be read".to_owned()));
            }
            let start = starts.value(row);
            if i64::from(steps.value(row)) != self.file.step_millis {
                return Err(wrong("its step is not that of the file".to_owned()));
            }
            if sequences.value(row) as u64 > self.file.sequence {
                return Err(wrong("its sequence is above that of the file".to_owned()));
            }
            match self.last.0.cmp(&key) {
                std::cmp::Ordering::Less => {
                    firsts.push((self.count as u32, tags.tags(row)));
                }
                std::cmp::Ordering::Equal if self.last.1 < start => {}
                _ => return Err(wrong("it is not after the row before it".to_owned())),
            }
            self.last.0.clone_from(&key);
            self.last.1 = start;
            let slots = match &values {
                Values::Raw(columns) => self.raw(columns, row, start, &mut present),
                Values::Rollup(columns) => self.rollup(columns, row, &mut present),
            };
            let slots = slots.map_err(wrong)?;
            let ends = Summary::of(&present).map(|s| (s.min, s.max));
            let stored =
                arrow::array::Array::is_valid(min, row).then(|| (min.value(row), max.value(row)));
            if ends != stored {
                return Err(wrong(
                    "its lowest and highest are not those of its values".to_owned(),
                ));
            }
            self.slots = (self.slots.0.min(slots.0), self.slots.1.max(slots.1));
            let name = tags.tags(row);
            let name = name.name().unwrap_or_default();
            if self.count == 0 {
                name.clone_into(&mut self.names.0);
            }
            name.clone_into(&mut self.names.1);
            self.count += 1;
        }
        Ok(())
    }

    /// Reads a row of raw data and gives the slots that its window covers.
    fn raw(
        &mut self,
        columns: &ValueColumns<'_>,
        row: usize,
        start: i64,
        present: &mut Vec<f64>,
    ) -> Result<(i64, i64), String> {
        columns.values(row, present)?;
        let first = Slot::ending_by(Timestamp(start), self.step);
        if first.time(self.step).0 != start {
            return Err("its start is not the end of a step".to_owned());
        }
        if first.position() + present.len() > BLOCK_SLOTS {
            return Err("it is not within a window".to_owned());
        }
        present.retain(|v| !v.is_nan());
        self.datapoints += present.len() as u64;
        let window = first.window();
        Ok((window.first_slot().0, window.last_slot().0))
    }

    fn rollup(
        &mut self,
        columns: &RollupColumns<'_>,
        row: usize,
        present: &mut Vec<f64>,
    ) -> Result<(i64, i64), String> {
        let mut cells = RollupCells::default();
        columns.cells(row, &mut cells)?;
        if cells.cell_slots != self.file.cell_slots || cells.is_empty() {
            return Err("its cells are not those of the file".to_owned());
        }
        self.datapoints += cells.datapoints();
        present.clear();
        let ends = cells.mins.iter().chain(&cells.maxs);
        present.extend(ends.filter(|v| !v.is_nan()));
        Ok((cells.slots(0).first.0, cells.slots(cells.len() - 1).last.0))
    }

    fn against_manifest(&self) -> Result<(), String> {
        let file = self.file;
        let same = [
            ("rows", self.count, file.rows),
            ("datapoints", self.datapoints, file.datapoints),
            ("as first slot", self.slots.0 as u64, file.first_slot as u64),
            ("as last slot", self.slots.1 as u64, file.last_slot as u64),
        ];
        for (what, found, said) in same {
            if found != said {
                return Err(format!("it has {found} {what}, the manifest says {said}"));
            }
        }
        let names = (&file.min_name, &file.max_name);
        if (&self.names.0, &self.names.1) != names {
            return Err(format!(
                "its names go from {} to {}, the manifest says from {} to {}",
                self.names.0, self.names.1, names.0, names.1
            ));
        }
        Ok(())
    }
}

enum Values<'a> {
    Raw(ValueColumns<'a>),
    Rollup(RollupColumns<'a>),
}
