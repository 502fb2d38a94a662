//! In which order lines are listed.

use std::cmp::Ordering;

use super::Line;
use crate::stats::Statistic;

/// The order of Java's texts, by their UTF-16 units.
///
/// It is that of the bytes, but for characters of four bytes: their units come before U+E000, which begins with the byte 0xEE.
pub(super) fn compare_texts(a: &str, b: &str) -> Ordering {
    let mut differing = a.bytes().zip(b.bytes()).filter(|(a, b)| a != b);
    match differing.next() {
        None => a.len().cmp(&b.len()),
        Some((0xEE..=0xEF, 0xF0..)) => Ordering::Greater,
        Some((0xF0.., 0xEE..=0xEF)) => Ordering::Less,
        Some((a, b)) => a.cmp(&b),
    }
}

/// Sorts lines by what was asked for; without anything they stay as they are. What there is no sense in counts as the legend, and is
/// told by a warning.
pub(super) fn sort(
    lines: &mut [Line],
    by: Option<&str>,
    descending: bool,
    warnings: &mut Vec<String>,
) {
    let by = match (by, descending) {
        (Some(by), _) => by,
        (None, true) => "legend",
        (None, false) => return,
    };
    let statistic = Statistic::named(by);
    if statistic.is_none() && by != "legend" {
        warnings.push(format!(
            "Invalid sort mode '{by}'. Using default of 'legend'."
        ));
    }
    lines.sort_by(|a, b| match statistic {
        Some(statistic) => {
            compare_figures(a.stats.get(statistic), b.stats.get(statistic), descending)
        }
        None if descending => compare_texts(&b.legend, &a.legend),
        None => compare_texts(&a.legend, &b.legend),
    });
}

/// NaN comes last either way.
fn compare_figures(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_compared_not_characters() {
        assert_eq!(compare_texts("a", "b"), Ordering::Less);
        assert_eq!(compare_texts("\u{FF5E}", "😀"), Ordering::Greater);
    }

    #[test]
    fn nan_is_last_in_either_direction() {
        let sorted = |descending| {
            let mut figures = [2.0, f64::NAN, 3.0, f64::NEG_INFINITY, 1.0];
            figures.sort_by(|a, b| compare_figures(*a, *b, descending));
            figures.map(|v| v.to_string())
        };
        assert_eq!(sorted(false), ["-inf", "1", "2", "3", "NaN"]);
        assert_eq!(sorted(true), ["3", "2", "1", "-inf", "NaN"]);
    }
}
