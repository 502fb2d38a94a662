//! Cardinality: how many series and datapoints each name, app and tag key has, kept up to date as they come and go.
//!
//! Series of one name, one app (`nf.app`) and the same keys are a class. A series counts from when the store takes it in until the store
//! lets it go; a datapoint costs one addition to its class. An answer is added up from the classes, of which there are far fewer than
//! series. The different values of each key are counted too; they are told apart by a hash of 64 bits.

mod classes;
mod report;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hashbrown::HashMap;
use hesper_hot::store::SeriesListener;
use hesper_model::{Tags, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use xxhash_rust::xxh3::xxh3_64;

use self::classes::Classes;
pub(crate) use self::classes::{ClassId, Tally};
pub use self::report::{
    By, CardinalityReport, CardinalityRow, Counts, MAX_ROWS, Order, UnknownChoice,
};

/// The key of the app.
pub(crate) const APP: &str = "nf.app";

/// What was added is counted by intervals of this length.
const INTERVAL_MILLIS: i64 = 10 * 60 * 1000;

/// How many of the series that came last are remembered.
const NEWCOMERS: usize = 512;

/// A count by interval: this one and the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lately {
    interval: i64,
    this: u64,
    before: u64,
}

impl Lately {
    fn add(&mut self, interval: i64, n: u64) {
        self.turn(interval);
        self.this += n;
    }

    fn turn(&mut self, interval: i64) {
        if interval > self.interval {
            self.before = match interval == self.interval + 1 {
                true => self.this,
                false => 0,
            };
            self.this = 0;
            self.interval = interval;
        }
    }

    fn count(mut self, interval: i64) -> u64 {
        self.turn(interval);
        self.this + self.before
    }
}

/// The series of a name, of an app, or of all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope {
    /// Those in the store.
    pub(crate) series: u64,
    /// Those that may be taken in at any moment.
    pub(crate) pending: u64,
}

impl Scope {
    /// All that count towards a limit.
    pub(crate) fn held(&self) -> u64 {
        self.series + self.pending
    }
}

/// A tag key.
#[derive(Default)]
struct Key {
    /// Series by the hash of the value.
    values: HashMap<u64, u32>,
    added_values: Lately,
}

/// What is known, at one moment.
#[derive(Default)]
pub(crate) struct Census {
    pub(crate) all: Scope,
    pub(crate) names: HashMap<Arc<str>, Scope>,
    pub(crate) apps: HashMap<Arc<str>, Scope>,
    classes: Classes,
    keys: HashMap<Arc<str>, Key>,
    /// The series that came last, the newest at the end.
    pub(crate) newcomers: VecDeque<Tags>,
}

/// Counts series and datapoints. Listens to the store.
#[derive(Default)]
pub struct Cardinality {
    census: Mutex<Census>,
    /// The latest time that was seen.
    now: AtomicI64,
}

impl Cardinality {
    /// Notes the time: what comes from now on comes in its interval.
    pub fn tick(&self, now: Timestamp) {
        let before = self.now.fetch_max(now.0, Ordering::Relaxed);
        let interval = now.0.div_euclid(INTERVAL_MILLIS);
        if before.div_euclid(INTERVAL_MILLIS) < interval {
            self.census().classes.free_idle(interval);
        }
    }

    /// Number of series.
    pub fn series(&self) -> u64 {
        self.census().all.series
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> usize {
        let census = self.census();
        let scopes = census.names.allocation_size() + census.apps.allocation_size();
        let values = census.keys.values().map(|k| k.values.allocation_size());
        scopes + values.sum::<usize>() + census.classes.size_bytes()
    }

    pub(crate) fn census(&self) -> MutexGuard<'_, Census> {
        self.census.lock()
    }

    fn interval(&self) -> i64 {
        self.now.load(Ordering::Relaxed).div_euclid(INTERVAL_MILLIS)
    }

    /// What a series counts as.
    pub(crate) fn class_of(&self, tags: &Tags) -> ClassId {
        let interval = self.interval();
        self.census().classes.id_of(tags, interval)
    }

