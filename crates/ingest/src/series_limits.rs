//! Limits on series: how many there may be in all, of a name and of an app, and how many new ones may come in a second.
//!
//! A series that the store knows is never held up. A new one is counted before it is taken in, so that a limit holds however many senders come
//! at once. What comes at a limit is refused with a message that names the tag which takes the most different values, or, where a rule says so,
//! goes into a series in which that tag has the value `--auto-rollup--`, where it is combined as [roll-ups](crate::roll_up) are. Such series may
//! pass the limit by a tenth, so that there is room for them when it is reached. A series that went there stays there while its connection, or
//! the cache of remote write, remembers it.

mod explosion;
mod token_bucket;

use std::sync::Arc;

use hesper_hot::{HotStore, SeriesBound};
use hesper_model::tags::NAME;
use hesper_model::{TagQuery, Tags, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use self::explosion::{Explosions, Over};
use self::token_bucket::TokenBucket;
use crate::cardinality::{APP, Cardinality, Census, Scope};
use crate::settings::InvalidSetting;
use crate::stats::Reason;

/// The value of a tag that was rolled up because a limit was reached; Spectator's limiters use the same.
pub const AUTO_ROLLUP: &str = "--auto-rollup--";

/// Seconds' worth of new series that may come at once, unless another number is set.
const BURST_SECONDS: u64 = 10;

/// The limits. Without a number there is no limit but that of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SeriesLimitSettings {
    /// Series in all; those that overflow may use what the store allows beyond it.
    pub max_series: Option<u64>,
    /// Series of one name.
    pub max_series_per_name: Option<u64>,
    /// Series of one app, the value of `nf.app`.
    pub max_series_per_app: Option<u64>,
    /// New series in a second, on the long run.
    pub max_new_series_per_second: Option<u64>,
    /// New series at once; what comes in ten seconds when it is not set.
    pub new_series_burst: Option<u64>,
    /// What becomes of series at a limit; without a rule that matches they are refused.
    pub overflow: Vec<OverflowRule>,
}

/// What becomes of series at a limit: a tag gets the value `--auto-rollup--`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OverflowRule {
    /// Which series; a query of the stack language such as `name,http.requests,:eq`.
    pub query: String,
    /// The tag. A rule matches only series that have it.
    pub tag: String,
}

/// The limits at work.
pub(crate) struct SeriesLimits {
    settings: SeriesLimitSettings,
    /// The most series of all, and of all together with those that overflow.
    most: u64,
    overflow: Vec<(TagQuery, Arc<str>)>,
    cardinality: Arc<Cardinality>,
    rate: Option<Mutex<TokenBucket>>,
    explosions: Mutex<Explosions>,
}

/// What a series is that asks to be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newcomer {
    /// Published.
    Published,
    /// What other series at a limit go into.
    Overflow,
    /// Of declared back-fill, which is not held up by the rate.
    Loaded,
}

/// Leave to take a series in. It counts as pending until this is dropped.
pub(crate) struct Admission<'a> {
    cardinality: &'a Cardinality,
    tags: &'a Tags,
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        self.cardinality.census().release(self.tags);
    }
}

