//! Sends queued batches, over one connection after the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use crate::connection::{
    Ack, AckReceiver, BatchSender, BatchStream, ConnectOptions, Connection, SeriesRef,
};
use crate::entropy;
use crate::error::Error;
use crate::proto::{Hello, Welcome};
use crate::publisher::Shared;
use crate::publisher::backoff::Backoff;
use crate::publisher::builder::ChannelSource;
use crate::publisher::queue::QueuedBatch;
use crate::series::Series;

/// How often the server may break off at a batch, each time without any other under way, before the batch is given up.
const MAX_REFUSALS: u32 = 3;

/// A connection's tables only grow. When they hold so many series more than twice what is alive, a new one is opened.
const SPARE_SERIES: usize = 10_000;

/// How often failures to connect are logged at most.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct SenderOptions {
    pub(super) channels: ChannelSource,
    pub(super) connect: ConnectOptions,
    pub(super) hello: Hello,
    pub(super) window: usize,
    pub(super) shortest_reconnect_delay: Duration,
    pub(super) longest_reconnect_delay: Duration,
    pub(super) ack_timeout: Duration,
}

/// What one connection leaves to the next.
#[derive(Default)]
struct Progress {
    /// The highest sequence number that was ever sent.
    highest_sent: u64,
    /// How often the server broke off in a way that says something about a batch, without acknowledging one in between.
    refusals: u32,
    /// Whether the other step of the store was pointed out.
    step_checked: bool,
}

/// Sends batches for ever.
pub(super) async fn run(shared: Arc<Shared>, options: SenderOptions) {
    let mut progress = Progress::default();
    let mut backoff = Backoff::new(
        options.shortest_reconnect_delay,
        options.longest_reconnect_delay,
    );
    let mut logged: Option<Instant> = None;
    let mut attempt = 0;
    loop {
        let channel = (options.channels)(attempt);
        attempt = attempt.wrapping_add(1);
        let connection = Connection::over(channel, &options.connect);
        let window = if progress.refusals > 0 {
            1
        } else {
            options.window
        };
        let opened = connection
            .publish_stream(options.hello.clone(), window)
            .await;
        let failure = match opened {
            Ok(stream) => {
                shared.counters.connection("opened");
                if logged.take().is_some() {
                    tracing::info!("publishing again");
                }
                let mut session = Session::new(&shared, &mut progress, stream);
                let end = session.run(options.ack_timeout).await;
                if session.acknowledged {
                    backoff.reset();
                }
                match end {
                    Ok(End::TablesTooLarge) => continue,
                    Ok(End::ByServer) => None,
                    Err(error) => {
                        session.note_refusal(&error);
                        Some(("lost", error))
                    }
                }
            }
            Err(error) => Some(("failed", error)),
        };
        let delay = backoff.next_delay(entropy::random_fraction());
        if let Some((what, error)) = failure {
            shared.counters.connection(what);
            if logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
                logged = Some(Instant::now());
                tracing::warn!(
                    %error,
                    queued = shared.queue.datapoints(),
                    "the connection to the store {what}; datapoints are kept and sent again"
                );
            }
        }
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = shared.hurry.notified() => {}
        }
    }
}

/// Why a connection ended without an error.
enum End {
    ByServer,
    TablesTooLarge,
}

