//! What a publisher is made from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tonic::transport::{Channel, Endpoint};

use crate::connection::ConnectOptions;
use crate::entropy;
use crate::error::Error;
use crate::proto::Hello;
use crate::publisher::counters::Counters;
use crate::publisher::queue::BatchQueue;
use crate::publisher::sender::{self, SenderOptions};
use crate::publisher::stepper::{self, StepTaker};
use crate::publisher::{Publisher, Shared};
use crate::registry::Registry;

/// Gives the channel for each attempt to connect, counted from 0.
pub(super) type ChannelSource = Box<dyn Fn(usize) -> Channel + Send + Sync>;

/// Builds a [`Publisher`].
#[must_use]
pub struct PublisherBuilder {
    registry: Registry,
    endpoints: Vec<String>,
    channels: Option<ChannelSource>,
    name: String,
    tenant: String,
    queue_datapoints: usize,
    window: usize,
    spread: bool,
    connect: ConnectOptions,
    shortest_reconnect_delay: Duration,
    longest_reconnect_delay: Duration,
    ack_timeout: Duration,
}

impl PublisherBuilder {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            endpoints: Vec::new(),
            channels: None,
            name: String::new(),
            tenant: String::new(),
            queue_datapoints: 1_000_000,
            window: 16,
            spread: true,
            connect: ConnectOptions::default(),
            shortest_reconnect_delay: Duration::from_millis(200),
            longest_reconnect_delay: Duration::from_secs(30),
            ack_timeout: Duration::from_secs(60),
        }
    }

    /// The address of a server, such as `http://127.0.0.1:7102`. With several, each attempt to connect takes the next one.
    pub fn endpoint(mut self, uri: &str) -> Self {
        self.endpoints.push(uri.to_owned());
        self
    }

    /// Uses channels made elsewhere instead of endpoints: `channel` is asked before each attempt to connect, counted from 0. They
    /// should connect lazily and notice when the server is gone.
    pub fn channels(mut self, channel: impl Fn(usize) -> Channel + Send + Sync + 'static) -> Self {
        self.channels = Some(Box::new(channel));
        self
    }

    /// The name of the service, for the logs and metrics of the store.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The tenant; the default one unless given.
    pub fn tenant(mut self, tenant: &str) -> Self {
        tenant.clone_into(&mut self.tenant);
        self
    }

    /// How many datapoints may wait for their acknowledgement: a million unless given, which takes about 10 MB while the same series
    /// report, and more while each step has series of its own. When there are more, the oldest batch is dropped.
    pub fn queue_datapoints(mut self, datapoints: usize) -> Self {
        self.queue_datapoints = datapoints;
        self
    }

    /// How many batches may be under way at a time; 16 unless given.
    pub fn window(mut self, batches: usize) -> Self {
        self.window = batches;
        self
    }

    /// Whether this process publishes at a moment of its own, between 10 % and 90 % of the next step, so that the instances of a
    /// service don't publish all at once. Unless it is switched off; then each step is published when it is over.
    pub fn spread(mut self, spread: bool) -> Self {
        self.spread = spread;
        self
    }

    /// Time-outs and signs of life of connections.
    pub fn connect_options(mut self, options: ConnectOptions) -> Self {
        self.connect = options;
        self
    }

    /// How long to wait before connecting again: the shortest time after the first failure, then twice as long each time, up to the
    /// longest; 200 ms to 30 s unless given. Each wait is shortened by up to a half, at random.
    pub fn reconnect_delay(mut self, shortest: Duration, longest: Duration) -> Self {
        self.shortest_reconnect_delay = shortest;
        self.longest_reconnect_delay = longest;
        self
    }

    /// How long to wait for an acknowledgement, while batches are under way, before trying another connection; 60 s unless given.
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.ack_timeout = timeout;
        self
    }

    /// Starts to publish, on the runtime that this is called from.
    ///
    /// # Errors
    /// [`Error::NoEndpoint`] without an endpoint, [`Error::Uri`] when one doesn't parse, [`Error::NoRuntime`] outside a runtime.
    pub fn start(self) -> Result<Publisher, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let channels = match self.channels {
            Some(channels) => channels,
            None => channels_of(&self.endpoints, &self.connect)?,
        };
        let shared = Arc::new(Shared {
            taker: StepTaker::new(&self.registry),
            queue: BatchQueue::new(self.queue_datapoints),
            counters: Counters::new(self.registry.clone()),
            registry: self.registry,
            hurry: Notify::new(),
        });
        let options = SenderOptions {
            channels,
            connect: self.connect,
            hello: Hello {
                client: entropy::client_id().to_vec(),
                tenant: self.tenant,
                name: self.name,
            },
            window: self.window,
            shortest_reconnect_delay: self.shortest_reconnect_delay,
            longest_reconnect_delay: self.longest_reconnect_delay,
            ack_timeout: self.ack_timeout,
        };
        let offset = if self.spread {
            stepper::offset_within(shared.registry.step(), entropy::random_fraction())
        } else {
            Duration::ZERO
        };
        let stepper = runtime.spawn(stepper::run(shared.clone(), offset));
        let sender = runtime.spawn(sender::run(shared.clone(), options));
        Ok(Publisher {
            shared,
            tasks: [stepper.abort_handle(), sender.abort_handle()],
        })
    }
}

fn channels_of(uris: &[String], options: &ConnectOptions) -> Result<ChannelSource, Error> {
    let endpoints: Vec<Endpoint> = uris
        .iter()
        .map(|uri| options.endpoint(uri))
        .collect::<Result<_, _>>()?;
    if endpoints.is_empty() {
        return Err(Error::NoEndpoint);
    }
    // Processes that start together should not all begin with the same server.
    let first = usize::try_from(entropy::random_u64() % endpoints.len() as u64)
        .expect("the remainder is below a usize");
    Ok(Box::new(move |attempt| {
        endpoints[(first + attempt) % endpoints.len()].connect_lazy()
    }))
}

impl fmt::Debug for PublisherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublisherBuilder")
            .field("registry", &self.registry)
            .field("endpoints", &self.endpoints)
            .field("name", &self.name)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}
