//! Declared back-fill: values that are already normalised, written to history directly.
//!
//! A loader gathers blocks until they take up its memory, then writes and commits them as a part. A part carries the name of the load and a hash of what was
//! pushed for it: loading the same input again, whole or after a crash, changes nothing and writes nothing for the parts that are there.
//!
//! Of two values for a slot the one with the higher sequence counts, so a part takes a sequence above those of all data before it. Windows that memory holds are
//! answered from memory: their back-fill goes through the log instead.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use hesper_model::series::put_sort_key;
use hesper_model::{BLOCK_SLOTS, Block, SeriesId, Slot, Tags, Window};
use xxhash_rust::xxh3::Xxh3;

use crate::day::Day;
use crate::encode::FileWriter;
use crate::layout::split_keys;
use crate::manifest::LOADED_LEVEL;
use crate::store::{Change, FilePlace, Fit, MAX_FILE_ROWS};
use crate::{DataFile, History, HistoryError};

/// What was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Datapoints in the parts that were written.
    pub datapoints: u64,
    /// Parts that were written.
    pub parts: u64,
    /// Parts that were there already.
    pub parts_known: u64,
    /// Windows that history holds something of, now.
    pub windows: BTreeSet<Window>,
}

/// Loads values. Its [`Loader::finish`] has to be called.
pub struct Loader<'a, S> {
    history: &'a History,
    name: String,
    sequence: S,
    max_blocks: usize,
    series: HashMap<SeriesId, u32>,
    tags: Vec<Tags>,
    blocks: HashMap<(u32, Window), u32>,
    values: Vec<Block>,
    /// Hashes what is pushed for the part.
    content: Xxh3,
    loaded: Loaded,
}

impl<'a, S: FnMut() -> u64> Loader<'a, S> {
    /// A loader. A part that was loaded under this `name` before is not written again. `sequence` gives a number above those of all flushes
    /// so far, each once; the flushes that come have higher ones. `max_bytes` bounds the memory of a part.
    pub fn new(history: &'a History, name: String, sequence: S, max_bytes: usize) -> Self {
        Self {
            history,
            name,
            sequence,
            max_blocks: (max_bytes / (size_of::<Block>() + 64)).max(1),
            series: HashMap::new(),
            tags: Vec::new(),
            blocks: HashMap::new(),
            values: Vec::new(),
            content: Xxh3::new(),
            loaded: Loaded::default(),
        }
    }

    /// Adds consecutive values of a series, NaN where there is no data. Of two values for a slot the later one counts.
    ///
    /// # Errors
    /// When a part is full and cannot be committed; see [`Loader::finish`].
    pub async fn push(
        &mut self,
        tags: &Tags,
        first: Slot,
        values: &[f64],
    ) -> Result<(), HistoryError> {
        let id = SeriesId::of(tags);
        let (mut at, mut rest) = (first, values);
        while !rest.is_empty() {
            let position = at.position();
            let (of_window, others) = rest.split_at(rest.len().min(BLOCK_SLOTS - position));
            if of_window.iter().any(|v| !v.is_nan()) {
                let block = self.block(tags, at.window()).await?;
                let slots = &mut block.0[position..];
                for (slot, value) in slots.iter_mut().zip(of_window) {
                    if !value.is_nan() {
                        *slot = *value;
                    }
                }
                // Not before: making the block may have ended a part.
                self.hash(id, at, of_window);
            }
            at = Slot(at.0 + of_window.len() as i64);
            rest = others;
        }
        Ok(())
    }

    /// Takes values of a window into the hash of the part.
    fn hash(&mut self, series: SeriesId, first: Slot, values: &[f64]) {
        let mut bytes = [[0; 8]; BLOCK_SLOTS];
        for (bytes, value) in bytes.iter_mut().zip(values) {
            *bytes = value.to_bits().to_le_bytes();
        }
        self.content.update(&series.0.to_le_bytes());
        self.content.update(&first.0.to_le_bytes());
        self.content.update(bytes[..values.len()].as_flattened());
    }

