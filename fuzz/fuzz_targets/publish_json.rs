//! A body of Atlas's publish formats is read without a panic.
#![no_main]

use hesper_ingest::atlas::{self, Encoding, flat};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for encoding in [Encoding::Json, Encoding::Smile] {
        let _ = atlas::decode(body, encoding);
        let _ = atlas::decode_list(body, encoding);
        let _ = flat::decode(body, encoding);
    }
});
