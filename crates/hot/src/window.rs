//! A shard's part of a window: the open columns that take writes, and the blocks sealed from them.
//!
//! Sealing encodes the open columns. What was sealed is flushed to history and stays in memory until the hot window has passed. A write to
//! a sealed window opens columns above the sealed blocks; where both hold a slot, the open columns are newer.

pub mod open;
pub mod sealed;

use std::sync::Arc;

use hesper_model::{Block, Timestamp};

use crate::codec::Codec;
use crate::series_table::SeriesRef;
use open::OpenColumns;
use sealed::{SealedBlocks, SeriesOrder};

/// A shard's part of a window.
pub struct ShardWindow {
    /// True when memory holds everything that was ever written to this part, so that history need not be asked.
    pub complete: bool,
    /// The columns that take writes; `None` until the first write after a seal.
    pub open: Option<OpenColumns>,
    /// All that was sealed and is still in memory.
    pub sealed: Option<Arc<SealedBlocks>>,
    /// What was sealed and is not known to be in history yet, by the flush that takes it there.
    pub unflushed: Vec<(FlushId, Arc<SealedBlocks>)>,
    /// When the last write was received.
    pub last_write: Timestamp,
}

/// The number of a flush: what one manifest commit brings into history. Grows over the life of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlushId(pub u64);

impl ShardWindow {
    /// A part without data.
    pub fn new(complete: bool) -> Self {
        Self {
            complete,
            open: None,
            sealed: None,
            unflushed: Vec::new(),
            last_write: Timestamp(i64::MIN),
        }
    }

    /// Columns for what comes now: much of it in a window that is new, or when the log is read back.
    pub fn new_columns(&self, replaying: bool) -> OpenColumns {
        match self.sealed.is_none() && (self.complete || replaying) {
            true => OpenColumns::default(),
            false => OpenColumns::late(),
        }
    }

    /// True when nothing waits to be flushed.
    pub fn is_flushed(&self) -> bool {
        self.open.is_none() && self.unflushed.is_empty()
    }

    /// Seals the open columns for a flush. `order` gives the order of (name, tags) for series, sorted by number.
    ///
    /// False when there is nothing to seal.
    pub fn seal(
        &mut self,
        flush: FlushId,
        codec: &Codec,
        order: impl Fn(Vec<SeriesRef>) -> Arc<SeriesOrder>,
    ) -> bool {
        let Some(open) = self.open.take() else {
            return false;
        };
        let fresh = SealedBlocks::encode(order(open.series().collect()), codec, |s| open.block(s));
        let fresh = Arc::new(fresh);
        self.sealed = Some(match self.sealed.take() {
            None => fresh.clone(),
            Some(older) => {
                let mut both: Vec<_> = older.order().sorted().chain(open.series()).collect();
                both.sort_unstable();
                both.dedup();
                let merged = SealedBlocks::encode(order(both), codec, |s| {
                    let mut block = older.block(s, codec).unwrap_or(Block::EMPTY);
                    block.overwrite_with(&open.block(s));
                    block
                });
                Arc::new(merged)
            }
        });
        self.unflushed.push((flush, fresh));
        true
    }

    /// Notes that a flush is in history. Where memory is not complete the blocks are dropped: history answers for them from now on.
    pub fn flushed(&mut self, flush: FlushId) {
        self.unflushed.retain(|(id, _)| *id != flush);
        if !self.complete && self.unflushed.is_empty() {
            self.sealed = None;
        }
    }

    /// The values of a series, newest on top.
    pub fn block(&self, series: SeriesRef, codec: &Codec) -> Block {
        let sealed = self.sealed.as_ref().and_then(|s| s.block(series, codec));
        let mut block = sealed.unwrap_or(Block::EMPTY);
        if let Some(open) = &self.open {
            block.overwrite_with(&open.block(series));
        }
        block
    }

    /// True when any column or block holds the series.
    pub fn holds(&self, series: SeriesRef) -> bool {
        self.open.as_ref().is_some_and(|o| o.holds(series))
            || self
                .sealed
                .as_ref()
                .is_some_and(|s| s.order().contains(series))
    }

    /// Bytes of the open columns, and of the sealed blocks.
    pub fn size_bytes(&self) -> (usize, usize) {
        let open = self.open.as_ref().map_or(0, OpenColumns::size_bytes);
        let sealed = self.sealed.as_ref().map_or(0, |s| s.size_bytes());
        // What waits for a flush and was merged with what was sealed before is there twice.
        let only_unflushed = self.unflushed.iter().filter(|(_, blocks)| {
            let sealed = self.sealed.as_ref();
            sealed.is_none_or(|s| !Arc::ptr_eq(s, blocks))
        });
        let unflushed: usize = only_unflushed.map(|(_, b)| b.size_bytes()).sum();
        (open, sealed + unflushed)
    }
}
