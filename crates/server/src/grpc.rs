//! The gRPC front end: native connections, single calls, and declared back-fill.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hesper_history::History;
use hesper_hot::log::Lsn;
use hesper_ingest::proto::ingest_server::Ingest;
use hesper_ingest::proto::{
    Ack, Batch, DatapointReject, LoadReply, LoadRequest, PublishDatapointsReply,
    PublishDatapointsRequest, PublishReply, PublishRequest, Reject, Welcome, publish_reply,
    publish_request,
};
use hesper_ingest::router::Datapoint;
use hesper_ingest::stream::{Connection, MAX_BATCH_DATAPOINTS, client_id};
use hesper_ingest::{IngestError, Router};
use hesper_model::{Tags, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::back_fill::{self, BackFillError};
use crate::clock;

/// Batches of a connection that wait for the log; then the connection is not read on.
const UNACKNOWLEDGED_BATCHES: usize = 64;

/// How long a batch waits before it is tried again when the log is full.
pub(crate) const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Counters of the front end.
#[derive(Debug, Default)]
pub struct GrpcStats {
    /// Connections open now.
    pub connections: AtomicUsize,
    /// Batches that had to wait for the log.
    pub held_back: AtomicU64,
}

/// The service.
#[derive(Clone)]
pub struct IngestService {
    router: Arc<Router>,
    history: Arc<History>,
    stats: Arc<GrpcStats>,
    /// Becomes true when the node stops: streams are then ended, and clients go on elsewhere or later.
    stopped: watch::Receiver<bool>,
}

impl IngestService {
    /// A service that publishes through a router, and brings old back-fill to history.
    pub fn new(
        router: Arc<Router>,
        history: Arc<History>,
        stats: Arc<GrpcStats>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        Self {
            router,
            history,
            stats,
            stopped,
        }
    }

    /// The next message of a stream; an error when the node stops.
    async fn next<T>(&self, requests: &mut Streaming<T>) -> Result<Option<T>, Status> {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            message = requests.message() => message,
            _ = stopped.wait_for(|stop| *stop) => {
                Err(Status::unavailable("the node is stopping; connect again"))
            }
        }
    }

    async fn durable(&self, lsn: Lsn) -> Result<(), Status> {
        let log = self.router.store().log();
        log.wait_durable(lsn)
            .await
            .map_err(|e| status(&IngestError::Store(e)))
    }
}

fn status(error: &IngestError) -> Status {
    match error {
        IngestError::Unreadable(_) | IngestError::UnknownTenant(_) => {
            Status::invalid_argument(error.to_string())
        }
        IngestError::Store(_) => Status::unavailable(error.to_string()),
    }
}

type Replies<T> = Pin<Box<ReceiverStream<Result<T, Status>>>>;

#[tonic::async_trait]
impl Ingest for IngestService {
    type PublishStreamStream = Replies<PublishReply>;

