//! The HTTP API beyond what is recorded of Atlas: pictures, streams, editors, operators.

use hesper_tests::golden;
use hesper_tests::http::{Answer, Http, query_of};
use hesper_tests::server::Server;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const FLAGS: [&str; 4] = ["--max-age", "7300d", "--hot-window", "7300d"];

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A node with the recorded data.
async fn started() -> (tempfile::TempDir, Server, Http) {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &FLAGS).await;
    let http = Http::new(&server.http);
    golden::publish(&http, "data.jsonl.gz").await;
    (directory, server, http)
}

async fn graph(http: &Http, program: &str, format: &str) -> Answer {
    let params = [
        ("q", program),
        ("s", "2026-01-05T01:00"),
        ("e", "2026-01-05T03:30"),
        ("format", format),
    ];
    http.get("/api/v1/graph", &params).await
}

#[tokio::test]
async fn graphs_are_drawn() {
    let (_directory, server, http) = started().await;
    let program = "name,sps,:eq,(,nf.cluster,),:by,:stack";
    let png = graph(&http, program, "png").await;
    assert_eq!((png.status, png.header("content-type")), (200, "image/png"));
    assert!(png.body.starts_with(PNG));
    let source = b"/api/v1/graph?q=";
    let told = png.body.windows(source.len()).any(|w| w == source);
    assert!(told, "the picture says where it comes from");
    let svg = graph(&http, program, "svg").await;
    assert_eq!(svg.header("content-type"), "image/svg+xml");
    assert!(svg.text().starts_with("<svg"), "{}", svg.text());
    let text = graph(&http, program, "ascii").await.text();
    assert!(text.lines().count() > 16, "{text}");
    let parts = graph(&http, program, "v2.json").await.json();
    let kinds = parts.as_array().expect("parts").iter();
    let kinds: Vec<&str> = kinds.filter_map(|p| p["type"].as_str()).collect();
    assert_eq!(
        kinds[..3],
        ["graph-image", "graph-metadata", "plot-metadata"]
    );
    assert!(kinds[3..].iter().all(|k| *k == "timeseries"), "{kinds:?}");
    server.stop().await;
}

#[tokio::test]
async fn browsers_see_errors_as_pictures() {
    let (_directory, server, http) = started().await;
    let target = format!("/api/v1/graph?{}", query_of(&[("q", ":nope")]));
    let browser = [("user-agent", "Mozilla/5.0 (X11)")];
    let shown = http.send("GET", &target, &browser, Vec::new()).await;
    let shown = shown.expect("an answer");
    assert_eq!(shown.status, 200);
    assert!(shown.body.starts_with(PNG));
    let told = http.send("GET", &target, &[], Vec::new()).await;
    let told = told.expect("an answer");
    assert_eq!(told.status, 400);
    assert!(told.text().contains("unknown word ':nope'"));
    server.stop().await;
}

