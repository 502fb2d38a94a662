//! Marks on a time axis: at times that are round on the clocks of a zone, before and after the clocks are changed.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, Timelike};
use hesper_model::Timestamp;
use hesper_stack::time::TimeZone;

/// A marked time.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeTick {
    /// The time.
    pub time: Timestamp,
    /// True when it has a label.
    pub is_major: bool,
    /// How it is written on the clocks of the zone.
    pub label: String,
}

/// A moment at which clocks are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first moment with the new time.
    pub time: Timestamp,
    /// By how many seconds clocks are put forward.
    pub seconds: i32,
}

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Distances between labels, and between marks.
const SIZES: [(i64, i64); 24] = [
    (5 * SECOND, SECOND),
    (10 * SECOND, 2 * SECOND),
    (15 * SECOND, 5 * SECOND),
    (20 * SECOND, 5 * SECOND),
    (30 * SECOND, 10 * SECOND),
    (MINUTE, 10 * SECOND),
    (2 * MINUTE, 30 * SECOND),
    (3 * MINUTE, MINUTE),
    (5 * MINUTE, MINUTE),
    (10 * MINUTE, 2 * MINUTE),
    (15 * MINUTE, 5 * MINUTE),
    (20 * MINUTE, 5 * MINUTE),
    (30 * MINUTE, 10 * MINUTE),
    (HOUR, 10 * MINUTE),
    (2 * HOUR, 30 * MINUTE),
    (3 * HOUR, HOUR),
    (4 * HOUR, HOUR),
    (6 * HOUR, 2 * HOUR),
    (8 * HOUR, 2 * HOUR),
    (12 * HOUR, 3 * HOUR),
    (DAY, 4 * HOUR),
    (2 * DAY, 8 * HOUR),
    (7 * DAY, DAY),
    (14 * DAY, 2 * DAY),
];

/// The first Monday of 1970, in milliseconds; weeks begin on it.
const FIRST_MONDAY: i64 = 4 * DAY;

/// The marks from one time to another, both included, of which at most `n` or so have a label.
pub fn time_ticks(start: Timestamp, end: Timestamp, zone: &TimeZone, n: usize) -> Vec<TimeTick> {
    let (start, end) = (start.millis(), end.millis());
    if n == 0 || end <= start {
        return Vec::new();
    }
    let span = end.saturating_sub(start);
    let fits = |major: i64| span / major <= n as i64;
    match SIZES.iter().find(|(major, _)| fits(*major)) {
        Some(&(major, minor)) => clock_ticks(start, end, zone, major, minor),
        None => calendar_ticks(start, end, zone, n),
    }
}

/// Marks at multiples of a distance on the clocks of the zone. What the clocks show twice is marked twice, what they skip is not.
fn clock_ticks(start: i64, end: i64, zone: &TimeZone, major: i64, minor: i64) -> Vec<TimeTick> {
    let origin = if major >= 7 * DAY { FIRST_MONDAY } else { 0 };
    let changes = clock_changes(Timestamp(start), Timestamp(end), zone);
    let changes = changes.iter().map(|c| c.time.millis());
    let begins = std::iter::once(start).chain(changes.clone());
    let ends = changes.map(|t| t - 1).chain([end]);
    let mut ticks = Vec::new();
    for (begin, end) in begins.zip(ends) {
        let offset = i64::from(zone.offset_seconds(begin)) * SECOND;
        let before = (begin + offset - origin - 1).div_euclid(minor);
        let mut local = (before + 1) * minor + origin;
        while local - offset <= end {
            ticks.push(TimeTick {
                time: Timestamp(local - offset),
                is_major: (local - origin) % major == 0,
                label: clock_label(local),
            });
            local += minor;
        }
    }
    ticks
}