    /// The block of a series' window, made when it is not there.
    async fn block(&mut self, tags: &Tags, window: Window) -> Result<&mut Block, HistoryError> {
        let mut series = self.series_number(tags);
        if self.values.len() >= self.max_blocks && !self.blocks.contains_key(&(series, window)) {
            self.write_part().await?;
            series = self.series_number(tags);
        }
        let number = match self.blocks.entry((series, window)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.values.push(Block::EMPTY);
                *new.insert(self.values.len() as u32 - 1)
            }
        };
        Ok(&mut self.values[number as usize])
    }

    fn series_number(&mut self, tags: &Tags) -> u32 {
        let mut id = SeriesId::of(tags);
        loop {
            match self.series.entry(id) {
                Entry::Occupied(known) if self.tags[*known.get() as usize] == *tags => {
                    return *known.get();
                }
                // Another series with the same id: it takes the next that is free.
                Entry::Occupied(_) => id = SeriesId(id.0.wrapping_add(1)),
                Entry::Vacant(new) => {
                    self.tags.push(tags.clone());
                    return *new.insert(self.tags.len() as u32 - 1);
                }
            }
        }
    }

    /// True when nothing was pushed since the last part.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What was loaded so far.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Commits what was pushed so far, as a part.
    ///
    /// # Errors
    /// As [`Loader::finish`].
    pub async fn flush(&mut self) -> Result<(), HistoryError> {
        match self.values.is_empty() {
            true => Ok(()),
            false => self.write_part().await,
        }
    }

    /// Commits what is left.
    ///
    /// # Errors
    /// When the object store fails. Parts before are loaded; loading all of the same input again goes on from there.
    pub async fn finish(mut self) -> Result<Loaded, HistoryError> {
        self.flush().await?;
        Ok(self.loaded)
    }

    async fn write_part(&mut self) -> Result<(), HistoryError> {
        let name = format!("{}#{:032x}", self.name, self.content.digest128());
        self.content.reset();
        let windows = self.blocks.keys().map(|(_, window)| *window);
        self.loaded.windows.extend(windows);
        if self.history.manifest().has_load(&name) {
            self.loaded.parts_known += 1;
        } else {
            let sequence = (self.sequence)();
            let added = self.write_files(sequence).await?;
            self.loaded.parts += 1;
            self.loaded.datapoints += added.iter().map(|f| f.datapoints).sum::<u64>();
            let change = Change {
                what: "load",
                added,
                flushes: vec![sequence],
                loads: vec![name.clone()],
                ..Change::default()
            };
            let fit = |manifest: &crate::Manifest| match manifest.has_load(&name) {
                true => Fit::Done,
                false => Fit::Yes,
            };
            self.history.commit(change, fit).await?;
        }
        self.series.clear();
        self.tags.clear();
        self.blocks.clear();
        self.values.clear();
        Ok(())
    }

    async fn write_files(&self, sequence: u64) -> Result<Vec<DataFile>, HistoryError> {
        let step = self.history.step();
        let mut keys: Vec<(Vec<u8>, u32)> = Vec::with_capacity(self.tags.len());
        for (number, tags) in self.tags.iter().enumerate() {
            let mut key = Vec::with_capacity(128);
            put_sort_key(tags.iter(), &mut key);
            keys.push((key, number as u32));
        }
        keys.sort_unstable();
        let mut place = vec![0; self.tags.len()];
        for (at, (_, number)) in keys.iter().enumerate() {
            place[*number as usize] = at as u32;
        }
        let mut days: BTreeMap<Day, Vec<(u32, Window, u32, u32)>> = BTreeMap::new();
        for ((series, window), block) in &self.blocks {
            let rows = days.entry(Day::of(*window, step)).or_default();
            rows.push((place[*series as usize], *window, *series, *block));
        }
        let mut files = Vec::new();
        for (day, mut rows) in days {
            rows.sort_unstable();
            for (part, rows) in rows.chunks(MAX_FILE_ROWS).enumerate() {
                // Encoding takes its time: others get their turn.
                tokio::task::yield_now().await;
                let tags = |row: &(u32, Window, u32, u32)| &self.tags[row.2 as usize];
                let (columns, _) = split_keys(
                    rows.chunk_by(|a, b| a.0 == b.0)
                        .flat_map(|of_series| tags(&of_series[0]).iter().map(|(k, _)| k)),
                );
                let mut writer = FileWriter::new(step, columns)?;
                for row in rows {
                    let block = &self.values[row.3 as usize];
                    writer.push(tags(row), row.1, block, sequence)?;
                }
                let place = FilePlace {
                    start: day.range(step).first,
                    cell_slots: 1,
                    sequence,
                    part: part as u32,
                    level: LOADED_LEVEL,
                };
                files.push(self.history.put_file(writer.finish()?, place).await?);
            }
        }
        Ok(files)
    }
}
