//! Prometheus remote write, limits on series, roll-ups and the report of cardinality, through the real binary with a file of settings.

#[path = "../../crates/ingest/tests/support/write_request.rs"]
mod write_request;

use std::path::Path;

use hesper_tests::http::{Answer, Http};
use hesper_tests::server::Server;
use prost::Message;
use serde_json::json;
use write_request::{Label, Sample, TimeSeries, WriteRequest};

/// A step of the data, in seconds.
const START: i64 = 1_767_571_200;

/// A series with a sample a minute.
fn series(labels: &[(&str, &str)], values: &[f64]) -> TimeSeries {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    let samples = values.iter().enumerate().map(|(i, value)| Sample {
        value: *value,
        timestamp: (START + 60 * i as i64) * 1000,
    });
    TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.collect(),
        ..TimeSeries::default()
    }
}

async fn write(http: &Http, timeseries: Vec<TimeSeries>) -> Answer {
    let request = WriteRequest {
        timeseries,
        ..WriteRequest::default()
    };
    let body = request.encode_to_vec();
    let packed = snap::raw::Encoder::new().compress_vec(&body);
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ];
    let packed = packed.expect("it can be packed");
    let sent = http.send("POST", "/api/v1/write", &headers, packed).await;
    sent.expect("an answer")
}

async fn started(directory: &Path, settings: &str) -> (Server, Http) {
    let file = directory.join("hesper.toml");
    let common = "max-age = \"7300d\"\nhot-window = \"7300d\"\nself-metrics = false\n";
    std::fs::write(&file, format!("{common}{settings}")).expect("written");
    let file = file.to_str().expect("text");
    let data = directory.join("data");
    let server = Server::start(&data, &["--config", file]).await;
    let http = Http::new(&server.http);
    (server, http)
}

async fn line(http: &Http, program: &str) -> Vec<f64> {
    let lines = http.graph(program, "2026-01-04T23:59", "2026-01-05T00:03");
    let mut lines = lines.await;
    assert_eq!(lines.len(), 1, "{program}: {lines:?}");
    lines.remove(0).1
}

