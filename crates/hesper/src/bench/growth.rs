//! How the time of an answer grows: with the number of series in memory, and with the length of the range in history.
//!
//! The figures are printed as CSV, to be drawn by `hesper bench plot`.

use std::path::Path;
use std::time::{Duration, Instant};

use hesper_client::proto::LoadSeries;
use hesper_client::{ConnectOptions, Connection};
use serde_json::Value;

use super::TemporaryDirectory;
use super::fleet::{Fleet, STEP_SECS};
use super::ingest::{self, Pace, PublishArgs};
use super::process::NodeProcess;
use crate::error::CommandError;
use crate::fetch;

/// The head of the CSV.
pub const HEAD: &str = "what,tier,series,hours,datapoints,p50_ms";

/// How series are published.
const PUBLISHING: PublishArgs = PublishArgs {
    connections: 2,
    window: 8,
    batch: 50_000,
};

/// Datapoints in a request of back-fill.
const REQUEST_VALUES: usize = 100_000;

/// How long is waited until all days are merged and rolled up.
const MERGING: Duration = Duration::from_secs(300);

const HOURS_A_DAY: usize = 24;

/// The flags of `bench growth`.
#[derive(clap::Args)]
pub struct GrowthArgs {
    /// Numbers of series in memory, each in a node of its own; none with `--series ''`
    #[arg(long, default_value = "1000,10000,100000,1000000", value_name = "LIST")]
    series: String,
    /// Hours of each of them, a datapoint a minute
    #[arg(long, default_value_t = 6)]
    hours: usize,
    /// Days of history; none with 0
    #[arg(long, default_value_t = 30)]
    days: usize,
    /// Series in history
    #[arg(long, default_value_t = 1000)]
    history_series: usize,
    /// How often each question is asked
    #[arg(long, default_value_t = 11)]
    rounds: usize,
}

/// Measures, and prints a line of CSV for each figure.
///
/// # Errors
/// When a node cannot be started or does not do what it is asked.
pub async fn growth(args: GrowthArgs) -> Result<(), CommandError> {
    let sizes = args.series.split(',').filter(|s| !s.is_empty());
    let sizes = sizes.map(|s| s.trim().parse::<usize>());
    let sizes: Vec<usize> = sizes
        .collect::<Result<_, _>>()
        .map_err(|e| CommandError::Other(format!("--series takes numbers: {e}")))?;
    println!("{HEAD}");
    for series in sizes {
        of_series(series, &args).await?;
    }
    if args.days > 0 {
        of_range(&args).await?;
    }
    Ok(())
}

async fn of_series(series: usize, args: &GrowthArgs) -> Result<(), CommandError> {
    let directory = TemporaryDirectory::new(None)?;
    let fleet = Fleet::new(series, args.hours * 60, None, true);
    let node = NodeProcess::start(&directory.path, &[]).await?;
    let measured = async {
        ingest::publish(&node, &fleet, PUBLISHING, Pace::default()).await?;
        ingest::settle(&node).await?;
        let start = fleet.time_secs(0) - STEP_SECS;
        let end = fleet.time_secs(fleet.points() - 1);
        let (millis, _) = ask(&node, start, end, args.rounds).await?;
        let datapoints = fleet.datapoints();
        println!(
            "series,memory,{series},{},{datapoints},{millis:.2}",
            args.hours
        );
        Ok(())
    };
    let measured = measured.await;
    node.stop().await?;
    measured
}

/// Ranges in history, from raw files as they were loaded, and again once the days are merged and rolled up.
async fn of_range(args: &GrowthArgs) -> Result<(), CommandError> {
    let directory = TemporaryDirectory::new(None)?;
    let series = args.history_series;
    let points = args.days * HOURS_A_DAY * 60;
    // Days before yesterday are over, also for those who come late.
    let today = Fleet::new(1, 1, None, false).time_secs(0) / 86_400 * 86_400;
    let end = today - 2 * 86_400;
    let fleet = Fleet::new(series, points, Some(end - points as i64 * STEP_SECS), false);
    let settings = directory.path.with_extension("toml");
    let text = "hot-window = \"6h\"\n[retention]\nmerge-after = \"90s\"\n";
    std::fs::write(&settings, text).map_err(|source| CommandError::File {
        path: settings.clone(),
        source,
    })?;
    let measured = of_history(&directory.path, &settings, &fleet, args).await;
    // What cannot be removed is left to the system's own cleaning.
    let _ = std::fs::remove_file(&settings);
    measured
}

