//! Rows to Parquet: a file in memory, ready to be put on the object store.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Builder, Int32Builder, Int64Builder, ListBuilder, MapBuilder, MapFieldNames,
    StringBuilder, StringDictionaryBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::Int32Type;
use arrow::record_batch::RecordBatch;
use hesper_hot::codec::Divisors;
use hesper_hot::store::FlushRow;
use hesper_model::{BLOCK_SLOTS, Step};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::HistoryError;
use crate::layout::{self, split_keys};

/// Rows of a record batch on their way into the file.
const BATCH_ROWS: usize = 8192;

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 65_536;

/// Columns with a bloom filter, beside the page index that every column has.
const BLOOM_COLUMNS: [&str; 3] = ["name", "tag.nf.app", "tag.nf.cluster"];

/// A data file, encoded.
#[derive(Clone, Debug)]
pub struct EncodedFile {
    /// The Parquet file.
    pub bytes: bytes::Bytes,
    /// Its rows.
    pub rows: u64,
    /// Datapoints in them.
    pub datapoints: u64,
    /// The lowest and the highest name.
    pub names: (String, String),
    /// The first and the last slot that the rows cover.
    pub slots: (i64, i64),
}

/// Encodes rows, sorted by name, tags and window, as a data file. `sequence` decides which of two rows of a series counts.
///
/// # Errors
/// When Parquet refuses them.
///
/// # Panics
/// When there is no row.
pub fn encode(rows: &[FlushRow], step: Step, sequence: u64) -> Result<EncodedFile, HistoryError> {
    let (columns, more) = split_keys(rows.iter().flat_map(|r| r.tags.iter().map(|(k, _)| k)));
    let schema = layout::schema(&columns);
    let failed = |e: &dyn std::fmt::Display| HistoryError::file("(being written)", e);
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties()))
        .map_err(|e| failed(&e))?;
    let divisors = Divisors::new(step);
    let mut datapoints = 0;
    for chunk in rows.chunks(BATCH_ROWS) {
        let mut batch = Columns::new(columns.len());
        for row in chunk {
            datapoints += batch.push(row, &columns, &more, step, sequence, &divisors);
        }
        let batch = RecordBatch::try_new(schema.clone(), batch.finish()).map_err(|e| failed(&e))?;
        writer.write(&batch).map_err(|e| failed(&e))?;
    }
    let bytes = writer.into_inner().map_err(|e| failed(&e))?;
    let name = |row: &FlushRow| row.tags.name().unwrap_or_default().to_owned();
    let windows = || rows.iter().map(|r| r.window);
    Ok(EncodedFile {
        bytes: bytes.into(),
        rows: rows.len() as u64,
        datapoints,
        names: (name(&rows[0]), name(&rows[rows.len() - 1])),
        slots: (
            windows().min().expect("a row").first_slot().0,
            windows().max().expect("a row").last_slot().0,
        ),
    })
}

fn properties() -> WriterProperties {
    let values = ColumnPath::new(vec![
        layout::SCALED_VALUES.to_owned(),
        "list".to_owned(),
        "element".to_owned(),
    ]);
    // Rows of a name lie in the order of their tags as pairs, which is no order by columns: only the name is declared.
    let sorting = SortingColumn {
        column_idx: 0,
        descending: false,
        nulls_first: false,
    };
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("hesper {}", env!("CARGO_PKG_VERSION")))
        .set_key_value_metadata(Some(vec![KeyValue::new(
            "hesper.format".to_owned(),
            "1".to_owned(),
        )]))
        .set_compression(Compression::ZSTD(
            ZstdLevel::try_new(3).expect("a level of zstd"),
        ))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_sorting_columns(Some(vec![sorting]))
        .set_column_dictionary_enabled(values.clone(), false)
        .set_column_encoding(values, Encoding::BYTE_STREAM_SPLIT);
    for column in BLOOM_COLUMNS {
        let path = ColumnPath::new(vec![column.to_owned()]);
        properties = properties.set_column_bloom_filter_enabled(path, true);
    }
    properties.build()
}

