//! Which tag explodes: the key with the most different values among the series that came last to a limit.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use hesper_model::tags::NAME;
use hesper_model::{Tags, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

use crate::cardinality::APP;

/// Limits that are watched at the same time; of more, the one that was reached longest ago is forgotten.
const MAX_WATCHED: usize = 32;

/// Different values that are counted for a key.
const MAX_VALUES: usize = 1024;

/// Values are forgotten after so long: what explodes is what explodes now.
const WATCH_MILLIS: i64 = 10 * 60 * 1000;

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Over {
    /// Of all series.
    All {
        /// The limit.
        limit: u64,
    },
    /// Of memory.
    Memory,
    /// Of a name.
    Name {
        /// The name.
        name: Arc<str>,
        /// The limit.
        limit: u64,
    },
    /// Of an app.
    App {
        /// The app.
        app: Arc<str>,
        /// The limit.
        limit: u64,
    },
    /// Of new series.
    Rate,
}

impl Over {
    fn covers(&self, tags: &Tags) -> bool {
        match self {
            Self::All { .. } | Self::Memory | Self::Rate => true,
            Self::Name { name, .. } => tags.get(NAME) == Some(name),
            Self::App { app, .. } => tags.get(APP) == Some(app),
        }
    }
}

/// The tag that exploded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exploded {
    pub(super) key: Arc<str>,
    /// Different values.
    pub(super) values: usize,
    /// True when there are more than were counted.
    pub(super) more: bool,
}

#[derive(Default)]
struct Watched {
    values: HashMap<Arc<str>, HashSet<u64>>,
    since: Timestamp,
    last: Timestamp,
}

impl Watched {
    fn note(&mut self, tags: &Tags) {
        for (key, value) in tags.pairs() {
            let values = match self.values.get_mut(key) {
                Some(values) => values,
                None => self.values.entry(key.clone()).or_default(),
            };
            if values.len() < MAX_VALUES {
                values.insert(xxh3_64(value.as_bytes()));
            }
        }
    }

    fn exploded(&self) -> Option<Exploded> {
        let most = self.values.iter().max_by(|(a, x), (b, y)| {
            // Of several with as many values the first in the alphabet.
            x.len().cmp(&y.len()).then_with(|| b.cmp(a))
        })?;
        (most.1.len() > 1).then(|| Exploded {
            key: most.0.clone(),
            values: most.1.len(),
            more: most.1.len() == MAX_VALUES,
        })
    }
}

/// The limits that were reached lately.
#[derive(Default)]
pub(super) struct Explosions {
    watched: HashMap<Over, Watched>,
}

impl Explosions {
    /// Notes a series that came to a limit, and gives the tag that exploded; `None` when no tag has more than one value.
    pub(super) fn note(
        &mut self,
        over: &Over,
        tags: &Tags,
        newcomers: &VecDeque<Tags>,
        now: Timestamp,
    ) -> Option<Exploded> {
        let is_old = |w: &Watched| now.0.saturating_sub(w.since.0) >= WATCH_MILLIS;
        if self.watched.get(over).is_some_and(is_old) {
            self.watched.remove(over);
        }
        if !self.watched.contains_key(over) && self.watched.len() == MAX_WATCHED {
            let oldest = self.watched.iter().min_by_key(|(_, w)| w.last);
            let oldest = oldest.map(|(over, _)| over.clone());
            oldest.and_then(|o| self.watched.remove(&o));
        }
        let watched = self.watched.entry(over.clone()).or_insert_with(|| {
            let mut watched = Watched {
                since: now,
                ..Watched::default()
            };
            let before = newcomers.iter().filter(|t| over.covers(t));
            before.for_each(|t| watched.note(t));
            watched
        });
        watched.last = now;
        watched.note(tags);
        watched.exploded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(i: usize) -> Tags {
        Tags::from_pairs([
            (NAME, format!("metric{}", i % 2)),
            ("request", format!("r{i}")),
            ("zone", format!("z{}", i % 3)),
        ])
    }

    fn over(name: &str) -> Over {
        Over::Name {
            name: name.into(),
            limit: 5,
        }
    }

    #[test]
    fn the_tag_with_the_most_values_is_named() {
        let mut explosions = Explosions::default();
        let newcomers = (0..10).map(tags).collect();
        let now = Timestamp(0);
        let exploded = explosions.note(&over("metric1"), &tags(11), &newcomers, now);
        let exploded = exploded.expect("a tag");
        // Five newcomers of that name, and the one that is refused.
        assert_eq!((&*exploded.key, exploded.values), ("request", 6));
        for i in 0..3_000 {
            explosions.note(&over("metric1"), &tags(2 * i + 1), &newcomers, now);
        }
        let exploded = explosions.note(&over("metric1"), &tags(1), &newcomers, now);
        assert!(exploded.is_some_and(|e| e.more && e.values == MAX_VALUES));
    }

    #[test]
    fn a_single_series_explodes_nothing() {
        let mut explosions = Explosions::default();
        let none = VecDeque::new();
        assert_eq!(
            explosions.note(&Over::Rate, &tags(1), &none, Timestamp(0)),
            None
        );
    }

    #[test]
    fn few_limits_are_watched_and_not_for_ever() {
        let mut explosions = Explosions::default();
        let none = VecDeque::new();
        for i in 0..100 {
            explosions.note(
                &over(&format!("n{i}")),
                &tags(i),
                &none,
                Timestamp(i as i64),
            );
        }
        assert_eq!(explosions.watched.len(), MAX_WATCHED);
        assert!(explosions.watched.contains_key(&over("n99")));
        let later = Timestamp(WATCH_MILLIS + 100);
        let exploded = explosions.note(&over("n99"), &tags(5), &none, later);
        assert_eq!(exploded, None, "what came before is forgotten");
    }
}
