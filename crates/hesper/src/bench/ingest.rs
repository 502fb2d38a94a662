//! Publishing the fleet over native connections, as fast as it is made durable.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use hesper_client::proto::Hello;
use hesper_client::{BatchStream, ConnectOptions, Connection, SeriesRef};
use indicatif::{ProgressBar, ProgressStyle};

use super::FleetArgs;
use super::fleet::Fleet;
use super::process::{NodeProcess, Usage};
use crate::error::CommandError;
use crate::fetch;

/// Series in one batch.
const BATCH_SERIES: usize = 10_000;

/// How long is waited for the last windows to be sealed.
const SETTLE: Duration = Duration::from_secs(240);

/// After that, the time in which it takes them to history and the threads that did so end.
const REST: Duration = Duration::from_secs(15);

/// The node's own series keep less than this open.
const OWN_OPEN_BYTES: f64 = 2e6;

/// Publishes the fleet and prints the figures.
///
/// # Errors
/// When the node refuses any datapoint or cannot be reached.
pub async fn ingest(
    node: &NodeProcess,
    fleet: &Fleet,
    args: &FleetArgs,
) -> Result<(), CommandError> {
    let idle = node.usage();
    let began = Instant::now();
    let streams = publish(node, fleet, (args.connections, args.window)).await?;
    let elapsed = began.elapsed().as_secs_f64();
    let busy = node.usage();
    let datapoints = fleet.datapoints() as f64;
    let cpu = busy.cpu_secs - idle.cpu_secs;
    println!(
        "ingest: {:.0} datapoints/s durable, {:.3} us of server CPU a datapoint, {elapsed:.1} s",
        datapoints / elapsed,
        cpu * 1e6 / datapoints
    );
    if args.settle {
        settle(node).await?;
    }
    let after = node.usage();
    // What is remembered of connections counts too.
    drop(streams);
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

/// Publishes the fleet by so many connections, each with so many batches on their way, and waits until all is durable; gives the connections, which are still open.
///
/// # Errors
/// When the node refuses any datapoint or cannot be reached.
pub async fn publish(
    node: &NodeProcess,
    fleet: &Fleet,
    (connections, window): (usize, usize),
) -> Result<Vec<BatchStream>, CommandError> {
    let connection = Connection::open(&node.grpc, &ConnectOptions::default()).await?;
    let mut parts = Vec::new();
    for number in 0..connections.max(1) {
        let hello = Hello {
            client: Connection::random_client(),
            name: format!("bench-{number}"),
            ..Hello::default()
        };
        let stream = connection.publish_stream(hello, window).await?;
        parts.push(Part::new(stream, fleet, number, connections.max(1)));
    }
    let bar = ProgressBar::new(fleet.datapoints());
    let style = "{wide_bar} {percent}% {human_pos} datapoints durable, {per_sec}";
    bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
    let streams = try_join_all(parts.into_iter().map(|part| part.publish(fleet, &bar))).await?;
    bar.finish_and_clear();
    Ok(streams)
}

/// A connection and its part of the fleet.
struct Part {
    stream: BatchStream,
    /// The series of each batch: where they begin, and their references.
    batches: Vec<(usize, Vec<SeriesRef>)>,
}

impl Part {
    fn new(mut stream: BatchStream, fleet: &Fleet, number: usize, of: usize) -> Self {
        let starts = (0..fleet.series()).step_by(BATCH_SERIES);
        let mine = starts.enumerate().filter(|(i, _)| i % of == number);
        let mut batches = Vec::new();
        for (_, start) in mine {
            let end = (start + BATCH_SERIES).min(fleet.series());
            let refs = (start..end).map(|i| {
                let tags = fleet.tags(i);
                let tags = tags.iter().map(|(k, v)| (*k, v.as_str()));
                stream.sender.define(tags)
            });
            batches.push((start, refs.collect()));
        }
        Self { stream, batches }
    }

    /// Publishes every point of the part and waits until all are durable; gives the connection, which is still open.
    async fn publish(self, fleet: &Fleet, bar: &ProgressBar) -> Result<BatchStream, CommandError> {
        let BatchStream {
            mut sender,
            mut acks,
            welcome,
        } = self.stream;
        let batches = self.batches;
        let series: usize = batches.iter().map(|(_, refs)| refs.len()).sum();
        let total = series * fleet.points();
        let receiving = async {
            let mut durable = 0;
            while durable < total {
                let Some(ack) = acks.receive().await? else {
                    return Err(CommandError::Other("the node ended the stream".to_owned()));
                };
                if let Some(reject) = ack.rejects.first() {
                    return Err(CommandError::Refused(reject.message.clone()));
                }
                durable += ack.datapoints;
                bar.inc(ack.datapoints as u64);
            }
            Ok(())
        };
        let sending = async {
            let mut sequence = 0;
            for point in 0..fleet.points() {
                let millis = fleet.time_secs(point) * 1000;
                for (start, refs) in &batches {
                    sequence += 1;
                    let values = (*start..start + refs.len()).map(|i| fleet.value(i, point));
                    sender
                        .send(sequence, millis, refs, values.collect())
                        .await?;
                }
            }
            Ok::<_, CommandError>(())
        };
        tokio::try_join!(sending, receiving)?;
        Ok(BatchStream {
            sender,
            acks,
            welcome,
        })
    }
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
    tokio::time::sleep(REST).await;
    spinner.finish_and_clear();
    Ok(())
}
