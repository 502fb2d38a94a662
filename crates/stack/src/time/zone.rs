//! Time zones: by name, or by their distance from UTC.

use chrono::{FixedOffset, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

use crate::error::StackError;

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimeZone {
    /// A zone with rules of its own: `Europe/Berlin`.
    Named(Tz),
    /// A fixed distance from UTC: `+02:00`, `GMT+2`.
    Fixed(FixedOffset),
}

impl TimeZone {
    /// Coordinated universal time.
    pub const UTC: Self = Self::Named(Tz::UTC);

    /// Reads the name of a zone, a distance from UTC, or such a distance behind `UTC`, `GMT` or `UT`.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn parse(name: &str) -> Result<Self, StackError> {
        if name == "Z" {
            return Ok(Self::UTC);
        }
        let offset = ["UTC", "GMT", "UT", ""]
            .iter()
            .filter_map(|prefix| name.strip_prefix(prefix))
            .find(|rest| rest.starts_with(['+', '-']));
        if let Some(text) = offset {
            return parse_offset(text).map(Self::Fixed).ok_or_else(|| {
                StackError::DateTime(format!("Invalid ID for offset-based ZoneId: {name}"))
            });
        }
        if name == "UT" {
            return Ok(Self::UTC);
        }
        if name.chars().count() < 2 {
            return Err(StackError::DateTime(format!(
                "Invalid ID for ZoneOffset, invalid format: {name}"
            )));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "~/._+-".contains(c);
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts || !name.chars().all(plain) {
            return Err(StackError::DateTime(format!(
                "Invalid ID for region-based ZoneId, invalid format: {name}"
            )));
        }
        name.parse()
            .map(Self::Named)
            .map_err(|_| StackError::ZoneRules(format!("Unknown time-zone ID: {name}")))
    }

    /// Seconds that clocks in the zone are ahead of UTC at a time given in milliseconds since 1970 UTC.
    pub fn offset_seconds(&self, millis: i64) -> i32 {
        match self {
            Self::Fixed(offset) => offset.local_minus_utc(),
            Self::Named(tz) => chrono::DateTime::from_timestamp_millis(millis).map_or(0, |t| {
                tz.offset_from_utc_datetime(&t.naive_utc())
                    .fix()
                    .local_minus_utc()
            }),
        }
    }

    /// The offset of a time on the clocks of the zone. Of a time that they show twice it is the first; one that they skip counts
    /// from before the gap.
    pub(super) fn offset_of_local(&self, local: &NaiveDateTime) -> FixedOffset {
        let tz = match self {
            Self::Fixed(offset) => return *offset,
            Self::Named(tz) => tz,
        };
        match tz.offset_from_local_datetime(local) {
            LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => offset.fix(),
            LocalResult::None => {
                let before = *local - TimeDelta::hours(3);
                match tz.offset_from_local_datetime(&before) {
                    LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => offset.fix(),
                    LocalResult::None => Tz::UTC.offset_from_utc_datetime(local).fix(),
                }
            }
        }
    }
}

/// `±h`, `±hh`, `±hh:mm`, `±hhmm`, `±hh:mm:ss` or `±hhmmss`.
fn parse_offset(text: &str) -> Option<FixedOffset> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = &text[1..];
    let parts: Vec<&str> = match (digits.contains(':'), digits.len()) {
        (true, _) => digits.split(':').collect(),
        (false, 1 | 2) => vec![digits],
        (false, 4) => vec![digits.get(..2)?, digits.get(2..)?],
        (false, 6) => vec![digits.get(..2)?, digits.get(2..4)?, digits.get(4..)?],
        _ => return None,
    };
    let hours_fit = parts.first().is_some_and(|p| p.len() <= 2);
    let whole = hours_fit && parts.len() <= 3 && parts.iter().skip(1).all(|p| p.len() == 2);
    let plain = parts
        .iter()
        .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    if !whole || !plain {
        return None;
    }
    let number = |i: usize| parts.get(i).map_or(Some(0), |p| p.parse::<i32>().ok());
    let (h, m, s) = (number(0)?, number(1)?, number(2)?);
    let seconds = h * 3600 + m * 60 + s;
    if m > 59 || s > 59 || seconds > 18 * 3600 {
        return None;
    }
    FixedOffset::east_opt(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_names_or_distances() {
        let hours = |name| TimeZone::parse(name).expect("a zone").offset_seconds(0) / 3600;
        assert_eq!(hours("UTC"), 0);
        assert_eq!(hours("Z"), 0);
        assert_eq!(hours("+02:00"), 2);
        assert_eq!(hours("GMT+2"), 2);
        assert_eq!(hours("UTC-0330"), -3);
        assert_eq!(hours("US/Pacific"), -8);
        let error = |name| TimeZone::parse(name).expect_err("no zone").to_string();
        assert_eq!(
            error("PST"),
            "ZoneRulesException: Unknown time-zone ID: PST"
        );
        assert_eq!(
            error("Bogus/Zone"),
            "ZoneRulesException: Unknown time-zone ID: Bogus/Zone"
        );
        for name in ["", "+25", "+999999:10", "+1:2", "+é", "5", "a b"] {
            assert_eq!(
                TimeZone::parse(name).expect_err("no zone").class(),
                "DateTimeException",
                "{name}"
            );
        }
    }

    #[test]
    fn clocks_that_jump_are_read_as_java_does() {
        let berlin = TimeZone::parse("Europe/Berlin").expect("a zone");
        let local =
            |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").expect("a time");
        let hours = |text| berlin.offset_of_local(&local(text)).local_minus_utc() / 3600;
        assert_eq!(hours("2026-01-05T12:00"), 1);
        assert_eq!(hours("2026-03-29T02:30"), 1);
        assert_eq!(hours("2026-10-25T02:30"), 2);
    }
}
