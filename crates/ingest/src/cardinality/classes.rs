//! Classes of series: those of one name, one app and the same keys.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use hesper_model::Tags;
use hesper_model::tags::NAME;

use super::{APP, Lately};

/// A class without series and datapoints is given up after so many intervals, when nothing that was sent before can still refer to it.
const IDLE_INTERVALS: i64 = 12;

/// The number of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClassId(u32);

/// A class.
pub(super) struct Class {
    pub(super) name: Option<Arc<str>>,
    pub(super) app: Option<Arc<str>>,
    pub(super) keys: Box<[Arc<str>]>,
    pub(super) series: u64,
    pub(super) added_series: Lately,
    pub(super) datapoints: u64,
    pub(super) datapoints_lately: Lately,
    used: i64,
}

impl Class {
    fn is_of(&self, tags: &Tags) -> bool {
        let pairs = tags.pairs();
        self.name.as_deref() == tags.get(NAME)
            && self.app.as_deref() == tags.get(APP)
            && self.keys.len() == pairs.len()
            && self.keys.iter().zip(pairs).all(|(k, (key, _))| k == key)
    }
}

/// All classes.
#[derive(Default)]
pub(super) struct Classes {
    classes: Vec<Option<Class>>,
    free: Vec<u32>,
    by_tags: HashTable<u32>,
    hashing: DefaultHashBuilder,
}

impl Classes {
    fn hash<'a>(
        &self,
        name: Option<&str>,
        app: Option<&str>,
        keys: impl Iterator<Item = &'a Arc<str>>,
    ) -> u64 {
        let mut hasher = self.hashing.build_hasher();
        (name, app).hash(&mut hasher);
        keys.for_each(|k| k.hash(&mut hasher));
        hasher.finish()
    }

    fn hash_of(&self, tags: &Tags) -> u64 {
        let keys = tags.pairs().iter().map(|(k, _)| k);
        self.hash(tags.get(NAME), tags.get(APP), keys)
    }

    fn find(&self, hash: u64, tags: &Tags) -> Option<u32> {
        let is_of = |n: &u32| self.at(*n).is_some_and(|c| c.is_of(tags));
        self.by_tags.find(hash, is_of).copied()
    }

    fn at(&self, number: u32) -> Option<&Class> {
        self.classes.get(number as usize)?.as_ref()
    }

    fn at_mut(&mut self, number: u32) -> Option<&mut Class> {
        self.classes.get_mut(number as usize)?.as_mut()
    }

    /// The class of a series, made if there is none.
    pub(super) fn id_of(&mut self, tags: &Tags, interval: i64) -> ClassId {
        let hash = self.hash_of(tags);
        if let Some(number) = self.find(hash, tags) {
            let class = self.at_mut(number).expect("it was found");
            class.used = class.used.max(interval);
            return ClassId(number);
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.classes.push(None);
            self.classes.len() as u32 - 1
        });
        self.classes[number as usize] = Some(Class {
            name: tags.get_shared(NAME).cloned(),
            app: tags.get_shared(APP).cloned(),
            keys: tags.pairs().iter().map(|(k, _)| k.clone()).collect(),
            series: 0,
            added_series: Lately::default(),
            datapoints: 0,
            datapoints_lately: Lately::default(),
            used: interval,
        });
        let mut by_tags = std::mem::take(&mut self.by_tags);
        by_tags.insert_unique(hash, number, |n| {
            let class = self.at(*n).expect("only those in use are in the table");
            self.hash(
                class.name.as_deref(),
                class.app.as_deref(),
                class.keys.iter(),
            )
        });
        self.by_tags = by_tags;
        ClassId(number)
    }

    pub(super) fn add_series(&mut self, tags: &Tags, interval: i64) {
        let ClassId(number) = self.id_of(tags, interval);
        let class = self.at_mut(number).expect("it was found or made");
        class.series += 1;
        class.added_series.add(interval, 1);
    }

    pub(super) fn remove_series(&mut self, tags: &Tags) {
        let hash = self.hash_of(tags);
        let class = self.find(hash, tags).and_then(|n| self.at_mut(n));
        if let Some(class) = class {
            class.series = class.series.saturating_sub(1);
        }
    }

    pub(super) fn count(&mut self, ClassId(number): ClassId, n: u64, interval: i64) {
        if let Some(class) = self.at_mut(number) {
            class.datapoints += n;
            class.datapoints_lately.add(interval, n);
            class.used = interval;
        }
    }

    /// Gives up the classes that nothing has used for long.
    pub(super) fn free_idle(&mut self, interval: i64) {
        for number in 0..self.classes.len() as u32 {
            let is_idle = |c: &Class| c.series == 0 && interval - c.used >= IDLE_INTERVALS;
            let Some(class) = self.at(number).filter(|c| is_idle(c)) else {
                continue;
            };
            let keys = class.keys.iter();
            let hash = self.hash(class.name.as_deref(), class.app.as_deref(), keys);
            let entry = self.by_tags.find_entry(hash, |n| *n == number);
            entry.expect("all classes are in the table").remove();
            self.classes[number as usize] = None;
            self.free.push(number);
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        let keys = self.iter().map(|c| c.keys.len() * size_of::<Arc<str>>());
        self.classes.capacity() * size_of::<Option<Class>>()
            + self.by_tags.allocation_size()
            + keys.sum::<usize>()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Class> {
        self.classes.iter().flatten()
    }
}

/// Datapoints by class, gathered without a lock.
#[derive(Default)]
pub(crate) struct Tally {
    counts: Vec<u32>,
    touched: Vec<u32>,
}

impl Tally {
    /// Counts a datapoint.
    #[inline]
    pub(crate) fn add(&mut self, ClassId(number): ClassId) {
        if number as usize >= self.counts.len() {
            self.counts.resize(number as usize + 1, 0);
        }
        let count = &mut self.counts[number as usize];
        if *count == 0 {
            self.touched.push(number);
        }
        *count += 1;
    }

    /// Empties it.
    pub(crate) fn clear(&mut self) {
        for number in self.touched.drain(..) {
            self.counts[number as usize] = 0;
        }
    }

    pub(super) fn each(&self, mut count: impl FnMut(ClassId, u64)) {
        for number in &self.touched {
            let n = self.counts[*number as usize];
            count(ClassId(*number), u64::from(n));
        }
    }
}
