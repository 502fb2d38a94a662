//! Which group the rows of a file belong to.

use std::sync::Arc;

use hashbrown::HashMap;
use hesper_history::FileIndex;
use hesper_hot::groups::{GroupTable, Grouping, TooManyGroups};
use hesper_model::{SeriesId, Tags};

/// Finds the groups of the rows of a file. The rows of a series are neighbours, and looked up once.
pub(super) struct RowGroups<'a> {
    index: &'a FileIndex,
    by_series: bool,
    /// The columns of the keys to group by.
    keys: Vec<usize>,
    /// By the numbers of the keys' values.
    numbers: HashMap<Box<[u32]>, u32>,
    last: Option<(SeriesId, Option<u32>)>,
}

impl<'a> RowGroups<'a> {
    /// Of a file; `None` when no row of it belongs to a group.
    pub fn of(index: &'a FileIndex, grouping: &Grouping) -> Option<Self> {
        let keys: Option<Vec<usize>> = match grouping {
            Grouping::Keys(keys) => keys.iter().map(|k| index.key(k)).collect(),
            Grouping::One | Grouping::Series => Some(Vec::new()),
        };
        Some(Self {
            index,
            by_series: *grouping == Grouping::Series,
            keys: keys?,
            numbers: HashMap::new(),
            last: None,
        })
    }

    /// The group of a row, made when it is new; its series is taken in. `None` when it lacks a key.
    ///
    /// # Errors
    /// When there are too many groups.
    pub fn group(
        &mut self,
        row: u32,
        groups: &mut GroupTable,
    ) -> Result<Option<u32>, TooManyGroups> {
        let at = self.index.row(row);
        if let Some((_, known)) = self.last.filter(|(id, _)| *id == at.id) {
            return Ok(known);
        }
        let group = self.number(row, groups)?;
        if let Some(group) = group {
            let lowest = groups.lowest_mut(group);
            lowest.add(at.source, self.index.item_prefix(row));
        }
        self.last = Some((at.id, group));
        Ok(group)
    }

    /// False when a row belongs to no group, as it lacks a key.
    pub fn has_group(&self, row: u32) -> bool {
        let mut keys = self.keys.iter();
        keys.all(|k| self.index.value_number(row, *k).is_some())
    }

    fn number(&mut self, row: u32, groups: &mut GroupTable) -> Result<Option<u32>, TooManyGroups> {
        let index = self.index;
        if self.by_series {
            let pairs = index.pairs(row);
            let key: Vec<_> = pairs.flat_map(|(k, v)| [k.clone(), v.clone()]).collect();
            return groups.number(&key).map(Some);
        }
        let keys = self.keys.iter();
        let values: Option<Vec<u32>> = keys.map(|k| index.value_number(row, *k)).collect();
        let Some(values) = values else {
            return Ok(None);
        };
        if let Some(group) = self.numbers.get(&values[..]) {
            return Ok(Some(*group));
        }
        let texts = self.keys.iter().zip(&values);
        let key: Vec<_> = texts.map(|(k, v)| index.text(*k, *v).clone()).collect();
        let group = groups.number(&key)?;
        self.numbers.insert(values.into(), group);
        Ok(Some(group))
    }
}

/// The group of a series by its tags, made when it is new. `None` when it lacks a key.
///
/// # Errors
/// When there are too many groups.
pub(super) fn group_of_tags(
    grouping: &Grouping,
    tags: &Tags,
    groups: &mut GroupTable,
) -> Result<Option<u32>, TooManyGroups> {
    let key: Option<Vec<Arc<str>>> = match grouping {
        Grouping::One => Some(Vec::new()),
        Grouping::Keys(keys) => keys.iter().map(|k| tags.get_shared(k).cloned()).collect(),
        Grouping::Series => {
            let pairs = tags.pairs().iter();
            Some(pairs.flat_map(|(k, v)| [k.clone(), v.clone()]).collect())
        }
    };
    key.map(|key| groups.number(&key)).transpose()
}
