//! How many samples lie in a range, from counts by bucket.

use std::sync::Arc;

use hesper_model::TagQuery;

use super::rewrites::expansion;
use crate::error::StackError;
use crate::expr::percentiles::PERCENTILE;
use crate::expr::{DataExpr, Displayed, NamedRewrite, TimeSeriesExpr};
use crate::kind::Kind;
use crate::number::JavaDouble;
use crate::word::{Word, named};

const NAME: &str = "sample-count";

/// The number of buckets.
const BUCKETS: usize = 276;

/// The samples from one value to another.
pub(super) fn in_range() -> Word {
    let parameters = [
        named("q", Kind::Query),
        named("min", Kind::Double),
        named("max", Kind::Double),
    ];
    Word::typed(NAME, &parameters, &[Kind::Series], |m| {
        let max = m.pop_double()?;
        let min = m.pop_double()?;
        let query = m.pop_query()?;
        let narrowed = query.clone().and(in_buckets(min, max)?);
        m.push_expr(TimeSeriesExpr::NamedRewrite(NamedRewrite {
            name: NAME.into(),
            display: Displayed::Query(Arc::new(query)),
            parameters: vec![min, max],
            eval: Arc::new(TimeSeriesExpr::Data(DataExpr::sum(narrowed))),
            average: None,
        }))
    })
    .summary(
        "How many samples of a timer (in seconds) or a distribution lie in a range, where they are recorded in buckets. Buckets that \
         lie in it with a part count as a whole.",
    )
}

/// All samples.
pub(super) fn of_all() -> Word {
    let takes = named("q", Kind::Query);
    expansion(NAME, takes, &[":dup", "0", "Infinity", ":sample-count"])
        .summary("How many samples of a timer or a distribution there are.")
}

/// The series that count for the buckets from that of one value to that of another.
fn in_buckets(min: f64, max: f64) -> Result<TagQuery, StackError> {
    if min >= max || min.is_nan() || max.is_nan() {
        return Err(StackError::requirement(format!(
            "min >= max (min={}, max={})",
            JavaDouble(min),
            JavaDouble(max)
        )));
    }
    if min < 0.0 {
        return Err(StackError::requirement(format!(
            "min < 0 (min={})",
            JavaDouble(min)
        )));
    }
    let range = |kind: char, min: f64, max: f64| {
        let name = |v: f64| -> Arc<str> { format!("{kind}{:04X}", bucket_of(v as i64)).into() };
        let from = TagQuery::GreaterThanEqual(PERCENTILE.into(), name(min));
        from.and(TagQuery::LessThanEqual(PERCENTILE.into(), name(max)))
    };
    // Timers are recorded in nanoseconds.
    Ok(range('D', min, max).or(range('T', min * 1e9, max * 1e9)))
}

/// The bucket that a sample is counted in: the first whose upper end is above it. As in Spectator, what lies less than a third of a
/// power of four below the next one, and above the bounds between them, goes one bucket further.
fn bucket_of(v: i64) -> usize {
    if v < 4 {
        return usize::try_from(v).unwrap_or(0);
    }
    let power = v.ilog2() / 2;
    let first: i64 = 1 << (2 * power);
    // There are 3 bounds before the first power, 11 from there to the second, and then 9 each.
    let bounds_before = match power {
        1 => 3,
        power => 14 + 9 * (power as usize - 2),
    };
    let place = bounds_before + ((v - first) / (first / 3)) as usize;
    (place + 1).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::buckets;
    use crate::expr::PrintQuery;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_of_whole_buckets() {
        let query = in_buckets(0.0, 10.0).expect("a range");
        assert_eq!(
            PrintQuery(&query).to_string(),
            "percentile,D0000,:ge,percentile,D000A,:le,:and,percentile,T0000,:ge,percentile,T0090,:le,:and,:or"
        );
        let message = |min, max| in_buckets(min, max).expect_err("refused").to_string();
        assert_eq!(
            message(1.0, 1.0),
            "IllegalArgumentException: requirement failed: min >= max (min=1.0, max=1.0)"
        );
        assert_eq!(
            message(-1.0, 1.0),
            "IllegalArgumentException: requirement failed: min < 0 (min=-1.0)"
        );
        assert!(message(0.0, f64::NAN).contains("min >= max"));
    }

    #[test]
    fn the_ends_are_in_the_first_and_the_last_bucket() {
        assert_eq!(buckets().len(), BUCKETS);
        assert_eq!((bucket_of(i64::MIN), bucket_of(0)), (0, 0));
        assert_eq!(bucket_of(i64::MAX), BUCKETS - 1);
        assert_eq!(bucket_of(1 << 62), BUCKETS - 1);
        // One further than it should be.
        assert_eq!((bucket_of(14), bucket_of(15), bucket_of(16)), (14, 15, 15));
    }

    proptest! {
        #[test]
        fn a_sample_lies_below_the_end_of_its_bucket(shift in 0u32..62, v in any::<i64>()) {
            let v = (v & i64::MAX) >> shift;
            let bucket = bucket_of(v);
            prop_assert!(v as f64 <= buckets()[bucket]);
            if bucket >= 2 {
                prop_assert!(buckets()[bucket - 2] <= v as f64);
            }
        }
    }
}
