//! A node: the store, history, engine, alerts and front ends of one process, started and stopped in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use hesper_alert::{AlertRunner, RuleSet};
use hesper_history::History;
use hesper_history::HistoryOptions;
use hesper_history::place::{check_creation, open_place};
use hesper_hot::HotStore;
use hesper_hot::directory::DiskDirectory;
use hesper_hot::store::Recovery;
use hesper_ingest::Router;
use hesper_ingest::proto::ingest_server::IngestServer;
use hesper_ingest::remote_write::RemoteWrite;
use hesper_query::sql::SqlEngine;
use hesper_query::{QueryEngine, Tiers};
use hesper_stack::Vocabulary;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::compaction::Compaction;
use crate::data_directory::DataDirectory;
use crate::flight_sql::FlightSql;
use crate::grpc::{GrpcStats, IngestService};
use crate::maintenance::Maintenance;
use crate::self_observation::{NodeMetrics, observe};
use crate::{Config, ServerError, clock, http};

/// Requests that publish over HTTP at the same time; more are refused.
const MAX_PUBLISHING: usize = 256;

/// Room for the indexes of history files.
const INDEX_CACHE_BYTES: u64 = 256 << 20;

/// Bounds the parts of history files that are kept in memory.
const PAGE_CACHE_BYTES: u64 = 256 << 20;

/// The largest message of a native connection.
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// The largest frame of a native connection: a batch is some of them, and each costs a look at the connection.
const MAX_FRAME_BYTES: u32 = 256 << 10;

/// How long the front ends may take to end their connections.
const DRAIN: Duration = Duration::from_secs(5);

/// What the front ends work with.
pub struct NodeState {
    /// The configuration.
    pub config: Config,
    /// The hot tier.
    pub hot: Arc<HotStore>,
    /// History.
    pub history: Arc<History>,
    /// The way in.
    pub router: Arc<Router>,
    /// The way in of Prometheus.
    pub remote_write: RemoteWrite,
    /// The way out.
    pub engine: Arc<QueryEngine>,
    /// The way out in SQL.
    pub sql: Arc<SqlEngine>,
    /// The words of the language. They last as long as the process: language servers of connections hold on to them.
    pub vocabulary: &'static Vocabulary,
    /// The alert rules and how their alerts stand.
    pub alerts: Arc<AlertRunner>,
    /// Takes windows to history.
    pub maintenance: Maintenance,
    /// Keeps history tidy.
    pub compaction: Compaction,
    /// The node's own metrics.
    pub metrics: NodeMetrics,
    /// Counters of the gRPC front end.
    pub grpc_stats: Arc<GrpcStats>,
    /// A turn for each request that publishes over HTTP.
    pub publish_permits: Semaphore,
    /// What was found when the store was opened.
    pub recovery: Recovery,
}

/// A running node.
pub struct Node {
    state: Arc<NodeState>,
    http: SocketAddr,
    grpc: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// Held until the end.
    _directory: DataDirectory,
}

impl Node {
    /// Starts a node: opens its data, then its front ends. When it returns, the node answers.
    ///
    /// # Errors
    /// When the data cannot be opened or an address cannot be listened on; the message says what to do.
    pub async fn start(config: Config) -> Result<Self, ServerError> {
        let step = config.store.step;
        let directory = DataDirectory::open(&config.data_dir, step, config.store.shards)?;
        let history = Arc::new(open_history(&directory, &config).await?);
        let (hot, recovery) = open_store(&directory, &config, &history).await?;
        let hot = Arc::new(hot);
        let tiers = Arc::new(Tiers {
            hot: hot.clone(),
            history: history.clone(),
        });
        let partitions = std::thread::available_parallelism().map_or(1, |n| n.get());
        let engine = Arc::new(QueryEngine::new(tiers, config.query.clone(), partitions));
        let vocabulary = config.vocabulary()?;
        let alerts = open_alerts(&directory, &config, engine.clone(), vocabulary)?;
        let now = Arc::new(clock::now);
        let sql = SqlEngine::new(engine.clone(), vocabulary, now, config.sql_memory_bytes);
        let sql = Arc::new(sql.map_err(|e| ServerError::Config(e.to_string()))?);
        let listeners = (
            listen(config.http, "--http").await?,
            listen(config.grpc, "--grpc").await?,
        );
        let local = |l: &TcpListener| l.local_addr().expect("a listener has an address");
        let (http, grpc) = (local(&listeners.0), local(&listeners.1));
        let (validation, ingest) = (config.validation.clone(), &config.ingest);
        let router = Router::with_settings(hot.clone(), validation, ingest);
        let router = Arc::new(router.map_err(|e| ServerError::Config(format!("ingest.{e}")))?);
        let state = Arc::new(NodeState {
            vocabulary,
            remote_write: RemoteWrite::new(router.clone(), config.ingest.remote_write.clone()),
            router,
            engine,
            sql,
            alerts: Arc::new(alerts),
            maintenance: Maintenance::new(hot.clone(), history.clone()),
            compaction: Compaction::new(history.clone(), config.retention.clone()),
            metrics: NodeMetrics::new(step, &http.to_string().replace(':', "-"))?,
            grpc_stats: Arc::default(),
            publish_permits: Semaphore::new(MAX_PUBLISHING),
            recovery,
            config,
            hot,
            history,
        });
        observe(&state);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_http(listeners.0, state.clone(), stopped.clone()));
        tasks.spawn(serve_grpc(listeners.1, state.clone(), stopped.clone()));
        if state.config.self_metrics {
            let (published, until) = (state.clone(), stopped.clone());
            tasks.spawn(async move { published.metrics.publish(grpc, until).await });
        }
        let (alerts, mut until) = (state.alerts.clone(), stopped.clone());
        tasks.spawn(async move {
            let stopped = async { _ = until.wait_for(|stop| *stop).await };
            alerts.run(stopped).await;
        });
        let (compacted, until) = (state.clone(), stopped.clone());
        // Merging keeps a processor busy for seconds: it gets a thread of its own.
        let runtime = tokio::runtime::Handle::current();
        tasks.spawn_blocking(move || runtime.block_on(compacted.compaction.run(until)));
        let maintained = state.clone();
        tasks.spawn(async move { maintained.maintenance.run(stopped).await });
        Ok(Self {
            state,
            http,
            grpc,
            stop,
            tasks,
            _directory: directory,
        })
    }

    /// What the node works with.
    pub fn state(&self) -> &Arc<NodeState> {
        &self.state
    }

    /// Where it listens for HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it listens for gRPC.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Stops the node: ends the front ends, takes windows that are over to history, and writes a
    /// checkpoint, so that the next start is quick.
    ///
    /// # Errors
    /// When the last flush or the checkpoint fails. Nothing that was acknowledged is lost: the log has it.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, ended).await.is_err() {
            tracing::warn!("connections were still open and are cut off");
            self.tasks.shutdown().await;
        }
        let now = clock::now();
        self.state.maintenance.once(now, true).await?;
        self.state.maintenance.let_go(now).await
    }
}

