//! What goes wrong in the simulated fleet, and when.

use std::fmt;
use std::time::Duration;

use super::topology::{App, Cluster, Stack};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Incident {
    /// The database takes so many times longer than usual.
    DatabaseSlow(f64),
    /// A cluster fails this share of the calls that it serves.
    ClusterFails(Cluster, f64),
}

impl Incident {
    /// How many times longer than usual a cluster works on a call.
    pub fn slowdown(&self, cluster: Cluster) -> f64 {
        match self {
            Self::DatabaseSlow(factor) if cluster.app == App::Database => *factor,
            _ => 1.0,
        }
    }

    /// What is said when it is over.
    pub fn over(&self) -> String {
        match self {
            Self::DatabaseSlow(_) => "the database is as fast as ever".to_owned(),
            Self::ClusterFails(cluster, _) => format!("{cluster} answers again"),
        }
    }

    /// The share of calls that a cluster fails beyond those of an ordinary day.
    pub fn failing_share(&self, cluster: Cluster) -> f64 {
        match self {
            Self::ClusterFails(failing, share) if *failing == cluster => *share,
            _ => 0.0,
        }
    }
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DatabaseSlow(factor) => {
                write!(f, "the database answers {factor} times slower than usual")
            }
            Self::ClusterFails(cluster, share) => {
                write!(f, "{cluster} fails {:.0} % of its calls", share * 100.0)
            }
        }
    }
}

const DATABASE_SLOW: Incident = Incident::DatabaseSlow(60.0);

const fn fails(app: App, stack: Stack, share: f64) -> Incident {
    Incident::ClusterFails(Cluster { app, stack }, share)
}

/// What goes wrong, one after the other. The slow database comes every other time: it is what can be seen everywhere.
const KINDS: [Incident; 4] = [
    DATABASE_SLOW,
    fails(App::Ratings, Stack::Main, 0.5),
    DATABASE_SLOW,
    fails(App::Api, Stack::Batch, 0.4),
];

/// When things go wrong. Times are since the start of the fleet.
#[derive(Clone, Copy, Debug)]
pub struct Timetable {
    /// When the first incident starts.
    pub first: Duration,
    /// How long each lasts.
    pub lasts: Duration,
    /// How long all is well in between.
    pub quiet: Duration,
}

impl Timetable {
    /// The incident under way at a time, with its number, from 0.
    pub fn at(&self, elapsed: Duration) -> Option<(u64, Incident)> {
        let since_first = elapsed.checked_sub(self.first)?.as_nanos();
        let period = (self.lasts + self.quiet).as_nanos().max(1);
        let number = u64::try_from(since_first / period).ok()?;
        let under_way = since_first % period < self.lasts.as_nanos();
        under_way.then(|| (number, KINDS[number as usize % KINDS.len()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Timetable = Timetable {
        first: Duration::from_secs(15),
        lasts: Duration::from_secs(20),
        quiet: Duration::from_secs(180),
    };

    fn number_at(secs: u64) -> Option<u64> {
        TIMES
            .at(Duration::from_secs(secs))
            .map(|(number, _)| number)
    }

    #[test]
    fn incidents_come_and_go() {
        assert_eq!(
            [14, 15, 34, 35].map(number_at),
            [None, Some(0), Some(0), None]
        );
        assert_eq!(
            [214, 215, 234, 235].map(number_at),
            [None, Some(1), Some(1), None]
        );
    }

    #[test]
    fn kinds_take_turns_and_hit_what_they_name() {
        let kind_at = |secs| TIMES.at(Duration::from_secs(secs)).expect("under way").1;
        assert_eq!(kind_at(15), kind_at(15 + 2 * 200));
        assert_ne!(kind_at(215), kind_at(215 + 2 * 200));
        assert_eq!(kind_at(215), kind_at(215 + 4 * 200));
        let database = Cluster {
            app: App::Database,
            stack: Stack::Main,
        };
        assert!(kind_at(15).slowdown(database) > 1.0);
        assert_eq!(kind_at(15).failing_share(database), 0.0);
        let Incident::ClusterFails(cluster, share) = kind_at(215) else {
            panic!("a cluster fails next");
        };
        assert_eq!(kind_at(215).failing_share(cluster), share);
        assert_eq!(kind_at(215).slowdown(cluster), 1.0);
        assert_eq!(kind_at(215).failing_share(database), 0.0);
    }
}
