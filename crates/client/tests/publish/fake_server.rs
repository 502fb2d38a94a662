//! A server that keeps to the protocol as far as it is told to, and remembers what it got.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hesper_client::proto::{
    Ack, Batch, DatapointReject, Hello, LoadReply, LoadRequest, PublishDatapointsReply,
    PublishDatapointsRequest, PublishReply, PublishRequest, Reject, Welcome, publish_reply,
    publish_request,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

mod stub {
    #![allow(clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/server/hesper.v1.rs"));
}

pub use stub::ingest_server::{Ingest, IngestServer};

/// Tags and value.
pub type Datapoint = (BTreeMap<String, String>, f64);

/// A batch as it was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    pub connection: usize,
    pub sequence: u64,
    pub time_millis: i64,
    pub datapoints: Vec<Datapoint>,
    /// Whether the batch left out its references.
    pub refs_left_out: bool,
    /// How many series it defined.
    pub defined: usize,
}

impl Received {
    /// Time and datapoints, whatever connection they came over.
    pub fn content(&self) -> (i64, &[Datapoint]) {
        (self.time_millis, &self.datapoints)
    }

    pub fn value_of(&self, name: &str) -> Option<f64> {
        let found = self
            .datapoints
            .iter()
            .find(|(tags, _)| tags["name"] == name);
        found.map(|(_, value)| *value)
    }
}

/// What to do at the beginning of a connection.
#[derive(Clone, Debug)]
pub enum Greeting {
    Welcome {
        max_batch_datapoints: u32,
    },
    /// Welcomes, and reads nothing more.
    StopReading,
    /// Acknowledges instead.
    Ack,
    /// Ends the stream.
    Close,
    Refuse(Status),
}

/// What to do after a batch.
#[derive(Clone, Debug)]
pub enum Answer {
    Ack,
    AckAfter(Duration),
    /// Acknowledges this sequence, with these rejects.
    AckAs(u64, Vec<Reject>),
    Nothing,
    SecondWelcome,
    /// A message of a later version of the protocol, then the acknowledgement.
    EmptyThenAck,
    Close,
    Fail(Status),
}

type GreetingOf = Box<dyn Fn(usize) -> Greeting + Send + Sync>;
type AnswerOf = Box<dyn Fn(&Received) -> Answer + Send + Sync>;

struct Script {
    greeting: GreetingOf,
    answer: AnswerOf,
    connections: AtomicUsize,
    hellos: Mutex<Vec<Hello>>,
    received: Mutex<Vec<Received>>,
}

/// A server under way; it ends when this is dropped.
pub struct FakeServer {
    pub address: SocketAddr,
    script: Arc<Script>,
    task: JoinHandle<()>,
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn welcome(_connection: usize) -> Greeting {
    Greeting::Welcome {
        max_batch_datapoints: 100_000,
    }
}

impl FakeServer {
    /// Acknowledges everything.
    pub async fn start() -> Self {
        Self::scripted(welcome, |_| Answer::Ack).await
    }

    pub async fn answering(answer: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::scripted(welcome, answer).await
    }

    pub async fn scripted(
        greeting: impl Fn(usize) -> Greeting + Send + Sync + 'static,
        answer: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        Self::on(listener, greeting, answer)
    }

    pub fn on(
        listener: TcpListener,
        greeting: impl Fn(usize) -> Greeting + Send + Sync + 'static,
        answer: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("the listener is bound");
        let script = Arc::new(Script {
            greeting: Box::new(greeting),
            answer: Box::new(answer),
            connections: AtomicUsize::new(0),
            hellos: Mutex::default(),
            received: Mutex::default(),
        });
        let service = IngestServer::new(Service(script.clone()));
        let task = tokio::spawn(async move {
            Server::builder()
                .add_service(service.max_decoding_message_size(64 << 20))
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
                .expect("the server runs until it is aborted");
        });
        Self {
            address,
            script,
            task,
        }
    }

    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn received(&self) -> Vec<Received> {
        self.script
            .received
            .lock()
            .expect("no holder panicked")
            .clone()
    }

    pub fn hellos(&self) -> Vec<Hello> {
        self.script
            .hellos
            .lock()
            .expect("no holder panicked")
            .clone()
    }

