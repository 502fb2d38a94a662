//! The figures that a legend gives for a line.

/// Figures over the values of a line that are there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SummaryStats {
    /// How many values there are.
    pub count: usize,
    /// The mean; NaN without values, as all that follow.
    pub avg: f64,
    /// The sum.
    pub total: f64,
    /// The highest.
    pub max: f64,
    /// The lowest.
    pub min: f64,
    /// The last.
    pub last: f64,
}

impl SummaryStats {
    /// The figures of these values.
    pub fn of(values: &[f64]) -> Self {
        let mut stats = Self {
            count: 0,
            avg: f64::NAN,
            total: 0.0,
            max: f64::NEG_INFINITY,
            min: f64::INFINITY,
            last: f64::NAN,
        };
        for &v in values.iter().filter(|v| !v.is_nan()) {
            stats.count += 1;
            stats.total += v;
            stats.max = if v > stats.max { v } else { stats.max };
            stats.min = if v < stats.min { v } else { stats.min };
            stats.last = v;
        }
        if stats.count == 0 {
            (stats.total, stats.max, stats.min) = (f64::NAN, f64::NAN, f64::NAN);
        } else {
            stats.avg = stats.total / stats.count as f64;
        }
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_do_not_count() {
        let stats = SummaryStats::of(&[1.0, f64::NAN, 4.0, f64::NAN]);
        assert_eq!((stats.count, stats.avg, stats.total), (2, 2.5, 5.0));
        assert_eq!((stats.min, stats.max, stats.last), (1.0, 4.0, 4.0));
        let none = SummaryStats::of(&[f64::NAN]);
        assert_eq!(none.count, 0);
        assert!(none.avg.is_nan() && none.total.is_nan() && none.max.is_nan());
    }
}