/// One connection.
struct Session<'a> {
    shared: &'a Shared,
    progress: &'a mut Progress,
    sender: BatchSender,
    acks: AckReceiver,
    /// The numbers of series on this connection, by the registry's number.
    refs: HashMap<u64, SeriesRef>,
    /// The series by their number on this connection.
    series: Vec<Arc<Series>>,
    /// The column of series that was sent last, and its numbers.
    last_column: Option<Arc<[Arc<Series>]>>,
    last_refs: Vec<SeriesRef>,
    /// The last batch that was sent here.
    last_sent: u64,
    /// Whether the server acknowledged anything here.
    acknowledged: bool,
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, progress: &'a mut Progress, stream: BatchStream) -> Self {
        greet(shared, progress, &stream.welcome);
        Self {
            shared,
            progress,
            sender: stream.sender,
            acks: stream.acks,
            refs: HashMap::new(),
            series: Vec::new(),
            last_column: None,
            last_refs: Vec::new(),
            last_sent: 0,
            acknowledged: false,
        }
    }

    async fn run(&mut self, ack_timeout: Duration) -> Result<End, Error> {
        let queue = &self.shared.queue;
        let mut last_progress = Instant::now();
        let mut open = true;
        loop {
            let next = queue.first_after(self.last_sent).filter(|_| open);
            let waiting = self.sender.in_flight() > 0 || !open;
            if !waiting {
                last_progress = Instant::now();
                if self.tables_are_too_large() {
                    return Ok(End::TablesTooLarge);
                }
            }
            tokio::select! {
                ack = self.acks.receive() => match ack? {
                    Some(ack) => {
                        last_progress = Instant::now();
                        self.take_ack(ack)?;
                    }
                    None => return Ok(End::ByServer),
                },
                ready = self.sender.ready(), if next.is_some() => {
                    // The oldest batches may have been dropped during the wait.
                    let sent = ready.and_then(|()| match queue.first_after(self.last_sent) {
                        Some(batch) => self.send(&batch),
                        None => Ok(()),
                    });
                    match sent {
                        // The server says why, perhaps after further acknowledgements.
                        Err(Error::Closed) => open = false,
                        sent => sent?,
                    }
                }
                () = queue.arrived(), if next.is_none() && open => {}
                () = tokio::time::sleep_until(last_progress + ack_timeout), if waiting => {
                    return Err(Error::Timeout(ack_timeout, "waiting for an acknowledgement"));
                }
            }
        }
    }

    fn send(&mut self, batch: &QueuedBatch) -> Result<(), Error> {
        let same = self
            .last_column
            .as_ref()
            .is_some_and(|column| Arc::ptr_eq(column, &batch.series));
        if !same {
            self.last_refs.clear();
            for series in batch.series.iter() {
                let reference = self.refs.entry(series.index()).or_insert_with(|| {
                    self.series.push(series.clone());
                    self.sender.define(series.tags())
                });
                self.last_refs.push(*reference);
            }
            self.last_column = Some(batch.series.clone());
        }
        let sent = self.sender.send_now(
            batch.sequence,
            batch.time_millis,
            &self.last_refs,
            batch.values.clone(),
        );
        self.last_sent = batch.sequence;
        match sent {
            Ok(()) => {
                if batch.sequence <= self.progress.highest_sent {
                    self.shared.counters.resent(batch.values.len());
                }
                self.progress.highest_sent = self.progress.highest_sent.max(batch.sequence);
                Ok(())
            }
            // It was cut for a store that took more.
            Err(error @ Error::BatchTooLarge { .. }) => {
                let datapoints = self.shared.queue.give_up(batch.sequence);
                tracing::warn!(%error, datapoints, "a batch was dropped");
                self.shared.counters.dropped("too-large", datapoints);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn take_ack(&mut self, ack: Ack) -> Result<(), Error> {
        if ack.sequence > self.progress.highest_sent {
            return Err(Error::Protocol(format!(
                "it acknowledged batch {}, but {} is the last that was sent",
                ack.sequence, self.progress.highest_sent
            )));
        }
        let datapoints = self.shared.queue.acknowledge(ack.sequence);
        if ack.batches > 0 {
            self.acknowledged = true;
            self.progress.refusals = 0;
        }
        let counters = &self.shared.counters;
        counters.sent(datapoints.saturating_sub(ack.rejects.len()));
        counters.rejected(&ack.rejects, |number| self.series.get(number as usize));
        Ok(())
    }

    /// Whether most of the series on this connection are gone.
    fn tables_are_too_large(&self) -> bool {
        self.series.len() > 2 * self.shared.taker.reporting_series() + SPARE_SERIES
    }

    /// Gives a batch up at which the server breaks off every time. Unless the window was 1, another batch may be the cause, so that
    /// this counts first and the next connection sends one batch at a time.
    fn note_refusal(&mut self, error: &Error) {
        let about_content = matches!(
            error,
            Error::Status(status) if matches!(status.code(), Code::InvalidArgument | Code::OutOfRange)
        );
        if !about_content || self.sender.in_flight() == 0 {
            return;
        }
        self.progress.refusals += 1;
        if self.progress.refusals > MAX_REFUSALS {
            self.progress.refusals = 0;
            let datapoints = self.shared.queue.give_up(self.last_sent);
            tracing::error!(%error, datapoints, "a batch was dropped, since the store breaks off at it");
            self.shared.counters.dropped("refused", datapoints);
        }
    }
}

fn greet(shared: &Shared, progress: &mut Progress, welcome: &Welcome) {
    if welcome.max_batch_datapoints > 0 {
        let limit = welcome.max_batch_datapoints as usize;
        shared.taker.set_max_batch_datapoints(limit);
    }
    let step = shared.registry.step();
    let step_of_store = Duration::from_millis(welcome.step_millis.into());
    if step != step_of_store && !progress.step_checked {
        tracing::warn!(
            ?step,
            ?step_of_store,
            "the registry's step isn't that of the store, which therefore has to convert or lacks values"
        );
    }
    progress.step_checked = true;
}
