//! The demo under way: the fleet lives, the machine is read, and both publish into the node.

use std::sync::Arc;
use std::time::Duration;

use hesper_client::{Clock, Registry, SystemClock};
use hesper_server::Node;
use hesper_server::self_observation::reachable;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::fleet::Fleet;
use super::host::Host;
use super::incident::{Incident, Timetable};
use super::node_api::Range;
use super::publishing::Publishing;
use super::totals::Totals;
use crate::error::CommandError;

/// How often the fleet lives on.
const TICK: Duration = Duration::from_millis(100);

/// How often the machine is read: within each step, so that none lacks a value.
const HOST_INTERVAL: Duration = Duration::from_millis(2500);

/// How long the last datapoints may take to be acknowledged.
const FLUSH: Duration = Duration::from_secs(10);

/// What happens in the fleet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// Something goes wrong.
    Begins(Incident),
    /// It is over.
    Ends(Incident),
}

/// The fleet and the machine, publishing.
pub struct Running {
    fleet: JoinHandle<Fleet>,
    host: JoinHandle<()>,
    publishing: Publishing,
    stop: watch::Sender<bool>,
    events: mpsc::UnboundedReceiver<Event>,
    clock: Arc<dyn Clock>,
    start_millis: i64,
    step: Duration,
}

/// What is known when all has been published.
pub struct Finished {
    /// What the fleet has recorded.
    pub totals: Totals,
    /// The steps that it was recorded in.
    pub range: Range,
    /// The registries of all clients but the node's own.
    pub registries: Vec<Registry>,
}

impl Running {
    /// Begins to publish into a node.
    ///
    /// # Errors
    /// When a client cannot be started.
    pub async fn start(node: &Node, timetable: Timetable, seed: u64) -> Result<Self, CommandError> {
        let step_millis = node.state().hot.step().millis();
        let step = Duration::from_millis(step_millis.unsigned_abs());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        if node.state().recovery.series > 0 {
            // A process before may have published a part of this step, and of each step a series has one value.
            let present = clock.now_millis().div_euclid(step_millis);
            while clock.now_millis().div_euclid(step_millis) == present {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let now = clock.now_millis();
        let start_millis = now - now.rem_euclid(step_millis);
        let fleet = Fleet::new(step, &clock, timetable, seed)?;
        let host = Host::new(step)?;
        let endpoint = format!("http://{}", reachable(node.grpc()));
        let own = ("host".to_owned(), host.registry());
        let publishing = Publishing::start(&endpoint, fleet.registries().chain([own]))?;
        let (stop, stopped) = watch::channel(false);
        let (sender, events) = mpsc::unbounded_channel();
        Ok(Self {
            fleet: tokio::spawn(live(fleet, sender, stopped.clone())),
            host: tokio::spawn(read_host(host, stopped)),
            publishing,
            stop,
            events,
            clock,
            start_millis,
            step,
        })
    }

    /// Number of clients.
    pub fn clients(&self) -> usize {
        self.publishing.count()
    }

    /// The time of the step before the first, in milliseconds.
    pub fn start_millis(&self) -> i64 {
        self.start_millis
    }

    /// What has happened since it was asked last.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// Stops the fleet, and publishes what it has recorded.
    ///
    /// # Errors
    /// When the node does not acknowledge everything in time.
    pub async fn stop(self) -> Result<Finished, CommandError> {
        self.stop.send_replace(true);
        let fleet = self.fleet.await.expect("the fleet does not panic");
        self.host.await.expect("reading the machine does not panic");
        let registries = self.publishing.stop(FLUSH).await?;
        let step_millis = self.step.as_millis() as i64;
        // The last step was published before it was over.
        let now = self.clock.now_millis();
        let end_millis = now - now.rem_euclid(step_millis) + step_millis;
        Ok(Finished {
            totals: fleet.totals().clone(),
            range: Range {
                start_millis: self.start_millis,
                end_millis,
                step_millis,
            },
            registries,
        })
    }
}

/// Lets the fleet live until told to stop.
async fn live(
    mut fleet: Fleet,
    events: mpsc::UnboundedSender<Event>,
    mut stopped: watch::Receiver<bool>,
) -> Fleet {
    let began = tokio::time::Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way: Option<(u64, Incident)> = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return fleet,
        }
        fleet.advance(began.elapsed());
        let now = fleet.incident();
        if now != under_way {
            let ended = under_way.map(|(_, incident)| Event::Ends(incident));
            let begun = now.map(|(_, incident)| Event::Begins(incident));
            for event in ended.into_iter().chain(begun) {
                // Nobody needs to listen.
                let _ = events.send(event);
            }
            under_way = now;
        }
    }
}

/// Reads the machine until told to stop.
async fn read_host(mut host: Host, mut stopped: watch::Receiver<bool>) {
    loop {
        let read = tokio::task::spawn_blocking(move || {
            host.read();
            host
        });
        host = read.await.expect("reading the machine does not panic");
        tokio::select! {
            () = tokio::time::sleep(HOST_INTERVAL) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}
