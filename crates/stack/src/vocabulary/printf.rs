//! Patterns of the word `:format`: a part of C's `printf`, with limits on width and precision.
//!
//! `%[index$][flags][width][.precision]type` with the flags `-`, `+`, blank and `0`, and the types `s`, `d`, `u`, `x`, `X`, `f`.

use crate::error::StackError;
use crate::number::parse_double;
use crate::value::Value;

const MAX_WIDTH: usize = 256;
const MAX_TEXT_PRECISION: usize = 256;
const MAX_NUMBER_PRECISION: usize = 32;
/// The longest result.
const MAX_BYTES: usize = 64 * 1024;

/// Fills arguments into a pattern.
///
/// # Errors
/// When the pattern is malformed, an argument is missing or not of the type asked for, or the result too long.
pub(super) fn format(pattern: &str, args: &[Value]) -> Result<String, StackError> {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    let mut next_index = 0i64;
    while at < pattern.len() {
        if pattern[at] != '%' {
            out.push(pattern[at]);
            at += 1;
            continue;
        }
        if pattern.get(at + 1) == Some(&'%') {
            out.push('%');
            at += 2;
            continue;
        }
        let start = at;
        let (specifier, index) = Specifier::read(&pattern, &mut at)?;
        let index = match index {
            Some(index) => {
                next_index = next_index.max(index + 1);
                index
            }
            None => {
                next_index += 1;
                next_index - 1
            }
        };
        if index >= args.len() as i64 {
            return Err(StackError::IllegalArgument(format!(
                "missing argument at index {index} for format specifier at position {start}"
            )));
        }
        let arg = usize::try_from(index)
            .map_err(|_| StackError::IndexOutOfBounds(index.to_string()))
            .map(|i| &args[i])?;
        out.push_str(&specifier.fill(arg)?);
        if out.len() > MAX_BYTES {
            return Err(StackError::IllegalState(format!(
                "text is too long: the limit is {MAX_BYTES} bytes"
            )));
        }
    }
    Ok(out)
}

#[derive(Default)]
struct Specifier {
    left: bool,
    plus: bool,
    blank: bool,
    zeros: bool,
    width: usize,
    precision: Option<usize>,
    kind: char,
}

fn illegal<T>(text: String) -> Result<T, StackError> {
    Err(StackError::IllegalArgument(text))
}

impl Specifier {
    /// Reads the specifier behind a percent sign, and the index of its argument if it names one.
    fn read(pattern: &[char], at: &mut usize) -> Result<(Self, Option<i64>), StackError> {
        let mut specifier = Self::default();
        *at += 1;
        let before_index = *at;
        let mut index = None;
        match (digits(pattern, at)?, pattern.get(*at)) {
            (Some(number), Some('$')) => {
                *at += 1;
                index = Some(number as i64 - 1);
            }
            _ => *at = before_index,
        }
        while let Some(flag) = pattern.get(*at) {
            match flag {
                '-' => specifier.left = true,
                '+' => specifier.plus = true,
                ' ' => specifier.blank = true,
                '0' => specifier.zeros = true,
                _ => break,
            }
            *at += 1;
        }
        if let Some(width) = digits(pattern, at)? {
            if !(1..=MAX_WIDTH).contains(&width) {
                return illegal(format!(
                    "width must be between 1 and {MAX_WIDTH}, got: {width}"
                ));
            }
            specifier.width = width;
        }
        if pattern.get(*at) == Some(&'.') {
            *at += 1;
            specifier.precision = digits(pattern, at)?;
            if specifier.precision.is_none() {
                return illegal(format!(
                    "missing precision value after '.' at position {at}"
                ));
            }
        }
        let Some(&kind) = pattern.get(*at) else {
            return illegal(format!("missing type specifier at position {at}"));
        };
        if !"sduxXf".contains(kind) {
            return illegal(format!("invalid type specifier '{kind}' at position {at}"));
        }
        *at += 1;
        specifier.kind = kind;
        specifier.check()?;
        Ok((specifier, index))
    }

    fn check(&self) -> Result<(), StackError> {
        if let Some(precision) = self.precision {
            let max = match self.kind {
                's' => MAX_TEXT_PRECISION,
                'f' => MAX_NUMBER_PRECISION,
                kind => return illegal(format!("precision not allowed for type {kind}")),
            };
            if precision > max {
                return illegal(format!(
                    "precision must be between 0 and {max} for type {}, got: {precision}",
                    self.kind
                ));
            }
        }
        if self.kind == 's' && self.zeros {
            return illegal("zero padding not allowed for string type".to_owned());
        }
        if self.kind == 's' && (self.plus || self.blank) {
            return illegal("sign flags not allowed for string type".to_owned());
        }
        Ok(())
    }

