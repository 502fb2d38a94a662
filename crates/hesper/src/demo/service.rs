//! A node of the simulated fleet: its registry and its meters, with the tags of the IPC conventions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hesper_client::ipc::Status;
use hesper_client::meter::{Counter, DistributionSummary, Gauge, PercentileTimer};
use hesper_client::{Clock, Error, Id, Registry};

use super::topology::{App, Cluster, Place};

/// The value of `owner`: who records the calls.
const OWNER: &str = "hesper-demo";

/// The kinds of devices, and their shares of the streams.
const DEVICES: [(&str, f64); 4] = [
    ("tv", 0.55),
    ("phone", 0.25),
    ("web", 0.12),
    ("console", 0.08),
];

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// In the words of the conventions.
    pub status: Status,
    /// How long it took.
    pub took: Duration,
    /// The size of the answer, if there is one.
    pub bytes: f64,
}

/// Where the answer to a call came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// From the app that was called.
    Direct,
    /// From a poorer substitute.
    Fallback,
}

impl Source {
    /// The value of `ipc.source`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fallback => "fallback",
        }
    }
}

/// What tells the calls of a client apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientCall {
    /// Who is called.
    pub callee: Cluster,
    /// The number of the attempt, from 0.
    pub attempt: u32,
    /// Whether no other attempt follows.
    pub is_final: bool,
    /// How it ended.
    pub status: Status,
    /// Where the answer came from.
    pub source: Source,
}

/// What tells the calls that a server answers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ServerCall {
    caller: Option<App>,
    status: Status,
}

/// A node with its meters.
pub struct Service {
    place: Place,
    registry: Registry,
    client_calls: HashMap<ClientCall, PercentileTimer>,
    server_calls: HashMap<ServerCall, PercentileTimer>,
    /// Requests by their result: answered, failed.
    requests: [Counter; 2],
    /// Streams by device, at the edge.
    streams: Vec<Counter>,
    /// As a server, and as a client if it calls anybody.
    server_side: Side,
    client_side: Option<Side>,
    busy: Gauge,
}

/// What is recorded of calls as a whole, on one side.
struct Side {
    /// Calls under way.
    in_flight: DistributionSummary,
    /// Bytes of answers.
    answer_bytes: DistributionSummary,
    /// Seconds that calls took since the calls under way were recorded last.
    seconds: f64,
}

impl Side {
    fn new(registry: &Registry, in_flight: &str, answer_bytes: &str) -> Self {
        let summary = |name| registry.distribution_summary((name, [("owner", OWNER)]));
        Self {
            in_flight: summary(in_flight),
            answer_bytes: summary(answer_bytes),
            seconds: 0.0,
        }
    }

    fn record(&mut self, answer: &Answer) {
        self.seconds += answer.took.as_secs_f64();
        if answer.status == Status::Success {
            self.answer_bytes.record(answer.bytes);
        }
    }

    /// Records how many calls were under way over a time, on average: the time they took over the time that passed (Little's law).
    fn record_in_flight(&mut self, passed: Duration) -> f64 {
        let in_flight = std::mem::take(&mut self.seconds) / passed.as_secs_f64();
        self.in_flight.record(in_flight);
        in_flight
    }
}

impl Service {
    /// A node that records with a clock and reports at each step.
    ///
    /// # Errors
    /// When the client refuses the step.
    pub fn new(place: Place, step: Duration, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let mut builder = Registry::builder().step(step).clock(clock);
        for (key, value) in place.common_tags() {
            builder = builder.common_tag(key, &value);
        }
        let registry = builder.build()?;
        let requests = |status| registry.counter(("server.requests", [("status", status)]));
        let devices = match place.cluster.app {
            App::Edge => &DEVICES[..],
            _ => &[],
        };
        let streams = devices.iter();
        Ok(Self {
            place,
            client_calls: HashMap::new(),
            server_calls: HashMap::new(),
            requests: [requests("2xx"), requests("5xx")],
            streams: streams
                .map(|(device, _)| registry.counter(("sps", [("device", *device)])))
                .collect(),
            server_side: Side::new(
                &registry,
                "ipc.server.inflight",
                "ipc.server.call.size.outbound",
            ),
            client_side: place.cluster.app.calls().map(|_| {
                Side::new(
                    &registry,
                    "ipc.client.inflight",
                    "ipc.client.call.size.inbound",
                )
            }),
            busy: registry.gauge("server.threads.busy"),
            registry,
        })
    }

    /// The registry, to be published.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The name of the node.
    pub fn name(&self) -> String {
        self.place.node()
    }

    /// Records a call of this node to another.
    pub fn record_client_call(&mut self, call: ClientCall, answer: &Answer) {
        let timer = self.client_calls.entry(call).or_insert_with(|| {
            let id = Id::from(("ipc.client.call", [("owner", OWNER)])).with_tags([
                ("id", call.callee.app.name()),
                ("ipc.protocol", "grpc"),
                ("ipc.endpoint", call.callee.app.endpoint()),
                ("ipc.server.app", call.callee.app.name()),
                ("ipc.server.cluster", &call.callee.to_string()),
                ("ipc.server.asg", &call.callee.asg()),
                ("ipc.attempt", attempt_name(call.attempt)),
                ("ipc.attempt.final", bool_name(call.is_final)),
                ("ipc.source", call.source.name()),
                ("ipc.status", call.status.as_str()),
                ("ipc.result", call.status.result()),
            ]);
            self.registry.percentile_timer(id)
        });
        timer.record(answer.took);
        if let Some(side) = &mut self.client_side {
            side.record(answer);
        }
    }

    /// Records a call that this node has answered; devices are callers without an app.
    pub fn record_server_call(&mut self, caller: Option<App>, answer: &Answer) {
        let status = answer.status;
        let call = ServerCall { caller, status };
        let app = self.place.cluster.app;
        let timer = self.server_calls.entry(call).or_insert_with(|| {
            let id = Id::from(("ipc.server.call", [("owner", OWNER)])).with_tags([
                (
                    "ipc.protocol",
                    if caller.is_some() { "grpc" } else { "http_2" },
                ),
                ("ipc.endpoint", app.endpoint()),
                ("ipc.client.app", caller.map_or("device", App::name)),
                ("ipc.status", status.as_str()),
                ("ipc.result", status.result()),
            ]);
            self.registry.percentile_timer(id)
        });
        timer.record(answer.took);
        self.requests[usize::from(status != Status::Success)].increment();
        self.server_side.record(answer);
    }

    /// Counts a stream that was started; `draw`, in [0, 1), decides for which device.
    pub fn count_stream(&self, draw: f64) {
        let mut rest = draw;
        for ((_, share), counter) in DEVICES.iter().zip(&self.streams) {
            rest -= share;
            if rest < 0.0 {
                return counter.increment();
            }
        }
        // The shares add up to 1 but for rounding.
        if let Some(last) = self.streams.last() {
            last.increment();
        }
    }

    /// Records what was under way in the time that has passed since it was recorded last.
    pub fn record_load(&mut self, passed: Duration) {
        if passed.is_zero() {
            return;
        }
        if let Some(side) = &mut self.client_side {
            side.record_in_flight(passed);
        }
        let working = self.server_side.record_in_flight(passed);
        let before = self.busy.get();
        // Smoothed over some ticks, as the size of a pool is.
        self.busy.set(match before.is_nan() {
            true => working,
            false => before + 0.1 * (working - before),
        });
    }
}

fn attempt_name(attempt: u32) -> &'static str {
    match attempt {
        0 => "initial",
        1 => "second",
        _ => "third_up",
    }
}

fn bool_name(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}
