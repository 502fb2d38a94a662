//! The node's own metrics: published into itself through the client crate, like any service's, and shown at `/metrics`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hesper_client::{Error, Id, Publisher, Registry};
use hesper_model::Step;
use hesper_model::invariant;
use tokio::sync::watch;

use crate::clock;
use crate::node::NodeState;

/// The metrics of a node.
pub struct NodeMetrics {
    registry: Registry,
}

impl NodeMetrics {
    /// Metrics with the step of the store; `node` tells this node from others.
    ///
    /// # Errors
    /// When the client refuses the step.
    pub fn new(step: Step, node: &str) -> Result<Self, Error> {
        let registry = Registry::builder()
            .common_tag("nf.app", "hesper")
            .common_tag("nf.node", node)
            .step(Duration::from_millis(step.millis() as u64))
            .build()?;
        Ok(Self { registry })
    }

    /// The registry, for parts that record by themselves.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Counts and times an HTTP request.
    pub fn record_request(&self, endpoint: &'static str, status: u16, elapsed: Duration) {
        let status = format!("{}xx", status / 100);
        let tags = [("endpoint", endpoint), ("status", status.as_str())];
        let id = Id::from(("hesper.http.requests", tags));
        self.registry.percentile_timer(id).record(elapsed);
    }

    /// Publishes to the node's own gRPC address until told to stop.
    ///
    /// Only whole steps are published, neither the first part of one nor the last: half a step would show half of each rate.
    pub async fn publish(&self, grpc: SocketAddr, mut stopped: watch::Receiver<bool>) {
        let step = self.registry.step().as_millis() as i64;
        let rest = step - clock::now().millis().rem_euclid(step);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(rest as u64)) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let publisher = Publisher::builder(&self.registry)
            .endpoint(&format!("http://{}", reachable(grpc)))
            .name("hesper")
            .start();
        let publisher = match publisher {
            Ok(publisher) => publisher,
            Err(error) => {
                tracing::error!(%error, "the node's own metrics are not published");
                return;
            }
        };
        // An error means that the node is gone, which is a reason to stop too.
        let _ = stopped.wait_for(|stop| *stop).await;
        drop(publisher);
    }
}

/// The address to reach a listener by: one that listens everywhere is reached on loopback.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback = match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        address.set_ip(loopback);
    }
    address
}

