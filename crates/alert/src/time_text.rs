//! Times in JSON: `2026-01-05T02:00:00Z`, with milliseconds where there are any.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, SecondsFormat};
use hesper_model::Timestamp;
use serde::{Deserialize, Deserializer, Serializer, de, ser};

/// The years that RFC 3339 can write: four digits.
const YEARS: RangeInclusive<i32> = 0..=9999;

/// The text of a time; `None` beyond those years.
pub fn format(time: Timestamp) -> Option<String> {
    let time = DateTime::from_timestamp_millis(time.millis())?;
    if !YEARS.contains(&time.year()) {
        return None;
    }
    Some(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    match format(*time) {
        Some(text) => serializer.serialize_str(&text),
        None => Err(ser::Error::custom(format!("time {time} is out of range"))),
    }
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    DateTime::parse_from_rfc3339(&text)
        .map(|time| Timestamp(time.timestamp_millis()))
        .map_err(|_| de::Error::custom(format!("{text:?} is no time")))
}

/// The same for a time that may be absent.
pub mod option {
    use super::*;

    pub fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        #[derive(Deserialize)]
        struct Present(#[serde(with = "super")] Timestamp);
        Ok(Option::<Present>::deserialize(deserializer)?.map(|present| present.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Serialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Times {
        #[serde(with = "super")]
        at: Timestamp,
        #[serde(with = "super::option", default)]
        end: Option<Timestamp>,
    }

    #[test]
    fn times_are_readable() {
        let times = Times {
            at: Timestamp(1_767_578_400_000),
            end: Some(Timestamp(1_767_578_400_250)),
        };
        let text = serde_json::to_string(&times).expect("in range");
        assert_eq!(
            text,
            r#"{"at":"2026-01-05T02:00:00Z","end":"2026-01-05T02:00:00.250Z"}"#
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let read = |text: &str| serde_json::from_str::<Times>(text);
        assert_eq!(
            read(r#"{"at":"1970-01-01T00:00:01Z","end":null}"#).expect("no end"),
            Times {
                at: Timestamp(1000),
                end: None
            }
        );
        let error = read(r#"{"at":"soon"}"#).expect_err("no time");
        assert!(error.to_string().contains("\"soon\" is no time"), "{error}");
        for beyond in [i64::MAX, 253_402_300_800_000, -62_167_219_200_001] {
            let beyond = Times {
                at: Timestamp(beyond),
                end: None,
            };
            assert!(serde_json::to_string(&beyond).is_err());
        }
    }

    proptest! {
        #[test]
        fn times_read_back(at in -62_167_219_200_000i64..253_402_300_800_000, end: Option<i32>) {
            let times = Times { at: Timestamp(at), end: end.map(|e| Timestamp(e.into())) };
            let text = serde_json::to_string(&times).expect("in range");
            prop_assert_eq!(serde_json::from_str::<Times>(&text).expect("just written"), times);
        }
    }
}
