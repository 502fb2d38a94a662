//! The range of a request, and what it is evaluated over.

use hesper_model::{Step, Timestamp};

use super::date::{Instant, TimeReferences, parse_time, relative_parts};
use super::step::AllowedSteps;
use super::zone::TimeZone;
use crate::error::StackError;
use crate::eval::EvalContext;
use crate::span::Span;

/// The most datapoints of a line.
const MAX_DATAPOINTS: usize = 1440;

/// The nominal length of a block, which the choice of steps goes by.
const BLOCK_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The start and the end that two texts name; each may be relative to the other, but not both.
///
/// # Errors
/// When one cannot be read, both are relative to the other, or the end is before the start.
pub fn time_range(
    start: &str,
    end: &str,
    now: Timestamp,
    zone: TimeZone,
) -> Result<(Timestamp, Timestamp), StackError> {
    let parse = |text: &str, named: &[(&str, Instant)]| {
        let references = TimeReferences {
            now: Instant::from_millis(now.millis()),
            zone,
            named,
        };
        parse_time(text, &references)
    };
    let is_relative =
        |text| relative_parts(text).is_some_and(|(base, ..)| base != "now" && base != "epoch");
    let (s, e) = if is_relative(start) || start == "e" {
        if is_relative(end) {
            return Err(StackError::requirement("start and end are both relative"));
        }
        let e = parse(end, &[])?;
        (parse(start, &[("e", e)])?, e)
    } else {
        let s = parse(start, &[])?;
        (s, parse(end, &[("s", s)])?)
    };
    if e < s {
        return Err(StackError::requirement("end time is before start time"));
    }
    Ok((Timestamp(s.millis()?), Timestamp(e.millis()?)))
}

/// The times of a graph: on the boundaries of the step that it is shown at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphTime {
    /// The start. The first datapoint shown is one step behind it.
    pub start: Timestamp,
    /// The end: the time of the last datapoint.
    pub end: Timestamp,
    /// The distance between datapoints.
    pub step: Step,
}

impl GraphTime {
    /// Chooses the step and puts the range on its boundaries.
    ///
    /// `base` is the step of the data, `step` what the request asks for at least, `width` the pixels a line may take.
    ///
    /// # Errors
    /// When the step asked for is no duration, or the range reaches beyond the times that can be told.
    pub fn new(
        (start, end): (Timestamp, Timestamp),
        base: Step,
        step: Option<&str>,
        width: usize,
    ) -> Result<Self, StackError> {
        let allowed = AllowedSteps::for_block(BLOCK_MILLIS);
        let least = match step {
            Some(text) => allowed.round(base, Span::parse(text)?.millis()?),
            None => base,
        };
        let span = end.millis().saturating_sub(start.millis());
        let step = allowed.for_width(least, width.min(MAX_DATAPOINTS), span);
        let (start, end) = on_boundaries((start, end), step)?;
        Ok(Self { start, end, step })
    }

    /// What is evaluated: the datapoints shown, and the one before, which operators with a memory are fed first.
    pub fn context(&self) -> EvalContext {
        EvalContext {
            start: self.start,
            end: self.end.plus_millis(self.step.millis()),
            step: self.step,
        }
    }

    /// The time of the first datapoint shown.
    pub fn first_shown(&self) -> Timestamp {
        self.start.plus_millis(self.step.millis())
    }
}

/// The times of a stream of chunks: steps of at least what the request asks for, from the start up to, but without, the end. The width
/// of a picture plays no part.
///
/// # Errors
/// When the step asked for is no duration, or the range reaches beyond the times that can be told.
pub fn fetch_range(
    (start, end): (Timestamp, Timestamp),
    base: Step,
    step: Option<&str>,
) -> Result<EvalContext, StackError> {
    let wanted = step.map_or(Ok(0), |text| Span::parse(text)?.millis())?;
    let step = AllowedSteps::for_block(BLOCK_MILLIS).round(base, wanted);
    let (start, end) = on_boundaries((start, end), step)?;
    Ok(EvalContext { start, end, step })
}

