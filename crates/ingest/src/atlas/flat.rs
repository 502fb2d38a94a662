//! Payloads with a table of texts: one flat list, in which a tag is two numbers.
//!
//! ```text
//! batch     = count text* count datapoint*
//! datapoint = id tags time value              id: 40 hexadecimal digits, which are not needed here
//! update    = count text* (tags op value)*    op: 0 adds to the step, 10 keeps the highest of it
//! tags      = count (key value)*              places in the table
//! ```
//! The batch is the "compact" form among Atlas's publish payloads; the update is what aggregators of Atlas take (`/api/v4/update`), from agents such
//! as spectatord. An update has no time: it is of the moment at which it arrives.

use std::fmt;
use std::marker::PhantomData;

use hesper_model::{Step, Tags, Timestamp};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

use super::Encoding;
use super::payload::{Time, Value};
use crate::router::{Datapoint, IngestError};

/// The most texts, and the most tags of a datapoint, as Atlas has it.
const MAX_COUNT: usize = 100_000;

/// How an update meets what its step holds already.
const ADD: u64 = 0;
const MAX: u64 = 10;

/// Reads a batch.
///
/// # Errors
/// When it is not of the format; the text is for the sender.
pub fn decode(body: &[u8], encoding: Encoding) -> Result<Vec<Datapoint>, IngestError> {
    encoding.read(Batch, body)
}

/// Reads an update that arrives at `now`. What is added up are amounts, and series hold rates: they are divided by the step.
///
/// # Errors
/// When it is not of the format; the text is for the sender.
pub fn decode_update(
    body: &[u8],
    encoding: Encoding,
    step: Step,
    now: Timestamp,
) -> Result<Vec<Datapoint>, IngestError> {
    encoding.read(Update { step, now }, body)
}

/// The next item of a list that must have one.
fn next<'de, A: SeqAccess<'de>, S: DeserializeSeed<'de>>(
    list: &mut A,
    seed: S,
    what: &str,
) -> Result<S::Value, A::Error> {
    list.next_element_seed(seed)?
        .ok_or_else(|| A::Error::custom(format!("the list ends where {what} is expected")))
}

/// The next item as it is.
fn plain<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(
    list: &mut A,
    what: &str,
) -> Result<T, A::Error> {
    next(list, PhantomData::<T>, what)
}

/// Refuses counts that are larger than any sender needs.
fn bounded<E: Error>(count: u64) -> Result<usize, E> {
    match usize::try_from(count).ok().filter(|n| *n <= MAX_COUNT) {
        Some(count) => Ok(count),
        None => Err(E::custom(format!(
            "requested buffer size exceeds limit ({count} > {MAX_COUNT})"
        ))),
    }
}

fn texts<'de, A: SeqAccess<'de>>(list: &mut A) -> Result<Vec<String>, A::Error> {
    let count = bounded(plain(list, "the number of texts")?)?;
    (0..count).map(|_| plain(list, "a text")).collect()
}

/// Reads so many tags.
fn pairs<'de, 't, A: SeqAccess<'de>>(
    list: &mut A,
    texts: &'t [String],
    count: u64,
) -> Result<Vec<(&'t str, &'t str)>, A::Error> {
    let mut place = |what| {
        let place: u64 = plain(list, what)?;
        let text = usize::try_from(place).ok().and_then(|p| texts.get(p));
        text.map(String::as_str)
            .ok_or_else(|| A::Error::custom(format!("no text has number {place}")))
    };
    (0..bounded(count)?)
        .map(|_| Ok((place("a key")?, place("a value")?)))
        .collect()
}

struct Batch;

impl<'de> DeserializeSeed<'de> for Batch {
    type Value = Vec<Datapoint>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Batch {
    type Value = Vec<Datapoint>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a flat list of texts and datapoints")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let texts = texts(&mut list)?;
        let count: u64 = plain(&mut list, "the number of datapoints")?;
        let mut datapoints = Vec::new();
        for _ in 0..count {
            let _id: String = plain(&mut list, "an id")?;
            let tags = plain(&mut list, "the number of tags")?;
            datapoints.push(Datapoint {
                tags: Tags::from_pairs(pairs(&mut list, &texts, tags)?),
                time: Timestamp(next(&mut list, Time, "a time")?),
                value: next(&mut list, Value { list: false }, "a value")?,
            });
        }
        match list.next_element::<IgnoredAny>()? {
            None => Ok(datapoints),
            Some(_) => Err(A::Error::custom("there is more than the datapoints")),
        }
    }
}

