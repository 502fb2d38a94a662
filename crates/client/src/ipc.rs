//! Metrics of calls between services, as layers around tower services: gRPC and HTTP, clients and servers.
//!
//! Each call is recorded with a percentile timer, `ipc.client.call` or `ipc.server.call`, from the moment the request is made until
//! the answer is complete. Alerts on latency, time-outs, fail-over and errors stand on their tags:
//!
//! | tag | values |
//! |---|---|
//! | `owner` | who recorded it, `tower` unless another is given |
//! | `ipc.result` | `success` or `failure` |
//! | `ipc.status` | see [`Status`] |
//! | `ipc.protocol` | `grpc`, `http_1`, `http_2` |
//! | `ipc.endpoint` | service and method of a gRPC call; for HTTP what [`IpcLayer::endpoint`] finds |
//! | `ipc.attempt`, `ipc.attempt.final` | for clients: what [`Attempt`] says, else `unknown`, `true` |
//! | `ipc.client.app` | for servers: the caller, if [`IpcLayer::caller_header`] names a header |
//! | `http.status`, `http.method` | for HTTP |
//!
//! ```no_run
//! # fn layer(registry: &hesper_client::Registry, channel: tonic::transport::Channel) {
//! use hesper_client::ipc::IpcLayer;
//! use tower::Layer;
//!
//! let measured = IpcLayer::client(registry).tag("ipc.server.app", "search").layer(channel);
//! # let _ = measured;
//! # }
//! ```

mod body;
mod service;
mod status;

pub use body::MeasuredBody;
pub use service::{CallFuture, IpcService};
pub use status::Status;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use http::HeaderName;
use http::request::Parts;
use tower::Layer;

use crate::id::Id;
use crate::meter::PercentileTimer;
use crate::registry::Registry;

/// Values of a tag that come from requests are bounded; further ones become `--others--`. (Atlas's clients take 100 too.)
const MAX_VALUES: usize = 100;
const OTHERS: &str = "--others--";

/// Which attempt at a call this is. Whoever retries puts it into the extensions of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Counted from 0.
    pub number: u32,
    /// Whether no other attempt follows, however this one ends.
    pub is_final: bool,
}

/// Which side of a call is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

type EndpointOf = dyn for<'a> Fn(&'a Parts) -> Option<Cow<'a, str>> + Send + Sync;

/// Measures the calls that pass through a tower service.
#[derive(Clone)]
pub struct IpcLayer {
    side: Side,
    registry: Registry,
    tags: BTreeMap<String, String>,
    endpoint: Arc<EndpointOf>,
    caller_header: Option<HeaderName>,
}

impl IpcLayer {
    /// For what calls others: records `ipc.client.call`.
    pub fn client(registry: &Registry) -> Self {
        Self::new(Side::Client, registry)
    }

    /// For what is called: records `ipc.server.call`.
    pub fn server(registry: &Registry) -> Self {
        Self::new(Side::Server, registry)
    }

    fn new(side: Side, registry: &Registry) -> Self {
        Self {
            side,
            registry: registry.clone(),
            tags: BTreeMap::from([("owner".to_owned(), "tower".to_owned())]),
            endpoint: Arc::new(|_| None),
            caller_header: None,
        }
    }

    /// A tag for each call, such as `ipc.server.app` for a client of one service, or `id` for its name.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.insert(key.to_owned(), value.to_owned());
        self
    }

    /// How to find the endpoint of an HTTP call: the route, never the path with its numbers. Up to a hundred are told apart.
    #[must_use]
    pub fn endpoint(
        mut self,
        endpoint: impl for<'a> Fn(&'a Parts) -> Option<Cow<'a, str>> + Send + Sync + 'static,
    ) -> Self {
        self.endpoint = Arc::new(endpoint);
        self
    }

    /// The header in which callers give their name. Up to a hundred are told apart.
    #[must_use]
    pub fn caller_header(mut self, name: HeaderName) -> Self {
        self.caller_header = Some(name);
        self
    }
}

impl<S> Layer<S> for IpcLayer {
    type Service = IpcService<S>;

    fn layer(&self, inner: S) -> IpcService<S> {
        IpcService::new(inner, Arc::new(Calls::new(self.clone())))
    }
}

/// What a call is filed under. Numbers stand for strings, so that finding the timer of a call costs no allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct CallKey {
    status: Status,
    /// Absent for gRPC, and when there was no answer.
    http_status: Option<u16>,
    origin: Origin,
}

/// The part that is known when a call begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Origin {
    protocol: Protocol,
    method: Method,
    endpoint: Option<u32>,
    caller: Option<u32>,
    attempt: Option<Attempt>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Protocol {
    Grpc,
    Http1,
    Http2,
}

impl Protocol {
    fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http1 => "http_1",
            Self::Http2 => "http_2",
        }
    }
}

/// The methods of HTTP: anybody can make up others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
    Options,
    Other,
}

impl Method {
    fn of(method: &http::Method) -> Self {
        match method.as_str() {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "PATCH" => Self::Patch,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
            Self::Options => "OPTIONS",
            Self::Other => "OTHER",
        }
    }
}

