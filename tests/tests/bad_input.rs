//! Bad input of every kind: a clear error, a counter, and nothing else harmed.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use hesper_client::proto::ingest_client::IngestClient;
use hesper_client::proto::{Batch, Hello, PublishRequest, Series, publish_request};
use hesper_client::{ConnectOptions, Connection};
use hesper_tests::golden;
use hesper_tests::http::Http;
use hesper_tests::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const FLAGS: [&str; 6] = [
    "--step",
    "1s",
    "--max-body-bytes",
    "20000",
    "--max-series",
    "1000",
];

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs() as i64
}

/// A counter of the node, all its series added.
async fn counter(http: &Http, name: &str, label: &str) -> f64 {
    let page = http.get("/metrics", &[]).await.text();
    let of = |line: &&str| line.starts_with(name) && line.contains(label);
    let values = page
        .lines()
        .filter(of)
        .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

fn datapoint(name: &str, tags: &str, time: i64, value: &str) -> String {
    format!(
        r#"{{"metrics":[{{"tags":{{"name":"{name}"{tags}}},"timestamp":{time},"value":{value}}}]}}"#
    )
}

/// Publishes a good datapoint and finds it.
async fn still_works(http: &Http, name: &str) {
    let time = now();
    let published = http.publish(&datapoint(name, "", time * 1000, "7")).await;
    assert_eq!(published.status, 200, "{}", published.text());
    let (s, e) = ((time - 1).to_string(), time.to_string());
    let lines = http.graph(&format!("name,{name},:eq,:sum"), &s, &e).await;
    assert_eq!(lines[0].1, [7.0], "{name}");
}

#[tokio::test]
async fn bodies_that_cannot_be_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &FLAGS).await;
    let http = Http::new(&server.http);
    let broken: [(&str, u16, &str); 9] = [
        ("{bad json", 400, "StreamReadException"),
        ("[]", 400, "expected START_OBJECT but received START_ARRAY"),
        ("null", 400, "VALUE_NULL"),
        (
            r#"{"metrics":[{"tags":{"name":"ab"},"timestamp":"x","value":1}]}"#,
            400,
            "expected VALUE_NUMBER_INT but received VALUE_STRING",
        ),
        (
            r#"{"metrics":[{"tags":{"name":"ab"},"timestamp":1,"value":true}]}"#,
            400,
            "VALUE_TRUE",
        ),
        (
            r#"{"metrics":[{"tags":5,"timestamp":1,"value":1}]}"#,
            400,
            "Exception",
        ),
        (r#"{"other":1}"#, 400, "invalid field: 'other'"),
        (r#"{"metrics":[]}"#, 400, "empty payload"),
        ("", 400, "empty payload"),
    ];
    for (body, status, text) in broken {
        let answer = http.publish(body).await;
        assert_eq!(answer.status, status, "{body}");
        let json = answer.json();
        assert_eq!(json["type"], "error", "{body}");
        assert!(json["message"].to_string().contains(text), "{body}: {json}");
    }
    let unreadable = counter(&http, "hesper_ingest_unreadable_total", "").await;
    assert_eq!(unreadable, 7.0);

    let large = format!(r#"{{"metrics":[{}]}}"#, " ".repeat(30_000));
    assert_eq!(http.publish(&large).await.status, 413);
    // Small when packed, large when not.
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&vec![b' '; 50_000_000]).expect("packed");
    let packed = packed.finish().expect("packed");
    let send = async |headers: &[(&str, &str)], body: &[u8]| {
        let sent = http
            .send("POST", "/api/v1/publish", headers, body.to_vec())
            .await;
        sent.expect("an answer").status
    };
    let gzip = [("content-encoding", "gzip")];
    assert_eq!(send(&gzip, &packed[..10_000]).await, 413);
    assert_eq!(send(&gzip, b"no gzip at all").await, 400);
    assert_eq!(send(&[("content-encoding", "br")], b"x").await, 415);
    still_works(&http, "good.http").await;
    server.stop().await;
}

#[tokio::test]
async fn datapoints_that_break_a_rule() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &FLAGS).await;
    let http = Http::new(&server.http);
    let time = now() * 1000;
    let refused = [
        (datapoint("x", "", time, "1"), "NameValueLengthRule"),
        (datapoint("has space", "", time, "1"), "ValidCharactersRule"),
        (
            datapoint("ab", r#","nf.bogus":"x""#, time, "1"),
            "ReservedKeyRule",
        ),
        (datapoint("ab", "", time - 86_400_000, "1"), "DataTooOld"),
        (
            datapoint("ab", "", time + 86_400_000, "1"),
            "DataFromFuture",
        ),
        (datapoint("ab", "", i64::MAX, "1"), "DataFromFuture"),
    ];
    for (body, rule) in &refused {
        let answer = http.publish(body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.json()["errorCount"], 1);
        let label = format!("error=\"{rule}\"");
        assert!(
            counter(&http, "hesper_ingest_refused_total", &label).await >= 1.0,
            "{rule}"
        );
    }
    // The good ones of a body are taken.
    let mixed = format!(
        r#"{{"metrics":[{{"tags":{{"name":"mixed"}},"timestamp":{time},"value":3}},{{"tags":{{"name":"x"}},"timestamp":{time},"value":3}}]}}"#
    );
    let answer = http.publish(&mixed).await;
    assert_eq!(
        (answer.status, answer.json()["type"].as_str()),
        (202, Some("partial"))
    );
    // At the limit on series, new ones are refused by name and known ones are taken.
    for body in 0..11 {
        let metrics = (0..100).map(|i| {
            format!(
                r#"{{"tags":{{"name":"many","node":"i-{body}-{i}"}},"timestamp":{time},"value":1}}"#
            )
        });
        let metrics: Vec<String> = metrics.collect();
        let body = format!(r#"{{"metrics":[{}]}}"#, metrics.join(","));
        http.publish(&body).await;
    }
    let answer = http
        .publish(&datapoint("many", r#","node":"one-more""#, time, "1"))
        .await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("--max-series"), "{}", answer.text());
    assert!(
        counter(
            &http,
            "hesper_ingest_refused_total",
            "error=\"SeriesLimit\""
        )
        .await
            >= 1.0
    );
    let known = http
        .publish(&datapoint("mixed", "", time + 1000, "4"))
        .await;
    assert_eq!(known.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn frames_that_are_no_protocol() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &FLAGS).await;
    let address = server.grpc.trim_start_matches("http://").to_owned();
    let noise: Vec<u8> = (0..5000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let garbage: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        &noise,
        b"",
    ];
    for bytes in garbage {
        let mut stream = TcpStream::connect(&address).await.expect("connected");
        // The node may close before all is written.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        let read = tokio::time::timeout(std::time::Duration::from_secs(10), reading).await;
        assert!(read.is_ok(), "the connection is ended");
    }

    let hello = |client: usize, tenant: &str| {
        publish_request::Message::Hello(Hello {
            client: vec![1; client],
            tenant: tenant.to_owned(),
            name: String::new(),
        })
    };
    let batch = |symbols: &[&str], tags: Vec<u32>, refs: Vec<u32>, values: Vec<f64>| {
        publish_request::Message::Batch(Batch {
            sequence: 1,
            symbols: symbols.iter().map(|s| (*s).to_owned()).collect(),
            series: vec![Series { tags }],
            time_millis: now() * 1000,
            refs,
            values: hesper_client::pack_values(&values),
        })
    };
    let broken = [
        vec![batch(&[], vec![], vec![], vec![])],
        vec![hello(3, "")],
        vec![hello(16, "other")],
        vec![hello(16, ""), hello(16, "")],
        vec![
            hello(16, ""),
            batch(&["name"], vec![0, 1], vec![0], vec![1.0]),
        ],
        vec![hello(16, ""), batch(&["name"], vec![0], vec![0], vec![1.0])],
        vec![
            hello(16, ""),
            batch(&["name", "ab"], vec![0, 1], vec![0], vec![1.0, 2.0]),
        ],
    ];
    for messages in broken {
        let shown = format!("{messages:?}");
        let mut client = IngestClient::connect(server.grpc.clone())
            .await
            .expect("connected");
        let requests = messages.into_iter().map(|message| PublishRequest {
            message: Some(message),
        });
        let requests = tokio_stream(requests.collect());
        let mut replies = client
            .publish_stream(requests)
            .await
            .expect("a stream")
            .into_inner();
        let refused = loop {
            match replies.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{shown} was taken"),
                Err(status) => break status,
            }
        };
        assert_eq!(
            refused.code() as i32,
            3,
            "invalid argument: {refused}, {shown}"
        );
        assert!(!refused.message().is_empty());
    }
    still_works(&Http::new(&server.http), "good.grpc").await;
    server.stop().await;
}

/// Requests as the stream that the generated client takes.
fn tokio_stream(
    requests: Vec<PublishRequest>,
) -> impl futures::Stream<Item = PublishRequest> + Send {
    futures::stream::iter(requests)
}

#[tokio::test]
async fn a_client_with_the_wrong_address_is_told_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &FLAGS).await;
    let connection = Connection::open(&server.http, &ConnectOptions::default()).await;
    let connection = connection.expect("somebody listens");
    let error = connection.load("", 1).await.expect_err("no gRPC");
    assert!(
        error.to_string().contains("this is the HTTP address"),
        "{error}"
    );
}

