//! Where the data lies: the store in memory and history. A plan's leaf finds them in the session.

use std::sync::Arc;

use hesper_history::History;
use hesper_hot::HotStore;

/// The tiers of a node.
pub struct Tiers {
    /// The recent windows in memory.
    pub hot: Arc<HotStore>,
    /// Everything that was flushed.
    pub history: Arc<History>,
}

/// A part of the data that an answer lacks (promise P4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPart {
    /// Which: the path of a file.
    pub part: String,
    /// Why.
    pub reason: String,
}

impl std::fmt::Display for MissingPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.part, self.reason)
    }
}
