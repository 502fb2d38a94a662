//! What a query may use: series, blocks, bytes of history, and memory. Memory is shared: what one query holds is not there for others, until it
//! is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::PlanError;
use crate::limits::QueryLimits;

/// The memory that all queries hold together.
#[derive(Debug, Default)]
pub struct MemoryOfQueries {
    held: AtomicU64,
}

impl MemoryOfQueries {
    /// Bytes held now, about.
    pub fn held_bytes(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Takes bytes, which are to be given back whether they are too many or not.
    fn take(&self, bytes: u64, limits: &QueryLimits) -> Result<(), PlanError> {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let limit = limits.max_memory_of_all_bytes;
        match held <= limit {
            true => Ok(()),
            false => Err(PlanError::OutOfMemory { limit }),
        }
    }
}

/// What one query has used so far. What it holds is given back when this is dropped.
#[derive(Debug)]
pub struct Budget {
    limits: Arc<QueryLimits>,
    all: Arc<MemoryOfQueries>,
    series: AtomicU64,
    blocks: AtomicU64,
    bytes: AtomicU64,
    memory: AtomicU64,
}

impl Budget {
    /// A budget of which nothing is used.
    pub fn new(limits: Arc<QueryLimits>, all: Arc<MemoryOfQueries>) -> Self {
        Self {
            limits,
            all,
            series: AtomicU64::new(0),
            blocks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            memory: AtomicU64::new(0),
        }
    }

    /// Takes series that matched and blocks that are folded.
    ///
    /// # Errors
    /// When they are more than the query may touch.
    pub(crate) fn take_series(&self, series: u64, blocks: u64) -> Result<(), PlanError> {
        let limits = &self.limits;
        take(&self.series, series, limits.max_series, "series")?;
        take(&self.blocks, blocks, limits.max_blocks, "blocks")
    }

    /// Takes bytes that are read from history.
    ///
    /// # Errors
    /// When they are more than the query may read.
    pub(crate) fn take_bytes(&self, bytes: u64) -> Result<(), PlanError> {
        let limit = self.limits.max_read_bytes;
        take(&self.bytes, bytes, limit, "bytes of history")
    }

    /// Takes memory for an answer that was written and is now sent: until it is, however long its reader takes.
    ///
    /// # Errors
    /// When all queries together hold too much with it.
    pub(crate) fn hold_text(&self, bytes: u64) -> Result<HeldText, PlanError> {
        let text = HeldText {
            all: self.all.clone(),
            bytes,
        };
        self.all.take(bytes, &self.limits).map(|()| text)
    }

    /// Takes memory, until the query is answered.
    ///
    /// # Errors
    /// When the query needs more than it may hold, or all queries together do.
    pub(crate) fn hold(&self, bytes: u64) -> Result<(), PlanError> {
        let limit = self.limits.max_memory_bytes;
        take(&self.memory, bytes, limit, "bytes of memory")?;
        self.all.take(bytes, &self.limits)
    }
}

/// The memory of an answer on its way. It is given back when this is dropped.
#[derive(Debug)]
pub struct HeldText {
    all: Arc<MemoryOfQueries>,
    bytes: u64,
}

impl Drop for HeldText {
    fn drop(&mut self) {
        self.all.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a part of a query holds while it grows.
pub(crate) struct Held<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl<'a> Held<'a> {
    /// Nothing yet.
    pub fn of(budget: &'a Budget) -> Self {
        Self { budget, bytes: 0 }
    }

    /// Takes what is needed beyond what is held.
    ///
    /// # Errors
    /// As [`Budget::hold`].
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), PlanError> {
        let more = bytes.saturating_sub(self.bytes);
        self.bytes += more;
        self.budget.hold(more as u64)
    }
}

fn take(taken: &AtomicU64, more: u64, limit: u64, what: &str) -> Result<(), PlanError> {
    let before = taken.fetch_add(more, Ordering::Relaxed);
    if before + more <= limit {
        return Ok(());
    }
    // What was not got is not to be given back.
    taken.fetch_sub(more, Ordering::Relaxed);
    Err(PlanError::TooMuch(format!(
        "too many {what}: {} > {limit}; ask for fewer series, a shorter range or a longer step",
        before + more
    )))
}

impl Drop for Budget {
    fn drop(&mut self) {
        let held = *self.memory.get_mut();
        self.all.held.fetch_sub(held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Arc<QueryLimits> {
        Arc::new(QueryLimits {
            max_series: 10,
            max_blocks: 70,
            max_read_bytes: 1000,
            max_memory_bytes: 100,
            max_memory_of_all_bytes: 150,
            ..QueryLimits::default()
        })
    }

    #[test]
    fn what_is_beyond_a_limit_is_refused_by_name() {
        let budget = Budget::new(limits(), Arc::default());
        assert!(budget.take_series(10, 60).is_ok());
        let refused = |taken: Result<(), PlanError>| taken.expect_err("refused").to_string();
        let series = refused(budget.take_series(1, 0));
        assert!(series.starts_with("too many series: 11 > 10"), "{series}");
        let blocks = refused(budget.take_series(0, 11));
        assert!(blocks.starts_with("too many blocks: 71 > 70"), "{blocks}");
        let bytes = refused(budget.take_bytes(1001));
        assert!(bytes.contains("bytes of history"), "{bytes}");
        assert!(
            budget.take_bytes(1000).is_ok(),
            "what was refused is not taken"
        );
    }

    #[test]
    fn memory_is_shared_and_given_back() {
        let all = Arc::<MemoryOfQueries>::default();
        let (one, other) = (
            Budget::new(limits(), all.clone()),
            Budget::new(limits(), all.clone()),
        );
        assert!(one.hold(90).is_ok() && other.hold(60).is_ok());
        assert!(matches!(one.hold(20), Err(PlanError::TooMuch(_))));
        assert!(matches!(one.hold(5), Err(PlanError::OutOfMemory { .. })));
        drop(one);
        assert_eq!(all.held_bytes(), 60);
        assert!(other.hold(40).is_ok());
        drop(other);
        assert_eq!(all.held_bytes(), 0);
    }

    #[test]
    fn a_text_is_held_for_longer_than_its_query() {
        let all = Arc::<MemoryOfQueries>::default();
        let budget = Budget::new(limits(), all.clone());
        budget.hold(40).expect("there is room");
        // A query may hold 100 bytes, all of them 150.
        let text = budget.hold_text(105).expect("there is room");
        let refused = budget.hold_text(6).expect_err("five are left");
        assert!(matches!(refused, PlanError::OutOfMemory { limit: 150 }));
        assert_eq!(all.held_bytes(), 145);
        drop(budget);
        assert_eq!(all.held_bytes(), 105);
        drop(text);
        assert_eq!(all.held_bytes(), 0);
    }
}
