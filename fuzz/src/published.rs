//! What holds for the datapoints of a payload, however it was written.

use hesper_hot::log::record::ClientId;
use hesper_ingest::IngestError;
use hesper_ingest::atlas::{self, Encoding, flat};
use hesper_ingest::router::Datapoint;
use hesper_model::{Step, Timestamp};
use serde_json::{Value, json};

use super::nowhere::{self, NOW};

/// More tags than this never come of an input of fuzzing, which is a few KiB long.
const MAX_TAGS_PER_BYTE: usize = 100;

/// An error is read by people.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Reads a body as each of the payloads.
pub(crate) fn check(body: &[u8], encoding: Encoding) {
    check_read(body, || atlas::decode(body, encoding));
    check_read(body, || atlas::decode_list(body, encoding));
    check_read(body, || flat::decode(body, encoding));
    let step = Step::from_secs(60);
    check_read(body, || flat::decode_update(body, encoding, step, NOW));
}

fn check_read(body: &[u8], read: impl Fn() -> Result<Vec<Datapoint>, IngestError>) {
    let (first, second) = (read(), read());
    let datapoints = match (first, second) {
        (Ok(first), Ok(second)) => {
            assert!(same(&first, &second), "the same body, read twice");
            first
        }
        (Err(IngestError::Unreadable(first)), Err(IngestError::Unreadable(second))) => {
            assert_eq!(first, second, "the same body, refused twice");
            assert!(first.contains("Exception: ") && first.len() <= MAX_MESSAGE_BYTES);
            return;
        }
        other => panic!("a body has nothing to do with the store: {other:?}"),
    };
    let tags: usize = datapoints.iter().map(|d| d.tags.len()).sum();
    assert!(tags <= MAX_TAGS_PER_BYTE * body.len(), "{tags} tags");
    check_written(&datapoints);
    check_taken(&datapoints);
}

/// Datapoints that are written out in any form read back as what they are.
fn check_written(datapoints: &[Datapoint]) {
    let list = Value::Array(datapoints.iter().map(object).collect());
    let object = json!({"metrics": list});
    let flat = flat_list(datapoints);
    let json = |value: &Value| value.to_string().into_bytes();
    let smile = |value: &Value| serde_smile::to_vec(value).expect("a value as any");
    for (encoding, write) in [
        (Encoding::Json, &json as &dyn Fn(&Value) -> Vec<u8>),
        (Encoding::Smile, &smile),
    ] {
        let again = [
            atlas::decode(&write(&object), encoding),
            atlas::decode_list(&write(&list), encoding),
            flat::decode(&write(&flat), encoding),
        ];
        for again in again {
            let again = again.expect("just written");
            assert!(same(datapoints, &again), "{datapoints:?} became {again:?}");
        }
    }
}

/// Each datapoint is taken, or refused with a reason.
fn check_taken(datapoints: &[Datapoint]) {
    let router = nowhere::router();
    let published = router.publish(datapoints, ClientId::NONE, 0, NOW);
    let published = published.expect("room for a few");
    let refused = published.refused;
    assert_eq!(
        published.accepted as usize + refused.len(),
        datapoints.len()
    );
    for refused in refused {
        assert!(refused.index < datapoints.len() && !refused.message.is_empty());
        assert!(!refused.reason.name().is_empty());
    }
}

fn same(a: &[Datapoint], b: &[Datapoint]) -> bool {
    let plain = |d: &Datapoint| (d.tags.clone(), d.time, bits(d.value));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| plain(a) == plain(b))
}

/// A NaN is written as a text, without its payload.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN } else { value }.to_bits()
}

fn object(datapoint: &Datapoint) -> Value {
    let Datapoint { tags, time, value } = datapoint;
    let tags: serde_json::Map<String, Value> =
        tags.iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
    json!({"tags": tags, "timestamp": time.millis(), "value": number(*value)})
}

fn number(value: f64) -> Value {
    match value {
        v if v.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        v => v.into(),
    }
}

fn flat_list(datapoints: &[Datapoint]) -> Value {
    let mut texts = Vec::<Value>::new();
    let mut items = vec![Value::from(datapoints.len())];
    for Datapoint { tags, time, value } in datapoints {
        items.extend(["".into(), tags.len().into()]);
        for (key, value) in tags.iter() {
            for text in [key, value] {
                items.push(texts.len().into());
                texts.push(text.into());
            }
        }
        let Timestamp(millis) = *time;
        items.extend([millis.into(), number(*value)]);
    }
    let mut list = vec![Value::from(texts.len())];
    list.append(&mut texts);
    list.append(&mut items);
    Value::Array(list)
}
