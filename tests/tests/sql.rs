//! SQL as users meet it: over HTTP, through the command, and over Arrow Flight SQL with a client of Arrow's own and, where there is one, the ADBC driver of
//! Python. `HESPER_TEST_PYTHON` may name an interpreter that has `adbc_driver_flightsql` and `pyarrow`.

use std::path::Path;
use std::process::Command;

use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables};
use arrow_flight::{FlightInfo, error::FlightError};
use futures::TryStreamExt;
use hesper_tests::http::{Answer, Http};
use hesper_tests::server::{Server, binary};
use serde_json::json;
use tonic::transport::{Channel, Endpoint};

/// 2026-01-05T00:00Z.
const START: i64 = 1_767_571_200_000;

/// The data that all tests ask for: the series `speed` of four nodes in two zones, with the values 1 to 4 at each of 100 minutes.
async fn started(directory: &Path) -> (Server, Http) {
    let old = ["--max-age", "7300d", "--self-metrics", "false"];
    let server = Server::start(directory, &old).await;
    let http = Http::new(&server.http);
    let mut metrics = Vec::new();
    for minute in 1..=100 {
        for node in 0..4 {
            let zone = ["a", "a", "b", "b"][node];
            metrics.push(json!({
                "tags": {"name": "speed", "node": format!("n{node}"), "zone": zone, "atlas.dstype": "gauge"},
                "timestamp": START + 60_000 * minute,
                "value": node + 1,
            }));
        }
    }
    let body = json!({"tags": {}, "metrics": metrics}).to_string();
    let published = http.publish(&body).await;
    assert_eq!(published.status, 200, "{}", published.text());
    (server, http)
}

async fn ask(http: &Http, statement: &str, format: &str) -> Answer {
    http.get("/api/v1/sql", &[("q", statement), ("format", format)])
        .await
}

#[tokio::test]
async fn statements_are_answered_over_http_and_by_the_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, http) = started(directory.path()).await;

    let statement = "SELECT time, sum(value) AS total FROM metrics WHERE name = 'speed' AND zone = 'b' GROUP BY time ORDER BY time LIMIT 2";
    let json = ask(&http, statement, "json").await.json();
    assert_eq!(
        json["columns"][1],
        json!({"name": "total", "type": "Float64"})
    );
    assert_eq!(
        json["rows"],
        json!([["2026-01-05T00:01:00Z", 7.0], ["2026-01-05T00:02:00Z", 7.0]])
    );
    assert_eq!(json["notices"], json!([]));
    let csv = ask(&http, statement, "csv").await.text();
    assert_eq!(
        csv,
        "time,total\n2026-01-05T00:01:00Z,7.0\n2026-01-05T00:02:00Z,7.0\n"
    );
    let posted = http
        .send("POST", "/api/v1/sql?format=csv", &[], statement.into())
        .await;
    assert_eq!(posted.expect("an answer").text(), csv);

    // The same as the graph, to the last digit.
    let sums = ask(
        &http,
        "SELECT sum(value) FROM metrics GROUP BY time ORDER BY time",
        "json",
    )
    .await
    .json();
    let lines = http
        .graph(
            "name,speed,:eq,:sum",
            "2026-01-05T00:00",
            "2026-01-05T01:40",
        )
        .await;
    let sums: Vec<f64> = sums["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|r| r[0].as_f64().expect("a number"))
        .collect();
    assert_eq!(sums, lines[0].1);
    let stack = "SELECT value FROM stack('name,speed,:eq,:sum', '2026-01-05T00:00', '2026-01-05T01:40', '60s') ORDER BY time";
    let lined = ask(&http, stack, "json").await.json();
    assert_eq!(lined["rows"].as_array().expect("rows").len(), 100);

    for (statement, status, reason) in [
        (
            "DROP TABLE metrics",
            400,
            "SqlException: SQL is for reading",
        ),
        ("SELECT nothing FROM metrics", 400, "nothing"),
        ("", 400, "a statement in SQL is missing"),
    ] {
        let refused = ask(&http, statement, "json").await;
        assert_eq!(refused.status, status, "{statement}: {}", refused.text());
        let message = refused.json()["message"]
            .as_str()
            .expect("a text")
            .to_owned();
        assert!(message.contains(reason), "{statement}: {message}");
    }
    assert_eq!(ask(&http, "SELECT 1", "xml").await.status, 400);

    let (at, asked) = (server.http.clone(), statement.to_owned());
    let shown = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(binary());
        command
            .args(["query", "--server", &at, "--sql", &asked])
            .output()
    });
    let shown = shown.await.expect("no panic").expect("it runs");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.status.success(),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    assert!(text.contains("| 2026-01-05T00:01:00Z | 7.0   |"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn rows_that_are_many_arrive_in_parts_and_in_full() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, http) = started(directory.path()).await;
    let statement =
        "SELECT i.value, m.time, m.node FROM metrics m CROSS JOIN generate_series(1, 500) i";
    let csv = ask(&http, statement, "csv").await;
    assert_eq!(csv.text().lines().count(), 1 + 400 * 500);
    assert!(csv.body.len() > 4 << 20, "more than is written ahead");
    let json = ask(&http, statement, "json").await.json();
    assert_eq!(json["rows"].as_array().map(Vec::len), Some(400 * 500));
    // An error far behind the first row: JSON has a place for it, CSV breaks off.
    let late = "SELECT m.time, m.node, m.name, 1 / CASE WHEN i.value = 2000 AND m.time = '2026-01-05T01:40:00Z' THEN 0 ELSE 1 END \
                FROM metrics m CROSS JOIN generate_series(1, 2000) i WHERE m.node = 'n0'";
    let json = ask(&http, late, "json").await.json();
    assert!(
        json["error"].as_str().expect("a reason").contains("zero"),
        "{}",
        json["error"]
    );
    let target = format!(
        "/api/v1/sql?{}",
        hesper_tests::http::query_of(&[("q", late), ("format", "csv")])
    );
    assert!(http.send("GET", &target, &[], Vec::new()).await.is_err());
    server.stop().await;
}

