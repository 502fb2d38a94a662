//! A body of Atlas's publish format is read without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _ = hesper_ingest::atlas::decode(body);
});
