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

/// One of the figures, by the name it has in the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The mean.
    Avg,
    /// The highest value.
    Max,
    /// The lowest value.
    Min,
    /// The last value.
    Last,
    /// How many values there are.
    Count,
    /// The sum.
    Total,
}

impl Statistic {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Avg,
        Self::Max,
        Self::Min,
        Self::Last,
        Self::Count,
        Self::Total,
    ];

    /// The name in the language.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Max => "max",
            Self::Min => "min",
            Self::Last => "last",
            Self::Count => "count",
            Self::Total => "total",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

impl SummaryStats {
    /// One of the figures. Without values the count is 0 and all others are NaN.
    pub fn get(&self, statistic: Statistic) -> f64 {
        match statistic {
            Statistic::Avg => self.avg,
            Statistic::Max => self.max,
            Statistic::Min => self.min,
            Statistic::Last => self.last,
            Statistic::Count => self.count as f64,
            Statistic::Total => self.total,
        }
    }

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

    #[test]
    fn figures_go_by_their_names() {
        let stats = SummaryStats::of(&[1.0, 5.0, 3.0]);
        let all: Vec<_> = ["avg", "max", "min", "last", "count", "total"]
            .map(|name| stats.get(Statistic::named(name).expect("a name")))
            .to_vec();
        assert_eq!(all, [3.0, 5.0, 1.0, 3.0, 3.0, 9.0]);
        assert_eq!(Statistic::named("median"), None);
    }
}
