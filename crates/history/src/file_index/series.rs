//! The series of a data file and their tags. Files of windows one after another mostly have the same, and share them.

use std::sync::Arc;

use hesper_hot::tag_index::TagIndex;
use hesper_model::data_source::DSTYPE;
use hesper_model::{DataSource, SeriesId};

use super::ABSENT;

/// What each series of a file has for each key, and which of the file's rows are its.
#[derive(Hash)]
pub struct SeriesTags {
    /// Sorted, as ids and item ids need them.
    pub(super) keys: Vec<Arc<str>>,
    /// By key, by series: the number of the value.
    pub(super) values: Vec<Vec<u32>>,
    pub(super) texts: Vec<Arc<str>>,
    /// By series: its first row; at the end the number of rows.
    pub(super) first_rows: Vec<u32>,
}

impl SeriesTags {
    /// The keys that any series carries.
    pub fn into_keys(self) -> impl Iterator<Item = Arc<str>> {
        let keys = self.keys.into_iter().zip(self.values);
        let carried = keys.filter(|(_, values)| values.iter().any(|v| *v != ABSENT));
        carried.map(|(key, _)| key)
    }

    /// Number of series.
    pub(super) fn len(&self) -> usize {
        self.first_rows.len() - 1
    }

    /// The number of a key's column.
    pub(super) fn key_number(&self, key: &str) -> Option<usize> {
        self.keys.iter().position(|k| **k == *key)
    }

    /// The number of the value that a series has for a key.
    pub(super) fn value_number(&self, series: usize, key: usize) -> Option<u32> {
        let number = self.values[key][series];
        (number != ABSENT).then_some(number)
    }

    /// The tags of a series, in the order of the keys.
    pub(super) fn pairs(
        &self,
        series: usize,
    ) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> + Clone {
        let keys = self.keys.iter().enumerate();
        keys.filter_map(move |(k, key)| {
            let value = self.value_number(series, k)?;
            Some((key, &self.texts[value as usize]))
        })
    }
}

/// The series of a file, with all that follows from their tags.
pub struct FileSeries {
    pub(super) columns: SeriesTags,
    pub(super) tags: TagIndex,
    pub(super) ids: Vec<(SeriesId, DataSource)>,
    /// By row.
    pub(super) series_of: Vec<u32>,
    bytes: usize,
}

impl FileSeries {
    /// Indexes the columns.
    pub fn new(columns: SeriesTags) -> Self {
        let by_key = columns.keys.iter().zip(&columns.values);
        let by_key = by_key.map(|(key, values)| (key, &values[..]));
        let tags = TagIndex::of_columns(columns.len() as u32, by_key, &columns.texts);
        let dstype = columns.key_number(DSTYPE);
        let mut scratch = Vec::new();
        let ids: Vec<_> = (0..columns.len())
            .map(|series| {
                let pairs = columns.pairs(series).map(|(k, v)| (&**k, &**v));
                let declared = dstype.and_then(|k| columns.value_number(series, k));
                let declared = declared.map(|v| &*columns.texts[v as usize]);
                let id = SeriesId::of_pairs(pairs, &mut scratch);
                (id, DataSource::of_tag(declared))
            })
            .collect();
        let mut series_of =
            Vec::with_capacity(columns.first_rows.last().map_or(0, |n| *n as usize));
        for (series, rows) in (0..).zip(columns.first_rows.windows(2)) {
            series_of.resize(rows[1] as usize, series);
        }
        let text_bytes: usize = columns.texts.iter().map(|t| t.len() + 40).sum();
        let cells: usize = columns.values.iter().map(Vec::len).sum();
        let bytes = text_bytes
            + tags.size_bytes()
            + (cells + series_of.len() + columns.first_rows.len()) * size_of::<u32>()
            + ids.len() * size_of::<(SeriesId, DataSource)>();
        Self {
            columns,
            tags,
            ids,
            series_of,
            bytes,
        }
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// The series of a row.
    pub(super) fn of_row(&self, row: u32) -> usize {
        self.series_of[row as usize] as usize
    }
}
