//! Configuration: settings as given, by flag, environment and file, and the configuration that follows from them.
//!
//! A flag goes before the environment (`HESPER_*`), that before the file, that before the default.

mod byte_size;
mod retention;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::CommandFactory;
use hesper_history::Policy;
use hesper_hot::StoreOptions;
use hesper_hot::log::writer::LogOptions;
use hesper_ingest::settings::IngestSettings;
use hesper_model::Step;
use hesper_model::validation::Limits;
use hesper_query::QueryLimits;
use hesper_stack::CustomWords;
use hesper_stack::Vocabulary;
use hesper_stack::span::Span;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ServerError;

pub use retention::{RetentionRule, RetentionSettings};

/// Settings as given. Each is a flag, an environment variable and a key of the file; what is absent has its default.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Where to listen for HTTP [default: 127.0.0.1:7101]
    #[arg(long, env = "HESPER_HTTP", value_name = "ADDRESS")]
    pub http: Option<String>,
    /// Where to listen for gRPC [default: 127.0.0.1:7102]
    #[arg(long, env = "HESPER_GRPC", value_name = "ADDRESS")]
    pub grpc: Option<String>,
    /// Where the data lie [default: ./hesper-data]
    #[arg(long, env = "HESPER_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The distance between datapoints, 1s to 60s; fixed for the life of a data directory [default: 60s]
    #[arg(long, env = "HESPER_STEP", value_name = "DURATION")]
    pub step: Option<String>,
    /// How old, or how far in the future, a published datapoint may be [default: 2m]
    #[arg(long, env = "HESPER_MAX_AGE", value_name = "DURATION")]
    pub max_age: Option<String>,
    /// How long data stay in memory [default: 6h]
    #[arg(long, env = "HESPER_HOT_WINDOW", value_name = "DURATION")]
    pub hot_window: Option<String>,
    /// Number of shards; fixed for the life of a data directory [default: 64]
    #[arg(long, env = "HESPER_SHARDS", value_name = "N")]
    pub shards: Option<u32>,
    /// More series than this are refused [default: 10000000]
    #[arg(long, env = "HESPER_MAX_SERIES", value_name = "N")]
    pub max_series: Option<usize>,
    /// The most that series, blocks and buffers may hold in memory, such as 8GiB; at the limit old windows go, then new series are refused, then
    /// data [default: half of the machine's memory]
    #[arg(long, env = "HESPER_MAX_MEMORY", value_name = "SIZE")]
    pub max_memory: Option<String>,
    /// Where history lies: a directory, or the URL of an object store such as s3://bucket/folder [default: history in the data directory]
    #[arg(long, env = "HESPER_HISTORY", value_name = "PLACE")]
    pub history: Option<String>,
    /// The least time between two syncs of the log; what is published is acknowledged after the next [default: 20ms]
    #[arg(long, env = "HESPER_COMMIT_INTERVAL", value_name = "DURATION")]
    pub commit_interval: Option<String>,
    /// The largest body of an HTTP request, unpacked, in bytes [default: 67108864]
    #[arg(long, env = "HESPER_MAX_BODY_BYTES", value_name = "N")]
    pub max_body_bytes: Option<usize>,
    /// The most lines of a grouped data expression [default: 1024]
    #[arg(long, env = "HESPER_MAX_LINES", value_name = "N")]
    pub max_lines: Option<usize>,
    /// The most datapoints of a grouped data expression [default: 500000]
    #[arg(long, env = "HESPER_MAX_DATAPOINTS", value_name = "N")]
    pub max_datapoints: Option<usize>,
    /// A query that narrows nothing down may touch this many series [default: 1000000]
    #[arg(long, env = "HESPER_MAX_BROAD_SERIES", value_name = "N")]
    pub max_broad_series: Option<u64>,
    /// Series that a query may match in memory [default: 10000000]
    #[arg(long, env = "HESPER_MAX_QUERY_SERIES", value_name = "N")]
    pub max_query_series: Option<u64>,
    /// Blocks, of sixty datapoints, that a query may fold [default: 500000000]
    #[arg(long, env = "HESPER_MAX_QUERY_BLOCKS", value_name = "N")]
    pub max_query_blocks: Option<u64>,
    /// How much of history a query may read, such as 64GiB [default: 64GiB]
    #[arg(long, env = "HESPER_MAX_QUERY_READ", value_name = "SIZE")]
    pub max_query_read: Option<String>,
    /// The most that a query may hold in memory [default: half of what all may]
    #[arg(long, env = "HESPER_MAX_QUERY_MEMORY", value_name = "SIZE")]
    pub max_query_memory: Option<String>,
    /// The most that all queries together may hold in memory; beyond it they are answered with 503 [default: an eighth of the machine's memory]
    #[arg(long, env = "HESPER_MAX_QUERIES_MEMORY", value_name = "SIZE")]
    pub max_queries_memory: Option<String>,
    /// Queries that run at the same time [default: 8]
    #[arg(long, env = "HESPER_MAX_RUNNING", value_name = "N")]
    pub max_running: Option<usize>,
    /// Queries of one caller that run at the same time [default: half of the processors]
    #[arg(long, env = "HESPER_MAX_RUNNING_OF_CALLER", value_name = "N")]
    pub max_running_of_caller: Option<usize>,
    /// Queries that wait for their turn; more are answered with 429 [default: 1024]
    #[arg(long, env = "HESPER_MAX_WAITING", value_name = "N")]
    pub max_waiting: Option<usize>,
    /// The most that all statements in SQL together may hold in memory, one alone half of it [default: 512MiB]
    #[arg(long, env = "HESPER_SQL_MEMORY", value_name = "SIZE")]
    pub sql_memory: Option<String>,
    /// The longest that a query may take [default: 60s]
    #[arg(long, env = "HESPER_QUERY_TIMEOUT", value_name = "DURATION")]
    pub query_timeout: Option<String>,
    /// A query that takes longer is logged and remembered [default: 1s]
    #[arg(long, env = "HESPER_SLOW_QUERY", value_name = "DURATION")]
    pub slow_query: Option<String>,
    /// Publish the node's own metrics into itself; /metrics has them anyway [default: true]
    #[arg(long, env = "HESPER_SELF_METRICS", value_name = "BOOL")]
    pub self_metrics: Option<bool>,
    /// A directory with alert rules
    #[arg(long, env = "HESPER_RULES", value_name = "DIR")]
    pub rules: Option<PathBuf>,
    /// A file, in TOML, with words and averages of your own
    #[arg(long, env = "HESPER_WORDS", value_name = "FILE")]
    pub words: Option<PathBuf>,
    /// Limits on series, roll-ups and remote write: the section `[ingest]` of the file.
    #[arg(skip)]
    pub ingest: Option<IngestSettings>,
    /// Roll-ups of history, and how long it is kept: the section `[retention]` of the file.
    #[arg(skip)]
    pub retention: Option<RetentionSettings>,
}

