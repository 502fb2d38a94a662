//! The simulated fleet: requests of devices arrive at random, and each causes calls down the chain, so that slowness and errors spread
//! as they do in life.
//!
//! Time and randomness come in from outside: the same seed and the same timetable give the same calls, whenever they are recorded.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use hesper_client::ipc::Status;
use hesper_client::{Clock, Error, Registry};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::incident::{Incident, Timetable};
use super::service::{Answer, ClientCall, Service, Source};
use super::topology::{App, CallPolicy, Cluster, Fallback, Place, Stack, Work};
use super::totals::Totals;

/// Requests of devices a second, on average.
const REQUESTS_PER_SECOND: f64 = 150.0;

/// Traffic swings by this share around its average, within [`SWING_PERIOD`].
const SWING: f64 = 0.12;
const SWING_PERIOD: Duration = Duration::from_secs(900);

/// Errors come quickly: the work is not done.
const FAILING: Work = Work {
    median_millis: 3.0,
    sigma: 0.5,
};

/// How much less times scatter where everything waits for the same: the longer the queue, the more alike the waits.
const SCATTER_WHEN_SLOW: f64 = 0.4;

/// The fleet.
pub struct Fleet {
    services: Vec<Service>,
    /// The cluster of each service.
    clusters: Vec<Cluster>,
    random: SmallRng,
    timetable: Timetable,
    /// Up to when it has lived, since its start.
    elapsed: Duration,
    next_arrival: Duration,
    totals: Totals,
}

impl Fleet {
    /// A fleet that begins now.
    ///
    /// # Errors
    /// When the client refuses the step.
    pub fn new(
        step: Duration,
        clock: &Arc<dyn Clock>,
        timetable: Timetable,
        seed: u64,
    ) -> Result<Self, Error> {
        let services = Place::all().map(|place| Service::new(place, step, clock.clone()));
        Ok(Self {
            services: services.collect::<Result<_, _>>()?,
            clusters: Place::all().map(|place| place.cluster).collect(),
            random: SmallRng::seed_from_u64(seed),
            timetable,
            elapsed: Duration::ZERO,
            next_arrival: Duration::ZERO,
            totals: Totals::default(),
        })
    }

    /// The name and the registry of each node.
    pub fn registries(&self) -> impl Iterator<Item = (String, &Registry)> {
        self.services.iter().map(|s| (s.name(), s.registry()))
    }

    /// What it has recorded so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The incident under way, with its number.
    pub fn incident(&self) -> Option<(u64, Incident)> {
        self.timetable.at(self.elapsed)
    }

    /// Lives on until so long after the start: all requests that arrive meanwhile are answered and recorded.
    pub fn advance(&mut self, elapsed: Duration) {
        let passed = elapsed.saturating_sub(self.elapsed);
        while self.next_arrival <= elapsed {
            let at = self.next_arrival;
            self.request(at);
            let gap = self.gap(at);
            self.next_arrival += gap;
        }
        self.elapsed = self.elapsed.max(elapsed);
        for service in &mut self.services {
            service.record_load(passed);
        }
    }

    /// The time to the next request: exponential, as of requests that know nothing of each other.
    fn gap(&mut self, at: Duration) -> Duration {
        let phase = at.as_secs_f64() / SWING_PERIOD.as_secs_f64();
        let rate = REQUESTS_PER_SECOND * (1.0 + SWING * (phase * TAU).sin());
        let draw: f64 = self.random.random();
        Duration::from_secs_f64(-(1.0 - draw).ln() / rate)
    }

    /// A device asks the edge to start a stream.
    fn request(&mut self, at: Duration) {
        let incident = self.timetable.at(at).map(|(_, incident)| incident);
        let mut draw: f64 = self.random.random();
        let entered = Stack::ALL.into_iter().find(|stack| {
            draw -= stack.share();
            draw < 0.0
        });
        let cluster = Cluster {
            app: App::Edge,
            stack: entered.unwrap_or(Stack::Main),
        };
        let edge = self.node_of(cluster);
        let answer = self.serve(edge, None, incident);
        if answer.status == Status::Success {
            let draw = self.random.random();
            self.services[edge].count_stream(draw);
            self.totals.streams += 1;
        }
    }

