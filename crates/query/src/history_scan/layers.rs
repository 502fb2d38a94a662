//! Values of several sources over one another: rows of several sequences, and what memory holds.
//!
//! Which blocks have more than one source is known from the indexes of the files, before a value is read. Only those are kept until all of their
//! sources were looked at; all others are folded as they come.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use hesper_history::day::Day;
use hesper_history::{DataFile, FileIndex};
use hesper_hot::fold::WindowPart;
use hesper_hot::scan::{Overlay, PartialScan};
use hesper_model::{Block, SeriesId, Step, TimeRange, Window};

use super::row_groups::group_of_tags;
use super::shares::Piece;
use super::{HistoryOutcome, HistoryScan, Part, ScanRefused};
use crate::budget::Held;

/// Blocks that have more than one source, newest values on top, and their groups.
pub(super) type Layered = BTreeMap<(Window, SeriesId), (u32, Block)>;

/// Blocks that have more than one source.
pub(super) type Repeated = HashSet<(Window, SeriesId)>;

/// What is remembered of a block to see whether it has another source.
const SOURCE_BYTES: usize = size_of::<(Window, SeriesId)>() * 2;

/// Which rows of files are taken, and what becomes of them.
#[derive(Clone, Copy)]
pub(super) enum Pick<'a> {
    /// All; those that have more than one source are laid over one another.
    All(&'a Repeated),
    /// Those that are the only source of their block.
    Alone(&'a Repeated),
    /// The others.
    Layers(&'a Repeated),
}

impl Pick<'_> {
    /// True when the row of a block is taken.
    pub fn takes(&self, block: (Window, SeriesId)) -> bool {
        match self {
            Self::All(_) => true,
            Self::Alone(repeated) => !repeated.contains(&block),
            Self::Layers(repeated) => repeated.contains(&block),
        }
    }

    /// True when a block of a row that is taken has another source.
    pub fn lays(&self, block: (Window, SeriesId)) -> bool {
        match self {
            Self::All(repeated) => !repeated.is_empty() && repeated.contains(&block),
            Self::Alone(_) => false,
            Self::Layers(_) => true,
        }
    }
}

/// Files and what memory holds, of which values may lie over one another.
#[derive(Default)]
pub(super) struct Layers {
    pub files: Vec<Arc<DataFile>>,
    pub overlays: Vec<Overlay>,
}

impl Layers {
    /// By days, not to keep more at a time than has to be; as they are when a file is of several.
    pub fn by_day(self, step: Step) -> Vec<Self> {
        let day = |window: Window| Day::of(window, step);
        let of_one = |f: &Arc<DataFile>| {
            let range = f.range();
            day(range.first.window()) == day(range.last.window())
        };
        if !self.files.iter().all(of_one) {
            return vec![self];
        }
        let mut days: BTreeMap<Day, Self> = BTreeMap::new();
        for file in self.files {
            let layers = days.entry(day(file.range().first.window())).or_default();
            layers.files.push(file);
        }
        for overlay in self.overlays {
            let layers = days.entry(day(overlay.window)).or_default();
            layers.overlays.push(overlay);
        }
        days.into_values().collect()
    }
}

/// The windows that files of several sequences, or memory, hold something of.
pub(super) fn layered_windows(files: &[Arc<DataFile>], overlays: &[Overlay]) -> HashSet<Window> {
    let mut sequence: HashMap<Window, u64> = HashMap::new();
    let mut layered: HashSet<Window> = overlays.iter().map(|o| o.window).collect();
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

/// True when values of other files, or of memory, may lie over those of a file.
pub(super) fn touches(file: &DataFile, layered: &HashSet<Window>) -> bool {
    let mut windows = file.range().windows();
    windows.any(|w| layered.contains(&w))
}

impl HistoryScan<'_> {
    /// Folds the raw data of a part of which values may lie over one another.
    pub(super) fn scan_layers(
        &self,
        part: &mut Part,
        layers: Layers,
        found: &mut PartialScan,
        outcome: &mut HistoryOutcome,
    ) -> Result<(), ScanRefused> {
        let repeated = self.repeated(part.segment.range, &layers)?;
        let segment = part.segment;
        self.in_shares(&layers.files, found, outcome, |pieces, found, outcome| {
            let mut alone = Part::plain(segment);
            self.scan_files(pieces, Pick::Alone(&repeated), &mut alone, found, outcome)
        })?;
        if !repeated.is_empty() {
            let pieces = Piece::whole(&layers.files);
            self.scan_files(&pieces, Pick::Layers(&repeated), part, found, outcome)?;
        }
        self.lay_over(layers.overlays, part, found)?;
        self.fold_layered(part, found);
        Ok(())
    }

    /// The blocks of a range that more than one file, or a file and memory, hold something of.
    pub(super) fn repeated(
        &self,
        range: TimeRange,
        layers: &Layers,
    ) -> Result<Repeated, ScanRefused> {
        let windows = layered_windows(&layers.files, &layers.overlays);
        let mut held = Held::of(self.budget);
        let mut seen: Repeated = layers.overlays.iter().map(|o| (o.window, o.id)).collect();
        let mut repeated = Repeated::new();
        for file in layers.files.iter().filter(|f| touches(f, &windows)) {
            // A file that cannot be read is told of when its values are.
            let Ok(index) = self.runtime.block_on(self.history.index(file)) else {
                continue;
            };
            self.note_sources(&index, range, &windows, &mut seen, &mut repeated);
            held.grow_to((seen.len() + repeated.len()) * SOURCE_BYTES)?;
        }
        Ok(repeated)
    }

    fn note_sources(
        &self,
        index: &FileIndex,
        range: TimeRange,
        windows: &HashSet<Window>,
        seen: &mut Repeated,
        repeated: &mut Repeated,
    ) {
        for row in index.matching(&self.request.query) {
            let at = index.row(row);
            let block = (at.first.window(), at.id);
            let is_of_range = !range.positions_in(block.0).is_empty();
            if is_of_range && windows.contains(&block.0) && !seen.insert(block) {
                repeated.insert(block);
            }
        }
    }

    /// Lays what memory holds over what history does.
    pub(super) fn lay_over(
        &self,
        overlays: Vec<Overlay>,
        part: &mut Part,
        found: &mut PartialScan,
    ) -> Result<(), ScanRefused> {
        for overlay in overlays {
            let grouping = &self.request.grouping;
            let Some(group) = group_of_tags(grouping, &overlay.tags, &mut found.groups)? else {
                continue;
            };
            let lowest = found.groups.lowest_mut(group);
            let source = overlay.tags.get(hesper_model::data_source::DSTYPE);
            let item = hesper_model::ItemId::of(&overlay.tags);
            let item = u64::from_be_bytes(*item.0.first_chunk().expect("20 bytes"));
            lowest.add(hesper_model::DataSource::of_tag(source), item);
            part.lay(overlay.window, overlay.id, group, &overlay.block);
        }
        found.acc.grow(found.groups.len());
        Ok(())
    }

    /// Folds the blocks of which all sources were looked at.
    pub(super) fn fold_layered(&self, part: &Part, found: &mut PartialScan) {
        let mut of_window: Option<WindowPart> = None;
        for ((window, _), (group, block)) in &part.layered {
            if of_window.as_ref().is_none_or(|of| of.window != *window) {
                of_window = WindowPart::of(&self.request.layout, *window);
            }
            if let Some(of_window) = &of_window {
                found.acc.fold_block(*group, of_window, block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_with_another_source_is_laid() {
        let (once, twice) = ((Window(1), SeriesId(1)), (Window(1), SeriesId(2)));
        let repeated = Repeated::from([twice]);
        let what = |pick: Pick<'_>| [once, twice].map(|b| (pick.takes(b), pick.lays(b)));
        assert_eq!(what(Pick::All(&repeated)), [(true, false), (true, true)]);
        assert_eq!(
            what(Pick::Alone(&repeated)),
            [(true, false), (false, false)]
        );
        assert_eq!(what(Pick::Layers(&repeated)), [(false, true), (true, true)]);
    }
}
