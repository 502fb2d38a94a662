//! Counters of the alert evaluation since it began.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was evaluated, and what came of it. All are counts since the start, but for those that say otherwise.
#[derive(Debug, Default)]
pub struct AlertStats {
    /// Evaluations of a rule at a time, failed ones included.
    pub evaluations: AtomicU64,
    /// Evaluations without an answer, or with one that lacked a part.
    pub errors: AtomicU64,
    /// Changes of a group's state.
    pub transitions: AtomicU64,
    /// Times that were passed over because too many were missed.
    pub skipped_times: AtomicU64,
    /// Microseconds that evaluation took, over all times.
    pub evaluation_micros: AtomicU64,
    /// Microseconds that the last time took, over all rules.
    pub last_evaluation_micros: AtomicU64,
    /// How often the state could not be written.
    pub save_errors: AtomicU64,
    /// Alerts that are firing now.
    pub firing: AtomicU64,
    /// Groups that are pending now.
    pub pending: AtomicU64,
}

impl AlertStats {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn set(gauge: &AtomicU64, n: u64) {
        gauge.store(n, Ordering::Relaxed);
    }
}
