//! Alerts: rules in the stack language, evaluated at every step of the store, and what has become of each of their groups.
//!
//! A [`Rule`] is read from a file ([`RuleSet`]); the [`AlertRunner`] asks the query engine for its lines at each time T, once T is
//! complete; each line is a signal that drives the [`phase`] of its group; the [`book`] keeps all phases and the history of their
//! transitions, and is written to a file so that an alert fires once, whatever happens to the process.
//!
//! ```text
//! rule files ─▶ rule_set ─▶ rule ─┐
//!                                 ├─▶ evaluator ─▶ signal ─▶ book ─▶ state_file
//! clock ─▶ schedule ─▶ runner ────┘   (engine)             (phase)    └─▶ status, links
//! ```
//!
//! Floor 5 of the house: it knows the query engine, and no server.

pub mod book;
pub mod error;
pub mod links;
pub mod phase;
pub mod rule;
pub mod rule_set;
pub mod runner;
pub mod schedule;
pub mod signal;
pub mod state_file;
pub mod stats;
pub mod status;

mod evaluator;
mod rule_file;
mod time_text;
mod warm_up;

pub use book::{Book, Transition};
pub use error::{AlertError, RuleFault};
pub use phase::{Phase, State};
pub use rule::{NoData, Rule, RuleDefinition, Severity};
pub use rule_set::RuleSet;
pub use runner::{AlertRunner, Clock};
pub use stats::AlertStats;
pub use status::{AlertStatus, AlertsStatus, RuleStatus};
