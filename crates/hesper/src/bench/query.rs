//! Timing the usual questions over HTTP.

use std::time::Instant;

use futures::future::try_join_all;

use super::fleet::{Fleet, STEP_SECS};
use super::process::NodeProcess;
use crate::error::CommandError;
use crate::fetch;

/// What is asked, and how.
const QUESTIONS: [(&str, &str); 10] = [
    ("one name, sum", "name,metric_07,:eq,:sum"),
    (
        "one name, sum by app",
        "name,metric_07,:eq,:sum,(,nf.app,),:by",
    ),
    (
        "one name, by node",
        "name,metric_07,:eq,:sum,(,nf.node,),:by",
    ),
    ("one name, max", "name,metric_07,:eq,:max"),
    ("one app, sum", "nf.app,app05,:eq,:sum"),
    (
        "one app, by statistic",
        "nf.app,app05,:eq,:sum,(,statistic,),:by",
    ),
    ("regex on name", "name,metric_0.*,:re,:sum"),
    (
        "1,000 series, sum",
        "name,metric_0[01],:re,nf.region,us-east-1,:eq,:and,nf.app,app[012].*,:re,:and,:sum",
    ),
    ("everything, sum", "name,:has,:sum"),
    ("everything, by app", "name,:has,:sum,(,nf.app,),:by"),
];

/// Queries of dashboards that are asked at the same time.
const DASHBOARDS: usize = 30;

/// Asks every question and prints median, 99th percentile and the size of the answer.
///
/// # Errors
/// When the node refuses a question.
pub async fn query(node: &NodeProcess, fleet: &Fleet, rounds: usize) -> Result<(), CommandError> {
    let start = (fleet.time_secs(0) - STEP_SECS).to_string();
    let end = fleet.time_secs(fleet.points() - 1).to_string();
    println!(
        "{:24} {:>9} {:>9} {:>9} {:>11}  read",
        "question", "p50 ms", "p99 ms", "series", "bytes"
    );
    for (what, program) in QUESTIONS {
        let target = fetch::target(
            "/api/v1/graph",
            &[
                ("q", program),
                ("s", &start),
                ("e", &end),
                ("step", "1m"),
                ("w", "1440"),
                ("format", "json"),
            ],
        );
        let mut millis = Vec::new();
        let mut bytes = 0;
        let mut read = String::new();
        for round in 0..=rounds {
            let began = Instant::now();
            let fetched = fetch::get_ok(&node.http, &target).await?;
            let took = began.elapsed().as_secs_f64() * 1e3;
            bytes = fetched.body.len();
            if let Some(header) = fetched.headers.get("hesper-read") {
                read = String::from_utf8_lossy(header.as_bytes()).into_owned();
            }
            // The first warms up.
            if round > 0 {
                millis.push(took);
            }
        }
        let at = quantiles(millis);
        let series = read
            .strip_prefix("series=")
            .and_then(|r| r.split(',').next())
            .unwrap_or("-");
        println!(
            "{what:24} {:>9.2} {:>9.2} {series:>9} {bytes:>11}  {read}",
            at(0.5),
            at(0.99)
        );
    }
    tags(node, rounds).await?;
    dashboards(node, &start, &end, rounds).await
}

/// The quantiles of times, of which there is one at least.
pub fn quantiles(mut millis: Vec<f64>) -> impl Fn(f64) -> f64 {
    millis.sort_by(f64::total_cmp);
    move |p: f64| millis[((millis.len() - 1) as f64 * p).round() as usize]
}

/// Times the values of keys with few and with many of them.
async fn tags(node: &NodeProcess, rounds: usize) -> Result<(), CommandError> {
    for key in ["nf.app", "nf.node"] {
        let query = ("q", "name,metric_07,:eq");
        let target = fetch::target(&format!("/api/v1/tags/{key}"), &[query]);
        let mut millis = Vec::new();
        let mut bytes = 0;
        for round in 0..=rounds {
            let began = Instant::now();
            bytes = fetch::get_ok(&node.http, &target).await?.body.len();
            if round > 0 {
                millis.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
        let at = quantiles(millis);
        let what = format!("tags {key} of a name");
        println!(
            "{what:24} {:>9.2} {:>9.2} {:>9} {bytes:>11}",
            at(0.5),
            at(0.99),
            "-"
        );
    }
    Ok(())
}

/// Times the queries of dashboards that are opened at the same time, by callers of their own.
async fn dashboards(
    node: &NodeProcess,
    start: &str,
    end: &str,
    rounds: usize,
) -> Result<(), CommandError> {
    let mut millis = Vec::new();
    for _ in 0..rounds {
        let asked = (0..DASHBOARDS).map(|i| async move {
            let program = match i % 3 {
                0 => format!("name,metric_{:02},:eq,:sum", i % 40),
                1 => format!("name,metric_{:02},:eq,:max,(,nf.app,),:by", i % 40),
                _ => format!("nf.app,app{:02},:eq,:sum,(,statistic,),:by", i % 50),
            };
            let caller = format!("dashboard-{i}");
            let target = fetch::target(
                "/api/v1/graph",
                &[
                    ("q", &program),
                    ("s", start),
                    ("e", end),
                    ("format", "json"),
                    ("id", &caller),
                ],
            );
            let began = Instant::now();
            fetch::get_ok(&node.http, &target).await?;
            Ok::<_, CommandError>(began.elapsed().as_secs_f64() * 1e3)
        });
        millis.extend(try_join_all(asked).await?);
    }
    let at = quantiles(millis);
    let what = format!("{DASHBOARDS} dashboard queries");
    println!(
        "{what:24} {:>9.2} {:>9.2} {:>9} {:>11}  each, all at once",
        at(0.5),
        at(0.99),
        "-",
        "-"
    );
    Ok(())
}
