//! P1 and P2: nodes are killed at random moments, again and again, while clients publish. Nothing acknowledged is lost, nothing counts twice.
//!
//! The clients add to series of the type `sum`, so that a batch that took effect twice, or not at all, shows in a total. After each kill they
//! connect again and send what was not acknowledged with the same sequence numbers, as the client crate does. `HESPER_CRASH_ROUNDS` and
//! `HESPER_CRASH_SEED` set the number of kills and the seed. After each kill the seconds since the one before are held against what was sent, and
//! a page of older ones; everything now and then, and at the end.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use futures::future::join_all;
use hesper_client::proto::Hello;
use hesper_client::{ConnectOptions, Connection};
use hesper_tests::http::Http;
use hesper_tests::server::Server;

const ROUNDS: u64 = 50;
const CLIENTS: usize = 3;
const SERIES: usize = 4;
/// Batches of a client in each second of its time.
const BATCHES_A_SLOT: u64 = 3;
/// Seconds in a question: a graph has at most 1,440 points.
const PAGE: i64 = 600;
/// Kills between two checks of everything.
const ROUNDS_A_CHECK: u64 = 50;
/// Where the clients' time begins, in seconds.
const START: i64 = 1_767_571_200;

const FLAGS: [&str; 8] = [
    "--step",
    "1s",
    "--max-age",
    "7300d",
    "--hot-window",
    "7300d",
    "--commit-interval",
    "5ms",
];

/// A small generator, so that a run can be repeated by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

struct Batch {
    sequence: u64,
    values: Vec<f64>,
}

struct Client {
    number: usize,
    sequence: u64,
    random: Random,
    unacknowledged: VecDeque<Batch>,
    /// By slot, the totals of all batches that were ever sent.
    sent: BTreeMap<i64, Vec<f64>>,
    /// The last batch that was acknowledged.
    acknowledged: u64,
    /// The seconds before this one have been checked.
    checked: i64,
}

/// The second that a batch belongs to.
fn slot_of(sequence: u64) -> i64 {
    START + ((sequence - 1) / BATCHES_A_SLOT) as i64
}

impl Client {
    fn new(number: usize, seed: u64) -> Self {
        Self {
            number,
            sequence: 0,
            random: Random(
                seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    .wrapping_add(number as u64)
                    | 1,
            ),
            unacknowledged: VecDeque::new(),
            sent: BTreeMap::new(),
            acknowledged: 0,
            checked: START,
        }
    }

    fn next_batch(&mut self) -> Batch {
        self.sequence += 1;
        let values: Vec<f64> = (0..SERIES)
            .map(|_| (1 + self.random.below(9)) as f64)
            .collect();
        let totals = self
            .sent
            .entry(slot_of(self.sequence))
            .or_insert_with(|| vec![0.0; SERIES]);
        for (total, v) in totals.iter_mut().zip(&values) {
            *total += v;
        }
        Batch {
            sequence: self.sequence,
            values,
        }
    }

