//! The tags of a file's rows.

use std::borrow::Cow;
use std::sync::Arc;

use hesper_hot::tag_index::TagIndex;
use hesper_model::TagQuery;
use roaring::RoaringBitmap;

/// Which rows carry which tags. Rows that a deletion hides altogether are not found.
pub struct RowTags {
    /// By series.
    pub(super) index: TagIndex,
    /// By series: its first row; at the end the number of rows.
    first_rows: Arc<[u32]>,
    /// By row.
    series_of: Arc<[u32]>,
    hidden: RoaringBitmap,
}

impl RowTags {
    pub(super) fn new(first_rows: Arc<[u32]>, series_of: Arc<[u32]>) -> Self {
        Self {
            index: TagIndex::default(),
            first_rows,
            series_of,
            hidden: RoaringBitmap::new(),
        }
    }

    pub(super) fn series_of(&self, row: u32) -> usize {
        self.series_of[row as usize] as usize
    }

    pub(super) fn hide(&mut self, rows: &RoaringBitmap) {
        self.hidden |= rows;
    }

    /// The rows whose tags fit a query.
    pub fn matching(&self, query: &TagQuery) -> RoaringBitmap {
        let mut rows = RoaringBitmap::new();
        for series in self.index.matching(query) {
            let series = series as usize;
            rows.insert_range(self.first_rows[series]..self.first_rows[series + 1]);
        }
        rows - &self.hidden
    }

    /// True when the tags of any row fit, hidden or not.
    pub(crate) fn any(&self, query: &TagQuery) -> bool {
        !self.index.matching(query).is_empty()
    }

    /// By series: its first row.
    pub(crate) fn first_rows(&self) -> &[u32] {
        &self.first_rows[..self.first_rows.len() - 1]
    }

    /// The keys that rows of `within` carry (any rows when `None`), after `after`, sorted, at most `limit`.
    pub fn keys(
        &self,
        within: Option<&RoaringBitmap>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<str>> {
        let within = self.series_within(within);
        self.index.keys(within.as_ref(), after, limit)
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
        self.index.values(key, within.as_ref(), after, limit)
    }

    fn series_within(&self, rows: Option<&RoaringBitmap>) -> Option<RoaringBitmap> {
        let rows = match rows {
            Some(rows) => Cow::Borrowed(rows),
            None if self.hidden.is_empty() => return None,
            None => Cow::Owned(self.matching(&TagQuery::True)),
        };
        let mut series: Vec<u32> = rows
            .iter()
            .map(|row| self.series_of[row as usize])
            .collect();
        series.dedup();
        Some(series.into_iter().collect())
    }
}