#[tokio::test]
async fn a_long_range_comes_in_chunks_that_add_up_to_the_graph() {
    let (_directory, server, http) = started().await;
    let program = "name,sps,:eq,(,nf.cluster,),:by,:integral";
    let params = [
        ("q", program),
        ("s", "2026-01-05T00:30"),
        ("e", "2026-01-05T03:30"),
        ("hints", "presentation-metadata"),
    ];
    let answer = http.get("/api/v2/fetch", &params).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let text = answer.text();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = events
        .map(|e| serde_json::from_str(e).expect("an object"))
        .collect();
    let kinds: Vec<&str> = events.iter().filter_map(|e| e["type"].as_str()).collect();
    assert_eq!(kinds[..2], ["graph-metadata", "plot-metadata"]);
    assert_eq!(kinds.last(), Some(&"close"));
    let series = events.iter().filter(|e| e["type"] == "timeseries");
    let mut lines = std::collections::BTreeMap::<String, Vec<f64>>::new();
    for event in series {
        let values = event["data"]["values"].as_array().expect("values");
        let values = values.iter().map(|v| v.as_f64().unwrap_or(f64::NAN));
        let label = event["label"].as_str().expect("a text").to_owned();
        lines.entry(label).or_default().extend(values);
    }
    assert!(!lines.is_empty() && lines.values().all(|l| l.len() == 180));
    // A graph shows the points behind its start, up to its end; the stream those from its start on.
    let whole = http
        .graph(program, "2026-01-05T00:29", "2026-01-05T03:29")
        .await;
    assert_eq!(whole.len(), lines.len());
    for (legend, values) in whole {
        // The graph's operators have seen one point more.
        let (graph, chunks) = (&values, &lines[&legend]);
        let (first, last) = (graph[179] - graph[0], chunks[179] - chunks[0]);
        assert!(
            (first - last).abs() < 1e-6 * first.abs().max(1.0),
            "{legend}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn operators_see_settings_queries_and_what_was_read() {
    let (_directory, server, http) = started().await;
    assert_eq!(http.get("/ok", &[]).await.text(), "127.0.0.1");
    let step = http.get("/api/v2/config/step-ms", &[]).await;
    assert_eq!(step.json(), json!({"step-ms": 60_000}));
    assert_eq!(http.get("/api/v2/config/nope", &[]).await.status, 404);
    assert_eq!(http.get("/api/v1/queries", &[]).await.json(), json!([]));
    let kill = http.send("DELETE", "/api/v1/queries/7", &[], Vec::new());
    assert_eq!(kill.await.expect("an answer").status, 404);
    let params = [
        ("q", "name,sps,:eq,:sum"),
        ("s", "2026-01-05T01:00"),
        ("e", "2026-01-05T02:00"),
        ("format", "json"),
        ("explain", "1"),
    ];
    let explain = http.get("/api/v1/graph", &params).await.json()["explain"].clone();
    assert_eq!(explain["graphLines"], 1);
    assert!(explain["inputLines"].as_u64() > Some(1), "{explain}");
    let origin = [("origin", "http://dashboards.example")];
    let answer = http.send("GET", "/api/v1/tags", &origin, Vec::new()).await;
    let answer = answer.expect("an answer");
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, "http://dashboards.example");
    assert_eq!(answer.header("netflix-endpoint"), "/api/v1/tags");
    server.stop().await;
}

/// A text as a frame of a client, whose mask is zero.
fn frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend(length.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

/// The text of the next frame of a server.
async fn next_text(socket: &mut TcpStream) -> String {
    let kind = socket.read_u8().await.expect("a frame");
    assert_eq!(kind, 0x81, "a text in one frame");
    let length = match socket.read_u8().await.expect("a length") {
        126 => usize::from(socket.read_u16().await.expect("a length")),
        127 => socket.read_u64().await.expect("a length") as usize,
        short => usize::from(short),
    };
    let mut text = vec![0; length];
    socket.read_exact(&mut text).await.expect("the text");
    String::from_utf8(text).expect("UTF-8")
}

#[tokio::test]
async fn editors_are_helped_over_a_web_socket() {
    let (_directory, server, _http) = started().await;
    let address = server.http.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.expect("connected");
    let upgrade = format!(
        "GET /lsp/metrics/asl HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(upgrade.as_bytes()).await.expect("written");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let open = json!({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": {
        "uri": "file:///x.asl", "languageId": "asl", "version": 1, "text": "name,sps,:eq,:smu"}}});
    let initialize =
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}});
    for message in [initialize, open] {
        let frame = frame(&message.to_string());
        socket.write_all(&frame).await.expect("written");
    }
    let welcome: Value = serde_json::from_str(&next_text(&mut socket).await).expect("JSON");
    assert_eq!(welcome["id"], 1);
    let findings: Value = serde_json::from_str(&next_text(&mut socket).await).expect("JSON");
    assert_eq!(findings["method"], "textDocument/publishDiagnostics");
    let text = findings.to_string();
    assert!(text.contains(":smu") && text.contains(":sum"), "{text}");
    server.stop().await;
}
