use datafusion::logical_expr::{cast, col, ident, lit};
use hesper_model::{Slot, Step, Tags};

use super::*;

fn columns() -> Columns {
    Columns::of_datapoints(&["app".into(), "nf.zone".into()])
}

fn query(expr: Expr) -> TagQuery {
    let condition = Condition::of(&expr, &columns()).expect("the storage can tell");
    assert_eq!(condition.time, TimeBounds::ALL);
    condition.query
}

/// Which of three series a condition lets through: one with `app=a`, one with `app=b`, one without.
fn chosen(expr: Expr) -> String {
    let query = query(expr);
    let series = [
        Tags::from_pairs([("name", "x"), ("app", "a")]),
        Tags::from_pairs([("name", "x"), ("app", "b")]),
        Tags::from_pairs([("name", "x"), ("nf.zone", "z")]),
    ];
    let named = ["a", "b", "-"].iter().zip(series);
    let fit = named.filter(|(_, tags)| query.matches(tags));
    fit.map(|(name, _)| *name).collect()
}

#[test]
fn a_comparison_with_null_is_neither_true_nor_false() {
    let is_a = || col("app").eq(lit("a"));
    assert_eq!(chosen(is_a()), "a");
    assert_eq!(chosen(!is_a()), "b");
    assert_eq!(chosen(col("app").not_eq(lit("a"))), "b");
    assert_eq!(chosen(!col("app").not_eq(lit("a"))), "a");
    assert_eq!(chosen(col("app").is_null()), "-");
    assert_eq!(chosen(!col("app").is_null()), "ab");
    assert_eq!(chosen(!(is_a().or(col("app").is_null()))), "b");
    assert_eq!(chosen(!(is_a().and(ident("nf.zone").eq(lit("z"))))), "b");
    assert_eq!(chosen(is_a().or(ident("nf.zone").is_not_null())), "a-");
    let null = Expr::Literal(ScalarValue::Boolean(None), None);
    assert_eq!(chosen(null.clone()), "");
    assert_eq!(chosen(!null), "");
}

#[test]
fn every_comparison_of_texts_is_known() {
    assert_eq!(chosen(lit("a").lt(col("app"))), "b");
    assert_eq!(chosen(col("app").lt_eq(lit("a"))), "a");
    assert_eq!(chosen(col("app").gt_eq(lit("b"))), "b");
    assert_eq!(chosen(col("app").between(lit("b"), lit("c"))), "b");
    assert_eq!(chosen(!col("app").between(lit("b"), lit("c"))), "a");
    assert_eq!(
        chosen(col("app").in_list(vec![lit("b"), lit("c")], false)),
        "b"
    );
    assert_eq!(chosen(col("app").in_list(vec![lit("b")], true)), "a");
    assert_eq!(chosen(col("app").like(lit("a%"))), "a");
    assert_eq!(chosen(col("app").not_like(lit("a%"))), "b");
    assert_eq!(chosen(col("app").ilike(lit("A"))), "a");
    let matches = |op| {
        chosen(Expr::BinaryExpr(BinaryExpr {
            left: Box::new(col("app")),
            op,
            right: Box::new(lit("^[A]$")),
        }))
    };
    assert_eq!(matches(Operator::RegexMatch), "");
    assert_eq!(matches(Operator::RegexIMatch), "a");
    assert_eq!(matches(Operator::RegexNotIMatch), "b");
    assert_eq!(chosen(cast(col("app"), DataType::Utf8).eq(lit("a"))), "a");
}

#[test]
fn what_the_storage_cannot_tell_is_left_to_sql() {
    let unknown = |expr: Expr| assert_eq!(Condition::of(&expr, &columns()), None, "{expr}");
    unknown(col("value").gt(lit(1.0)));
    unknown(col("app").eq(ident("nf.zone")));
    unknown(col("app").eq(lit("a")).or(col("value").gt(lit(1.0))));
    unknown(col("app").in_list(vec![lit("a"), lit(ScalarValue::Utf8(None))], false));
    unknown(col("time").eq(col("time")));
    let in_seconds = cast(col("time"), DataType::Timestamp(TimeUnit::Second, None));
    unknown(in_seconds.eq(lit(ScalarValue::TimestampSecond(Some(1), None))));
}

#[test]
fn times_are_bounds() {
    let bounds = |expr: Expr| {
        let condition = Condition::of(&expr, &columns()).expect("the storage can tell");
        assert_eq!(condition.query, TagQuery::True);
        (condition.time.first, condition.time.last)
    };
    let (min, max) = (i64::MIN, i64::MAX);
    let millis = |v| {
        lit(ScalarValue::TimestampMillisecond(
            Some(v),
            Some("UTC".into()),
        ))
    };
    assert_eq!(bounds(col("time").gt_eq(millis(5))), (5, max));
    assert_eq!(bounds(col("time").gt(millis(5))), (6, max));
    assert_eq!(bounds(col("time").lt(millis(5))), (min, 4));
    assert_eq!(bounds(millis(5).gt_eq(col("time"))), (min, 5));
    assert_eq!(bounds(col("time").eq(millis(5))), (5, 5));
    assert_eq!(bounds(col("time").between(millis(5), millis(7))), (5, 7));
    let nanos = |v| lit(ScalarValue::TimestampNanosecond(Some(v), None));
    let time = || cast(col("time"), DataType::Timestamp(TimeUnit::Nanosecond, None));
    assert_eq!(bounds(time().gt_eq(nanos(5_000_001))), (6, max));
    assert_eq!(bounds(time().gt(nanos(5_000_001))), (6, max));
    assert_eq!(bounds(time().lt(nanos(5_000_001))), (min, 5));
    assert_eq!(bounds(time().lt_eq(nanos(-1))), (min, -1));
    let (first, last) = bounds(time().eq(nanos(5_000_001)));
    assert!(last < first, "no datapoint is between milliseconds");
}

#[test]
fn bounds_become_slots_of_whole_cells() {
    let step = Step::from_secs(60);
    let within = TimeRange {
        first: Slot(3),
        last: Slot(100),
    };
    let slots = |first: i64, last: i64, cell| {
        let bounds = TimeBounds { first, last };
        let slots = bounds.slots(step, cell, within);
        (slots.first.0, slots.last.0)
    };
    assert_eq!(slots(i64::MIN, i64::MAX, 1), (3, 100));
    assert_eq!(slots(i64::MIN, i64::MAX, 5), (1, 100));
    assert_eq!(slots(600_000, 900_000, 1), (10, 15));
    assert_eq!(slots(600_001, 899_999, 1), (11, 14));
    // The cells that end at 10 and 15 minutes.
    assert_eq!(slots(600_000, 900_000, 5), (6, 15));
    assert_eq!(slots(600_001, 899_999, 5), (11, 10));
    let (first, last) = slots(10_000_000_000, i64::MAX, 1);
    assert!(last < first, "nothing is there");
}
