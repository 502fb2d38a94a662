//! What a publisher does about servers that are slow, full, gone or wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hesper_client::proto::Reject;
use hesper_client::{Error, ManualClock, Publisher, PublisherBuilder, Registry};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tonic::Status;

use crate::fake_server::{Answer, FakeServer, Greeting, Received, welcome};

const STEP: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(20);
/// Long enough to queue a step, too short to be acknowledged by a server that isn't there.
const SHORT: Duration = Duration::from_millis(1);

/// A registry whose steps end when the test says so.
struct Fixture {
    registry: Registry,
    clock: Arc<ManualClock>,
}

impl Fixture {
    fn new() -> Self {
        Self::with_time_to_live(Duration::from_secs(900))
    }

    fn with_time_to_live(time_to_live: Duration) -> Self {
        let clock = Arc::new(ManualClock::new(1_000_000));
        let registry = Registry::builder()
            .clock(clock.clone())
            .step(STEP)
            .time_to_live(time_to_live)
            .build()
            .expect("ten seconds are a step");
        Self { registry, clock }
    }

    fn publisher(&self, server: &FakeServer) -> PublisherBuilder {
        self.publisher_at(&server.uri())
    }

    fn publisher_at(&self, uri: &str) -> PublisherBuilder {
        Publisher::builder(&self.registry)
            .endpoint(uri)
            .name("test")
            .reconnect_delay(Duration::from_millis(10), Duration::from_millis(50))
    }

    /// Queues the present step and goes to the next one.
    async fn step(&self, publisher: &Publisher) {
        let _ = publisher.flush(SHORT).await;
        self.clock.advance(STEP);
    }

    fn measurements<const N: usize>(&self, tags: [(&str, &str); N]) -> f64 {
        self.registry
            .counter(("hesper.client.measurements", tags))
            .total()
    }
}

fn sequences(received: &[Received], connection: usize) -> Vec<u64> {
    let of_it = received
        .iter()
        .filter(|batch| batch.connection == connection);
    of_it.map(|batch| batch.sequence).collect()
}