async fn of_history(
    directory: &Path,
    settings: &Path,
    fleet: &Fleet,
    args: &GrowthArgs,
) -> Result<(), CommandError> {
    let settings = settings.display().to_string();
    let node = NodeProcess::start(directory, &["--config", &settings]).await?;
    let measured = async {
        load(&node, fleet).await?;
        measure_ranges(&node, fleet, args, "as loaded").await?;
        let began = Instant::now();
        let end = fleet.time_secs(fleet.points() - 1);
        let start = fleet.time_secs(0) - STEP_SECS;
        while began.elapsed() < MERGING {
            let (_, tiers) = ask(&node, start, end, 1).await?;
            if !tiers.contains("raw") {
                break;
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        measure_ranges(&node, fleet, args, "merged").await
    };
    let measured = measured.await;
    node.stop().await?;
    measured
}

async fn measure_ranges(
    node: &NodeProcess,
    fleet: &Fleet,
    args: &GrowthArgs,
    state: &str,
) -> Result<(), CommandError> {
    let days = [1, 2, 4, 7, 15, 30, 60, 90].map(|days| days * HOURS_A_DAY);
    let all = args.days * HOURS_A_DAY;
    let hours = [1, 3, 6, 12].into_iter().chain(days);
    let end = fleet.time_secs(fleet.points() - 1);
    for hours in hours.filter(|h| *h <= all) {
        let start = end - hours as i64 * 3600;
        let (millis, tiers) = ask(node, start, end, args.rounds).await?;
        let datapoints = fleet.series() * hours * 60;
        let series = fleet.series();
        println!("range,{tiers} {state},{series},{hours},{datapoints},{millis:.2}");
    }
    Ok(())
}

async fn load(node: &NodeProcess, fleet: &Fleet) -> Result<(), CommandError> {
    let connection = Connection::open(&node.grpc, &ConnectOptions::default()).await?;
    let mut stream = connection.load("", 64).await?;
    let of_day = HOURS_A_DAY * 60;
    let mut request = Vec::new();
    for day in 0..fleet.points() / of_day {
        for i in 0..fleet.series() {
            let points = day * of_day..(day + 1) * of_day;
            let tags = fleet.tags(i, 0).into_iter();
            let start_millis = fleet.time_secs(points.start) * 1000;
            let mut values = Vec::with_capacity(of_day);
            for point in points {
                fleet.put_values(i..i + 1, point, &mut values);
            }
            request.push(LoadSeries {
                tags: tags.map(|(k, v)| (k.to_owned(), v)).collect(),
                start_millis,
                step_millis: STEP_SECS * 1000,
                values,
            });
            if request.len() * of_day >= REQUEST_VALUES {
                refused(stream.send(std::mem::take(&mut request)).await?)?;
            }
        }
    }
    refused(stream.send(request).await?)?;
    while let Some(reply) = stream.finish().await? {
        refused(Some(reply))?;
    }
    Ok(())
}

fn refused(
    replies: impl IntoIterator<Item = hesper_client::proto::LoadReply>,
) -> Result<(), CommandError> {
    match replies
        .into_iter()
        .find_map(|r| r.rejects.into_iter().next())
    {
        Some(reject) => Err(CommandError::Refused(reject.message)),
        None => Ok(()),
    }
}

/// Asks for the sum of everything: the median of the milliseconds, and the resolutions of history that answered.
async fn ask(
    node: &NodeProcess,
    start: i64,
    end: i64,
    rounds: usize,
) -> Result<(f64, String), CommandError> {
    let (start, end) = (start.to_string(), end.to_string());
    let target = fetch::target(
        "/api/v1/graph",
        &[
            ("q", "name,:has,:sum"),
            ("s", &start),
            ("e", &end),
            ("step", "1m"),
            ("w", "1440"),
            ("format", "json"),
            ("explain", "1"),
            ("all", "1"),
        ],
    );
    let mut millis = Vec::new();
    let mut body = None;
    for _ in 0..=rounds {
        let began = Instant::now();
        body = Some(fetch::get_ok(&node.http, &target).await?.body);
        millis.push(began.elapsed().as_secs_f64() * 1e3);
    }
    // The first warms up.
    millis.remove(0);
    millis.sort_by(f64::total_cmp);
    let answer: Value = serde_json::from_slice(&body.unwrap_or_default())
        .map_err(|e| CommandError::Other(format!("the answer cannot be read: {e}")))?;
    let tiers = answer["explain"]["tiers"].as_array();
    let tiers = tiers.into_iter().flatten();
    let tiers: Vec<&str> = tiers.filter_map(|t| t["tier"].as_str()).collect();
    Ok((millis[millis.len() / 2], tiers.join("+")))
}
