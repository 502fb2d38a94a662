//! Numbers short enough for a legend: `12.3k`, `4.0Mi`, `1.5m`.

const DECIMAL_LARGE: [(f64, &str); 8] = [
    (1e24, "Y"),
    (1e21, "Z"),
    (1e18, "E"),
    (1e15, "P"),
    (1e12, "T"),
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
];

const DECIMAL_SMALL: [(f64, &str); 8] = [
    (1e-3, "m"),
    (1e-6, "μ"),
    (1e-9, "n"),
    (1e-12, "p"),
    (1e-15, "f"),
    (1e-18, "a"),
    (1e-21, "z"),
    (1e-24, "y"),
];

const BINARY_LARGE: [(f64, &str); 8] = [
    (1_208_925_819_614_629_174_706_176.0, "Yi"),
    (1_180_591_620_717_411_303_424.0, "Zi"),
    (1_152_921_504_606_846_976.0, "Ei"),
    (1_125_899_906_842_624.0, "Pi"),
    (1_099_511_627_776.0, "Ti"),
    (1_073_741_824.0, "Gi"),
    (1_048_576.0, "Mi"),
    (1_024.0, "Ki"),
];

/// A number with a decimal prefix and one digit behind the point.
pub fn decimal(v: f64) -> String {
    with_prefix(v, &DECIMAL_LARGE)
}

/// A number with a binary prefix, or a decimal one below 1, and one digit behind the point.
pub fn binary(v: f64) -> String {
    with_prefix(v, &BINARY_LARGE)
}

fn with_prefix(v: f64, large: &[(f64, &'static str)]) -> String {
    let magnitude = v.abs();
    if !v.is_finite() {
        return match (v.is_nan(), v > 0.0) {
            (true, _) => "NaN",
            (_, true) => "Infinity",
            _ => "-Infinity",
        }
        .to_owned();
    }
    if magnitude >= 1e27 || (magnitude > 0.0 && magnitude <= 1e-27) {
        return scientific(v);
    }
    let (factor, symbol) = match magnitude {
        m if m < 1e-12 => (1.0, ""),
        m if m < 1.0 => *DECIMAL_SMALL
            .iter()
            .find(|(factor, _)| *factor <= m)
            .unwrap_or(&DECIMAL_SMALL[7]),
        m => *large
            .iter()
            .find(|(factor, _)| *factor <= m)
            .unwrap_or(&(1.0, "")),
    };
    format!("{}{symbol}", one_decimal(v / factor))
}

/// `%.1f`, where halves go away from zero as in Java.
fn one_decimal(v: f64) -> String {
    // The shortest digits that read back are what Java rounds.
    let text = v.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    let mut tenths: u64 = format!("{whole}{}", &fraction[..1])
        .parse()
        .unwrap_or(u64::MAX);
    if fraction.as_bytes().get(1).is_some_and(|b| *b >= b'5') {
        tenths += 1;
    }
    let sign = if v.is_sign_negative() { "-" } else { "" };
    format!("{sign}{}.{}", tenths / 10, tenths % 10)
}

/// `%.0e`, as in `1e+30`; a blank stands where a sign could.
fn scientific(v: f64) -> String {
    let text = format!("{v:.0e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    let blank = if v >= 0.0 { " " } else { "" };
    format!("{blank}{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shortened() {
        assert_eq!(decimal(0.0), "0.0");
        assert_eq!(decimal(1.25), "1.3");
        assert_eq!(decimal(-12_345.0), "-12.3k");
        assert_eq!(decimal(0.001_5), "1.5m");
        assert_eq!(decimal(5e9), "5.0G");
        assert_eq!(decimal(999.96), "1000.0");
        assert_eq!(decimal(f64::NAN), "NaN");
        assert_eq!(decimal(1e30), " 1e+30");
        assert_eq!(decimal(-1e-30), "-1e-30");
        assert_eq!(binary(2048.0), "2.0Ki");
        assert_eq!(binary(1000.0), "1000.0");
        assert_eq!(binary(0.5), "500.0m");
    }
}
