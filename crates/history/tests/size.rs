//! How many bytes a datapoint takes, on the fleet of `hesper bench` (20,000 series × 360 points).

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::time::Instant;

use hesper_history::encode;
use hesper_hot::store::FlushRow;
use hesper_model::series::put_sort_key;
use hesper_model::{BLOCK_SLOTS, Block, DataSource, SeriesId, Step, Tags, Window};
use parquet::file::reader::{FileReader, SerializedFileReader};

fn tags(i: usize) -> Tags {
    const STATUSES: [&str; 8] = ["200", "200", "200", "400", "404", "429", "500", "503"];
    const REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];
    const STATISTICS: [&str; 4] = ["count", "totalTime", "max", "gauge"];
    let (node, metric) = (i / 40, i % 40);
    let app = node % 50;
    Tags::from_pairs([
        ("name", format!("metric_{metric:02}")),
        ("nf.app", format!("app{app:02}")),
        ("nf.cluster", format!("app{app:02}-main")),
        ("nf.asg", format!("app{app:02}-main-v{:03}", node % 3)),
        ("nf.region", REGIONS[node % 3].to_owned()),
        ("nf.node", format!("i-{:08x}", node as u64 * 2_654_435_761)),
        ("status", STATUSES[metric % 8].to_owned()),
        ("statistic", STATISTICS[metric % 4].to_owned()),
    ])
}

fn value(i: usize, point: usize) -> f64 {
    let seed = (i as u64)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(1);
    let u = unit(seed.wrapping_add((point as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9)));
    let phase = (i % 97) as f64 / 97.0;
    let wave = (2.0 * PI * (point as f64 / 1440.0 + phase)).sin();
    match i % 4 {
        0 => ((50.0 + 40.0 * wave) * 60.0 * (0.9 + 0.2 * u)).floor() / 60.0,
        1 => ((5.0 + 4.0 * wave) * (0.8 + 0.4 * u) * 1e6).round() / 1e6,
        2 => (u * u * u * 2e3).round() / 1e3,
        _ => ((seed >> 40) % 64) as f64,
    }
}

fn unit(mut x: u64) -> f64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^= x >> 31;
    (x >> 11) as f64 / (1u64 << 53) as f64
}

const SERIES: usize = 20_000;
const STEP: Step = Step::from_secs(60);

/// The rows of windows 0 … `windows`, in the order of files.
fn rows(windows: usize) -> Vec<FlushRow> {
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
            rows.push(FlushRow {
                id: SeriesId::of(&tags),
                tags: tags.clone(),
                source: DataSource::Rate,
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

/// `cargo test --release -p hesper-history --test size -- --ignored --nocapture`
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
