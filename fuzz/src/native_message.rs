//! Messages of the native protocol are decoded, and their batches taken, without a panic; a message that was decoded is encoded to one that
//! decodes to the same.

use hesper_ingest::IngestError;
use hesper_ingest::proto::{Hello, PublishRequest, publish_request};
use hesper_ingest::stream::Connection;
use hesper_model::Timestamp;
use prost::Message;

use super::nowhere;

/// Times that a clock may show.
const CLOCK: std::ops::RangeInclusive<i64> = 0..=4_000_000_000_000;

/// Takes the input for the requests of a connection, each with its length before it.
pub fn run(mut bytes: &[u8]) {
    let hello = Hello {
        client: vec![1; 16],
        ..Hello::default()
    };
    let mut connection = Connection::open(nowhere::router(), &hello).expect("a client");
    while !bytes.is_empty() {
        let Ok(request) = PublishRequest::decode_length_delimited(&mut bytes) else {
            return;
        };
        let written = request.encode_to_vec();
        let again = PublishRequest::decode(&written[..]).expect("just written");
        assert_eq!(again.encode_to_vec(), written);
        if let Some(publish_request::Message::Batch(mut batch)) = request.message {
            let now = Timestamp(batch.time_millis.clamp(*CLOCK.start(), *CLOCK.end()));
            let (sequence, values) = (batch.sequence, batch.values.len() / 8);
            match connection.take(&mut batch, now) {
                Ok(taken) => {
                    assert_eq!(taken.sequence, sequence);
                    assert!(taken.rejects.len() <= values);
                    assert!(taken.rejects.iter().all(|r| !r.reason.is_empty()));
                }
                Err(IngestError::Unreadable(message)) => assert!(!message.is_empty()),
                Err(other) => panic!("the store has room for a few: {other}"),
            }
        }
    }
}
