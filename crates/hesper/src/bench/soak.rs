//! A long run in step with the clock: what must not grow is watched while series are published and asked for.
//!
//! The figures are printed as CSV, and drawn at the end.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hesper_chart::chart::{Bound, Chart, Item, Line, Plot};
use hesper_chart::palette::Palette;
use hesper_model::{Step, Timestamp};
use tokio::time::{MissedTickBehavior, interval};

use super::TemporaryDirectory;
use super::fleet::Fleet;
use super::ingest::{self, Pace, PublishArgs};
use super::process::{NodeProcess, Usage};
use super::query::quantiles;
use crate::duration;
use crate::error::CommandError;
use crate::fetch;

/// The head of the CSV.
const HEAD: &str = "seconds,resident_mb,open_files,cpu_percent,answers,p50_ms,p99_ms";

/// How series are published.
const PUBLISHING: PublishArgs = PublishArgs {
    connections: 2,
    window: 8,
    batch: 50_000,
};

/// The node has small windows, so that all that comes and goes with one does so often.
const NODE: [&str; 4] = ["--step", "1s", "--hot-window", "5m"];

/// What is asked, in turns, and of how many seconds: of the last, memory answers alone, of the longest history has a part.
const QUESTIONS: [(&str, i64); 4] = [
    ("name,metric_07,:eq,:sum", 240),
    ("name,metric_12,:eq,:max,(,nf.app,),:by", 240),
    ("nf.app,app05,:eq,:sum,(,statistic,),:by", 240),
    ("name,metric_21,:eq,nf.app,app11,:eq,:and,:sum", 900),
];

/// The flags of `bench soak`.
#[derive(clap::Args)]
pub struct SoakArgs {
    /// Series, each with a datapoint a second
    #[arg(long, default_value_t = 500_000)]
    series: usize,
    /// How long
    #[arg(long = "for", default_value = "30m", value_name = "DURATION", value_parser = duration::parse)]
    time: Duration,
    /// A question every so often
    #[arg(long, default_value = "250ms", value_name = "DURATION", value_parser = duration::parse)]
    ask: Duration,
    /// A line of figures every so often
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = duration::parse)]
    every: Duration,
    /// Where to draw the figures, as SVG
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What was seen in a stretch of time.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Seconds since the start, at its end.
    seconds: f64,
    resident_mb: f64,
    open_files: usize,
    cpu_percent: f64,
    answers: usize,
    p50: f64,
    p99: f64,
}

/// Runs, prints the figures and draws them.
///
/// # Errors
/// When the node cannot be started, refuses a datapoint or a question, or did not take all in time.
pub async fn soak(args: SoakArgs) -> Result<(), CommandError> {
    let directory = TemporaryDirectory::new(None)?;
    let points = args.time.as_secs().max(1) as usize;
    let node = NodeProcess::start(&directory.path, &NODE).await?;
    let fleet = Fleet::of_seconds(args.series, points);
    let watched = watch(&node, &fleet, &args).await;
    node.stop().await?;
    let seen = watched?;
    for line in summary(&seen) {
        println!("{line}");
    }
    match &args.out {
        Some(path) => draw(&seen, &args, path),
        None => Ok(()),
    }
}

async fn watch(
    node: &NodeProcess,
    fleet: &Fleet,
    args: &SoakArgs,
) -> Result<Vec<Seen>, CommandError> {
    let began = Instant::now();
    let pace = Pace {
        in_time: true,
        ..Pace::default()
    };
    let millis = Mutex::new(Vec::new());
    let mut seen = Vec::new();
    println!("{HEAD}");
    let published = tokio::select! {
        published = ingest::publish(node, fleet, PUBLISHING, pace) => published?,
        never = look(node, args.every, &millis, &mut seen) => never?,
        never = ask(node, args.ask, &millis) => never?,
    };
    let took = began.elapsed();
    let datapoints: u64 = published.iter().map(|p| p.datapoints).sum();
    println!(
        "published: {datapoints} datapoints, all durable, {:.0} a second",
        datapoints as f64 / took.as_secs_f64()
    );
    if took > args.time + LATE {
        return Err(CommandError::Other(format!(
            "it took {} s to publish what belongs to {} s: the node cannot keep up",
            took.as_secs(),
            args.time.as_secs()
        )));
    }
    Ok(seen)
}

