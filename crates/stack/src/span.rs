//! Durations as the language writes them: `5m`, `1w`, `PT5M`.

use std::fmt;

use crate::error::StackError;

const NANOS_PER_MILLI: i128 = 1_000_000;
const NANOS_PER_SECOND: i128 = 1_000_000_000;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A length of time, to the nanosecond; months and years have 30 and 365 days. It prints in ISO form, `PT1H30M`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    nanos: i128,
}

impl Span {
    /// A length in milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self {
            nanos: millis as i128 * NANOS_PER_MILLI,
        }
    }

    /// Reads `<number><unit>` or the ISO form with days as the largest unit.
    ///
    /// # Errors
    /// When the text is neither, the unit is unknown, or the length beyond the range of 64-bit seconds.
    pub fn parse(text: &str) -> Result<Self, StackError> {
        if let Some(at) = text.find(|c: char| !c.is_ascii_digit())
            && at > 0
            && text[at..]
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == 'μ')
        {
            return Self::parse_unit(&text[..at], &text[at..]);
        }
        if text.starts_with('P') {
            return Self::parse_iso(text).ok_or_else(|| {
                StackError::DateTimeParse("Text cannot be parsed to a Duration".to_owned())
            });
        }
        Err(StackError::IllegalArgument(format!(
            "invalid period {text}"
        )))
    }

    fn parse_unit(amount: &str, unit: &str) -> Result<Self, StackError> {
        let amount: i64 = amount
            .parse()
            .map_err(|_| StackError::not_a_number(amount))?;
        let nanos = match unit {
            "ns" => 1,
            "us" | "μs" => 1_000,
            "ms" => NANOS_PER_MILLI,
            "seconds" | "second" | "s" => NANOS_PER_SECOND,
            "minutes" | "minute" | "min" | "m" => i128::from(MINUTE) * NANOS_PER_SECOND,
            "hours" | "hour" | "h" => i128::from(HOUR) * NANOS_PER_SECOND,
            "days" | "day" | "d" => i128::from(DAY) * NANOS_PER_SECOND,
            "weeks" | "week" | "wk" | "w" => i128::from(7 * DAY) * NANOS_PER_SECOND,
            "months" | "month" => i128::from(30 * DAY) * NANOS_PER_SECOND,
            "years" | "year" | "y" => i128::from(365 * DAY) * NANOS_PER_SECOND,
            _ => {
                return Err(StackError::IllegalArgument(format!("unknown unit {unit}")));
            }
        };
        Self::in_range(i128::from(amount) * nanos).ok_or_else(|| {
            StackError::IllegalArgument(format!("duration out of range: {amount}{unit}"))
        })
    }

    fn in_range(nanos: i128) -> Option<Self> {
        i64::try_from(nanos / NANOS_PER_SECOND).ok()?;
        Some(Self { nanos })
    }

    /// `P[nD][T[nH][nM][n[.n]S]]`, every number with a sign if need be, letters in either case.
    fn parse_iso(text: &str) -> Option<Self> {
        let upper = text.to_ascii_uppercase();
        let body = upper.strip_prefix('P')?;
        let (days, time) = match body.split_once('T') {
            Some((days, time)) if !time.is_empty() => (days, time),
            Some(_) => return None,
            None => (body, ""),
        };
        if days.is_empty() && time.is_empty() {
            return None;
        }
        let mut nanos = 0i128;
        if !days.is_empty() {
            let count: i64 = days.strip_suffix('D')?.parse().ok()?;
            nanos += i128::from(count) * i128::from(DAY) * NANOS_PER_SECOND;
        }
        let mut rest = time;
        for (letter, seconds) in [('H', HOUR), ('M', MINUTE), ('S', 1)] {
            let Some((number, after)) = rest.split_once(letter) else {
                continue;
            };
            let (whole, fraction) = match number.split_once(['.', ',']) {
                Some((whole, fraction)) if letter == 'S' => (whole, fraction),
                Some(_) => return None,
                None => (number, ""),
            };
            if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let count: i64 = whole.parse().ok()?;
            nanos += i128::from(count) * i128::from(seconds) * NANOS_PER_SECOND;
            let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
            nanos += if whole.starts_with('-') {
                -fraction
            } else {
                fraction
            };
            rest = after;
        }
        if rest.is_empty() {
            Self::in_range(nanos)
        } else {
            None
        }
    }

    /// The length in whole milliseconds, rounded down.
    ///
    /// # Errors
    /// When it does not fit 64 bits.
    pub fn millis(self) -> Result<i64, StackError> {
        i64::try_from(self.nanos.div_euclid(NANOS_PER_MILLI))
            .map_err(|_| StackError::Arithmetic("long overflow".to_owned()))
    }

    /// The length in nanoseconds.
    pub(crate) const fn nanos(self) -> i128 {
        self.nanos
    }
}

