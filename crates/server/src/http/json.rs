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
}

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
    fn what_json_lacks_is_a_text() {
        let numbers = [1.0, 0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Number);
        assert_eq!(
            serde_json::to_string(&numbers).expect("plain"),
            r#"[1.0,0.1,"NaN","Infinity","-Infinity"]"#
        );
    }
}