/// Registers the meters that read the node's counters.
pub fn observe(node: &Arc<NodeState>) {
    let registry = node.metrics.registry();
    let count = |name: &'static str, id: &'static str, read: fn(&NodeState) -> u64| {
        let node = Arc::downgrade(node);
        let id = match id {
            "" => Id::from(name),
            id => Id::from((name, [("id", id)])),
        };
        registry.polled_monotonic_counter(id, move || {
            node.upgrade().map_or(f64::NAN, |node| read(&node) as f64)
        });
    };
    let gauge = |name: &'static str, id: &'static str, read: fn(&NodeState) -> u64| {
        let node = Arc::downgrade(node);
        let id = match id {
            "" => Id::from(name),
            id => Id::from((name, [("id", id)])),
        };
        registry.polled_gauge(id, move || {
            node.upgrade().map_or(f64::NAN, |node| read(&node) as f64)
        });
    };
    let datapoints = "hesper.ingest.datapoints";
    count(datapoints, "received", |n| load(&n.router.stats().received));
    count(datapoints, "accepted", |n| load(&n.router.stats().accepted));
    count("hesper.ingest.batches", "", |n| {
        load(&n.router.stats().batches)
    });
    count("hesper.ingest.unreadable", "", |n| {
        load(&n.router.stats().unreadable)
    });
    for (reason, _) in node.router.stats().refused() {
        let node = Arc::downgrade(node);
        let id = Id::from(("hesper.ingest.refused", [("error", reason.name())]));
        registry.polled_monotonic_counter(id, move || {
            node.upgrade().map_or(f64::NAN, |node| {
                let mut refused = node.router.stats().refused();
                let found = refused.find(|(r, _)| *r == reason);
                found.map_or(0.0, |(_, n)| n as f64)
            })
        });
    }
    let normalised = "hesper.store.datapoints";
    count(normalised, "taken", |n| load(&n.hot.stats().taken));
    count(normalised, "late", |n| load(&n.hot.stats().late));
    count(normalised, "duplicate", |n| load(&n.hot.stats().duplicate));
    count(normalised, "repeated", |n| load(&n.hot.stats().repeated));
    count(normalised, "loaded", |n| load(&n.hot.stats().loaded));
    count("hesper.store.seriesForgotten", "", |n| {
        load(&n.hot.stats().series_forgotten)
    });
    gauge("hesper.store.series", "", |n| n.hot.series_count() as u64);
    gauge("hesper.store.bytes", "open", |n| {
        n.hot.counted_memory().open_bytes as u64
    });
    gauge("hesper.store.bytes", "sealed", |n| {
        n.hot.counted_memory().sealed_bytes as u64
    });
    count("hesper.log.bytes", "", |n| load(&n.hot.log().stats().bytes));
    count("hesper.log.commits", "", |n| {
        load(&n.hot.log().stats().commits)
    });
    count("hesper.log.refused", "", |n| {
        load(&n.hot.log().stats().refused)
    });
    count("hesper.log.commitMillis", "", |n| {
        load(&n.hot.log().stats().commit_nanos) / 1_000_000
    });
    count("hesper.flush.count", "done", |n| {
        load(&n.maintenance.stats().flushes)
    });
    count("hesper.flush.count", "failed", |n| {
        load(&n.maintenance.stats().failures)
    });
    count("hesper.flush.millis", "", |n| {
        load(&n.maintenance.stats().millis)
    });
    count("hesper.ingest.noData", "", |n| {
        load(&n.router.stats().no_data)
    });
    gauge("hesper.ingest.cachedSeries", "", |n| {
        n.remote_write.cached().0 as u64
    });
    gauge("hesper.store.feeds", "", |n| n.hot.feed_count() as u64);
    gauge("hesper.store.memory", "held", |n| {
        n.hot.memory_bytes() as u64
    });
    gauge("hesper.store.memory", "limit", |n| {
        n.hot.options().max_memory_bytes as u64
    });
    count("hesper.store.memoryRefused", "", |n| {
        load(&n.hot.stats().memory_refused)
    });
    count("hesper.store.heldBack", "", |n| {
        load(&n.hot.stats().held_back)
    });
    let compaction = "hesper.compaction.count";
    count(compaction, "done", |n| load(&n.compaction.stats().done));
    count(compaction, "failed", |n| {
        load(&n.compaction.stats().failures)
    });
    count("hesper.compaction.bytesWritten", "", |n| {
        load(&n.compaction.stats().bytes_written)
    });
    count("hesper.compaction.millis", "", |n| {
        load(&n.compaction.stats().millis)
    });
    let left_out = "hesper.compaction.datapoints";
    count(left_out, "expired", |n| load(&n.compaction.stats().expired));
    count(left_out, "deleted", |n| load(&n.compaction.stats().deleted));
    gauge("hesper.history.files", "", |n| {
        n.history.manifest().files().len() as u64
    });
    gauge("hesper.history.bytes", "", |n| n.history.size().0);
    count("hesper.history.rowsRead", "", |n| {
        load(&n.history.stats().rows_read)
    });
    count("hesper.history.filesFailed", "", |n| {
        load(&n.history.stats().files_failed)
    });
    gauge("hesper.history.kept", "indexes", |n| {
        n.history.kept_bytes().0
    });
    gauge("hesper.history.kept", "pages", |n| n.history.kept_bytes().1);
    let queries = "hesper.query.count";
    count(queries, "answered", |n| load(&n.engine.stats().answered));
    count(queries, "failed", |n| load(&n.engine.stats().failed));
    count(queries, "refused", |n| load(&n.engine.stats().refused));
    count(queries, "partial", |n| load(&n.engine.stats().partial));
    gauge("hesper.query.now", "running", |n| n.engine.turns().0 as u64);
    gauge("hesper.query.now", "waiting", |n| n.engine.turns().1 as u64);
    gauge("hesper.query.memoryHeld", "", |n| n.engine.held_bytes());
    let alerts = "hesper.alerts.count";
    count(alerts, "evaluations", |n| {
        load(&n.alerts.stats().evaluations)
    });
    count(alerts, "errors", |n| load(&n.alerts.stats().errors));
    count(alerts, "transitions", |n| {
        load(&n.alerts.stats().transitions)
    });
    count(alerts, "skippedTimes", |n| {
        load(&n.alerts.stats().skipped_times)
    });
    count(alerts, "saveErrors", |n| {
        load(&n.alerts.stats().save_errors)
    });
    gauge("hesper.alerts.now", "firing", |n| {
        load(&n.alerts.stats().firing)
    });
    gauge("hesper.alerts.now", "pending", |n| {
        load(&n.alerts.stats().pending)
    });
    gauge("hesper.grpc.connections", "", |n| {
        size(&n.grpc_stats.connections)
    });
    count("hesper.grpc.heldBack", "", |n| {
        load(&n.grpc_stats.held_back)
    });
    for (i, (promise, _)) in invariant::broken_counts().into_iter().enumerate() {
        let id = Id::from(("hesper.promise.broken", [("id", promise)]));
        registry.polled_monotonic_counter(id, move || invariant::broken_counts()[i].1 as f64);
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn size(counter: &AtomicUsize) -> u64 {
    counter.load(Ordering::Relaxed) as u64
}