    /// Publishes until the deadline or until the node is gone.
    async fn publish(&mut self, grpc: &str, until: Instant) {
        let hello = Hello {
            client: vec![self.number as u8 + 1; 16],
            name: format!("crash-{}", self.number),
            ..Hello::default()
        };
        let Ok(connection) = Connection::open(grpc, &ConnectOptions::default()).await else {
            return;
        };
        let Ok(mut stream) = connection.publish_stream(hello, 64).await else {
            return;
        };
        let client = format!("c{}", self.number);
        let refs: Vec<_> = (0..SERIES)
            .map(|i| {
                let series = format!("s{i}");
                stream.sender.define([
                    ("name", "crash.total"),
                    ("atlas.dstype", "sum"),
                    ("client", client.as_str()),
                    ("series", series.as_str()),
                ])
            })
            .collect();
        for batch in &self.unacknowledged {
            let millis = slot_of(batch.sequence) * 1000;
            let sent = stream
                .sender
                .send(batch.sequence, millis, &refs, batch.values.clone());
            if sent.await.is_err() {
                return;
            }
        }
        while Instant::now() < until {
            tokio::select! {
                ack = stream.acks.receive() => match ack {
                    Ok(Some(ack)) => {
                        assert!(ack.rejects.is_empty(), "{:?}", ack.rejects);
                        self.acknowledged = self.acknowledged.max(ack.sequence);
                        self.unacknowledged.retain(|b| b.sequence > ack.sequence);
                    }
                    Ok(None) | Err(_) => return,
                },
                () = tokio::time::sleep(Duration::from_millis(1)), if stream.sender.in_flight() < 60 => {
                    let batch = self.next_batch();
                    let millis = slot_of(batch.sequence) * 1000;
                    let values = batch.values.clone();
                    let sequence = batch.sequence;
                    // Before it is sent: from then on it may have taken effect.
                    self.unacknowledged.push_back(batch);
                    if stream.sender.send(sequence, millis, &refs, values).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// The first second of which not every batch was acknowledged.
    fn open(&self) -> i64 {
        slot_of(self.acknowledged + 1)
    }

    /// Every second that anything was sent for.
    fn all(&self) -> Range<i64> {
        START..slot_of(self.sequence) + 1
    }

    /// Checks what was acknowledged since the last time with the page before, and an older page; everything every so many rounds.
    async fn check_acknowledged(&mut self, http: &Http, round: u64) {
        let open = self.open();
        if round.is_multiple_of(ROUNDS_A_CHECK) {
            self.check(http, START..open, round).await;
        } else {
            let recent = (self.checked - PAGE).max(START);
            self.check(http, recent..open, round).await;
            let older = START + self.random.below((recent - START) as u64 + 1) as i64;
            self.check(http, older..recent.min(older + PAGE), round)
                .await;
        }
        self.checked = open;
    }

    /// Holds the totals of seconds against those of the node.
    async fn check(&self, http: &Http, seconds: Range<i64>, round: u64) {
        let mut stored: BTreeMap<(usize, i64), f64> = BTreeMap::new();
        let program = format!(
            "name,crash.total,:eq,client,c{},:eq,:and,(,series,),:by",
            self.number
        );
        for start in (seconds.start - 1..seconds.end - 1).step_by(PAGE as usize) {
            let end = (start + PAGE).min(seconds.end - 1);
            let (s, e) = (start.to_string(), end.to_string());
            let params = [
                ("q", program.as_str()),
                ("s", &s),
                ("e", &e),
                ("step", "1s"),
                ("w", "1440"),
                ("format", "json"),
                ("strict", "1"),
            ];
            let answer = http.get("/api/v1/graph", &params).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let json = answer.json();
            assert_eq!(json["step"], 1000);
            for (line, tags) in json["metrics"]
                .as_array()
                .expect("lines")
                .iter()
                .enumerate()
            {
                let series = tags["series"].as_str().expect("grouped by series");
                let series: usize = series[1..].parse().expect("a number");
                for (i, row) in json["values"].as_array().expect("rows").iter().enumerate() {
                    if let Some(v) = row[line].as_f64() {
                        stored.insert((series, start + 1 + i as i64), v);
                    }
                }
            }
        }
        for (slot, totals) in self.sent.range(seconds) {
            for (series, want) in totals.iter().enumerate() {
                let got = stored.get(&(series, *slot)).copied();
                assert_eq!(
                    got,
                    Some(*want),
                    "round {round}: client {}, series {series}, second {}: acknowledged up to {}, sent up to {}",
                    self.number,
                    slot - START,
                    self.acknowledged,
                    self.sequence
                );
            }
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |t| t.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_counts_twice() {
    let rounds = setting("HESPER_CRASH_ROUNDS", ROUNDS);
    let seed = setting("HESPER_CRASH_SEED", 20_261_121);
    println!("{rounds} rounds, HESPER_CRASH_SEED={seed}");
    let directory = tempfile::tempdir().expect("a directory");
    let mut random = Random(seed | 1);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|n| Client::new(n, seed)).collect();
    for round in 0..rounds {
        let server = Server::start(directory.path(), &FLAGS).await;
        let http = Http::new(&server.http);
        for client in &mut clients {
            client.check_acknowledged(&http, round).await;
        }
        if round.is_multiple_of(ROUNDS_A_CHECK) {
            println!("{round} of {rounds} kills");
        }
        // Mostly soon after the start; now and then late enough to meet a flush or a checkpoint.
        let longest = if random.below(3) == 0 { 2500 } else { 400 };
        let until = Instant::now() + Duration::from_millis(20 + random.below(longest));
        let grpc = server.grpc.clone();
        let publishing = async {
            let past = until + Duration::from_secs(5);
            join_all(clients.iter_mut().map(|c| c.publish(&grpc, past))).await;
        };
        let killing = async {
            tokio::time::sleep_until(until.into()).await;
            server.kill().await;
        };
        tokio::join!(publishing, killing);
    }
    // The last time everything is sent and acknowledged.
    let server = Server::start(directory.path(), &FLAGS).await;
    for client in &mut clients {
        while !client.unacknowledged.is_empty() || client.acknowledged < client.sequence {
            let until = Instant::now() + Duration::from_millis(200);
            client.publish(&server.grpc, until).await;
            // Nothing new from now on: only what waits is sent again.
            drain(client, &server.grpc).await;
        }
    }
    let http = Http::new(&server.http);
    let mut batches = 0;
    for client in &clients {
        assert_eq!(client.acknowledged, client.sequence);
        client.check(&http, client.all(), rounds).await;
        batches += client.sequence;
    }
    server.stop().await;
    let server = Server::start(directory.path(), &FLAGS).await;
    let http = Http::new(&server.http);
    for client in &clients {
        client.check(&http, client.all(), rounds + 1).await;
    }
    let flushed = std::fs::read_dir(directory.path().join("history/manifest"));
    let flushed = flushed.expect("a manifest").count();
    assert!(
        rounds < 20 || flushed > 10,
        "only {flushed} flushes: the kills met none"
    );
    println!("{batches} batches, {flushed} flushes, {rounds} kills: none lost, none doubled");
    server.stop().await;
}

/// Sends what waits and receives until all is acknowledged.
async fn drain(client: &mut Client, grpc: &str) {
    let hello = Hello {
        client: vec![client.number as u8 + 1; 16],
        ..Hello::default()
    };
    let connection = Connection::open(grpc, &ConnectOptions::default())
        .await
        .expect("a node");
    let mut stream = connection
        .publish_stream(hello, 4096)
        .await
        .expect("a stream");
    let name = format!("c{}", client.number);
    let refs: Vec<_> = (0..SERIES)
        .map(|i| {
            let series = format!("s{i}");
            let tags = [
                ("name", "crash.total"),
                ("atlas.dstype", "sum"),
                ("client", name.as_str()),
                ("series", series.as_str()),
            ];
            stream.sender.define(tags)
        })
        .collect();
    for batch in &client.unacknowledged {
        let millis = slot_of(batch.sequence) * 1000;
        let sent = stream
            .sender
            .send(batch.sequence, millis, &refs, batch.values.clone());
        sent.await.expect("the node takes it");
    }
    while let Some(last) = client.unacknowledged.back() {
        let wanted = last.sequence;
        let ack = stream
            .acks
            .receive()
            .await
            .expect("a good stream")
            .expect("an ack");
        client.acknowledged = client.acknowledged.max(ack.sequence);
        client.unacknowledged.retain(|b| b.sequence > ack.sequence);
        assert!(client.acknowledged <= wanted);
    }
}
