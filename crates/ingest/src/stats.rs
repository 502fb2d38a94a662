//! Counters of what arrived and of what was refused, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

use hesper_model::validation::{RULES, Rule};

/// Why a datapoint was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It failed a rule of validation.
    Rule(Rule),
    /// The store holds as many series as it may.
    SeriesLimit,
    /// Another series has the same id.
    IdCollision,
    /// The reference names no series of the connection.
    UnknownSeries,
    /// Declared back-fill of another step, or between two steps.
    WrongStep,
}

const OTHERS: [Reason; 4] = [
    Reason::SeriesLimit,
    Reason::IdCollision,
    Reason::UnknownSeries,
    Reason::WrongStep,
];

impl Reason {
    /// The name in counters and replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.name(),
            Self::SeriesLimit => "SeriesLimit",
            Self::IdCollision => "IdCollision",
            Self::UnknownSeries => "UnknownSeries",
            Self::WrongStep => "WrongStep",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Rule(rule) => rule as usize,
            Self::SeriesLimit => RULES.len(),
            Self::IdCollision => RULES.len() + 1,
            Self::UnknownSeries => RULES.len() + 2,
            Self::WrongStep => RULES.len() + 3,
        }
    }

    /// All reasons.
    pub fn all() -> impl Iterator<Item = Self> {
        RULES.into_iter().map(Self::Rule).chain(OTHERS)
    }
}

/// Counters since the process started.
#[derive(Debug, Default)]
pub struct IngestStats {
    /// Datapoints that arrived.
    pub received: AtomicU64,
    /// Datapoints handed to the store.
    pub accepted: AtomicU64,
    /// Batches that arrived.
    pub batches: AtomicU64,
    /// Requests and messages that could not be read.
    pub unreadable: AtomicU64,
    refused: [AtomicU64; RULES.len() + OTHERS.len()],
}

impl IngestStats {
    /// Counts refused datapoints.
    pub fn refuse(&self, reason: Reason, datapoints: u64) {
        self.refused[reason.index()].fetch_add(datapoints, Ordering::Relaxed);
    }

    /// Datapoints refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::all().map(|r| (r, self.refused[r.index()].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter() {
        let stats = IngestStats::default();
        for (i, reason) in Reason::all().enumerate() {
            stats.refuse(reason, i as u64 + 1);
        }
        let counts: Vec<u64> = stats.refused().map(|(_, n)| n).collect();
        assert_eq!(counts, (1..=12).collect::<Vec<_>>());
    }
}
