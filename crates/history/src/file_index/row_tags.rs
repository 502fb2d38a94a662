//! Finding the rows of a file by their tags. Rows that a deletion hides altogether are not found.

use std::borrow::Cow;
use std::sync::Arc;

use hesper_model::TagQuery;
use roaring::RoaringBitmap;

use super::FileIndex;

impl FileIndex {
    /// The rows whose tags fit a query.
    pub fn matching(&self, query: &TagQuery) -> RoaringBitmap {
        let first_rows = &self.series.columns.first_rows;
        let mut rows = RoaringBitmap::new();
        for series in self.series.tags.matching(query) {
            let series = series as usize;
            rows.insert_range(first_rows[series]..first_rows[series + 1]);
        }
        rows - &self.rows.hidden
    }

    /// True when the tags of any row fit, hidden or not.
    pub(crate) fn any(&self, query: &TagQuery) -> bool {
        !self.series.tags.matching(query).is_empty()
    }

    /// By series: its first row.
    pub(crate) fn first_rows(&self) -> &[u32] {
        let first_rows = &self.series.columns.first_rows;
        &first_rows[..first_rows.len() - 1]
    }

    /// The keys that rows of `within` carry (any rows when `None`), after `after`, sorted, at most `limit`.
    pub fn keys(
        &self,
        within: Option<&RoaringBitmap>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<str>> {
        let within = self.series_within(within);
        self.series.tags.keys(within.as_ref(), after, limit)
    }

    /// The values of a key that rows of `within` carry (any rows when `None`), after `after`, sorted, at most `limit`.
    pub fn values(
        &self,
        key: &str,
        within: Option<&RoaringBitmap>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<str>> {
        let within = self.series_within(within);
        self.series.tags.values(key, within.as_ref(), after, limit)
    }

    fn series_within(&self, rows: Option<&RoaringBitmap>) -> Option<RoaringBitmap> {
        let rows = match rows {
            Some(rows) => Cow::Borrowed(rows),
            None if self.rows.hidden.is_empty() => return None,
            None => Cow::Owned(self.matching(&TagQuery::True)),
        };
        let mut series: Vec<usize> = rows.iter().map(|row| self.series.of_row(row)).collect();
        series.dedup();
        Some(series.into_iter().map(|s| s as u32).collect())
    }
}
