//! The parts of Atlas's payloads, read from any format that has objects, lists, texts and numbers.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The time of a datapoint that names none: older than anything.
const NO_TIME: i64 = -1;

/// Marks an error as a value of the wrong kind; then how far back the reader stands, and the text.
pub(super) const MISMATCH: &str = "\u{1}mismatch:";
/// Marks an error as an unknown field.
pub(super) const INVALID_FIELD: &str = "\u{1}field:";

fn mismatch<E: Error>(expected: &str, received: &str, back: usize) -> E {
    E::custom(format!(
        "{MISMATCH}{back}|expected {expected} but received {received}"
    ))
}

/// A datapoint as it is written, without the common tags.
pub(super) struct RawDatapoint {
    pub(super) tags: Vec<(String, String)>,
    pub(super) time: i64,
    pub(super) value: f64,
}

/// What a payload consists of.
#[derive(Default)]
pub(super) struct PayloadParts {
    pub(super) common: Vec<(String, String)>,
    pub(super) raw: Vec<RawDatapoint>,
}

/// An object of common tags and datapoints.
pub(super) struct Payload;

impl<'de> DeserializeSeed<'de> for Payload {
    type Value = PayloadParts;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<PayloadParts, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Payload {
    type Value = PayloadParts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with tags and metrics")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PayloadParts, A::Error> {
        let mut parts = PayloadParts::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "tags" => parts.common = map.next_value_seed(TagMap)?,
                "metrics" => parts.raw = map.next_value_seed(Datapoints)?,
                other => return Err(A::Error::custom(format!("{INVALID_FIELD}{other}"))),
            }
        }
        Ok(parts)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<PayloadParts, A::Error> {
        Err(mismatch("START_OBJECT", "START_ARRAY", 0))
    }

    fn visit_unit<E: Error>(self) -> Result<PayloadParts, E> {
        Err(mismatch("START_OBJECT", "VALUE_NULL", 0))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PayloadParts, E> {
        Err(mismatch("START_OBJECT", "VALUE_STRING", text.len() + 1))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<PayloadParts, E> {
        Err(mismatch("START_OBJECT", "VALUE_TRUE", 0))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<PayloadParts, E> {
        Err(mismatch("START_OBJECT", "VALUE_NUMBER_INT", 0))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<PayloadParts, E> {
        Err(mismatch("START_OBJECT", "VALUE_NUMBER_INT", 0))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<PayloadParts, E> {
        Err(mismatch("START_OBJECT", "VALUE_NUMBER_FLOAT", 0))
    }
}

struct TagMap;

impl<'de> DeserializeSeed<'de> for TagMap {
    type Value = Vec<(String, String)>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TagMap {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tags")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut tags = Vec::with_capacity(8);
        while let Some(key) = map.next_key::<String>()? {
            if let Some(value) = map.next_value_seed(TagValue)? {
                tags.push((key, value));
            }
        }
        Ok(tags)
    }
}

/// The text of a tag; anything else is no tag.
struct TagValue;

impl<'de> DeserializeSeed<'de> for TagValue {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TagValue {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tag value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(Some(text))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(mismatch("VALUE_STRING", "START_ARRAY", 0))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(mismatch("VALUE_STRING", "START_OBJECT", 0))
    }
}

/// A list of datapoints.
pub(super) struct Datapoints;

impl<'de> DeserializeSeed<'de> for Datapoints {
    type Value = Vec<RawDatapoint>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Datapoints {
    type Value = Vec<RawDatapoint>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of datapoints")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut datapoints = Vec::new();
        while let Some(datapoint) = seq.next_element_seed(OneDatapoint)? {
            datapoints.push(datapoint);
        }
        Ok(datapoints)
    }
}

struct OneDatapoint;

impl<'de> DeserializeSeed<'de> for OneDatapoint {
    type Value = RawDatapoint;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<RawDatapoint, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneDatapoint {
    type Value = RawDatapoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a datapoint")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawDatapoint, A::Error> {
        let mut datapoint = RawDatapoint {
            tags: Vec::new(),
            time: NO_TIME,
            value: f64::NAN,
        };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "tags" => datapoint.tags = map.next_value_seed(TagMap)?,
                "timestamp" | "start" => datapoint.time = map.next_value_seed(Time)?,
                "value" => datapoint.value = map.next_value_seed(Value { list: false })?,
                "values" => datapoint.value = map.next_value_seed(Value { list: true })?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(datapoint)
    }
}

/// A whole number of milliseconds.
pub(super) struct Time;

impl<'de> DeserializeSeed<'de> for Time {
    type Value = i64;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<i64, D::Error> {
        d.deserialize_any(self)
    }
}

const INTEGER: &str = "VALUE_NUMBER_INT";

impl<'de> Visitor<'de> for Time {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time in milliseconds")
    }

    fn visit_i64<E: Error>(self, time: i64) -> Result<i64, E> {
        Ok(time)
    }

    fn visit_u64<E: Error>(self, time: u64) -> Result<i64, E> {
        i64::try_from(time).map_err(|_| E::custom("a time beyond the range of milliseconds"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<i64, E> {
        Err(mismatch(INTEGER, "VALUE_NUMBER_FLOAT", 0))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i64, E> {
        Err(mismatch(INTEGER, "VALUE_STRING", text.len() + 1))
    }

    fn visit_unit<E: Error>(self) -> Result<i64, E> {
        Err(mismatch(INTEGER, "VALUE_NULL", 0))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<i64, E> {
        Err(mismatch(INTEGER, boolean(value), 0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<i64, A::Error> {
        Err(mismatch(INTEGER, "START_ARRAY", 0))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<i64, A::Error> {
        Err(mismatch(INTEGER, "START_OBJECT", 0))
    }
}

fn boolean(value: bool) -> &'static str {
    if value { "VALUE_TRUE" } else { "VALUE_FALSE" }
}

/// A number, a text that is one, and for `values` also a list whose first element counts.
pub(super) struct Value {
    /// A list is taken for its first element.
    pub(super) list: bool,
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<f64, D::Error> {
        d.deserialize_any(self)
    }
}

const FLOAT: &str = "VALUE_NUMBER_FLOAT";

impl<'de> Visitor<'de> for Value {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
        let text = text.trim();
        // Rust reads "inf" and "nan" in any case, Atlas's only the words below.
        match text {
            "NaN" => Ok(f64::NAN),
            "Infinity" | "+Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            _ if text.ends_with(|c: char| c.is_ascii_digit() || c == '.') => text
                .parse()
                .map_err(|_| E::custom(format!("not a number: \"{text}\""))),
            _ => Err(E::custom(format!("not a number: \"{text}\""))),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<f64, E> {
        Err(mismatch(FLOAT, "VALUE_NULL", 0))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<f64, E> {
        Err(mismatch(FLOAT, boolean(value), 0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<f64, A::Error> {
        if !self.list {
            return Err(mismatch(FLOAT, "START_ARRAY", 0));
        }
        let first = seq.next_element_seed(Value { list: false })?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first.unwrap_or(f64::NAN))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<f64, A::Error> {
        Err(mismatch(FLOAT, "START_OBJECT", 0))
    }
}
