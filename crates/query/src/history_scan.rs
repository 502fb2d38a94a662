//! The part of a scan that memory cannot answer: raw data and roll-ups of history, with what memory holds of their windows laid over.
//!
//! The manifest says which resolution answers which days ([`Manifest::segments`]). Raw rows are folded as they come where nothing lies over them, and
//! laid over one another where something does (see [`layers`]). Cells of roll-ups are folded into the same groups. A day of which memory holds anything is answered from raw
//! data, slot by slot; only where that has expired do cells lie below newer values (see [`rolled`]).

mod layers;
mod raw;
mod rolled;
mod row_groups;
mod shares;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, stream};
use hashbrown::{HashMap, HashSet};
use hesper_history::day::Day;
use hesper_history::manifest::DAY_LEVEL;
use hesper_history::{DataFile, History, HistoryError, Manifest, Segment};
use hesper_hot::groups::TooManyGroups;
use hesper_hot::scan::{Overlay, PartialScan, ScanRequest};
use hesper_model::tags::NAME;
use hesper_model::{Block, Consolidation, SeriesId, Slot, TagQuery, TimeRange, Window};

use tokio::runtime::Handle;

use crate::budget::{Budget, Held};
use crate::error::PlanError;
use crate::notice::Notice;
use crate::tiers::{MissingPart, TierStats};
use layers::{Layered, Layers, Pick, Repeated, layered_windows, touches};
use shares::Piece;

/// What a scan of history found beside groups and cells.
#[derive(Debug, Default)]
pub struct HistoryOutcome {
    /// What was looked at, by slots in a cell, 1 for raw data.
    pub tiers: BTreeMap<u32, TierStats>,
    /// What could not be read.
    pub missing: Vec<MissingPart>,
    /// What the reader is to know.
    pub notices: Vec<Notice>,
    /// The files of which rows were read, by slots in a cell: each core may have read a part of them.
    read: BTreeSet<(u32, String)>,
}

/// A scan of history.
pub struct HistoryScan<'a> {
    /// History.
    pub history: &'a History,
    /// What is asked.
    pub request: &'a ScanRequest,
    /// What a slot is taken to hold where only the cell of a roll-up is known of it.
    pub consolidation: Consolidation,
    /// Number of shards of the store in memory.
    pub shards: u32,
    /// Of which of them the series are wanted.
    pub wanted: Range<u32>,
    /// By shard: the windows that memory answered for.
    pub complete: HashMap<u32, Vec<Window>>,
    /// What memory holds of the others.
    pub overlays: Vec<Overlay>,
    /// Set when the answer is no longer wanted.
    pub cancelled: &'a AtomicBool,
    /// What the query may use.
    pub budget: &'a Budget,
    /// Where requests to the object store are waited for.
    pub runtime: &'a Handle,
}

/// The query asks for more than it may.
pub(crate) enum ScanRefused {
    /// Groups.
    TooMany(TooManyGroups),
    /// Something else.
    Budget(PlanError),
}

impl From<TooManyGroups> for ScanRefused {
    fn from(e: TooManyGroups) -> Self {
        Self::TooMany(e)
    }
}

impl From<PlanError> for ScanRefused {
    fn from(e: PlanError) -> Self {
        Self::Budget(e)
    }
}

/// A block in [`Layered`] with its key.
const LAYERED_BYTES: usize = size_of::<Block>() + 40;

/// Files that are opened, and of which the first rows are fetched, before it is their turn.
const AHEAD: usize = 4;

/// A part of the query's range that is looked at by itself.
struct Part {
    segment: Segment,
    /// Series that are answered from raw data although the others are not; `None` when all are alike.
    with_raw: Option<HashSet<SeriesId>>,
    layered: Layered,
}

impl Part {
    /// A part over which nothing lies.
    fn plain(segment: Segment) -> Self {
        Self {
            segment,
            with_raw: None,
            layered: Layered::new(),
        }
    }

    /// True when raw data of the series lies over cells of a roll-up.
    fn lies_over_cells(&self, id: SeriesId) -> bool {
        let has_raw = self.with_raw.as_ref().map(|ids| ids.contains(&id));
        self.segment.cell_slots > 1 && has_raw != Some(true)
    }

    /// Lays a block over those that are there.
    fn lay(&mut self, window: Window, id: SeriesId, group: u32, block: &Block) {
        let entry = self.layered.entry((window, id));
        let (_, below) = entry.or_insert((group, Block::EMPTY));
        below.overwrite_with(block);
    }
}

