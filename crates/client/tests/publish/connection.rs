//! Streams of batches, single calls and back-fill.

use std::collections::HashMap;
use std::time::Duration;

use hesper_client::proto::{Datapoint, Hello, LoadSeries};
use hesper_client::{BatchStream, ConnectOptions, Connection, Error, SeriesRef};

use crate::fake_server::{Answer, FakeServer, Greeting, welcome};

async fn open(server: &FakeServer, window: usize) -> BatchStream {
    connect(server)
        .await
        .publish_stream(hello(), window)
        .await
        .expect("the server welcomes")
}

async fn connect(server: &FakeServer) -> Connection {
    Connection::open(&server.uri(), &ConnectOptions::default())
        .await
        .expect("the server listens")
}

fn hello() -> Hello {
    Hello {
        client: Connection::random_client(),
        tenant: "t".to_owned(),
        name: "test".to_owned(),
    }
}

fn tags(i: usize) -> Vec<(&'static str, String)> {
    vec![("name", "n".to_owned()), ("i", i.to_string())]
}

fn define(stream: &mut BatchStream, i: usize) -> SeriesRef {
    let tags = tags(i);
    stream.sender.define(tags.iter().map(|(k, v)| (*k, &**v)))
}

#[tokio::test]
async fn series_are_sent_once_and_references_when_they_change() {
    let server = FakeServer::start().await;
    let mut stream = open(&server, 4).await;
    assert_eq!(server.hellos()[0].client.len(), 16);
    assert_eq!(stream.welcome.step_millis, 10_000);

    let mut refs: Vec<SeriesRef> = (0..3).map(|i| define(&mut stream, i)).collect();
    stream
        .sender
        .send(1, 10_000, &refs, vec![0.0, 1.0, f64::NAN])
        .await
        .expect("the batch is sent");
    stream
        .sender
        .send(5, 20_000, &refs, vec![3.0, 4.0, 5.0])
        .await
        .expect("the batch is sent");
    refs.push(define(&mut stream, 3));
    stream
        .sender
        .send(6, 30_000, &refs, vec![6.0, 7.0, 8.0, 9.0])
        .await
        .expect("the batch is sent");
    stream
        .sender
        .send(7, 40_000, &refs[..1], vec![10.0])
        .await
        .expect("the batch is sent");
    let mut datapoints = 0;
    let mut last = 0;
    while last < 7 {
        let ack = stream
            .acks
            .receive()
            .await
            .expect("the stream is whole")
            .expect("the stream is open");
        (datapoints, last) = (datapoints + ack.datapoints, ack.sequence);
    }
    assert_eq!(datapoints, 3 + 3 + 4 + 1);
    assert_eq!(stream.sender.in_flight(), 0);

    let received = server.received();
    let of = |f: fn(&crate::fake_server::Received) -> usize| received.iter().map(f).collect();
    let defined: Vec<usize> = of(|batch| batch.defined);
    assert_eq!(defined, [3, 0, 1, 0]);
    let left_out: Vec<usize> = of(|batch| usize::from(batch.refs_left_out));
    assert_eq!(left_out, [0, 1, 0, 0]);
    assert!(received[0].datapoints[2].1.is_nan());
    let (tags, value) = &received[2].datapoints[3];
    assert_eq!((&*tags["i"], *value), ("3", 9.0));

    drop(stream.sender);
    assert!(
        stream
            .acks
            .receive()
            .await
            .expect("the stream is whole")
            .is_none()
    );
}

