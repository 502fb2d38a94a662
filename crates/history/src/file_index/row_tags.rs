//! Finding the rows of a file by their tags. Rows that a deletion hides altogether are not found.
//!
//! There are no sets of series by value, as memory has them: to look through a column takes tens of microseconds, and a set for each value would take
//! several times as much memory as the columns.

use std::borrow::Cow;
use std::sync::Arc;

use hesper_model::TagQuery;
use roaring::RoaringBitmap;

use super::FileIndex;
use super::column::Column;

impl FileIndex {
    /// The rows whose tags fit a query.
    pub fn matching(&self, query: &TagQuery) -> RoaringBitmap {
        self.rows.of_series(self.series_matching(query)) - &self.hidden
    }

    /// True when the tags of any row fit, hidden or not.
    pub(crate) fn any(&self, query: &TagQuery) -> bool {
        !self.series_matching(query).is_empty()
    }

    fn series_matching(&self, query: &TagQuery) -> RoaringBitmap {
        match query {
            TagQuery::True => self.all_series(),
            TagQuery::False => RoaringBitmap::new(),
            TagQuery::And(a, b) => {
                let left = self.series_matching(a);
                match left.is_empty() {
                    true => left,
                    false => left & self.series_matching(b),
                }
            }
            TagQuery::Or(a, b) => self.series_matching(a) | self.series_matching(b),
            TagQuery::Not(q) => self.all_series() - self.series_matching(q),
            clause => {
                let column = clause.key().and_then(|key| self.column(key));
                column.map_or_else(RoaringBitmap::new, |column| column.matching(clause))
            }
        }
    }

    fn all_series(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..self.series() as u32);
        all
    }

    fn column(&self, key: &str) -> Option<&Column> {
        Some(&self.columns[self.key(key)?])
    }

    /// The keys that rows of `within` carry (any rows when `None`), after `after`, sorted, at most `limit`.
    pub fn keys(
        &self,
        within: Option<&RoaringBitmap>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<str>> {
        let within = self.series_within(within);
        let keys = self.keys.iter().zip(&self.columns);
        keys.filter(|(key, _)| after.is_none_or(|after| ***key > *after))
            .filter(|(_, column)| within.as_ref().is_none_or(|w| column.is_carried(w)))
            .map(|(key, _)| key.clone())
            .take(limit)
            .collect()
    }

    /// The values of a key that rows of `within` carry (any rows when `None`), after `after`, sorted, at most `limit`.
    pub fn values(
        &self,
        key: &str,
        within: Option<&RoaringBitmap>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<str>> {
        let Some(column) = self.column(key) else {
            return Vec::new();
        };
        match self.series_within(within) {
            Some(within) => column.values_of(&within, after, limit),
            None => {
                let values = &column.values()[column.first_after(after)..];
                values.iter().take(limit).cloned().collect()
            }
        }
    }

    /// The series of rows; `None` when they are all.
    fn series_within(&self, rows: Option<&RoaringBitmap>) -> Option<RoaringBitmap> {
        let rows = match rows {
            Some(rows) => Cow::Borrowed(rows),
            None if self.hidden.is_empty() => return None,
            None => Cow::Owned(self.matching(&TagQuery::True)),
        };
        Some(self.rows.to_series(rows))
    }
}