/// How much later than its time the last datapoint may be durable: the start counts too.
const LATE: Duration = Duration::from_secs(15);

/// Looks at the node every so often, and prints what it sees.
async fn look<T>(
    node: &NodeProcess,
    every: Duration,
    millis: &Mutex<Vec<f64>>,
    seen: &mut Vec<Seen>,
) -> Result<T, CommandError> {
    let began = Instant::now();
    let (mut before, mut last) = (node.usage(), began);
    loop {
        tokio::time::sleep(every).await;
        let (usage, now) = (node.usage(), Instant::now());
        let answers = std::mem::take(&mut *millis.lock().expect("no panic while it is held"));
        let one = stretch(&before, &usage, now - last, now - began, answers);
        println!(
            "{:.0},{:.1},{},{:.1},{},{:.2},{:.2}",
            one.seconds,
            one.resident_mb,
            one.open_files,
            one.cpu_percent,
            one.answers,
            one.p50,
            one.p99
        );
        seen.push(one);
        (before, last) = (usage, now);
    }
}

/// The figures of a stretch between two looks.
fn stretch(
    before: &Usage,
    usage: &Usage,
    length: Duration,
    since_start: Duration,
    answers: Vec<f64>,
) -> Seen {
    let count = answers.len();
    let (p50, p99) = match count {
        0 => (f64::NAN, f64::NAN),
        _ => {
            let at = quantiles(answers);
            (at(0.5), at(0.99))
        }
    };
    Seen {
        seconds: since_start.as_secs_f64(),
        resident_mb: usage.resident_bytes as f64 / f64::from(1 << 20),
        open_files: usage.open_files,
        cpu_percent: (usage.cpu_secs - before.cpu_secs) * 100.0 / length.as_secs_f64(),
        answers: count,
        p50,
        p99,
    }
}

/// Asks a question every so often; keeps how long each took.
async fn ask<T>(
    node: &NodeProcess,
    every: Duration,
    millis: &Mutex<Vec<f64>>,
) -> Result<T, CommandError> {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for (program, seconds) in QUESTIONS.iter().cycle() {
        tick.tick().await;
        let start = format!("e-{seconds}s");
        let params = [
            ("q", *program),
            ("s", &start),
            ("e", "now-2s"),
            ("step", "1s"),
            ("w", "1440"),
            ("format", "json"),
        ];
        let target = fetch::target("/api/v1/graph", &params);
        let began = Instant::now();
        fetch::get_ok(&node.http, &target).await?;
        let took = began.elapsed().as_secs_f64() * 1e3;
        millis.lock().expect("no panic while it is held").push(took);
    }
    unreachable!("the questions begin again when they end")
}

/// The second quarter of the run, in which all is warm, against the last.
fn summary(seen: &[Seen]) -> Vec<String> {
    let quarter = seen.len() / 4;
    if quarter == 0 {
        return vec!["too short to compare its quarters".to_owned()];
    }
    let (early, late) = (&seen[quarter..2 * quarter], &seen[seen.len() - quarter..]);
    let row = |what: &str, of: fn(&Seen) -> f64| {
        let mean = |part: &[Seen]| part.iter().map(of).sum::<f64>() / part.len() as f64;
        let (early, late) = (mean(early), mean(late));
        format!(
            "{what}: {early:.1} in the second quarter, {late:.1} in the last ({:+.1} %)",
            (late / early - 1.0) * 100.0
        )
    };
    vec![
        row("memory, MB", |s| s.resident_mb),
        row("open files", |s| s.open_files as f64),
        row("processor, % of a core", |s| s.cpu_percent),
        row("median answer, ms", |s| s.p50),
        row("99th percentile, ms", |s| s.p99),
    ]
}

