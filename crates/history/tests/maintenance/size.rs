//! How many bytes a datapoint takes, and how long merging it, on the fleet of `hesper bench`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use hesper_history::encode::{self, Row};
use hesper_history::synced_local::SyncedLocal;
use hesper_history::{Loader, Policy};
use hesper_model::series::put_sort_key;
use hesper_model::{BLOCK_SLOTS, Block, Slot, TagQuery, Window};
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::contents;
use crate::fleet::{tags, value};
use crate::place::{DAY_SLOTS, HOUR_MILLIS, Place, STEP};

const SERIES: usize = 20_000;

/// The rows of windows 0 … `windows`, in the order of files.
fn rows(windows: usize) -> Vec<Row> {
    let mut order: Vec<usize> = (0..SERIES).collect();
    order.sort_by_cached_key(|i| {
        let mut key = Vec::new();
        put_sort_key(tags(*i).iter(), &mut key);
        key
    });
    let mut rows = Vec::new();
    for i in order {
        let tags = tags(i);
        for window in 0..windows {
            rows.push(Row {
                tags: tags.clone(),
                window: Window(472_222 + window as i64),
                block: Block(std::array::from_fn(|p| value(i, window * BLOCK_SLOTS + p))),
            });
        }
    }
    rows
}

#[test]
fn an_hour_of_the_fleet_takes_at_most_1_6_bytes_a_datapoint() {
    let file = encode::encode(&rows(1), STEP, 7).expect("encoded");
    let each = file.bytes.len() as f64 / file.datapoints as f64;
    assert!(each <= 1.6, "{each:.3} bytes");
}

/// `cargo test --release -p hesper-history --test maintenance -- --ignored --nocapture`
#[test]
#[ignore = "prints the size of each column"]
fn six_hours_of_the_fleet_by_column() {
    let rows = rows(6);
    let began = Instant::now();
    let file = encode::encode(&rows, STEP, 7).expect("encoded");
    let elapsed = began.elapsed().as_nanos() as f64;
    let datapoints = file.datapoints as f64;
    println!("{:.1} ns a datapoint to encode", elapsed / datapoints);
    let reader = SerializedFileReader::new(file.bytes.clone()).expect("a Parquet file");
    let mut columns = BTreeMap::new();
    for group in reader.metadata().row_groups() {
        for column in group.columns() {
            let path = column.column_path().string();
            *columns.entry(path).or_insert(0) += column.compressed_size();
        }
    }
    for (column, bytes) in columns {
        println!("{column:30} {:.4} bytes", bytes as f64 / datapoints);
    }
    let each = file.bytes.len() as f64 / datapoints;
    println!("{:30} {each:.4} bytes", "all");
    assert!(each <= 1.6);
}

/// The most memory that the process ever had, in MB.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1024
}

/// `cargo test --release -p hesper-history --test maintenance -- --ignored --nocapture a_day_of_the_fleet`
#[tokio::test]
#[ignore = "measures"]
async fn a_day_of_the_fleet_is_merged() {
    let directory = tempfile::tempdir().expect("a directory");
    let local = SyncedLocal::open(directory.path()).expect("opened");
    let mut place = Place::new(Arc::new(local));
    let history = place.open().await;
    let all: Vec<_> = (0..SERIES).map(tags).collect();
    let mut loading = 0.0;
    for hour in 0..24 {
        let rows: Vec<Vec<f64>> = (0..SERIES)
            .map(|i| (0..60).map(|p| value(i, hour * 60 + p)).collect())
            .collect();
        let began = Instant::now();
        let next = || hour as u64 + 1;
        let mut loader = Loader::new(&history, format!("hour {hour}"), next, 1 << 30);
        for (tags, values) in all.iter().zip(&rows) {
            let first = Slot(hour as i64 * 60 + 1);
            loader.push(tags, first, values).await.expect("taken");
        }
        loader.finish().await.expect("loaded");
        loading += began.elapsed().as_secs_f64();
    }
    let datapoints = (SERIES as i64 * DAY_SLOTS) as f64;
    let (bytes, _) = history.size();
    println!(
        "loaded at {:.2} M datapoints/s, {:.3} bytes each, peak {} MB",
        datapoints / loading / 1e6,
        bytes as f64 / datapoints,
        peak_megabytes()
    );
    place.pass(2 * HOUR_MILLIS);
    let report = history.compact_due(place.now(), &Policy::default()).await;
    let report = report.expect("done").expect("due");
    let seconds = report.took.as_secs_f64();
    println!(
        "merged and rolled up at {:.2} M datapoints/s, {} files to {}, peak {} MB",
        datapoints / seconds / 1e6,
        report.files_before,
        report.files_after,
        peak_megabytes()
    );
    let mut by_resolution: BTreeMap<u32, u64> = BTreeMap::new();
    for file in history.manifest().files() {
        *by_resolution.entry(file.cell_slots).or_default() += file.bytes;
    }
    for (cell_slots, bytes) in by_resolution {
        let each = bytes as f64 / datapoints;
        println!(
            "{cell_slots:2} slots a cell: {each:.3} bytes a datapoint, {:.2} a cell",
            each * f64::from(cell_slots)
        );
    }
    let (mut indexing, mut reading, mut read) = (0.0, 0.0, 0usize);
    for file in history.manifest().files_in(contents::EVERYTHING) {
        let began = Instant::now();
        let index = history.index(&file).await.expect("an index");
        indexing += began.elapsed().as_secs_f64();
        let rows = index.matching(&TagQuery::True);
        let began = Instant::now();
        let values = history.read_values(&file, &index, &rows, |_, values| read += values.len());
        values.await.expect("whole");
        reading += began.elapsed().as_secs_f64();
    }
    assert_eq!(read as f64, datapoints);
    println!(
        "index made in {indexing:.3} s, values read in {:.1} ns each",
        reading * 1e9 / datapoints
    );
}