/// When the clocks of a zone show a time: once, twice when they are put back, or never when they are put forward.
fn moments(local: i64, zone: &TimeZone) -> impl Iterator<Item = i64> {
    let offset = |millis: i64| i64::from(zone.offset_seconds(millis)) * SECOND;
    let (before, after) = (offset(local - DAY), offset(local + DAY));
    let first = Some(local - before).filter(|t| offset(*t) == before);
    let second = Some(local - after).filter(|t| offset(*t) == after && before != after);
    first.into_iter().chain(second)
}

/// `Jan 5` at midnight, else `14:30`, else `:15`.
fn clock_label(local: i64) -> String {
    let Some(time) = DateTime::from_timestamp_millis(local) else {
        return String::new();
    };
    match (time.hour(), time.minute(), time.second()) {
        (0, 0, 0) => time.format("%b %-d").to_string(),
        (_, _, 0) => time.format("%H:%M").to_string(),
        _ => time.format(":%S").to_string(),
    }
}

/// Marks at the beginning of days, months, quarters or years.
fn calendar_ticks(start: i64, end: i64, zone: &TimeZone, n: usize) -> Vec<TimeTick> {
    let days = (end - start) / DAY;
    let n = n as i64;
    let months: u32 = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 6000, 12000]
        .into_iter()
        .find(|months| days / (30 * i64::from(*months)) <= n)
        .unwrap_or(120_000);
    let local = |millis: i64| {
        let offset = i64::from(zone.offset_seconds(millis)) * SECOND;
        DateTime::from_timestamp_millis(millis.saturating_add(offset)).map(|t| t.naive_utc().date())
    };
    let (Some(first), Some(last)) = (local(start), local(end)) else {
        return Vec::new();
    };
    let months_of = |d: NaiveDate| i64::from(d.year()) * 12 + i64::from(d.month0());
    let begin = months_of(first).div_euclid(i64::from(months)) * i64::from(months);
    let date = |month: i64| {
        let year = i32::try_from(month.div_euclid(12)).ok()?;
        NaiveDate::from_ymd_opt(year, month.rem_euclid(12) as u32 + 1, 1)
    };
    let mut dates =
        std::iter::successors(date(begin), |d| d.checked_add_months(Months::new(months)));
    let mut ticks = Vec::new();
    for day in dates.by_ref().take_while(|d| *d <= last).take(4096) {
        let midnight = NaiveDateTime::from(day).and_utc().timestamp_millis();
        let found = moments(midnight, zone).find(|t| (start..=end).contains(t));
        ticks.extend(found.map(|time| TimeTick {
            time: Timestamp(time),
            is_major: true,
            label: match day.month() {
                1 => day.format("%Y").to_string(),
                _ => day.format("%b").to_string(),
            },
        }));
    }
    ticks
}

