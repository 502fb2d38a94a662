//! Atlas's publish formats.
//!
//! ```json
//! {"tags": {"nf.app": "api"}, "metrics": [{"tags": {"name": "x"}, "timestamp": 1767578400000, "value": 1.5}]}
//! ```
//! Read as Atlas reads it: `tags` may come after `metrics`; a datapoint's tags go before the common ones; `start` is an alias of `timestamp`,
//! `values` (a number, or a list whose first counts) of `value`; a value may be a text such as `"NaN"`; unknown fields of a datapoint are
//! ignored, unknown fields of the object are refused; a tag that is no text is passed over.
//!
//! The same as a plain list of datapoints ([`decode_list`]), and with a table of texts ([`flat`]). Each in JSON or in Smile, Jackson's binary form of
//! it.

pub mod flat;
mod payload;

use hesper_model::{Tags, Timestamp};
use serde::de::DeserializeSeed;

use self::payload::{Datapoints, INVALID_FIELD, MISMATCH, Payload, PayloadParts, RawDatapoint};
use crate::router::{Datapoint, IngestError};

/// The most tags that the datapoints of a body may have of the common ones, all together: 20 each in the largest body. Otherwise a body of some
/// MiB could ask for terabytes.
const MAX_COMMON_TAGS: usize = 20_000_000;

/// How the structure of a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As text.
    Json,
    /// As Smile (<https://github.com/FasterXML/smile-format-specification>).
    Smile,
}

impl Encoding {
    /// The encoding of a content type; what is not known is taken for JSON, as Atlas does.
    pub fn of_content_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.eq_ignore_ascii_case("application/x-jackson-smile") {
            true => Self::Smile,
            false => Self::Json,
        }
    }

    /// Reads all of a body.
    fn read<'de, S: DeserializeSeed<'de>>(
        self,
        seed: S,
        body: &'de [u8],
    ) -> Result<S::Value, IngestError> {
        match self {
            Self::Json => {
                let mut reader = serde_json::Deserializer::from_slice(body);
                let read = seed
                    .deserialize(&mut reader)
                    .and_then(|read| reader.end().map(|()| read));
                read.map_err(|e| IngestError::Unreadable(explain_json(&e)))
            }
            Self::Smile => {
                let mut reader = serde_smile::Deserializer::from_slice(body);
                let read = reader
                    .read_header()
                    .and_then(|()| seed.deserialize(&mut reader))
                    .and_then(|read| reader.end().map(|()| read));
                read.map_err(|e| IngestError::Unreadable(explain_smile(&e)))
            }
        }
    }
}

/// Reads a body of the usual form, an object. An empty one has no datapoints.
///
/// # Errors
/// When it is not of the format; the text is for the sender.
pub fn decode(body: &[u8], encoding: Encoding) -> Result<Vec<Datapoint>, IngestError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    whole(encoding.read(Payload, body)?)
}

/// Reads a body that is a list of datapoints.
///
/// # Errors
/// When it is not of the format; the text is for the sender.
pub fn decode_list(body: &[u8], encoding: Encoding) -> Result<Vec<Datapoint>, IngestError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let raw = encoding.read(Datapoints, body)?;
    whole(PayloadParts {
        common: Vec::new(),
        raw,
    })
}

/// The datapoints with all their tags.
fn whole(parts: PayloadParts) -> Result<Vec<Datapoint>, IngestError> {
    let PayloadParts { common, raw } = parts;
    let common = Tags::from_pairs(common);
    if common.len().saturating_mul(raw.len()) > MAX_COMMON_TAGS {
        return Err(IngestError::Unreadable(format!(
            "IllegalArgumentException: {} common tags of {} datapoints are more than {MAX_COMMON_TAGS} in all",
            common.len(),
            raw.len()
        )));
    }
    let datapoint = |raw: RawDatapoint| {
        let own = raw.tags.into_iter().map(|(k, v)| (k.into(), v.into()));
        Datapoint {
            tags: Tags::from_pairs(common.pairs().iter().cloned().chain(own)),
            time: Timestamp(raw.time),
            value: raw.value,
        }
    };
    Ok(raw.into_iter().map(datapoint).collect())
}

