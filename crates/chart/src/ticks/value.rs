//! Marks on a Y axis.

use super::Tick;
use super::prefix::{self, Prefix};
use super::sizes::{BINARY_SIZES, DECIMAL, DURATION, Size};
use crate::scale::log_linear::{bucket_end, bucket_of};

/// Powers of ten that fit an axis without marking just the powers.
const LINEAR_POWERS: i32 = 2;

/// A mark with the usual label.
pub(super) fn unlabelled(value: f64, is_major: bool) -> Tick {
    Tick {
        value,
        offset: 0.0,
        is_major,
        label: hesper_stack::legend::unit_prefix::decimal(value),
    }
}

/// The size of steps of which at most `n` are between the bounds.
fn size_for(sizes: &[Size], lower: f64, upper: f64, n: usize) -> Option<Size> {
    let range = upper - lower;
    let range = if range < 1e-12 { 1.0 } else { range };
    let found = sizes.iter().find(|size| range / size.major <= n as f64);
    found.copied()
}

/// For want of better ones the bounds.
fn ends(lower: f64, upper: f64) -> Vec<Tick> {
    vec![unlabelled(lower, true), unlabelled(upper, true)]
}

/// The multiples of the smaller step between the bounds; those of the larger one are major.
fn multiples(
    lower: f64,
    upper: f64,
    size: Size,
    label: impl Fn(f64) -> String,
) -> (f64, Vec<Tick>) {
    let base = size.major * (lower / size.major).floor();
    let count = ((upper - base) / size.minor) as i64 + 1;
    let mut ticks: Vec<Tick> = (0..=count)
        .map(|i| (i, base + i as f64 * size.minor))
        .filter(|(_, v)| (lower..=upper).contains(v))
        .map(|(i, v)| Tick {
            value: v,
            offset: 0.0,
            is_major: i % size.minors_per_major == 0,
            label: label(v),
        })
        .collect();
    // Beside huge numbers a step is lost.
    ticks.dedup_by(|b, a| a.value == b.value);
    (base, ticks)
}

fn labels_repeat(ticks: &[Tick]) -> bool {
    let mut labels: Vec<&str> = ticks
        .iter()
        .filter(|t| t.is_major)
        .map(|t| t.label.as_str())
        .collect();
    let all = labels.len();
    labels.sort_unstable();
    labels.dedup();
    labels.len() < all
}

/// Marks on a scale with decimal labels.
pub(super) fn decimal(lower: f64, upper: f64, n: usize) -> Vec<Tick> {
    let Some(size) = size_for(&DECIMAL, lower, upper, n) else {
        return ends(lower, upper);
    };
    // The prefix of the step, unless the largest value would have too many digits with it.
    let of_step = prefix::decimal_range(size.major);
    let prefix = if upper.abs() <= 10.0 * of_step.factor {
        of_step
    } else {
        prefix::decimal_range(upper)
    };
    let decimals = decimals(size.major / prefix.factor);
    let (base, mut ticks) = multiples(lower, upper, size, |v| prefix.format(v, decimals));
    if labels_repeat(&ticks) {
        for tick in &mut ticks {
            tick.offset = base;
            tick.label = hesper_stack::legend::unit_prefix::decimal(tick.value - base);
        }
    }
    ticks
}

/// The digits behind the point that a step needs: one to three.
fn decimals(step: f64) -> usize {
    match (step * 1000.0) as i32 {
        thousandths if thousandths % 10 > 0 => 3,
        thousandths if thousandths % 100 > 0 => 2,
        _ => 1,
    }
}

/// Marks with binary labels.
pub(super) fn binary(lower: f64, upper: f64, n: usize) -> Vec<Tick> {
    let Some(size) = size_for(&BINARY_SIZES, lower, upper, n) else {
        return ends(lower, upper);
    };
    let prefix_for = |v: f64, step: f64| {
        let of_step = prefix::binary_range(step);
        if v < 10.0 * of_step.factor {
            of_step
        } else {
            prefix::binary_range(v)
        }
    };
    let prefix = prefix_for(upper.abs(), size.major);
    let digits = decimals(size.major / prefix.factor) - 1;
    let (base, mut ticks) = multiples(lower, upper, size, |v| prefix.format(v, digits));
    if ticks.is_empty() {
        return ends(lower, upper);
    }
    if size.major < lower.abs() / 1e2 {
        let most = ticks.iter().map(|t| t.value - base).fold(0.0, f64::max);
        let prefix = prefix_for(most, most);
        let digits = decimals(most / prefix.factor) - 1;
        for tick in &mut ticks {
            tick.offset = base;
            tick.label = prefix.format(tick.value - base, digits);
        }
    }
    ticks
}

/// Marks with labels of seconds and what is made of them.
pub(super) fn duration(lower: f64, upper: f64, n: usize) -> Vec<Tick> {
    let Some(size) = size_for(&DURATION, lower, upper, n) else {
        return ends(lower, upper);
    };
    let prefix_for = |v: f64, step: f64| {
        let of_step = prefix::duration_range(step);
        if v <= of_step.factor {
            of_step
        } else {
            prefix::duration_range(v)
        }
    };
    let prefix = prefix_for(upper.abs(), size.major);
    let write = |prefix: Prefix| move |v: f64| duration_label(prefix, upper, v);
    let (base, ticks) = multiples(lower, upper, size, write(prefix));
    if !labels_repeat(&ticks) {
        return ticks;
    }
    let two_years = 2.0 * prefix::LONG[5].factor;
    if upper > 1e-3 && upper < two_years {
        let (_, ticks) = multiples(lower, upper, size, write(prefix::next_shorter(prefix)));
        if !labels_repeat(&ticks) {
            return ticks;
        }
    }
    let prefix = prefix_for(upper - lower, size.major);
    let mut ticks = ticks;
    for tick in &mut ticks {
        tick.offset = base;
        tick.label = duration_label(prefix, size.major, tick.value - base);
    }
    ticks
}

