//! Points in time: `2026-01-05T02:00`, `1767578400`, `e-3h`, `now`.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::TimeZone;
use crate::error::StackError;
use crate::span::Span;

/// Seconds since 1970 are below this; above it a number counts milliseconds.
const MAX_SECONDS: i64 = i32::MAX as i64;
/// The year 2400 in milliseconds; above it a number counts microseconds.
const MAX_MILLIS: i64 = 13_569_465_600_000;
/// The year 2400 in microseconds; above it a number counts nanoseconds.
const MAX_MICROS: i64 = MAX_MILLIS * 1000;

const NANOS_PER_MILLI: i128 = 1_000_000;
const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// A time in nanoseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub(super) i128);

impl Instant {
    /// A time in milliseconds since 1970 UTC.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis as i128 * NANOS_PER_MILLI)
    }

    /// Milliseconds since 1970 UTC, rounded down.
    ///
    /// # Errors
    /// When they do not fit 64 bits.
    pub fn millis(self) -> Result<i64, StackError> {
        i64::try_from(self.0.div_euclid(NANOS_PER_MILLI))
            .map_err(|_| StackError::Arithmetic("long overflow".to_owned()))
    }
}

/// What the names in a time stand for.
#[derive(Clone, Copy, Debug)]
pub struct TimeReferences<'a> {
    /// The current time. Every name that is none of the others means it.
    pub now: Instant,
    /// The zone of times that do not name one.
    pub zone: TimeZone,
    /// Other names, such as `s` and `e` for the bounds of a range.
    pub named: &'a [(&'a str, Instant)],
}

impl TimeReferences<'_> {
    fn resolve(&self, name: &str) -> Instant {
        let named = self.named.iter().find(|(other, _)| *other == name);
        match (named, name) {
            (Some((_, instant)), _) => *instant,
            (None, "epoch") => Instant(0),
            (None, _) => self.now,
        }
    }
}

/// The parts of a relative time: `e`, `-`, `3h`.
pub(super) fn relative_parts(text: &str) -> Option<(&str, char, &str)> {
    let at = text.find(['-', '+'])?;
    let (base, rest) = text.split_at(at);
    let period = &rest[1..];
    let valid = !base.is_empty()
        && base.bytes().all(|b| b.is_ascii_lowercase())
        && !period.is_empty()
        && !period.contains(['-', '+']);
    valid.then(|| (base, if rest.starts_with('-') { '-' } else { '+' }, period))
}

/// The name that a time is, or is relative to.
pub(crate) fn reference_of(text: &str) -> Option<&str> {
    let is_name = !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase());
    match relative_parts(text) {
        Some((base, ..)) => Some(base),
        None => is_name.then_some(text),
    }
}

/// Reads a point in time.
///
/// # Errors
/// When the text is none.
pub fn parse_time(text: &str, references: &TimeReferences<'_>) -> Result<Instant, StackError> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((base, sign, period)) = relative_parts(text) {
        return offset_by(references.resolve(base), sign, period);
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase()) {
        return Ok(references.resolve(text));
    }
    if digits(text) {
        return since_epoch(text);
    }
    if let Some(at) = text.find(['-', '+'])
        && digits(&text[..at])
        && !text[at + 1..].is_empty()
        && !text[at + 1..].contains(['-', '+'])
    {
        let sign = if text[at..].starts_with('-') {
            '-'
        } else {
            '+'
        };
        return offset_by(since_epoch(&text[..at])?, sign, &text[at + 1..]);
    }
    parse_iso(text, &references.zone)
        .ok_or_else(|| StackError::IllegalArgument(format!("invalid date {text}")))
}

fn offset_by(base: Instant, sign: char, period: &str) -> Result<Instant, StackError> {
    let nanos = Span::parse(period)?.nanos();
    Ok(Instant(match sign {
        '-' => base.0 - nanos,
        _ => base.0 + nanos,
    }))
}

fn since_epoch(text: &str) -> Result<Instant, StackError> {
    let number: i64 = text.parse().map_err(|_| StackError::not_a_number(text))?;
    let unit = match number {
        n if n <= MAX_SECONDS => NANOS_PER_SECOND,
        n if n <= MAX_MILLIS => NANOS_PER_MILLI,
        n if n <= MAX_MICROS => 1_000,
        _ => 1,
    };
    Ok(Instant(i128::from(number) * unit))
}

