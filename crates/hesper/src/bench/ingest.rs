//! Publishing the fleet over native connections, as fast as it is made durable.

use std::ops::Range;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use hesper_client::proto::Hello;
use hesper_client::{AckReceiver, BatchSender, ConnectOptions, Connection, SeriesRef};
use hesper_server::clock;
use indicatif::{ProgressBar, ProgressStyle};

use super::FleetArgs;
use super::fleet::Fleet;
use super::process::{NodeProcess, Usage};
use crate::error::CommandError;
use crate::fetch;

/// How long is waited for the last windows to be sealed.
const SETTLE: Duration = Duration::from_secs(240);

/// After that, the time in which it takes them to history and the threads that did so end.
const AFTER_SETTLING: Duration = Duration::from_secs(15);

/// The node's own series keep less than this open.
const OWN_OPEN_BYTES: f64 = 2e6;

/// A node is at rest when it took no more processor time than this in a second, so often one after another …
const REST_CPU_SECS: f64 = 0.05;
const REST_SECONDS: usize = 4;
/// … and at the latest after this.
const REST: Duration = Duration::from_secs(60);

/// How long is published, and how fast series change.
#[derive(Clone, Copy, Default)]
pub struct Pace {
    /// Until this time is over; without, all points of the fleet.
    pub publish_for: Option<Duration>,
    /// So many series a minute end, and others begin in their place.
    pub new_series_a_minute: u64,
    /// No point is sent before its time.
    pub in_time: bool,
}

/// What was published.
#[derive(Clone, Copy, Default)]
pub struct Published {
    /// Datapoints, all durable.
    pub datapoints: u64,
    new_series: u64,
}

/// Publishes the fleet and prints the figures.
///
/// # Errors
/// When the node refuses any datapoint or cannot be reached.
pub async fn ingest(
    node: &NodeProcess,
    fleet: &Fleet,
    args: &FleetArgs,
    pace: Pace,
) -> Result<(), CommandError> {
    let (idle, idle_self) = (node.usage(), Usage::own());
    let began = Instant::now();
    let published = publish(node, fleet, args.publishing(), pace).await?;
    let elapsed = began.elapsed().as_secs_f64();
    let (busy, busy_self) = (node.usage(), Usage::own());
    let datapoints = published.iter().map(|p| p.datapoints).sum::<u64>() as f64;
    let micros = |from: Usage, to: Usage| (to.cpu_secs - from.cpu_secs) * 1e6 / datapoints;
    println!(
        "ingest: {:.0} datapoints/s durable, {:.3} us of server CPU a datapoint and {:.3} of the publisher's, {elapsed:.1} s",
        datapoints / elapsed,
        micros(idle, busy),
        micros(idle_self, busy_self),
    );
    if pace.new_series_a_minute > 0 {
        let new_series: u64 = published.iter().map(|p| p.new_series).sum();
        let a_minute = new_series as f64 * 60.0 / elapsed;
        println!("churn: {new_series} new series, {a_minute:.0} a minute");
    }
    if pace.publish_for.is_some() {
        let took = until_at_rest(node).await;
        println!(
            "at rest: {:.1} s later, {:.3} us of server CPU a datapoint in all",
            took.as_secs_f64(),
            micros(idle, node.usage()),
        );
    }
    if args.settle {
        settle(node).await?;
    }
    let after = node.usage();
    let per_datapoint = |bytes: u64| bytes as f64 / datapoints;
    let held = gauge(node, "hesper_store_memory", "held").await?;
    let grown = |of: fn(&Usage) -> u64| per_datapoint(of(&after).saturating_sub(of(&idle)));
    println!(
        "memory: {:.2} bytes a datapoint resident above an idle node, of which {:.2} mirror files; {:.2} are accounted for ({} MB, peak {} MB)",
        grown(|u| u.resident_bytes),
        grown(|u| u.file_bytes),
        per_datapoint(held as u64),
        after.resident_bytes >> 20,
        after.peak_bytes >> 20
    );
    println!(
        "disk: {:.2} bytes a datapoint in history, {:.2} in the log",
        per_datapoint(node.disk_bytes("history")),
        per_datapoint(node.disk_bytes("log"))
    );
    Ok(())
}

