//! Data for other tools: `hesper export`, and history as it lies. The files are read back here as text and, where there is a Python with `duckdb` and
//! `pyarrow`, by those; `HESPER_TEST_PYTHON` may name the interpreter.

use std::collections::BTreeMap;
use std::path::Path;

use hesper_tests::http::Http;
use hesper_tests::server::{Server, binary};
use serde_json::{Value, json};
use tokio::process::Command;

/// 2026-01-05T00:00Z.
const START: i64 = 1_767_571_200_000;

const RANGE: [&str; 4] = ["--start", "2026-01-05T00:00", "--end", "2026-01-05T03:00"];

/// What is older than a second leaves memory once it is in history.
const FLAGS: [&str; 6] = [
    "--max-age",
    "7300d",
    "--hot-window",
    "1s",
    "--self-metrics",
    "false",
];

/// Four nodes in two zones with values that are no whole numbers, 150 minutes of them, all in history.
async fn in_history(data: &Path) -> Server {
    let server = Server::start(data, &FLAGS).await;
    let http = Http::new(&server.http);
    let mut metrics = Vec::new();
    for minute in 1..=150 {
        for node in 0..4 {
            let zone = ["a", "a", "b", "b"][node];
            metrics.push(json!({
                "tags": {"name": "speed", "node": format!("n{node}"), "zone": zone, "atlas.dstype": "gauge"},
                "timestamp": START + 60_000 * minute,
                "value": node as f64 + minute as f64 / 8.0,
            }));
        }
    }
    let body = json!({"tags": {}, "metrics": metrics}).to_string();
    let published = http.publish(&body).await;
    assert_eq!(published.status, 200, "{}", published.text());
    // What is over is taken to history when the node stops.
    server.stop().await;
    Server::start(data, &FLAGS).await
}

/// The sums of all values by zone: Σ over 150 minutes of (2 × minute / 8 + nodes).
fn expected() -> BTreeMap<String, f64> {
    let minutes = 2.0 * (1..=150).map(|m| f64::from(m) / 8.0).sum::<f64>();
    BTreeMap::from([
        ("a".to_owned(), minutes + 150.0),
        ("b".to_owned(), minutes + 150.0 * 5.0),
    ])
}

async fn export(server: &Server, query: &str, out: &Path, more: &[&str]) -> Result<String, String> {
    let mut command = Command::new(binary());
    command.args(["export", query, "--server", &server.http, "--out"]);
    let output = command.arg(out).args(RANGE).args(more).output().await;
    let output = output.expect("the binary can be run");
    let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into();
    match output.status.success() {
        true => Ok(text),
        false => Err(text),
    }
}

/// The sums by zone of the lines of a CSV file, of a column.
fn sums(text: &str, value: &str) -> BTreeMap<String, f64> {
    let mut lines = text.lines().map(|l| l.split(',').collect::<Vec<_>>());
    let names = lines.next().expect("a line of names");
    let at = |name: &str| names.iter().position(|n| *n == name).expect("a column");
    let (zone, value) = (at("zone"), at(value));
    let mut sums = BTreeMap::new();
    for line in lines {
        *sums.entry(line[zone].to_owned()).or_insert(0.0) +=
            line[value].parse::<f64>().expect("a number");
    }
    sums
}

#[tokio::test]
async fn what_is_exported_has_every_datapoint_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = in_history(&directory.path().join("data")).await;
    let file = |name: &str| directory.path().join(name);

    let said = export(&server, "name,speed,:eq", &file("all.csv"), &[]).await;
    assert!(said.expect("exported").contains("600 rows"));
    let text = std::fs::read_to_string(file("all.csv")).expect("written");
    assert_eq!(sums(&text, "value"), expected());

    let cells = ["--resolution", "5m"];
    let said = export(
        &server,
        "name,speed,:eq,zone,b,:eq,:and",
        &file("b.csv"),
        &cells,
    )
    .await;
    assert!(said.expect("exported").contains("60 rows"));
    let text = std::fs::read_to_string(file("b.csv")).expect("written");
    assert_eq!(sums(&text, "sum").get("b"), expected().get("b"));

    let none = export(&server, "name,slow,:eq", &file("none.parquet"), &[]).await;
    assert!(none.expect("exported").contains("0 rows"));
    assert!(file("none.parquet").exists());

    let unknown = export(
        &server,
        "name,speed,:eq",
        &file("x.csv"),
        &["--resolution", "7m"],
    )
    .await;
    assert!(unknown.expect_err("refused").contains("'7m'"));
    let unnamed = export(&server, "name,speed,:eq", &file("x.txt"), &[]).await;
    assert!(unnamed.expect_err("refused").contains("--format"));
    let wrong = export(&server, "name,speed", &file("x.csv"), &[]).await;
    wrong.expect_err("refused");
    let left = std::fs::read_dir(directory.path()).expect("read").flatten();
    let left = left.filter(|f| f.file_name().to_string_lossy().starts_with('x'));
    assert_eq!(left.count(), 0);
    server.stop().await;
}

#[tokio::test]
async fn duckdb_and_pyarrow_find_the_same_sums() {
    let python = std::env::var("HESPER_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python)
        .args(["-c", "import duckdb, pyarrow"])
        .output()
        .await;
    if !probe.is_ok_and(|p| p.status.success()) {
        eprintln!("open data is not tested with other tools: {python} has no duckdb and pyarrow");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let server = in_history(&data).await;
    let (parquet, arrow) = (
        directory.path().join("all.parquet"),
        directory.path().join("all.arrow"),
    );
    for out in [&parquet, &arrow] {
        let exported = export(&server, "name,speed,:eq", out, &[]).await;
        exported.expect("exported");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/open_data.py");
    let mut command = Command::new(python);
    command.arg(script).arg(data.join("history"));
    let read = command.args([&parquet, &arrow]).output().await;
    let read = read.expect("Python can be run");
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    let found: BTreeMap<String, Vec<(String, f64)>> =
        serde_json::from_slice(&read.stdout).expect("JSON");
    assert_eq!(found.len(), 5);
    for (who, sums) in found {
        let sums: BTreeMap<String, f64> = sums.into_iter().collect();
        assert_eq!(sums, expected(), "{who}");
    }
    // The node itself says so too.
    let http = Http::new(&server.http);
    let statement = "SELECT zone, sum(value) FROM metrics WHERE name = 'speed' GROUP BY zone";
    let answer = http.get("/api/v1/sql", &[("q", statement)]).await.json();
    let rows: Vec<(String, f64)> =
        serde_json::from_value(answer["rows"].clone()).unwrap_or_else(|e| {
            panic!("{e}: {}", Value::from(answer.to_string()));
        });
    assert_eq!(rows.into_iter().collect::<BTreeMap<_, _>>(), expected());
    server.stop().await;
}