    /// Waits until the condition holds for what was received.
    pub async fn wait_for(&self, what: &str, condition: impl Fn(&[Received]) -> bool) {
        for _ in 0..1000 {
            if condition(&self.script.received.lock().expect("no holder panicked")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited in vain for {what}: {:?}", self.received());
    }
}

struct Service(Arc<Script>);

type Replies = mpsc::Sender<Result<PublishReply, Status>>;

fn ack(sequence: u64, rejects: Vec<Reject>) -> PublishReply {
    PublishReply {
        message: Some(publish_reply::Message::Ack(Ack { sequence, rejects })),
    }
}

fn greet(max_batch_datapoints: u32) -> PublishReply {
    PublishReply {
        message: Some(publish_reply::Message::Welcome(Welcome {
            step_millis: 10_000,
            max_batch_datapoints,
        })),
    }
}

#[tonic::async_trait]
impl Ingest for Service {
    type PublishStreamStream =
        Pin<Box<dyn Stream<Item = Result<PublishReply, Status>> + Send + 'static>>;
    type LoadStream = Pin<Box<dyn Stream<Item = Result<LoadReply, Status>> + Send + 'static>>;

    async fn publish_stream(
        &self,
        request: Request<Streaming<PublishRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        let connection = self.0.connections.fetch_add(1, Ordering::SeqCst);
        let greeting = (self.0.greeting)(connection);
        if let Greeting::Refuse(status) = greeting {
            return Err(status);
        }
        let (replies, receiver) = mpsc::channel(100);
        let script = self.0.clone();
        tokio::spawn(async move {
            // The client may be gone, which ends the connection.
            let _ = converse(
                &script,
                connection,
                greeting,
                request.into_inner(),
                &replies,
            )
            .await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn publish(
        &self,
        request: Request<PublishDatapointsRequest>,
    ) -> Result<Response<PublishDatapointsReply>, Status> {
        let request = request.into_inner();
        if request.tenant == "nobody" {
            return Err(Status::permission_denied("no such tenant"));
        }
        let bad = |(_, datapoint): &(usize, &hesper_client::proto::Datapoint)| {
            !datapoint.tags.contains_key("name")
        };
        let rejects: Vec<DatapointReject> = request
            .datapoints
            .iter()
            .enumerate()
            .filter(bad)
            .map(|(index, _)| DatapointReject {
                index: index as u32,
                reason: "HasKey".to_owned(),
                message: format!("{} {}", request.sequence, request.client.len()),
            })
            .collect();
        Ok(Response::new(PublishDatapointsReply {
            accepted: (request.datapoints.len() - rejects.len()) as u64,
            rejects,
        }))
    }

    async fn load(
        &self,
        request: Request<Streaming<LoadRequest>>,
    ) -> Result<Response<Self::LoadStream>, Status> {
        let replies = request.into_inner().map(|request| {
            let request = request?;
            if request.tenant == "nobody" {
                return Err(Status::permission_denied("no such tenant"));
            }
            Ok(LoadReply {
                datapoints: request.series.iter().map(|s| s.values.len() as u64).sum(),
                rejects: Vec::new(),
            })
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

/// `None` when the client hears no more.
async fn converse(
    script: &Script,
    connection: usize,
    greeting: Greeting,
    mut requests: Streaming<PublishRequest>,
    replies: &Replies,
) -> Option<()> {
    let hello = match requests.message().await.ok()??.message {
        Some(publish_request::Message::Hello(hello)) => hello,
        other => panic!("the first message is {other:?}"),
    };
    script
        .hellos
        .lock()
        .expect("no holder panicked")
        .push(hello);
    match greeting {
        Greeting::Welcome {
            max_batch_datapoints,
        } => replies.send(Ok(greet(max_batch_datapoints))).await.ok()?,
        Greeting::StopReading => {
            replies.send(Ok(greet(0))).await.ok()?;
            // Holds the stream until the client gives up.
            replies.closed().await;
            return None;
        }
        Greeting::Ack => replies.send(Ok(ack(1, Vec::new()))).await.ok()?,
        Greeting::Close => return None,
        Greeting::Refuse(_) => unreachable!("refused before"),
    }
    let mut tables = Tables::default();
    while let Some(request) = requests.message().await.ok()? {
        let batch = match request.message {
            Some(publish_request::Message::Batch(batch)) => batch,
            other => panic!("after the first message comes {other:?}"),
        };
        let received = tables.read(connection, batch);
        script
            .received
            .lock()
            .expect("no holder panicked")
            .push(received.clone());
        let sequence = received.sequence;
        match (script.answer)(&received) {
            Answer::Ack => replies.send(Ok(ack(sequence, Vec::new()))).await.ok()?,
            Answer::AckAfter(delay) => {
                tokio::time::sleep(delay).await;
                replies.send(Ok(ack(sequence, Vec::new()))).await.ok()?;
            }
            Answer::AckAs(sequence, rejects) => {
                replies.send(Ok(ack(sequence, rejects))).await.ok()?;
            }
            Answer::Nothing => {}
            Answer::SecondWelcome => replies.send(Ok(greet(1))).await.ok()?,
            Answer::EmptyThenAck => {
                let empty = PublishReply { message: None };
                replies.send(Ok(empty)).await.ok()?;
                replies.send(Ok(ack(sequence, Vec::new()))).await.ok()?;
            }
            Answer::Close => return None,
            Answer::Fail(status) => {
                replies.send(Err(status)).await.ok()?;
                return None;
            }
        }
    }
    Some(())
}

/// What a connection has told so far.
#[derive(Default)]
struct Tables {
    symbols: Vec<String>,
    series: Vec<BTreeMap<String, String>>,
    refs: Vec<u32>,
}

impl Tables {
    fn read(&mut self, connection: usize, batch: Batch) -> Received {
        let defined = batch.series.len();
        for symbol in batch.symbols {
            assert!(!self.symbols.contains(&symbol), "`{symbol}` was sent twice");
            self.symbols.push(symbol);
        }
        for series in batch.series {
            let text = |number: &u32| self.symbols[*number as usize].clone();
            let pairs = series
                .tags
                .chunks(2)
                .map(|pair| (text(&pair[0]), text(&pair[1])));
            let tags: BTreeMap<String, String> = pairs.collect();
            assert_eq!(tags.len() * 2, series.tags.len(), "a key came twice");
            self.series.push(tags);
        }
        let refs_left_out = batch.refs.is_empty() && !batch.values.is_empty();
        if !refs_left_out {
            self.refs = batch.refs;
        }
        let (values, rest) = batch.values.as_chunks::<8>();
        assert!(rest.is_empty(), "eight bytes a value");
        assert_eq!(self.refs.len(), values.len(), "one value a reference");
        let values = values.iter().map(|v| f64::from_le_bytes(*v));
        let tags = self.refs.iter().map(|n| self.series[*n as usize].clone());
        Received {
            connection,
            sequence: batch.sequence,
            time_millis: batch.time_millis,
            datapoints: tags.zip(values).collect(),
            refs_left_out,
            defined,
        }
    }
}
