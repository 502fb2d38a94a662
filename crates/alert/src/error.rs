//! What can go wrong with alerts.

use std::fmt;
use std::io;
use std::path::PathBuf;

use hesper_model::{Step, Timestamp};
use hesper_stack::span::ShortSpan;

/// Rules that cannot be used, or state that cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// A directory or file of rules that cannot be read.
    #[error("cannot read the alert rules in {}: {source}", path.display())]
    ReadRules {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Rules that are wrong. None of their directory is used.
    #[error("no alert rule is loaded, because of:{}", lines(.0))]
    Rules(Vec<RuleFault>),
    /// A rule that does not fit the store.
    #[error(
        "alert rule `{rule}`: its offset of {} is no multiple of the store's step of {}; use one that is",
        ShortSpan(*offset_millis), ShortSpan(step.millis())
    )]
    Offset {
        /// The rule.
        rule: String,
        /// The offset of one of its data expressions.
        offset_millis: i64,
        /// The step of the store.
        step: Step,
    },
    /// The file of alert state cannot be read.
    #[error("cannot read the alert state in {}: {source}", path.display())]
    ReadState {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of alert state makes no sense.
    #[error(
        "the alert state in {} is damaged: {cause}; restore the file, or move it away to begin without it, in which case alerts that are firing fire once more",
        path.display()
    )]
    DamagedState {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The file of alert state is of another version.
    #[error(
        "the alert state in {} has format version {found}, this build reads version {}; use a build that reads it, or move it away to begin without it",
        path.display(), crate::state_file::VERSION
    )]
    StateVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// The file of alert state cannot be written.
    #[error("cannot write the alert state to {}: {source}", path.display())]
    WriteState {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A time to evaluate that is no boundary of the step.
    #[error("time {at} is no multiple of the store's step of {}", ShortSpan(step.millis()))]
    OffStep {
        /// The time asked for, in milliseconds since 1970.
        at: Timestamp,
        /// The step of the store.
        step: Step,
    },
    /// A time to evaluate that is not after the last one.
    #[error("time {at} is not after {evaluated}, which was evaluated already")]
    NotLater {
        /// The time asked for, in milliseconds since 1970.
        at: Timestamp,
        /// The last time that was evaluated, in milliseconds since 1970.
        evaluated: Timestamp,
    },
}

/// What is wrong with a rule, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// The name of the file.
    pub file: String,
    /// Line and column, counted from 1, if they are known.
    pub place: Option<(u64, u64)>,
    /// The name of the rule, if it is known.
    pub rule: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// `ipc.yaml:12:5: rule `x`: what is wrong`.
impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(rule) = &self.rule {
            write!(f, ": rule `{rule}`")?;
        }
        write!(f, ": {}", self.what)
    }
}

fn lines(faults: &[RuleFault]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}
