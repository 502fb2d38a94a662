//! The fleet of the benchmarks: nodes of fifty applications, each with forty names of four kinds.

use std::f64::consts::PI;
use std::ops::Range;

use hesper_model::BLOCK_SLOTS;
use hesper_server::clock;

/// Names of a node.
const NAMES: usize = 40;
/// Applications.
const APPS: usize = 50;
/// Datapoints are this far apart, unless a fleet is told otherwise.
pub const STEP_SECS: i64 = 60;

const STATUSES: [&str; 8] = ["200", "200", "200", "400", "404", "429", "500", "503"];
const REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];
const STATISTICS: [&str; 4] = ["count", "totalTime", "max", "gauge"];

/// A fleet of series.
pub struct Fleet {
    series: usize,
    points: usize,
    start_secs: i64,
    step_secs: i64,
}

fn now_secs() -> i64 {
    clock::now().millis() / 1000
}

impl Fleet {
    /// So many series of so many points. Without a start, the last point is of now; or, for a fleet of which all windows are to be
    /// sealed, the last of a window that is over: the node's own metrics keep the one of now open.
    pub fn new(series: usize, points: usize, start_secs: Option<i64>, over: bool) -> Self {
        let mut end = now_secs();
        if over {
            end -= end.rem_euclid(STEP_SECS * BLOCK_SLOTS as i64);
        }
        let start = start_secs.unwrap_or(end - (points as i64 - 1) * STEP_SECS);
        Self {
            series,
            points,
            start_secs: start - start.rem_euclid(STEP_SECS),
            step_secs: STEP_SECS,
        }
    }

    /// So many series that begin now, with a point a second.
    pub fn of_seconds(series: usize, points: usize) -> Self {
        Self {
            series,
            points,
            start_secs: now_secs() + 1,
            step_secs: 1,
        }
    }

    /// Number of series.
    pub fn series(&self) -> usize {
        self.series
    }

    /// Datapoints of a series.
    pub fn points(&self) -> usize {
        self.points
    }

    /// Datapoints of all series.
    pub fn datapoints(&self) -> u64 {
        self.series as u64 * self.points as u64
    }

    /// The time of a point, in seconds.
    pub fn time_secs(&self, point: usize) -> i64 {
        self.start_secs + point as i64 * self.step_secs
    }

    /// The tags of a series, or of one that comes in its place: the first is of generation 0.
    pub fn tags(&self, i: usize, generation: u32) -> Vec<(&'static str, String)> {
        let (node, metric) = (i / NAMES, i % NAMES);
        let app = node % APPS;
        let mut host = format!("i-{:08x}", node as u64 * 2_654_435_761);
        if generation > 0 {
            host = format!("{host}-{generation}");
        }
        vec![
            ("name", format!("metric_{metric:02}")),
            ("nf.app", format!("app{app:02}")),
            ("nf.cluster", format!("app{app:02}-main")),
            ("nf.asg", format!("app{app:02}-main-v{:03}", node % 3)),
            ("nf.region", REGIONS[node % 3].to_owned()),
            ("nf.node", host),
            ("status", STATUSES[metric % 8].to_owned()),
            ("statistic", STATISTICS[metric % 4].to_owned()),
        ]
    }

    /// Appends the values of series at a point.
    pub fn put_values(&self, series: Range<usize>, point: usize, out: &mut Vec<f64>) {
        let waves: [f64; PHASES] = std::array::from_fn(|phase| wave(point, phase));
        out.extend(series.map(|i| value(i, point, waves[i % PHASES])));
    }
}

/// The series follow the day by so many phases.
const PHASES: usize = 97;

/// How far a point is in its day.
fn wave(point: usize, phase: usize) -> f64 {
    let phase = phase as f64 / PHASES as f64;
    (2.0 * PI * (point as f64 / 1440.0 + phase)).sin()
}

/// The value of a series at a point.
fn value(i: usize, point: usize, wave: f64) -> f64 {
    let seed = (i as u64)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(1);
    let u = unit(seed.wrapping_add((point as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9)));
    match i % 4 {
        // A request rate: a count over the step.
        0 => ((50.0 + 40.0 * wave) * 60.0 * (0.9 + 0.2 * u)).floor() / 60.0,
        // Seconds spent per second, to the microsecond.
        1 => ((5.0 + 4.0 * wave) * (0.8 + 0.4 * u) * 1e6).round() / 1e6,
        // A maximum, to the millisecond.
        2 => (u * u * u * 2e3).round() / 1e3,
        // A gauge that hardly ever changes.
        _ => ((seed >> 40) % 64) as f64,
    }
}

/// A number from 0 to 1, by the mixing function of splitmix64.
fn unit(mut x: u64) -> f64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^= x >> 31;
    (x >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_is_the_same_every_time() {
        let fleet = Fleet::new(100, 10, Some(1_700_000_030), false);
        assert_eq!(fleet.time_secs(0), 1_700_000_000 - 1_700_000_000 % 60);
        let values = |point| {
            let mut values = Vec::new();
            fleet.put_values(0..100, point, &mut values);
            values
        };
        assert_eq!(values(3), values(3));
        assert_ne!(values(3)[4], values(4)[4]);
        assert_eq!(values(1)[7], values(9)[7]);
        let mut some = Vec::new();
        fleet.put_values(50..60, 3, &mut some);
        assert_eq!(some, values(3)[50..60]);
        let tags = fleet.tags(47, 0);
        assert_eq!(tags[0], ("name", "metric_07".to_owned()));
        assert_eq!(tags[5].1, format!("i-{:08x}", 2_654_435_761u64));
        // Windows end at whole hours.
        let over = Fleet::new(100, 60, None, true);
        assert_eq!(over.time_secs(59) % 3600, 0);
        assert_ne!(fleet.tags(47, 1)[5], tags[5]);
        // A request rate is a whole number of requests a step.
        let count = values(3)[4] * 60.0;
        assert!((count - count.round()).abs() < 1e-9);
    }
}
