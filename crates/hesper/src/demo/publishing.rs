//! The publishers of the demo: one client and one stream for each node of the fleet, as in life.

use std::ops::AddAssign;
use std::time::Duration;

use futures::future::join_all;
use hesper_client::{Error, Publisher, Registry};

/// Publishes registries until told to stop.
pub struct Publishing {
    publishers: Vec<Publisher>,
    registries: Vec<Registry>,
}

impl Publishing {
    /// Begins to publish registries, given with the names of their nodes, to a gRPC address.
    ///
    /// # Errors
    /// When a publisher cannot be started.
    pub fn start<'a>(
        endpoint: &str,
        registries: impl IntoIterator<Item = (String, &'a Registry)>,
    ) -> Result<Self, Error> {
        let mut started = Self {
            publishers: Vec::new(),
            registries: Vec::new(),
        };
        for (name, registry) in registries {
            // Steps are published when they end: a viewer should not wait, and with a short step a late moment would leave a busy
            // machine too little time before the next.
            let publisher = Publisher::builder(registry)
                .endpoint(endpoint)
                .name(&name)
                .spread(false)
                .start()?;
            started.publishers.push(publisher);
            started.registries.push(registry.clone());
        }
        Ok(started)
    }

    /// Number of publishers.
    pub fn count(&self) -> usize {
        self.publishers.len()
    }

    /// Publishes what is there, waits until it is acknowledged, and ends. Gives the registries, which know what became of everything.
    ///
    /// # Errors
    /// When that takes longer than `timeout`.
    pub async fn stop(self, timeout: Duration) -> Result<Vec<Registry>, Error> {
        let ended = join_all(self.publishers.into_iter().map(|p| p.shutdown(timeout))).await;
        ended.into_iter().collect::<Result<(), Error>>()?;
        Ok(self.registries)
    }
}

/// What became of datapoints, as clients count it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delivered {
    /// Acknowledged by the store.
    pub sent: f64,
    /// Refused by the store.
    pub rejected: f64,
    /// Given up by the client.
    pub dropped: f64,
    /// Sent again after a connection broke.
    pub resent: f64,
    /// Steps that nobody took in time.
    pub skipped_steps: f64,
    /// Meters that a registry refused.
    pub refused_meters: f64,
}

impl Delivered {
    /// Adds up what the clients of some registries counted.
    pub fn of<'a>(registries: impl IntoIterator<Item = &'a Registry>) -> Self {
        let mut all = Self::default();
        for registry in registries {
            for value in registry.current_values() {
                let series = value.series();
                let total = match (series.tag("name"), series.tag("id")) {
                    (Some("hesper.client.measurements"), Some("sent")) => &mut all.sent,
                    (Some("hesper.client.measurements"), Some("rejected")) => &mut all.rejected,
                    (Some("hesper.client.measurements"), Some("dropped")) => &mut all.dropped,
                    (Some("hesper.client.measurements"), Some("resent")) => &mut all.resent,
                    (Some("hesper.client.steps"), Some("skipped")) => &mut all.skipped_steps,
                    (Some("hesper.client.meters"), Some("refused")) => &mut all.refused_meters,
                    _ => continue,
                };
                *total += value.value();
            }
        }
        all
    }

    /// What was lost, in words; nothing when all is well.
    pub fn losses(&self) -> Vec<String> {
        let losses = [
            (self.rejected, "datapoints rejected by the store"),
            (self.dropped, "datapoints dropped by a client"),
            (self.skipped_steps, "steps that a client took too late"),
            (self.refused_meters, "meters refused by a registry"),
        ];
        let lost = losses.iter().filter(|(count, _)| *count > 0.0);
        lost.map(|(count, what)| format!("{count} {what}"))
            .collect()
    }
}

impl AddAssign for Delivered {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.rejected += other.rejected;
        self.dropped += other.dropped;
        self.resent += other.resent;
        self.skipped_steps += other.skipped_steps;
        self.refused_meters += other.refused_meters;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_count_is_added_up() {
        let registry = |sent, dropped| {
            let registry = Registry::builder().build().expect("a minute is a step");
            let count = |id: &str, amount| {
                let id = ("hesper.client.measurements", [("id", id)]);
                registry.counter(id).add(amount);
            };
            count("sent", sent);
            count("dropped", dropped);
            registry
        };
        let delivered = Delivered::of([&registry(10, 0), &registry(5, 2)]);
        assert_eq!(delivered.sent, 15.0);
        assert_eq!(delivered.losses(), ["2 datapoints dropped by a client"]);
        assert!(Delivered::of([&registry(1, 0)]).losses().is_empty());
    }
}
