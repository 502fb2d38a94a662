#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hesper_fuzz::log_segment::run(bytes));
