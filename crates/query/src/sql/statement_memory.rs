//! The memory of one statement: it counts among what all statements hold together, and has a limit of its own, so that one alone cannot take what
//! the others need.

use std::fmt;
use std::sync::Arc;

use datafusion::common::resources_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// What statements may hold in memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlMemory {
    /// Each.
    pub statement: usize,
    /// All together.
    pub all: usize,
}

impl SqlMemory {
    /// One statement alone holds at most half of what all may, and no more than `of_query`.
    pub fn new(all: usize, of_query: u64) -> Self {
        let of_query = usize::try_from(of_query).unwrap_or(usize::MAX);
        Self {
            statement: of_query.min(all / 2),
            all,
        }
    }
}

/// The pool that a statement reserves from.
#[derive(Debug)]
pub struct StatementMemory {
    all: Arc<dyn MemoryPool>,
    own: GreedyMemoryPool,
}

impl StatementMemory {
    /// At most so many bytes of those of all statements.
    pub fn new(all: Arc<dyn MemoryPool>, most: usize) -> Self {
        Self {
            all,
            own: GreedyMemoryPool::new(most),
        }
    }
}

impl MemoryPool for StatementMemory {
    fn name(&self) -> &str {
        "statement"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.all.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.all.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.all.grow(reservation, additional);
        self.own.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.all.shrink(reservation, shrink);
        self.own.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional).map_err(|_| {
            resources_datafusion_err!(
                "{} asks for {additional} bytes more, the statement holds {}",
                reservation.consumer().name(),
                self.reserved()
            )
        })?;
        let grown = self.all.try_grow(reservation, additional);
        grown.inspect_err(|_| self.own.shrink(reservation, additional))
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

impl fmt::Display for StatementMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement: {}", self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(pool: &Arc<dyn MemoryPool>) -> MemoryReservation {
        MemoryConsumer::new("sort").register(pool)
    }

    #[test]
    fn a_statement_has_a_limit_and_counts_among_all() {
        let all: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let statement =
            || -> Arc<dyn MemoryPool> { Arc::new(StatementMemory::new(all.clone(), 60)) };
        let (one, two) = (statement(), statement());
        let (greedy, modest) = (consumer(&one), consumer(&two));
        greedy.try_grow(60).expect("as much as it may");
        let refused = greedy.try_grow(1).expect_err("one too many").to_string();
        assert!(refused.contains("sort asks for 1 bytes more"), "{refused}");
        modest.try_grow(40).expect("what is left");
        assert_eq!(
            (one.reserved(), two.reserved(), all.reserved()),
            (60, 40, 100)
        );
        modest.try_grow(1).expect_err("all together hold 100");
        assert_eq!((two.reserved(), all.reserved()), (40, 100));
        drop(greedy);
        assert_eq!((one.reserved(), all.reserved()), (0, 40));
        modest.try_grow(20).expect("there is room again");
    }
}
