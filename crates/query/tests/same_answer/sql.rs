//! SQL over the same data: rows against the plain data and against the stack language, wherever the data lies; what is pushed down; limits; plans.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Float64Type, Int64Type, TimestampMillisecondType};
use hesper_history::Policy;
use hesper_history::policy::Keep;
use hesper_model::Timestamp;
use hesper_query::engine::QueryOptions;
use hesper_query::sql::SqlEngine;
use hesper_query::{QueryError, QueryLimits};
use hesper_stack::Vocabulary;

use crate::minutes;
use crate::node::{Node, range, tags};
use crate::plain::Data;

const MINUTE: i64 = 60_000;

fn engine_of(node: &Node, limits: QueryLimits, memory: usize) -> SqlEngine {
    let engine = Arc::new(node.engine(limits));
    let clock = Arc::new(|| Timestamp(300 * MINUTE));
    SqlEngine::new(engine, Vocabulary::full(), clock, memory).expect("set up")
}

async fn run(sql: &SqlEngine, statement: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let options = QueryOptions {
        strict: true,
        ..QueryOptions::default()
    };
    let mut answer = sql.run(statement, options).await?;
    let mut batches = Vec::new();
    while let Some(batch) = answer.next().await {
        batches.push(batch?);
    }
    Ok(batches)
}

async fn ask(node: &Node, statement: &str) -> Vec<RecordBatch> {
    let sql = engine_of(node, QueryLimits::default(), 64 << 20);
    let answer = run(&sql, statement).await;
    answer.unwrap_or_else(|e| panic!("{statement}: {e}"))
}

/// What an answer says in text, row by row.
async fn texts(node: &Node, statement: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in ask(node, statement).await {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|c| match c.is_null(row) {
                true => "-".to_owned(),
                false => datafusion::arrow::util::display::array_value_to_string(c, row)
                    .expect("it can be shown"),
            });
            rows.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    rows
}

/// The slots of a column of times.
fn slots(batch: &RecordBatch, column: usize) -> Vec<i64> {
    let times = batch
        .column(column)
        .as_primitive::<TimestampMillisecondType>();
    times.values().iter().map(|t| t / MINUTE).collect()
}

fn doubles(batch: &RecordBatch, column: usize) -> Vec<f64> {
    let values = batch.column(column).as_primitive::<Float64Type>();
    values.values().to_vec()
}

/// Every row of the table, and every cell of its roll-ups, against the plain data; sums by time against the stack language.
pub async fn check(node: &Node, data: &Data) {
    if data.is_empty() {
        // There are no columns of tags either.
        let rows = ask(node, "SELECT time, name, value FROM metrics").await;
        assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
        return;
    }
    // A key that no series has is no column.
    let has_zone = data.keys().any(|(s, _)| tags(*s).get("zone").is_some());
    let zone = match has_zone {
        true => "zone",
        false => "CAST(NULL AS VARCHAR)",
    };
    let statement = format!("SELECT time, node, name, {zone}, value FROM metrics");
    let mut found = BTreeMap::new();
    for batch in ask(node, &statement).await {
        let (slots, values) = (slots(&batch, 0), doubles(&batch, 4));
        let text = |column: usize| batch.column(column).as_string::<i32>();
        for (row, (slot, value)) in slots.into_iter().zip(values).enumerate() {
            let node = text(1).value(row);
            let series: usize = node["i-".len()..].parse().expect("a number");
            let tags = tags(series);
            assert_eq!(Some(text(2).value(row)), tags.get("name"));
            let zone = text(3).is_valid(row).then(|| text(3).value(row));
            assert_eq!(zone, tags.get("zone"));
            let before = found.insert((series, slot), value.to_bits());
            assert_eq!(before, None, "series {series} has slot {slot} twice");
        }
    }
    let want: BTreeMap<_, _> = data.iter().map(|(at, v)| (*at, v.to_bits())).collect();
    assert_eq!(found, want);

    for (table, cell) in [("metrics_5m", 5), ("metrics_1h", 60)] {
        check_cells(node, data, table, cell).await;
    }
    check_sums(node, data).await;
}

