//! Queries: the data expressions of the stack language, answered from memory and history through DataFusion.
//!
//! Each data expression becomes a physical plan of two nodes: [`leaf`] scans the shards in memory and the files of history and folds what
//! it finds into partial aggregates in place; [`merge`] adds up the aggregates of its partitions. No row per datapoint exists anywhere.
//! [`engine`] plans, runs, and hands the series to the language for evaluation.
//!
//! ```text
//! MergeExec                      one partition: groups with their cells
//!   └ ScanExec                   a partition a core: shards in memory; the last to finish reads history
//! ```

pub mod aside;
pub mod budget;
pub mod cells;
pub mod consolidate;
pub mod engine;
pub mod error;
pub mod history_scan;
pub mod leaf;
pub mod limits;
pub mod merge;
pub mod notice;
pub mod plan;
pub mod running;
pub mod sql;
pub mod tags;
pub mod tiers;
pub mod turns;

pub use engine::{Answer, QueryEngine, QueryStats, StageTimes};
pub use error::QueryError;
pub use limits::QueryLimits;
pub use notice::Notice;
pub use tiers::{MissingPart, TierUse, Tiers};
