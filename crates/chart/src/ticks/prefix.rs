//! Numbers with the prefix of a unit: `1.5k`, `1.5Ki`, `1.5ms`.

/// What stands behind a number, and what the number was divided by for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prefix {
    pub symbol: &'static str,
    pub factor: f64,
}

const fn prefix(symbol: &'static str, factor: f64) -> Prefix {
    Prefix { symbol, factor }
}

/// No prefix.
pub(crate) const ONE: Prefix = prefix("", 1.0);

/// Powers of a thousand, largest first.
const LARGE: [Prefix; 8] = [
    prefix("Y", 1e24),
    prefix("Z", 1e21),
    prefix("E", 1e18),
    prefix("P", 1e15),
    prefix("T", 1e12),
    prefix("G", 1e9),
    prefix("M", 1e6),
    prefix("k", 1e3),
];

/// Powers of a thousandth, largest first.
const SMALL: [Prefix; 8] = [
    prefix("m", 1e-3),
    prefix("μ", 1e-6),
    prefix("n", 1e-9),
    prefix("p", 1e-12),
    prefix("f", 1e-15),
    prefix("a", 1e-18),
    prefix("z", 1e-21),
    prefix("y", 1e-24),
];

/// Powers of 1024, smallest first.
pub(crate) const BINARY: [Prefix; 8] = [
    prefix("Ki", 1024.0),
    prefix("Mi", 1_048_576.0),
    prefix("Gi", 1_073_741_824.0),
    prefix("Ti", 1_099_511_627_776.0),
    prefix("Pi", 1_125_899_906_842_624.0),
    prefix("Ei", 1_152_921_504_606_846_976.0),
    prefix("Zi", 1_180_591_620_717_411_303_424.0),
    prefix("Yi", 1_208_925_819_614_629_174_706_176.0),
];

/// Seconds, and what is made of them, smallest first.
pub(crate) const LONG: [Prefix; 6] = [
    prefix("s", 1.0),
    prefix("m", 60.0),
    prefix("h", 3_600.0),
    prefix("d", 86_400.0),
    prefix("w", 604_800.0),
    prefix("y", 31_536_000.0),
];

/// Parts of a second, largest first.
const SHORT: [Prefix; 4] = [
    prefix("ms", 1e-3),
    prefix("μs", 1e-6),
    prefix("ns", 1e-9),
    prefix("ps", 1e-12),
];

fn is_plain(v: f64) -> bool {
    !v.is_finite() || v.abs() < 1e-12
}

/// The largest decimal prefix that leaves one digit before the point.
pub(crate) fn decimal(v: f64) -> Prefix {
    match v.abs() {
        v if is_plain(v) || (1.0..1e3).contains(&v) => ONE,
        v if v >= 1e3 => first(&LARGE, |p| p.factor <= v),
        v => first(&SMALL, |p| p.factor <= v),
    }
}

/// The largest binary prefix that leaves one digit before the point; below 1 a decimal one.
pub(crate) fn binary(v: f64) -> Prefix {
    match v.abs() {
        v if is_plain(v) || (1.0..1024.0).contains(&v) => ONE,
        v if v >= 1024.0 => *BINARY.iter().rfind(|p| p.factor <= v).unwrap_or(&BINARY[0]),
        v => first(&SMALL, |p| p.factor <= v),
    }
}

/// The largest unit of time that leaves one digit before the point.
pub(crate) fn duration(v: f64) -> Prefix {
    match v.abs() {
        v if is_plain(v) => LONG[0],
        v if v >= 1.0 => *LONG.iter().rfind(|p| p.factor <= v).unwrap_or(&LONG[0]),
        v => first(&SHORT, |p| p.factor <= v),
    }
}

/// The first that fits, or the last there is.
fn first(prefixes: &[Prefix], fits: impl Fn(&Prefix) -> bool) -> Prefix {
    let last = prefixes[prefixes.len() - 1];
    *prefixes.iter().find(|p| fits(p)).unwrap_or(&last)
}

/// Whether a number has at most so many digits before and behind the point.
fn within(p: Prefix, v: f64, digits: f64) -> bool {
    v >= p.factor / digits && v < p.factor * digits
}

/// The smallest decimal prefix that writes a number in three digits on either side of the point.
pub(crate) fn decimal_range(v: f64) -> Prefix {
    let v = v.abs();
    if is_plain(v) || within(ONE, v, 1e3) {
        ONE
    } else if v >= 1.0 {
        *LARGE
            .iter()
            .rfind(|p| within(**p, v, 1e3))
            .unwrap_or(&LARGE[0])
    } else {
        first(&SMALL, |p| within(*p, v, 1e3))
    }
}

