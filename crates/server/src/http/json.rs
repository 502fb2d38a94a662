//! Numbers in JSON: those that JSON does not have are written as texts.

use serde::{Serialize, Serializer};

/// A number of an answer; NaN and the infinities as `"NaN"`, `"Infinity"` and `"-Infinity"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub f64);

impl Number {
    /// The word for a number that JSON does not have.
    fn word(self) -> Option<&'static str> {
        match self.0 {
            v if v.is_nan() => Some("NaN"),
            f64::INFINITY => Some("Infinity"),
            f64::NEG_INFINITY => Some("-Infinity"),
            _ => None,
        }
    }

    /// Appends the number as JSON, exactly as it is serialised.
    pub fn write(self, out: &mut Vec<u8>) {
        let v = self.0;
        if let Some(word) = self.word() {
            out.push(b'"');
            out.extend_from_slice(word.as_bytes());
            out.push(b'"');
            return;
        }
        // Counts and gauges mostly are whole: their digits need not be searched for, and most have few.
        if (0.0..SMALL).contains(&v) && f64::from(v as u16) == v && v.is_sign_positive() {
            return write_small(v as u16, out);
        }
        if v.abs() < WHOLE && (v as i64) as f64 == v && (v != 0.0 || v.is_sign_positive()) {
            out.extend_from_slice(itoa::Buffer::new().format(v as i64).as_bytes());
            out.extend_from_slice(b".0");
            return;
        }
        serde_json::to_writer(out, &v).expect("a number, into memory");
    }
}

/// Whole numbers below this have four digits at most.
const SMALL: f64 = 10_000.0;

/// Writes a whole number below [`SMALL`], its digits and `.0`, as eight bytes of which those that are not meant are taken back.
#[inline]
fn write_small(n: u16, out: &mut Vec<u8>) {
    let digit = |n: u16| b'0' + (n % 10) as u8;
    let digits = [digit(n / 1000), digit(n / 100), digit(n / 10), digit(n)];
    let [a, b, c, d] = digits;
    let leading_zeros = usize::from(n < 1000) + usize::from(n < 100) + usize::from(n < 10);
    let all = u64::from_le_bytes([a, b, c, d, b'.', b'0', 0, 0]);
    let len = out.len() + digits.len() + 2 - leading_zeros;
    out.extend_from_slice(&(all >> (8 * leading_zeros)).to_le_bytes());
    out.truncate(len);
}

/// Whole numbers below this have all their digits before the point.
const WHOLE: f64 = 1e15;

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.word() {
            Some(word) => serializer.serialize_str(word),
            None => serializer.serialize_f64(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_serialised() {
        let mut numbers = vec![0.0, -0.0, 1.0, -1.0, 9.0, 10.0, 0.1, 1e14, 1e15, 1e16, 1e17];
        numbers.extend([
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN,
            f64::MAX,
        ]);
        numbers.extend([f64::EPSILON, f64::MIN_POSITIVE, 5e-324, 123_456.789, 27.5]);
        numbers.extend([999_999_999_999_999.0, -999_999_999_999_999.0, 1e15 - 0.125]);
        let mut bits = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..20_000 {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            numbers.push(f64::from_bits(bits));
            numbers.push((bits >> (bits % 60)) as f64);
            numbers.push((bits % 12_000) as f64);
            numbers.push((bits >> 40) as f64 / 60.0);
        }
        let mut text = Vec::new();
        for number in numbers.into_iter().map(Number) {
            text.clear();
            number.write(&mut text);
            let serialised = serde_json::to_vec(&number).expect("plain");
            assert_eq!(text, serialised, "{number:?}");
        }
    }

    #[test]
    fn what_json_lacks_is_a_text() {
        let numbers = [1.0, 0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Number);
        assert_eq!(
            serde_json::to_string(&numbers).expect("plain"),
            r#"[1.0,0.1,"NaN","Infinity","-Infinity"]"#
        );
    }
}
