//! The groups of a query: which series aggregate together, and what is known of each group.

use std::sync::Arc;

use hashbrown::HashMap;
use hesper_model::DataSource;

/// By what series are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Grouping {
    /// All series are one group.
    One,
    /// By the values of these keys; a series that lacks one belongs to no group.
    Keys(Vec<Arc<str>>),
    /// Every series is a group of its own.
    Series,
}

/// The identity of a group: nothing, the values of the keys, or all keys and values of the series, one after another.
pub type GroupKey = Box<[Arc<str>]>;

/// The lowest item ids (their first eight bytes) of a group's series, by what they are. Decides whose rules the group follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LowestItems {
    /// Among rates, sums and counters.
    pub rate: Option<u64>,
    /// Among gauges.
    pub gauge: Option<u64>,
}

impl LowestItems {
    /// Takes in a series.
    pub fn add(&mut self, source: DataSource, item: u64) {
        let lowest = match source.is_rate() {
            true => &mut self.rate,
            false => &mut self.gauge,
        };
        *lowest = Some(lowest.map_or(item, |l| l.min(item)));
    }

    /// Takes in what another part of the data knows.
    pub fn merge(&mut self, other: &Self) {
        let min = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.rate = min(self.rate, other.rate);
        self.gauge = min(self.gauge, other.gauge);
    }

    /// True when the group's first series, in the order of item ids, is a gauge.
    pub fn is_gauge(&self) -> bool {
        match (self.rate, self.gauge) {
            (Some(rate), Some(gauge)) => gauge < rate,
            (rate, _) => rate.is_none(),
        }
    }
}

/// The query found more groups than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many lines: {found} > {limit}")]
pub struct TooManyGroups {
    /// The limit.
    pub limit: usize,
    /// How many there are at least.
    pub found: usize,
}

/// Groups and their numbers.
#[derive(Debug)]
pub struct GroupTable {
    numbers: HashMap<GroupKey, u32>,
    keys: Vec<GroupKey>,
    lowest: Vec<LowestItems>,
    limit: usize,
}

impl GroupTable {
    /// A table for at most `limit` groups.
    pub fn new(limit: usize) -> Self {
        Self {
            numbers: HashMap::new(),
            keys: Vec::new(),
            lowest: Vec::new(),
            limit,
        }
    }

    /// The number of a group, given out now if it has none yet.
    ///
    /// # Errors
    /// When there are too many.
    pub fn number(&mut self, key: &[Arc<str>]) -> Result<u32, TooManyGroups> {
        if let Some(number) = self.numbers.get(key) {
            return Ok(*number);
        }
        if self.keys.len() == self.limit {
            return Err(TooManyGroups {
                limit: self.limit,
                found: self.limit + 1,
            });
        }
        let number = self.keys.len() as u32;
        self.numbers.insert(key.into(), number);
        self.keys.push(key.into());
        self.lowest.push(LowestItems::default());
        Ok(number)
    }

    /// The number of a group that has one.
    pub fn find(&self, key: &[Arc<str>]) -> Option<u32> {
        self.numbers.get(key).copied()
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True when there is no group.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The identity of a group.
    pub fn key(&self, group: u32) -> &[Arc<str>] {
        &self.keys[group as usize]
    }

    /// The lowest item ids of a group.
    pub fn lowest(&self, group: u32) -> &LowestItems {
        &self.lowest[group as usize]
    }

    /// The lowest item ids of a group, to be changed.
    pub fn lowest_mut(&mut self, group: u32) -> &mut LowestItems {
        &mut self.lowest[group as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_numbers_up_to_the_limit() {
        let mut table = GroupTable::new(2);
        let key = |s: &str| [Arc::from(s)];
        assert_eq!(table.number(&key("a")), Ok(0));
        assert_eq!(table.number(&key("b")), Ok(1));
        assert_eq!(table.number(&key("a")), Ok(0));
        assert_eq!(
            (table.find(&key("b")), table.find(&key("c"))),
            (Some(1), None)
        );
        let error = table.number(&key("c")).expect_err("one too many");
        assert_eq!(error.to_string(), "too many lines: 3 > 2");
    }

    #[test]
    fn the_lowest_item_decides_what_a_group_is() {
        let mut lowest = LowestItems::default();
        lowest.add(DataSource::Gauge, 5);
        assert!(lowest.is_gauge());
        let mut other = LowestItems::default();
        other.add(DataSource::Counter, 3);
        lowest.merge(&other);
        assert!(!lowest.is_gauge());
        lowest.add(DataSource::Gauge, 1);
        assert!(lowest.is_gauge());
    }
}
