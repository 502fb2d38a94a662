//! How values of many series become one, and how many slots become one cell.

use std::fmt;

/// What combines the series of a group at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Aggregate {
    /// The sum of those with data.
    Sum,
    /// The number of those with data.
    Count,
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

impl Aggregate {
    /// The word of the language, without its colon.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    /// The consolidation that applies unless another is asked for.
    pub const fn default_consolidation(self) -> Consolidation {
        match self {
            Self::Sum | Self::Count => Consolidation::Avg,
            Self::Min => Consolidation::Min,
            Self::Max => Consolidation::Max,
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What makes one cell of several slots when the step asked for is longer than the store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Consolidation {
    /// The mean: a rate over all slots of the cell, a gauge over those with data.
    Avg,
    /// The sum.
    Sum,
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

impl Consolidation {
    /// The name as the language writes it: `avg`, `sum`, `min`, `max`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

impl fmt::Display for Consolidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Adds where NaN is no data: NaN only when both are.
pub fn add_nan(a: f64, b: f64) -> f64 {
    match (a.is_nan(), b.is_nan()) {
        (true, _) => b,
        (false, true) => a,
        (false, false) => a + b,
    }
}

/// The lower, where NaN is no data and −0 is lower than 0, as in Java: in whatever order values come, the same is left.
pub fn min_nan(a: f64, b: f64) -> f64 {
    let is_lower = b < a || (b == a && b.is_sign_negative());
    if a.is_nan() || is_lower { b } else { a }
}

/// The higher, where NaN is no data and 0 is higher than −0: see [`min_nan`].
pub fn max_nan(a: f64, b: f64) -> f64 {
    let is_higher = b > a || (b == a && b.is_sign_positive());
    if a.is_nan() || is_higher { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_zeros_the_sign_decides() {
        for (a, b) in [(0.0, -0.0), (-0.0, 0.0)] {
            assert!(min_nan(a, b).is_sign_negative() && max_nan(a, b).is_sign_positive());
        }
    }

    #[test]
    fn nan_is_no_data() {
        let nan = f64::NAN;
        assert_eq!(add_nan(nan, 2.0), 2.0);
        assert_eq!(add_nan(2.0, nan), 2.0);
        assert!(add_nan(nan, nan).is_nan());
        assert_eq!(min_nan(nan, 2.0), 2.0);
        assert_eq!(min_nan(1.0, nan), 1.0);
        assert_eq!(max_nan(nan, 2.0), 2.0);
        assert_eq!(max_nan(3.0, 2.0), 3.0);
        assert!(max_nan(nan, nan).is_nan());
    }
}
