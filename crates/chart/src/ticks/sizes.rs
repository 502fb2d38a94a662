//! The distances between marks that read well.

use std::sync::LazyLock;

use super::prefix::{BINARY, LONG};

/// A distance between labels, and how it is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub major: f64,
    pub minor: f64,
    pub minors_per_major: i64,
}

/// Distances, and those between the marks in between, of which powers of ten are taken.
const BASE: [(f64, f64); 5] = [
    (10.0, 2.0),
    (20.0, 5.0),
    (30.0, 10.0),
    (40.0, 10.0),
    (50.0, 10.0),
];

fn powers(exponents: std::ops::RangeInclusive<i32>) -> impl Iterator<Item = Size> {
    exponents.flat_map(|exponent| {
        let power = 10f64.powf(f64::from(exponent));
        BASE.map(|(major, minor)| Size {
            major: major * power,
            minor: minor * power,
            minors_per_major: (major / minor) as i64,
        })
    })
}

fn in_quarters(major: f64) -> Size {
    Size {
        major,
        minor: major / 4.0,
        minors_per_major: 4,
    }
}

const MULTIPLES: [f64; 15] = [
    1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 100.0, 200.0, 300.0, 400.0, 500.0,
];

pub(super) static DECIMAL: LazyLock<Vec<Size>> = LazyLock::new(|| powers(-25..=25).collect());

pub(super) static BINARY_SIZES: LazyLock<Vec<Size>> = LazyLock::new(|| {
    let large = BINARY
        .iter()
        .flat_map(|p| MULTIPLES.map(|m| in_quarters(p.factor * m)));
    powers(-1..=1).chain(large).collect()
});

pub(super) static DURATION: LazyLock<Vec<Size>> = LazyLock::new(|| {
    // What each unit but the first is divided by.
    let parts: [&[f64]; 5] = [
        &[60.0, 30.0, 15.0, 10.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0],
        &[30.0, 15.0, 10.0, 6.0, 5.0, 4.0],
        &[12.0, 6.0, 4.0, 3.0, 2.0, 1.0],
        &[24.0, 12.0, 6.0, 4.0, 2.0, 1.0],
        &[6.0, 4.0, 3.0, 2.0, 1.0],
    ];
    let units = LONG[1..].iter().zip(parts);
    let units = units.flat_map(|(unit, parts)| parts.iter().map(|n| in_quarters(unit.factor / n)));
    let year = LONG[5].factor;
    powers(-25..=-2)
        .chain(units)
        .chain(MULTIPLES.map(|m| in_quarters(year * m)))
        .chain(powers(10..=25))
        .collect()
});