impl HistoryScan<'_> {
    /// Folds everything into `found`.
    ///
    /// # Errors
    /// When there are too many groups, or the query asks for more than it may.
    pub(crate) fn run(mut self, found: &mut PartialScan) -> Result<HistoryOutcome, ScanRefused> {
        let mut outcome = HistoryOutcome::default();
        let manifest = self.history.manifest();
        let mut overlays: BTreeMap<Window, Vec<Overlay>> = BTreeMap::new();
        for overlay in std::mem::take(&mut self.overlays) {
            overlays.entry(overlay.window).or_default().push(overlay);
        }
        let answered = self.complete.values().flatten();
        let held: BTreeSet<Window> = answered.chain(overlays.keys()).copied().collect();
        let is_held = |day: TimeRange| {
            let windows = day.first.window()..=day.last.window();
            held.range(windows).next().is_some()
        };
        let step = self.history.step();
        let segments = manifest.segments(&self.request.layout, step, is_held);
        for segment in segments.into_iter().flat_map(|s| self.parts(s)) {
            if self.cancelled.load(Ordering::Relaxed) {
                break;
            }
            let windows = segment.range.windows();
            let over = windows.filter_map(|w| overlays.remove(&w)).flatten();
            let over: Vec<Overlay> = over.collect();
            self.scan_part(&manifest, segment, over, found, &mut outcome)?;
        }
        Ok(outcome)
    }

    /// The parts in which a segment is looked at. Where raw data lies over cells it is kept until the cells are known: a day at a time, not to hold more.
    fn parts(&self, segment: Segment) -> Vec<Segment> {
        let mut parts = Vec::new();
        let mut rest = segment.range;
        while (segment.late || segment.partly) && !rest.is_empty() {
            let step = self.history.step();
            let day = Day::of(rest.first.window(), step).range(step);
            let range = TimeRange {
                first: rest.first,
                last: rest.last.min(day.last),
            };
            parts.push(Segment { range, ..segment });
            rest.first = Slot(range.last.0 + 1);
        }
        if parts.is_empty() {
            parts.push(segment);
        }
        parts
    }

    fn scan_part(
        &self,
        manifest: &Manifest,
        segment: Segment,
        overlays: Vec<Overlay>,
        found: &mut PartialScan,
        outcome: &mut HistoryOutcome,
    ) -> Result<(), ScanRefused> {
        let reads_raw = segment.cell_slots == 1 || segment.late || segment.partly;
        let mut files = match reads_raw {
            true => manifest.files_in(segment.range),
            false => Vec::new(),
        };
        files.retain(|f| self.may_match(f, segment.range));
        let mut part = Part::plain(segment);
        if segment.partly {
            let with_raw = self.with_raw(manifest, segment, outcome);
            part.with_raw = Some(self.runtime.block_on(with_raw));
        }
        if segment.cell_slots > 1 {
            return self.scan_roll_ups(manifest, part, Layers { files, overlays }, found, outcome);
        }
        // Nothing lies over most files.
        let layered = layered_windows(&files, &overlays);
        let (files, plain): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|f| touches(f, &layered));
        let none = Repeated::new();
        self.in_shares(&plain, found, outcome, |pieces, found, outcome| {
            let mut alone = Part::plain(segment);
            self.scan_files(pieces, Pick::All(&none), &mut alone, found, outcome)
        })?;
        for layers in (Layers { files, overlays }).by_day(self.history.step()) {
            self.scan_layers(&mut Part::plain(segment), layers, found, outcome)?;
        }
        Ok(())
    }

    /// Folds the cells of roll-ups, and the raw data that lie over them.
    fn scan_roll_ups(
        &self,
        manifest: &Manifest,
        mut part: Part,
        layers: Layers,
        found: &mut PartialScan,
        outcome: &mut HistoryOutcome,
    ) -> Result<(), ScanRefused> {
        let segment = part.segment;
        let repeated = self.repeated(segment.range, &layers)?;
        let pieces = Piece::whole(&layers.files);
        self.scan_files(&pieces, Pick::All(&repeated), &mut part, found, outcome)?;
        self.lay_over(layers.overlays, &mut part, found)?;
        let mut rollups = manifest.files_of(segment.cell_slots, segment.range);
        rollups.retain(|f| self.may_match(f, segment.range));
        if part.with_raw.is_none() && part.layered.is_empty() {
            return self.in_shares(&rollups, found, outcome, |pieces, found, outcome| {
                let mut alone = Part::plain(segment);
                let scan = self.scan_rolled(pieces, &mut alone, found, outcome);
                self.runtime.block_on(scan)
            });
        }
        let pieces = Piece::whole(&rollups);
        let scan = self.scan_rolled(&pieces, &mut part, found, outcome);
        self.runtime.block_on(scan)?;
        self.fold_layered(&part, found);
        Ok(())
    }

    /// Folds the rows of raw files, one after another, or lays them over one another.
    fn scan_files(
        &self,
        pieces: &[Piece],
        pick: Pick<'_>,
        part: &mut Part,
        found: &mut PartialScan,
        outcome: &mut HistoryOutcome,
    ) -> Result<(), ScanRefused> {
        let mut held = Held::of(self.budget);
        let segment = part.segment;
        let mut windows = HashMap::new();
        self.runtime.block_on(async {
            let opened = stream::iter(pieces).map(|piece| async move {
                (&piece.file, self.open_raw(piece, segment, pick).await)
            });
            let mut opened = pin!(opened.buffered(AHEAD));
            while let Some((file, opened)) = opened.next().await {
                if self.cancelled.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let scanned = match opened {
                    Ok(rows) => self.fold_raw(rows, pick, part, &mut windows, found).await,
                    Err(e) => Err(e),
                };
                outcome.note(file, scanned)?;
                held.grow_to(part.layered.len() * LAYERED_BYTES)?;
            }
            Ok(())
        })
    }

    /// The series that have a row in the merged raw files of a day: nothing of theirs has gone.
    async fn with_raw(
        &self,
        manifest: &Manifest,
        segment: Segment,
        outcome: &mut HistoryOutcome,
    ) -> HashSet<SeriesId> {
        let mut ids = HashSet::new();
        for file in manifest.files_in(segment.range) {
            if file.level != DAY_LEVEL || !self.may_hold_name(&file) {
                continue;
            }
            match self.history.index(&file).await {
                Ok(index) => {
                    let rows = index.matching(&self.request.query);
                    ids.extend(rows.iter().map(|row| index.row(row).id));
                }
                Err(e) => outcome.miss(&file, e.to_string()),
            }
        }
        ids
    }

    /// False when the names in a file rule it out, or memory answered for all its windows of a range.
    fn may_match(&self, file: &DataFile, range: TimeRange) -> bool {
        let covered = TimeRange {
            first: range.first.max(file.range().first),
            last: range.last.min(file.range().last),
        };
        self.may_hold_name(file) && covered.windows().any(|w| !self.answered_by_all(w))
    }

    fn may_hold_name(&self, file: &DataFile) -> bool {
        may_hold_name(file, &self.request.query)
    }

    /// True when memory answered for a window for all series that are wanted.
    fn answered_by_all(&self, window: Window) -> bool {
        self.complete.len() == self.wanted.len()
            && self.complete.values().all(|ws| ws.contains(&window))
    }

    /// True when nothing of the series is to be taken from history for a window: memory answered, or it is not wanted.
    fn answered(&self, id: SeriesId, window: Window) -> bool {
        let shard = id.shard(self.shards);
        !self.wanted.contains(&shard)
            || self
                .complete
                .get(&shard)
                .is_some_and(|ws| ws.contains(&window))
    }
}

