//! What can be evaluated on a live stream, whose range has no end.

use super::{StatefulOp, StyleExpr, TimeSeriesExpr};
use crate::error::StackError;

impl StyleExpr {
    /// Whether it can be evaluated on a live stream. Data from another time are not there; and what goes back to the start of the
    /// range would depend on when the stream was opened.
    ///
    /// # Errors
    /// When it cannot, with the word that is the reason.
    pub fn check_streaming(&self) -> Result<(), StackError> {
        self.expr.check_streaming()
    }
}

impl TimeSeriesExpr {
    /// Whether it can be evaluated on a live stream; see [`StyleExpr::check_streaming`].
    ///
    /// # Errors
    /// When it cannot, with the word that is the reason.
    pub fn check_streaming(&self) -> Result<(), StackError> {
        match self {
            Self::Constant(_) | Self::Generated(_) => Ok(()),
            Self::Data(data) if data.offset_millis != 0 => Err(refused(data.to_string())),
            Self::Percentiles(p) if p.data().offset_millis != 0 => {
                Err(refused(p.data().to_string()))
            }
            Self::Data(_) | Self::Percentiles(_) => Ok(()),
            Self::Stateful {
                op: StatefulOp::Integral | StatefulOp::CumulativeMax,
                ..
            }
            | Self::Filter(_) => Err(refused(self.to_string())),
            Self::NamedRewrite(named) => named.eval.check_streaming(),
            Self::ApproxDistinct(d) => d.input.check_streaming(),
            Self::Binary { left, right, .. } => {
                left.check_streaming()?;
                right.check_streaming()
            }
            Self::Unary { input, .. }
            | Self::Clamp { input, .. }
            | Self::Aggregate { input, .. }
            | Self::GroupBy { input, .. }
            | Self::Rename { input, .. }
            | Self::Stateful { input, .. } => input.check_streaming(),
        }
    }
}

/// The word that an expression ends with is the one to blame.
fn refused(expr: String) -> StackError {
    let word = expr.rfind(':').map_or("unknown", |at| &expr[at..]);
    StackError::IllegalArgument(format!(
        "{word} not supported for streaming evaluation [[{expr}]]"
    ))
}

#[cfg(test)]
mod tests {
    use crate::parse::{GraphOptions, parse_graph};

    fn refusal(program: &str) -> Option<String> {
        let exprs = parse_graph(program, &GraphOptions::default()).expect("a valid program");
        exprs[0].check_streaming().err().map(|e| e.to_string())
    }

    #[test]
    fn the_word_to_blame_is_named() {
        assert_eq!(
            refusal("name,a,:eq,:sum,1w,:offset,:per-step").expect("refused"),
            "IllegalArgumentException: :offset not supported for streaming evaluation [[name,a,:eq,:sum,1w,:offset]]"
        );
        assert_eq!(
            refusal("name,a,:eq,(,k,),:by,:integral,5,:mul").expect("refused"),
            "IllegalArgumentException: :integral not supported for streaming evaluation \
             [[name,a,:eq,:sum,(,k,),:by,:integral]]"
        );
        for program in [
            "name,a,:eq,:approx-distinct-cumulative",
            "name,a,:eq,:avg,1h,:offset",
            "name,a,:eq,:sum,:dup,1w,:offset,:div",
            "name,a,:eq,(,k,),:by,max,5,:topk",
            "name,a,:eq,(,k,),:by,:stat-max,5,:gt,:filter",
        ] {
            assert!(refusal(program).is_some(), "{program}");
        }
    }

    #[test]
    fn what_has_a_limited_past_is_fine() {
        for program in [
            "name,a,:eq,:avg,(,k,),:by,10,5,:rolling-mean,:derivative",
            "name,a,:eq,:sdes-fast,:random,:add,5m,:trend,3,:delay",
            "name,a,:eq,(,50,),:percentiles",
        ] {
            assert_eq!(refusal(program), None, "{program}");
        }
    }
}