/// `yyyy-MM-dd[THH:mm[:ss[.fraction]]]` with an optional distance from UTC behind it: `Z`, `±HH`, `±HH:mm`, `±HHmm`, `±HHmmss`.
fn parse_iso(text: &str, zone: &TimeZone) -> Option<Instant> {
    let date = NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok()?;
    // The reader of numbers is lenient; the digits are not.
    let shape: String = text[..10]
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    if shape != "0000-00-00" {
        return None;
    }
    let rest = &text[10..];
    let (time, rest) = match rest.strip_prefix('T') {
        None => (NaiveTime::MIN, rest),
        Some(rest) => {
            let end = rest
                .find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'))
                .unwrap_or(rest.len());
            (parse_clock(&rest[..end])?, &rest[end..])
        }
    };
    let local = NaiveDateTime::new(date, time);
    let offset = match rest {
        "" => zone.offset_of_local(&local),
        "Z" => chrono::FixedOffset::east_opt(0)?,
        distance => match TimeZone::parse(distance) {
            Ok(TimeZone::Fixed(offset)) if distance.len() > 2 => offset,
            _ => return None,
        },
    };
    let nanos = i128::from(local.and_utc().timestamp()) * NANOS_PER_SECOND
        + i128::from(local.and_utc().timestamp_subsec_nanos());
    Some(Instant(
        nanos - i128::from(offset.local_minus_utc()) * NANOS_PER_SECOND,
    ))
}

/// `HH:mm`, `HH:mm:ss` or `HH:mm:ss.fraction`.
fn parse_clock(text: &str) -> Option<NaiveTime> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts: Vec<&str> = clock.split(':').collect();
    let two_digits = |p: &&str| p.len() == 2 && p.bytes().all(|b| b.is_ascii_digit());
    let fraction_fits = fraction.len() <= 9 && fraction.bytes().all(|b| b.is_ascii_digit());
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(two_digits) || !fraction_fits {
        return None;
    }
    if text.contains('.') && parts.len() < 3 {
        return None;
    }
    let number = |i: usize| parts.get(i).map_or(Some(0), |p| p.parse::<u32>().ok());
    let nanos: u32 = format!("{fraction:0<9}").parse().ok()?;
    NaiveTime::from_hms_nano_opt(number(0)?, number(1)?, number(2)?, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_767_600_000_000;

    fn parse_in(text: &str, zone: &str) -> Result<i64, StackError> {
        let references = TimeReferences {
            now: Instant::from_millis(NOW),
            zone: TimeZone::parse(zone)?,
            named: &[("e", Instant::from_millis(1_767_578_700_000))],
        };
        parse_time(text, &references)?.millis()
    }

    fn millis(text: &str) -> i64 {
        parse_in(text, "UTC").expect("a time")
    }

    #[test]
    fn names_and_what_is_relative_to_them() {
        assert_eq!(millis("now"), NOW);
        assert_eq!(millis("bogus"), NOW);
        assert_eq!(millis("epoch+1m"), 60_000);
        assert_eq!(millis("e-PT5M"), 1_767_578_400_000);
        assert_eq!(millis("1767578400+5m"), 1_767_578_700_000);
    }

    #[test]
    fn numbers_count_by_their_size() {
        assert_eq!(millis("1767578400"), 1_767_578_400_000);
        assert_eq!(millis("1767578400123"), 1_767_578_400_123);
        assert_eq!(millis("1767578400123456"), 1_767_578_400_123);
        assert_eq!(millis("1767578400123456789"), 1_767_578_400_123);
    }

    #[test]
    fn dates_may_leave_out_what_is_small() {
        let two = 1_767_578_400_000;
        for text in [
            "2026-01-05T02:00",
            "2026-01-05T02:00:00",
            "2026-01-05T02:00:00.000Z",
            "2026-01-05T04:00+02",
            "2026-01-05T03:30+0130",
            "2026-01-05T01:00:00-010000",
        ] {
            assert_eq!(millis(text), two, "{text}");
        }
        assert_eq!(millis("2026-01-05"), two - 7_200_000);
        assert_eq!(millis("2026-01-05+02:00"), two - 14_400_000);
        assert_eq!(
            parse_in("2026-01-05T02:00", "US/Pacific"),
            Ok(two + 28_800_000)
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "-5",
            "1767578400.5",
            "2026-01-05T0200",
            "20260105T0200",
            "2026-02-30",
            "2026-1-05",
            "+026-01-05",
            "2026-01-05T02:00X",
            "2026-01-05T24:00",
            "Now",
        ] {
            let e = parse_in(text, "UTC").expect_err("no time");
            assert_eq!(
                e.to_string(),
                format!("IllegalArgumentException: invalid date {text}")
            );
        }
        assert_eq!(
            parse_in("e-5", "UTC").expect_err("no duration").message(),
            "invalid period 5"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+0-9TZ:.a-eé]{0,24}") {
            let _ = parse_in(&text, "UTC");
        }
    }
}