struct Update {
    step: Step,
    now: Timestamp,
}

impl<'de> DeserializeSeed<'de> for Update {
    type Value = Vec<Datapoint>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Update {
    type Value = Vec<Datapoint>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a flat list of texts and updates")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let texts = texts(&mut list)?;
        let mut datapoints = Vec::new();
        while let Some(tags) = list.next_element::<u64>()? {
            let mut pairs = pairs(&mut list, &texts, tags)?;
            let op: u64 = plain(&mut list, "an operation")?;
            let value = next(&mut list, Value { list: false }, "a value")?;
            let (source, value) = match op {
                ADD => ("sum", value / self.step.seconds()),
                MAX => ("gauge", value),
                other => {
                    return Err(A::Error::custom(format!(
                        "unknown operation {other}; there are {ADD}, to add, and {MAX}, to keep the highest"
                    )));
                }
            };
            pairs.push(("atlas.dstype", source));
            datapoints.push(Datapoint {
                tags: Tags::from_pairs(pairs),
                time: self.now,
                value,
            });
        }
        Ok(datapoints)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_767_578_400_000);

    fn update(body: &str) -> Result<Vec<Datapoint>, String> {
        let step = Step::from_secs(5);
        decode_update(body.as_bytes(), Encoding::Json, step, NOW).map_err(|e| e.to_string())
    }

    #[test]
    fn a_batch_names_its_texts_once() {
        let body = r#"[4,"name","a","b","zone",2,"00",1,0,1,60000,1.5,"01",2,0,2,3,1,60000,"NaN"]"#;
        let datapoints = decode(body.as_bytes(), Encoding::Json).expect("read");
        let tags: Vec<String> = datapoints.iter().map(|d| d.tags.to_string()).collect();
        assert_eq!(tags, ["name=a", "name=b, zone=a"]);
        assert_eq!(
            (datapoints[0].time, datapoints[0].value),
            (Timestamp(60_000), 1.5)
        );
        assert!(datapoints[1].value.is_nan());
    }

    #[test]
    fn an_update_adds_or_keeps_the_highest() {
        let body = r#"[4,"name","a","statistic","max",1,0,1,0,10,2,0,1,2,3,10,7]"#;
        let datapoints = update(body).expect("read");
        assert_eq!(datapoints[0].tags.to_string(), "atlas.dstype=sum, name=a");
        assert_eq!((datapoints[0].time, datapoints[0].value), (NOW, 2.0));
        let tags = datapoints[1].tags.to_string();
        assert_eq!(tags, "atlas.dstype=gauge, name=a, statistic=max");
        assert_eq!(datapoints[1].value, 7.0);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        for (body, want) in [
            ("[1,\"a\",1,0,5,0,1]", "no text has number 5"),
            ("[1,\"a\",1,0,0,3,1]", "unknown operation 3"),
            ("[1000000]", "requested buffer size exceeds limit"),
            ("[0,900000]", "requested buffer size exceeds limit"),
            ("[2,\"a\"]", "the list ends where a text is expected"),
            ("{}", "Exception: "),
        ] {
            let error = update(body).expect_err(body);
            assert!(error.contains(want), "{error}");
        }
        let more = decode(b"[0,0,1]", Encoding::Json).expect_err("more");
        assert!(more.to_string().contains("more than the datapoints"));
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(items in prop::collection::vec("[0-9]{1,6}|\"[a-c]{0,2}\"|-1|null|1.5", 0..20)) {
            let body = format!("[{}]", items.join(","));
            let _ = update(&body);
            let _ = decode(body.as_bytes(), Encoding::Json);
        }
    }
}
