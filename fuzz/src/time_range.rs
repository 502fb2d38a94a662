//! The times and the step of a request are read without a panic, and what comes of them lies on the boundaries of a step.

use hesper_model::{Step, Timestamp};
use hesper_stack::time::{GraphTime, TimeZone, fetch_range, time_range};

/// What `now` stands for.
const NOW: Timestamp = Timestamp(1_780_000_000_000);

const BASE: Step = Step::from_secs(60);

/// The most datapoints of a line, and one for what the boundaries add.
const MAX_DATAPOINTS: i128 = 1440 + 1;

/// Numbers between these count milliseconds.
const MILLIS: std::ops::RangeInclusive<i64> = 1 << 31..=13_569_465_600_000;

/// Takes five lines for the start, the end, the step, the time zone and the width; what is missing has its default.
pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let mut lines = text.split('\n');
    let mut line = |default| lines.next().unwrap_or(default);
    let (start, end, step, zone) = (line("e-3h"), line("now"), line("1m"), line("UTC"));
    let width: usize = line("700").parse().unwrap_or(700);
    let zone = TimeZone::parse(zone).unwrap_or(TimeZone::UTC);
    let (start, end) = match time_range(start, end, NOW, zone) {
        Ok(range) => range,
        Err(error) => return assert!(!error.message().is_empty()),
    };
    assert!(start <= end);
    for time in [start, end] {
        if MILLIS.contains(&time.millis()) {
            let text = time.millis().to_string();
            assert_eq!(time_range(&text, &text, NOW, zone), Ok((time, time)));
        }
    }
    for step in [None, Some(step)] {
        if let Ok(time) = GraphTime::new((start, end), BASE, step, width) {
            check_bounds((start, end), (time.start, time.end), time.step);
            let span = i128::from(time.end.millis()) - i128::from(time.start.millis());
            let cells = span / i128::from(time.step.millis());
            assert!(cells <= MAX_DATAPOINTS, "{cells} datapoints");
            assert_eq!(time.context().cells() as i128, cells + 1);
            assert_eq!(time.context().start, time.start);
            assert!(time.start < time.first_shown() && time.first_shown() <= time.end);
        }
        if let Ok(range) = fetch_range((start, end), BASE, step) {
            check_bounds((start, end), (range.start, range.end), range.step);
        }
    }
}

/// The range is not empty, and on the boundaries of the step next to what was asked for.
fn check_bounds(asked: (Timestamp, Timestamp), (start, end): (Timestamp, Timestamp), step: Step) {
    assert!(step >= BASE && start < end, "{start} to {end}");
    for time in [start, end] {
        assert_eq!(time.millis() % step.millis(), 0, "{time}");
    }
    let by =
        |asked: Timestamp, got: Timestamp| i128::from(asked.millis()) - i128::from(got.millis());
    let step = i128::from(step.millis());
    assert!((0..2 * step).contains(&by(asked.0, start)), "{start}");
    assert!((0..step).contains(&by(asked.1, end)), "{end}");
}