    /// Counts the datapoints of a tally.
    pub(crate) fn count(&self, tally: &Tally) {
        let interval = self.interval();
        let mut census = self.census();
        tally.each(|class, n| census.classes.count(class, n, interval));
    }
}

impl SeriesListener for Cardinality {
    fn added(&self, tags: &Tags) {
        let interval = self.interval();
        let mut census = self.census();
        let census = &mut *census;
        census.all.series += 1;
        for (scopes, value) in census.scopes_of(tags) {
            scope(scopes, value).series += 1;
        }
        census.classes.add_series(tags, interval);
        for (key, value) in tags.pairs() {
            let of_key = match census.keys.get_mut(key) {
                Some(known) => known,
                None => census.keys.entry(key.clone()).or_default(),
            };
            let series = of_key.values.entry(xxh3_64(value.as_bytes())).or_insert(0);
            if *series == 0 {
                of_key.added_values.add(interval, 1);
            }
            *series += 1;
        }
        if census.newcomers.len() == NEWCOMERS {
            census.newcomers.pop_front();
        }
        census.newcomers.push_back(tags.clone());
    }

    fn removed(&self, tags: &Tags) {
        let mut census = self.census();
        let census = &mut *census;
        census.all.series = census.all.series.saturating_sub(1);
        for (scopes, value) in census.scopes_of(tags) {
            let left = scope(scopes, value);
            left.series = left.series.saturating_sub(1);
            if left.held() == 0 {
                scopes.remove(value);
            }
        }
        census.classes.remove_series(tags);
        for (key, value) in tags.pairs() {
            let Some(of_key) = census.keys.get_mut(key) else {
                continue;
            };
            let hash = xxh3_64(value.as_bytes());
            if let Some(series) = of_key.values.get_mut(&hash) {
                *series -= 1;
                if *series == 0 {
                    of_key.values.remove(&hash);
                }
            }
            if of_key.values.is_empty() {
                census.keys.remove(key);
            }
        }
    }
}

impl Census {
    /// The scopes that a series belongs to beside all: those of its name and of its app.
    fn scopes_of<'a>(
        &'a mut self,
        tags: &'a Tags,
    ) -> impl Iterator<Item = (&'a mut HashMap<Arc<str>, Scope>, &'a Arc<str>)> {
        let name = tags.get_shared(hesper_model::tags::NAME);
        let app = tags.get_shared(APP);
        let scopes = [(&mut self.names, name), (&mut self.apps, app)];
        scopes
            .into_iter()
            .filter_map(|(s, value)| Some((s, value?)))
    }

    /// Notes that a series may be taken in.
    pub(crate) fn reserve(&mut self, tags: &Tags) {
        self.all.pending += 1;
        for (scopes, value) in self.scopes_of(tags) {
            scope(scopes, value).pending += 1;
        }
    }

    /// Notes that it was, or was not.
    pub(crate) fn release(&mut self, tags: &Tags) {
        self.all.pending -= 1;
        for (scopes, value) in self.scopes_of(tags) {
            let left = scope(scopes, value);
            left.pending -= 1;
            if left.held() == 0 {
                scopes.remove(value);
            }
        }
    }
}

