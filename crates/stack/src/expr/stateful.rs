//! The words whose values depend on the ones before. Each is a variant here, and a state machine in `eval::online`.

use hesper_model::Step;

use crate::number::JavaDouble;
use crate::span::Span;

/// How a series is followed through time. Windows count datapoints; whether they are in range is checked when they are evaluated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StatefulOp {
    /// The value so many datapoints before.
    Delay {
        /// How many.
        n: i32,
    },
    /// How many of the last datapoints are true.
    RollingCount {
        /// How many datapoints back, this one included.
        window: i32,
    },
    /// The lowest of the last datapoints.
    RollingMin {
        /// How many datapoints back, this one included.
        window: i32,
    },
    /// The highest of the last datapoints.
    RollingMax {
        /// How many datapoints back, this one included.
        window: i32,
    },
    /// The mean of the last datapoints.
    RollingMean {
        /// How many datapoints back, this one included.
        window: i32,
        /// How many of them have to have a value.
        least: i32,
    },
    /// The sum of the last datapoints.
    RollingSum {
        /// How many datapoints back, this one included.
        window: i32,
    },
    /// Double exponential smoothing.
    Des {
        /// How many values there have to be before one is predicted.
        training: i32,
        /// What a value weighs for the level.
        alpha: f64,
        /// What a change of the level weighs for the trend.
        beta: f64,
    },
    /// Two double exponential smoothings that take turns.
    SlidingDes {
        /// How many values there have to be before one is predicted; also the length of a turn.
        training: i32,
        /// What a value weighs for the level.
        alpha: f64,
        /// What a change of the level weighs for the trend.
        beta: f64,
    },
    /// The mean over a length of time, gaps counted as zeros.
    Trend {
        /// How long.
        window: Span,
    },
    /// The sum since the start.
    Integral,
    /// The highest since the start.
    CumulativeMax,
    /// The change since the datapoint before.
    Derivative,
}

impl StatefulOp {
    /// The word of the language, without its colon.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delay { .. } => "delay",
            Self::RollingCount { .. } => "rolling-count",
            Self::RollingMin { .. } => "rolling-min",
            Self::RollingMax { .. } => "rolling-max",
            Self::RollingMean { .. } => "rolling-mean",
            Self::RollingSum { .. } => "rolling-sum",
            Self::Des { .. } => "des",
            Self::SlidingDes { .. } => "sdes",
            Self::Trend { .. } => "trend",
            Self::Integral => "integral",
            Self::CumulativeMax => "cumulative-max",
            Self::Derivative => "derivative",
        }
    }

    pub(super) const fn type_name(self) -> &'static str {
        match self {
            Self::Delay { .. } => "Delay",
            Self::RollingCount { .. } => "RollingCount",
            Self::RollingMin { .. } => "RollingMin",
            Self::RollingMax { .. } => "RollingMax",
            Self::RollingMean { .. } => "RollingMean",
            Self::RollingSum { .. } => "RollingSum",
            Self::Des { .. } => "Des",
            Self::SlidingDes { .. } => "SlidingDes",
            Self::Trend { .. } => "Trend",
            Self::Integral => "Integral",
            Self::CumulativeMax => "CumulativeMax",
            Self::Derivative => "Derivative",
        }
    }

    /// The parameters as the language writes them, from left to right.
    pub(super) fn parameters(self) -> Vec<String> {
        match self {
            Self::Delay { n } => vec![n.to_string()],
            Self::RollingCount { window }
            | Self::RollingMin { window }
            | Self::RollingMax { window }
            | Self::RollingSum { window } => vec![window.to_string()],
            Self::RollingMean { window, least } => vec![window.to_string(), least.to_string()],
            Self::Des {
                training,
                alpha,
                beta,
            }
            | Self::SlidingDes {
                training,
                alpha,
                beta,
            } => vec![
                training.to_string(),
                JavaDouble(alpha).to_string(),
                JavaDouble(beta).to_string(),
            ],
            Self::Trend { window } => vec![window.to_string()],
            Self::Integral | Self::CumulativeMax | Self::Derivative => Vec::new(),
        }
    }

    /// How many datapoints before one decide about its value at this step, at most; `None` when all do, back to the start of the range.
    pub fn reach(self, step: Step) -> Option<usize> {
        let before = |window: i64| usize::try_from((window - 1).max(0)).ok();
        match self {
            Self::Delay { n } => before(i64::from(n) + 1),
            Self::RollingCount { window }
            | Self::RollingMin { window }
            | Self::RollingMax { window }
            | Self::RollingMean { window, .. }
            | Self::RollingSum { window } => before(window.into()),
            Self::Trend { window } => before(window.millis().ok()? / step.millis()),
            Self::Derivative => Some(1),
            // The turns of a sliding one are counted from the start of the range.
            Self::Des { .. } | Self::SlidingDes { .. } | Self::Integral | Self::CumulativeMax => {
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_reach_as_far_as_they_are_long() {
        let reach = |op: StatefulOp| op.reach(Step::from_secs(60));
        assert_eq!(reach(StatefulOp::Delay { n: 3 }), Some(3));
        assert_eq!(reach(StatefulOp::RollingSum { window: 5 }), Some(4));
        assert_eq!(reach(StatefulOp::RollingSum { window: -5 }), Some(0));
        let window = Span::from_millis(630_000);
        assert_eq!(reach(StatefulOp::Trend { window }), Some(9));
        assert_eq!(reach(StatefulOp::Derivative), Some(1));
        assert_eq!(reach(StatefulOp::Integral), None);
    }
}