/// The times at which clocks of the zone are changed between two times.
pub fn clock_changes(start: Timestamp, end: Timestamp, zone: &TimeZone) -> Vec<Change> {
    let (start, end) = (start.millis(), end.millis());
    // No zone changes its clocks twice in less than a week; over decades not each change is worth a mark.
    let stride = (7 * DAY).max(end.saturating_sub(start) / 1000);
    let mut changes = Vec::new();
    let mut from = start;
    while from < end {
        let to = from.saturating_add(stride).min(end);
        let (before, after) = (zone.offset_seconds(from), zone.offset_seconds(to));
        if before != after {
            let (mut low, mut high) = (from, to);
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if zone.offset_seconds(middle) == before {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            changes.push(Change {
                time: Timestamp(high),
                seconds: after - before,
            });
        }
        from = to;
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utc(text: &str) -> Timestamp {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").expect("a time");
        Timestamp(time.and_utc().timestamp_millis())
    }

    fn labels(start: &str, end: &str, zone: &str, n: usize) -> Vec<String> {
        let zone = TimeZone::parse(zone).expect("a zone");
        let ticks = time_ticks(utc(start), utc(end), &zone, n);
        let majors = ticks.into_iter().filter(|t| t.is_major);
        majors.map(|t| t.label).collect()
    }

    #[test]
    fn distances_follow_the_range() {
        let day = "2026-01-05T00:00";
        assert_eq!(
            labels(day, "2026-01-05T03:00", "UTC", 7),
            [
                "Jan 5", "00:30", "01:00", "01:30", "02:00", "02:30", "03:00"
            ]
        );
        assert_eq!(
            labels(day, "2026-01-05T00:01", "UTC", 4),
            ["Jan 5", ":15", ":30", ":45", "00:01"]
        );
        assert_eq!(
            labels(day, "2026-02-05T00:00", "UTC", 5),
            ["Jan 5", "Jan 12", "Jan 19", "Jan 26", "Feb 2"],
            "weeks begin on Mondays"
        );
        assert_eq!(
            labels("2025-11-05T00:00", "2026-03-05T00:00", "UTC", 4),
            ["Dec", "2026", "Feb", "Mar"]
        );
        assert_eq!(
            labels("2010-11-05T00:00", "2026-03-05T00:00", "UTC", 4),
            ["2015", "2020", "2025"]
        );
    }

    #[test]
    fn labels_stay_round_when_clocks_are_changed() {
        // Put forward at 10:00 UTC, from 02:00 to 03:00.
        assert_eq!(
            labels("2026-03-08T08:00", "2026-03-08T19:00", "US/Pacific", 6),
            ["Mar 8", "04:00", "06:00", "08:00", "10:00", "12:00"],
            "02:00 did not happen"
        );
        // Put back at 09:00 UTC, from 02:00 to 01:00.
        assert_eq!(
            labels("2026-11-01T07:00", "2026-11-01T11:00", "US/Pacific", 7),
            ["Nov 1", "01:00", "01:00", "02:00", "03:00"],
            "01:00 happened twice"
        );
        assert_eq!(
            labels("2026-03-06T08:00", "2026-03-11T08:00", "US/Pacific", 6),
            ["Mar 6", "Mar 7", "Mar 8", "Mar 9", "Mar 10", "Mar 11"]
        );
    }

    #[test]
    fn changes_of_clocks_are_found() {
        let zone = TimeZone::parse("US/Pacific").expect("a zone");
        let changes = clock_changes(utc("2026-01-01T00:00"), utc("2026-12-31T00:00"), &zone);
        assert_eq!(
            changes,
            [
                Change {
                    time: utc("2026-03-08T10:00"),
                    seconds: 3600
                },
                Change {
                    time: utc("2026-11-01T09:00"),
                    seconds: -3600
                }
            ]
        );
        assert_eq!(
            clock_changes(
                utc("2026-01-01T00:00"),
                utc("2026-12-31T00:00"),
                &TimeZone::UTC
            ),
            []
        );
    }

    proptest! {
        #[test]
        fn ticks_grow_within_the_range_and_are_few(
            start in -2_000_000_000_000i64..4_000_000_000_000,
            span in prop_oneof![1i64..100_000, 1i64..100_000_000, 1i64..100_000_000_000, 1i64..4_000_000_000_000],
            n in 0usize..40,
            zone in prop_oneof![Just("UTC"), Just("US/Pacific"), Just("Asia/Kathmandu"), Just("Australia/Lord_Howe"), Just("-03:30")],
        ) {
            let zone = TimeZone::parse(zone).expect("a zone");
            let ticks = time_ticks(Timestamp(start), Timestamp(start + span), &zone, n);
            prop_assert!(ticks.is_sorted_by(|a, b| a.time < b.time));
            prop_assert!(ticks.iter().all(|t| (start..=start + span).contains(&t.time.millis())));
            let majors = ticks.iter().filter(|t| t.is_major).count();
            prop_assert!(majors <= n + 4, "{majors} of {n}");
            prop_assert!(ticks.len() <= 8 * (n + 4), "{} of {n}", ticks.len());
            prop_assert!(ticks.iter().all(|t| !t.label.is_empty()));
        }
    }
}
