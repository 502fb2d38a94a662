//! Queries that would take all there is: they are held to what they may use, and others are answered meanwhile.

use std::fmt::Write;
use std::time::{Duration, Instant};

use hesper_tests::http::{Answer, Http, query_of};
use hesper_tests::server::Server;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What all queries together may hold.
const MEMORY: u64 = 64 << 20;

const FLAGS: [&str; 12] = [
    "--max-age",
    "1d",
    "--max-queries-memory",
    "64MiB",
    "--max-query-memory",
    "32MiB",
    "--query-timeout",
    "8s",
    "--max-broad-series",
    "1000",
    "--self-metrics",
    "false",
];

const NAMES: usize = 5;
const NODES: usize = 600;
const MINUTES: i64 = 20;

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs() as i64
}

/// Some thousand series, twenty minutes of each.
async fn publish_fleet(http: &Http) {
    let end = now() / 60 * 60;
    for minute in 1..=MINUTES {
        let time = (end - 60 * minute) * 1000;
        let mut body = String::from(r#"{"metrics":["#);
        for i in 0..NAMES * NODES {
            let (name, node) = (i % NAMES, i / NAMES);
            let comma = if i > 0 { "," } else { "" };
            let _ = write!(
                body,
                r#"{comma}{{"tags":{{"name":"m.{name}","nf.app":"app{}","nf.node":"i-{node:04}","atlas.dstype":"gauge"}},"timestamp":{time},"value":{}.5}}"#,
                node % 20,
                i * 7 % 100
            );
        }
        body.push_str("]}");
        let answer = http.publish(&body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// A query that asks for much, of some kind.
fn hostile(i: usize) -> (&'static str, Vec<(&'static str, String)>) {
    let many: String = (1..40)
        .map(|minute| format!("name,m.0,:eq,:sum,{minute}m,:offset,(,nf.node,),:by,"))
        .collect();
    let program = match i % 8 {
        // Everything, which is not meant by chance.
        0 => "name,:has,:sum",
        // Everything, which is meant.
        1 | 7 => "name,:has,:sum,(,nf.node,),:by",
        // Each series by itself, over a long range.
        2 => "name,m.,:re,:sum,:cf-max",
        // Many at once.
        3 => &many,
        // Patterns that try much.
        4 => "nf.node,(i|-|0|1|2|3)*(0|1|2)+9$,:re,:sum,(,nf.node,),:by",
        // A large picture.
        5 => "name,m.1,:eq,:sum,(,nf.node,),:by,:stack",
        // Much to compute with.
        _ => "name,m.2,:eq,:sum,(,nf.node,),:by,10,0.1,0.5,:des,5,1,:rolling-mean,:dup,:add",
    };
    let params = [
        ("q", program),
        ("s", if i % 8 == 2 { "e-30d" } else { "e-6h" }),
        ("step", if i % 8 == 2 { "2m" } else { "1m" }),
        ("w", if i % 8 == 5 { "3000" } else { "1440" }),
        ("h", if i % 8 == 5 { "900" } else { "300" }),
        ("format", if i % 8 == 5 { "png" } else { "json" }),
        ("all", if i.is_multiple_of(8) { "0" } else { "1" }),
        ("id", "hostile"),
    ];
    let params = params.map(|(k, v)| (k, v.to_owned()));
    ("/api/v1/graph", params.into())
}

async fn innocent(http: &Http) -> Duration {
    let params = [
        ("q", "name,m.3,:eq,:sum"),
        ("s", "e-1h"),
        ("format", "json"),
        ("id", "innocent"),
    ];
    let began = Instant::now();
    let answer = http.get("/api/v1/graph", &params).await;
    let took = began.elapsed();
    assert_eq!(answer.status, 200, "{}", answer.text());
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn held(http: &Http) -> u64 {
    let page = http.get("/metrics", &[]).await.text();
    let line = page
        .lines()
        .find(|l| l.starts_with("hesper_query_memoryHeld"));
    let value = line.and_then(|l| l.rsplit(' ').next()?.parse::<f64>().ok());
    value.expect("a gauge") as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_hostile_queries_do_not_hold_up_an_innocent_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &FLAGS).await;
    let http = Http::new(&server.http);
    publish_fleet(&http).await;
    for _ in 0..3 {
        innocent(&http).await;
    }
    let mut quiet = Vec::new();
    for _ in 0..21 {
        quiet.push(innocent(&http).await);
    }
    let quiet = median(quiet);
    let before = server.peak_bytes();

    let asked: Vec<_> = (0..200)
        .map(|i| {
            let http = http.clone();
            tokio::spawn(async move {
                let (path, params) = hostile(i);
                let params: Vec<(&str, &str)> = params.iter().map(|(k, v)| (*k, &**v)).collect();
                http.get(path, &params).await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (mut meanwhile, mut most_held) = (Vec::new(), 0);
    while meanwhile.len() < 21 {
        meanwhile.push(innocent(&http).await);
        most_held = held(&http).await.max(most_held);
    }
    let unfinished = asked.iter().filter(|a| !a.is_finished()).count();
    let meanwhile = median(meanwhile);
    println!("quiet {quiet:?}, meanwhile {meanwhile:?}, {unfinished} hostile queries unfinished");
    println!("queries held {most_held} bytes at most");

    let mut answers: Vec<Answer> = Vec::new();
    for asked in asked {
        answers.push(asked.await.expect("no panic"));
    }
    let status = |s: u16| answers.iter().filter(|a| a.status == s).count();
    let grown = server.peak_bytes() - before;
    println!(
        "200: {}, 400: {}, 429: {}, 503: {}; memory grew by {} MB",
        status(200),
        status(400),
        status(429),
        status(503),
        grown >> 20
    );
    for answer in &answers {
        let known = [200, 400, 429, 503].contains(&answer.status);
        assert!(known, "{}: {}", answer.status, answer.text());
        let told = answer.header("retry-after") == "1";
        assert_eq!(told, [429, 503].contains(&answer.status));
    }
    // What is refused names its cost.
    let refused = |text: &str| {
        answers
            .iter()
            .any(|a| a.status == 400 && a.text().contains(text))
    };
    assert!(refused("matches 3000 series (108"));
    assert!(refused("too many series to be consolidated one by one"));
    assert!(unfinished > 0, "they were to be under way meanwhile");
    assert!(most_held <= MEMORY, "{most_held}");
    // What a text or a picture takes while it is made is not counted, nor what the allocator keeps.
    assert!(grown <= 8 * MEMORY, "{grown}");
    // A few milliseconds are lost to a busy machine, however short the query is.
    let limit = 3 * quiet.max(Duration::from_millis(20));
    assert!(meanwhile <= limit, "{meanwhile:?}, alone {quiet:?}");
    assert_eq!(held(&http).await, 0, "all is given back");
    server.stop().await;
}

#[tokio::test]
async fn a_query_ends_when_its_caller_hangs_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let flags = ["--self-metrics", "false", "--max-running-of-caller", "1"];
    let server = Server::start(directory.path(), &flags).await;
    let http = Http::new(&server.http);
    let address = server.http.strip_prefix("http://").expect("an address");
    // One takes its time, the others wait for it.
    let query = query_of(&[
        ("q", &"name,x,:eq,:sum,".repeat(20)),
        ("s", "e-30d"),
        ("step", "1m"),
        ("w", "10000"),
        ("id", "gone"),
        ("format", "json"),
    ]);
    let request = format!("GET /api/v1/graph?{query} HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut connections = Vec::new();
    for _ in 0..40 {
        let mut connection = TcpStream::connect(address).await.expect("connected");
        let sent = connection.write_all(request.as_bytes()).await;
        sent.expect("sent");
        connections.push(connection);
    }
    let running = async || {
        let list = http.get("/api/v1/queries", &[]).await.json();
        list.as_array().expect("a list").len()
    };
    let began = Instant::now();
    while running().await < 10 {
        assert!(began.elapsed() < Duration::from_secs(5), "they are listed");
    }
    drop(connections);
    let began = Instant::now();
    while running().await > 0 {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "they are forgotten"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.stop().await;
}
