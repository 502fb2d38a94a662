//! `hesper bench`: what a node does, measured from outside.
//!
//! The node runs in a process of its own and is spoken to over real gRPC and HTTP on loopback. Only datapoints whose durability was
//! acknowledged count. The fleet is deterministic: names × nodes with eight tags, request rates, times, maxima and near-constant gauges.

mod fleet;
mod growth;
mod ingest;
mod plot;
mod process;
mod query;
mod soak;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::duration;
use crate::error::CommandError;
use fleet::Fleet;
use ingest::{Pace, PublishArgs};
use process::NodeProcess;

/// The flags of `bench`.
#[derive(Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Publish the fleet as fast as it is made durable
    Ingest(IngestArgs),
    /// Publish the fleet, then time the usual questions
    Query(QueryArgs),
    /// Time how answers grow with series and with range, as CSV
    Growth(growth::GrowthArgs),
    /// Publish and ask in step with the clock for long, and watch memory, files and times
    Soak(soak::SoakArgs),
    /// Draw what `growth` has printed
    Plot(plot::PlotArgs),
}

/// How large the fleet is, and where the node keeps it.
#[derive(Args, Clone)]
pub struct FleetArgs {
    /// Number of series
    #[arg(long, default_value_t = 100_000)]
    series: usize,
    /// Datapoints of each series, a minute apart
    #[arg(long, default_value_t = 360)]
    points: usize,
    /// The time of the first datapoint, in seconds; by default the last datapoint is of now, with --settle the last of a window that is over
    #[arg(long)]
    start: Option<i64>,
    /// Connections that publish at the same time
    #[arg(long, default_value_t = 2)]
    connections: usize,
    /// Batches of a connection on their way
    #[arg(long, default_value_t = 8)]
    window: usize,
    /// Series in a batch at most
    #[arg(long, default_value_t = 50_000)]
    batch: usize,
    /// Wait until all windows are sealed before memory is measured (up to four minutes)
    #[arg(long)]
    settle: bool,
    /// Keep the data here instead of in a temporary directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl FleetArgs {
    fn publishing(&self) -> PublishArgs {
        PublishArgs {
            connections: self.connections,
            window: self.window,
            batch: self.batch,
        }
    }
}

/// The flags of `bench ingest`.
#[derive(Args)]
pub struct IngestArgs {
    #[command(flatten)]
    fleet: FleetArgs,
    /// Publish for so long, as many points as it takes, and then wait until the node is at rest
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse, conflicts_with = "points")]
    publish_for: Option<Duration>,
    /// Let so many series a minute of the clock end and others begin in their place
    #[arg(long, default_value_t = 0, value_name = "N")]
    new_series_a_minute: u64,
}

/// Points of a series at most when it is published for a time: thirty days.
const MAX_POINTS: usize = 30 * 24 * 60;

/// The flags of `bench query`.
#[derive(Args)]
pub struct QueryArgs {
    #[command(flatten)]
    fleet: FleetArgs,
    /// How often each question is asked
    #[arg(long, default_value_t = 21)]
    rounds: usize,
}

/// Runs a benchmark and prints its figures.
///
/// # Errors
/// When the node cannot be started or does not do what it is asked.
pub async fn bench(args: BenchArgs) -> Result<(), CommandError> {
    let (mut args, rounds, pace) = match args.what {
        What::Ingest(args) => {
            let pace = Pace {
                publish_for: args.publish_for,
                new_series_a_minute: args.new_series_a_minute,
                in_time: false,
            };
            (args.fleet, None, pace)
        }
        What::Query(args) => (args.fleet, Some(args.rounds), Pace::default()),
        What::Growth(args) => return growth::growth(args).await,
        What::Soak(args) => return soak::soak(args).await,
        What::Plot(args) => return plot::plot(&args),
    };
    if pace.publish_for.is_some() {
        args.points = MAX_POINTS;
    }
    let directory = TemporaryDirectory::new(args.data_dir.clone())?;
    let fleet = Fleet::new(args.series, args.points, args.start, args.settle);
    match pace.publish_for {
        Some(time) => println!("fleet: {} series for {time:?}", fleet.series()),
        None => println!(
            "fleet: {} series x {} points = {} datapoints",
            fleet.series(),
            fleet.points(),
            fleet.datapoints()
        ),
    }
    let node = NodeProcess::start(&directory.path, &[]).await?;
    let outcome = ingest::ingest(&node, &fleet, &args, pace).await;
    let outcome = match (outcome, rounds) {
        (Ok(()), Some(rounds)) => query::query(&node, &fleet, rounds).await,
        (outcome, _) => outcome,
    };
    node.stop().await?;
    outcome
}

/// Where the node keeps its data; removed at the end unless it was asked for.
struct TemporaryDirectory {
    path: PathBuf,
    remove: bool,
}

impl TemporaryDirectory {
    fn new(asked: Option<PathBuf>) -> Result<Self, CommandError> {
        let remove = asked.is_none();
        let name = format!("hesper-bench-{}", std::process::id());
        let path = asked.unwrap_or_else(|| std::env::temp_dir().join(name));
        if path.join("STORE").exists() {
            return Err(CommandError::Other(format!(
                "{} holds a store already; give an empty directory",
                path.display()
            )));
        }
        Ok(Self { path, remove })
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        if self.remove {
            // What cannot be removed is left to the system's own cleaning.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
