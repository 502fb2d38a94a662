//! A stream of batches: strings and series are sent once, afterwards columns of numbers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use prost::bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::error::Error;
use crate::proto::ingest_client::IngestClient;
use crate::proto::{
    self, Batch, Hello, PublishReply, PublishRequest, Reject, Welcome, publish_reply,
    publish_request,
};

/// Requests between the sender and the transport, beside those that the transport holds: one, so that encoding goes on while the
/// next batch is put together.
const REQUEST_QUEUE: usize = 1;

/// Values as a batch carries them.
pub fn pack_values(values: &[f64]) -> Bytes {
    let packed: Vec<[u8; 8]> = values.iter().map(|v| v.to_le_bytes()).collect();
    packed.into_flattened().into()
}

/// The number of a series on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct SeriesRef(pub u32);

/// Both directions of a stream. They can be used from different tasks: whoever sends needs somebody who receives.
#[derive(Debug)]
pub struct BatchStream {
    /// Sends batches.
    pub sender: BatchSender,
    /// Receives acknowledgements.
    pub acks: AckReceiver,
    /// What the server said at first.
    pub welcome: Welcome,
}

impl BatchStream {
    pub(super) async fn open(
        mut client: IngestClient<Channel>,
        hello: Hello,
        window: usize,
    ) -> Result<Self, Error> {
        let (requests, receiver) = mpsc::channel(REQUEST_QUEUE);
        let hello = PublishRequest {
            message: Some(publish_request::Message::Hello(hello)),
        };
        requests
            .try_send(hello)
            .expect("a new queue has room for one request");
        let mut replies = client
            .publish_stream(ReceiverStream::new(receiver))
            .await?
            .into_inner();
        let welcome = match next_reply(&mut replies).await? {
            Some(publish_reply::Message::Welcome(welcome)) => welcome,
            Some(publish_reply::Message::Ack(_)) => {
                return Err(Error::Protocol(
                    "it acknowledged a batch before its welcome".to_owned(),
                ));
            }
            None => return Err(Error::Closed),
        };
        let window = Arc::new(Window {
            room: Semaphore::new(window.clamp(1, Semaphore::MAX_PERMITS)),
            in_flight: Mutex::default(),
        });
        let sender = BatchSender {
            requests,
            window: window.clone(),
            max_batch_datapoints: match welcome.max_batch_datapoints {
                0 => usize::MAX,
                limit => limit as usize,
            },
            symbols: HashMap::new(),
            new_symbols: Vec::new(),
            series: 0,
            new_series: Vec::new(),
            last_refs: Vec::new(),
            last_sequence: None,
        };
        Ok(Self {
            sender,
            acks: AckReceiver { replies, window },
            welcome,
        })
    }
}

/// The next message that has a content. Later versions of the protocol may have others, which are passed over.
async fn next_reply(
    replies: &mut Streaming<PublishReply>,
) -> Result<Option<publish_reply::Message>, Error> {
    loop {
        match replies.message().await? {
            Some(PublishReply { message: None }) => {}
            Some(PublishReply { message }) => return Ok(message),
            None => return Ok(None),
        }
    }
}

/// The batches that were sent and are not acknowledged.
#[derive(Debug)]
struct Window {
    /// A permit for each batch that may still be sent.
    room: Semaphore,
    in_flight: Mutex<VecDeque<InFlight>>,
}

#[derive(Debug)]
struct InFlight {
    sequence: u64,
    datapoints: usize,
}

/// The sending half of a [`BatchStream`]. Dropping it ends the stream in good order: the server acknowledges what it got.
#[derive(Debug)]
pub struct BatchSender {
    requests: mpsc::Sender<PublishRequest>,
    window: Arc<Window>,
    max_batch_datapoints: usize,
    symbols: HashMap<Box<str>, u32>,
    /// Symbols and series that go with the next batch.
    new_symbols: Vec<String>,
    series: u32,
    new_series: Vec<proto::Series>,
    last_refs: Vec<SeriesRef>,
    last_sequence: Option<u64>,
}