async fn flight(server: &Server) -> FlightSqlServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(server.grpc.clone()).expect("an address");
    FlightSqlServiceClient::new(endpoint.connect().await.expect("connected"))
}

/// The rows of all endpoints.
async fn fetch(
    client: &mut FlightSqlServiceClient<Channel>,
    info: FlightInfo,
) -> Result<usize, FlightError> {
    let mut rows = 0;
    for endpoint in info.endpoint {
        let ticket = endpoint.ticket.expect("a ticket");
        let mut batches = client
            .do_get(ticket)
            .await
            .map_err(|e| FlightError::ExternalError(Box::new(e)))?;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows();
        }
    }
    Ok(rows)
}

#[tokio::test]
async fn arrow_flight_sql_is_spoken() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, _) = started(directory.path()).await;
    let mut client = flight(&server).await;

    let statement = "SELECT * FROM metrics WHERE node = 'n2'";
    let info = client
        .execute(statement.to_owned(), None)
        .await
        .expect("planned");
    let schema = info.clone().try_decode_schema().expect("a schema");
    assert_eq!(schema.field(0).name(), "time");
    assert_eq!(fetch(&mut client, info).await.expect("rows"), 100);

    let mut prepared = client
        .prepare(statement.to_owned(), None)
        .await
        .expect("prepared");
    assert_eq!(prepared.dataset_schema().expect("a schema"), &schema);
    let info = prepared.execute().await.expect("planned");
    assert_eq!(fetch(&mut client, info).await.expect("rows"), 100);
    prepared.close().await.expect("closed");

    let catalogs = client.get_catalogs().await.expect("listed");
    assert_eq!(fetch(&mut client, catalogs).await.expect("rows"), 1);
    let schemas = client
        .get_db_schemas(CommandGetDbSchemas::default())
        .await
        .expect("listed");
    assert_eq!(fetch(&mut client, schemas).await.expect("rows"), 1);
    let tables = CommandGetTables {
        include_schema: true,
        ..CommandGetTables::default()
    };
    let tables = client.get_tables(tables).await.expect("listed");
    assert_eq!(fetch(&mut client, tables).await.expect("rows"), 3);
    let types = client.get_table_types().await.expect("listed");
    assert_eq!(fetch(&mut client, types).await.expect("rows"), 1);
    let about = client.get_sql_info(Vec::new()).await.expect("listed");
    assert!(fetch(&mut client, about).await.expect("rows") > 3);

    let refused = client.execute("DROP TABLE metrics".to_owned(), None).await;
    let refused = refused.expect_err("refused").to_string();
    assert!(refused.contains("for reading"), "{refused}");
    let update = client
        .execute_update("DELETE FROM metrics".to_owned(), None)
        .await;
    assert!(update.is_err());
    server.stop().await;
}

#[tokio::test]
async fn the_adbc_driver_of_python_is_answered() {
    let python = std::env::var("HESPER_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python)
        .args(["-c", "import adbc_driver_flightsql.dbapi, pyarrow"])
        .output();
    if !probe.is_ok_and(|p| p.status.success()) {
        println!(
            "the ADBC driver is not tested: {python} has no adbc_driver_flightsql and pyarrow"
        );
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let (server, _) = started(directory.path()).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/flight_sql.py");
    let uri = server.grpc.replace("http://", "grpc://");
    let ran =
        tokio::task::spawn_blocking(move || Command::new(python).arg(script).arg(uri).output());
    let ran = ran.await.expect("no panic").expect("it runs");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), "ok");
    server.stop().await;
}
