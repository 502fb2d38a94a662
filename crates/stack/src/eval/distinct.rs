//! How many different values were recorded, from the registers of a sketch.
//!
//! The sketch is a HyperLogLog of 64 registers, as Spectator's `DistinctCountSketch` publishes it: a series for each register, whose value
//! is the longest run of zeros seen in the hashes that belong to it, plus one.

use hesper_model::{DataSource, Tags};

use super::{EvalContext, TimeSeries, group_key};
use crate::error::StackError;
use crate::expr::approx_distinct::DISTINCT;
use crate::expr::{ApproxDistinct, query_label};

/// The number of registers.
const REGISTERS: usize = 64;

/// An estimate for every group among the registers.
///
/// # Errors
/// When the name of a register is none, or two series are for the same register.
pub(super) fn distinct(
    expr: &ApproxDistinct,
    found: &[TimeSeries],
    ctx: &EvalContext,
) -> Result<Vec<TimeSeries>, StackError> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let keys = expr.group_keys();
    if keys.is_empty() {
        let mut label = "approx-distinct()".to_owned();
        if let Some(data) = expr.registers().data_exprs().first() {
            label = format!("approx-distinct({})", query_label(&data.query));
        }
        let all: Vec<&TimeSeries> = found.iter().collect();
        return Ok(vec![estimate(&label, &all, ctx)?]);
    }
    let mut groups: Vec<(Tags, Vec<&TimeSeries>)> = Vec::new();
    for series in found {
        let tags = series.tags.filtered(|k| k != DISTINCT);
        match groups.iter_mut().find(|(other, _)| *other == tags) {
            Some((_, group)) => group.push(series),
            None => groups.push((tags, vec![series])),
        }
    }
    groups
        .iter()
        .map(|(tags, group)| {
            let label = group_key(&keys, tags).unwrap_or_else(|| "null".to_owned());
            estimate(&label, group, ctx)
        })
        .collect()
}

/// The estimate for one group, which has at least one series.
fn estimate(
    label: &str,
    found: &[&TimeSeries],
    ctx: &EvalContext,
) -> Result<TimeSeries, StackError> {
    let mut of_register: [Option<&TimeSeries>; REGISTERS] = [None; REGISTERS];
    let mut is_sketch = false;
    for series in found {
        let Some(name) = series.tags.get(DISTINCT) else {
            continue;
        };
        is_sketch = true;
        // What is beyond the registers of this sketch does not count.
        let Some(place) = of_register.get_mut(register(name)?) else {
            continue;
        };
        if let Some(other) = place.replace(series) {
            let names = [other.tags.get(DISTINCT).unwrap_or(""), name];
            return Err(StackError::requirement(format!(
                "invalid distinct encoding: [{}]",
                names.join(",")
            )));
        }
    }
    if !is_sketch {
        return Ok(TimeSeries::no_data(ctx));
    }
    let mut registers = [0.0; REGISTERS];
    let values = (0..ctx.cells())
        .map(|cell| {
            let mut any = false;
            for (register, series) in registers.iter_mut().zip(&of_register) {
                let v = series.and_then(|s| s.values.get(cell)).copied();
                *register = v.filter(|v| v.is_finite() && *v > 0.0).unwrap_or(0.0);
                any |= *register > 0.0;
            }
            if any {
                cardinality(&registers)
            } else {
                f64::NAN
            }
        })
        .collect();
    let tags = found[0].tags.filtered(|k| k != DISTINCT);
    Ok(TimeSeries::labelled(tags, label, DataSource::Gauge, values))
}

/// The number of a register; beyond all of them when it is negative.
fn register(name: &str) -> Result<usize, StackError> {
    let mut chars = name.chars();
    chars.next();
    let digits = chars.as_str();
    let number =
        i32::from_str_radix(digits, 16).map_err(|_| StackError::not_hexadecimal(digits))?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}

/// The number of different values. Of few, by how many registers they leave at zero; of many, by the mean of the registers.
/// (Flajolet et al., HyperLogLog, 2007.)
fn cardinality(registers: &[f64; REGISTERS]) -> f64 {
    let m = REGISTERS as f64;
    let alpha = 0.7213 / (1.0 + 1.079 / m);
    let sum: f64 = registers.iter().map(|r| (-r).exp2()).sum();
    let zeros = registers.iter().filter(|r| **r == 0.0).count();
    let estimate = alpha * m * m / sum;
    if estimate <= 2.5 * m && zeros != 0 {
        return m * (m / zeros as f64).ln();
    }
    estimate
}

#[cfg(test)]
mod tests {
    use super::*;
    use hesper_model::{Step, Timestamp};

    const CTX: EvalContext = EvalContext {
        start: Timestamp(0),
        end: Timestamp(60_000),
        step: Step::from_secs(60),
    };

    fn series(tags: &[(&str, &str)], v: f64) -> TimeSeries {
        TimeSeries::new(
            Tags::from_pairs(tags.iter().copied()),
            DataSource::Gauge,
            vec![v],
        )
    }

    fn estimated(found: &[TimeSeries]) -> Result<f64, StackError> {
        let found: Vec<&TimeSeries> = found.iter().collect();
        estimate("x", &found, &CTX).map(|s| s.values[0])
    }

    #[test]
    fn few_values_are_counted_by_the_registers_they_leave() {
        let one = series(&[("distinct", "R3F")], 4.0);
        let v = estimated(&[one]).expect("a sketch");
        assert!((v - 64.0 * (64.0f64 / 63.0).ln()).abs() < 1e-9, "{v}");
    }

    #[test]
    fn many_values_are_counted_by_all_registers() {
        let names: Vec<String> = (0..64).map(|i| format!("R{i:02X}")).collect();
        let all: Vec<TimeSeries> = names
            .iter()
            .map(|n| series(&[("distinct", n)], 5.0))
            .collect();
        // 2^5 values a register, corrected.
        let v = estimated(&all).expect("a sketch");
        assert!(
            (v - 0.7213 / (1.0 + 1.079 / 64.0) * 64.0 * 32.0).abs() < 1e-9,
            "{v}"
        );
    }

    #[test]
    fn a_sketch_without_values_is_no_data() {
        for v in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let v = estimated(&[series(&[("distinct", "R00")], v)]).expect("a sketch");
            assert!(v.is_nan());
        }
        let other = estimate("x", &[&series(&[("a", "b")], 1.0)], &CTX).expect("none");
        assert_eq!(other.label(), "NO DATA");
        assert!(
            estimated(&[series(&[("distinct", "R40")], 1.0)])
                .expect("beyond")
                .is_nan()
        );
    }

    #[test]
    fn registers_are_told_apart() {
        let twice = [
            series(&[("distinct", "R01"), ("a", "x")], 1.0),
            series(&[("distinct", "R1"), ("a", "y")], 1.0),
        ];
        assert_eq!(
            estimated(&twice).expect_err("twice").to_string(),
            "IllegalArgumentException: requirement failed: invalid distinct encoding: [R01,R1]"
        );
        assert_eq!(
            estimated(&[series(&[("distinct", "Rxy")], 1.0)])
                .expect_err("no number")
                .to_string(),
            "NumberFormatException: For input string: \"xy\" under radix 16"
        );
    }
}
