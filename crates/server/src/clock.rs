//! The wall clock, read at the edges only; everything below takes the time as a parameter.

use std::time::{SystemTime, UNIX_EPOCH};

use hesper_model::Timestamp;

/// The time now.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, |d| d.as_millis() as i64))
}
