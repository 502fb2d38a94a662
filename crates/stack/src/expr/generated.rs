//! Lines that are made from the time alone: noise, clocks, spans of time.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Datelike, Timelike, Utc};
use hesper_model::Timestamp;

use crate::error::StackError;
use crate::eval::EvalContext;
use crate::time::{Instant, TimeReferences, TimeZone, parse_time, reference_of};

/// A line whose values depend on nothing but the time.
#[derive(Clone, Debug, PartialEq)]
pub enum Generated {
    /// Noise: a number from 0 to 1 in thousandths, from a hash of the time.
    Random,
    /// Other noise for each seed.
    SeededRandom(i32),
    /// What a clock in UTC shows.
    Time(ClockReading),
    /// 1 within a span of time, 0 outside.
    TimeSpan(TimeSpan),
}

impl Generated {
    /// What it is called, both as its label and as its name.
    pub fn label(&self) -> String {
        match self {
            Self::Random => "random".to_owned(),
            Self::SeededRandom(seed) => format!("seeded-random({seed})"),
            Self::Time(reading) => reading.mode.to_string(),
            Self::TimeSpan(span) => format!("{} to {}", span.start, span.end),
        }
    }

    /// A value for each cell. `range` is the whole range that the cells are of.
    ///
    /// # Errors
    /// When a clock cannot show what it is asked for, or the span is none.
    pub fn values(&self, ctx: &EvalContext, range: &EvalContext) -> Result<Vec<f64>, StackError> {
        let times = ctx.times();
        Ok(match self {
            Self::Random => times.map(|t| noise(t.millis())).collect(),
            Self::SeededRandom(seed) => {
                let seed = i64::from(*seed);
                times.map(|t| noise(t.millis() ^ seed)).collect()
            }
            Self::Time(reading) => times.map(|t| reading.at(t)).collect::<Result<_, _>>()?,
            Self::TimeSpan(span) => {
                let (start, end) = span.bounds(range)?;
                let within = |t: Timestamp| start <= t.millis() && t.millis() <= end;
                times.map(|t| f64::from(u8::from(within(t)))).collect()
            }
        })
    }

    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Random => "Random$",
            Self::SeededRandom(_) => "SeededRandom",
            Self::Time(_) => "Time",
            Self::TimeSpan(_) => "TimeSpan",
        }
    }
}

/// A number from 0 to 1 that looks random but is the same for the same time. (Hash: `lowbias32` of <https://nullprogram.com/blog/2018/07/31/>,
/// of both halves of the time.)
fn noise(millis: i64) -> f64 {
    let hash = |half: u32| {
        let half = (half ^ half >> 16).wrapping_mul(0x7FEB_352D);
        let half = (half ^ half >> 15).wrapping_mul(0x846C_A68B);
        half ^ half >> 16
    };
    let hash = (hash((millis >> 32) as u32) ^ hash(millis as u32)) as i32;
    f64::from(hash.wrapping_abs() % 1000) / 1000.0
}

/// What a clock is to show.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockReading {
    mode: Arc<str>,
    scale: Scale,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    /// The time since 1970 in units of so many milliseconds.
    Epoch(i64),
    /// A field of the calendar or the clock.
    Field(&'static ClockField),
}

/// A field of the calendar or the clock, as Java's `ChronoField` has them. Equal when the name is.
struct ClockField {
    name: &'static str,
    /// How a message calls it.
    shown: &'static str,
    /// Its value; `None` when it would not fit 32 bits, where Java refuses.
    value: Option<fn(&DateTime<Utc>) -> i64>,
}

