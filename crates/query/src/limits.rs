//! The limits of a query, and what is said at them.

use std::time::Duration;

use hesper_hot::groups::TooManyGroups;

use crate::turns::TurnLimits;

/// Limits that every query is held to.
#[derive(Clone, Debug)]
pub struct QueryLimits {
    /// Lines that a grouped data expression may have. Atlas's default.
    pub max_lines: usize,
    /// Datapoints over all lines of a grouped data expression. Atlas's default.
    pub max_datapoints: usize,
    /// Series that a query which narrows nothing down may touch unless the caller opts in.
    pub max_broad_series: u64,
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

    /// What is said when there are more.
    pub fn say(&self, found: TooManyGroups, cells: usize) -> String {
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
