//! The columns that rows of every kind begin with: tags, time, sequence.
//!
//! A row is added in two steps, tags and place; where the tags are those of another file, only its place is.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Builder, Int64Builder, MapBuilder, MapFieldNames, StringBuilder,
    StringDictionaryBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::Int32Type;
use hesper_model::tags::NAME;
use hesper_model::{Tags, Timestamp};

/// Builders of the columns up to `sequence`, in the order of the schema.
pub struct KeyColumns {
    /// The keys with a column, sorted.
    keys: Vec<String>,
    name: StringDictionaryBuilder<Int32Type>,
    tags: Vec<StringDictionaryBuilder<Int32Type>>,
    more: MapBuilder<StringBuilder, StringBuilder>,
    start: TimestampMillisecondBuilder,
    step: Int32Builder,
    sequence: Int64Builder,
}

impl KeyColumns {
    /// Columns for tags of which `keys`, which are sorted, have one each; all others go into the map.
    pub fn new(keys: Vec<String>) -> Self {
        let names = MapFieldNames {
            entry: "entries".to_owned(),
            key: "key".to_owned(),
            value: "value".to_owned(),
        };
        Self {
            name: StringDictionaryBuilder::new(),
            tags: keys
                .iter()
                .map(|_| StringDictionaryBuilder::new())
                .collect(),
            keys,
            more: MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new()),
            start: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            step: Int32Builder::new(),
            sequence: Int64Builder::new(),
        }
    }

    /// The keys with a column.
    pub fn into_keys(self) -> Vec<String> {
        self.keys
    }

    /// Adds the tags of a row.
    pub fn push_tags(&mut self, tags: &Tags) {
        self.name.append_value(tags.name().unwrap_or_default());
        let mut column = 0;
        let mut any = false;
        for (key, value) in tags.iter().filter(|(k, _)| *k != NAME) {
            while self.keys.get(column).is_some_and(|k| **k < *key) {
                self.tags[column].append_null();
                column += 1;
            }
            if self.keys.get(column).is_some_and(|k| **k == *key) {
                self.tags[column].append_value(value);
                column += 1;
            } else {
                self.more.keys().append_value(key);
                self.more.values().append_value(value);
                any = true;
            }
        }
        for column in &mut self.tags[column..] {
            column.append_null();
        }
        self.more
            .append(any)
            .expect("as many keys as values were added");
    }

    /// Adds time and sequence of a row.
    pub fn push_place(&mut self, start: Timestamp, step_millis: i64, sequence: u64) {
        self.start.append_value(start.0);
        self.step.append_value(step_millis as i32);
        self.sequence.append_value(sequence as i64);
    }

    /// The columns of the tags added since the last call.
    pub fn finish_tags(&mut self, arrays: &mut Vec<ArrayRef>) {
        arrays.push(Arc::new(self.name.finish()));
        for column in &mut self.tags {
            arrays.push(Arc::new(column.finish()));
        }
        arrays.push(Arc::new(self.more.finish()));
    }

    /// The other columns of the rows added since the last call, which come after those of the tags.
    pub fn finish_places(&mut self, arrays: &mut Vec<ArrayRef>) {
        arrays.extend::<[ArrayRef; 3]>([
            Arc::new(self.start.finish()),
            Arc::new(self.step.finish()),
            Arc::new(self.sequence.finish()),
        ]);
    }
}
