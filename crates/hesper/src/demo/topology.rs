//! The shape of the simulated fleet: which apps there are, who calls whom, and on which nodes they run.

use std::fmt;
use std::time::Duration;

/// An app of the fleet. Each but the last calls the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum App {
    /// Takes the requests of devices.
    Edge,
    /// Puts pages together.
    Api,
    /// Knows what each member has rated.
    Ratings,
    /// Holds the ratings.
    Database,
}

impl App {
    /// All apps, callers first.
    pub const ALL: [Self; 4] = [Self::Edge, Self::Api, Self::Ratings, Self::Database];

    /// The value of `nf.app`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Api => "api",
            Self::Ratings => "ratings",
            Self::Database => "database",
        }
    }

    /// The value of `ipc.endpoint` of the calls that it serves.
    pub const fn endpoint(self) -> &'static str {
        match self {
            Self::Edge => "playback.start",
            Self::Api => "page.get",
            Self::Ratings => "ratings.list",
            Self::Database => "rows.select",
        }
    }

    /// How large its answers are, in bytes, on average.
    pub const fn answer_bytes(self) -> f64 {
        match self {
            Self::Edge => 2_000.0,
            Self::Api => 40_000.0,
            Self::Ratings => 9_000.0,
            Self::Database => 5_000.0,
        }
    }

    /// How long its own work on a call takes.
    pub const fn work(self) -> Work {
        let (median_millis, sigma) = match self {
            Self::Edge => (12.0, 0.25),
            Self::Api => (18.0, 0.3),
            Self::Ratings => (14.0, 0.3),
            Self::Database => (16.0, 0.35),
        };
        Work {
            median_millis,
            sigma,
        }
    }

    /// The share of calls that fail on an ordinary day.
    pub const fn failing_share(self) -> f64 {
        0.0005
    }

    /// How it calls what it depends on.
    pub const fn calls(self) -> Option<CallPolicy> {
        match self {
            // A stream must not be started twice: there is no second attempt.
            Self::Edge => Some(CallPolicy {
                callee: Self::Api,
                timeout: Duration::from_millis(2500),
                attempts: 1,
                fallback: None,
            }),
            Self::Api => Some(CallPolicy {
                callee: Self::Ratings,
                timeout: Duration::from_millis(600),
                attempts: 2,
                fallback: Some(Fallback {
                    median_millis: 25.0,
                    failing_share: 0.5,
                }),
            }),
            Self::Ratings => Some(CallPolicy {
                callee: Self::Database,
                timeout: Duration::from_millis(3000),
                attempts: 1,
                fallback: None,
            }),
            Self::Database => None,
        }
    }
}

/// Times that are log-normal, as those of services are: mostly near the median, some much longer.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// The median.
    pub median_millis: f64,
    /// The standard deviation of the logarithm.
    pub sigma: f64,
}

/// How an app calls another.
#[derive(Clone, Copy, Debug)]
pub struct CallPolicy {
    /// Who is called.
    pub callee: App,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// How many attempts there are; further ones go to another cluster.
    pub attempts: u32,
    /// What is done when all of them have failed.
    pub fallback: Option<Fallback>,
}

/// A poorer answer from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Fallback {
    /// The median time it takes.
    pub median_millis: f64,
    /// The share of calls for which it has no answer either.
    pub failing_share: f64,
}

/// A part of each app that is deployed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stack {
    /// Serves most requests.
    Main,
    /// Tries the next version on a few requests.
    Canary,
    /// Serves what nobody waits for.
    Batch,
}

impl Stack {
    /// All stacks.
    pub const ALL: [Self; 3] = [Self::Main, Self::Canary, Self::Batch];

    /// The value of `nf.stack`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Canary => "canary",
            Self::Batch => "batch",
        }
    }

    /// The share of requests that enter the fleet here; calls stay within a stack.
    pub const fn share(self) -> f64 {
        match self {
            Self::Main => 0.7,
            Self::Canary => 0.1,
            Self::Batch => 0.2,
        }
    }

    /// Number of nodes of each app.
    pub const fn nodes(self) -> usize {
        match self {
            Self::Main => 2,
            Self::Canary | Self::Batch => 1,
        }
    }

    /// Where calls go when they fail here.
    pub const fn sibling(self) -> Self {
        match self {
            Self::Main => Self::Batch,
            Self::Canary | Self::Batch => Self::Main,
        }
    }
}

/// A cluster: a stack of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cluster {
    /// The app.
    pub app: App,
    /// The stack.
    pub stack: Stack,
}

impl Cluster {
    /// All clusters.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |app| Stack::ALL.map(|stack| Self { app, stack });
        App::ALL.into_iter().flat_map(of)
    }

    /// The name of its server group: a canary is a version ahead.
    pub fn asg(self) -> String {
        let version = match self.stack {
            Stack::Canary => "v043",
            Stack::Main | Stack::Batch => "v042",
        };
        format!("{self}-{version}")
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.app.name(), self.stack.name())
    }
}

/// The node of a cluster, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The cluster.
    pub cluster: Cluster,
    /// The number, from 0.
    pub number: usize,
}

impl Place {
    /// All nodes of the fleet.
    pub fn all() -> impl Iterator<Item = Self> {
        Cluster::all().flat_map(|cluster| {
            (0..cluster.stack.nodes()).map(move |number| Self { cluster, number })
        })
    }

    /// The name of the node.
    pub fn node(self) -> String {
        format!("{}-{}", self.cluster, self.number + 1)
    }

    /// The tags that all its metrics have.
    pub fn common_tags(self) -> [(&'static str, String); 8] {
        let zone = ["us-east-1a", "us-east-1b", "us-east-1c"][self.number % 3];
        let Cluster { app, stack } = self.cluster;
        [
            ("nf.app", app.name().to_owned()),
            ("nf.stack", stack.name().to_owned()),
            ("nf.cluster", self.cluster.to_string()),
            ("nf.asg", self.cluster.asg()),
            ("nf.node", self.node()),
            ("nf.region", "us-east-1".to_owned()),
            ("nf.zone", zone.to_owned()),
            ("nf.vmtype", "m5.xlarge".to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_app_has_three_clusters_and_all_requests_enter_one() {
        assert_eq!(Cluster::all().count(), 12);
        let share: f64 = Stack::ALL.iter().map(|s| s.share()).sum();
        assert!((share - 1.0).abs() < 1e-12);
        for stack in Stack::ALL {
            assert_ne!(stack.sibling(), stack);
        }
    }

    #[test]
    fn nodes_have_names_of_their_own() {
        let nodes: BTreeSet<String> = Place::all().map(Place::node).collect();
        assert_eq!(nodes.len(), Place::all().count());
        assert!(nodes.contains("ratings-canary-1"), "{nodes:?}");
    }

    #[test]
    fn calls_go_down_a_chain_that_ends() {
        let mut app = App::Edge;
        let mut chain = vec![app.name()];
        while let Some(policy) = app.calls() {
            app = policy.callee;
            chain.push(app.name());
        }
        assert_eq!(chain, ["edge", "api", "ratings", "database"]);
    }
}
