//! What the reader of an answer is to know that is not missing, but coarser than asked for.

use std::fmt;

use chrono::{DateTime, SecondsFormat};
use hesper_model::Timestamp;

/// Something about the values of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Raw data has expired, and the cells of the roll-up don't fit those of the query.
    Coarse {
        /// The end of the last day of which that is so.
        before: Timestamp,
        /// The length of a cell of the roll-up.
        cell_millis: i64,
        /// True when it is so for some of the series.
        some_series: bool,
    },
    /// Data came late for cells whose raw data has expired. What it repeats cannot be replaced in them.
    Late {
        /// The end of the last day of which that is so.
        before: Timestamp,
        /// The length of a cell of the roll-up.
        cell_millis: i64,
    },
}

impl Notice {
    /// Adds a notice to others; one that says the same of a longer time takes the place of the shorter.
    pub fn add(self, to: &mut Vec<Self>) {
        let same = |other: &&mut Self| self.at(Timestamp(0)) == other.at(Timestamp(0));
        match to.iter_mut().find(same) {
            Some(other) if other.before() < self.before() => *other = self,
            Some(_) => {}
            None => to.push(self),
        }
    }

    /// The time before which it is so.
    pub fn before(self) -> Timestamp {
        match self {
            Self::Coarse { before, .. } | Self::Late { before, .. } => before,
        }
    }

    fn at(mut self, time: Timestamp) -> Self {
        match &mut self {
            Self::Coarse { before, .. } | Self::Late { before, .. } => *before = time,
        }
        self
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp_millis(self.before().0).unwrap_or_default();
        let time = time.to_rfc3339_opts(SecondsFormat::Secs, true);
        match self {
            Self::Coarse {
                cell_millis,
                some_series,
                ..
            } => {
                let cell = Length(*cell_millis);
                let whose = if *some_series { " of some series" } else { "" };
                write!(
                    f,
                    "raw data{whose} before {time} has expired; values are of {cell} cells"
                )
            }
            Self::Late { cell_millis, .. } => {
                let cell = Length(*cell_millis);
                write!(
                    f,
                    "data came late for a time before {time} whose raw data has expired; it is added to {cell} cells, but replaces no value in them"
                )
            }
        }
    }
}

/// A length of time in words.
struct Length(i64);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms % 3_600_000 == 0 => write!(f, "{} hour", ms / 3_600_000),
            ms if ms % 60_000 == 0 => write!(f, "{} minute", ms / 60_000),
            ms => write!(f, "{} second", ms / 1000),
        }
    }
}

/// The name of a resolution: `raw`, or the length of the cells of a roll-up, as in `5m` and `1h`.
pub fn resolution(cell_slots: u32, cell_millis: i64) -> String {
    match (cell_slots, cell_millis) {
        (1, _) => "raw".to_owned(),
        (_, ms) if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        (_, ms) if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        (_, ms) => format!("{}s", ms / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coarse(before: i64, cell_millis: i64) -> Notice {
        Notice::Coarse {
            before: Timestamp(before),
            cell_millis,
            some_series: false,
        }
    }

    #[test]
    fn of_two_that_say_the_same_the_longer_stays() {
        let mut all = Vec::new();
        for notice in [
            coarse(86_400_000, 300_000),
            coarse(3, 3_600_000),
            coarse(2, 300_000),
        ] {
            notice.add(&mut all);
        }
        assert_eq!(all, [coarse(86_400_000, 300_000), coarse(3, 3_600_000)]);
        coarse(5, 3_600_000).add(&mut all);
        assert_eq!(all[1], coarse(5, 3_600_000));
        assert_eq!(
            all[0].to_string(),
            "raw data before 1970-01-02T00:00:00Z has expired; values are of 5 minute cells"
        );
    }

    #[test]
    fn resolutions_have_short_names() {
        let names = [(1, 60_000), (5, 300_000), (60, 3_600_000), (10, 10_000)];
        let names = names.map(|(slots, millis)| resolution(slots, millis));
        assert_eq!(names, ["raw", "5m", "1h", "10s"]);
    }
}
