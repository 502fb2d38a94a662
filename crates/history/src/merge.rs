//! Merging files: a streaming merge sort of their rows by series and window, in memory that the number of streams bounds.
//!
//! Rows of one window lie over one another in the order of their sequences, slot by slot. What deletions and retention take away is left out. When
//! all files of a day are merged, its roll-ups are made of the same rows.

mod cursor;
mod output;
mod series;
mod streams;
mod tag_columns;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use hesper_model::{Block, Timestamp, Window};
use parquet::arrow::async_reader::AsyncFileReader;

use cursor::Cursor;
use series::{Decisions, SeriesCells};
pub(crate) use streams::streams;
pub(crate) use tag_columns::TagColumns;

use crate::backup::read_whole;
use crate::day::Day;
use crate::deletion::Deletion;
use crate::layout::split_keys;
use crate::manifest::DAY_LEVEL;
use crate::policy::Rules;
use crate::read::{contained, open};
use crate::store::FilePlace;
use crate::{DataFile, History, HistoryError, layout};

use output::Outputs;

/// What is merged, and what is to be made of it.
pub(crate) struct MergeJob {
    /// The day of all files.
    pub day: Day,
    /// Files of raw data.
    pub raw: Vec<Arc<DataFile>>,
    /// Files of roll-ups of the day; only of a whole day.
    pub rollups: Vec<Arc<DataFile>>,
    /// The level of the files that are made.
    pub level: u8,
    /// The roll-ups to make, by slots in a cell; only of a whole day.
    pub make: Vec<u32>,
    /// The deletions that are pending.
    pub deletions: Vec<Arc<Deletion>>,
}

impl MergeJob {
    /// All files that are replaced.
    pub fn inputs(&self) -> impl Iterator<Item = &Arc<DataFile>> {
        self.raw.iter().chain(&self.rollups)
    }

    /// The sequence of the files that are made.
    pub fn sequence(&self) -> u64 {
        let sequences = self.inputs().map(|f| f.sequence);
        sequences.max().expect("something is merged")
    }
}

/// What a merge made. Its files are on the object store, but don't count yet.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// The files, raw data and roll-ups.
    pub files: Vec<DataFile>,
    /// Datapoints that were left out because of deletions.
    pub deleted: u64,
    /// Datapoints of raw data that were left out because of retention.
    pub expired: u64,
    /// Datapoints that came for cells whose raw data is gone, in slots that had one already.
    pub too_late: u64,
}

/// The row that comes next of an input.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    key: Vec<u8>,
    window: Window,
    sequence: u64,
    input: usize,
}

/// A window of a series while the rows that lie over one another are gathered.
struct Gathered {
    window: Window,
    block: Block,
    sequence: u64,
}