impl HistoryOutcome {
    /// Takes in what became of a file.
    fn note(
        &mut self,
        file: &DataFile,
        scanned: Result<TierStats, FileError>,
    ) -> Result<(), ScanRefused> {
        match scanned {
            Ok(stats) if stats.rows == 0 => {}
            Ok(stats) => {
                let tier = self.tiers.entry(file.cell_slots).or_default();
                *tier += stats;
                let is_new = self.read.insert((file.cell_slots, file.path.clone()));
                tier.files += u64::from(is_new);
            }
            Err(FileError::Refused(e)) => return Err(e),
            Err(FileError::Unreadable(reason)) => self.miss(file, reason),
        }
        Ok(())
    }

    fn absorb(&mut self, other: Self) {
        for (cell_slots, stats) in other.tiers {
            *self.tiers.entry(cell_slots).or_default() += TierStats { files: 0, ..stats };
        }
        for file in other.read {
            let tier = self.tiers.entry(file.0).or_default();
            tier.files += u64::from(self.read.insert(file));
        }
        for part in other.missing {
            if self.missing.iter().all(|m| m.part != part.part) {
                self.missing.push(part);
            }
        }
        for notice in other.notices {
            notice.add(&mut self.notices);
        }
    }

    fn miss(&mut self, file: &DataFile, reason: String) {
        if self.missing.iter().any(|m| m.part == file.path) {
            return;
        }
        tracing::warn!(file = file.path, reason, "a history file cannot be read");
        self.missing.push(MissingPart {
            part: file.path.clone(),
            reason,
        });
    }
}

/// False when the names in a file rule out that any of its series matches.
pub(crate) fn may_hold_name(file: &DataFile, query: &TagQuery) -> bool {
    let exact = query.exact_tags();
    exact.get(NAME).is_none_or(|name| {
        let name: &str = name;
        file.min_name.as_str() <= name && name <= file.max_name.as_str()
    })
}

/// Why a file was not read to its end.
enum FileError {
    Refused(ScanRefused),
    Unreadable(String),
}

impl From<TooManyGroups> for FileError {
    fn from(e: TooManyGroups) -> Self {
        Self::Refused(e.into())
    }
}

impl From<PlanError> for FileError {
    fn from(e: PlanError) -> Self {
        Self::Refused(e.into())
    }
}

impl From<HistoryError> for FileError {
    fn from(e: HistoryError) -> Self {
        Self::Unreadable(e.to_string())
    }
}
