//! The recorded answers of Atlas: reading them, asking the same, comparing.
//!
//! Numbers agree within 1e-9, relative or absolute. The wall clock in a message is not compared, nor the picture inside v2.json; of a
//! completion only names and signatures are.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::http::{Answer, Http, query_of};

/// The folder of the recordings.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The rows of a packed file of JSON lines.
///
/// # Panics
/// When it cannot be read: the recordings are part of the repository.
pub fn rows<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let path = folder().join(name);
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = String::new();
    GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{name}: {e}")))
        .collect()
}

/// A series of the data set.
#[derive(Deserialize)]
pub struct RecordedSeries {
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The time of the first value, in seconds.
    pub start: i64,
    /// The distance between values, in seconds.
    pub step: i64,
    /// The values.
    pub values: Vec<Option<f64>>,
}

/// A recorded case.
#[derive(Deserialize)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// What it is about.
    pub area: String,
    /// What was asked.
    pub request: RecordedRequest,
    /// The status.
    #[serde(default)]
    pub status: u16,
    /// The content type.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// The body: under `json`, `text`, or the first bytes under `binary`.
    #[serde(default)]
    pub response: Value,
    /// Where the next page begins.
    #[serde(default)]
    pub next_offset: Option<String>,
    /// Only the status is compared.
    #[serde(default)]
    pub shape_only: bool,
}

/// A recorded request.
#[derive(Deserialize)]
pub struct RecordedRequest {
    method: Option<String>,
    path: String,
    #[serde(default)]
    params: Vec<(String, String)>,
    raw_query: Option<String>,
    body: Option<String>,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
}

impl RecordedRequest {
    /// Asks a server the same.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn send(&self, http: &Http) -> Result<Answer, String> {
        let mut target = self.path.clone();
        let params: Vec<(&str, &str)> = self
            .params
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        if !params.is_empty() {
            target = format!("{target}?{}", query_of(&params));
        }
        if let Some(query) = &self.raw_query {
            target = format!("{target}?{query}");
        }
        let json = [("Content-Type", "application/json")];
        let headers: Vec<(&str, &str)> = match (&self.headers, &self.body) {
            (Some(headers), _) => headers
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect(),
            (None, Some(body)) if !body.is_empty() => json.to_vec(),
            _ => Vec::new(),
        };
        let body = self.body.clone().unwrap_or_default().into_bytes();
        let method = self.method.as_deref().unwrap_or("GET");
        http.send(method, &target, &headers, body).await
    }
}

impl Case {
    /// Where an answer differs from the recorded one.
    pub fn difference(&self, answer: &Answer) -> Option<String> {
        if answer.status != self.status {
            return Some(format!(
                "status: want {}, got {}",
                self.status, answer.status
            ));
        }
        if self.shape_only {
            return None;
        }
        let kind = answer.header("content-type");
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if kind != self.kind {
            return Some(format!("type: want {}, got {kind}", self.kind));
        }
        let next = Some(answer.header("x-nflx-atlas-next-offset")).filter(|n| !n.is_empty());
        if next != self.next_offset.as_deref() {
            return Some(format!("next: want {:?}, got {next:?}", self.next_offset));
        }
        let got = comparable(&self.request.path, kind, answer);
        difference(&self.response, &got, "")
    }
}

fn comparable(path: &str, kind: &str, answer: &Answer) -> Value {
    let field =
        |name: &str, value: Value| Value::Object(Map::from_iter([(name.to_owned(), value)]));
    if kind.starts_with("text/") {
        return field("text", answer.text().into());
    }
    if !kind.contains("json") {
        let bytes = answer.body.iter().take(8);
        let hex: String = bytes.map(|b| format!("{b:02x}")).collect();
        return field("binary", hex.into());
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(&answer.body) else {
        return field("text", answer.text().into());
    };
    if let Value::Array(items) = &mut value {
        items.retain(|v| v.get("type").is_none_or(|t| t != "graph-image"));
        if path.ends_with("/expr/complete") {
            for item in items.iter_mut() {
                *item = serde_json::json!({"name": item["name"], "signature": item["signature"]});
            }
        }
    }
    without_clock(&mut value);
    field("json", value)
}

fn without_clock(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("loadTime");
            fields.values_mut().for_each(without_clock);
        }
        Value::Array(items) => items.iter_mut().for_each(without_clock),
        Value::String(text) if text.contains("now = ") => *text = starred(text),
        _ => {}
    }
}

