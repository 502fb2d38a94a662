//! The bytes of a log segment are read without a panic.

use hesper_hot::log::record;
use hesper_hot::log::segment::Records;

/// Takes the input for a segment, and for the kind and the payload of one record.
pub fn run(bytes: &[u8]) {
    for found in Records::new(bytes).flatten() {
        let _ = record::read(found.0, found.1);
    }
    // Past the checksums.
    if let Some((kind, payload)) = bytes.split_first() {
        let _ = record::read(*kind % 9, payload);
    }
}
