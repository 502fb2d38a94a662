//! How fast batches are put together, encoded, and streamed to a server on the same machine that counts and acknowledges them.

#![allow(missing_docs)]

use std::hint::black_box;
use std::pin::Pin;
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hesper_client::proto::{
    Ack, Batch, Hello, LoadReply, LoadRequest, PublishDatapointsReply, PublishDatapointsRequest,
    PublishReply, PublishRequest, Welcome, publish_reply, publish_request,
};
use hesper_client::{BatchStream, ConnectOptions, Connection, SeriesRef, pack_values};
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

mod stub {
    #![allow(clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/server/hesper.v1.rs"));
}

const DATAPOINTS: u32 = 10_000;

fn values() -> Vec<f64> {
    (0..DATAPOINTS).map(|i| f64::from(i) / 60.0).collect()
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(DATAPOINTS.into()));
    let with_refs: Vec<u32> = (0..DATAPOINTS).rev().collect();
    for (name, refs) in [("values", Vec::new()), ("references and values", with_refs)] {
        let mut buffer = Vec::with_capacity(1 << 20);
        let values = values();
        group.bench_function(name, |b| {
            b.iter_batched(
                || (refs.clone(), values.clone()),
                |(refs, values)| {
                    let batch = Batch {
                        sequence: 1,
                        time_millis: 1_700_000_000_000,
                        refs,
                        values: pack_values(&values),
                        ..Batch::default()
                    };
                    let message = Some(publish_request::Message::Batch(batch));
                    buffer.clear();
                    PublishRequest { message }
                        .encode(&mut buffer)
                        .expect("the buffer grows");
                    black_box(buffer.len())
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Acknowledges every batch.
struct Sink;

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl stub::ingest_server::Ingest for Sink {
    type PublishStreamStream = Replies<PublishReply>;
    type LoadStream = Replies<LoadReply>;

    async fn publish_stream(
        &self,
        request: Request<Streaming<PublishRequest>>,
    ) -> Result<Response<Replies<PublishReply>>, Status> {
        let replies = request.into_inner().map(|request| {
            let message = match request?.message {
                Some(publish_request::Message::Batch(batch)) => publish_reply::Message::Ack(Ack {
                    sequence: batch.sequence,
                    rejects: Vec::new(),
                }),
                _ => publish_reply::Message::Welcome(Welcome::default()),
            };
            let message = Some(message);
            Ok(PublishReply { message })
        });
        Ok(Response::new(Box::pin(replies)))
    }

    async fn publish(
        &self,
        _: Request<PublishDatapointsRequest>,
    ) -> Result<Response<PublishDatapointsReply>, Status> {
        Err(Status::unimplemented("only streams are measured"))
    }

    async fn load(
        &self,
        _: Request<Streaming<LoadRequest>>,
    ) -> Result<Response<Replies<LoadReply>>, Status> {
        Err(Status::unimplemented("only streams are measured"))
    }
}

async fn open() -> (BatchStream, Vec<SeriesRef>) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let uri = format!("http://{}", listener.local_addr().expect("it is bound"));
    let service = stub::ingest_server::IngestServer::new(Sink);
    tokio::spawn(
        Server::builder()
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(4 << 20)
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener)),
    );
    let connection = Connection::open(&uri, &ConnectOptions::default())
        .await
        .expect("the server listens");
    let mut stream = connection
        .publish_stream(Hello::default(), 32)
        .await
        .expect("the server welcomes");
    let refs = (0..DATAPOINTS)
        .map(|i| {
            stream
                .sender
                .define([("name", "n"), ("i", &*i.to_string())])
        })
        .collect();
    (stream, refs)
}

async fn run(stream: &mut BatchStream, refs: &[SeriesRef], first: u64, batches: u64) {
    let BatchStream { sender, acks, .. } = stream;
    let last = first + batches - 1;
    let sending = async {
        for sequence in first..=last {
            let sent = sender.send(sequence, 0, refs, values()).await;
            sent.expect("the stream is open");
        }
    };
    let receiving = async {
        while acks
            .receive()
            .await
            .expect("the stream is open")
            .is_some_and(|ack| ack.sequence < last)
        {}
    };
    tokio::join!(sending, receiving);
}

fn stream(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime can be made");
    let (mut stream, refs) = runtime.block_on(open());
    let mut next = 1;
    let mut group = c.benchmark_group("stream");
    group.throughput(Throughput::Elements(DATAPOINTS.into()));
    group.bench_function("batches of 10,000", |b| {
        b.iter_custom(|batches| {
            let begun = Instant::now();
            runtime.block_on(run(&mut stream, &refs, next, batches));
            next += batches;
            begun.elapsed()
        });
    });
    group.finish();
}

criterion_group!(benches, encode, stream);
criterion_main!(benches);
