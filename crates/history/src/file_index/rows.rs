//! What is known of the rows of a data file beside their tags.

use std::sync::Arc;

use hesper_model::{Slot, TimeRange};
use parquet::file::metadata::ParquetMetaData;
use roaring::RoaringBitmap;

/// What is known of the rows of a file beside their tags.
#[derive(Clone)]
pub struct FileRows {
    pub(super) metadata: Arc<ParquetMetaData>,
    pub(super) firsts: Firsts,
    /// Rows of which a deletion hides these slots.
    pub(super) masks: Vec<(RoaringBitmap, TimeRange)>,
    /// Rows that a deletion hides altogether.
    pub(super) hidden: RoaringBitmap,
}

impl FileRows {
    /// Bytes held, about.
    pub fn size_bytes(&self) -> usize {
        let masks = self.masks.iter().map(|(rows, _)| rows);
        let bitmaps = masks.chain([&self.hidden]).map(|b| b.serialized_size());
        self.metadata.memory_size() + self.firsts.size_bytes() + bitmaps.sum::<usize>()
    }
}

/// By row: the slot of element 0.
#[derive(Clone)]
pub(super) enum Firsts {
    /// That of all rows, as in the file of one window.
    Same(Slot),
    ByRow(Vec<Slot>),
}

impl Firsts {
    pub(super) fn of(slots: Vec<Slot>) -> Self {
        match slots.first() {
            Some(first) if slots.iter().all(|slot| slot == first) => Self::Same(*first),
            _ => Self::ByRow(slots),
        }
    }

    pub(super) fn of_row(&self, row: u32) -> Slot {
        match self {
            Self::Same(slot) => *slot,
            Self::ByRow(slots) => slots[row as usize],
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Same(_) => 0,
            Self::ByRow(slots) => slots.len() * size_of::<Slot>(),
        }
    }
}
