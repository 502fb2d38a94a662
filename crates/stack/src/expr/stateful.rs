//! The words whose values depend on the ones before. Each is a variant here, and a state machine in `eval::online`.

/// How a series is followed through time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StatefulOp {
    /// How many of the last datapoints are true.
    RollingCount {
        /// How many datapoints back, this one included. Checked when it is evaluated.
        window: i32,
    },
}

impl StatefulOp {
    /// The word of the language, without its colon.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RollingCount { .. } => "rolling-count",
        }
    }

    pub(super) const fn type_name(self) -> &'static str {
        match self {
            Self::RollingCount { .. } => "RollingCount",
        }
    }

    /// The parameters as the language writes them, from left to right.
    pub(super) fn parameters(self) -> Vec<String> {
        match self {
            Self::RollingCount { window } => vec![window.to_string()],
        }
    }
}