    fn fill(&self, arg: &Value) -> Result<String, StackError> {
        let (sign, digits) = match self.kind {
            's' => {
                let text = arg.to_string();
                let precision = self.precision.unwrap_or(usize::MAX);
                return Ok(self.pad("", &text.chars().take(precision).collect::<String>()));
            }
            'f' => self.fraction(arg)?,
            kind => {
                let value = match arg {
                    Value::Text(text) => text
                        .parse::<i64>()
                        .map_err(|_| StackError::not_a_number(text))?,
                    other => return illegal(format!("cannot format {other} as integer")),
                };
                match kind {
                    'd' => (self.sign(value < 0), value.unsigned_abs().to_string()),
                    'u' => ("", (value as u64).to_string()),
                    'x' => ("", format!("{value:x}")),
                    _ => ("", format!("{value:X}")),
                }
            }
        };
        Ok(self.pad(sign, &digits))
    }

    fn fraction(&self, arg: &Value) -> Result<(&'static str, String), StackError> {
        let value = match arg {
            Value::Text(text) => {
                parse_double(text).ok_or_else(|| StackError::not_a_number(text))?
            }
            other => return illegal(format!("cannot format {other} as float")),
        };
        let precision = self.precision.unwrap_or(6);
        let magnitude = value.abs();
        let digits = if magnitude.is_nan() {
            "NaN".to_owned()
        } else if magnitude.is_infinite() {
            "∞".to_owned()
        } else {
            // Behind the shortest digits that read back Java shows zeros.
            let exact = format!("{magnitude:.precision$}");
            match magnitude {
                m if m >= 1e17 => {
                    let fraction = exact.find('.').map_or("", |point| &exact[point..]);
                    format!("{m}{fraction}")
                }
                _ => exact,
            }
        };
        Ok((self.sign(value < 0.0), digits))
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.blank) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        }
    }

    fn pad(&self, sign: &str, text: &str) -> String {
        let missing = self
            .width
            .saturating_sub(sign.chars().count() + text.chars().count());
        match (self.left, self.zeros) {
            (true, _) => format!("{sign}{text}{}", " ".repeat(missing)),
            (_, true) => format!("{sign}{}{text}", "0".repeat(missing)),
            _ => format!("{}{sign}{text}", " ".repeat(missing)),
        }
    }
}

fn digits(pattern: &[char], at: &mut usize) -> Result<Option<usize>, StackError> {
    let start = *at;
    while pattern.get(*at).is_some_and(char::is_ascii_digit) {
        *at += 1;
    }
    if start == *at {
        return Ok(None);
    }
    let text: String = pattern[start..*at].iter().collect();
    let number: i32 = text.parse().map_err(|_| StackError::not_a_number(&text))?;
    Ok(Some(number as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(pattern: &str, args: &[&str]) -> Result<String, StackError> {
        let args: Vec<Value> = args.iter().map(|a| Value::text(*a)).collect();
        format(pattern, &args)
    }

    #[test]
    fn arguments_are_filled_in() {
        let ok = |pattern, args: &[&str]| filled(pattern, args).expect("a valid pattern");
        assert_eq!(ok("%s-%s 100%%", &["a", "b"]), "a-b 100%");
        assert_eq!(ok("%2$s%1$s%s", &["a", "b", "c"]), "bac");
        assert_eq!(ok("%5s|%-5s|%.2s", &["ab", "ab", "abc"]), "   ab|ab   |ab");
        assert_eq!(ok("%05d %+d % d", &["-42", "7", "7"]), "-0042 +7  7");
        assert_eq!(
            ok("%x %X %u", &["255", "255", "-1"]),
            "ff FF 18446744073709551615"
        );
        assert_eq!(ok("%.2f %f", &["2.005", "-1"]), "2.00 -1.000000");
        assert_eq!(ok("%.0f", &["123456789012345678"]), "123456789012345680");
    }

    #[test]
    fn patterns_are_checked() {
        let error =
            |pattern, args: &[&str]| filled(pattern, args).expect_err("refused").to_string();
        assert_eq!(
            error("%s", &[]),
            "IllegalArgumentException: missing argument at index 0 for format specifier at position 0"
        );
        assert_eq!(
            error("%300s", &["a"]),
            "IllegalArgumentException: width must be between 1 and 256, got: 300"
        );
        assert_eq!(
            error("%q", &["a"]),
            "IllegalArgumentException: invalid type specifier 'q' at position 1"
        );
        assert_eq!(
            error("%", &["a"]),
            "IllegalArgumentException: missing type specifier at position 1"
        );
        assert_eq!(
            error("%d", &["a"]),
            "NumberFormatException: For input string: \"a\""
        );
        assert_eq!(error("%0$s", &["a"]), "IndexOutOfBoundsException: -1");
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in "[%$0-9. +sduxXf-]{0,16}", arg in "\\PC{0,6}") {
            let _ = filled(&pattern, &[&arg, "-9223372036854775808"]);
        }
    }
}
