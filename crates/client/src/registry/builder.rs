//! What a registry is made from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::id::Tag;
use crate::registry::Registry;
use crate::step::Steps;

/// Builds a [`Registry`].
#[must_use]
pub struct RegistryBuilder {
    clock: Arc<dyn Clock>,
    step: Duration,
    time_to_live: Duration,
    max_meters: usize,
    common_tags: BTreeMap<String, String>,
}

impl Default for RegistryBuilder {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::default()),
            step: Duration::from_secs(60),
            time_to_live: Duration::from_secs(15 * 60),
            max_meters: usize::MAX,
            common_tags: BTreeMap::new(),
        }
    }
}

/// Common tags, and the environment variables that give them: the first that is set. (Source: the agent that Atlas's users run on
/// each host.)
const COMMON_TAGS: [(&str, &[&str]); 14] = [
    ("nf.account", &["NETFLIX_ACCOUNT_ID", "EC2_OWNER_ID"]),
    ("nf.ami", &["EC2_AMI_ID"]),
    ("nf.app", &["NETFLIX_APP"]),
    ("nf.asg", &["NETFLIX_AUTO_SCALE_GROUP"]),
    ("nf.cluster", &["NETFLIX_CLUSTER"]),
    ("nf.container", &["TITUS_CONTAINER_NAME"]),
    (
        "nf.node",
        &[
            "NETFLIX_INSTANCE_ID",
            "TITUS_TASK_INSTANCE_ID",
            "EC2_INSTANCE_ID",
        ],
    ),
    ("nf.process", &["NETFLIX_PROCESS_NAME"]),
    ("nf.region", &["NETFLIX_REGION", "EC2_REGION"]),
    ("nf.shard1", &["NETFLIX_SHARD1"]),
    ("nf.shard2", &["NETFLIX_SHARD2"]),
    ("nf.stack", &["NETFLIX_STACK"]),
    ("nf.vmtype", &["EC2_INSTANCE_TYPE"]),
    ("nf.zone", &["EC2_AVAILABILITY_ZONE"]),
];

impl RegistryBuilder {
    /// A tag that every series gets, unless its meter has another value for the key. Replaces the one given before.
    pub fn common_tag(mut self, key: &str, value: &str) -> Self {
        self.common_tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Takes a common tag back.
    pub fn without_common_tag(mut self, key: &str) -> Self {
        self.common_tags.remove(key);
        self
    }

    /// The usual common tags (`nf.app`, `nf.cluster`, `nf.node` and so on) as far as variables give them. `variable` looks one up:
    /// `|name| std::env::var(name).ok()`.
    pub fn common_tags_from(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        for (key, names) in COMMON_TAGS {
            let values = names.iter().filter_map(|name| variable(name));
            if let Some(value) = values.into_iter().find(|value| !value.is_empty()) {
                self.common_tags.insert(key.to_owned(), value);
            }
        }
        self
    }

    /// The distance between datapoints, which should be that of the store; a minute unless given.
    pub fn step(mut self, step: Duration) -> Self {
        self.step = step;
        self
    }

    /// How long a meter reports after its last recording; 15 minutes unless given. Shorter than a step counts as a step.
    pub fn time_to_live(mut self, time_to_live: Duration) -> Self {
        self.time_to_live = time_to_live;
        self
    }

    /// Refuses more meters than so many. A percentile meter is one.
    pub fn max_meters(mut self, max_meters: usize) -> Self {
        self.max_meters = max_meters;
        self
    }

    /// Another clock than that of the machine.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The registry.
    ///
    /// # Errors
    /// [`Error::Step`] when the step is shorter than a millisecond or longer than a day.
    pub fn build(self) -> Result<Registry, Error> {
        let steps = Steps::new(self.clock, self.step)?;
        let tags = self.common_tags.iter();
        let common_tags = tags.map(|(key, value)| Tag::new(key, value)).collect();
        Ok(Registry::new(
            steps,
            self.time_to_live,
            self.max_meters,
            common_tags,
        ))
    }
}