/// The smallest binary prefix that writes a number in four digits on either side of the point.
pub(crate) fn binary_range(v: f64) -> Prefix {
    let v = v.abs();
    if is_plain(v) || within(ONE, v, 1e4) {
        ONE
    } else if v >= 1.0 {
        first(&BINARY, |p| within(*p, v, 1e4))
    } else {
        first(&SMALL, |p| within(*p, v, 1e4))
    }
}

/// The unit of time between which and the next a number of seconds is.
pub(crate) fn duration_range(v: f64) -> Prefix {
    let v = v.abs();
    if is_plain(v) || v >= 1.0 {
        return duration(v);
    }
    *SHORT.iter().find(|p| v > p.factor).unwrap_or(&SHORT[2])
}

/// The next smaller unit of time.
pub(crate) fn next_shorter(p: Prefix) -> Prefix {
    let shorter = if p.factor > 1.0 {
        LONG.iter().rfind(|q| q.factor < p.factor)
    } else if p.factor == 1.0 {
        SHORT.iter().find(|q| q.factor < p.factor)
    } else {
        None
    };
    *shorter.unwrap_or(&p)
}

impl Prefix {
    /// The number with so many digits behind the point, and the symbol. Numbers beyond all prefixes are written with an exponent.
    pub fn format(self, v: f64, decimals: usize) -> String {
        let magnitude = v.abs();
        let extreme = magnitude >= 1e27 || (magnitude > 0.0 && magnitude <= 1e-27);
        if v.is_finite() && extreme {
            return exponential(v, 0);
        }
        format!("{}{}", fixed(v / self.factor, decimals), self.symbol)
    }
}

/// A number with so many digits behind the point, halves rounded away from zero on the shortest digits that read back, as Java does.
pub(crate) fn fixed(v: f64, decimals: usize) -> String {
    if !v.is_finite() {
        return hesper_stack::number::JavaDouble(v).to_string();
    }
    let text = v.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut digits: Vec<u8> = whole.bytes().collect();
    digits.extend(
        fraction
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(decimals),
    );
    if fraction
        .as_bytes()
        .get(decimals)
        .is_some_and(|d| *d >= b'5')
    {
        let mut carried = false;
        for digit in digits.iter_mut().rev() {
            carried = *digit == b'9';
            *digit = if carried { b'0' } else { *digit + 1 };
            if !carried {
                break;
            }
        }
        if carried {
            digits.insert(0, b'1');
        }
    }
    let sign = if v.is_sign_negative() { "-" } else { "" };
    let digits: String = digits.into_iter().map(char::from).collect();
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    match decimals {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    }
}

/// A number with an exponent of at least two digits: `1e+30`.
pub(crate) fn exponential(v: f64, decimals: usize) -> String {
    let text = format!("{v:.decimals$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_rounded_as_in_java() {
        assert_eq!(fixed(0.25, 1), "0.3");
        assert_eq!(fixed(-999.96, 1), "-1000.0");
        assert_eq!(fixed(2.5, 0), "3");
        assert_eq!(fixed(1.005, 2), "1.01");
        assert_eq!(fixed(1e21, 0), "1000000000000000000000");
        assert_eq!(fixed(f64::NAN, 1), "NaN");
        assert_eq!(fixed(5e-324, 3), "0.000");
    }

    #[test]
    fn prefixes_follow_the_size() {
        let shown = |v: f64| [decimal(v), binary(v), duration(v)].map(|p| p.format(v, 1));
        assert_eq!(shown(1536.0), ["1.5k", "1.5Ki", "25.6m"]);
        assert_eq!(shown(0.0015), ["1.5m", "1.5m", "1.5ms"]);
        assert_eq!(shown(0.0), ["0.0", "0.0", "0.0s"]);
        assert_eq!(shown(-2e30)[0], "-2e+30");
        assert_eq!(decimal_range(20_000.0).symbol, "k");
        assert_eq!(decimal_range(200_000_000.0).symbol, "M");
        assert_eq!(binary_range(20_000.0).symbol, "Ki");
        assert_eq!(duration_range(90.0).symbol, "m");
        assert_eq!(next_shorter(LONG[1]).symbol, "s");
        assert_eq!(next_shorter(LONG[0]).symbol, "ms");
    }

    proptest! {
        #[test]
        fn rounding_is_near(v in -1e15..1e15f64, decimals in 0usize..4) {
            let back: f64 = fixed(v, decimals).parse().expect("a number");
            prop_assert!((back - v).abs() <= 0.5001 * 10f64.powi(-(decimals as i32)) + v.abs() * 1e-15);
        }

        #[test]
        fn any_number_has_a_prefix(v in any::<f64>()) {
            for p in [decimal(v), binary(v), duration(v), decimal_range(v), binary_range(v), duration_range(v)] {
                prop_assert!(!p.format(v, 1).is_empty());
            }
        }
    }
}
