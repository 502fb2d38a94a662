//! The tag keys of all series, which tables have columns for.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hesper_model::TagQuery;
use hesper_model::tags::NAME;
use parking_lot::{Mutex, RwLock};

use crate::tiers::Tiers;

/// Keys beyond this many, in the order of their names, have no column.
pub const MAX_KEYS: usize = 1000;

/// The keys as they are known.
#[derive(Clone, Debug, Default)]
pub struct KnownKeys {
    /// The keys that have a column, sorted.
    pub keys: Arc<[Arc<str>]>,
    /// True when there are more.
    pub more: bool,
}

/// Finds and remembers keys.
pub struct TagKeys {
    tiers: Arc<Tiers>,
    /// Those of history, by file: a file never changes.
    of_files: Mutex<HashMap<String, Arc<[Arc<str>]>>>,
    known: RwLock<KnownKeys>,
}

impl TagKeys {
    /// None known yet.
    pub fn new(tiers: Arc<Tiers>) -> Self {
        Self {
            tiers,
            of_files: Mutex::default(),
            known: RwLock::default(),
        }
    }

    /// The keys as they were at the last [refresh](Self::refresh).
    pub fn known(&self) -> KnownKeys {
        self.known.read().clone()
    }

    /// Looks for keys that are new: in memory, and in files that were not there before. A file that cannot be read is looked at again next time; whoever
    /// scans it is told.
    pub async fn refresh(&self) -> KnownKeys {
        let hot = &self.tiers.hot;
        let mut all: BTreeSet<Arc<str>> = hot
            .tag_keys(&TagQuery::True, None, usize::MAX)
            .into_iter()
            .collect();
        let manifest = self.tiers.history.manifest();
        self.of_files.lock().retain(|path, _| manifest.holds(path));
        for file in manifest.tag_files(None, self.tiers.history.step()) {
            let known = self.of_files.lock().get(&file.path).cloned();
            let keys = match known {
                Some(keys) => keys,
                None => match self.tiers.history.keys(&file).await {
                    Ok(keys) => {
                        let keys: Arc<[Arc<str>]> = keys.into();
                        let mut of_files = self.of_files.lock();
                        of_files.insert(file.path.clone(), keys.clone());
                        keys
                    }
                    Err(error) => {
                        tracing::warn!(file = file.path, %error, "its tag keys cannot be read");
                        continue;
                    }
                },
            };
            all.extend(keys.iter().cloned());
        }
        all.remove(NAME);
        let more = all.len() > MAX_KEYS;
        let known = KnownKeys {
            keys: all.into_iter().take(MAX_KEYS).collect(),
            more,
        };
        *self.known.write() = known.clone();
        known
    }
}