async fn check_cells(node: &Node, data: &Data, table: &str, cell: i64) {
    let mut want: BTreeMap<(usize, i64), Vec<f64>> = BTreeMap::new();
    for ((series, slot), value) in data {
        let end = (slot + cell - 1).div_euclid(cell) * cell;
        want.entry((*series, end)).or_default().push(*value);
    }
    let mut found = 0;
    let statement = format!("SELECT time, node, count, sum, min, max FROM {table}");
    for batch in ask(node, &statement).await {
        let nodes = batch.column(1).as_string::<i32>();
        let counts = batch.column(2).as_primitive::<Int64Type>();
        let (sums, mins, maxs) = (doubles(&batch, 3), doubles(&batch, 4), doubles(&batch, 5));
        for (row, slot) in slots(&batch, 0).into_iter().enumerate() {
            let series: usize = nodes.value(row)["i-".len()..].parse().expect("a number");
            let values = &want[&(series, slot)];
            assert_eq!(counts.value(row) as usize, values.len(), "{table}");
            let sum: f64 = values.iter().sum();
            assert!((sums[row] - sum).abs() <= 1e-9 * sum.abs().max(1.0));
            let fold = |f: fn(f64, f64) -> f64| values.iter().copied().reduce(f);
            assert_eq!(Some(mins[row]), fold(f64::min));
            assert_eq!(Some(maxs[row]), fold(f64::max));
            found += 1;
        }
    }
    assert_eq!(found, want.len(), "{table}");
}

async fn check_sums(node: &Node, data: &Data) {
    for app in ["app-0", "app-1"] {
        let statement = format!(
            "SELECT time, sum(value) FROM metrics WHERE app = '{app}' AND time BETWEEN to_timestamp_millis({}) AND \
             to_timestamp_millis({}) GROUP BY time ORDER BY time",
            7 * MINUTE,
            106 * MINUTE
        );
        let mut sums = BTreeMap::new();
        for batch in ask(node, &statement).await {
            sums.extend(slots(&batch, 0).into_iter().zip(doubles(&batch, 1)));
        }
        let lines = node
            .ask(&format!("app,{app},:eq,:sum"), &range(7, 100, 1))
            .await;
        let has_data = |slot: i64| {
            data.keys()
                .any(|(s, t)| *t == slot && s % 3 == usize::from(app == "app-1"))
        };
        for cell in 0..100 {
            let slot = 7 + cell as i64;
            let want = lines.first().map_or(f64::NAN, |line| line.values[cell]);
            match sums.get(&slot) {
                Some(sum) => assert!(
                    (sum - want).abs() <= 1e-9 * want.abs().max(1.0),
                    "{app} {slot}"
                ),
                None => assert!(!has_data(slot), "{app} {slot}"),
            }
        }
    }
}

/// Fourteen series with a value of their own number in two minutes of different windows, the first of which is in history.
async fn two_tiers() -> Node {
    let mut node = Node::new().await;
    let at = |slot: i64| -> Vec<_> { (0..14).map(|s| (s, slot, s as f64)).collect() };
    node.publish(&at(5));
    node.flush(0..1).await;
    node.restart().await;
    node.publish(&at(65));
    node
}

#[tokio::test]
async fn conditions_choose_series_and_times() {
    let node = two_tiers().await;
    let count = async |condition: &str| {
        let statement = format!("SELECT count(*), sum(value) FROM metrics WHERE {condition}");
        texts(&node, &statement).await.remove(0)
    };
    assert_eq!(count("true").await, "28 182.0");
    assert_eq!(count("node = 'i-03'").await, "2 6.0");
    assert_eq!(
        count("node IN ('i-03', 'i-04', 'i-05', 'i-06', 'none')").await,
        "8 36.0"
    );
    assert_eq!(
        count("name LIKE 'metric.%' AND node LIKE '%-1%'").await,
        "8 92.0"
    );
    assert_eq!(count("node ~ '^i-0[12]$'").await, "4 6.0");
    assert_eq!(count("node !~ '0'").await, "6 72.0");
    assert_eq!(count("zone IS NULL").await, "6 30.0");
    assert_eq!(count("zone <> 'z0'").await, "12 88.0");
    assert_eq!(count("NOT (zone = 'z0' OR node = 'i-01')").await, "10 86.0");
    assert_eq!(
        count("node = 'i-03' AND time < '1970-01-01T01:00:00Z'").await,
        "1 3.0"
    );
    assert_eq!(
        count("time = to_timestamp_millis(3900000) AND value > 10").await,
        "3 36.0"
    );
    assert_eq!(count("time > now()").await, "0 -");
    assert_eq!(
        count("\"atlas.dstype\" = 'gauge' AND value = 5").await,
        "2 10.0"
    );
    let one = texts(
        &node,
        "SELECT node FROM metrics WHERE app = 'app-1' ORDER BY node LIMIT 1",
    )
    .await;
    assert_eq!(one, ["i-01"]);
    assert_eq!(
        texts(&node, "SELECT 1 FROM metrics LIMIT 3").await,
        ["1", "1", "1"]
    );
    let grouped = texts(
        &node,
        "SELECT zone, count(DISTINCT node) FROM metrics GROUP BY zone ORDER BY zone",
    );
    assert_eq!(grouped.await, ["z0 5", "z1 6", "- 3"]);
}