async fn open_history(directory: &DataDirectory, config: &Config) -> Result<History, ServerError> {
    let in_directory = directory.history().display().to_string();
    let objects = open_place(config.history.as_deref().unwrap_or(&in_directory), &[])?;
    // Tells the commits of this process from those of any other.
    let writer = format!("{}-{}", std::process::id(), clock::now());
    let options = HistoryOptions {
        cache_bytes: INDEX_CACHE_BYTES,
        page_bytes: PAGE_CACHE_BYTES,
        ..HistoryOptions::new(config.store.step, writer.clone())
    };
    let history = History::open_with(objects, options).await?;
    if config.history.is_some() {
        check_creation(history.objects(), &writer).await?;
    }
    Ok(history)
}

async fn open_store(
    directory: &DataDirectory,
    config: &Config,
    history: &History,
) -> Result<(HotStore, Recovery), ServerError> {
    let path = directory.log();
    let options = config.store.clone();
    let in_history = history.manifest().in_history();
    let opened = tokio::task::spawn_blocking(move || {
        let disk = DiskDirectory::open(&path).map_err(|source| ServerError::Io { path, source })?;
        Ok(HotStore::open(Arc::new(disk), options, in_history, true)?)
    });
    opened.await.expect("opening a store does not panic")
}

fn open_alerts(
    directory: &DataDirectory,
    config: &Config,
    engine: Arc<QueryEngine>,
    vocabulary: &Vocabulary,
) -> Result<AlertRunner, ServerError> {
    let rules = match &config.rules {
        Some(path) => RuleSet::load(path, vocabulary),
        None => Ok(RuleSet::default()),
    };
    let open = |rules| {
        let state = Some(directory.alerts());
        AlertRunner::new(engine, rules, state, Arc::new(clock::now))
    };
    rules
        .and_then(open)
        .map_err(|e| ServerError::Alerts(e.to_string()))
}

async fn listen(address: SocketAddr, flag: &'static str) -> Result<TcpListener, ServerError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| ServerError::Listen {
        address,
        flag,
        source,
    })
}

async fn serve_http(
    listener: TcpListener,
    state: Arc<NodeState>,
    mut stopped: watch::Receiver<bool>,
) {
    let service = http::routes(state).into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        // An error means that the node is gone, which is a reason to stop too.
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    if let Err(error) = serving.await {
        tracing::error!(%error, "the HTTP front end ended");
    }
}

async fn serve_grpc(
    listener: TcpListener,
    state: Arc<NodeState>,
    mut stopped: watch::Receiver<bool>,
) {
    let service = IngestService::new(
        state.router.clone(),
        state.history.clone(),
        state.grpc_stats.clone(),
        stopped.clone(),
    );
    let service = IngestServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let flight_sql =
        FlightSql::new(state.sql.clone()).expect("what is said about the server is plain");
    let flight_sql = FlightServiceServer::new(flight_sql);
    let incoming = TcpListenerStream::new(listener);
    let serving = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .max_frame_size(MAX_FRAME_BYTES)
        .add_service(service)
        .add_service(flight_sql)
        .serve_with_incoming_shutdown(incoming, async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        });
    if let Err(error) = serving.await {
        tracing::error!(%error, "the gRPC front end ended");
    }
}
