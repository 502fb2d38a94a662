//! The data-source type of a series (`atlas.dstype`): how its samples are normalised and its values consolidated.

use std::str::FromStr;

/// The tag that declares the type.
pub const DSTYPE: &str = "atlas.dstype";

/// How the samples of a series are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DataSource {
    /// A count per second over the time since the sample before; what a series without the tag is.
    Rate = 0,
    /// A level; the highest of a step is kept.
    Gauge = 1,
    /// An amount; those of a step are added.
    Sum = 2,
    /// A running total that only grows; stored as its rate.
    Counter = 3,
}

impl DataSource {
    /// The type that a series' tag value declares; absent or unknown means rate.
    pub fn of_tag(value: Option<&str>) -> Self {
        value.and_then(|v| v.parse().ok()).unwrap_or(Self::Rate)
    }

    /// True for everything that is averaged over all slots of a cell; false for a gauge, averaged over those with data.
    pub const fn is_rate(self) -> bool {
        !matches!(self, Self::Gauge)
    }

    /// The type with this number, as stored.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Rate),
            1 => Some(Self::Gauge),
            2 => Some(Self::Sum),
            3 => Some(Self::Counter),
            _ => None,
        }
    }
}

impl FromStr for DataSource {
    type Err = ();

    fn from_str(value: &str) -> Result<Self, ()> {
        match value {
            "rate" => Ok(Self::Rate),
            "gauge" => Ok(Self::Gauge),
            "sum" => Ok(Self::Sum),
            "counter" => Ok(Self::Counter),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_unknown_mean_rate() {
        assert_eq!(DataSource::of_tag(None), DataSource::Rate);
        assert_eq!(DataSource::of_tag(Some("histogram")), DataSource::Rate);
        assert_eq!(DataSource::of_tag(Some("gauge")), DataSource::Gauge);
    }

    #[test]
    fn numbers_read_back() {
        for d in [
            DataSource::Rate,
            DataSource::Gauge,
            DataSource::Sum,
            DataSource::Counter,
        ] {
            assert_eq!(DataSource::from_number(d as u8), Some(d));
        }
        assert_eq!(DataSource::from_number(9), None);
    }
}
