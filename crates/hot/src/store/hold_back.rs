//! Back-pressure: publishers wait while windows gather faster than they are taken to history.
//!
//! Whoever takes them there says so, for a time: should it get stuck, publishers are let on, and it is the limit of memory that holds them.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::HotStore;
use crate::HotError;
use crate::error::Full;

/// Whether batches are held back.
#[derive(Default)]
pub(super) struct HoldBack(Mutex<Option<Held>>);

#[derive(Clone, Copy)]
struct Held {
    /// Windows that may wait for history.
    most: usize,
    until: Instant,
}

impl HotStore {
    /// Refuses batches, with [`HotError::Busy`], until [`Self::let_on`] is called or the time is over, because more than `most` windows wait to
    /// be taken to history.
    pub fn hold_back(&self, most: usize, time: Duration) {
        let until = Instant::now() + time;
        *self.hold_back.0.lock() = Some(Held { most, until });
    }

    /// Takes batches again.
    pub fn let_on(&self) {
        *self.hold_back.0.lock() = None;
    }

    pub(super) fn check_held_back(&self) -> Result<(), HotError> {
        let held = *self.hold_back.0.lock();
        let Some(held) = held.filter(|held| Instant::now() < held.until) else {
            return Ok(());
        };
        self.stats.held_back.fetch_add(1, Ordering::Relaxed);
        Err(HotError::Busy {
            what: Full::Windows,
            limit: held.most,
        })
    }
}