impl PartialEq for ClockField {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for ClockField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! field {
    ($name:literal, $shown:literal, $value:expr) => {
        ClockField {
            name: $name,
            shown: $shown,
            value: Some($value),
        }
    };
    ($name:literal, $shown:literal) => {
        ClockField {
            name: $name,
            shown: $shown,
            value: None,
        }
    };
}

static FIELDS: [ClockField; 29] = [
    field!("NANO_OF_SECOND", "NanoOfSecond", |t| t.nanosecond().into()),
    field!("NANO_OF_DAY", "NanoOfDay"),
    field!("MICRO_OF_SECOND", "MicroOfSecond", |t| {
        t.timestamp_subsec_micros().into()
    }),
    field!("MICRO_OF_DAY", "MicroOfDay"),
    field!("MILLI_OF_SECOND", "MilliOfSecond", |t| {
        t.timestamp_subsec_millis().into()
    }),
    field!("MILLI_OF_DAY", "MilliOfDay", |t| {
        i64::from(t.num_seconds_from_midnight()) * 1000 + i64::from(t.timestamp_subsec_millis())
    }),
    field!("SECOND_OF_MINUTE", "SecondOfMinute", |t| t.second().into()),
    field!("SECOND_OF_DAY", "SecondOfDay", |t| {
        t.num_seconds_from_midnight().into()
    }),
    field!("MINUTE_OF_HOUR", "MinuteOfHour", |t| t.minute().into()),
    field!("MINUTE_OF_DAY", "MinuteOfDay", |t| {
        (t.num_seconds_from_midnight() / 60).into()
    }),
    field!("HOUR_OF_AMPM", "HourOfAmPm", |t| (t.hour() % 12).into()),
    field!("CLOCK_HOUR_OF_AMPM", "ClockHourOfAmPm", |t| {
        t.hour12().1.into()
    }),
    field!("HOUR_OF_DAY", "HourOfDay", |t| t.hour().into()),
    field!("CLOCK_HOUR_OF_DAY", "ClockHourOfDay", |t| {
        match t.hour() {
            0 => 24,
            hour => hour.into(),
        }
    }),
    field!("AMPM_OF_DAY", "AmPmOfDay", |t| (t.hour() / 12).into()),
    field!("DAY_OF_WEEK", "DayOfWeek", |t| {
        t.weekday().number_from_monday().into()
    }),
    field!(
        "ALIGNED_DAY_OF_WEEK_IN_MONTH",
        "AlignedDayOfWeekInMonth",
        |t| (t.day0() % 7 + 1).into()
    ),
    field!(
        "ALIGNED_DAY_OF_WEEK_IN_YEAR",
        "AlignedDayOfWeekInYear",
        |t| (t.ordinal0() % 7 + 1).into()
    ),
    field!("DAY_OF_MONTH", "DayOfMonth", |t| t.day().into()),
    field!("DAY_OF_YEAR", "DayOfYear", |t| t.ordinal().into()),
    field!("EPOCH_DAY", "EpochDay"),
    field!("ALIGNED_WEEK_OF_MONTH", "AlignedWeekOfMonth", |t| {
        (t.day0() / 7 + 1).into()
    }),
    field!("ALIGNED_WEEK_OF_YEAR", "AlignedWeekOfYear", |t| {
        (t.ordinal0() / 7 + 1).into()
    }),
    field!("MONTH_OF_YEAR", "MonthOfYear", |t| t.month().into()),
    field!("PROLEPTIC_MONTH", "ProlepticMonth"),
    field!("YEAR_OF_ERA", "YearOfEra", |t| t.year_ce().1.into()),
    field!("YEAR", "Year", |t| t.year().into()),
    field!("ERA", "Era", |t| t.year_ce().0.into()),
    field!("OFFSET_SECONDS", "OffsetSeconds", |_| 0),
];

impl ClockReading {
    /// Reads the mode of a clock: the name of a field, of a unit in which the time since 1970 is counted, or of a constant of Java's
    /// `ChronoField`.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn parse(mode: Arc<str>) -> Result<Self, StackError> {
        let scale = match &*mode {
            "seconds" => Scale::Epoch(1000),
            "minutes" => Scale::Epoch(60_000),
            "hours" => Scale::Epoch(3_600_000),
            "days" => Scale::Epoch(86_400_000),
            "weeks" => Scale::Epoch(604_800_000),
            // Java has the seconds since 1970 as a field as well, which Atlas fails on.
            "INSTANT_SECONDS" => {
                return Err(StackError::Match(format!(
                    "{mode} (of class java.lang.String)"
                )));
            }
            mode => {
                let name = match mode {
                    "secondOfMinute" => "SECOND_OF_MINUTE",
                    "secondOfDay" => "SECOND_OF_DAY",
                    "minuteOfHour" => "MINUTE_OF_HOUR",
                    "minuteOfDay" => "MINUTE_OF_DAY",
                    "hourOfDay" => "HOUR_OF_DAY",
                    "dayOfWeek" => "DAY_OF_WEEK",
                    "dayOfMonth" => "DAY_OF_MONTH",
                    "dayOfYear" => "DAY_OF_YEAR",
                    "monthOfYear" => "MONTH_OF_YEAR",
                    // As in Atlas, the whole year.
                    "yearOfCentury" => "YEAR",
                    "yearOfEra" => "YEAR_OF_ERA",
                    name => name,
                };
                let field = FIELDS.iter().find(|field| field.name == name);
                Scale::Field(field.ok_or_else(|| {
                    StackError::IllegalArgument(format!(
                        "No enum constant java.time.temporal.ChronoField.{mode}"
                    ))
                })?)
            }
        };
        Ok(Self { mode, scale })
    }