/// Builders for the columns of a record batch, in the order of the schema.
struct Columns {
    name: StringDictionaryBuilder<Int32Type>,
    tags: Vec<StringDictionaryBuilder<Int32Type>>,
    more: MapBuilder<StringBuilder, StringBuilder>,
    start: TimestampMillisecondBuilder,
    step: Int32Builder,
    sequence: Int64Builder,
    divisor: Float64Builder,
    values: ListBuilder<Float64Builder>,
    count: Int32Builder,
    sum: Float64Builder,
    min: Float64Builder,
    max: Float64Builder,
}

impl Columns {
    fn new(tag_columns: usize) -> Self {
        let names = MapFieldNames {
            entry: "entries".to_owned(),
            key: "key".to_owned(),
            value: "value".to_owned(),
        };
        Self {
            name: StringDictionaryBuilder::new(),
            tags: (0..tag_columns)
                .map(|_| StringDictionaryBuilder::new())
                .collect(),
            more: MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new()),
            start: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            step: Int32Builder::new(),
            sequence: Int64Builder::new(),
            divisor: Float64Builder::new(),
            values: ListBuilder::new(Float64Builder::new()).with_field(layout::element_field()),
            count: Int32Builder::new(),
            sum: Float64Builder::new(),
            min: Float64Builder::new(),
            max: Float64Builder::new(),
        }
    }

    /// Adds a row and gives the number of its datapoints.
    fn push(
        &mut self,
        row: &FlushRow,
        columns: &[String],
        more: &std::collections::BTreeSet<String>,
        step: Step,
        sequence: u64,
        divisors: &Divisors,
    ) -> u64 {
        self.name.append_value(row.tags.name().unwrap_or_default());
        for (key, column) in columns.iter().zip(&mut self.tags) {
            column.append_option(row.tags.get(key));
        }
        let mut any = false;
        for (key, value) in row.tags.iter().filter(|(k, _)| more.contains(*k)) {
            self.more.keys().append_value(key);
            self.more.values().append_value(value);
            any = true;
        }
        self.more
            .append(any)
            .expect("as many keys as values were added");
        let start = row.window.first_slot().time(step);
        self.start.append_value(start.0);
        self.step.append_value(step.millis() as i32);
        self.sequence.append_value(sequence as i64);
        let mut present = [0.0; BLOCK_SLOTS];
        let mut count = 0;
        for v in row.block.0.iter().filter(|v| !v.is_nan()) {
            present[count] = *v;
            count += 1;
        }
        let present = &present[..count];
        let divisor = divisors.for_values(present).unwrap_or(1.0);
        self.divisor.append_value(divisor);
        let elements = self.values.values();
        for v in row.block.0 {
            if v.is_nan() {
                elements.append_null();
            } else if divisor == 1.0 {
                elements.append_value(v);
            } else {
                elements.append_value((v * divisor).round());
            }
        }
        self.values.append(true);
        self.count.append_value(count as i32);
        let summary = Summary::of(present);
        self.sum.append_option(summary.map(|s| s.sum));
        self.min.append_option(summary.map(|s| s.min));
        self.max.append_option(summary.map(|s| s.max));
        count as u64
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(self.name.finish())];
        for mut column in self.tags {
            arrays.push(Arc::new(column.finish()));
        }
        arrays.extend::<[ArrayRef; 10]>([
            Arc::new(self.more.finish()),
            Arc::new(self.start.finish()),
            Arc::new(self.step.finish()),
            Arc::new(self.sequence.finish()),
            Arc::new(self.divisor.finish()),
            Arc::new(self.values.finish()),
            Arc::new(self.count.finish()),
            Arc::new(self.sum.finish()),
            Arc::new(self.min.finish()),
            Arc::new(self.max.finish()),
        ]);
        arrays
    }
}

/// What the columns `sum`, `min` and `max` hold of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The sum, added in the order of time.
    pub sum: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Summary {
    /// The summary of values without NaN; `None` for none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let (first, rest) = values.split_first()?;
        let mut summary = Self {
            sum: *first,
            min: *first,
            max: *first,
        };
        for v in rest {
            summary.sum += v;
            summary.min = summary.min.min(*v);
            summary.max = summary.max.max(*v);
        }
        Some(summary)
    }
}