fn scope<'a>(scopes: &'a mut HashMap<Arc<str>, Scope>, value: &Arc<str>) -> &'a mut Scope {
    if !scopes.contains_key(value) {
        scopes.insert(value.clone(), Scope::default());
    }
    scopes.get_mut(value).expect("just made")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn tags(i: usize) -> Tags {
        let mut pairs = vec![
            ("name", format!("metric{}", i % 3)),
            ("node", format!("i-{i}")),
        ];
        if !i.is_multiple_of(4) {
            pairs.push((APP, format!("app{}", i % 2)));
        }
        Tags::from_pairs(pairs)
    }

    fn now(minutes: i64) -> Timestamp {
        Timestamp(1_767_578_400_000 + minutes * 60_000)
    }

    #[test]
    fn lately_is_this_interval_and_the_one_before() {
        let mut lately = Lately::default();
        lately.add(7, 5);
        lately.add(8, 1);
        assert_eq!(lately.count(8), 6);
        assert_eq!(lately.count(9), 1);
        assert_eq!(lately.count(10), 0);
        lately.add(20, 2);
        assert_eq!(lately.count(20), 2);
    }

    #[test]
    fn what_came_before_the_last_interval_is_no_news() {
        let cardinality = Cardinality::default();
        cardinality.tick(now(0));
        cardinality.added(&tags(1));
        cardinality.tick(now(30));
        cardinality.added(&tags(2));
        let report = cardinality.report(By::Name, Order::AddedSeries, 9);
        let rows: Vec<_> = report
            .rows
            .iter()
            .map(|r| (r.value.as_deref(), r.counts.series, r.counts.added_series))
            .collect();
        assert_eq!(rows, [(Some("metric2"), 1, 1), (Some("metric1"), 1, 0)]);
        assert_eq!(report.lately_millis, INTERVAL_MILLIS);
    }

    #[test]
    fn classes_that_nothing_uses_are_given_up() {
        let cardinality = Cardinality::default();
        cardinality.tick(now(0));
        cardinality.added(&tags(1));
        let class = cardinality.class_of(&tags(1));
        cardinality.removed(&tags(1));
        cardinality.tick(now(600));
        assert_eq!(cardinality.class_of(&tags(2)), class, "used again");
        assert!(
            cardinality
                .report(By::Name, Order::Series, 9)
                .rows
                .is_empty()
        );
    }

    proptest! {
        /// The counts are those that counting all series gives.
        #[test]
        fn counts_are_those_of_the_series(events in prop::collection::vec((0usize..24, 0u64..4), 0..120)) {
            let cardinality = Cardinality::default();
            cardinality.tick(now(0));
            let mut held = BTreeSet::new();
            let mut sent: BTreeMap<usize, u64> = BTreeMap::new();
            let mut tally = Tally::default();
            for (i, datapoints) in events {
                match held.insert(i) {
                    true => cardinality.added(&tags(i)),
                    false if datapoints == 0 => {
                        held.remove(&i);
                        cardinality.removed(&tags(i));
                    }
                    false => {}
                }
                let class = cardinality.class_of(&tags(i));
                (0..datapoints).for_each(|_| tally.add(class));
                *sent.entry(i).or_default() += datapoints;
                cardinality.count(&tally);
                tally.clear();
            }
            prop_assert_eq!(cardinality.series(), held.len() as u64);
            for (by, key) in [(By::Name, "name"), (By::App, APP)] {
                let report = cardinality.report(by, Order::Series, 100);
                let mut want: BTreeMap<Option<String>, (u64, u64)> = BTreeMap::new();
                for (i, n) in &sent {
                    let value = tags(*i).get(key).map(str::to_owned);
                    let counts = want.entry(value).or_default();
                    counts.0 += u64::from(held.contains(i));
                    counts.1 += n;
                }
                want.retain(|_, counts| *counts != (0, 0));
                let rows = report.rows.iter();
                let got: BTreeMap<_, _> = rows
                    .map(|r| (r.value.clone(), (r.counts.series, r.counts.datapoints)))
                    // What came and went again is listed too, among what was added lately.
                    .filter(|(_, counts)| *counts != (0, 0))
                    .collect();
                prop_assert_eq!(got, want);
                prop_assert_eq!(report.total.series, held.len() as u64);
                prop_assert_eq!(report.total.datapoints, sent.values().sum::<u64>());
            }
            let report = cardinality.report(By::Key, Order::Series, 100);
            for key in ["name", "node", APP] {
                let values: BTreeSet<String> =
                    held.iter().filter_map(|i| tags(*i).get(key).map(str::to_owned)).collect();
                let series = held.iter().filter(|i| tags(**i).get(key).is_some()).count();
                let row = report.rows.iter().find(|r| r.value.as_deref() == Some(key));
                let got = row.map_or((0, 0), |r| (r.counts.series, r.values.unwrap_or(0)));
                prop_assert_eq!(got, (series as u64, values.len() as u64));
            }
            held.iter().for_each(|i| cardinality.removed(&tags(*i)));
            let census = cardinality.census();
            prop_assert!(census.names.is_empty() && census.apps.is_empty() && census.keys.is_empty());
        }
    }
}