    /// The mode, as it was written.
    pub fn mode(&self) -> &str {
        &self.mode
    }

    fn at(&self, time: Timestamp) -> Result<f64, StackError> {
        let field = match self.scale {
            Scale::Epoch(unit_millis) => return Ok(time.millis() as f64 / unit_millis as f64),
            Scale::Field(field) => field,
        };
        let Some(value) = field.value else {
            return Err(StackError::UnsupportedTemporalType(format!(
                "Invalid field '{}' for get() method, use getLong() instead",
                field.shown
            )));
        };
        // Beyond the years that the calendar knows there is no value.
        let time = DateTime::from_timestamp_millis(time.millis());
        Ok(time.map_or(f64::NAN, |t| value(&t) as f64))
    }
}

/// A span of time, by its bounds as they were written.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeSpan {
    /// The start, which may be relative to the end, `e`, and to the bounds of the graph, `gs` and `ge`.
    pub start: Arc<str>,
    /// The end, which may be relative to the start, `s`, and to the bounds of the graph, `gs` and `ge`.
    pub end: Arc<str>,
    /// The zone of times that do not name one.
    pub zone: TimeZone,
}

impl TimeSpan {
    /// Start and end in milliseconds since 1970 UTC, both within the span.
    fn bounds(&self, range: &EvalContext) -> Result<(i64, i64), StackError> {
        let (start_of, end_of) = (reference_of(&self.start), reference_of(&self.end));
        let refused = |text: &str| Err(StackError::IllegalArgument(text.to_owned()));
        if start_of == Some("e") && end_of == Some("s") {
            return refused("start and end time are relative to each other");
        }
        if start_of == Some("s") {
            return refused("start time is relative to itself");
        }
        if end_of == Some("e") {
            return refused("end time is relative to itself");
        }
        let graph = [
            ("gs", Instant::from_millis(range.start.millis())),
            ("ge", Instant::from_millis(range.end.millis())),
        ];
        let parse = |text: &str, named: &[(&str, Instant)]| {
            let references = TimeReferences {
                now: Instant::from_millis(Utc::now().timestamp_millis()),
                zone: self.zone,
                named,
            };
            parse_time(text, &references)
        };
        let (start, end) = if start_of == Some("e") {
            let end = parse(&self.end, &graph)?;
            (parse(&self.start, &[graph[0], graph[1], ("e", end)])?, end)
        } else {
            let start = parse(&self.start, &graph)?;
            (
                start,
                parse(&self.end, &[graph[0], graph[1], ("s", start)])?,
            )
        };
        let (start, end) = (start.millis()?, end.millis()?);
        if start > end {
            return Err(StackError::requirement("start must be <= end"));
        }
        Ok((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hesper_model::Step;

    /// Ten minutes on 5 January 2026, from 02:00 UTC.
    const CTX: EvalContext = EvalContext {
        start: Timestamp(1_767_578_400_000),
        end: Timestamp(1_767_579_000_000),
        step: Step::from_secs(60),
    };

    fn time(mode: &str, millis: i64) -> Result<f64, StackError> {
        ClockReading::parse(mode.into())?.at(Timestamp(millis))
    }

    fn span(start: &str, end: &str) -> Result<Vec<f64>, StackError> {
        Generated::TimeSpan(TimeSpan {
            start: start.into(),
            end: end.into(),
            zone: TimeZone::UTC,
        })
        .values(&CTX, &CTX)
    }

    #[test]
    fn noise_is_the_same_for_the_same_time() {
        let at = |seed: i64| noise(1_767_578_460_000 ^ seed);
        assert_eq!((at(0), at(42)), (0.334, 0.045));
    }

    #[test]
    fn clocks_show_fields_and_units() {
        // Sunday, 31 December 2023, 23:59:58.765 UTC.
        let millis = 1_704_067_198_765;
        for (mode, value) in [
            ("secondOfMinute", 58.0),
            ("MINUTE_OF_DAY", 1439.0),
            ("MILLI_OF_DAY", 86_398_765.0),
            ("NANO_OF_SECOND", 765e6),
            ("MICRO_OF_SECOND", 765e3),
            ("HOUR_OF_AMPM", 11.0),
            ("CLOCK_HOUR_OF_AMPM", 11.0),
            ("AMPM_OF_DAY", 1.0),
            ("dayOfWeek", 7.0),
            ("ALIGNED_DAY_OF_WEEK_IN_MONTH", 3.0),
            ("ALIGNED_DAY_OF_WEEK_IN_YEAR", 1.0),
            ("ALIGNED_WEEK_OF_MONTH", 5.0),
            ("ALIGNED_WEEK_OF_YEAR", 53.0),
            ("dayOfYear", 365.0),
            ("yearOfCentury", 2023.0),
            ("YEAR_OF_ERA", 2023.0),
            ("ERA", 1.0),
            ("OFFSET_SECONDS", 0.0),
            ("seconds", 1_704_067_198.765),
        ] {
            assert_eq!(time(mode, millis), Ok(value), "{mode}");
        }
        assert_eq!(time("CLOCK_HOUR_OF_DAY", 0), Ok(24.0));
        assert_eq!(time("CLOCK_HOUR_OF_AMPM", 0), Ok(12.0));
        assert_eq!(time("weeks", -604_800_000), Ok(-1.0));
        assert!(time("YEAR", i64::MAX).expect("no value").is_nan());
    }

    #[test]
    fn clocks_refuse_as_those_of_java_do() {
        let error = |mode| time(mode, 0).expect_err("refused").to_string();
        assert_eq!(
            error("hour_of_day"),
            "IllegalArgumentException: No enum constant java.time.temporal.ChronoField.hour_of_day"
        );
        assert_eq!(
            error("EPOCH_DAY"),
            "UnsupportedTemporalTypeException: Invalid field 'EpochDay' for get() method, use getLong() instead"
        );
        assert_eq!(
            error("INSTANT_SECONDS"),
            "MatchError: INSTANT_SECONDS (of class java.lang.String)"
        );
    }

    #[test]
    fn spans_hold_their_bounds() {
        let shown = |start, end| -> String {
            let values = span(start, end).expect("a span");
            values.iter().map(|v| v.to_string()).collect()
        };
        assert_eq!(shown("2026-01-05T02:03", "s+2m"), "0001110000");
        assert_eq!(shown("e-2m", "gs+2m"), "1110000000");
        assert_eq!(shown("ge-1m", "ge"), "0000000001");
        assert_eq!(shown("e", "1767578460"), "0100000000");
        assert!(span("now", "now+1m").is_ok());
        let error = |start, end| span(start, end).expect_err("no span").to_string();
        assert_eq!(
            error("e-1m", "s+1m"),
            "IllegalArgumentException: start and end time are relative to each other"
        );
        assert_eq!(
            error("s", "ge"),
            "IllegalArgumentException: start time is relative to itself"
        );
        assert_eq!(
            error("gs", "e+5m"),
            "IllegalArgumentException: end time is relative to itself"
        );
        assert_eq!(
            error("ge", "gs"),
            "IllegalArgumentException: requirement failed: start must be <= end"
        );
        assert_eq!(
            error("2026-13-05", "ge"),
            "IllegalArgumentException: invalid date 2026-13-05"
        );
    }
}
