//! What a command can fail with; the message is for the person at the terminal.

use std::path::PathBuf;

/// The failure of a command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The node could not be started or stopped.
    #[error(transparent)]
    Server(#[from] hesper_server::ServerError),
    /// History cannot be read or written.
    #[error(transparent)]
    History(#[from] hesper_history::HistoryError),
    /// The log cannot be read or written.
    #[error(transparent)]
    Log(#[from] hesper_hot::HotError),
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line of a file is not what it should be.
    #[error("{path}, line {line}: {what}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The server cannot be reached.
    #[error("{uri} cannot be reached: {what}; is a node running there? give another with --server")]
    Unreachable {
        /// The address.
        uri: String,
        /// What went wrong.
        what: String,
    },
    /// The server refused.
    #[error("the server said: {0}")]
    Refused(String),
    /// The client crate failed.
    #[error(transparent)]
    Client(#[from] hesper_client::Error),
    /// Anything else, said in full.
    #[error("{0}")]
    Other(String),
}