#[tokio::test]
async fn batches_that_are_not_right_leave_the_stream_as_it_was() {
    let greeting = |_| Greeting::Welcome {
        max_batch_datapoints: 2,
    };
    let server = FakeServer::scripted(greeting, |_| Answer::Ack).await;
    let mut stream = open(&server, 4).await;
    let refs: Vec<SeriesRef> = (0..3).map(|i| define(&mut stream, i)).collect();
    let sender = &mut stream.sender;
    assert_eq!(sender.max_batch_datapoints(), 2);
    let error = sender
        .send(1, 0, &refs, vec![1.0; 3])
        .await
        .expect_err("it must fail");
    assert!(
        matches!(
            error,
            Error::BatchTooLarge {
                datapoints: 3,
                limit: 2
            }
        ),
        "{error}"
    );
    let error = sender
        .send(1, 0, &refs[..2], vec![1.0])
        .await
        .expect_err("it must fail");
    assert!(
        matches!(error, Error::ColumnLengths { refs: 2, values: 1 }),
        "{error}"
    );
    let error = sender
        .send(1, 0, &[SeriesRef(3)], vec![1.0])
        .await
        .expect_err("it must fail");
    assert!(
        matches!(
            error,
            Error::UnknownSeries {
                reference: 3,
                defined: 3
            }
        ),
        "{error}"
    );
    sender
        .send(1, 0, &refs[..1], vec![1.0])
        .await
        .expect("the batch is sent");
    let error = sender
        .send(1, 0, &refs[..1], vec![1.0])
        .await
        .expect_err("it must fail");
    assert!(
        matches!(
            error,
            Error::Sequence {
                sequence: 1,
                last: 1
            }
        ),
        "{error}"
    );
    sender
        .send(2, 0, &refs[..1], vec![2.0])
        .await
        .expect("the batch is sent");
    server
        .wait_for("both batches", |received| received.len() == 2)
        .await;
    assert_eq!(server.received()[0].defined, 3);
}

