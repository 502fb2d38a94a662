//! The columns of a data file. A row is a block: consecutive values of one series, all in one window of sixty slots.
//!
//! | column | type | holds |
//! |---|---|---|
//! | `name` | text | the tag `name` |
//! | `tag.<key>` | text, null without the tag | the other tags, a column a key |
//! | `more_tags` | map of text to text | tags beyond [`MAX_TAG_COLUMNS`] keys, and keys that differ from another only in case |
//! | `start` | timestamp, ms, UTC | the time of element 0: the end of its interval |
//! | `step_ms` | int32 | the distance between elements |
//! | `sequence` | int64 | of two rows of a series that both hold a time, the higher counts |
//! | `divisor` | double | what the elements of `scaled_values` are to be divided by, once `base` is added |
//! | `base` | int64 | the lowest of the row times the divisor, so that the elements are small |
//! | `scaled_values` | list of int64, null = no data | a value is `(base + scaled_values[i]) / divisor`; the list is null when the row is in `plain_values` |
//! | `plain_values` | list of double, null = no data | the values as they are; the list is null when the row is in `scaled_values` |
//! | `count`, `sum`, `min`, `max` | int32, double | of the row's values |
//!
//! Rows are sorted by name, then by their tags as pairs in the order of the keys, then by start. The divisor (1, the step in seconds, a power of ten) is chosen so that the elements are whole
//! numbers and the division gives every value back to the bit; a row for which no divisor does that is in `plain_values`.
//!
//! This is format 2. In format 1 `scaled_values` is a list of double, there are no `base` and no `plain_values`, and the divisor of a row whose values are not whole is 1.
//! So `coalesce(plain_values[i], (coalesce(base, 0) + scaled_values[i]) / divisor)` is the value in both. The columns of roll-ups are in [`crate::rollup`].

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use hashbrown::HashSet;

/// More keys than this go into `more_tags`.
pub const MAX_TAG_COLUMNS: usize = 200;

/// What a tag's column is called.
pub const TAG_PREFIX: &str = "tag.";

/// The column of the tag `name`.
pub const NAME: &str = "name";
/// The column of the tags that have none of their own.
pub const MORE_TAGS: &str = "more_tags";
/// The time of element 0.
pub const START: &str = "start";
/// The distance between elements.
pub const STEP_MS: &str = "step_ms";
/// Which of two rows counts.
pub const SEQUENCE: &str = "sequence";
/// What the elements are divided by.
pub const DIVISOR: &str = "divisor";
/// What is added to the elements.
pub const BASE: &str = "base";
/// The elements, whole numbers.
pub const SCALED_VALUES: &str = "scaled_values";
/// The values of a row that has no whole elements.
pub const PLAIN_VALUES: &str = "plain_values";
/// Number of values.
pub const COUNT: &str = "count";
/// Their sum.
pub const SUM: &str = "sum";
/// The lowest.
pub const MIN: &str = "min";
/// The highest.
pub const MAX: &str = "max";

/// The type of a column of tag values.
pub fn tag_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The key of the format's number in a file's metadata.
pub const FORMAT_KEY: &str = "hesper.format";

/// The format that is written.
pub const FORMAT: &str = "2";

/// The field of an element of a list.
pub fn element_field(of: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", of, true))
}

/// The type of a list of elements, each of which may be missing.
pub fn list_of(element: DataType) -> DataType {
    DataType::List(element_field(element))
}

/// The fields of an entry of `more_tags`.
pub fn entry_fields() -> Fields {
    Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ])
}

/// Which keys have a column and which go into `more_tags`. The key `name` is not among them.
pub fn split_keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> (Vec<String>, BTreeSet<String>) {
    // Each row names its keys: most of them were seen before, and hashing is the quicker way to find that out.
    let keys: HashSet<&str> = keys.into_iter().filter(|k| *k != NAME).collect();
    let keys: BTreeSet<&str> = keys.into_iter().collect();
    let mut columns = Vec::new();
    let mut more = BTreeSet::new();
    let mut folded = BTreeSet::new();
    for key in keys {
        if columns.len() < MAX_TAG_COLUMNS && folded.insert(key.to_lowercase()) {
            columns.push(key.to_owned());
        } else {
            more.insert(key.to_owned());
        }
    }
    (columns, more)
}

/// How many of the fields are tags: name, `tag_columns` and the others.
pub(crate) fn tag_fields(tag_columns: &[String]) -> usize {
    1 + tag_columns.len() + 1
}

/// How many of the columns of a Parquet file are tags: the map of the others has two, keys and values.
pub(crate) fn tag_leaves(tag_columns: &[String]) -> usize {
    tag_fields(tag_columns) + 1
}

/// The fields that every file begins with: the tags, the time, the sequence, the divisor.
pub fn key_fields(tag_columns: &[String]) -> Vec<Field> {
    let mut fields = vec![Field::new(NAME, tag_type(), false)];
    for key in tag_columns {
        fields.push(Field::new(format!("{TAG_PREFIX}{key}"), tag_type(), true));
    }
    let entries = Field::new("entries", DataType::Struct(entry_fields()), false);
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    fields.extend([
        Field::new(MORE_TAGS, DataType::Map(Arc::new(entries), false), true),
        Field::new(START, time, false),
        Field::new(STEP_MS, DataType::Int32, false),
        Field::new(SEQUENCE, DataType::Int64, false),
        Field::new(DIVISOR, DataType::Float64, false),
    ]);
    fields
}

/// The schema of a file of raw data with these tag columns.
pub fn schema(tag_columns: &[String]) -> SchemaRef {
    let mut fields = key_fields(tag_columns);
    fields.extend([
        Field::new(BASE, DataType::Int64, false),
        Field::new(SCALED_VALUES, list_of(DataType::Int64), true),
        Field::new(PLAIN_VALUES, list_of(DataType::Float64), true),
        Field::new(COUNT, DataType::Int32, false),
        Field::new(SUM, DataType::Float64, true),
        Field::new(MIN, DataType::Float64, true),
        Field::new(MAX, DataType::Float64, true),
    ]);
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_differ_in_case_and_keys_beyond_the_limit_have_no_column() {
        let (columns, more) = split_keys(["name", "App", "app", "zone"]);
        assert_eq!(columns, ["App", "zone"]);
        assert_eq!(more, BTreeSet::from(["app".to_owned()]));
        let many: Vec<String> = (0..250).map(|i| format!("key{i:03}")).collect();
        let (columns, more) = split_keys(many.iter().map(String::as_str));
        assert_eq!((columns.len(), more.len()), (200, 50));
        assert!(more.contains("key249"));
    }
}
