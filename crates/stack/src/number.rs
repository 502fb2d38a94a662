//! Numbers as the language reads and writes them: those of Java, `1.0E10`, `NaN`, `-Infinity`, `1d`.

use std::fmt;

/// A number that prints as Java's `Double.toString` prints it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JavaDouble(pub f64);

impl fmt::Display for JavaDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        if v.is_nan() {
            return f.write_str("NaN");
        }
        if v.is_infinite() {
            return f.write_str(if v > 0.0 { "Infinity" } else { "-Infinity" });
        }
        if v == 0.0 {
            return f.write_str(if v.is_sign_negative() { "-0.0" } else { "0.0" });
        }
        if (1e-3..1e7).contains(&v.abs()) {
            // The shortest digits that read back, and at least one behind the point.
            return write!(f, "{v:?}");
        }
        let mut text = format!("{v:e}");
        if !text.contains('.') {
            // Of numbers with one digit Java shows the nearest with two, which differs for the smallest ones only.
            let two_digits = format!("{v:.1e}");
            let reads_back = two_digits.parse::<f64>().is_ok_and(|back| back == v);
            text = if reads_back {
                two_digits
            } else {
                text.replacen('e', ".0e", 1)
            };
        }
        f.write_str(&text.replacen('e', "E", 1))
    }
}

/// Reads a number as Java's `Double.parseDouble` does: blanks around it, `NaN`, `Infinity`, a trailing `d` or `f` and hexadecimal
/// digits with a binary exponent included. `None` when the text is no number.
pub fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = match digits {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        _ => {
            let digits = digits.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(digits);
            match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
                Some(hexadecimal) => parse_hexadecimal(hexadecimal)?,
                None => parse_decimal(digits)?,
            }
        }
    };
    Some(if negative { -magnitude } else { magnitude })
}

fn parse_decimal(text: &str) -> Option<f64> {
    // Rust reads `inf` and `nan`, and would take a second sign.
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    let starts = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_digit() || b == b'.');
    if plain && starts {
        text.parse().ok()
    } else {
        None
    }
}

fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse::<i64>().ok()?.clamp(-5_000, 5_000) as i32;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut value, mut scale) = (0u64, 0i32);
    for (i, c) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(c.to_digit(16)?);
        let behind_point = i >= whole.chars().count();
        if value >> 60 == 0 {
            value = value << 4 | digit;
            scale -= if behind_point { 4 } else { 0 };
        } else {
            // No room for more digits: they only decide the rounding, for which a single bit stands.
            value |= u64::from(digit != 0);
            scale += if behind_point { 0 } else { 4 };
        }
    }
    let exponent = exponent.saturating_add(scale);
    // In two halves, so that neither power leaves the range of the numbers.
    let half = exponent / 2;
    Some(value as f64 * 2f64.powi(half) * 2f64.powi(exponent - half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(v: f64) -> String {
        JavaDouble(v).to_string()
    }

    #[test]
    fn numbers_print_as_in_java() {
        let cases = [
            (42.0, "42.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1000.0, "1000.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (0.001, "0.001"),
            (1.5e-5, "1.5E-5"),
            (9.99e-4, "9.99E-4"),
            (1.234_567_890_123_456_8e17, "1.2345678901234568E17"),
            (1e23, "1.0E23"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (5e-324, "4.9E-324"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (v, text) in cases {
            assert_eq!(shown(v), text);
        }
    }

    #[test]
    fn numbers_read_as_in_java() {
        let cases = [
            ("1e3", 1e3),
            ("+5", 5.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1d", 1.0),
            ("1.5F", 1.5),
            (" 7 ", 7.0),
            ("-Infinity", f64::NEG_INFINITY),
            ("1e400", f64::INFINITY),
            ("1e-400", 0.0),
            ("0x1p3", 8.0),
            ("0x1.8p1", 3.0),
            ("-0xA.8p0", -10.5),
            ("0x1.00000000000000000001p0", 1.0),
            ("0x10000000000000000p0", 18_446_744_073_709_551_616.0),
        ];
        for (text, v) in cases {
            assert_eq!(parse_double(text), Some(v), "{text}");
        }
        assert!(parse_double("NaN").is_some_and(f64::is_nan));
        for text in [
            "", "-", "abc", "inf", "nan", "infinity", "0x1F", "1_000", "1e", "--1", "1 2", "NaNd",
            ".", "0xp1", "e5",
        ] {
            assert_eq!(parse_double(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bits in any::<u64>()) {
            let v = f64::from_bits(bits);
            let back = parse_double(&shown(v)).expect("a printed number");
            prop_assert!(back.to_bits() == v.to_bits() || (v.is_nan() && back.is_nan()));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9a-fxXpPeE.dNI ]{0,24}") {
            parse_double(&text);
        }
    }
}