/// `now = 123` becomes `now = *`, and `, 5 > 4` becomes `, * > *`.
fn starred(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let is_number = |word: &str| {
        let digits = word.trim_end_matches(',');
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    for i in 0..words.len() {
        if i >= 2 && words[i - 1] == "=" && words[i - 2] == "now" && is_number(&words[i]) {
            words[i] = "*,".to_owned();
        }
        let compared = words[i] == ">" && i > 0 && i + 1 < words.len();
        if compared && is_number(&words[i - 1]) && is_number(&words[i + 1]) {
            words[i - 1] = "*".to_owned();
            words[i + 1] = "*".to_owned();
        }
    }
    words.join(" ")
}

/// Where two values differ, and how; numbers agree within 1e-9.
pub fn difference(want: &Value, got: &Value, at: &str) -> Option<String> {
    if let (Some(w), Some(g)) = (number(want), number(got))
        && (want.is_number() || got.is_number())
    {
        let close = w == g
            || (w.is_nan() && g.is_nan())
            || (w - g).abs() <= 1e-9 + 1e-9 * w.abs().max(g.abs());
        return (!close).then(|| format!("{at}: want {w}, got {g}"));
    }
    match (want, got) {
        (Value::Object(w), Value::Object(g)) => {
            for key in w.keys().chain(g.keys()) {
                match (w.get(key), g.get(key)) {
                    (Some(w), Some(g)) => {
                        if let Some(found) = difference(w, g, &format!("{at}.{key}")) {
                            return Some(found);
                        }
                    }
                    (None, _) => return Some(format!("{at}.{key}: unexpected")),
                    (_, None) => return Some(format!("{at}.{key}: missing")),
                }
            }
            None
        }
        (Value::Array(w), Value::Array(g)) if w.len() != g.len() => {
            Some(format!("{at}: want {} items, got {}", w.len(), g.len()))
        }
        (Value::Array(w), Value::Array(g)) => {
            let pairs = w.iter().zip(g).enumerate();
            pairs
                .filter_map(|(i, (w, g))| difference(w, g, &format!("{at}[{i}]")))
                .next()
        }
        _ if want == got => None,
        _ => Some(format!("{at}: want {want}, got {got}")),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => match s.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" | "+Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// Publishes a data set as a fleet would have: every time in order.
///
/// # Panics
/// When the server refuses any datapoint.
pub async fn publish(http: &Http, name: &str) -> usize {
    let series: Vec<RecordedSeries> = rows(name);
    let tags: Vec<String> = series
        .iter()
        .map(|s| serde_json::to_string(&s.tags).expect("texts"))
        .collect();
    let length = series.iter().map(|s| s.values.len()).max().unwrap_or(0);
    let mut published = 0;
    for i in 0..length {
        let points: Vec<String> = series
            .iter()
            .zip(&tags)
            .filter_map(|(s, tags)| {
                let value = (*s.values.get(i)?)?;
                let millis = (s.start + i as i64 * s.step) * 1000;
                Some(format!(
                    r#"{{"tags":{tags},"timestamp":{millis},"value":{value:?}}}"#
                ))
            })
            .collect();
        if points.is_empty() {
            continue;
        }
        published += points.len();
        let body = format!(r#"{{"tags":{{}},"metrics":[{}]}}"#, points.join(","));
        let answer = http.publish(&body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    published
}

/// What a replay found, by area.
#[derive(Default)]
pub struct Tally {
    /// Cases that passed and cases there are, by area.
    pub areas: BTreeMap<String, (usize, usize)>,
    /// The failed ones: name, and where they differ.
    pub failed: Vec<(String, String)>,
}

impl Tally {
    fn judge(&mut self, case: &Case, answer: &Result<Answer, String>) {
        let difference = match answer {
            Ok(answer) => case.difference(answer),
            Err(e) => Some(e.clone()),
        };
        let area = self.areas.entry(case.area.clone()).or_default();
        area.1 += 1;
        match difference {
            None => area.0 += 1,
            Some(difference) => self.failed.push((case.id.clone(), difference)),
        }
    }

    /// Cases that passed and cases there are.
    pub fn total(&self) -> (usize, usize) {
        let areas = self.areas.values();
        areas.fold((0, 0), |(p, n), area| (p + area.0, n + area.1))
    }
}

/// Replays cases. Those that publish change the server: they come last and in order, after the requests of `setup`.
///
/// # Panics
/// When a recording cannot be read.
pub async fn replay(http: &Http, cases: &str, setup: Option<&str>) -> Tally {
    let cases: Vec<Case> = rows(cases);
    let (publishes, reads): (Vec<&Case>, Vec<&Case>) =
        cases.iter().partition(|c| c.area.starts_with("publish"));
    let mut tally = Tally::default();
    for case in reads {
        tally.judge(case, &case.request.send(http).await);
    }
    if let Some(setup) = setup {
        for case in rows::<Case>(setup) {
            let _ = case.request.send(http).await;
        }
        for case in publishes {
            tally.judge(case, &case.request.send(http).await);
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_agree_closely_and_words_stand_for_what_json_lacks() {
        assert_eq!(
            difference(&json!([1.0, "NaN"]), &json!([1.0 + 1e-12, "NaN"]), ""),
            None
        );
        assert!(difference(&json!(1.0), &json!(1.0001), "").is_some());
        assert!(difference(&json!("NaN"), &json!(1.0), "").is_some());
        assert_eq!(
            difference(&json!("+Infinity"), &json!("+Infinity"), ""),
            None
        );
        assert!(difference(&json!({"a": 1}), &json!({"a": 1, "b": 2}), "").is_some());
        assert!(difference(&json!([1]), &json!([1, 2]), "").is_some());
    }

    #[test]
    fn the_clock_is_not_compared() {
        let text = "data is too old: now = 1780000000000, timestamp = -1, 1780000000001 > 120000 (tags={})";
        let want = "data is too old: now = *, timestamp = -1, * > * (tags={})";
        assert_eq!(starred(text), want);
    }
}