/// Words an error as Atlas does where Atlas has words of its own.
fn explain_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    let (line, column) = (error.line(), error.column());
    if let Some(mismatch) = text.strip_prefix(MISMATCH) {
        // The place where Atlas's reader stands: behind the opening quote of a text, behind anything else.
        let (back, text) = mismatch.split_once('|').unwrap_or(("0", mismatch));
        let back: usize = back.parse().unwrap_or(0);
        let column = (column + 1).saturating_sub(back);
        return format!("IllegalArgumentException: {text} (line={line}, col={column})");
    }
    explain_field(text)
        .unwrap_or_else(|| format!("StreamReadException: {text} (line={line}, col={column})"))
}

/// The same for Smile, which has no lines.
fn explain_smile(error: &serde_smile::Error) -> String {
    let text = error.to_string();
    if let Some(mismatch) = text.strip_prefix(MISMATCH) {
        let (_, text) = mismatch.split_once('|').unwrap_or(("0", mismatch));
        return format!("IllegalArgumentException: {text}");
    }
    explain_field(&text).unwrap_or_else(|| format!("StreamReadException: {text}"))
}

fn explain_field(text: &str) -> Option<String> {
    let field = text.strip_prefix(INVALID_FIELD)?;
    Some(format!(
        "IllegalArgumentException: invalid field: '{field}'"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> Result<Vec<(String, i64, f64)>, String> {
        let datapoints = decode(body.as_bytes(), Encoding::Json).map_err(|e| e.to_string())?;
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

    #[test]
    fn smile_says_the_same_as_json() {
        let json = r#"{"tags":{"nf.app":"one"},"metrics":[
            {"tags":{"name":"a","zz":null},"timestamp":1767578400000,"value":1.5},
            {"tags":{"name":"b"},"start":2,"values":[7]},{"tags":{"name":"c"},"timestamp":3,"value":"NaN"}]}"#;
        let value: serde_json::Value = serde_json::from_str(json).expect("valid");
        let smile = serde_smile::to_vec(&value).expect("written");
        let text = |datapoints: Vec<Datapoint>| format!("{datapoints:?}");
        let from_smile = decode(&smile, Encoding::Smile).expect("read");
        assert_eq!(from_smile.len(), 3);
        assert_eq!(
            text(from_smile),
            text(decode(json.as_bytes(), Encoding::Json).expect("read"))
        );
        for end in 0..smile.len() {
            let cut = decode(&smile[..end], Encoding::Smile);
            assert!(end == 0 || cut.is_err(), "{end} bytes were enough");
        }
        assert!(decode(json.as_bytes(), Encoding::Smile).is_err());
    }

    #[test]
    fn common_tags_may_not_multiply_without_end() {
        let pairs: Vec<String> = (0..5_000).map(|i| format!("\"{i}\":\"\"")).collect();
        let body = |datapoints: usize| {
            let datapoints = vec!["{}"; datapoints].join(",");
            format!(
                "{{\"tags\":{{{}}},\"metrics\":[{datapoints}]}}",
                pairs.join(",")
            )
        };
        assert_eq!(read(&body(1)).expect("few").len(), 1);
        assert_eq!(
            read(&body(5_000)),
            Err("IllegalArgumentException: 5000 common tags of 5000 datapoints are more than 20000000 in all".to_owned())
        );
    }

    #[test]
    fn values_are_read_to_the_last_digit() {
        for text in [
            "2.9220000000207634e19",
            "29220000000207636451",
            "0.1e-6",
            "5e-324",
        ] {
            let body = format!(r#"{{"metrics":[{{"value":{text}}}]}}"#);
            let value: f64 = text.parse().expect("a number");
            assert_eq!(read(&body).expect("read")[0].2, value, "{text}");
        }
    }

    #[test]
    fn a_list_has_no_common_tags() {
        let body = br#"[{"tags":{"name":"a"},"timestamp":1,"value":2.5}]"#;
        let datapoints = decode_list(body, Encoding::Json).expect("read");
        assert_eq!(datapoints[0].tags.to_string(), "name=a");
        assert!(decode_list(b"{}", Encoding::Json).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in any::<f64>().prop_filter("a number", |v| v.is_finite())) {
            let body = format!(r#"{{"metrics":[{{"value":{value:e}}}]}}"#);
            prop_assert_eq!(read(&body).expect("read")[0].2.to_bits(), value.to_bits());
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&body, Encoding::Json);
            let _ = decode(&body, Encoding::Smile);
            let _ = flat::decode(&body, Encoding::Json);
        }

        #[test]
        fn no_json_makes_it_panic(body in "[\\[\\]{}:,\"0-9.eE\\- a-z]{0,60}") {
            let _ = decode(format!("{{\"metrics\":[{body}").as_bytes(), Encoding::Json);
        }
    }
}