/// Why a series is not taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl SeriesLimits {
    pub(crate) fn new(
        settings: SeriesLimitSettings,
        store: &HotStore,
        cardinality: Arc<Cardinality>,
    ) -> Result<Self, InvalidSetting> {
        let most = store.options().max_series as u64;
        let compile = |rule: &OverflowRule| match rule.tag.as_str() {
            NAME | hesper_model::data_source::DSTYPE => Err(InvalidSetting::new(
                "series-limits.overflow.tag",
                format!("'{}' tells what a series is; name another tag", rule.tag),
            )),
            tag => {
                let query = crate::settings::query("series-limits.overflow.query", &rule.query)?;
                Ok((query, tag.into()))
            }
        };
        let rate = settings.max_new_series_per_second.map(|per_second| {
            let burst = settings.new_series_burst;
            let burst = burst.unwrap_or(per_second.saturating_mul(BURST_SECONDS));
            Mutex::new(TokenBucket::new(per_second, burst))
        });
        Ok(Self {
            overflow: settings
                .overflow
                .iter()
                .map(compile)
                .collect::<Result<_, _>>()?,
            most: settings.max_series.unwrap_or(most).min(most),
            rate,
            cardinality,
            settings,
            explosions: Mutex::default(),
        })
    }

    /// Asks to take a series in that the store does not know.
    pub(crate) fn admit<'a>(
        &'a self,
        tags: &'a Tags,
        newcomer: Newcomer,
        now: Timestamp,
    ) -> Result<Admission<'a>, Refusal> {
        let mut census = self.cardinality.census();
        if let Some(over) = self.over(&census, tags, newcomer) {
            let mut explosions = self.explosions.lock();
            let exploded = explosions.note(&over, tags, &census.newcomers, now);
            return Err(self.refusal(&over, &exploded));
        }
        if newcomer != Newcomer::Loaded
            && let Some(rate) = &self.rate
            && !rate.lock().take(now)
        {
            let mut explosions = self.explosions.lock();
            let over = Over::Rate;
            let exploded = explosions.note(&over, tags, &census.newcomers, now);
            return Err(self.refusal(&over, &exploded));
        }
        census.reserve(tags);
        Ok(Admission {
            cardinality: &self.cardinality,
            tags,
        })
    }

    /// The limit that one more series would pass.
    fn over(&self, census: &Census, tags: &Tags, newcomer: Newcomer) -> Option<Over> {
        let most = |limit: u64| match newcomer {
            Newcomer::Overflow => limit.saturating_add((limit / 10).max(1)),
            Newcomer::Published | Newcomer::Loaded => limit,
        };
        if census.all.held() >= most(self.most) {
            return Some(Over::All { limit: self.most });
        }
        let held = |scope: Option<&Scope>| scope.map_or(0, Scope::held);
        if let (Some(limit), Some(name)) =
            (self.settings.max_series_per_name, tags.get_shared(NAME))
            && held(census.names.get(name)) >= most(limit)
        {
            let name = name.clone();
            return Some(Over::Name { name, limit });
        }
        if let (Some(limit), Some(app)) = (self.settings.max_series_per_app, tags.get_shared(APP))
            && held(census.apps.get(app)) >= most(limit)
        {
            let app = app.clone();
            return Some(Over::App { app, limit });
        }
        None
    }

    /// The refusal of a series that the store itself has no room for.
    pub(crate) fn store_is_full(&self, bound: SeriesBound, tags: &Tags, now: Timestamp) -> Refusal {
        let census = self.cardinality.census();
        let over = match bound {
            SeriesBound::Series => Over::All { limit: self.most },
            SeriesBound::Memory => Over::Memory,
        };
        let mut explosions = self.explosions.lock();
        let exploded = explosions.note(&over, tags, &census.newcomers, now);
        self.refusal(&over, &exploded)
    }

    fn refusal(&self, over: &Over, exploded: &Option<explosion::Exploded>) -> Refusal {
        let (reason, what, setting) = match over {
            Over::All { limit } => (
                Reason::SeriesLimit,
                format!("the store holds {limit} series, its limit"),
                SeriesBound::Series.setting(),
            ),
            Over::Memory => (
                Reason::SeriesLimit,
                "the store has no memory for more series".to_owned(),
                SeriesBound::Memory.setting(),
            ),
            Over::Name { name, limit } => (
                Reason::NameLimit,
                format!("the name '{name}' has {limit} series, its limit"),
                "max-series-per-name",
            ),
            Over::App { app, limit } => (
                Reason::AppLimit,
                format!("the app '{app}' has {limit} series, its limit"),
                "max-series-per-app",
            ),
            Over::Rate => {
                let rate = self.settings.max_new_series_per_second.unwrap_or_default();
                (
                    Reason::NewSeriesRate,
                    format!("more than {rate} new series come in a second, the limit"),
                    "max-new-series-per-second",
                )
            }
        };
        let advice = match exploded {
            Some(e) => {
                let (tag, n, at_least) = (&e.key, e.values, if e.more { "at least " } else { "" });
                format!(
                    "the tag '{tag}' has {at_least}{n} different values among the new series: publish it without that tag, or roll the tag up"
                )
            }
            None => "publish fewer tag values".to_owned(),
        };
        Refusal {
            reason,
            message: format!("{what} ({setting}); {advice}, or raise the limit"),
        }
    }

    /// The tags under which a series at a limit is written instead, if a rule says so.
    pub(crate) fn overflowed(&self, tags: &Tags) -> Option<Tags> {
        let matching = self.overflow.iter().find(|(query, tag)| {
            tags.get(tag).is_some_and(|value| value != AUTO_ROLLUP) && query.matches(tags)
        });
        matching.map(|(_, tag)| {
            let mut reduced = tags.clone();
            reduced.insert(tag.clone(), AUTO_ROLLUP);
            reduced
        })
    }
}
