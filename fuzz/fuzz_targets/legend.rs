#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hesper_fuzz::legend::run(bytes));
