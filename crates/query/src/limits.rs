//! The limits of a query, and what is said at them.

use std::time::Duration;

use hesper_hot::groups::TooManyGroups;

use crate::turns::TurnLimits;

/// Series that may be consolidated one by one in a query whose consolidation and aggregation do not commute.
const MAX_SERIES_ONE_BY_ONE: usize = 200_000;

/// Limits that every query is held to.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    /// Lines that a grouped data expression may have. Atlas's default.
    pub max_lines: usize,
    /// Datapoints over all lines of a grouped data expression. Atlas's default.
    pub max_datapoints: usize,
    /// Series that a query which narrows nothing down may touch unless the caller opts in.
    pub max_broad_series: u64,
    /// Series that a query may match in memory, over all its data expressions.
    pub max_series: u64,
    /// Blocks that a query may fold.
    pub max_blocks: u64,
    /// Bytes of history that a query may read.
    pub max_read_bytes: u64,
    /// Bytes that a query may hold in memory.
    pub max_memory_bytes: u64,
    /// Bytes that all queries may hold together.
    pub max_memory_of_all_bytes: u64,
    /// Queries that run at the same time.
    pub max_running: usize,
    /// Of those, queries of one caller.
    pub max_running_of_caller: usize,
    /// Queries that wait for their turn; more are refused.
    pub max_waiting: usize,
    /// How long a query may take, the time it waits included.
    pub timeout: Duration,
    /// A query that takes longer is remembered and logged.
    pub slow_after: Duration,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            max_lines: 1024,
            max_datapoints: 500_000,
            max_broad_series: 1_000_000,
            max_series: 10_000_000,
            max_blocks: 500_000_000,
            max_read_bytes: 64 << 30,
            max_memory_bytes: 1 << 30,
            max_memory_of_all_bytes: 2 << 30,
            max_running: 8,
            // A query uses all cores: more at a time of one caller gain him nothing, and keep others waiting.
            max_running_of_caller: (cores() / 2).max(1),
            max_waiting: 1024,
            timeout: Duration::from_secs(60),
            slow_after: Duration::from_secs(1),
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl QueryLimits {
    /// Whose turn it is, within these limits. A caller may fill half of the queue.
    pub fn turns(&self) -> TurnLimits {
        TurnLimits {
            running: self.max_running.max(1),
            running_of_caller: self.max_running_of_caller.max(1),
            waiting: self.max_waiting,
            waiting_of_caller: self.max_waiting.div_ceil(2),
        }
    }

    /// How many groups of so many cells there may be.
    pub fn max_groups(&self, cells: usize) -> usize {
        self.max_lines.min(self.max_datapoints / cells.max(1))
    }

    /// How many series may be consolidated one by one to so many cells: their cells are held several times over.
    pub fn max_series_one_by_one(&self, cells: usize) -> usize {
        let by_memory = self.max_memory_bytes / (4 * size_of::<f64>() * cells.max(1)) as u64;
        let by_memory = usize::try_from(by_memory).unwrap_or(usize::MAX);
        by_memory.clamp(1, MAX_SERIES_ONE_BY_ONE)
    }

    /// What is said when there are more.
    pub fn say(&self, found: TooManyGroups, cells: usize) -> String {
        if found.limit != self.max_groups(cells) {
            return format!(
                "too many series to be consolidated one by one: {} > {}",
                found.found, found.limit
            );
        }
        if found.found > self.max_lines {
            return found.to_string();
        }
        format!(
            "too many datapoints: {} > {}",
            found.found * cells,
            self.max_datapoints
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_is_met_first_is_named() {
        let limits = QueryLimits::default();
        let say = |cells: usize| {
            let limit = limits.max_groups(cells);
            let found = TooManyGroups {
                limit,
                found: limit + 1,
            };
            limits.say(found, cells)
        };
        assert_eq!(say(100), "too many lines: 1025 > 1024");
        assert_eq!(say(1000), "too many datapoints: 501000 > 500000");
    }
}