    /// A node answers a call.
    fn serve(&mut self, node: usize, caller: Option<App>, incident: Option<Incident>) -> Answer {
        let cluster = self.clusters[node];
        let slowdown = incident.map_or(1.0, |i| i.slowdown(cluster));
        let failing = incident.map_or(0.0, |i| i.failing_share(cluster));
        let failing = failing.max(cluster.app.failing_share());
        let mut answer = if self.random.random::<f64>() < failing {
            Answer {
                status: Status::UnexpectedError,
                took: self.time_of(FAILING, 1.0),
                bytes: 0.0,
            }
        } else {
            Answer {
                status: Status::Success,
                took: self.time_of(cluster.app.work(), slowdown),
                bytes: cluster.app.answer_bytes() * self.random.random_range(0.5..1.5),
            }
        };
        if let (Status::Success, Some(policy)) = (answer.status, cluster.app.calls()) {
            let below = self.call(node, &policy, incident);
            answer.took += below.took;
            if below.status != Status::Success {
                answer.status = Status::Unavailable;
            }
        }
        self.services[node].record_server_call(caller, &answer);
        self.totals.server_call(cluster.app, answer.status);
        answer
    }

    /// A node calls what it depends on, as often as its policy says; a further attempt goes to another cluster.
    fn call(&mut self, node: usize, policy: &CallPolicy, incident: Option<Incident>) -> Answer {
        let Cluster { app, stack } = self.clusters[node];
        let mut waited = Duration::ZERO;
        let mut stack = stack;
        let mut attempt = 0;
        let last = loop {
            let callee = Cluster {
                app: policy.callee,
                stack,
            };
            let server = self.node_of(callee);
            let mut answer = self.serve(server, Some(app), incident);
            if answer.took > policy.timeout {
                // The server works on, but nobody waits for it.
                answer.status = Status::Timeout;
                answer.took = policy.timeout;
            }
            let call = ClientCall {
                callee,
                attempt,
                is_final: attempt + 1 >= policy.attempts,
                status: answer.status,
                source: Source::Direct,
            };
            self.record_client_call(node, call, &answer);
            waited += answer.took;
            if answer.status == Status::Success || call.is_final {
                break answer;
            }
            attempt += 1;
            stack = stack.sibling();
        };
        let answer = match policy.fallback {
            Some(fallback) if last.status != Status::Success => {
                let substitute = self.fall_back(node, policy.callee, fallback);
                waited += substitute.took;
                substitute
            }
            _ => last,
        };
        Answer {
            took: waited,
            ..answer
        }
    }

    /// A node asks the substitute of what it depends on.
    fn fall_back(&mut self, node: usize, callee: App, fallback: Fallback) -> Answer {
        let work = Work {
            median_millis: fallback.median_millis,
            sigma: 0.3,
        };
        let status = match self.random.random::<f64>() < fallback.failing_share {
            true => Status::Unavailable,
            false => Status::Success,
        };
        let answer = Answer {
            status,
            took: self.time_of(work, 1.0),
            bytes: callee.answer_bytes(),
        };
        let call = ClientCall {
            callee: Cluster {
                app: callee,
                stack: self.clusters[node].stack,
            },
            attempt: 0,
            is_final: true,
            status,
            source: Source::Fallback,
        };
        self.record_client_call(node, call, &answer);
        self.totals.fallbacks += 1;
        answer
    }

    fn record_client_call(&mut self, node: usize, call: ClientCall, answer: &Answer) {
        self.services[node].record_client_call(call, answer);
        self.totals
            .client_call(call.callee.app, answer.status, answer.took);
    }

    /// A node of a cluster, at random.
    fn node_of(&mut self, cluster: Cluster) -> usize {
        let first = self.clusters.iter().position(|c| *c == cluster);
        let first = first.expect("every cluster has a node");
        first + self.random.random_range(0..cluster.stack.nodes())
    }

    fn time_of(&mut self, work: Work, slowdown: f64) -> Duration {
        // Box and Muller's way from two even draws to a normal one.
        let (a, b): (f64, f64) = self.random.random();
        let normal = (-2.0 * (1.0 - a).ln()).sqrt() * (TAU * b).cos();
        let scatter = if slowdown > 1.0 {
            SCATTER_WHEN_SLOW
        } else {
            1.0
        };
        let millis = work.median_millis * slowdown * (work.sigma * scatter * normal).exp();
        Duration::from_secs_f64(millis / 1000.0)
    }
}

#[cfg(test)]
mod tests;
