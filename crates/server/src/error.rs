//! What keeps a node from starting.

use std::path::PathBuf;

use hesper_history::HistoryError;
use hesper_hot::HotError;

/// An error while a node starts or runs.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A setting makes no sense.
    #[error("{0}")]
    Config(String),
    /// A file or directory cannot be used.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; is another node running? give another address with {flag}"
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The hot tier cannot be opened.
    #[error(transparent)]
    Hot(#[from] HotError),
    /// History cannot be opened.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The alert rules or their state cannot be read.
    #[error("{0}")]
    Alerts(String),
    /// The node's own metrics cannot be set up.
    #[error("the node's own metrics: {0}")]
    Metrics(#[from] hesper_client::Error),
}
