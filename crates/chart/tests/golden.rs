//! The recorded answers of Atlas in the format v2.json, the pictures aside. No case may fail.

#[path = "../../stack/tests/golden/compare.rs"]
mod compare;
#[path = "../../stack/tests/golden/naive.rs"]
mod naive;

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use compare::difference;
use flate2::bufread::GzDecoder;
use hesper_chart::chart::Zone;
use hesper_chart::{from_stack, v2_json};
use hesper_model::{Step, Tags, Timestamp};
use hesper_stack::graph::{DisplayOptions, assemble};
use hesper_stack::time::{GraphTime, TimeZone, time_range};
use hesper_stack::{
    DataExpr, GraphOptions, StackError, TimeSeries, data_result, evaluate, parse_graph,
};
use naive::{Series, Store};
use serde::Deserialize;
use serde_json::{Value, json};

const BASE_STEP: Step = Step::from_secs(60);

/// How many cases of each area have to pass.
const FLOORS: [(&str, usize); 21] = [
    ("docs-static", 72),
    ("docs/graph", 84),
    ("graph/format-v2.json", 13),
    ("graph/params", 32),
    ("graph/time", 1),
    ("style/alpha", 12),
    ("style/area", 5),
    ("style/axis", 13),
    ("style/color", 12),
    ("style/des-epic-viz", 1),
    ("style/filter", 13),
    ("style/heatmap", 4),
    ("style/line", 5),
    ("style/ls", 5),
    ("style/lw", 4),
    ("style/palette", 26),
    ("style/passthrough", 11),
    ("style/percentiles-heatmap", 5),
    ("style/stack", 4),
    ("style/strip-style", 5),
    ("style/vspan", 5),
];

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
}

#[derive(Deserialize)]
struct RecordedRequest {
    path: String,
    #[serde(default)]
    params: Vec<(String, String)>,
}

impl RecordedRequest {
    fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(k, _)| k == name);
        found.map(|(_, v)| v.as_str())
    }
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
    Store::new(series.collect(), BASE_STEP)
}

/// What a handler would do with a request.
fn answer(request: &RecordedRequest, store: &Store) -> Result<Value, StackError> {
    let display = DisplayOptions::read(|name| request.param(name).map(str::to_owned))?;
    let names = request.params.iter().filter(|(k, _)| k == "tz");
    let zones = names
        .map(|(_, name)| {
            Ok(Zone {
                name: name.clone(),
                zone: TimeZone::parse(name)?,
            })
        })
        .collect::<Result<Vec<_>, StackError>>()?;
    let Zone { name, zone } = zones
        .first()
        .expect("all recorded requests name a zone")
        .clone();
    let (s, e) = (
        request.param("s").unwrap_or("e-3h"),
        request.param("e").unwrap_or("now"),
    );
    let range = time_range(s, e, Timestamp(1_780_000_000_000), zone)?;
    let step = request.param("step");
    let time = GraphTime::new(range, BASE_STEP, step, display.width as usize)?;
    let options = GraphOptions {
        time_zone: &name,
        common_query: request.param("cq"),
        ..GraphOptions::default()
    };
    let exprs = parse_graph(request.param("q").unwrap_or(""), &options)?;
    let ctx = time.context();
    let mut data: HashMap<DataExpr, Vec<TimeSeries>> = HashMap::new();
    for expr in exprs.iter().flat_map(|style| style.expr.data_exprs()) {
        let found = store.find(&expr, &ctx);
        let result = data_result(&expr, found, &ctx);
        data.insert(expr, result);
    }
    let graph = assemble(&exprs, &display, &ctx, |style| {
        evaluate(&style.expr, &ctx, &data)
    })?;
    let chart = from_stack::chart(graph, &display, &time, zones)?;
    let text = v2_json(&chart)?;
    Ok(serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn recorded_charts() {
    let mut passed: BTreeMap<String, usize> = BTreeMap::new();
    let mut failed = Vec::new();
    for (cases, data) in [
        ("cases.jsonl.gz", "data.jsonl.gz"),
        ("docs-cases.jsonl.gz", "docs-data.jsonl.gz"),
    ] {
        let store = store(data);
        for case in rows::<Case>(cases) {
            let request = &case.request;
            if request.path != "/api/v1/graph" || request.param("format") != Some("v2.json") {
                continue;
            }
            let got = answer(request, &store)
                .unwrap_or_else(|e| json!({"type": "error", "message": e.to_string()}));
            let succeeded = got.is_array();
            let want = &case.response["json"];
            match difference(want, &got, "") {
                None if succeeded == (case.status == 200) => {
                    *passed.entry(case.area.clone()).or_default() += 1;
                }
                found => failed.push(format!(
                    "{} {:?}: {}",
                    case.id,
                    request.params,
                    found.unwrap_or_default()
                )),
            }
        }
    }
    println!(
        "passed: {passed:?}, in all {}",
        passed.values().sum::<usize>()
    );
    for difference in failed.iter().take(40) {
        println!("{}", difference.chars().take(500).collect::<String>());
    }
    assert!(
        failed.is_empty(),
        "{} cases differ from the recorded answers",
        failed.len()
    );
    for (area, floor) in FLOORS {
        let passed = passed.get(area).copied().unwrap_or(0);
        assert!(
            passed >= floor,
            "{area}: {passed} cases passed, of {floor} at least"
        );
    }
}
