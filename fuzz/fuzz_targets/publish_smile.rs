//! A body of Atlas's publish formats in Smile is read without a panic.
#![no_main]

use hesper_ingest::atlas::{self, Encoding, flat};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _ = atlas::decode(body, Encoding::Smile);
    let _ = flat::decode(body, Encoding::Smile);
});