impl History {
    /// Merges files and puts what comes out on the object store.
    ///
    /// # Errors
    /// When a file cannot be read or written. What was put until then is garbage, found later.
    pub(crate) async fn merge(
        &self,
        job: &MergeJob,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Merged, HistoryError> {
        let objects = self.objects();
        // What is damaged must not be written anew, with a checksum that says it is right.
        for file in job.inputs() {
            read_whole(objects, file).await?;
        }
        let mut cursors = Vec::new();
        for files in streams(&job.raw).into_iter().chain(streams(&job.rollups)) {
            cursors.push(Cursor::new(objects, self.step(), files));
        }
        let mut heap = BinaryHeap::new();
        for (input, cursor) in cursors.iter_mut().enumerate() {
            if cursor.advance().await? {
                let key = cursor.key().to_vec();
                heap.push(Reverse(head(cursor, key, input)));
            }
        }
        // Rows expire only when the roll-ups are made of them.
        let age = match job.level {
            DAY_LEVEL => now.0.saturating_sub(job.day.end().0),
            _ => i64::MIN,
        };
        let keys = self.tag_columns(job).await?;
        let place = FilePlace {
            start: job.day.range(self.step()).first,
            cell_slots: 1,
            sequence: job.sequence(),
            part: 0,
            level: job.level,
        };
        let mut outputs = Outputs::new(self, rules, keys, place, &job.make);
        let mut merged = Merged::default();
        let mut current: Option<(Vec<u8>, Decisions)> = None;
        let mut cells = SeriesCells::new(job.day, self.step(), &job.make);
        let mut gathered: Option<Gathered> = None;
        while let Some(Reverse(mut next)) = heap.pop() {
            let cursor = &mut cursors[next.input];
            if current.as_ref().is_none_or(|(key, _)| *key != next.key) {
                if let Some((_, series)) = &current {
                    let rest = gathered.take();
                    finish_window(rest, series, &mut cells, &mut outputs, &mut merged)?;
                    finish_series(series, &mut cells, &mut outputs, &mut merged, age)?;
                }
                outputs.begin_series().await?;
                let series = Decisions::new(cursor.tags(), rules, &job.deletions, age);
                current = Some((next.key.clone(), series));
            }
            let (_, series) = current.as_ref().expect("just set");
            let file = cursor.file().clone();
            if let Some(read) = cursor.cells() {
                cells.set_older(read, series.hidden(&file));
            } else {
                if gathered.as_ref().is_some_and(|g| g.window != next.window) {
                    let whole = gathered.take();
                    finish_window(whole, series, &mut cells, &mut outputs, &mut merged)?;
                }
                let mut block = cursor.block();
                merged.deleted += series.delete(&file, next.window, &mut block);
                let below = gathered.get_or_insert(Gathered {
                    window: next.window,
                    block: Block::EMPTY,
                    sequence: 0,
                });
                below.block.overwrite_with(&block);
                below.sequence = file.sequence;
            }
            let same = std::mem::take(&mut next.key);
            if cursor.advance().await? {
                let key = reused(same, cursor.key());
                heap.push(Reverse(head(cursor, key, next.input)));
            }
        }
        if let Some((_, series)) = &current {
            finish_window(gathered, series, &mut cells, &mut outputs, &mut merged)?;
            finish_series(series, &mut cells, &mut outputs, &mut merged, age)?;
        }
        merged.files = outputs.finish().await?;
        if job.level == DAY_LEVEL {
            for file in &mut merged.files {
                file.pruned_millis = now.0;
                file.pruned_by = rules.fingerprint;
                if file.is_raw() {
                    file.rolled.clone_from(&job.make);
                }
            }
        }
        Ok(merged)
    }

    /// The keys that are to have a column: those that have one in any input.
    async fn tag_columns(&self, job: &MergeJob) -> Result<Vec<String>, HistoryError> {
        let mut keys = BTreeSet::new();
        for file in job.inputs() {
            let metadata = contained(file, async {
                let mut reader = open(self.objects(), file);
                let read = reader.get_metadata(None).await;
                read.map_err(|e| HistoryError::file(&file.path, e))
            });
            let metadata = metadata.await?;
            let fields = metadata.file_metadata().schema_descr().root_schema();
            for field in fields.get_fields() {
                if let Some(key) = field.name().strip_prefix(layout::TAG_PREFIX) {
                    keys.insert(key.to_owned());
                }
            }
        }
        let (columns, _) = split_keys(keys.iter().map(String::as_str));
        Ok(columns)
    }
}

fn head(cursor: &Cursor, key: Vec<u8>, input: usize) -> Head {
    Head {
        key,
        window: cursor.window(),
        sequence: cursor.file().sequence,
        input,
    }
}

/// The key in the memory of the one before.
fn reused(mut memory: Vec<u8>, key: &[u8]) -> Vec<u8> {
    if memory != key {
        memory.clear();
        memory.extend_from_slice(key);
    }
    memory
}

fn finish_window(
    gathered: Option<Gathered>,
    series: &Decisions,
    cells: &mut SeriesCells,
    outputs: &mut Outputs<'_>,
    merged: &mut Merged,
) -> Result<(), HistoryError> {
    let Some(Gathered {
        window,
        block,
        sequence,
    }) = gathered
    else {
        return Ok(());
    };
    let present = block.present();
    if present == 0 {
        return Ok(());
    }
    cells.add(window, &block);
    if series.keeps_raw() {
        outputs.push_raw(series.tags(), window, &block, sequence)
    } else {
        merged.expired += u64::from(present.count_ones());
        Ok(())
    }
}

fn finish_series(
    series: &Decisions,
    cells: &mut SeriesCells,
    outputs: &mut Outputs<'_>,
    merged: &mut Merged,
    age: i64,
) -> Result<(), HistoryError> {
    for (number, too_late) in cells.finish() {
        merged.too_late += too_late;
        let cells = cells.cells(number);
        let expired = series
            .keep_of(cells.cell_slots)
            .is_some_and(|keep| keep <= age);
        if cells.datapoints() > 0 && !expired {
            outputs.push_rollup(number, series.tags(), cells)?;
        }
    }
    cells.reset();
    Ok(())
}