/// Draws the figures, each kind with an axis of its own.
fn draw(seen: &[Seen], args: &SoakArgs, path: &Path) -> Result<(), CommandError> {
    let failed = |e: String| CommandError::Other(format!("the figures cannot be drawn: {e}"));
    let palette = Palette::parse("armytage").map_err(|e| failed(e.to_string()))?;
    let step = Step::from_millis(args.every.as_millis() as i64);
    let step = step.ok_or_else(|| failed("--every is nothing".to_owned()))?;
    let line = |i: usize, label: &str, of: fn(&Seen) -> f64| {
        let values = seen.iter().map(of).collect();
        let mut line = Line::new(label, palette.at(i), values);
        line.width = 1.5;
        Item::Line(line)
    };
    let plot = |label: &str, items: Vec<Item>| {
        let mut plot = Plot::new(items);
        plot.ylabel = Some(label.to_owned());
        plot.lower = Bound::Explicit(0.0);
        plot
    };
    let plots = vec![
        plot("MB", vec![line(0, "memory", |s| s.resident_mb)]),
        plot(
            "files",
            vec![line(1, "open files", |s| s.open_files as f64)],
        ),
        plot(
            "ms",
            vec![
                line(2, "median answer", |s| s.p50),
                line(3, "99th percentile", |s| s.p99),
            ],
        ),
    ];
    let start = Timestamp(step.millis());
    let end = start.plus_millis(seen.len() as i64 * step.millis());
    let mut chart = Chart::new(plots, start, end, step);
    chart.title = Some(format!(
        "{} series, a datapoint a second each, and a question every {} ms",
        args.series,
        args.ask.as_millis()
    ));
    std::fs::write(path, chart.to_svg()).map_err(|source| CommandError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(second: usize, resident_mb: f64) -> Seen {
        Seen {
            seconds: second as f64,
            resident_mb,
            open_files: 40,
            cpu_percent: 50.0,
            answers: 9,
            p50: 2.0,
            p99: 4.0,
        }
    }

    #[test]
    fn what_grows_is_told() {
        let run: Vec<Seen> = (0..8).map(|i| seen(i, 100.0 + 10.0 * i as f64)).collect();
        let lines = summary(&run);
        assert_eq!(
            lines[0],
            "memory, MB: 125.0 in the second quarter, 165.0 in the last (+32.0 %)"
        );
        assert!(lines[1].ends_with("(+0.0 %)"), "{}", lines[1]);
        assert_eq!(summary(&run[..3]), ["too short to compare its quarters"]);
    }

    #[test]
    fn a_stretch_is_what_changed_within_it() {
        let at = |cpu_secs| Usage {
            cpu_secs,
            resident_bytes: 3 << 20,
            open_files: 7,
            ..Usage::default()
        };
        let (length, since) = (Duration::from_secs(10), Duration::from_secs(30));
        let one = stretch(&at(5.0), &at(8.0), length, since, vec![3.0, 1.0, 2.0]);
        assert_eq!((one.cpu_percent, one.resident_mb), (30.0, 3.0));
        assert_eq!((one.answers, one.p50, one.p99), (3, 2.0, 3.0));
        assert!(
            stretch(&at(5.0), &at(8.0), length, since, Vec::new())
                .p50
                .is_nan()
        );
    }

    #[test]
    fn the_figures_are_drawn() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("soak.svg");
        let args = SoakArgs {
            series: 10,
            time: Duration::from_secs(240),
            ask: Duration::from_millis(250),
            every: Duration::from_secs(30),
            out: None,
        };
        let run: Vec<Seen> = (0..8).map(|i| seen(i, 100.0)).collect();
        draw(&run, &args, &path).expect("drawn");
        let svg = std::fs::read_to_string(&path).expect("written");
        assert!(svg.contains("99th percentile") && svg.contains("10 series"));
    }
}