#[tokio::test]
async fn targets_and_expressions_that_make_no_sense() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &FLAGS).await;
    let http = Http::new(&server.http);
    let long = "1,".repeat(5000);
    let asked = [
        (
            "/api/v1/graph?q=name,:eq&format=json",
            400,
            "no matches for word ':eq'",
        ),
        (
            "/api/v1/graph?q=:nope&format=json",
            400,
            "unknown word ':nope'",
        ),
        ("/api/v1/graph?q=1&format=json&s=-5", 400, "invalid date -5"),
        (
            "/api/v1/graph?q=1&format=json&w=0",
            400,
            "width must be positive",
        ),
        ("/api/v1/graph?q=1&format=json&step=x", 400, "Exception"),
        (
            "/api/v1/graph?q=1&format=bogus",
            404,
            "key not found: bogus",
        ),
        (
            "/api/v1/graph?q=:nope&format=png",
            400,
            "unknown word ':nope'",
        ),
        (
            "/api/v1/graph?q=1&format=png&palette=nope",
            400,
            "Exception",
        ),
        (
            "/api/v1/graph?format=json",
            400,
            "missing required parameter 'q'",
        ),
        ("/api/v1/tags?q=name,a", 400, "expected a single query"),
        ("/api/v1/tags/name?limit=0", 400, "limit must be positive"),
        ("/api/v1/expr/debug", 400, "MissingQueryParamRejection"),
        ("/api/v1/nothing", 404, "path not found: /api/v1/nothing"),
        ("/api/v1/graph?q=%zz", 400, "hexadecimal"),
        (&format!("/api/v1/graph?q={long}"), 414, "URI length"),
    ];
    for (target, status, text) in asked {
        let answer = http
            .send("GET", target, &[], Vec::new())
            .await
            .expect("an answer");
        let shown: String = target.chars().take(60).collect();
        assert_eq!(answer.status, status, "{shown}: {}", answer.text());
        assert!(answer.text().contains(text), "{shown}: {}", answer.text());
    }
    still_works(&http, "good.target").await;
    server.stop().await;
}

