//! What can go wrong between a service and the store.

use std::time::Duration;

/// Why something could not be built, sent or finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The step of a registry is shorter than a millisecond or longer than a day.
    #[error(
        "a step of {0:?} is not possible: choose one between 1 ms and 1 day, the step of the store"
    )]
    Step(Duration),

    /// An address does not parse.
    #[error("`{uri}` is no address of a store ({reason}): write it as http://host:port")]
    Uri {
        /// The address as given.
        uri: String,
        /// What the parser says.
        reason: String,
    },

    /// A publisher has no address to publish to.
    #[error("the publisher has no endpoint: give it one, such as http://host:port")]
    NoEndpoint,

    /// A publisher was started outside an asynchronous runtime.
    #[error("a publisher runs on a tokio runtime: start it from inside one")]
    NoRuntime,

    /// The server refused the call, could not be reached, or broke the connection off.
    #[error("the server answered {}: {}", .0.code(), .0.message())]
    Status(Box<tonic::Status>),

    /// The server did not answer in time.
    #[error("no answer from the server within {0:?}, while {1}")]
    Timeout(Duration, &'static str),

    /// The connection is over.
    #[error("the connection to the server is closed: open a new one")]
    Closed,

    /// The server broke the rules of the protocol.
    #[error("the server does not keep to the protocol: {0}")]
    Protocol(String),

    /// References and values of a batch don't belong together.
    #[error(
        "a batch needs one value for each reference, but has {refs} references and {values} values"
    )]
    ColumnLengths {
        /// Number of references.
        refs: usize,
        /// Number of values.
        values: usize,
    },

    /// A batch has more datapoints than the server takes.
    #[error(
        "a batch of {datapoints} datapoints is more than the {limit} that the server takes: split it"
    )]
    BatchTooLarge {
        /// Datapoints in the batch.
        datapoints: usize,
        /// The most that the server takes.
        limit: usize,
    },

    /// A reference that this connection did not define.
    #[error(
        "series {reference} is unknown on this connection, which has {defined}: define it first"
    )]
    UnknownSeries {
        /// The reference used.
        reference: u32,
        /// How many series are defined.
        defined: u32,
    },

    /// A sequence number that isn't above the one before.
    #[error("sequence {sequence} comes after {last}: sequence numbers grow with every batch")]
    Sequence {
        /// The number used.
        sequence: u64,
        /// The one before.
        last: u64,
    },

    /// Too many batches wait for their acknowledgement.
    #[error(
        "the window of batches that wait for an acknowledgement is full: wait until there is room"
    )]
    WindowFull,

    /// Not everything was acknowledged within the time given.
    #[error("{datapoints} datapoints were not acknowledged within {timeout:?}")]
    NotAcknowledged {
        /// Datapoints that are still queued.
        datapoints: usize,
        /// How long was waited.
        timeout: Duration,
    },
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Status(Box::new(status))
    }
}
