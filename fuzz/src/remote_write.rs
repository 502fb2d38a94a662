//! Bodies of remote write are taken without a panic, packed and unpacked; what comes again is taken as it was.

use hesper_ingest::IngestError;
use hesper_ingest::remote_write::{RemoteWrite, RemoteWriteSettings};

use super::nowhere::{self, NOW};

const MAX_BYTES: usize = 1 << 20;

/// Takes the input for a body, and for what is packed in one.
pub fn run(bytes: &[u8]) {
    let settings = RemoteWriteSettings {
        max_cached_series: 100,
        ..RemoteWriteSettings::default()
    };
    let remote = RemoteWrite::new(nowhere::router(), settings);
    let packed = snap::raw::Encoder::new().compress_vec(bytes);
    let packed = packed.expect("far below 4 GiB");
    for body in [bytes, &packed, &packed] {
        match remote.take(body, MAX_BYTES, NOW) {
            Ok(written) => {
                assert!(matches!(written.status(), 204 | 400 | 429));
                assert_eq!(written.message().is_empty(), written.refused.is_empty());
            }
            Err(IngestError::Unreadable(message)) => assert!(!message.is_empty()),
            Err(other) => panic!("the store has room for a few: {other}"),
        }
    }
}