#[tokio::test]
async fn too_many_queries_at_once_are_told_to_come_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let flags = [
        "--max-age",
        "7300d",
        "--hot-window",
        "7300d",
        "--max-running",
        "1",
        "--max-waiting",
        "1",
    ];
    let server = Server::start(directory.path(), &flags).await;
    let http = Http::new(&server.http);
    golden::publish(&http, "data.jsonl.gz").await;
    let params = [
        ("q", "name,:has,(,name,nf.node,),:by"),
        ("s", "2026-01-05"),
        ("e", "2026-01-05T06:00"),
        ("format", "json"),
    ];
    let asked = (0..40).map(|_| http.get("/api/v1/graph", &params));
    let answers = futures::future::join_all(asked).await;
    let (taken, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 200);
    assert!(
        !taken.is_empty() && !refused.is_empty(),
        "{} taken, {} refused",
        taken.len(),
        refused.len()
    );
    for answer in refused {
        assert_eq!((answer.status, answer.header("retry-after")), (429, "1"));
        assert!(
            answer.text().contains("1 queries are waiting"),
            "{}",
            answer.text()
        );
    }
    let refused = counter(&http, "hesper_query_count_total", "id=\"refused\"").await;
    assert!(refused >= 1.0);
    assert_eq!(http.get("/api/v1/graph", &params).await.status, 200);
    server.stop().await;
}