/// The sections of the file, which are no flags.
const SECTIONS: [&str; 2] = ["ingest", "retention"];

impl Settings {
    /// Reads a file of settings.
    ///
    /// # Errors
    /// When it cannot be read, or has a key that is not known; the message names the nearest known one.
    pub fn from_file(path: &Path) -> Result<Self, ServerError> {
        let text = std::fs::read_to_string(path).map_err(|source| ServerError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::from_toml(&text).map_err(|e| ServerError::Config(format!("{}: {e}", path.display())))
    }

    fn from_toml(text: &str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
        let known = known_keys();
        for key in table.keys() {
            if !known.contains(key) {
                let nearest = known
                    .iter()
                    .max_by(|a, b| {
                        strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key))
                    })
                    .expect("there are settings");
                return Err(format!("unknown key '{key}', did you mean '{nearest}'?"));
            }
        }
        table.try_into().map_err(|e: toml::de::Error| e.to_string())
    }

    /// These settings, and those of `other` where there is none here.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            http: self.http.or(other.http),
            grpc: self.grpc.or(other.grpc),
            data_dir: self.data_dir.or(other.data_dir),
            step: self.step.or(other.step),
            max_age: self.max_age.or(other.max_age),
            hot_window: self.hot_window.or(other.hot_window),
            shards: self.shards.or(other.shards),
            max_series: self.max_series.or(other.max_series),
            max_memory: self.max_memory.or(other.max_memory),
            history: self.history.or(other.history),
            commit_interval: self.commit_interval.or(other.commit_interval),
            max_body_bytes: self.max_body_bytes.or(other.max_body_bytes),
            max_lines: self.max_lines.or(other.max_lines),
            max_datapoints: self.max_datapoints.or(other.max_datapoints),
            max_broad_series: self.max_broad_series.or(other.max_broad_series),
            max_query_series: self.max_query_series.or(other.max_query_series),
            max_query_blocks: self.max_query_blocks.or(other.max_query_blocks),
            max_query_read: self.max_query_read.or(other.max_query_read),
            max_query_memory: self.max_query_memory.or(other.max_query_memory),
            max_queries_memory: self.max_queries_memory.or(other.max_queries_memory),
            max_running: self.max_running.or(other.max_running),
            max_running_of_caller: self.max_running_of_caller.or(other.max_running_of_caller),
            max_waiting: self.max_waiting.or(other.max_waiting),
            sql_memory: self.sql_memory.or(other.sql_memory),
            query_timeout: self.query_timeout.or(other.query_timeout),
            slow_query: self.slow_query.or(other.slow_query),
            self_metrics: self.self_metrics.or(other.self_metrics),
            rules: self.rules.or(other.rules),
            words: self.words.or(other.words),
            ingest: self.ingest.or(other.ingest),
            retention: self.retention.or(other.retention),
        }
    }
}