/// The timers of one layered service.
struct Calls {
    layer: IpcLayer,
    endpoints: Values,
    callers: Values,
    timers: DashMap<CallKey, PercentileTimer>,
}

impl Calls {
    fn new(layer: IpcLayer) -> Self {
        Self {
            layer,
            endpoints: Values::default(),
            callers: Values::default(),
            timers: DashMap::new(),
        }
    }

    fn begin(self: &Arc<Self>, request: &Parts) -> Call {
        let is_grpc = request
            .headers
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let endpoint = match (self.layer.endpoint)(request) {
            None if is_grpc => Some(Cow::Borrowed(request.uri.path().trim_start_matches('/'))),
            endpoint => endpoint,
        };
        let caller = self.layer.caller_header.as_ref();
        let caller = caller.and_then(|name| request.headers.get(name)?.to_str().ok());
        let origin = Origin {
            protocol: match request.version {
                _ if is_grpc => Protocol::Grpc,
                http::Version::HTTP_2 => Protocol::Http2,
                _ => Protocol::Http1,
            },
            method: Method::of(&request.method),
            endpoint: endpoint.map(|endpoint| self.endpoints.number(&endpoint)),
            caller: caller.map(|caller| self.callers.number(caller)),
            attempt: request.extensions.get::<Attempt>().copied(),
        };
        Call {
            calls: self.clone(),
            started_nanos: self.layer.registry.clock().monotonic_nanos(),
            origin,
            status: None,
            http_status: None,
        }
    }

    fn record(&self, key: CallKey, duration: Duration) {
        if let Some(timer) = self.timers.get(&key) {
            timer.record(duration);
            return;
        }
        let timer = self.layer.registry.percentile_timer(self.id(&key));
        timer.record(duration);
        self.timers.insert(key, timer);
    }

    fn id(&self, key: &CallKey) -> Id {
        let mut tags: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
        let mut add = |key: &'static str, value: Cow<'static, str>| tags.push((key.into(), value));
        add("ipc.status", key.status.as_str().into());
        add("ipc.result", key.status.result().into());
        add("ipc.protocol", key.origin.protocol.as_str().into());
        if key.origin.protocol != Protocol::Grpc {
            add("http.method", key.origin.method.as_str().into());
            if let Some(status) = key.http_status {
                add("http.status", status.to_string().into());
            }
        }
        if let Some(number) = key.origin.endpoint {
            add("ipc.endpoint", self.endpoints.text(number).into());
        }
        if let Some(number) = key.origin.caller {
            add("ipc.client.app", self.callers.text(number).into());
        }
        if self.layer.side == Side::Client {
            let attempt = key.origin.attempt;
            let number = match attempt.map(|attempt| attempt.number) {
                None => "unknown",
                Some(0) => "initial",
                Some(1) => "second",
                Some(_) => "third_up",
            };
            let is_final = attempt.is_none_or(|attempt| attempt.is_final);
            add("ipc.attempt", number.into());
            add("ipc.attempt.final", is_final.to_string().into());
        }
        let own = self.layer.tags.iter();
        tags.extend(own.map(|(key, value)| (key.into(), value.into())));
        let name = match self.layer.side {
            Side::Client => "ipc.client.call",
            Side::Server => "ipc.server.call",
        };
        Id::new(name).with_tags(tags.iter().map(|(key, value)| (&**key, &**value)))
    }
}

/// Numbers for the values that come from requests.
#[derive(Default)]
struct Values {
    numbers: DashMap<Box<str>, u32>,
    next: AtomicU32,
}

impl Values {
    fn number(&self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        if self.numbers.len() >= MAX_VALUES {
            return u32::MAX;
        }
        let entry = self.numbers.entry(text.into());
        *entry.or_insert_with(|| self.next.fetch_add(1, Ordering::Relaxed))
    }

    fn text(&self, number: u32) -> String {
        let mut known = self.numbers.iter();
        let found = known.find(|entry| *entry.value() == number);
        found.map_or(OTHERS.to_owned(), |entry| entry.key().to_string())
    }
}

/// A call under way; it is recorded when this is dropped.
struct Call {
    calls: Arc<Calls>,
    started_nanos: u64,
    origin: Origin,
    /// `None` until it is known how the call went: if it never is, it was cancelled.
    status: Option<Status>,
    http_status: Option<u16>,
}

impl Call {
    fn is_grpc(&self) -> bool {
        self.origin.protocol == Protocol::Grpc
    }

    /// The status of a call whose transport failed.
    fn transport_failure(&self) -> Status {
        match self.calls.layer.side {
            Side::Client => Status::ConnectionError,
            Side::Server => Status::UnexpectedError,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let now = self.calls.layer.registry.clock().monotonic_nanos();
        let key = CallKey {
            status: self.status.unwrap_or(Status::Cancelled),
            http_status: self.http_status,
            origin: self.origin,
        };
        let took = Duration::from_nanos(now.saturating_sub(self.started_nanos));
        self.calls.record(key, took);
    }
}
