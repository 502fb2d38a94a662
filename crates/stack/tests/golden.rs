//! The recorded answers of Atlas, as far as they can be given without a server.
//!
//! Cases about HTTP, other formats and colours are counted apart. For each area that is in scope a floor says how many have to pass; there
//! are no cases that may fail.

#[path = "golden/answer.rs"]
mod answer;
#[path = "golden/compare.rs"]
mod compare;
#[path = "golden/floors.rs"]
mod floors;
#[path = "golden/naive.rs"]
mod naive;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use answer::{Request, answer, status};
use compare::difference;
use flate2::bufread::GzDecoder;
use floors::{DOCS_FLOORS, FLOORS};
use hesper_model::{Step, Tags, Timestamp};
use naive::{Series, Store};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct RecordedSeries {
    tags: Tags,
    start: i64,
    values: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    area: String,
    request: RecordedRequest,
    status: u64,
    response: Value,
    #[serde(default)]
    shape_only: bool,
}

#[derive(Deserialize)]
struct RecordedRequest {
    method: String,
    path: String,
    #[serde(default)]
    params: Vec<(String, String)>,
    raw_query: Option<String>,
}

fn rows<T: for<'de> Deserialize<'de>>(name: &str) -> Vec<T> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(name);
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    BufReader::new(GzDecoder::new(BufReader::new(file)))
        .lines()
        .map(|line| serde_json::from_str(&line.expect("text")).expect("a row as recorded"))
        .collect()
}

fn store(name: &str) -> Store {
    let series = rows::<RecordedSeries>(name).into_iter().map(|s| Series {
        tags: s.tags,
        first: Timestamp::from_secs(s.start),
        values: s
            .values
            .into_iter()
            .map(|v| v.unwrap_or(f64::NAN))
            .collect(),
    });
    Store::new(series.collect(), Step::from_secs(60))
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    out_of_scope: usize,
}

/// What is compared of an answer: of drawings all but colours, and the cells and ticks of heatmaps.
fn comparable(request: &Request, want: &Value) -> Value {
    let mut want = want.clone();
    if request.param("format") != Some("v2.json") {
        return want;
    }
    for item in want.as_array_mut().into_iter().flatten() {
        let drawn: &[&str] = match item["type"].as_str() {
            Some("plot-metadata") if item.get("axisColor").is_some() => {
                item["axisColor"] = json!("of the first line");
                &[]
            }
            Some("heatmap") => &["yTicks", "colorTicks", "data"],
            _ => &["color"],
        };
        if let Some(fields) = item.as_object_mut() {
            fields.retain(|name, _| !drawn.contains(&name.as_str()));
        }
    }
    want
}

fn judge(case: &Case, store: &Store) -> Option<Option<String>> {
    // What was published while the answers were recorded is not in the data.
    let published = case.area.starts_with("publish");
    if published || case.request.raw_query.is_some() || case.request.method != "GET" {
        return None;
    }
    let request = Request {
        path: case.request.path.clone(),
        params: case.request.params.clone(),
    };
    let got = answer(&request, store)?;
    let want = &case.response["json"];
    let (got_status, got) = match &got {
        Ok(body) => (200, body.clone()),
        Err(e) => (
            status(e),
            json!({"type": "error", "message": e.to_string()}),
        ),
    };
    if got_status == 200 && case.status != 200 {
        // Which colours and palettes there are is the chart's matter.
        let message = want["message"].as_str().unwrap_or("");
        let of_colors = ["color must be hex string", "palette"];
        if of_colors.iter().any(|text| message.contains(text)) {
            return None;
        }
    }
    if got_status != case.status {
        return Some(Some(format!(
            "want status {} ({want}), got {got_status} ({got})",
            case.status
        )));
    }
    if case.shape_only {
        return Some(None);
    }
    Some(difference(&comparable(&request, want), &got, ""))
}

fn replay(cases: &str, data: &str) -> BTreeMap<String, Tally> {
    let store = store(data);
    let mut areas: BTreeMap<String, Tally> = BTreeMap::new();
    for case in rows::<Case>(cases) {
        let tally = areas.entry(case.area.clone()).or_default();
        match judge(&case, &store) {
            None => tally.out_of_scope += 1,
            Some(None) => tally.passed += 1,
            Some(Some(difference)) => {
                tally.failed.push(format!(
                    "{} {:?}: {difference}",
                    case.id, case.request.params
                ));
            }
        }
    }
    for (area, tally) in &areas {
        println!(
            "{area:36} {:5} passed {:5} failed {:5} out of scope",
            tally.passed,
            tally.failed.len(),
            tally.out_of_scope
        );
    }
    let passed: usize = areas.values().map(|t| t.passed).sum();
    let failed: usize = areas.values().map(|t| t.failed.len()).sum();
    println!("{passed} passed, {failed} failed");
    areas
}

fn check(areas: &BTreeMap<String, Tally>, floors: &[(&str, usize)]) {
    let failed: Vec<&String> = areas.values().flat_map(|t| &t.failed).collect();
    for difference in failed.iter().take(40) {
        println!("{}", difference.chars().take(600).collect::<String>());
    }
    assert!(
        failed.is_empty(),
        "{} cases differ from the recorded answers",
        failed.len()
    );
    for (area, floor) in floors {
        let passed = areas.get(*area).map_or(0, |t| t.passed);
        assert!(
            passed >= *floor,
            "{area}: {passed} cases passed, of {floor} at least"
        );
    }
}

#[test]
fn examples_of_the_documentation() {
    check(
        &replay("docs-cases.jsonl.gz", "docs-data.jsonl.gz"),
        &DOCS_FLOORS,
    );
}

#[test]
fn recorded_answers() {
    check(&replay("cases.jsonl.gz", "data.jsonl.gz"), &FLOORS);
}
