//! The part of a scan that memory cannot answer: rows of history files, with what memory holds of their windows laid over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::{HashMap, HashSet};
use hesper_history::{DataFile, FileIndex, History};
use hesper_hot::fold::WindowPart;
use hesper_hot::groups::{Grouping, TooManyGroups};
use hesper_hot::scan::{Overlay, PartialScan, ScanRequest};
use hesper_model::tags::NAME;
use hesper_model::{BLOCK_SLOTS, Block, SeriesId, Slot, Tags, TimeRange, Window};
use roaring::RoaringBitmap;

use crate::tiers::MissingPart;

/// What was looked at in history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryStats {
    /// Files of which rows were read.
    pub files: u64,
    /// Rows read.
    pub rows: u64,
}

/// A scan of history.
pub struct HistoryScan<'a> {
    /// History.
    pub history: &'a History,
    /// What is asked.
    pub request: &'a ScanRequest,
    /// Number of shards of the store in memory.
    pub shards: u32,
    /// By shard: the windows that memory answered for.
    pub complete: HashMap<u32, Vec<Window>>,
    /// What memory holds of the others.
    pub overlays: Vec<Overlay>,
    /// Set when the answer is no longer wanted.
    pub cancelled: &'a AtomicBool,
}

/// Blocks of windows that have more than one source, newest values on top.
type Layered = BTreeMap<(Window, SeriesId), (u32, Block)>;

impl HistoryScan<'_> {
    /// Folds everything into `found`; gives what was looked at and what could not be read.
    ///
    /// # Errors
    /// When there are too many groups.
    pub async fn run(
        mut self,
        found: &mut PartialScan,
    ) -> Result<(HistoryStats, Vec<MissingPart>), TooManyGroups> {
        let range = self.request.layout.range();
        let files = self.history.manifest().files_in(range);
        let files: Vec<_> = files.into_iter().filter(|f| self.may_match(f)).collect();
        let layered_windows = self.layered_windows(&files);
        let mut layered = Layered::new();
        let mut stats = HistoryStats::default();
        let mut missing = Vec::new();
        for file in files {
            if self.cancelled.load(Ordering::Relaxed) {
                break;
            }
            match self
                .scan_file(&file, &layered_windows, &mut layered, found)
                .await
            {
                Ok(rows) => {
                    stats.files += u64::from(rows > 0);
                    stats.rows += rows;
                }
                Err(FileError::TooMany(e)) => return Err(e),
                Err(FileError::Unreadable(reason)) => {
                    tracing::warn!(file = file.path, reason, "a history file cannot be read");
                    missing.push(MissingPart {
                        part: file.path.clone(),
                        reason,
                    });
                }
            }
        }
        for overlay in std::mem::take(&mut self.overlays) {
            let Some(group) = group_of_tags(&self.request.grouping, &overlay.tags, found)? else {
                continue;
            };
            let lowest = found.groups.lowest_mut(group);
            let source = overlay.tags.get(hesper_model::data_source::DSTYPE);
            let item = hesper_model::ItemId::of(&overlay.tags);
            let item = u64::from_be_bytes(*item.0.first_chunk().expect("20 bytes"));
            lowest.add(hesper_model::DataSource::of_tag(source), item);
            let (_, block) = layered
                .entry((overlay.window, overlay.id))
                .or_insert((group, Block::EMPTY));
            block.overwrite_with(&overlay.block);
        }
        found.acc.grow(found.groups.len());
        for ((window, _), (group, block)) in &layered {
            if let Some(part) = WindowPart::of(&self.request.layout, *window) {
                found.acc.fold_block(*group, &part, block);
            }
        }
        Ok((stats, missing))
    }

    /// False when the names in a file rule it out, or memory answered for all its windows.
    fn may_match(&self, file: &DataFile) -> bool {
        let exact = self.request.query.exact_tags();
        if let Some(name) = exact.get(NAME)
            && (name < file.min_name.as_str() || name > file.max_name.as_str())
        {
            return false;
        }
        let asked = self.request.layout.range();
        let covered = TimeRange {
            first: asked.first.max(file.range().first),
            last: asked.last.min(file.range().last),
        };
        covered.windows().any(|w| !self.answered_by_all(w))
    }

    fn answered_by_all(&self, window: Window) -> bool {
        self.complete.len() == self.shards as usize
            && self.complete.values().all(|ws| ws.contains(&window))
    }

    fn answered(&self, id: SeriesId, window: Window) -> bool {
        let shard = id.shard(self.shards);
        self.complete
            .get(&shard)
            .is_some_and(|ws| ws.contains(&window))
    }

    /// The windows whose rows cannot be folded as they come: rows of other sequences, or memory, may lie over them.
    fn layered_windows(&self, files: &[Arc<DataFile>]) -> HashSet<Window> {
        let mut sequence: HashMap<Window, u64> = HashMap::new();
        let mut layered: HashSet<Window> = self.overlays.iter().map(|o| o.window).collect();
        for file in files {
            for window in file.range().windows() {
                let first = *sequence.entry(window).or_insert(file.sequence);
                if first != file.sequence {
                    layered.insert(window);
                }
            }
        }
        layered
    }

    async fn scan_file(
        &self,
        file: &DataFile,
        layered_windows: &HashSet<Window>,
        layered: &mut Layered,
        found: &mut PartialScan,
    ) -> Result<u64, FileError> {
        let unreadable = |e: hesper_history::HistoryError| FileError::Unreadable(e.to_string());
        let index = self.history.index(file).await.map_err(unreadable)?;
        let (rows, groups) = self.assign(&index, found)?;
        if rows.is_empty() {
            return Ok(0);
        }
        found.acc.grow(found.groups.len());
        let layout = self.request.layout;
        let mut parts: HashMap<Window, Option<WindowPart>> = HashMap::new();
        let mut next = groups.iter();
        let (acc, wanted) = (&mut found.acc, rows.len());
        let read = self
            .history
            .read_values(file, &index, &rows, |row, values| {
                let group = *next.next().expect("a group for each row");
                let at = index.row(row);
                for (window, block) in blocks(at.first, values) {
                    if self.answered(at.id, window) {
                        continue;
                    }
                    if layered_windows.contains(&window) {
                        let entry = layered.entry((window, at.id));
                        entry
                            .or_insert((group, Block::EMPTY))
                            .1
                            .overwrite_with(&block);
                        continue;
                    }
                    let part = parts
                        .entry(window)
                        .or_insert_with(|| WindowPart::of(&layout, window));
                    if let Some(part) = part {
                        acc.fold_block(group, part, &block);
                    }
                }
            });
        read.await.map_err(unreadable)?;
        Ok(wanted)
    }

    /// The rows of a file that are needed, and the group of each, in their order.
    fn assign(
        &self,
        index: &FileIndex,
        found: &mut PartialScan,
    ) -> Result<(RoaringBitmap, Vec<u32>), TooManyGroups> {
        let range = self.request.layout.range();
        let mut needed = RoaringBitmap::new();
        let mut groups = Vec::new();
        let mut numbers: HashMap<Box<[u32]>, u32> = HashMap::new();
        let keys: Option<Vec<usize>> = match &self.request.grouping {
            Grouping::Keys(keys) => keys.iter().map(|k| index.key(k)).collect(),
            Grouping::One | Grouping::Series => Some(Vec::new()),
        };
        let Some(keys) = keys else {
            return Ok((needed, groups));
        };
        for row in index.tags.matching(&self.request.query) {
            let at = index.row(row);
            let window = at.first.window();
            if range.positions_in(window).is_empty() || self.answered(at.id, window) {
                continue;
            }
            let group = if self.request.grouping == Grouping::Series {
                let pairs = index.pairs(row);
                let key: Vec<_> = pairs.flat_map(|(k, v)| [k.clone(), v.clone()]).collect();
                found.groups.number(&key)?
            } else {
                let values: Option<Vec<u32>> =
                    keys.iter().map(|k| index.value_number(row, *k)).collect();
                let Some(values) = values else {
                    continue;
                };
                match numbers.get(&values[..]) {
                    Some(group) => *group,
                    None => {
                        let key: Vec<_> = values.iter().map(|v| index.text(*v).clone()).collect();
                        let group = found.groups.number(&key)?;
                        numbers.insert(values.into(), group);
                        group
                    }
                }
            };
            let lowest = found.groups.lowest_mut(group);
            lowest.add(at.source, index.item_prefix(row));
            needed.insert(row);
            groups.push(group);
        }
        Ok((needed, groups))
    }
}