/// How the fleet is published.
#[derive(Clone, Copy)]
pub struct PublishArgs {
    /// Connections.
    pub connections: usize,
    /// Batches of each on their way.
    pub window: usize,
    /// Series of a batch.
    pub batch: usize,
}

/// Publishes the fleet and waits until all is durable.
///
/// # Errors
/// When the node refuses any datapoint or cannot be reached.
pub async fn publish(
    node: &NodeProcess,
    fleet: &Fleet,
    args: PublishArgs,
    pace: Pace,
) -> Result<Vec<Published>, CommandError> {
    let mut parts = Vec::new();
    let connections = args.connections.max(1);
    let each = args
        .batch
        .clamp(1, fleet.series().div_ceil(connections).max(1));
    for number in 0..connections {
        // A connection of its own, as the streams of several services have.
        let connection = Connection::open(&node.grpc, &ConnectOptions::default()).await?;
        let hello = Hello {
            client: Connection::random_client(),
            name: format!("bench-{number}"),
            ..Hello::default()
        };
        let stream = connection.publish_stream(hello, args.window).await?;
        let starts = (0..fleet.series()).step_by(each);
        let mine = starts.skip(number).step_by(connections);
        let batches = mine.map(|start| start..(start + each).min(fleet.series()));
        let new_series_a_second = pace.new_series_a_minute as f64 / 60.0 / connections as f64;
        parts.push(Part {
            publishing: Publishing::new(
                stream.sender,
                fleet,
                batches,
                new_series_a_second,
                pace.in_time,
            ),
            acks: stream.acks,
        });
    }
    let bar = ProgressBar::new(fleet.datapoints());
    let style = match pace.publish_for {
        Some(_) => "{human_pos} datapoints durable, {per_sec}",
        None => "{wide_bar} {percent}% {human_pos} datapoints durable, {per_sec}",
    };
    bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
    let began = Instant::now();
    let until = pace.publish_for.map(|time| began + time);
    let publishing = parts.into_iter().map(|part| part.publish(until, &bar));
    let published = try_join_all(publishing).await?;
    bar.finish_and_clear();
    Ok(published)
}

/// A connection and its part of the fleet.
struct Part<'a> {
    publishing: Publishing<'a>,
    acks: AckReceiver,
}

impl Part<'_> {
    /// Publishes the part until all points, or the time, are over, and waits until all is durable.
    async fn publish(
        self,
        until: Option<Instant>,
        bar: &ProgressBar,
    ) -> Result<Published, CommandError> {
        let mut acks = self.acks;
        let receiving = async {
            let mut durable = 0;
            while let Some(ack) = acks.receive().await? {
                if let Some(reject) = ack.rejects.first() {
                    return Err(CommandError::Refused(reject.message.clone()));
                }
                durable += ack.datapoints as u64;
                bar.inc(ack.datapoints as u64);
            }
            Ok(durable)
        };
        let (published, durable) = tokio::try_join!(self.publishing.publish(until), receiving)?;
        if durable < published.datapoints {
            return Err(CommandError::Other("the node ended the stream".to_owned()));
        }
        Ok(published)
    }
}

/// The series of a batch: where they begin in the fleet, and their references.
struct BatchSeries {
    first: usize,
    refs: Vec<SeriesRef>,
}

/// Sends batches.
struct Publishing<'a> {
    fleet: &'a Fleet,
    sender: BatchSender,
    batches: Vec<BatchSeries>,
    new_series_a_second: f64,
    in_time: bool,
    /// The series that is replaced next, counted over all batches and generations.
    next: usize,
    new_series: u64,
}

impl<'a> Publishing<'a> {
    fn new(
        mut sender: BatchSender,
        fleet: &'a Fleet,
        batches: impl Iterator<Item = Range<usize>>,
        new_series_a_second: f64,
        in_time: bool,
    ) -> Self {
        let batches = batches.map(|series| BatchSeries {
            first: series.start,
            refs: series.map(|i| define(&mut sender, fleet, i, 0)).collect(),
        });
        Self {
            batches: batches.collect(),
            fleet,
            sender,
            new_series_a_second,
            in_time,
            next: 0,
            new_series: 0,
        }
    }

