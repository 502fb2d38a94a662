//! The same as `publish_json` for bodies in Smile.

use hesper_ingest::atlas::Encoding;

use super::published;

/// Takes the input for a body in Smile.
pub fn run(body: &[u8]) {
    published::check(body, Encoding::Smile);
}
