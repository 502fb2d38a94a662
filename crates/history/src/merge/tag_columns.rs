//! The tags of a record batch's rows, without an index.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, MapArray, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use hesper_model::Tags;
use hesper_model::series::put_sort_key;

use crate::file_index::BadColumn;
use crate::layout;

/// The tag columns of a batch.
pub(crate) struct TagColumns {
    columns: Vec<TagColumn>,
    more: Option<MapArray>,
}

struct TagColumn {
    key: Arc<str>,
    numbers: Int32Array,
    texts: StringArray,
}

impl TagColumns {
    /// The columns of a batch.
    ///
    /// # Errors
    /// When one is not of the type it should be.
    pub fn of(batch: &RecordBatch) -> Result<Self, BadColumn> {
        let mut columns = Vec::new();
        let mut more = None;
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let bad = || BadColumn(field.name().clone());
            let key = match field.name().strip_prefix(layout::TAG_PREFIX) {
                Some(key) => key,
                None if field.name() == layout::NAME => layout::NAME,
                None if field.name() == layout::MORE_TAGS => {
                    let map = column.as_map_opt().ok_or_else(bad)?;
                    // All of them without an entry is the usual case.
                    more = (map.null_count() < map.len()).then(|| map.clone());
                    continue;
                }
                None => continue,
            };
            let dictionary = column.as_dictionary_opt::<Int32Type>().ok_or_else(bad)?;
            let texts = dictionary.values().as_string_opt::<i32>().ok_or_else(bad)?;
            columns.push(TagColumn {
                key: key.into(),
                numbers: dictionary.keys().clone(),
                texts: texts.clone(),
            });
        }
        Ok(Self { columns, more })
    }

    /// True when two rows are known to be of one series.
    pub fn same_series(&self, a: usize, b: usize) -> bool {
        let no_more = |row| self.more.as_ref().is_none_or(|more| more.is_null(row));
        no_more(a)
            && no_more(b)
            && self.columns.iter().all(|column| {
                let numbers = &column.numbers;
                match (numbers.is_null(a), numbers.is_null(b)) {
                    (false, false) => numbers.value(a) == numbers.value(b),
                    (a, b) => a && b,
                }
            })
    }

    /// The tags of a row, sorted by key.
    fn pairs(&self, row: usize) -> Option<Vec<(&str, &str)>> {
        let mut pairs = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            if column.numbers.is_valid(row) {
                let number = usize::try_from(column.numbers.value(row)).ok()?;
                if number >= column.texts.len() {
                    return None;
                }
                pairs.push((&*column.key, column.texts.value(number)));
            }
        }
        if let Some(more) = &self.more
            && more.is_valid(row)
        {
            let offsets = more.value_offsets();
            let keys = more.keys().as_string_opt::<i32>()?;
            let values = more.values().as_string_opt::<i32>()?;
            for entry in offsets[row] as usize..offsets[row + 1] as usize {
                pairs.push((keys.value(entry), values.value(entry)));
            }
        }
        pairs.sort_unstable_by_key(|(key, _)| *key);
        Some(pairs)
    }

    /// Writes the sort key of a row; false when its tags cannot be read.
    pub fn sort_key(&self, row: usize, out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some(pairs) = self.pairs(row) else {
            return false;
        };
        put_sort_key(pairs.iter().copied(), out);
        true
    }

    /// The tags of a row whose sort key was written.
    pub fn tags(&self, row: usize) -> Tags {
        let pairs = self.pairs(row).unwrap_or_default();
        Tags::from_pairs(pairs)
    }
}
