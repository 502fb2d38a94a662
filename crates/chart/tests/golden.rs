//! The recorded answers of Atlas in the format v2.json, the pictures aside.
//!
//! Cases that need words, or parameters, which the language does not have yet are counted by what they need; no case may fail.

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
use hesper_chart::{ChartParams, from_stack, v2_json};
use hesper_model::{Step, Tags, Timestamp};
use hesper_stack::expr::style::LineStyle;
use hesper_stack::graph::{AxisOptions, MAX_AXES, assemble};
use hesper_stack::time::{GraphTime, TimeZone, time_range};
use hesper_stack::{
    DataExpr, GraphOptions, StackError, TimeSeries, Vocabulary, data_result, evaluate, lexer,
    parse_graph,
};
use naive::{Series, Store};
use serde::Deserialize;
use serde_json::{Value, json};

const BASE_STEP: Step = Step::from_secs(60);

/// How many cases of each area have to pass.
const FLOORS: [(&str, usize); 18] = [
    ("docs-static", 52),
    ("docs/graph", 60),
    ("graph/format-v2.json", 13),
    ("graph/params", 30),
    ("graph/time", 1),
    ("style/alpha", 11),
    ("style/area", 5),
    ("style/axis", 13),
    ("style/color", 11),
    ("style/heatmap", 4),
    ("style/line", 5),
    ("style/ls", 5),
    ("style/lw", 4),
    ("style/palette", 12),
    ("style/passthrough", 6),
    ("style/percentiles-heatmap", 5),
    ("style/stack", 4),
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
    let params = ChartParams::read(|name| request.param(name))?;
    if request
        .param("features")
        .is_some_and(|f| !["stable", "unstable"].contains(&f))
    {
        return Err(StackError::IllegalArgument(format!(
            "No enum constant com.netflix.atlas.core.util.Features.{}",
            request.param("features").unwrap_or("").to_uppercase()
        )));
    }
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
    let time = GraphTime::new(
        range,
        BASE_STEP,
        request.param("step"),
        params.width as usize,
    )?;
    let options = GraphOptions {
        time_zone: &name,
        common_query: request.param("cq"),
        ..GraphOptions::default()
    };
    let exprs = parse_graph(&expanded(request.param("q").unwrap_or("")), &options)?;
    let ctx = time.context();
    let mut data: HashMap<DataExpr, Vec<TimeSeries>> = HashMap::new();
    for expr in exprs.iter().flat_map(|style| style.expr.data_exprs()) {
        let found = store.find(&expr, &ctx);
        let result = data_result(&expr, found, &ctx);
        data.insert(expr, result);
    }
    let axis = AxisOptions {
        line_style: match request.param("stack") {
            Some("1") => LineStyle::Stack,
            _ => LineStyle::Line,
        },
        binary_prefixes: request.param("tick_labels") == Some("binary"),
    };
    let plots = assemble(&exprs, &[axis; MAX_AXES], &ctx, |style| {
        evaluate(&style.expr, &ctx, &data)
    })?;
    let chart = from_stack::chart(&params, plots, &time, zones)?;
    let text = v2_json(&chart)?;
    Ok(serde_json::from_str(&text).expect("JSON"))
}

/// The words for heatmaps in terms of others, as long as the language lacks them.
const HEATMAPS: [(&str, &str); 2] = [
    (":heatmap", "heatmap,:ls"),
    (":percentiles-heatmap", "(,percentile,),:cg,heatmap,:ls"),
];

/// A program in words that there are.
fn expanded(program: &str) -> String {
    let vocabulary = Vocabulary::full();
    let tokens = program.split(',').map(|token| {
        let found = HEATMAPS.iter().find(|(word, _)| *word == token.trim());
        match found {
            Some((word, meaning)) if vocabulary.overloads(&word[1..]).is_none() => meaning,
            _ => token,
        }
    });
    tokens.collect::<Vec<_>>().join(",")
}

/// What a case needs that is not there: words of Atlas without a definition, or parameters that sort.
fn missing(request: &RecordedRequest, words: &[String]) -> Option<String> {
    let vocabulary = Vocabulary::full();
    let program = expanded(request.param("q").unwrap_or(""));
    let program = lexer::tokens(&program).unwrap_or_default();
    let unknown = program.iter().find(|token| {
        let name = token.strip_prefix(':');
        name.is_some_and(|n| {
            vocabulary.overloads(n).is_none() && words.iter().any(|known| known == n)
        })
    });
    let sorting = ["sort", "order"]
        .into_iter()
        .find(|p| request.param(p).is_some());
    unknown
        .map(|word| word.to_string())
        .or(sorting.map(|p| format!("{p}=")))
}

fn words() -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/words.json");
    let text = std::fs::read_to_string(path).expect("the list of words");
    let vocabularies: Value = serde_json::from_str(&text).expect("a list");
    let all = vocabularies.as_array().into_iter().flatten();
    let words = all.flat_map(|v| v["words"].as_array().into_iter().flatten());
    words
        .filter_map(|word| Some(word["name"].as_str()?.to_owned()))
        .collect()
}

#[test]
fn recorded_charts() {
    let words = words();
    let mut passed: BTreeMap<String, usize> = BTreeMap::new();
    let mut needs: BTreeMap<String, usize> = BTreeMap::new();
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
            if let Some(what) = missing(request, &words) {
                *needs.entry(what).or_default() += 1;
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
    println!(
        "not there yet: {needs:?}, in all {}",
        needs.values().sum::<usize>()
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