/// Writes a length in the largest unit that makes it a whole number: `1w`, `90s`, `0w`; in ISO form when it is no whole second.
pub struct ShortSpan(pub i64);

impl fmt::Display for ShortSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0;
        for (unit, seconds) in [
            ("w", 7 * DAY),
            ("d", DAY),
            ("h", HOUR),
            ("m", MINUTE),
            ("s", 1),
        ] {
            if millis % (seconds * 1000) == 0 {
                return write!(f, "{}{unit}", millis / (seconds * 1000));
            }
        }
        Span::from_millis(millis).fmt(f)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("PT0S");
        }
        // As Java has it: seconds rounded down and a fraction that is never negative; hours and minutes share the sign.
        let mut seconds = (self.nanos / NANOS_PER_SECOND) as i64;
        let fraction = (self.nanos % NANOS_PER_SECOND) as i64;
        f.write_str("PT")?;
        let hours = seconds / HOUR;
        seconds %= HOUR;
        let minutes = seconds / MINUTE;
        seconds %= MINUTE;
        if hours != 0 {
            write!(f, "{hours}H")?;
        }
        if minutes != 0 {
            write!(f, "{minutes}M")?;
        }
        if seconds != 0 || fraction != 0 {
            let sign = if seconds < 0 || fraction < 0 { "-" } else { "" };
            write!(f, "{sign}{}", seconds.abs())?;
            if fraction != 0 {
                let digits = format!("{:09}", fraction.abs());
                write!(f, ".{}", digits.trim_end_matches('0'))?;
            }
            f.write_str("S")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(text: &str) -> i64 {
        let span = Span::parse(text).expect("a duration");
        span.millis().expect("in range")
    }

    #[test]
    fn both_forms_are_read() {
        assert_eq!(millis("5m"), 300_000);
        assert_eq!(millis("2wk"), 1_209_600_000);
        assert_eq!(millis("1month"), 2_592_000_000);
        assert_eq!(millis("250ms"), 250);
        assert_eq!(millis("1500μs"), 1);
        assert_eq!(millis("PT5M"), 300_000);
        assert_eq!(millis("P1DT1H1.5S"), 90_001_500);
        assert_eq!(millis("pt-5m".to_uppercase().as_str()), -300_000);
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        let message = |text| Span::parse(text).expect_err("no duration").to_string();
        assert_eq!(
            message("120"),
            "IllegalArgumentException: invalid period 120"
        );
        assert_eq!(
            message("-1m"),
            "IllegalArgumentException: invalid period -1m"
        );
        assert_eq!(message("5x"), "IllegalArgumentException: unknown unit x");
        assert_eq!(
            message("9000000000000000000y"),
            "IllegalArgumentException: duration out of range: 9000000000000000000y"
        );
        for text in ["P", "PT", "P1DT", "P1W", "PT1M1H", "P1.5D", "PT.5S", "PX"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
        assert!(
            Span::parse("9000000000000000s")
                .expect("in range")
                .millis()
                .is_ok()
        );
        assert!(
            Span::parse("9000000000000000000s")
                .expect("in range")
                .millis()
                .is_err()
        );
    }

    #[test]
    fn lengths_print_short_or_in_iso_form() {
        let short = |millis| ShortSpan(millis).to_string();
        assert_eq!(short(0), "0w");
        assert_eq!(short(604_800_000), "1w");
        assert_eq!(short(90_000), "90s");
        assert_eq!(short(1_500), "PT1.5S");
        let iso = |millis| Span::from_millis(millis).to_string();
        assert_eq!(iso(300_000), "PT5M");
        assert_eq!(iso(90_061_001), "PT25H1M1.001S");
        assert_eq!(iso(-1_500), "PT-1.5S");
        assert_eq!(iso(0), "PT0S");
    }

    proptest! {
        #[test]
        fn iso_form_reads_back(millis in any::<i64>()) {
            let span = Span::from_millis(millis);
            prop_assert_eq!(Span::parse(&span.to_string()), Ok(span));
        }

        #[test]
        fn no_text_panics(text in "(P|[0-9])[-0-9TDHMS.μnswy]{0,20}") {
            let _ = Span::parse(&text);
        }
    }
}
