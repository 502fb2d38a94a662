//! The fleet of `hesper bench`: nodes of fifty applications, each with forty names of four kinds.

use std::f64::consts::PI;

use hesper_model::Tags;

/// The tags of a series.
pub fn tags(i: usize) -> Tags {
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

/// The value of a series at a point.
pub fn value(i: usize, point: usize) -> f64 {
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