/// The keys of the file: the names of the flags, and its sections.
fn known_keys() -> Vec<String> {
    #[derive(clap::Parser)]
    struct Flags {
        #[command(flatten)]
        _settings: Settings,
    }
    let command = Flags::command();
    let flags = command.get_arguments().filter_map(|a| a.get_long());
    let flags = flags.filter(|f| *f != "help");
    flags.chain(SECTIONS).map(str::to_owned).collect()
}

/// The configuration of a node.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen for HTTP.
    pub http: SocketAddr,
    /// Where to listen for gRPC.
    pub grpc: SocketAddr,
    /// Where the data lie.
    pub data_dir: PathBuf,
    /// The hot tier.
    pub store: StoreOptions,
    /// The rules of published datapoints.
    pub validation: Limits,
    /// The limits of queries.
    pub query: QueryLimits,
    /// What all statements in SQL together may hold in memory.
    pub sql_memory_bytes: usize,
    /// The largest body of an HTTP request, unpacked.
    pub max_body_bytes: usize,
    /// Whether the node's own metrics are published into itself.
    pub self_metrics: bool,
    /// A directory with alert rules.
    pub rules: Option<PathBuf>,
    /// A file with words of the language.
    pub words: Option<PathBuf>,
    /// Where history lies, if not in the data directory.
    pub history: Option<String>,
    /// Limits on series, roll-ups and remote write.
    pub ingest: IngestSettings,
    /// Roll-ups of history, and how long it is kept.
    pub retention: Policy,
}

