//! Figures held against each other: totals that are known and totals that were found, answers before and after.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::HumanCount;

use crate::demo::node_api::Lines;

/// Totals that are sums of many doubles may differ by this, relatively.
const ROUNDING: f64 = 1e-6;

/// Answers before and after a restart may differ by this, relatively (promise P3).
const SAME_ANSWER: f64 = 1e-9;

/// Holds totals that were found against those that are known. A group that was not found has the total 0. Gives the figures.
///
/// # Errors
/// With those that differ by more than rounding.
pub fn compare(
    known: &BTreeMap<String, f64>,
    found: &BTreeMap<String, f64>,
) -> Result<String, String> {
    let named = |group: &str, text: String| match group {
        "" => text,
        group => format!("{group} {text}"),
    };
    let mut wrong = Vec::new();
    let mut right = Vec::new();
    let groups: BTreeSet<&String> = known.keys().chain(found.keys()).collect();
    for group in groups {
        let total = |of: &BTreeMap<String, f64>| of.get(group).copied().unwrap_or(0.0);
        let (known, found) = (total(known), total(found));
        if (known - found).abs() <= ROUNDING * known.abs() {
            right.push(named(group, figure(known)));
        } else {
            let text = format!("{} recorded, {} found", known, found);
            wrong.push(named(group, text));
        }
    }
    match wrong.is_empty() {
        true => Ok(format!("{} recorded and found", right.join(", "))),
        false => Err(wrong.join("; ")),
    }
}

fn figure(total: f64) -> String {
    match total.fract() == 0.0 {
        true => HumanCount(total as u64).to_string(),
        false => format!("{total:.3}"),
    }
}

/// Holds an answer against the one that the same query got before. Gives the number of values.
///
/// # Errors
/// With the first difference, or when there is nothing to compare.
pub fn same_lines(before: &Lines, after: &Lines) -> Result<String, String> {
    if !after.notices.is_empty() {
        return Err(after.notices.join("; "));
    }
    if before.legend != after.legend {
        return Err(format!(
            "{:?} before, {:?} after",
            before.legend, after.legend
        ));
    }
    let mut values = 0;
    for (line, legend) in before.legend.iter().enumerate() {
        let both = before.values_of(line).zip(after.values_of(line));
        for (cell, (a, b)) in both.enumerate() {
            let same = (a.is_nan() && b.is_nan()) || (a - b).abs() <= SAME_ANSWER * a.abs();
            if !same {
                return Err(format!("{legend}, datapoint {cell}: {a} before, {b} after"));
            }
            values += u64::from(!a.is_nan());
        }
    }
    match values {
        0 => Err("no values".to_owned()),
        _ => Ok(format!("{} values", HumanCount(values))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
        let pairs = pairs.iter();
        pairs
            .map(|(group, total)| ((*group).to_owned(), *total))
            .collect()
    }

    #[test]
    fn totals_must_agree_within_rounding_group_by_group() {
        let known = totals(&[("api", 1_000_000.0), ("edge", 12.5)]);
        let close = totals(&[("api", 1_000_000.5), ("edge", 12.5)]);
        assert_eq!(
            compare(&known, &close).as_deref(),
            Ok("api 1,000,000, edge 12.500 recorded and found")
        );
        let off = totals(&[("api", 1_000_002.0), ("edge", 12.5)]);
        assert_eq!(
            compare(&known, &off).expect_err("two calls too many"),
            "api 1000000 recorded, 1000002 found"
        );
    }

    #[test]
    fn groups_that_only_one_side_has_are_noticed() {
        let known = totals(&[("api", 5.0), ("edge", 0.0)]);
        assert!(compare(&known, &totals(&[("api", 5.0)])).is_ok());
        assert!(compare(&known, &totals(&[("edge", 0.0)])).is_err());
        let more = totals(&[("api", 5.0), ("ratings", 1.0)]);
        assert_eq!(
            compare(&known, &more).expect_err("nobody recorded it"),
            "ratings 0 recorded, 1 found"
        );
    }

    #[test]
    fn answers_are_held_against_each_other_value_by_value() {
        let lines = |values: &str| -> Lines {
            let text = format!(
                r#"{{"start":0,"step":5000,"legend":["a"],"metrics":[{{}}],"values":{values},"notices":[]}}"#
            );
            serde_json::from_str(&text).expect("an answer")
        };
        let before = lines(r#"[[1],["NaN"],[3]]"#);
        assert_eq!(same_lines(&before, &before), Ok("2 values".to_owned()));
        let lost = lines(r#"[[1],["NaN"],["NaN"]]"#);
        assert!(
            same_lines(&before, &lost)
                .expect_err("lost")
                .contains("datapoint 2")
        );
        let empty = lines(r#"[["NaN"]]"#);
        assert!(same_lines(&empty, &empty).is_err());
    }
}