    async fn publish_stream(
        &self,
        request: Request<Streaming<PublishRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        let (replies, receiver) = mpsc::channel(UNACKNOWLEDGED_BATCHES);
        let service = self.clone();
        tokio::spawn(async move {
            service.stats.connections.fetch_add(1, Ordering::Relaxed);
            if let Err(status) = service.serve(request.into_inner(), replies.clone()).await {
                // The client may be gone already.
                let _ = replies.send(Err(status)).await;
            }
            service.stats.connections.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn publish(
        &self,
        request: Request<PublishDatapointsRequest>,
    ) -> Result<Response<PublishDatapointsReply>, Status> {
        let request = request.into_inner();
        let router = self.router.clone();
        let published = blocking(move || {
            router.check_tenant(&request.tenant)?;
            let client = client_id(&request.client)?;
            let datapoints: Vec<Datapoint> = request
                .datapoints
                .into_iter()
                .map(|d| Datapoint {
                    tags: Tags::from_pairs(d.tags),
                    time: Timestamp(d.time_millis),
                    value: d.value,
                })
                .collect();
            router.publish(&datapoints, client, request.sequence, clock::now())
        })
        .await
        .map_err(|e| status(&e))?;
        self.durable(published.lsn).await?;
        Ok(Response::new(PublishDatapointsReply {
            accepted: published.accepted,
            rejects: published
                .refused
                .into_iter()
                .map(|r| DatapointReject {
                    index: r.index as u32,
                    reason: r.reason.name().to_owned(),
                    message: r.message,
                })
                .collect(),
        }))
    }

    type LoadStream = Replies<LoadReply>;

    async fn load(
        &self,
        request: Request<Streaming<LoadRequest>>,
    ) -> Result<Response<Self::LoadStream>, Status> {
        let (replies, receiver) = mpsc::channel(UNACKNOWLEDGED_BATCHES);
        let service = self.clone();
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            if let Err(status) = service.load_all(&mut requests, &replies).await {
                // The client may be gone already.
                let _ = replies.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// A batch that was taken and waits for the log.
struct Unacknowledged {
    sequence: u64,
    lsn: Lsn,
    rejects: Vec<Reject>,
}

impl IngestService {
    /// Takes back-fill until the stream ends or the client has gone.
    async fn load_all(
        &self,
        requests: &mut Streaming<LoadRequest>,
        replies: &mpsc::Sender<Result<LoadReply, Status>>,
    ) -> Result<(), Status> {
        let history = self.history.clone();
        let mut back_fill = back_fill::begin(self.router.clone(), &history);
        loop {
            let next = self.next(requests);
            let next = match back_fill.is_waiting() {
                true => tokio::time::timeout(back_fill::IDLE, next).await.ok(),
                false => Some(next.await),
            };
            let (due, ended) = match next.transpose()? {
                Some(Some(request)) => (back_fill.take(request).await, false),
                Some(None) => (back_fill.commit().await, true),
                None => (back_fill.commit().await, false),
            };
            let due = due.map_err(|e| match e {
                BackFillError::Ingest(e) => status(&e),
                BackFillError::History(e) => Status::unavailable(e.to_string()),
            })?;
            for reply in due {
                if replies.send(Ok(reply)).await.is_err() {
                    return Ok(());
                }
            }
            if ended {
                return Ok(());
            }
        }
    }

    async fn serve(
        &self,
        mut requests: Streaming<PublishRequest>,
        replies: mpsc::Sender<Result<PublishReply, Status>>,
    ) -> Result<(), Status> {
        let Some(publish_request::Message::Hello(hello)) = self.message(&mut requests).await?
        else {
            return Err(Status::invalid_argument(
                "the first message of a stream is a hello",
            ));
        };
        let mut connection =
            Connection::open(self.router.clone(), &hello).map_err(|e| status(&e))?;
        let welcome = publish_reply::Message::Welcome(Welcome {
            step_millis: self.router.store().step().millis() as u32,
            max_batch_datapoints: MAX_BATCH_DATAPOINTS as u32,
        });
        let (waiting, taken) = mpsc::channel(UNACKNOWLEDGED_BATCHES);
        let _ = replies.send(Ok(reply(welcome))).await;
        let acks = tokio::spawn(self.clone().acknowledge(taken, replies));
        let ended = loop {
            let mut batch = match self.message(&mut requests).await {
                Ok(Some(publish_request::Message::Batch(batch))) => batch,
                Ok(Some(publish_request::Message::Hello(_))) => {
                    break Err(Status::invalid_argument("a stream has one hello"));
                }
                Ok(None) => break Ok(()),
                Err(status) => break Err(status),
            };
            let taken;
            (connection, taken) = match self.take(connection, &mut batch).await {
                Ok(done) => done,
                Err(status) => break Err(status),
            };
            if waiting.send(taken).await.is_err() {
                // The acknowledgements have ended with an error of their own.
                break Ok(());
            }
        };
        // What was taken is still acknowledged.
        drop(waiting);
        let acknowledged = acks
            .await
            .map_err(|e| Status::internal(format!("acknowledging failed: {e}")))?;
        ended.and(acknowledged)
    }

    /// The content of the next message; `None` at the end of the stream.
    async fn message(
        &self,
        requests: &mut Streaming<PublishRequest>,
    ) -> Result<Option<publish_request::Message>, Status> {
        match self.next(requests).await? {
            None => Ok(None),
            Some(PublishRequest { message: Some(m) }) => Ok(Some(m)),
            Some(PublishRequest { message: None }) => Err(Status::invalid_argument(
                "a message without content; is the client newer than the server?",
            )),
        }
    }

    /// Takes a batch; waits while the log is full.
    async fn take(
        &self,
        mut connection: Connection,
        batch: &mut Batch,
    ) -> Result<(Connection, Unacknowledged), Status> {
        let mut held_back = false;
        loop {
            let mut given = std::mem::take(batch);
            let taken;
            (connection, *batch, taken) = blocking(move || {
                let taken = connection.take(&mut given, clock::now());
                (connection, given, taken)
            })
            .await;
            match taken {
                Ok(taken) => {
                    let unacknowledged = Unacknowledged {
                        sequence: taken.sequence,
                        lsn: taken.lsn,
                        rejects: taken.rejects,
                    };
                    return Ok((connection, unacknowledged));
                }
                Err(e) if e.is_temporary() => {
                    if !held_back {
                        self.stats.held_back.fetch_add(1, Ordering::Relaxed);
                        held_back = true;
                    }
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                Err(e) => return Err(status(&e)),
            }
        }
    }

    /// Acknowledges batches when the log is durable up to them, as many at once as there are.
    async fn acknowledge(
        self,
        mut taken: mpsc::Receiver<Unacknowledged>,
        replies: mpsc::Sender<Result<PublishReply, Status>>,
    ) -> Result<(), Status> {
        let mut next = taken.recv().await;
        while let Some(first) = next.take() {
            self.durable(first.lsn).await?;
            let durable = self.router.store().log().durable();
            let mut ack = Ack {
                sequence: first.sequence,
                rejects: first.rejects,
            };
            next = loop {
                match taken.try_recv() {
                    Ok(batch) if batch.lsn <= durable => {
                        ack.sequence = ack.sequence.max(batch.sequence);
                        ack.rejects.extend(batch.rejects);
                    }
                    Ok(later) => break Some(later),
                    Err(_) => break None,
                }
            };
            let ack = publish_reply::Message::Ack(ack);
            if replies.send(Ok(reply(ack))).await.is_err() {
                return Ok(());
            }
            if next.is_none() {
                next = taken.recv().await;
            }
        }
        Ok(())
    }
}

fn reply(message: publish_reply::Message) -> PublishReply {
    PublishReply {
        message: Some(message),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.expect("ingest does not panic, and is never cancelled")
}