impl Config {
    /// The configuration that settings lead to.
    ///
    /// # Errors
    /// When one makes no sense; the message names it.
    pub fn resolve(settings: Settings) -> Result<Self, ServerError> {
        let step = duration("step", settings.step.as_deref(), "60s")?;
        let step = Step::from_millis(step)
            .filter(|s| (1_000..=60_000).contains(&s.millis()))
            .ok_or_else(|| wrong("step", "from 1s to 60s"))?;
        let mut store = StoreOptions::new(step);
        store.shards = settings.shards.unwrap_or(64);
        if !(1..=4096).contains(&store.shards) {
            return Err(wrong("shards", "from 1 to 4096"));
        }
        store.hot_window_millis = duration("hot-window", settings.hot_window.as_deref(), "6h")?;
        store.max_series = settings.max_series.unwrap_or(store.max_series);
        store.max_memory_bytes = size("max-memory", &settings.max_memory, machine_memory() / 2)?;
        let sql_memory_bytes = size("sql-memory", &settings.sql_memory, 512 << 20)?;
        let ingest = settings.ingest.unwrap_or_default();
        if let Some(limit) = ingest.series_limits.max_series {
            // Series that overflow may pass the limit by a tenth.
            let with_overflow = usize::try_from(limit + limit / 10).unwrap_or(usize::MAX);
            store.max_series = store.max_series.min(with_overflow);
        }
        let retention = settings.retention.unwrap_or_default();
        let retention = retention.policy().map_err(ServerError::Config)?;
        let interval = duration(
            "commit-interval",
            settings.commit_interval.as_deref(),
            "20ms",
        )?;
        store.log = LogOptions {
            commit_interval: Duration::from_millis(interval as u64),
            ..LogOptions::default()
        };
        let validation = Limits {
            max_age_millis: duration("max-age", settings.max_age.as_deref(), "2m")?,
            ..Limits::default()
        };
        let defaults = QueryLimits::default();
        let timeout = duration("query-timeout", settings.query_timeout.as_deref(), "60s")?;
        let slow_after = duration("slow-query", settings.slow_query.as_deref(), "1s")?;
        let of_all = machine_memory() / 8;
        let of_all = size("max-queries-memory", &settings.max_queries_memory, of_all)?;
        let of_one = size("max-query-memory", &settings.max_query_memory, of_all / 2)?;
        let read = usize::try_from(defaults.max_read_bytes).unwrap_or(usize::MAX);
        let read = size("max-query-read", &settings.max_query_read, read)?;
        let query = QueryLimits {
            max_series: settings.max_query_series.unwrap_or(defaults.max_series),
            max_blocks: settings.max_query_blocks.unwrap_or(defaults.max_blocks),
            max_read_bytes: read as u64,
            max_memory_bytes: of_one as u64,
            max_memory_of_all_bytes: of_all as u64,
            max_lines: settings.max_lines.unwrap_or(defaults.max_lines),
            max_datapoints: settings.max_datapoints.unwrap_or(defaults.max_datapoints),
            max_broad_series: settings
                .max_broad_series
                .unwrap_or(defaults.max_broad_series),
            max_running: settings.max_running.unwrap_or(defaults.max_running),
            max_running_of_caller: settings
                .max_running_of_caller
                .unwrap_or(defaults.max_running_of_caller),
            max_waiting: settings.max_waiting.unwrap_or(defaults.max_waiting),
            timeout: Duration::from_millis(timeout as u64),
            slow_after: Duration::from_millis(slow_after as u64),
        };
        for (name, limit) in [
            ("max-running", query.max_running),
            ("max-running-of-caller", query.max_running_of_caller),
        ] {
            if limit == 0 {
                return Err(wrong(name, "at least 1"));
            }
        }
        Ok(Self {
            http: address("http", settings.http.as_deref(), "127.0.0.1:7101")?,
            grpc: address("grpc", settings.grpc.as_deref(), "127.0.0.1:7102")?,
            data_dir: settings.data_dir.unwrap_or_else(|| "./hesper-data".into()),
            store,
            validation,
            query,
            sql_memory_bytes,
            max_body_bytes: settings.max_body_bytes.unwrap_or(64 << 20),
            self_metrics: settings.self_metrics.unwrap_or(true),
            rules: settings.rules,
            words: settings.words,
            history: settings.history,
            ingest,
            retention,
        })
    }
}