/// The files below a folder with an ending, sorted.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Publishes two minutes of a second each, so that at least one window is taken to history.
async fn two_windows(directory: &Path, flags: &[&str]) -> i64 {
    let server = Server::start(directory, flags).await;
    let http = Http::new(&server.http);
    let start = 1_767_571_200;
    for i in 1..=130 {
        let answer = http
            .publish(&datapoint("old", "", (start + i) * 1000, "1"))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    server.stop().await;
    start
}

const OLD: [&str; 4] = ["--step", "1s", "--max-age", "7300d"];

#[tokio::test]
async fn a_broken_history_file_is_named_and_nothing_else_is_harmed() {
    let directory = tempfile::tempdir().expect("a directory");
    let start = two_windows(directory.path(), &OLD).await;
    let history = directory.path().join("history");
    let parquet = files(&history, ".parquet");
    assert!(parquet.len() >= 2, "{parquet:?}");
    let whole = std::fs::read(&parquet[0]).expect("readable");
    std::fs::write(&parquet[0], &whole[..whole.len() / 2]).expect("writable");

    let server = Server::start(directory.path(), &OLD).await;
    let http = Http::new(&server.http);
    let (s, e) = (start.to_string(), (start + 130).to_string());
    let params = [
        ("q", "name,old,:eq,:sum"),
        ("s", &s),
        ("e", &e),
        ("step", "1s"),
        ("format", "json"),
    ];
    let answer = http.get("/api/v1/graph", &params).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let file = parquet[0]
        .strip_prefix(&history)
        .expect("below")
        .display()
        .to_string();
    assert_eq!(answer.header("hesper-partial"), file);
    let json = answer.json();
    let notice = json["notices"][0].as_str().expect("a notice");
    assert!(notice.contains(&file), "{notice}");
    let values = json["values"].as_array().expect("rows");
    assert_eq!(values[0][0], "NaN");
    assert_eq!(values[100][0], 1.0);
    let strict: Vec<_> = params.into_iter().chain([("strict", "1")]).collect();
    let answer = http.get("/api/v1/graph", &strict).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), "1");
    assert!(answer.text().contains(&file), "{}", answer.text());
    assert!(counter(&http, "hesper_history_filesFailed_total", "").await >= 1.0);
    server.stop().await;

    // The file comes back, and with it the answer.
    std::fs::write(&parquet[0], &whole).expect("writable");
    let server = Server::start(directory.path(), &OLD).await;
    let answer = Http::new(&server.http).get("/api/v1/graph", &strict).await;
    assert_eq!(answer.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_damaged_log_is_refused_by_name_and_a_torn_one_is_cut() {
    let directory = tempfile::tempdir().expect("a directory");
    let flags = ["--step", "1s"];
    let server = Server::start(directory.path(), &flags).await;
    still_works(&Http::new(&server.http), "kept").await;
    server.kill().await;
    let log = directory.path().join("log");
    let segments = files(&log, ".log");
    let last = segments.last().expect("a segment");
    let whole = std::fs::read(last).expect("readable");

    // A write that was torn: half a record at the end.
    let mut torn = whole.clone();
    torn.extend_from_slice(&[9, 0, 0, 0, 1, 2]);
    std::fs::write(last, &torn).expect("writable");
    let server = Server::start(directory.path(), &flags).await;
    assert!(!server.ready.contains(" 0 series "), "{}", server.ready);
    server.kill().await;

    // Damage in a segment that is not the last.
    let segments = files(&log, ".log");
    assert!(segments.len() >= 2, "{segments:?}");
    let mut damaged = std::fs::read(&segments[0]).expect("readable");
    damaged[40] ^= 1;
    std::fs::write(&segments[0], &damaged).expect("writable");
    let text = Server::try_start(directory.path(), &flags)
        .await
        .err()
        .expect("refused");
    let name = segments[0]
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    assert!(text.contains(&name) && text.contains("damaged"), "{text}");
    damaged[40] ^= 1;
    std::fs::write(&segments[0], &damaged).expect("writable");
    Server::start(directory.path(), &flags).await.stop().await;
}

#[tokio::test]
async fn a_data_directory_with_other_settings_or_in_use_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &["--step", "1s"]).await;
    let text = Server::try_start(directory.path(), &["--step", "1s"])
        .await
        .err()
        .expect("in use");
    assert!(text.contains("another process"), "{text}");
    server.stop().await;
    let text = Server::try_start(directory.path(), &[])
        .await
        .err()
        .expect("another step");
    assert!(text.contains("its step is 1 s, not 60 s"), "{text}");
}