#[tokio::test]
async fn the_window_bounds_what_is_under_way() {
    let server = FakeServer::answering(|batch| match batch.sequence {
        3 => Answer::Ack,
        _ => Answer::Nothing,
    })
    .await;
    let mut stream = open(&server, 3).await;
    let refs = [define(&mut stream, 0)];
    for sequence in 1..=3 {
        stream
            .sender
            .send(sequence, 0, &refs, vec![0.0])
            .await
            .expect("the batch is sent");
    }
    let error = stream
        .sender
        .send_now(4, 0, &refs, vec![0.0])
        .expect_err("it must fail");
    assert!(matches!(error, Error::WindowFull), "{error}");
    let ack = stream
        .acks
        .receive()
        .await
        .expect("the stream is whole")
        .expect("the stream is open");
    assert_eq!((ack.sequence, ack.batches, ack.datapoints), (3, 3, 3));
    stream
        .sender
        .send(4, 0, &refs, vec![0.0])
        .await
        .expect("the batch is sent");
    assert_eq!(stream.sender.in_flight(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_read_holds_the_sender_up() {
    let server = FakeServer::scripted(|_| Greeting::StopReading, |_| Answer::Ack).await;
    let mut stream = open(&server, 1_000_000).await;
    let refs: Vec<SeriesRef> = (0..1000).map(|i| define(&mut stream, i)).collect();
    let mut sent = 0;
    loop {
        let sending = stream.sender.send(sent + 1, 0, &refs, vec![0.5; 1000]);
        match tokio::time::timeout(Duration::from_millis(500), sending).await {
            Ok(result) => result.expect("the batch is sent"),
            Err(_) => break,
        }
        sent += 1;
        assert!(sent < 2000, "{sent} batches of 8 kB lie in memory");
    }
}

#[tokio::test]
async fn an_acknowledgement_that_never_comes_does_not_hold_a_sender_for_ever() {
    let server = FakeServer::answering(|_| Answer::Nothing).await;
    let mut stream = open(&server, 1).await;
    let refs = [define(&mut stream, 0)];
    stream
        .sender
        .send(1, 0, &refs, vec![0.0])
        .await
        .expect("the batch is sent");
    drop(stream.acks);
    let error = stream
        .sender
        .send(2, 0, &refs, vec![0.0])
        .await
        .expect_err("it must fail");
    assert!(matches!(error, Error::Closed), "{error}");
}

#[tokio::test]
async fn servers_that_break_the_rules_are_told_apart() {
    let refused = tonic::Status::unauthenticated("who are you");
    for (greeting, expected) in [
        (Greeting::Ack, "before its welcome"),
        (Greeting::Close, "closed"),
        (Greeting::Refuse(refused), "who are you"),
    ] {
        let server = FakeServer::scripted(move |_| greeting.clone(), |_| Answer::Ack).await;
        let connection = connect(&server).await;
        let error = connection
            .publish_stream(hello(), 1)
            .await
            .expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
    }
    let server = FakeServer::scripted(welcome, |_| Answer::SecondWelcome).await;
    let mut stream = open(&server, 1).await;
    let refs = [define(&mut stream, 0)];
    stream
        .sender
        .send(1, 0, &refs, vec![0.0])
        .await
        .expect("the batch is sent");
    let error = stream.acks.receive().await.expect_err("it must fail");
    assert!(matches!(error, Error::Protocol(_)), "{error}");
}

#[tokio::test]
async fn messages_of_later_versions_are_passed_over() {
    let server = FakeServer::answering(|_| Answer::EmptyThenAck).await;
    let mut stream = open(&server, 1).await;
    let refs = [define(&mut stream, 0)];
    stream
        .sender
        .send(1, 0, &refs, vec![0.0])
        .await
        .expect("the batch is sent");
    let ack = stream
        .acks
        .receive()
        .await
        .expect("the stream is whole")
        .expect("the stream is open");
    assert_eq!(ack.sequence, 1);
}

#[tokio::test]
async fn nobody_there_is_an_error_with_the_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("the port is free");
    let uri = format!(
        "http://{}",
        listener.local_addr().expect("the listener is bound")
    );
    drop(listener);
    let error = Connection::open(&uri, &ConnectOptions::default())
        .await
        .expect_err("it must fail");
    assert!(error.to_string().contains(&uri), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn single_calls_carry_tags_in_full() {
    let server = FakeServer::start().await;
    let connection = connect(&server).await;
    let datapoint = |tags: &[(&str, &str)]| Datapoint {
        tags: tags
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect(),
        time_millis: 1,
        value: 1.0,
    };
    let datapoints = vec![datapoint(&[("name", "a")]), datapoint(&[("x", "y")])];
    let identity = Some((Connection::random_client(), 7));
    let reply = connection
        .publish("", identity, datapoints.clone())
        .await
        .expect("the call succeeds");
    assert_eq!((reply.accepted, reply.rejects[0].index), (1, 1));
    assert_eq!(reply.rejects[0].message, "7 16");
    let reply = connection
        .publish("", None, datapoints)
        .await
        .expect("the call succeeds");
    assert_eq!(reply.rejects[0].message, "0 0");
    let error = connection
        .publish("nobody", None, Vec::new())
        .await
        .expect_err("it must fail");
    assert!(error.to_string().contains("no such tenant"), "{error}");
}

#[tokio::test]
async fn back_fill_is_answered_request_by_request() {
    let server = FakeServer::start().await;
    let connection = connect(&server).await;
    let series = |values: usize| LoadSeries {
        tags: HashMap::from([("name".to_owned(), "a".to_owned())]),
        start_millis: 0,
        step_millis: 10_000,
        values: vec![1.0; values],
    };
    let mut stream = connection.load("", 2).await.expect("the stream opens");
    let mut durable = 0;
    let mut early = 0;
    for values in 1..=5 {
        if let Some(reply) = stream
            .send(vec![series(values)])
            .await
            .expect("the batch is sent")
        {
            durable += reply.datapoints;
            early += 1;
        }
    }
    assert_eq!(early, 3, "two may be outstanding");
    while let Some(reply) = stream.finish().await.expect("the stream is whole") {
        durable += reply.datapoints;
    }
    assert_eq!(durable, 15);
    let error = stream
        .send(vec![series(1)])
        .await
        .expect_err("it must fail");
    assert!(matches!(error, Error::Closed), "{error}");

    let mut stream = connection
        .load("nobody", 1)
        .await
        .expect("the stream opens");
    stream
        .send(vec![series(1)])
        .await
        .expect("the batch is sent");
    let error = stream
        .send(vec![series(1)])
        .await
        .expect_err("it must fail");
    assert!(error.to_string().contains("no such tenant"), "{error}");
}