    /// Sends points until all, or the time, are over. The stream ends with this.
    async fn publish(mut self, until: Option<Instant>) -> Result<Published, CommandError> {
        let began = Instant::now();
        let mut published = Published::default();
        let mut sequence = 0;
        for point in 0..self.fleet.points() {
            if until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            self.replace(began.elapsed());
            let millis = self.fleet.time_secs(point) * 1000;
            if self.in_time {
                until_time(millis).await;
            }
            for BatchSeries { first, refs } in &self.batches {
                sequence += 1;
                let mut values = Vec::with_capacity(refs.len());
                let series = *first..first + refs.len();
                self.fleet.put_values(series, point, &mut values);
                self.sender.send(sequence, millis, refs, values).await?;
                published.datapoints += refs.len() as u64;
            }
        }
        published.new_series = self.new_series;
        Ok(published)
    }

    /// Lets as many series begin in the place of others as is due.
    fn replace(&mut self, elapsed: Duration) {
        let due = (elapsed.as_secs_f64() * self.new_series_a_second) as u64;
        let all: usize = self.batches.iter().map(|b| b.refs.len()).sum();
        while self.new_series < due {
            let generation = 1 + self.next / all;
            let mut at = self.next % all;
            for batch in &mut self.batches {
                if let Some(reference) = batch.refs.get_mut(at) {
                    let series = batch.first + at;
                    let generation = generation as u32;
                    *reference = define(&mut self.sender, self.fleet, series, generation);
                    break;
                }
                at -= batch.refs.len();
            }
            self.next += 1;
            self.new_series += 1;
        }
    }
}

/// Waits until a time of the clock; not at all when it is over.
async fn until_time(millis: i64) {
    if let Ok(left) = u64::try_from(millis - clock::now().millis()) {
        tokio::time::sleep(Duration::from_millis(left)).await;
    }
}

fn define(sender: &mut BatchSender, fleet: &Fleet, series: usize, generation: u32) -> SeriesRef {
    let tags = fleet.tags(series, generation);
    sender.define(tags.iter().map(|(k, v)| (*k, v.as_str())))
}

/// Waits until the node is at rest, and gives the time after which it was.
async fn until_at_rest(node: &NodeProcess) -> Duration {
    let began = Instant::now();
    let mut before = node.usage();
    let mut rested = (began.elapsed(), 0);
    while rested.1 < REST_SECONDS && rested.0 < REST {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = node.usage();
        rested = match now.cpu_secs - before.cpu_secs <= REST_CPU_SECS {
            true => (rested.0, rested.1 + 1),
            false => (began.elapsed(), 0),
        };
        before = now;
    }
    rested.0
}

/// The value of one of the node's own gauges; not a number when it has none.
async fn gauge(node: &NodeProcess, name: &str, id: &str) -> Result<f64, CommandError> {
    let metrics = fetch::get_ok(&node.http, "/metrics").await?;
    let text = String::from_utf8_lossy(&metrics.body);
    let id = format!("id=\"{id}\"");
    let line = text
        .lines()
        .find(|l| l.starts_with(name) && l.contains(&id));
    let value = line.and_then(|l| l.rsplit(' ').next()?.parse().ok());
    Ok(value.unwrap_or(f64::NAN))
}

/// Waits until no window of the fleet is open.
///
/// # Errors
/// When one stays open, or the node cannot be reached.
pub async fn settle(node: &NodeProcess) -> Result<(), CommandError> {
    let began = Instant::now();
    let spinner = ProgressBar::new_spinner();
    spinner.set_message("waiting for the last window to be sealed");
    spinner.enable_steady_tick(Duration::from_millis(200));
    loop {
        let open = gauge(node, "hesper_store_bytes", "open").await?;
        if open < OWN_OPEN_BYTES {
            break;
        }
        if began.elapsed() > SETTLE {
            return Err(CommandError::Other(format!(
                "{open} bytes of open columns are not sealed after {} s",
                SETTLE.as_secs()
            )));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(AFTER_SETTLING).await;
    spinner.finish_and_clear();
    Ok(())
}