/// A range with its bounds moved back to boundaries of a step; one that would be empty starts a step earlier.
///
/// # Errors
/// When a time of it, the one behind its end, or its length cannot be told in milliseconds.
fn on_boundaries(
    (start, end): (Timestamp, Timestamp),
    step: Step,
) -> Result<(Timestamp, Timestamp), StackError> {
    let floor = |time: Timestamp| {
        let floor = time.floor(step);
        (floor <= time).then_some(floor)
    };
    let bounds = || {
        let (mut start, end) = (floor(start)?, floor(end)?);
        if start == end {
            start = Timestamp(start.millis().checked_sub(step.millis())?);
        }
        let behind = end.millis().checked_add(step.millis())?;
        behind.checked_sub(start.millis())?;
        Some((start, end))
    };
    bounds().ok_or_else(|| StackError::Arithmetic("long overflow".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_767_600_000_000);
    const MINUTE: Step = Step::from_secs(60);

    fn range(start: &str, end: &str) -> Result<(i64, i64), StackError> {
        let (s, e) = time_range(start, end, NOW, TimeZone::UTC)?;
        Ok((s.millis(), e.millis()))
    }

    #[test]
    fn either_bound_may_be_relative_to_the_other() {
        let two = 1_767_578_400_000;
        let five_past = two + 300_000;
        assert_eq!(range("e-5m", "2026-01-05T02:05"), Ok((two, five_past)));
        assert_eq!(range("2026-01-05T02:00", "s+5m"), Ok((two, five_past)));
        assert_eq!(
            range("now-1h", "now"),
            Ok((NOW.millis() - 3_600_000, NOW.millis()))
        );
        assert_eq!(range("e", "2026-01-05T02:00"), Ok((two, two)));
        let message = |s, e| range(s, e).expect_err("no range").to_string();
        assert_eq!(
            message("e-5m", "s+5m"),
            "IllegalArgumentException: requirement failed: start and end are both relative"
        );
        assert_eq!(
            message("300", "0"),
            "IllegalArgumentException: requirement failed: end time is before start time"
        );
    }

    #[test]
    fn graphs_lie_on_boundaries_and_are_never_empty() {
        let bounds = (Timestamp(90_000), Timestamp(310_000));
        let time = GraphTime::new(bounds, MINUTE, None, 700).expect("plain");
        assert_eq!(
            (time.start, time.end),
            (Timestamp(60_000), Timestamp(300_000))
        );
        assert_eq!(time.context().cells(), 5);
        let time =
            GraphTime::new((Timestamp(1), Timestamp(2)), MINUTE, Some("7m"), 700).expect("plain");
        assert_eq!((time.start, time.end), (Timestamp(-600_000), Timestamp(0)));
        assert!(GraphTime::new(bounds, MINUTE, Some("7"), 700).is_err());
    }

    #[test]
    fn what_lies_beyond_all_times_is_refused() {
        let overflow = Err(StackError::Arithmetic("long overflow".to_owned()));
        let (first, last) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
        let long = (Timestamp(-i64::MAX / 2), Timestamp(i64::MAX / 2 + 60_000));
        for bounds in [(first, first), (first, last), (last, last), long] {
            assert_eq!(GraphTime::new(bounds, MINUTE, None, 700), overflow);
            let fetched = fetch_range(bounds, MINUTE, None);
            assert_eq!(
                fetched,
                Err(StackError::Arithmetic("long overflow".to_owned()))
            );
        }
        let age = i64::MAX.to_string();
        let step = format!("{age}ms");
        let zero = (Timestamp(0), Timestamp(0));
        assert_eq!(GraphTime::new(zero, MINUTE, Some(&step), 700), overflow);
        let bounds = range(&format!("epoch-{age}ms"), "now").expect("just so");
        let bounds = (Timestamp(bounds.0), Timestamp(bounds.1));
        assert_eq!(GraphTime::new(bounds, MINUTE, None, 700), overflow);
    }
}