#[tokio::test]
async fn an_expression_of_the_stack_language_is_a_table() {
    let node = two_tiers().await;
    let lines = texts(
        &node,
        "SELECT time, value, legend, app FROM stack('name,metric.1,:eq,:sum,(,app,),:by', 0, 5400000, '60s') ORDER BY time, app",
    );
    let want: Vec<String> = ["00:05", "01:05"]
        .iter()
        .flat_map(|time| {
            [("app-0", 12.0), ("app-1", 21.0), ("app-2", 16.0)]
                .map(|(app, value)| format!("1970-01-01T{time}:00Z {value:.1} {app} {app}"))
        })
        .collect();
    assert_eq!(lines.await, want);
    // The names of columns follow from the program; joins and texts as times are SQL's own matter.
    let joined = texts(
        &node,
        "SELECT m.node, m.value / s.value FROM metrics m JOIN stack('name,metric.1,:eq,:max', 'e-1h', '1970-01-01T01:30:00Z') s \
         ON m.time = s.time WHERE m.node = 'i-01'",
    );
    assert_eq!(joined.await, [format!("i-01 {}", 1.0 / 13.0)]);
    let sql = engine_of(&node, QueryLimits::default(), 64 << 20);
    for (statement, reason) in [
        ("SELECT * FROM stack()", "stack takes an expression"),
        ("SELECT * FROM stack('a,:no-such-word')", "unknown word"),
        ("SELECT * FROM stack('1', 'soon!')", "soon!"),
    ] {
        let error = run(&sql, statement).await.expect_err(statement).to_string();
        assert!(error.contains(reason), "{statement}: {error}");
    }
}

#[tokio::test]
async fn limits_are_named_in_sql_too() {
    let node = two_tiers().await;
    let refused = async |sql: &SqlEngine, statement: &str| {
        run(sql, statement).await.expect_err(statement).to_string()
    };
    let narrow = QueryLimits {
        max_broad_series: 5,
        ..QueryLimits::default()
    };
    let broad = refused(
        &engine_of(&node, narrow, 64 << 20),
        "SELECT value FROM metrics",
    )
    .await;
    assert!(broad.contains("matches 14 series"), "{broad}");
    let poor = engine_of(&node, QueryLimits::default(), 1000);
    let memory = refused(&poor, "SELECT value FROM metrics ORDER BY value").await;
    assert!(memory.contains("--sql-memory"), "{memory}");
    // A statement alone may not take what all may hold together.
    let frugal = QueryLimits {
        max_memory_bytes: 2000,
        ..QueryLimits::default()
    };
    let one = engine_of(&node, frugal, 64 << 20);
    let memory = refused(&one, "SELECT value FROM metrics ORDER BY value").await;
    assert!(memory.contains("may hold 2000 bytes"), "{memory}");
    let hurried = QueryLimits {
        timeout: std::time::Duration::from_millis(1),
        ..QueryLimits::default()
    };
    let slow =
        "SELECT count(*) FROM generate_series(1, 1000000000) a, generate_series(1, 1000000000) b";
    let late = refused(&engine_of(&node, hurried, 64 << 20), slow).await;
    assert!(late.contains("longer than 1 ms"), "{late}");
}

