//! The times and the step of a request are read without a panic.
#![no_main]

use hesper_model::{Step, Timestamp};
use hesper_stack::time::{GraphTime, TimeZone, time_range};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: (&str, &str, &str, &str, u16)| {
    let (start, end, step, zone, width) = texts;
    let zone = TimeZone::parse(zone).unwrap_or(TimeZone::UTC);
    if let Ok(range) = time_range(start, end, Timestamp(1_780_000_000_000), zone) {
        let base = Step::from_secs(60);
        let _ = GraphTime::new(range, base, Some(step), usize::from(width));
        let _ = GraphTime::new(range, base, None, usize::from(width));
    }
});
