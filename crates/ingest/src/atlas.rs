//! Atlas's publish format: a JSON object of common tags and datapoints.
//!
//! ```json
//! {"tags": {"nf.app": "api"}, "metrics": [{"tags": {"name": "x"}, "timestamp": 1767578400000, "value": 1.5}]}
//! ```
//! Read as Atlas reads it: `tags` may come after `metrics`; a datapoint's tags go before the common ones; `start` is an alias of `timestamp`,
//! `values` (a number, or a list whose first counts) of `value`; a value may be a text such as `"NaN"`; unknown fields of a datapoint are
//! ignored, unknown fields of the object are refused; a tag that is no text is passed over.

use std::fmt;

use hesper_model::{Tags, Timestamp};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::router::{Datapoint, IngestError};

/// The time of a datapoint that names none: older than anything.
const NO_TIME: i64 = -1;

/// Reads a body. An empty one has no datapoints.
///
/// # Errors
/// When it is not of the format; the text is for the sender.
pub fn decode(body: &[u8]) -> Result<Vec<Datapoint>, IngestError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let payload = Payload
        .deserialize(&mut reader)
        .and_then(|payload| reader.end().map(|()| payload));
    let payload = payload.map_err(|e| IngestError::Unreadable(explain(&e)))?;
    let common = payload.common;
    let datapoints = payload.raw.into_iter().map(|raw| {
        let mut pairs = common.clone();
        pairs.extend(raw.tags);
        Datapoint {
            tags: Tags::from_pairs(pairs),
            time: Timestamp(raw.time),
            value: raw.value,
        }
    });
    Ok(datapoints.collect())
}

/// Words an error as Atlas does where Atlas has words of its own.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    if let Some(mismatch) = text.strip_prefix(MISMATCH) {
        // The place where Atlas's reader stands: behind the opening quote of a text, behind anything else.
        let (back, text) = mismatch.split_once('|').unwrap_or(("0", mismatch));
        let back: usize = back.parse().unwrap_or(0);
        let column = (error.column() + 1).saturating_sub(back);
        return format!(
            "IllegalArgumentException: {text} (line={}, col={column})",
            error.line()
        );
    }
    if let Some(field) = text.strip_prefix(INVALID_FIELD) {
        return format!("IllegalArgumentException: invalid field: '{field}'");
    }
    format!(
        "StreamReadException: {text} (line={}, col={})",
        error.line(),
        error.column()
    )
}

/// Marks an error as a value of the wrong kind; then how far back the reader stands, and the text.
const MISMATCH: &str = "\u{1}mismatch:";
/// Marks an error as an unknown field.
const INVALID_FIELD: &str = "\u{1}field:";

fn mismatch<E: Error>(expected: &str, received: &str, back: usize) -> E {
    E::custom(format!(
        "{MISMATCH}{back}|expected {expected} but received {received}"
    ))
}

struct RawDatapoint {
    tags: Vec<(String, String)>,
    time: i64,
    value: f64,
}

#[derive(Default)]
struct PayloadParts {
    common: Vec<(String, String)>,
    raw: Vec<RawDatapoint>,
}

struct Payload;

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

struct Datapoints;

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

struct Time;

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
struct Value {
    list: bool,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Result<Vec<(String, i64, f64)>, String> {
        let datapoints = decode(body.as_bytes()).map_err(|e| e.to_string())?;
        let plain = |d: Datapoint| (d.tags.to_string(), d.time.0, d.value);
        Ok(datapoints.into_iter().map(plain).collect())
    }

    #[test]
    fn common_tags_may_come_late_and_give_way() {
        let body = r#"{"metrics":[{"tags":{"name":"x","nf.app":"two"},"timestamp":5,"value":2}],"tags":{"nf.app":"one","zz":"z"}}"#;
        assert_eq!(
            read(body),
            Ok(vec![("name=x, nf.app=two, zz=z".to_owned(), 5, 2.0)])
        );
    }

    #[test]
    fn aliases_texts_and_foreign_fields() {
        let body = r#"{"metrics":[
            {"tags":{"name":"a"},"start":1,"values":[7.0, 8.0]},
            {"tags":{"name":"b","n":5,"m":null},"start":2,"values":7.5,"more":{"x":[1]}},
            {"tags":{"name":"c"},"timestamp":3,"value":"12.5"},
            {"tags":{"name":"d"},"value":"Infinity"}
        ]}"#;
        let expected = [
            ("name=a", 1, 7.0),
            ("name=b", 2, 7.5),
            ("name=c", 3, 12.5),
            ("name=d", -1, f64::INFINITY),
        ];
        let expected = expected.map(|(t, time, v)| (t.to_owned(), time, v));
        assert_eq!(read(body), Ok(expected.to_vec()));
        assert!(
            read(r#"{"metrics":[{"value":"NaN"}]}"#).expect("read")[0]
                .2
                .is_nan()
        );
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("{}"), Ok(vec![]));
    }

    #[test]
    fn errors_are_worded_as_atlas_words_them() {
        let cases = [
            (
                r#"{"tags":{},"metrics":[{"tags":{"name":"pub.test"},"timestamp":"x","value":1}]}"#,
                "IllegalArgumentException: expected VALUE_NUMBER_INT but received VALUE_STRING (line=1, col=64)",
            ),
            (
                r#"{"tags": {}, "metrics": [{"tags": {"name": "pub.test", "nf.app": "pub", "cs": "null"}, "timestamp": 1767578400000, "value": null}]}"#,
                "IllegalArgumentException: expected VALUE_NUMBER_FLOAT but received VALUE_NULL (line=1, col=129)",
            ),
            (
                r#"{"foo": 1}"#,
                "IllegalArgumentException: invalid field: 'foo'",
            ),
        ];
        for (body, want) in cases {
            assert_eq!(read(body), Err(want.to_owned()));
        }
        for broken in [
            "{bad json",
            "[]",
            "null",
            "{\"metrics\":[",
            "{} x",
            "{\"metrics\":[{\"value\":\"inf\"}]}",
        ] {
            let error = read(broken).expect_err(broken);
            assert!(error.contains("Exception: "), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&body);
        }

        #[test]
        fn no_json_makes_it_panic(body in "[\\[\\]{}:,\"0-9.eE\\- a-z]{0,60}") {
            let _ = decode(format!("{{\"metrics\":[{body}").as_bytes());
        }
    }
}
