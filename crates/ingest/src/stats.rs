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
    /// The name has as many series as it may.
    NameLimit,
    /// The app has as many series as it may.
    AppLimit,
    /// More new series come in a second than may.
    NewSeriesRate,
    /// Another series has the same id.
    IdCollision,
    /// The reference names no series of the connection.
    UnknownSeries,
    /// Declared back-fill of another step, or between two steps.
    WrongStep,
    /// A native histogram of Prometheus, which has no place in a series of numbers.
    NativeHistogram,
}

const OTHERS: [Reason; 8] = [
    Reason::SeriesLimit,
    Reason::NameLimit,
    Reason::AppLimit,
    Reason::NewSeriesRate,
    Reason::IdCollision,
    Reason::UnknownSeries,
    Reason::WrongStep,
    Reason::NativeHistogram,
];

impl Reason {
    /// The name in counters and replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.name(),
            Self::SeriesLimit => "SeriesLimit",
            Self::NameLimit => "NameLimit",
            Self::AppLimit => "AppLimit",
            Self::NewSeriesRate => "NewSeriesRate",
            Self::IdCollision => "IdCollision",
            Self::UnknownSeries => "UnknownSeries",
            Self::WrongStep => "WrongStep",
            Self::NativeHistogram => "NativeHistogram",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Rule(rule) => rule as usize,
            Self::SeriesLimit => RULES.len(),
            Self::NameLimit => RULES.len() + 1,
            Self::AppLimit => RULES.len() + 2,
            Self::NewSeriesRate => RULES.len() + 3,
            Self::IdCollision => RULES.len() + 4,
            Self::UnknownSeries => RULES.len() + 5,
            Self::WrongStep => RULES.len() + 6,
            Self::NativeHistogram => RULES.len() + 7,
        }
    }

    /// True when the same may be taken a little later.
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::NewSeriesRate)
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
    /// Datapoints that say that there is no data: NaN, and the marks of series that end.
    pub no_data: AtomicU64,
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
        assert_eq!(counts, (1..=16).collect::<Vec<_>>());
    }
}
