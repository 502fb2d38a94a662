//! `hesper load`: back-fills JSON lines into a running node.
//!
//! A line is `{"tags":{…},"start":epoch_s,"step":s,"values":[…|null]}`: consecutive values of a series, the first at `start`. The file may be
//! packed with gzip. Each request is answered once its datapoints are durable.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use hesper_client::proto::{LoadReply, LoadSeries};
use hesper_client::{ConnectOptions, Connection};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;

use crate::error::CommandError;

/// Values in one request.
const REQUEST_VALUES: usize = 100_000;

/// Requests that wait for their answers at the same time. The node gathers many before it writes them to history.
const WINDOW: usize = 512;

/// Refused series that are named; all are counted.
const MAX_NAMED: usize = 10;

/// The flags of `load`.
#[derive(clap::Args)]
pub struct LoadArgs {
    /// A file of JSON lines, packed with gzip or not
    file: PathBuf,
    /// The gRPC address of the node
    #[arg(long, default_value = "http://127.0.0.1:7102", value_name = "URI")]
    server: String,
}

/// A line of the file.
#[derive(Deserialize)]
struct Line {
    tags: HashMap<String, String>,
    start: i64,
    step: i64,
    values: Vec<Option<f64>>,
}

/// Counts the bytes that were read of the file.
struct Counting {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Loads a file.
///
/// # Errors
/// When the file or a line cannot be read, or the node refuses all or some of it.
pub async fn load(args: LoadArgs) -> Result<(), CommandError> {
    let path = args.file;
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| CommandError::File { path, source }
    };
    let file = File::open(&path).map_err(unreadable(&path))?;
    let length = file.metadata().map_err(unreadable(&path))?.len();
    let read = Arc::new(AtomicU64::new(0));
    let mut lines = lines(file, read.clone()).map_err(unreadable(&path))?;

    let connection = Connection::open(&args.server, &ConnectOptions::default()).await?;
    let mut stream = connection.load("", WINDOW).await?;
    let bar = ProgressBar::new(length);
    let style = "{wide_bar} {percent}% {msg} {elapsed}";
    bar.set_style(ProgressStyle::with_template(style).expect("a valid template"));
    let mut outcome = Outcome::default();
    let mut request = Vec::new();
    let mut values = 0;
    let mut text = String::new();
    let mut number = 0;
    loop {
        text.clear();
        let n = lines.read_line(&mut text).map_err(unreadable(&path))?;
        if n > 0 && !text.trim().is_empty() {
            number += 1;
            let series = parse(&text).map_err(|what| CommandError::Line {
                path: path.clone(),
                line: number,
                what,
            })?;
            values += series.values.len();
            request.push(series);
        }
        if (n == 0 || values >= REQUEST_VALUES) && !request.is_empty() {
            outcome.series += request.len() as u64;
            let sent = stream.send(std::mem::take(&mut request)).await?;
            sent.into_iter().for_each(|reply| outcome.take(reply));
            values = 0;
            bar.set_position(read.load(Ordering::Relaxed));
            bar.set_message(format!("{} datapoints durable", outcome.datapoints));
        }
        if n == 0 {
            break;
        }
    }
    while let Some(reply) = stream.finish().await? {
        outcome.take(reply);
    }
    bar.finish_and_clear();
    println!(
        "loaded {} datapoints of {} series in {:.1} s",
        outcome.datapoints,
        outcome.series - outcome.refused,
        bar.elapsed().as_secs_f64()
    );
    if outcome.refused == 0 {
        return Ok(());
    }
    for text in &outcome.named {
        eprintln!("refused: {text}");
    }
    Err(CommandError::Refused(format!(
        "{} of {} series were refused",
        outcome.refused, outcome.series
    )))
}

#[derive(Default)]
struct Outcome {
    series: u64,
    datapoints: u64,
    refused: u64,
    named: Vec<String>,
}

impl Outcome {
    fn take(&mut self, reply: LoadReply) {
        self.datapoints += reply.datapoints;
        self.refused += reply.rejects.len() as u64;
        let room = MAX_NAMED.saturating_sub(self.named.len());
        let named = reply.rejects.into_iter().take(room);
        self.named
            .extend(named.map(|r| format!("{}: {}", r.reason, r.message)));
    }
}

/// The lines of a file; packed ones are told by their first bytes.
fn lines(file: File, read: Arc<AtomicU64>) -> std::io::Result<Box<dyn BufRead + Send>> {
    let mut reader = BufReader::with_capacity(1 << 20, Counting { file, read });
    let packed = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(match packed {
        true => Box::new(BufReader::with_capacity(
            1 << 20,
            MultiGzDecoder::new(reader),
        )),
        false => Box::new(reader),
    })
}

fn parse(text: &str) -> Result<LoadSeries, String> {
    let line: Line = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let millis = |secs: i64, name: &str| {
        secs.checked_mul(1000)
            .ok_or_else(|| format!("{name} {secs} is too large for seconds"))
    };
    Ok(LoadSeries {
        tags: line.tags,
        start_millis: millis(line.start, "start")?,
        step_millis: millis(line.step, "step")?,
        values: line
            .values
            .into_iter()
            .map(|v| v.unwrap_or(f64::NAN))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_consecutive_values() {
        let text = r#"{"tags":{"name":"x"},"start":60,"step":60,"values":[1.5,null,3]}"#;
        let series = parse(text).expect("a line");
        assert_eq!((series.start_millis, series.step_millis), (60_000, 60_000));
        assert!(series.values[1].is_nan());
        assert!(parse("{").is_err());
        assert!(parse(r#"{"tags":{},"start":9223372036854775807,"step":1,"values":[]}"#).is_err());
    }
}
