//! The stack language: programs that say which series are asked for, what is computed from them, and how it is shown.
//!
//! A program is read by the `lexer`, run by the `interpreter` with the words of a `vocabulary`, and leaves expressions (`expr`), which
//! `eval` evaluates over what storage found and `graph` makes lines of. `interpreter::trace` explains programs, `normalize`, `strip` and
//! `outdated` rewrite them, `reference` describes all words; `time` reads the times and steps of a request.
//!
//! Floor 2 of the house: it knows no storage and no network. What the language means is Atlas's; so are the texts of its errors.

pub mod error;
pub mod eval;
pub mod expr;
pub mod graph;
pub mod interpreter;
pub mod kind;
pub mod legend;
pub mod lexer;
pub mod normalize;
pub mod number;
pub mod outdated;
pub mod parse;
pub mod query_forms;
pub mod reference;
pub mod span;
pub mod stats;
pub mod strip;
pub mod syntax;
pub mod time;
pub mod value;
pub mod vocabulary;
pub mod word;

pub use error::StackError;
pub use eval::{
    DataGroup, EvalContext, EvalState, ResultSet, TimeSeries, data_result, evaluate,
    evaluate_chunk, evaluate_chunk_last,
};
pub use expr::{DataAggregate, DataExpr, EventExpr, StyleExpr, TimeSeriesExpr};
pub use normalize::normalize;
pub use parse::{GraphOptions, parse_events, parse_graph, parse_query};
pub use vocabulary::{CustomWords, Vocabulary};