#[tokio::test]
async fn prometheus_writes_and_a_kill_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let settings = "[ingest.remote-write.rename-labels]\njob = \"nf.app\"\n";
    let (server, http) = started(directory.path(), settings).await;
    let requests = [("__name__", "http_requests_total"), ("job", "api")];
    let heap = [("__name__", "heap_bytes"), ("job", "api")];
    let sent = vec![
        series(&requests, &[100.0, 160.0, 280.0, 280.0]),
        series(&heap, &[1.0, 2.0, f64::NAN, 4.0]),
    ];
    let answer = write(&http, sent).await;
    assert_eq!((answer.status, answer.text()), (204, String::new()));
    server.kill().await;
    let (server, http) = started(directory.path(), settings).await;
    let rate = line(
        &http,
        "name,http_requests_total,:eq,nf.app,api,:eq,:and,:sum",
    )
    .await;
    assert_eq!(rate[1..], [1.0, 2.0, 0.0]);
    let heap = line(&http, "name,heap_bytes,:eq,:sum").await;
    assert_eq!(heap[..2], [1.0, 2.0]);
    assert!(heap[2].is_nan() && heap[3] == 4.0, "{heap:?}");
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_written_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, http) = started(directory.path(), "").await;
    let nameless = write(&http, vec![series(&[("job", "api")], &[1.0])]).await;
    assert_eq!(nameless.status, 400);
    assert!(nameless.text().contains("1 samples were refused, 0 taken"));
    let torn = http.send("POST", "/api/v1/write", &[], b"\xff\xff".to_vec());
    let torn = torn.await.expect("an answer");
    assert_eq!(torn.status, 400, "{}", torn.text());
    let second = [(
        "content-type",
        "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    )];
    let second = http.send("POST", "/api/v1/write", &second, Vec::new());
    assert_eq!(second.await.expect("an answer").status, 415);
    assert_eq!(http.get("/api/v1/write", &[]).await.status, 405);
    let metrics = http.get("/metrics", &[]).await.text();
    let unreadable = metrics
        .lines()
        .find(|l| l.starts_with("hesper_ingest_unreadable"));
    assert!(
        unreadable.is_some_and(|l| l.ends_with(" 1")),
        "{unreadable:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn limits_name_the_tag_that_explodes_and_rules_roll_it_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let settings = "[ingest.series-limits]\nmax-series-per-name = 50\n\
                    overflow = [{ query = \"name,sessions,:eq\", tag = \"user\" }]\n\
                    [[ingest.roll-ups]]\nquery = \"name,cpu,:eq\"\ndrop = [\"node\"]\n";
    let (server, http) = started(directory.path(), settings).await;
    let many = |name: &str, key: &str| {
        let metrics: Vec<_> = (0..200)
            .map(|i| {
                let tags = json!({"name": name, "atlas.dstype": "gauge", key: format!("v-{i}")});
                json!({"tags": tags, "timestamp": START * 1000, "value": f64::from(i)})
            })
            .collect();
        json!({"tags": {}, "metrics": metrics}).to_string()
    };
    let refused = http.publish(&many("requests", "path")).await;
    assert_eq!(refused.status, 202);
    let told = refused.json();
    assert_eq!(told["errorCount"], 150);
    let message = told["message"][0].as_str().expect("a text");
    assert!(message.contains("path"), "{message}");
    let rolled = http.publish(&many("sessions", "user")).await;
    assert_eq!(rolled.status, 200, "{}", rolled.text());
    let sessions = line(
        &http,
        "name,sessions,:eq,user,--auto-rollup--,:eq,:and,:max",
    )
    .await;
    assert_eq!(sessions[0], 199.0);
    assert_eq!(http.publish(&many("cpu", "node")).await.status, 200);
    assert_eq!(line(&http, "name,cpu,:eq,:count").await[0], 1.0);
    assert_eq!(line(&http, "name,cpu,:eq,:max").await[0], 199.0);
    let params = [("by", "key"), ("order", "values"), ("k", "2")];
    let report = http.get("/api/v1/cardinality", &params).await.json();
    let keys: Vec<_> = report["rows"].as_array().expect("rows").iter().collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(
        (&keys[0]["value"], &keys[0]["values"]),
        (&json!("user"), &json!(51))
    );
    assert_eq!(
        (&keys[1]["value"], &keys[1]["values"]),
        (&json!("path"), &json!(50))
    );
    let wrong = http.get("/api/v1/cardinality", &[("by", "color")]).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("nf.app"), "{}", wrong.text());
    server.stop().await;
}

#[tokio::test]
async fn settings_without_sense_keep_a_node_from_starting() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("hesper.toml");
    let file_name = file.to_str().expect("text").to_owned();
    for (settings, expected) in [
        ("[ingest.series-limit]\nmax-series = 1", "series-limit"),
        (
            "[[ingest.roll-ups]]\nquery = \"name\"\ndrop = [\"x\"]",
            "'name'",
        ),
        ("[retention]\nkeep-raw = \"long\"", "'long'"),
        ("history = \"ftp://somewhere\"", "ftp is not known"),
    ] {
        std::fs::write(&file, settings).expect("written");
        let data = directory.path().join("data");
        let flags = ["--config", &file_name];
        let refused = Server::try_start(&data, &flags).await;
        let text = refused.err().expect("refused");
        assert!(text.contains(expected), "{settings}: {text}");
    }
}

/// What hours were sent, one datapoint of each series, and became of them.
#[derive(Default)]
struct Hours {
    taken: Vec<i64>,
    refused: Vec<i64>,
}

impl Hours {
    /// Sends hour after hour until one is refused.
    async fn until_refused(&mut self, send: impl AsyncFn(i64) -> Answer) -> Answer {
        let next = 1 + self.taken.len() as i64 + self.refused.len() as i64;
        for hour in next..next + 200 {
            let answer = send(hour).await;
            if answer.status >= 300 {
                self.refused.push(hour);
                return answer;
            }
            self.taken.push(hour);
        }
        panic!("200 hours were taken in memory that has no room for them");
    }
}

#[tokio::test]
async fn a_node_whose_memory_is_full_says_so_on_every_way_in_and_takes_nothing_by_half() {
    const NAME: &str = "queue.length";
    const BATCH: usize = 500;
    let directory = tempfile::tempdir().expect("a directory");
    let (server, http) = started(directory.path(), "max-memory = \"4MiB\"\n").await;
    let time = |hour: i64| (START + 3600 * hour) * 1000;
    let node = |i: usize| format!("i-{i:05}");
    let body = |series: std::ops::Range<usize>, hour: i64| {
        let metrics: Vec<_> = series
            .map(|i| {
                let tags = json!({"name": NAME, "atlas.dstype": "gauge", "node": node(i)});
                json!({"tags": tags, "timestamp": time(hour), "value": 1.5})
            })
            .collect();
        json!({"tags": {}, "metrics": metrics}).to_string()
    };
    // New series are refused first, one by one, so that there is room for datapoints of those that are known.
    let mut known = 0;
    let refused = loop {
        let answer = http.publish(&body(known..known + BATCH, 0)).await;
        if answer.status != 200 {
            break answer;
        }
        known += BATCH;
        assert!(known < 100_000, "4 MiB hold {known} series");
    };
    assert!(known > 0, "{}", refused.text());
    assert!(
        refused.text().contains("--max-memory"),
        "{}",
        refused.text()
    );

    let mut hours = Hours::default();
    let full = |answer: &Answer| {
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
        assert!(answer.text().contains("--max-memory"), "{}", answer.text());
    };
    let published = async |hour: i64| http.publish(&body(0..known, hour)).await;
    full(&hours.until_refused(published).await);
    let written = async |hour: i64| {
        let samples = (0..known).map(|i| {
            let mut one = series(&[("__name__", NAME), ("node", &node(i))], &[1.5]);
            one.samples[0].timestamp = time(hour);
            one
        });
        write(&http, samples.collect()).await
    };
    full(&hours.until_refused(written).await);
    server.kill().await;

    let (server, http) = started(directory.path(), "max-memory = \"1GiB\"\n").await;
    let count = format!("name,{NAME},:eq,:count");
    let at = |hour: i64| {
        let (s, e) = (time(hour) / 1000 - 60, time(hour) / 1000);
        (s.to_string(), e.to_string())
    };
    for (hours, expected) in [(&hours.taken, known as f64), (&hours.refused, f64::NAN)] {
        for hour in hours {
            let (s, e) = at(*hour);
            let lines = http.graph(&count, &s, &e).await;
            let found = lines.first().map_or(f64::NAN, |line| line.1[0]);
            assert!(
                found.total_cmp(&expected).is_eq() || found.is_nan() && expected.is_nan(),
                "hour {hour}: {found} is not {expected}"
            );
        }
    }
    server.stop().await;
}
