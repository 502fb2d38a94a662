//! Roll-ups: what is kept of a series in cells of five minutes or an hour, when its datapoints are merged.
//!
//! A cell holds the number, the sum, the lowest and the highest of the datapoints of one series, and which of its slots they lie in. A row
//! holds the cells of a series for a day.
//!
//! # Columns
//!
//! Files of roll-ups begin with the columns of raw data up to `divisor` (see [`crate::layout`]); `start` is the end of the first cell, `step_ms` the
//! length of a cell. Then follow:
//!
//! | column | type | holds |
//! |---|---|---|
//! | `cell_slots` | int32 | steps of the store in a cell |
//! | `counts` | list of int32 | datapoints in each cell |
//! | `scaled_sums`, `scaled_mins`, `scaled_maxs` | list of int64, null = no data | `scaled_sums[i] / divisor` is the sum of a cell; null when the row is in the plain lists |
//! | `plain_sums`, `plain_mins`, `plain_maxs` | list of double, null = no data | the same for rows that have no whole elements |
//! | `presence` | binary, null = every cell is full or empty | for each cell that is neither, the slots with data: bit n % 8 of byte n / 8 for slot n of the cell |
//! | `count`, `sum`, `min`, `max` | int64, double | of the row's cells |
//!
//! # What can be answered from a roll-up
//!
//! A query consolidates each series to its own step and then aggregates over series. Given its step is a whole number of cells and begins with a
//! cell, a roll-up answers it as raw data would, for every aggregate and every consolidation:
//!
//! | consolidation | from | exact because |
//! |---|---|---|
//! | `:cf-sum`, and `:cf-avg` of a rate | sums | sums of sums; a rate is divided by all slots |
//! | `:cf-avg` of a gauge | sums, presence | it is divided by the slots in which *any* series of the group had data: masks are united over series, which counts could not be |
//! | `:cf-min`, `:cf-max` | mins, maxs | the lowest of the lowest, the highest of the highest |
//! | `:count` with any | counts | each datapoint counts as one |
//!
//! So `:sum,:max,:min,:count` with any consolidation, `:avg` and `:by` are exact. Sums are added in another order and agree to rounding. Not exact is:
//!
//! - a step that is no whole number of cells, or a range that begins within a cell: it needs raw data, or a finer roll-up;
//! - anything that needs the datapoints themselves: percentiles over time, `:count` of values above a limit. (Percentiles over `percentile` buckets are
//!   sums and therefore exact.)

mod cells;
mod encode;
mod read;

pub use cells::RollupCells;
pub(crate) use encode::RollupWriter;
pub use read::CellValues;
pub(crate) use read::{RollupColumns, open_rollup, read_rollup, rollup_columns};

/// The steps of the store in a cell.
pub const CELL_SLOTS: &str = "cell_slots";
/// Datapoints in each cell.
pub const COUNTS: &str = "counts";
/// Sums as whole numbers, and as they are.
pub const SUMS: [&str; 2] = ["scaled_sums", "plain_sums"];
/// The lowest as whole numbers, and as they are.
pub const MINS: [&str; 2] = ["scaled_mins", "plain_mins"];
/// The highest as whole numbers, and as they are.
pub const MAXS: [&str; 2] = ["scaled_maxs", "plain_maxs"];
/// The slots with data of cells that are neither full nor empty.
pub const PRESENCE: &str = "presence";
