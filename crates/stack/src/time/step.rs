//! The steps a request may be answered at.

use hesper_model::Step;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The steps that data in blocks of a certain length can be shown at, and whole days.
#[derive(Clone, Debug)]
pub struct AllowedSteps {
    millis: Vec<i64>,
}

impl AllowedSteps {
    /// The steps for blocks of this length: those that divide it, or are multiples of it.
    pub fn for_block(block_millis: i64) -> Self {
        let sixtieths = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30];
        let below_second = [1, 5, 10, 50, 100, 500];
        let hours = [1, 2, 3, 4, 6, 8, 12];
        let all = below_second
            .into_iter()
            .chain(sixtieths.map(|n| n * SECOND))
            .chain(sixtieths.map(|n| n * MINUTE))
            .chain(hours.map(|n| n * HOUR));
        let fits = |step: &i64| match *step {
            step if step <= block_millis => block_millis % step == 0,
            step => step % block_millis == 0,
        };
        Self {
            millis: all.filter(fits).collect(),
        }
    }

    /// The smallest step that is neither below `base` nor below `wanted_millis`.
    pub fn round(&self, base: Step, wanted_millis: i64) -> Step {
        let least = wanted_millis.max(base.millis());
        let allowed = self.millis.iter().copied().find(|step| *step >= least);
        let whole_days = || rounded_up(wanted_millis.clamp(1, i64::MAX - DAY), DAY) * DAY;
        Step::from_millis(allowed.unwrap_or_else(whole_days)).unwrap_or(base)
    }

    /// The smallest step at which a span of time takes no more than `width` datapoints; not below `base`.
    pub fn for_width(&self, base: Step, width: usize, span_millis: i64) -> Step {
        let datapoints = span_millis / base.millis();
        let width = i64::try_from(width.max(1)).unwrap_or(i64::MAX);
        let per_pixel = rounded_up(datapoints, width).max(1);
        self.round(base, per_pixel.saturating_mul(base.millis()))
    }
}

/// A quotient of numbers that are not negative, rounded up.
const fn rounded_up(number: i64, by: i64) -> i64 {
    number / by + (number % by != 0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Step = Step::from_secs(60);

    fn rounded(wanted_millis: i64) -> i64 {
        AllowedSteps::for_block(DAY)
            .round(BASE, wanted_millis)
            .millis()
    }

    #[test]
    fn steps_are_rounded_up() {
        assert_eq!(rounded(0), MINUTE);
        assert_eq!(rounded(MINUTE + 1), 2 * MINUTE);
        assert_eq!(rounded(7 * MINUTE), 10 * MINUTE);
        assert_eq!(rounded(31 * MINUTE), HOUR);
        assert_eq!(rounded(12 * HOUR + 1), DAY);
        assert_eq!(rounded(DAY + 1), 2 * DAY);
    }

    #[test]
    fn steps_fit_the_block() {
        // An hour is not divided by 8 h; 4 h is a multiple.
        let steps = AllowedSteps::for_block(HOUR);
        assert_eq!(steps.round(BASE, 31 * MINUTE).millis(), HOUR);
        let steps = AllowedSteps::for_block(45 * MINUTE);
        assert_eq!(steps.round(BASE, 4 * MINUTE).millis(), 5 * MINUTE);
    }

    #[test]
    fn there_is_a_datapoint_a_pixel_at_most() {
        let steps = AllowedSteps::for_block(DAY);
        let step = |width, span| steps.for_width(BASE, width, span).millis();
        assert_eq!(step(700, 3 * HOUR), MINUTE);
        assert_eq!(step(60, HOUR), MINUTE);
        assert_eq!(step(59, HOUR), 2 * MINUTE);
        assert_eq!(step(1, 10), MINUTE);
        assert_eq!(step(700, 365 * DAY), 12 * HOUR + 12 * HOUR);
        assert_eq!(step(1, i64::MAX) % DAY, 0);
    }
}
