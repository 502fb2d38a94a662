//! Lines that need no data: constants, noise, clocks and spans of time.

use crate::expr::{ClockReading, Generated, TimeSeriesExpr, TimeSpan};
use crate::kind::Kind;
use crate::time::TimeZone;
use crate::value::Value;
use crate::word::{Word, named};

pub(super) fn constant() -> Word {
    Word::typed("const", &[named("v", Kind::Double)], &[Kind::Series], |m| {
        let v = m.pop_double()?;
        m.push_expr(TimeSeriesExpr::Constant(v))
    })
    .summary("A line that always has this value. A number by itself means the same.")
    .examples(&["42"])
}

pub(super) fn pi() -> Word {
    Word::typed("pi", &[], &[Kind::Series], |m| {
        m.push_expr(TimeSeriesExpr::Constant(std::f64::consts::PI))
    })
    .summary("A line that always has the value π.")
}

pub(super) fn random() -> Word {
    Word::typed("random", &[], &[Kind::Series], |m| {
        m.push_expr(TimeSeriesExpr::Generated(Generated::Random))
    })
    .summary(
        "A line that looks like noise from 0 to 1, to try things out. It is made from a hash of the time, and so is the same for the \
         same time.",
    )
    .examples(&[""])
    .not_suggested()
}

pub(super) fn seeded_random() -> Word {
    Word::typed(
        "srandom",
        &[named("seed", Kind::Int)],
        &[Kind::Series],
        |m| {
            let seed = m.pop_int()?;
            m.push_expr(TimeSeriesExpr::Generated(Generated::SeededRandom(seed)))
        },
    )
    .summary("A line that looks like noise from 0 to 1, another one for each seed.")
    .examples(&["42"])
}

pub(super) fn time() -> Word {
    Word::typed("time", &[named("mode", Kind::Text)], &[Kind::Series], |m| {
        let reading = ClockReading::parse(m.pop_text()?)?;
        m.push_expr(TimeSeriesExpr::Generated(Generated::Time(reading)))
    })
    .summary(
        "What a clock in UTC shows: secondOfMinute, secondOfDay, minuteOfHour, minuteOfDay, hourOfDay, dayOfWeek (Monday is 1), \
         dayOfMonth, dayOfYear, monthOfYear, yearOfCentury (the whole year), yearOfEra, or a constant of Java's ChronoField; or the \
         time since 1970 in seconds, minutes, hours, days or weeks.",
    )
    .examples(&["hourOfDay", "HOUR_OF_DAY"])
}

pub(super) fn time_span() -> Word {
    let parameters = [named("s", Kind::Text), named("e", Kind::Text)];
    Word::typed("time-span", &parameters, &[Kind::Series], |m| {
        let end = m.pop_text()?;
        let start = m.pop_text()?;
        let zone = match m.variable("tz") {
            Ok(Value::Zone(name) | Value::Text(name)) => TimeZone::parse(&name)?,
            _ => TimeZone::UTC,
        };
        let span = TimeSpan { start, end, zone };
        m.push_expr(TimeSeriesExpr::Generated(Generated::TimeSpan(span)))
    })
    .summary(
        "1 from the one time to the other, both included, and 0 elsewhere. Times are written as those of a graph, and may be relative \
         to the start and the end of the graph (gs, ge), to each other (s, e), to now and to epoch. Times without a zone are in that \
         of the variable tz, which is the graph's.",
    )
    .examples(&["e-30m,ge", "2014-02-20T13:00,s%2B30m"])
}