#[tokio::test]
async fn batches_stay_queued_until_they_are_acknowledged() {
    let delay = Duration::from_millis(300);
    let server = FakeServer::answering(move |_| Answer::AckAfter(delay)).await;
    let fixture = Fixture::new();
    let publisher = fixture
        .publisher(&server)
        .tenant("t")
        .start()
        .expect("the publisher starts");
    fixture.registry.counter("c").add(10);
    let error = publisher
        .flush(Duration::from_millis(50))
        .await
        .expect_err("it must fail");
    assert!(
        matches!(error, Error::NotAcknowledged { datapoints, .. } if datapoints > 0),
        "{error}"
    );
    let queued = publisher.queued_datapoints();
    assert!(queued > 0);
    publisher.flush(LONG).await.expect("the store acknowledges");
    assert_eq!(publisher.queued_datapoints(), 0);
    assert_eq!(fixture.measurements([("id", "sent")]), queued as f64);
    let received = server.received();
    assert_eq!(received[0].value_of("c"), Some(1.0));
    assert_eq!(received[0].time_millis, 1_010_000);
    let hello = &server.hellos()[0];
    assert_eq!(
        (&*hello.tenant, &*hello.name, hello.client.len()),
        ("t", "test", 16)
    );
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_as_it_was() {
    // The first connection acknowledges one batch, while the second is under way, and breaks at the third.
    let server = FakeServer::answering(|batch| match (batch.connection, batch.sequence) {
        (0, 1) => Answer::Nothing,
        (0, 2) => Answer::AckAs(1, Vec::new()),
        (0, _) => Answer::Fail(Status::unavailable("going down")),
        _ => Answer::Ack,
    })
    .await;
    let fixture = Fixture::new();
    let publisher = fixture
        .publisher(&server)
        .start()
        .expect("the publisher starts");
    let counter = fixture.registry.counter("c");
    for step in 1..=3 {
        counter.add(10 * step);
        fixture.step(&publisher).await;
        let came = |received: &[Received]| received.iter().any(|b| b.sequence == step);
        server.wait_for("the batch", came).await;
    }
    publisher.flush(LONG).await.expect("the store acknowledges");
    let received = server.received();
    assert_eq!(sequences(&received, 0), [1, 2, 3]);
    let again = sequences(&received, 1);
    assert_eq!(again[..2], [2, 3]);
    for sequence in [2, 3] {
        let of_it: Vec<&Received> = received.iter().filter(|b| b.sequence == sequence).collect();
        assert_eq!(of_it.len(), 2);
        assert_eq!(of_it[0].content(), of_it[1].content());
        assert_eq!(of_it[0].value_of("c"), Some(sequence as f64));
    }
    let resent: usize = received
        .iter()
        .filter(|batch| batch.connection == 1 && batch.sequence <= 3)
        .map(|batch| batch.datapoints.len())
        .sum();
    assert_eq!(fixture.measurements([("id", "resent")]), resent as f64);
    let hellos = server.hellos();
    assert_eq!(hellos[0].client, hellos[1].client);
    assert_eq!(publisher.queued_datapoints(), 0);
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_and_counts_them() {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("the port is free");
    let address = listener.local_addr().expect("the listener is bound");
    drop(listener);
    let fixture = Fixture::new();
    let uri = format!("http://{address}");
    let publisher = fixture
        .publisher_at(&uri)
        .queue_datapoints(200)
        .start()
        .expect("the publisher starts");
    for i in 0..50 {
        let text = i.to_string();
        fixture.registry.counter(("c", [("i", &*text)])).increment();
    }
    for _ in 0..10 {
        fixture.step(&publisher).await;
        assert!(publisher.queued_datapoints() <= 200);
    }
    let dropped = fixture.measurements([("id", "dropped"), ("error", "queue-full")]);
    assert!(dropped >= 300.0, "{dropped}");

    // What is left arrives once there is a server.
    let listener = TcpListener::bind(address).await.expect("the port is free");
    let server = FakeServer::on(listener, welcome, |_| Answer::Ack);
    publisher.flush(LONG).await.expect("the store acknowledges");
    let received = server.received();
    assert!(received[0].sequence > 5);
    assert_eq!(
        received[0].time_millis,
        1_000_000 + 10_000 * received[0].sequence as i64
    );
    let arrived: usize = received.iter().map(|batch| batch.datapoints.len()).sum();
    assert_eq!(fixture.measurements([("id", "sent")]), arrived as f64);
}

#[tokio::test]
async fn a_server_that_stops_reading_fills_the_queue_and_no_more() {
    let server = FakeServer::scripted(|_| Greeting::StopReading, |_| Answer::Ack).await;
    let fixture = Fixture::new();
    let publisher = fixture
        .publisher(&server)
        .queue_datapoints(50_000)
        .start()
        .expect("the publisher starts");
    for i in 0..5_000 {
        let text = i.to_string();
        fixture.registry.gauge(("g", [("i", &*text)])).set(0.5);
    }
    for _ in 0..40 {
        fixture.step(&publisher).await;
        assert!(publisher.queued_datapoints() <= 50_000);
    }
    let dropped = fixture.measurements([("id", "dropped"), ("error", "queue-full")]);
    assert!(dropped >= 150_000.0, "{dropped}");
    let connections = [("id", "failed")];
    let failed = fixture
        .registry
        .counter(("hesper.client.connections", connections));
    assert_eq!(
        failed.total(),
        0.0,
        "a slow server isn't a broken connection"
    );
}

#[tokio::test]
async fn rejects_are_counted_by_reason() {
    let reject = |sequence, reference, reason: &str| Reject {
        sequence,
        r#ref: reference,
        reason: reason.to_owned(),
        message: "for people".to_owned(),
    };
    let server = FakeServer::answering(move |batch| {
        let sequence = batch.sequence;
        let rejects = vec![
            reject(sequence, 0, "DataTooOld"),
            reject(sequence, 1, "DataTooOld"),
            reject(sequence, 999, ""),
        ];
        Answer::AckAs(sequence, rejects)
    })
    .await;
    let fixture = Fixture::new();
    let publisher = fixture
        .publisher(&server)
        .start()
        .expect("the publisher starts");
    for i in 0..10 {
        let text = i.to_string();
        fixture.registry.gauge(("g", [("i", &*text)])).set(1.0);
    }
    publisher.flush(LONG).await.expect("the store acknowledges");
    let sent = server.received()[0].datapoints.len();
    let count = |reason| fixture.measurements([("id", "rejected"), ("reason", reason)]);
    assert_eq!(count("DataTooOld"), 2.0);
    assert_eq!(count("unknown"), 1.0);
    assert_eq!(fixture.measurements([("id", "sent")]), (sent - 3) as f64);
    fixture.clock.advance(STEP);
    publisher.flush(LONG).await.expect("the store acknowledges");
    assert_eq!(count("DataTooOld"), 4.0);
    assert_eq!(
        server.received().len(),
        2,
        "refused datapoints aren't sent again"
    );
}

#[tokio::test]
async fn servers_that_break_the_rules_are_left_and_nothing_is_lost() {
    let greeting = |connection| match connection {
        0 => Greeting::Close,
        1 => Greeting::Ack,
        2 => Greeting::Refuse(Status::unauthenticated("not yet")),
        _ => welcome(connection),
    };
    let answer = |batch: &Received| match batch.connection {
        3 => Answer::SecondWelcome,
        4 => Answer::AckAs(1_000, Vec::new()),
        5 => Answer::Close,
        6 => Answer::Fail(Status::internal("oops")),
        7 => Answer::EmptyThenAck,
        _ => Answer::Ack,
    };
    let server = FakeServer::scripted(greeting, answer).await;
    let fixture = Fixture::new();
    let publisher = fixture
        .publisher(&server)
        .start()
        .expect("the publisher starts");
    fixture.registry.counter("c").add(10);
    publisher.flush(LONG).await.expect("the store acknowledges");
    let received = server.received();
    assert_eq!(received.last().expect("a batch came").connection, 7);
    assert!(
        received
            .iter()
            .all(|batch| batch.value_of("c") == Some(1.0))
    );
    assert!(received.iter().all(|batch| batch.sequence == 1));
}

#[tokio::test]
async fn the_next_endpoint_is_tried_when_one_talks_nonsense() {
    let nonsense = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("the port is free");
    let address = nonsense.local_addr().expect("the listener is bound");
    let visits = Arc::new(AtomicUsize::new(0));
    let count = visits.clone();
    let task = tokio::spawn(async move {
        while let Ok((mut socket, _)) = nonsense.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = socket
                .write_all(b"SSH-2.0-OpenSSH_9.9\r\n\x00\xff\xfe")
                .await;
        }
    });
    let server = FakeServer::answering(|batch| match batch.connection {
        0 => Answer::Close,
        _ => Answer::Ack,
    })
    .await;
    let fixture = Fixture::new();
    let publisher = fixture
        .publisher(&server)
        .endpoint(&format!("http://{address}"))
        .start()
        .expect("the publisher starts");
    fixture.registry.counter("c").add(10);
    publisher.flush(LONG).await.expect("the store acknowledges");
    assert!(visits.load(Ordering::SeqCst) > 0);
    assert_eq!(
        server
            .received()
            .last()
            .expect("a batch came")
            .value_of("c"),
        Some(1.0)
    );
    task.abort();
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left() {
    let server = FakeServer::answering(|batch| match batch.connection {
        0 => Answer::Nothing,
        _ => Answer::Ack,
    })
    .await;
    let fixture = Fixture::new();
    let publisher = fixture
        .publisher(&server)
        .ack_timeout(Duration::from_millis(200))
        .start()
        .expect("the publisher starts");
    fixture.registry.counter("c").add(10);
    publisher.flush(LONG).await.expect("the store acknowledges");
    let received = server.received();
    assert_eq!(sequences(&received, 0), sequences(&received, 1));
}

#[tokio::test]
async fn a_batch_at_which_the_server_breaks_off_is_given_up_alone() {
    let server = FakeServer::answering(|batch| {
        if batch.value_of("poison").is_some() {
            Answer::Fail(Status::invalid_argument("cannot read that"))
        } else {
            Answer::Ack
        }
    })
    .await;
    let fixture = Fixture::with_time_to_live(STEP);
    let publisher = fixture
        .publisher(&server)
        .start()
        .expect("the publisher starts");
    let good = fixture.registry.counter("good");
    good.add(10);
    publisher.flush(LONG).await.expect("the store acknowledges");
    fixture.clock.advance(STEP);

    good.add(20);
    fixture.registry.max_gauge("poison").set(1.0);
    fixture.step(&publisher).await;
    good.add(30);
    fixture.step(&publisher).await;
    publisher.flush(LONG).await.expect("the store acknowledges");
    let received = server.received();
    let poisoned = received.iter().filter(|b| b.value_of("poison").is_some());
    assert_eq!(poisoned.count(), 4);
    let size = received
        .iter()
        .find(|batch| batch.value_of("poison").is_some())
        .map_or(0, |batch| batch.datapoints.len());
    let dropped = fixture.measurements([("id", "dropped"), ("error", "refused")]);
    assert_eq!(dropped, size as f64);
    assert!(
        received
            .iter()
            .any(|batch| batch.value_of("good") == Some(3.0))
    );
}

#[tokio::test]
async fn batches_are_no_larger_than_the_server_takes() {
    let greeting = |_| Greeting::Welcome {
        max_batch_datapoints: 40,
    };
    let server = FakeServer::scripted(greeting, |_| Answer::Ack).await;
    let fixture = Fixture::new();
    for i in 0..100 {
        let text = i.to_string();
        fixture.registry.gauge(("g", [("i", &*text)])).set(1.0);
    }
    let publisher = fixture
        .publisher(&server)
        .start()
        .expect("the publisher starts");
    // The first step may have been cut before the server gave its limit.
    publisher.flush(LONG).await.expect("the store acknowledges");
    let cut_too_large = fixture.measurements([("id", "dropped"), ("error", "too-large")]);
    assert!(server.received().is_empty() == (cut_too_large > 0.0));
    fixture.clock.advance(STEP);
    let before = server.received().len();
    publisher.flush(LONG).await.expect("the store acknowledges");
    let received = server.received();
    let lengths: Vec<usize> = received[before..]
        .iter()
        .map(|b| b.datapoints.len())
        .collect();
    assert!(
        lengths.len() >= 3 && lengths.iter().all(|length| *length <= 40),
        "{lengths:?}"
    );
    let gauges: BTreeSet<&String> = received[before..]
        .iter()
        .flat_map(|batch| batch.datapoints.iter())
        .filter_map(|(tags, _)| tags.get("i"))
        .collect();
    assert_eq!(gauges.len(), 100);
}

#[tokio::test]
async fn tables_are_begun_anew_when_most_of_their_series_are_gone() {
    let server = FakeServer::start().await;
    let fixture = Fixture::with_time_to_live(STEP);
    let publisher = fixture
        .publisher(&server)
        .start()
        .expect("the publisher starts");
    for step in 0..10 {
        for i in 0..4_000 {
            let text = (step * 4_000 + i).to_string();
            fixture.registry.gauge(("g", [("i", &*text)])).set(1.0);
        }
        publisher.flush(LONG).await.expect("the store acknowledges");
        fixture.clock.advance(STEP);
    }
    let received = server.received();
    assert!(server.hellos().len() >= 2);
    let sequences: Vec<u64> = received.iter().map(|batch| batch.sequence).collect();
    let expected: Vec<u64> = (1..=received.len() as u64).collect();
    assert_eq!(sequences, expected, "nothing was sent twice");
    for connection in 0..server.hellos().len() {
        let of_it = received
            .iter()
            .filter(|batch| batch.connection == connection);
        let defined: usize = of_it.map(|batch| batch.defined).sum();
        assert!(defined < 40_000, "{defined}");
    }
}

#[tokio::test]
async fn shutting_down_publishes_the_step_before_and_the_present_one() {
    let server = FakeServer::start().await;
    let fixture = Fixture::new();
    let publisher = fixture
        .publisher(&server)
        .start()
        .expect("the publisher starts");
    let counter = fixture.registry.counter("c");
    counter.add(10);
    fixture.clock.advance(STEP);
    counter.add(20);
    fixture.registry.gauge("g").set(3.0);
    publisher
        .shutdown(LONG)
        .await
        .expect("the store acknowledges");
    let received = server.received();
    let of_counter: Vec<(i64, Option<f64>)> = received
        .iter()
        .map(|batch| (batch.time_millis, batch.value_of("c")))
        .collect();
    assert_eq!(of_counter, [(1_010_000, Some(1.0)), (1_020_000, Some(2.0))]);
    assert_eq!(received[1].value_of("g"), Some(3.0));
    assert_eq!(fixture.registry.counter("c").total(), 30.0);
}

#[tokio::test]
async fn shutting_down_without_a_server_ends_in_time() {
    let fixture = Fixture::new();
    let publisher = fixture
        .publisher_at("http://127.0.0.1:1")
        .start()
        .expect("the publisher starts");
    fixture.registry.counter("c").add(10);
    let begun = Instant::now();
    let error = publisher
        .shutdown(Duration::from_millis(200))
        .await
        .expect_err("it must fail");
    assert!(matches!(error, Error::NotAcknowledged { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn steps_are_published_once_each_as_time_goes_by() {
    for spread in [true, false] {
        let server = FakeServer::start().await;
        let registry = Registry::builder()
            .step(Duration::from_millis(200))
            .build()
            .expect("a fifth of a second is a step");
        let publisher = Publisher::builder(&registry)
            .endpoint(&server.uri())
            .spread(spread)
            .start()
            .expect("the publisher starts");
        let counter = registry.counter("c");
        let mut counted = 0;
        for _ in 0..100 {
            counter.increment();
            counted += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        publisher
            .shutdown(LONG)
            .await
            .expect("the store acknowledges");
        let received = server.received();
        let times: Vec<i64> = received.iter().map(|batch| batch.time_millis).collect();
        assert!(times.len() >= 4, "{times:?}");
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
        assert!(times.iter().all(|time| time % 200 == 0), "{times:?}");
        let skipped = registry.counter(("hesper.client.steps", [("id", "skipped")]));
        if skipped.total() == 0.0 {
            let rates = received.iter().filter_map(|batch| batch.value_of("c"));
            let published = rates.map(|rate| rate * 0.2).sum::<f64>();
            assert_eq!(published.round() as u64, counted);
        }
    }
}

#[test]
fn what_cannot_work_is_an_error_at_the_start() {
    let registry = Registry::builder().build().expect("the defaults fit");
    let start = |uri: Option<&str>| {
        let builder = Publisher::builder(&registry);
        match uri {
            Some(uri) => builder.endpoint(uri).start(),
            None => builder.start(),
        }
    };
    let error = start(Some("http://127.0.0.1:1")).expect_err("it must fail");
    assert!(matches!(error, Error::NoRuntime), "{error}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("the defaults fit");
    let _entered = runtime.enter();
    assert!(matches!(
        start(None).expect_err("it must fail"),
        Error::NoEndpoint
    ));
    assert!(matches!(
        start(Some("nonsense")).expect_err("it must fail"),
        Error::Uri { .. }
    ));
}