/// A duration with the digits that values up to `most` need.
fn duration_label(prefix: Prefix, most: f64, v: f64) -> String {
    const THOUSAND_YEARS: f64 = 3.1536e10;
    let scaled = if most < 1.0 {
        most / prefix.factor
    } else {
        most
    };
    let decimals = match (scaled * 1000.0).round() as i64 {
        _ if most >= THOUSAND_YEARS => {
            let number = prefix::exponential(v / prefix.factor, 1);
            return format!("{number}{}", prefix.symbol);
        }
        _ if most >= 60.0 => 0,
        thousandths if thousandths % 10 > 0 => 3,
        thousandths if thousandths % 100 > 0 => 2,
        _ => 1,
    };
    prefix.format(v, decimals)
}

/// Marks at the ends of log-linear buckets: all of them if they are few, then each third, then the powers of ten.
pub(super) fn log_linear(lower: f64, upper: f64, n: usize) -> Vec<Tick> {
    let n = i32::try_from(n).unwrap_or(i32::MAX).max(1);
    let (first, last) = (bucket_of(lower), bucket_of(upper));
    let count = last - first;
    let crosses_zero = first < 0 && last > 0;
    let place = |i: i32| if i < 0 { -i - 1 } else { i };
    let powers_per_major = ((count / 9 + n - 1) / n * 9).max(1);
    let is_shown =
        |i: i32| count < n * 9 || (count / 3 < n * 9 && place(i) % 3 == 0) || place(i) % 9 == 0;
    (first..=last)
        .filter(|i| (lower..=upper).contains(&bucket_end(*i)))
        .filter_map(|i| match i {
            // Around zero the buckets are as good as nothing.
            -1 if crosses_zero => None,
            0 if crosses_zero => Some(unlabelled(0.0, true)),
            _ if is_shown(i) => Some(unlabelled(
                bucket_end(i),
                count <= n || place(i) % powers_per_major == 0,
            )),
            _ => None,
        })
        .collect()
}

/// Marks at powers of ten, on either side of zero, where there are more than a few; else those of a linear scale.
pub(super) fn log(lower: f64, upper: f64, n: usize) -> Vec<Tick> {
    if size_for(&DECIMAL, lower, upper, n).is_none() {
        return ends(lower, upper);
    }
    let powers = |low: f64, high: f64| power_ceil(high).saturating_sub(power_floor(low));
    let major_powers = |count: i32| match n {
        n if count as usize <= n => 1,
        0 => count,
        n => (f64::from(count) / n as f64).ceil() as i32,
    };
    let mut ticks = if lower >= 0.0 {
        let count = powers(lower, upper);
        if count <= LINEAR_POWERS {
            return decimal(lower, upper, n);
        }
        powers_of_ten(lower, upper, major_powers(count))
    } else if upper <= 0.0 {
        let count = powers(-upper, -lower);
        if count <= LINEAR_POWERS {
            return decimal(lower, upper, n);
        }
        mirrored(powers_of_ten(-upper, -lower, major_powers(count)))
    } else {
        let (above, below) = (powers(0.0, upper), powers(0.0, -lower));
        if above <= LINEAR_POWERS && below <= LINEAR_POWERS {
            return decimal(lower, upper, n);
        }
        let step = major_powers(above.max(0).saturating_add(below.max(0)));
        let mut ticks = mirrored(powers_of_ten(0.0, -lower, step));
        ticks.pop();
        ticks.extend(powers_of_ten(0.0, upper, step));
        ticks
    };
    ticks.retain(|t| (lower..=upper).contains(&t.value));
    ticks
}

fn power_floor(v: f64) -> i32 {
    if v <= 1.0 {
        0
    } else {
        v.log10().floor() as i32
    }
}

fn power_ceil(v: f64) -> i32 {
    v.log10().ceil() as i32
}

/// Powers of ten around two bounds. From zero up, zero stands for one: they would be too close.
fn powers_of_ten(lower: f64, upper: f64, step: i32) -> Vec<Tick> {
    let (first, last) = (power_floor(lower), power_ceil(upper));
    (first..=last)
        .map(|power| {
            let value = match power {
                0 if lower == 0.0 => 0.0,
                _ => 10f64.powf(f64::from(power)),
            };
            let prefix = prefix::decimal(value);
            Tick {
                value,
                offset: 0.0,
                is_major: (power - first) % step.max(1) == 0,
                label: prefix.format(value, 0),
            }
        })
        .collect()
}

fn mirrored(mut ticks: Vec<Tick>) -> Vec<Tick> {
    ticks.reverse();
    for tick in ticks.iter_mut().filter(|t| t.value != 0.0) {
        tick.value = -tick.value;
        tick.label.insert(0, '-');
    }
    ticks
}