/// A size in bytes.
fn size(name: &str, given: &Option<String>, default: usize) -> Result<usize, ServerError> {
    let Some(text) = given else {
        return Ok(default);
    };
    byte_size::parse(text).ok_or_else(|| wrong(name, &format!("a size such as 8GiB, not '{text}'")))
}

/// The memory that there is for this process, in bytes: that of the machine, or of its control group when that is less.
fn machine_memory() -> usize {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let group = system.cgroup_limits().map(|limits| limits.total_memory);
    let bytes = group.map_or(system.total_memory(), |g| g.min(system.total_memory()));
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Config {
    /// The words of the language: those of Hesper, and those that the configuration adds.
    ///
    /// # Errors
    /// When the file cannot be read, or a word cannot be defined.
    pub fn vocabulary(&self) -> Result<&'static Vocabulary, ServerError> {
        let Some(path) = &self.words else {
            return Ok(Vocabulary::full());
        };
        let wrong = |what: String| ServerError::Config(format!("{}: {what}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        let words: CustomWords = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let vocabulary = Vocabulary::with_custom_words(&words);
        let vocabulary = vocabulary.map_err(|e| wrong(e.to_string()))?;
        Ok(Box::leak(Box::new(vocabulary)))
    }

    /// The settings in force, by the names of the flags; durations in milliseconds end in `-ms`.
    pub fn effective(&self) -> Map<String, Value> {
        let millis = |d: Duration| Value::from(d.as_millis() as u64);
        let path = |p: &Path| Value::from(p.display().to_string());
        let settings = [
            ("http", self.http.to_string().into()),
            ("grpc", self.grpc.to_string().into()),
            ("data-dir", path(&self.data_dir)),
            ("step-ms", self.store.step.millis().into()),
            ("shards", self.store.shards.into()),
            ("max-age-ms", self.validation.max_age_millis.into()),
            ("hot-window-ms", self.store.hot_window_millis.into()),
            ("commit-interval-ms", millis(self.store.log.commit_interval)),
            ("max-series", self.store.max_series.into()),
            ("max-memory", self.store.max_memory_bytes.into()),
            (
                "history",
                self.history.as_deref().map_or(Value::Null, Value::from),
            ),
            (
                "ingest",
                serde_json::to_value(&self.ingest).expect("settings are plain"),
            ),
            ("retention", retention::effective(&self.retention)),
            ("max-body-bytes", self.max_body_bytes.into()),
            ("max-lines", self.query.max_lines.into()),
            ("max-datapoints", self.query.max_datapoints.into()),
            ("max-broad-series", self.query.max_broad_series.into()),
            ("max-query-series", self.query.max_series.into()),
            ("max-query-blocks", self.query.max_blocks.into()),
            ("max-query-read", self.query.max_read_bytes.into()),
            ("max-query-memory", self.query.max_memory_bytes.into()),
            (
                "max-queries-memory",
                self.query.max_memory_of_all_bytes.into(),
            ),
            ("max-running", self.query.max_running.into()),
            (
                "max-running-of-caller",
                self.query.max_running_of_caller.into(),
            ),
            ("max-waiting", self.query.max_waiting.into()),
            ("sql-memory", self.sql_memory_bytes.into()),
            ("query-timeout-ms", millis(self.query.timeout)),
            ("slow-query-ms", millis(self.query.slow_after)),
            ("self-metrics", self.self_metrics.into()),
            ("rules", self.rules.as_deref().map_or(Value::Null, path)),
            ("words", self.words.as_deref().map_or(Value::Null, path)),
        ];
        settings
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }
}

fn wrong(name: &str, allowed: &str) -> ServerError {
    ServerError::Config(format!("--{name} must be {allowed}"))
}

fn duration(name: &str, given: Option<&str>, default: &str) -> Result<i64, ServerError> {
    let text = given.unwrap_or(default);
    Span::parse(text)
        .and_then(Span::millis)
        .ok()
        .filter(|millis| *millis > 0)
        .ok_or_else(|| wrong(name, &format!("a duration such as {default}, not '{text}'")))
}

fn address(name: &str, given: Option<&str>, default: &str) -> Result<SocketAddr, ServerError> {
    let text = given.unwrap_or(default);
    text.parse()
        .map_err(|_| wrong(name, &format!("an address such as {default}, not '{text}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_help() {
        let config = Config::resolve(Settings::default()).expect("defaults");
        assert_eq!(config.http.to_string(), "127.0.0.1:7101");
        assert_eq!(config.store.step.millis(), 60_000);
        assert_eq!(config.validation.max_age_millis, 120_000);
        assert_eq!(config.store.hot_window_millis, 6 * 3_600_000);
        assert_eq!(config.store.log.commit_interval, Duration::from_millis(20));
    }

    #[test]
    fn the_shipped_file_shows_the_defaults() {
        let file = Settings::from_toml(include_str!("../../../deploy/hesper.toml")).expect("valid");
        let shown = Config::resolve(Settings {
            data_dir: None,
            ..file
        });
        let defaults = Config::resolve(Settings::default());
        assert_eq!(format!("{shown:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn every_setting_can_be_looked_up() {
        let config = Config::resolve(Settings::default()).expect("defaults");
        let effective = config.effective();
        for key in known_keys() {
            let with_unit = format!("{key}-ms");
            assert!(
                effective.contains_key(&key) || effective.contains_key(&with_unit),
                "{key}"
            );
        }
    }

    #[test]
    fn what_is_given_first_counts() {
        let flags = Settings {
            step: Some("5s".to_owned()),
            ..Settings::default()
        };
        let file =
            Settings::from_toml("step = \"10s\"\nmax-age = \"1h\"\nshards = 8").expect("valid");
        let config = Config::resolve(flags.or(file)).expect("valid");
        assert_eq!(config.store.step.millis(), 5_000);
        assert_eq!(config.validation.max_age_millis, 3_600_000);
        assert_eq!(config.store.shards, 8);
    }

    #[test]
    fn sections_of_the_file_are_read() {
        let text = "[ingest.series-limits]\nmax-series = 100\n[[ingest.roll-ups]]\nquery = \"node,:has\"\ndrop = [\"node\"]\n\
                    [retention]\nkeep-raw = \"2d\"";
        let settings = Settings::from_toml(text).expect("valid");
        let config = Config::resolve(settings).expect("valid");
        assert_eq!(config.ingest.roll_ups[0].drop, ["node"]);
        assert_eq!(config.store.max_series, 110);
        assert_eq!(config.retention.keep.raw_millis, Some(2 * 86_400_000));
        let effective = config.effective();
        assert_eq!(effective["retention"]["keep-raw-ms"], 172_800_000);
        assert_eq!(effective["ingest"]["series-limits"]["max-series"], 100);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = Settings::from_toml("hot-windwo = \"1h\"").expect_err("unknown");
        assert_eq!(
            error,
            "unknown key 'hot-windwo', did you mean 'hot-window'?"
        );
        let error = Settings::from_toml("max_age = \"1h\"").expect_err("unknown");
        assert!(error.contains("'max-age'"), "{error}");
        assert!(Settings::from_toml("shards = \"many\"").is_err());
        assert!(Settings::from_toml("= 1").is_err());
    }

    #[test]
    fn settings_without_sense_are_refused_by_name() {
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            let resolved = Config::resolve(settings);
            resolved.expect_err("refused").to_string()
        };
        assert!(refused(|s| s.step = Some("2m".to_owned())).contains("--step"));
        assert!(refused(|s| s.max_age = Some("soon".to_owned())).contains("'soon'"));
        assert!(refused(|s| s.http = Some("here".to_owned())).contains("--http"));
        assert!(refused(|s| s.shards = Some(0)).contains("--shards"));
        assert!(refused(|s| s.max_memory = Some("8GB".to_owned())).contains("'8GB'"));
    }
}