enum FileError {
    TooMany(TooManyGroups),
    Unreadable(String),
}

impl From<TooManyGroups> for FileError {
    fn from(e: TooManyGroups) -> Self {
        Self::TooMany(e)
    }
}

/// The blocks that the values of a row make, by window.
fn blocks(first: Slot, values: &[f64]) -> impl Iterator<Item = (Window, Block)> {
    let mut at = first;
    let mut rest = values;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let position = at.position();
        let window = at.window();
        let n = rest.len().min(BLOCK_SLOTS - position);
        let mut block = Block::EMPTY;
        block.0[position..position + n].copy_from_slice(&rest[..n]);
        rest = &rest[n..];
        at = Slot(at.0 + n as i64);
        Some((window, block))
    })
}

fn group_of_tags(
    grouping: &Grouping,
    tags: &Tags,
    found: &mut PartialScan,
) -> Result<Option<u32>, TooManyGroups> {
    let key: Option<Vec<Arc<str>>> = match grouping {
        Grouping::One => Some(Vec::new()),
        Grouping::Keys(keys) => keys.iter().map(|k| tags.get_shared(k).cloned()).collect(),
        Grouping::Series => {
            let pairs = tags.pairs().iter();
            Some(pairs.flat_map(|(k, v)| [k.clone(), v.clone()]).collect())
        }
    };
    key.map(|key| found.groups.number(&key)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_may_span_windows() {
        let values: Vec<f64> = (0..130).map(f64::from).collect();
        let made: Vec<_> = blocks(Slot(51), &values).collect();
        let shape: Vec<_> = made
            .iter()
            .map(|(w, b)| (w.0, b.present().count_ones()))
            .collect();
        assert_eq!(shape, [(0, 10), (1, 60), (2, 60)]);
        assert_eq!(made[0].1.0[50], 0.0);
        assert_eq!(made[1].1.0[0], 10.0);
    }
}
