//! A body of Atlas's publish formats is read without a panic, twice the same, and its datapoints can be written out and read back.

use hesper_ingest::atlas::Encoding;

use super::published;

/// Takes the input for a body in JSON.
pub fn run(body: &[u8]) {
    published::check(body, Encoding::Json);
}