impl BatchSender {
    /// Gives a series a number on this connection. It is sent with the next batch. Each call gives a new number: define a series
    /// once.
    pub fn define<'a>(&mut self, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> SeriesRef {
        let tags = tags.into_iter();
        let mut numbers = Vec::with_capacity(tags.size_hint().0 * 2);
        for (key, value) in tags {
            numbers.push(self.symbol(key));
            numbers.push(self.symbol(value));
        }
        self.new_series.push(proto::Series { tags: numbers });
        let reference = SeriesRef(self.series);
        self.series += 1;
        reference
    }

    fn symbol(&mut self, text: &str) -> u32 {
        if let Some(number) = self.symbols.get(text) {
            return *number;
        }
        let number = u32::try_from(self.symbols.len()).expect("memory ends before the numbers do");
        self.symbols.insert(text.into(), number);
        self.new_symbols.push(text.to_owned());
        number
    }

    /// How many series are defined.
    pub fn series_count(&self) -> u32 {
        self.series
    }

    /// The most datapoints that the server takes in a batch.
    pub fn max_batch_datapoints(&self) -> usize {
        self.max_batch_datapoints
    }

    /// How many batches wait for their acknowledgement.
    pub fn in_flight(&self) -> usize {
        self.window.in_flight.lock().len()
    }

    /// Waits until a batch can be sent: there is room in the window, and the server reads. Nothing is lost when this is
    /// cancelled.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stream is over.
    pub async fn ready(&mut self) -> Result<(), Error> {
        // There is one sender, so that the room stays after the permits are given back.
        drop(
            self.window
                .room
                .acquire()
                .await
                .map_err(|_| Error::Closed)?,
        );
        drop(self.requests.reserve().await.map_err(|_| Error::Closed)?);
        Ok(())
    }

    /// Sends a batch as soon as that is possible: values of series at one time. The server's part of a series' identity is the
    /// number that [`define`](Self::define) gave. NaN means no data.
    ///
    /// # Errors
    /// [`Error::ColumnLengths`], [`Error::BatchTooLarge`], [`Error::UnknownSeries`] or [`Error::Sequence`] when the batch isn't
    /// right, which leaves the stream as it was; [`Error::Closed`] when the stream is over.
    pub async fn send(
        &mut self,
        sequence: u64,
        time_millis: i64,
        refs: &[SeriesRef],
        values: Vec<f64>,
    ) -> Result<(), Error> {
        self.ready().await?;
        self.send_now(sequence, time_millis, refs, values)
    }

    /// Sends a batch for which [`ready`](Self::ready) has found room.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and [`Error::WindowFull`] when there is no room.
    pub fn send_now(
        &mut self,
        sequence: u64,
        time_millis: i64,
        refs: &[SeriesRef],
        values: Vec<f64>,
    ) -> Result<(), Error> {
        self.check(sequence, refs, &values)?;
        let permit = self
            .window
            .room
            .try_acquire()
            .map_err(|error| match error {
                tokio::sync::TryAcquireError::Closed => Error::Closed,
                tokio::sync::TryAcquireError::NoPermits => Error::WindowFull,
            })?;
        let slot = self.requests.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Closed(()) => Error::Closed,
            mpsc::error::TrySendError::Full(()) => Error::WindowFull,
        })?;

        let changed = self.last_refs != refs;
        if changed {
            self.last_refs.clear();
            self.last_refs.extend_from_slice(refs);
        }
        self.last_sequence = Some(sequence);
        self.window.in_flight.lock().push_back(InFlight {
            sequence,
            datapoints: values.len(),
        });
        // The acknowledgement gives the permit back.
        permit.forget();
        let batch = Batch {
            sequence,
            symbols: std::mem::take(&mut self.new_symbols),
            series: std::mem::take(&mut self.new_series),
            time_millis,
            refs: if changed {
                refs.iter().map(|reference| reference.0).collect()
            } else {
                Vec::new()
            },
            values: pack_values(&values),
        };
        slot.send(PublishRequest {
            message: Some(publish_request::Message::Batch(batch)),
        });
        Ok(())
    }

    fn check(&self, sequence: u64, refs: &[SeriesRef], values: &[f64]) -> Result<(), Error> {
        if refs.len() != values.len() {
            return Err(Error::ColumnLengths {
                refs: refs.len(),
                values: values.len(),
            });
        }
        if values.len() > self.max_batch_datapoints {
            return Err(Error::BatchTooLarge {
                datapoints: values.len(),
                limit: self.max_batch_datapoints,
            });
        }
        if let Some(last) = self.last_sequence
            && sequence <= last
        {
            return Err(Error::Sequence { sequence, last });
        }
        if let Some(unknown) = refs.iter().max().filter(|highest| highest.0 >= self.series) {
            return Err(Error::UnknownSeries {
                reference: unknown.0,
                defined: self.series,
            });
        }
        Ok(())
    }
}

/// What the server has made durable.
#[derive(Clone, Debug)]
pub struct Ack {
    /// Every batch up to this one is durable.
    pub sequence: u64,
    /// How many batches of this stream the acknowledgement covers that those before did not.
    pub batches: usize,
    /// The datapoints of these batches, refused ones among them.
    pub datapoints: usize,
    /// What was refused.
    pub rejects: Vec<Reject>,
}

/// The receiving half of a [`BatchStream`].
#[derive(Debug)]
pub struct AckReceiver {
    replies: Streaming<PublishReply>,
    window: Arc<Window>,
}

impl AckReceiver {
    /// Waits for the next acknowledgement; `None` when the server has ended the stream in good order. Nothing is lost when this is
    /// cancelled.
    ///
    /// # Errors
    /// [`Error::Status`] when the stream broke, [`Error::Protocol`] when the server acknowledges what was not sent.
    pub async fn receive(&mut self) -> Result<Option<Ack>, Error> {
        let ack = match next_reply(&mut self.replies).await? {
            Some(publish_reply::Message::Ack(ack)) => ack,
            Some(publish_reply::Message::Welcome(_)) => {
                return Err(Error::Protocol("it sent a second welcome".to_owned()));
            }
            None => return Ok(None),
        };
        let (mut batches, mut datapoints) = (0, 0);
        {
            let mut in_flight = self.window.in_flight.lock();
            while let Some(batch) = in_flight.front()
                && batch.sequence <= ack.sequence
            {
                batches += 1;
                datapoints += batch.datapoints;
                in_flight.pop_front();
            }
        }
        self.window.room.add_permits(batches);
        Ok(Some(Ack {
            sequence: ack.sequence,
            batches,
            datapoints,
            rejects: ack.rejects,
        }))
    }
}

impl Drop for AckReceiver {
    fn drop(&mut self) {
        // A sender that waits for room would wait for ever.
        self.window.room.close();
    }
}