#[tokio::test]
async fn a_statement_is_listed_and_can_be_ended() {
    let node = two_tiers().await;
    let engine = Arc::new(node.engine(QueryLimits::default()));
    let clock = Arc::new(|| Timestamp(0));
    let sql = SqlEngine::new(engine.clone(), Vocabulary::full(), clock, 64 << 20).expect("set up");
    let mut answer = sql
        .run("SELECT * FROM metrics", QueryOptions::default())
        .await
        .expect("an answer");
    let running = engine.queries().running();
    assert_eq!(running[0].text, "SELECT * FROM metrics");
    assert_eq!(engine.turns().0, 1);
    assert!(engine.queries().kill(running[0].id));
    let ended = answer.next().await.expect("an error");
    assert!(matches!(ended, Err(QueryError::Killed)), "{ended:?}");
    assert!(answer.next().await.is_none());
    assert_eq!((engine.queries().running().len(), engine.turns().0), (0, 0));
}

#[tokio::test]
async fn only_what_reads_is_run() {
    let node = two_tiers().await;
    let sql = engine_of(&node, QueryLimits::default(), 64 << 20);
    for statement in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE VIEW v AS SELECT 1",
        "DROP TABLE metrics",
        "INSERT INTO metrics (value) VALUES (1)",
        "DELETE FROM metrics",
        "COPY (SELECT 1) TO '/tmp/hesper-was-here.csv'",
        "SET datafusion.execution.batch_size = 1",
        "SELECT * FROM '/etc/passwd'",
        "SELECT 1; SELECT 2",
        "SELECT",
        "SELECT * FROM nothing",
        "SELECT no_column FROM metrics",
    ] {
        let error = run(&sql, statement).await.expect_err(statement);
        assert!(
            matches!(error, QueryError::Sql(_)),
            "{statement}: {error:?}"
        );
    }
    for statement in [
        "EXPLAIN SELECT * FROM metrics",
        "SHOW TABLES",
        "DESCRIBE metrics",
    ] {
        let rows = texts(&node, statement).await;
        assert!(!rows.is_empty(), "{statement}");
    }
}

/// On a thread with the stack that the threads of a node have.
#[test]
fn deep_statements_are_refused_before_they_take_the_stack() {
    let work = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(deep_statements());
    };
    let thread = std::thread::Builder::new().stack_size(16 << 20).spawn(work);
    thread
        .expect("a thread")
        .join()
        .expect("no statement takes the stack");
}

async fn deep_statements() {
    let node = two_tiers().await;
    let sql = engine_of(&node, QueryLimits::default(), 64 << 20);
    for (statement, fits) in [
        (format!("SELECT {}1", "1 + ".repeat(99)), true),
        (format!("SELECT {}1", "1 + ".repeat(5000)), false),
        (
            format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000)),
            false,
        ),
        (
            format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(2000)),
            false,
        ),
        (format!("SELECT {}", "a".repeat(100_000)), false),
    ] {
        let ran = run(&sql, &statement).await;
        assert_eq!(ran.is_ok(), fits, "{}: {ran:?}", &statement[..40]);
    }
    // Each table twice of the one before: 2^30 of them.
    let mut statement = String::from("WITH t0 AS (SELECT 1 AS c)");
    for i in 1..=30 {
        statement += &format!(", t{i} AS (SELECT a.c FROM t{} a, t{} b)", i - 1, i - 1);
    }
    let error = run(&sql, &format!("{statement} SELECT c FROM t30"))
        .await
        .expect_err("too many nodes");
    assert!(error.to_string().contains("nodes"), "{error}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_fails_a_strict_statement() {
    let mut node = Node::new().await;
    node.publish(&[(1, 5, 3.0)]);
    node.flush(0..1).await;
    node.publish(&[(1, 65, 4.0)]);
    node.restart().await;
    let file = node
        .tiers
        .history
        .manifest()
        .files()
        .next()
        .cloned()
        .expect("a file");
    let path = object_store::path::Path::from(file.path.as_str());
    let put = object_store::ObjectStoreExt::put(&node.objects, &path, "no parquet".into());
    put.await.expect("put");
    let sql = engine_of(&node, QueryLimits::default(), 64 << 20);
    let error = run(&sql, "SELECT value FROM metrics")
        .await
        .expect_err("incomplete");
    assert!(
        matches!(&error, QueryError::Incomplete(part) if part.contains(&file.path)),
        "{error:?}"
    );
    let lenient = sql
        .run("SELECT value FROM metrics", QueryOptions::default())
        .await;
    let mut lenient = lenient.expect("a partial answer");
    let mut values = Vec::new();
    while let Some(batch) = lenient.next().await {
        values.extend(doubles(&batch.expect("rows"), 0));
    }
    assert_eq!(values, [4.0]);
    assert!(
        lenient.notices()[0].contains(&file.path),
        "{:?}",
        lenient.notices()
    );
}

#[tokio::test]
async fn roll_ups_answer_where_raw_data_has_expired() {
    let mut points: Vec<_> = [(1, 1.0), (2, 2.0), (5, 6.0)]
        .map(|(t, v)| (0, t, v))
        .into();
    points.extend((6..=10).map(|t| (0, t, 10.0)));
    let mut node = Node::new().await;
    node.back_fill(&points).await;
    let keep = Keep {
        raw_millis: Some(0),
        ..Keep::default()
    };
    let policy = Policy {
        keep,
        ..Policy::default()
    };
    node.maintain(2, &policy).await;
    node.restart().await;
    let cells = texts(
        &node,
        "SELECT time, count, sum, min, max FROM metrics_5m ORDER BY time",
    )
    .await;
    assert_eq!(
        cells,
        [
            "1970-01-01T00:05:00Z 3 9.0 1.0 6.0",
            "1970-01-01T00:10:00Z 5 50.0 10.0 10.0"
        ]
    );
    let sql = engine_of(&node, QueryLimits::default(), 64 << 20);
    let statement = "SELECT value FROM metrics WHERE time <= '1970-01-01T00:05:00Z'";
    let mut answer = sql
        .run(statement, QueryOptions::default())
        .await
        .expect("an answer");
    let mut values = Vec::new();
    while let Some(batch) = answer.next().await {
        values.extend(doubles(&batch.expect("rows"), 0));
    }
    assert_eq!(values, [3.0; 3]);
    let said = "raw data before 1970-01-02T00:00:00Z has expired; values are of 5 minute cells";
    assert_eq!(answer.notices(), [said]);
}

/// The physical plan of a statement, node by node.
async fn plan(node: &Node, statement: &str) -> Vec<String> {
    let rows = ask(node, &format!("EXPLAIN FORMAT INDENT {statement}")).await;
    let (kinds, plans) = (
        rows[0].column(0).as_string::<i32>(),
        rows[0].column(1).as_string::<i32>(),
    );
    let physical = kinds.iter().position(|kind| kind == Some("physical_plan"));
    let text = plans.value(physical.expect("a physical plan"));
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[tokio::test]
async fn conditions_and_columns_reach_the_leaf() {
    let node = two_tiers().await;
    let statement = "SELECT time, sum(value) FROM metrics WHERE name = 'metric.1' AND app LIKE 'app%' AND time >= '1970-01-01T00:01:00Z' \
                     GROUP BY time";
    assert_eq!(
        plan(&node, statement).await,
        [
            "AggregateExec: mode=FinalPartitioned, gby=[time@0 as time], aggr=[sum(metrics.value)]",
            "RepartitionExec: partitioning=Hash([time@0], 3), input_partitions=3",
            "AggregateExec: mode=Partial, gby=[time@0 as time], aggr=[sum(metrics.value)]",
            "SeriesScanExec: query=name,metric.1,:eq,app,(?s)^app,:re,:and, columns=[time, value], from=60000",
        ]
    );
    let lines = "SELECT time, value FROM stack('name,metric.1,:eq,:sum', 0, 600000, '60s')";
    assert_eq!(
        plan(&node, lines).await,
        [
            "CooperativeExec",
            "StackExec: expr=name,metric.1,:eq,:sum, from=60000, to=600000, step=60000",
        ]
    );
    // What the stack language runs for the same.
    let exprs =
        hesper_stack::parse_graph("name,metric.1,:eq,:sum", &Default::default()).expect("valid");
    let data = exprs[0].expr.data_exprs().remove(0);
    let engine = node.engine(QueryLimits::default());
    let plan = engine.explain(&data, &minutes(1, 10)).expect("a plan");
    assert!(plan.starts_with("MergeExec: op=Sum\n"), "{plan}");
}
