//! Reading data files: their index, and the values of selected rows.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Float64Array, Int32Array, Int64Array, ListArray,
    PrimitiveArray, RecordBatch,
};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::basic::Type;
use parquet::data_type::{DoubleType, Int32Type as ParquetInt32, Int64Type as ParquetInt64};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::SchemaDescriptor;
use roaring::RoaringBitmap;

use crate::file_index::{BadColumn, FileIndex, FileIndexBuilder, is_indexed};
use crate::layout;
use crate::objects::Objects;
use crate::rows::{Flat, Lists, RowGroup, RowReader, in_column};
use crate::{DataFile, HistoryError};

/// Rows of a record batch while reading tags. Each batch comes with the dictionaries of its row group.
const INDEX_BATCH_ROWS: usize = 32_768;

/// The columns that values are computed from.
pub(crate) const VALUE_COLUMNS: [&str; 6] = [
    layout::DIVISOR,
    layout::BASE,
    layout::SCALED_VALUES,
    layout::PLAIN_VALUES,
    layout::COUNT,
    layout::SUM,
];

/// A data file on the object store, for the Parquet reader.
pub(crate) struct ObjectReader {
    objects: Objects,
    path: Path,
    bytes: u64,
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for ObjectReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let read = async move { self.objects.get_range(&self.path, range).await };
        read.map(|r| r.map_err(external)).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        let read = async move { self.objects.get_ranges(&self.path, &ranges).await };
        read.map(|r| r.map_err(external)).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let bytes = self.bytes;
            let reader = ParquetMetaDataReader::new()
                .with_page_index_policy(PageIndexPolicy::Optional)
                .with_prefetch_hint(Some(64 << 10));
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}

/// A reader of a file.
pub(crate) fn open(objects: &Objects, file: &DataFile) -> ObjectReader {
    ObjectReader {
        objects: objects.clone(),
        path: Path::from(file.path.as_str()),
        bytes: file.bytes,
    }
}

/// Runs a reading of a file to its end. The Parquet and Arrow readers panic on some damaged files, on schemas they do not know for one: such a
/// file is an error like any other.
pub(crate) async fn contained<T>(
    file: &DataFile,
    reading: impl Future<Output = Result<T, HistoryError>>,
) -> Result<T, HistoryError> {
    match AssertUnwindSafe(reading).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let text = text.unwrap_or("no reason given");
            Err(HistoryError::file(
                &file.path,
                format!("it is damaged, the reader gave up: {text}"),
            ))
        }
    }
}

/// Reads the tags of all rows of a file.
///
/// # Errors
/// When the file cannot be read or is not of the layout.
pub async fn read_index(objects: &Objects, file: &DataFile) -> Result<FileIndex, HistoryError> {
    contained(file, index_of(objects, file)).await
}

async fn index_of(objects: &Objects, file: &DataFile) -> Result<FileIndex, HistoryError> {
    let failed = |e: &dyn std::fmt::Display| HistoryError::file(&file.path, e);
    let builder = ParquetRecordBatchStreamBuilder::new(open(objects, file))
        .await
        .map_err(|e| failed(&e))?;
    let metadata = builder.metadata().clone();
    let mask = projection(builder.parquet_schema(), is_indexed);
    let mut batches = builder
        .with_projection(mask)
        .with_batch_size(INDEX_BATCH_ROWS)
        .build()
        .map_err(|e| failed(&e))?;
    let mut index = FileIndexBuilder::default();
    while let Some(batch) = batches.try_next().await.map_err(|e| failed(&e))? {
        index.add(&batch).map_err(|e| failed(&e))?;
    }
    Ok(index.finish(metadata))
}

/// Reads the tag keys that a file has, `name` excepted, from its footer. Of a file that has more keys than columns the index is made.
///
/// # Errors
/// When the file cannot be read or is not of the layout.
pub async fn read_keys(objects: &Objects, file: &DataFile) -> Result<Vec<Arc<str>>, HistoryError> {
    let (keys, more) = contained(file, footer_keys(objects, file)).await?;
    if !more {
        return Ok(keys);
    }
    let index = read_index(objects, file).await?;
    let mut keys = index.keys(None, None, usize::MAX);
    keys.retain(|key| **key != *layout::NAME);
    Ok(keys)
}

/// The keys that have columns, and whether there may be others.
async fn footer_keys(
    objects: &Objects,
    file: &DataFile,
) -> Result<(Vec<Arc<str>>, bool), HistoryError> {
    let metadata = open(objects, file).get_metadata(None).await;
    let metadata = metadata.map_err(|e| HistoryError::file(&file.path, e))?;
    let schema = metadata.file_metadata().schema_descr();
    let columns = schema.root_schema().get_fields().iter();
    let keys = columns.filter_map(|c| c.name().strip_prefix(layout::TAG_PREFIX));
    let keys = keys.map(Arc::from).collect();
    let chunks = metadata.row_groups().iter().flat_map(|g| g.columns());
    let mut of_map = chunks.filter(|c| c.column_path().parts()[0] == layout::MORE_TAGS);
    let more = of_map.any(|chunk| {
        let nulls = chunk.statistics().and_then(|s| s.null_count_opt());
        nulls != u64::try_from(chunk.num_values()).ok()
    });
    Ok((keys, more))
}

/// Rows of a file that are about to be read: the first of them are fetched.
pub struct OpenRows {
    /// The file.
    pub file: Arc<DataFile>,
    /// Its index.
    pub index: Arc<FileIndex>,
    pub(crate) reader: RowReader,
}

/// Fetches the first of the rows to read values of.
///
/// # Errors
/// When the file cannot be read or does not have the rows.
pub(crate) async fn open_values(
    objects: &Objects,
    file: &DataFile,
    index: &FileIndex,
    rows: &RoaringBitmap,
) -> Result<RowReader, HistoryError> {
    let columns = &VALUE_COLUMNS;
    let opening = RowReader::open(objects, file, &index.metadata, rows, columns);
    contained(file, opening).await
}

/// Hands the row groups that a reader has rows of to `take`, one after another.
///
/// # Errors
/// When the file cannot be read, or `take` says what is wrong with a row group.
pub(crate) async fn each_group(
    file: &DataFile,
    mut reader: RowReader,
    mut take: impl FnMut(&RowGroup) -> Result<(), String>,
) -> Result<(), HistoryError> {
    let reading = async {
        while let Some(group) = reader.next().await? {
            take(&group).map_err(|e| HistoryError::file(&file.path, e))?;
        }
        Ok(())
    };
    contained(file, reading).await
}

/// Reads the values of rows and hands each row's to `row`, in the order of the rows. NaN is no data; so is what the index hides.
///
/// # Errors
/// When the file cannot be read, is not of the layout, or a row's values are not those that its count and sum were made of.
pub(crate) async fn read_values(
    file: &DataFile,
    index: &FileIndex,
    reader: RowReader,
    mut row: impl FnMut(u32, &[f64]),
) -> Result<(), HistoryError> {
    let mut values = Vec::new();
    let take = |group: &RowGroup| group_values(index, group, &mut values, &mut row);
    each_group(file, reader, take).await
}

fn group_values(
    index: &FileIndex,
    group: &RowGroup,
    values: &mut Vec<f64>,
    row: &mut impl FnMut(u32, &[f64]),
) -> Result<(), String> {
    let mut columns = GroupValues::of(group)?;
    for (at, (in_group, position)) in group.rows().enumerate() {
        let read = columns.values(at, in_group, values);
        read.map_err(|e| format!("row {position}: {e}"))?;
        hide(index, position, values);
        row(position, values);
    }
    Ok(())
}

/// The columns whose name passes the test.
pub(crate) fn projection(
    schema: &SchemaDescriptor,
    wanted: impl Fn(&str) -> bool,
) -> ProjectionMask {
    let fields = schema.root_schema().get_fields().iter().enumerate();
    let roots: Vec<usize> = fields
        .filter(|(_, field)| wanted(field.name()))
        .map(|(root, _)| root)
        .collect();
    ProjectionMask::roots(schema, roots)
}

/// Takes out what the index hides of a row.
fn hide(index: &FileIndex, row: u32, values: &mut [f64]) {
    let first = index.row(row).first.0;
    for hidden in index.hidden(row) {
        let from = (hidden.first.0 - first).clamp(0, values.len() as i64) as usize;
        let to = (hidden.last.0 + 1 - first).clamp(0, values.len() as i64) as usize;
        values[from..to.max(from)].fill(f64::NAN);
    }
}

/// The values of the selected rows of a row group, in format 1 or 2.
struct GroupValues<'a> {
    group: &'a RowGroup,
    divisor: Flat<DoubleType>,
    lists: ValueLists,
    count: Flat<ParquetInt32>,
    sum: Flat<DoubleType>,
}

enum ValueLists {
    Whole(Box<WholeLists>),
    /// Format 1: doubles that are to be divided.
    Divided(Box<Lists<f64>>),
}

/// Whole numbers with the base of each row, and the values of the rows that have none; those are decoded when such a row comes.
struct WholeLists {
    base: Flat<ParquetInt64>,
    scaled: Lists<i64>,
    plain: Option<Lists<f64>>,
}

impl<'a> GroupValues<'a> {
    fn of(group: &'a RowGroup) -> Result<Self, String> {
        let lists = match group.physical_type(layout::SCALED_VALUES) {
            Some(Type::DOUBLE) => {
                ValueLists::Divided(Box::new(group.lists(layout::SCALED_VALUES)?))
            }
            _ => ValueLists::Whole(Box::new(WholeLists {
                base: group.flat(layout::BASE)?,
                scaled: group.lists(layout::SCALED_VALUES)?,
                plain: None,
            })),
        };
        Ok(Self {
            group,
            divisor: group.flat(layout::DIVISOR)?,
            lists,
            count: group.flat(layout::COUNT)?,
            sum: group.flat(layout::SUM)?,
        })
    }

    /// Computes the values of the n-th selected row, which is `row` in its row group, and checks them against its count and sum.
    fn values(&mut self, n: usize, row: u32, out: &mut Vec<f64>) -> Result<(), String> {
        let divisor = *self.divisor.get(n).ok_or("it has no divisor")?;
        out.clear();
        let scaled = in_column(layout::SCALED_VALUES);
        match &mut self.lists {
            ValueLists::Divided(lists) => match lists.row(row).map_err(scaled)? {
                Some(list) => list.put(out, |v| v / divisor),
                None => return Err("it has no values".to_owned()),
            },
            ValueLists::Whole(lists) => match lists.scaled.row(row).map_err(scaled)? {
                Some(list) => {
                    let base = *lists.base.get(n).ok_or("it has no base")?;
                    list.put(out, |e| base.wrapping_add(e) as f64 / divisor);
                }
                None => {
                    let plain = match &mut lists.plain {
                        Some(plain) => plain,
                        none => none.insert(self.group.lists(layout::PLAIN_VALUES)?),
                    };
                    match plain.row(row).map_err(in_column(layout::PLAIN_VALUES))? {
                        Some(list) => list.put(out, |v| v),
                        None => return Err("it has no values".to_owned()),
                    }
                }
            },
        }
        let count = self.count.get(n).copied().unwrap_or_default();
        check(out, count, self.sum.get(n).copied()).map_err(str::to_owned)
    }
}

/// Checks values against what a row says of them.
fn check(values: &[f64], count: i32, stored: Option<f64>) -> Result<(), &'static str> {
    let (mut found, mut sum) = (0, None);
    for v in values.iter().filter(|v| !v.is_nan()) {
        found += 1;
        sum = Some(sum.map_or(*v, |s: f64| s + v));
    }
    if found != count {
        return Err("its values are not as many as its count");
    }
    if sum.map(f64::to_bits) != stored.map(f64::to_bits) {
        return Err("its values do not add up to its sum");
    }
    Ok(())
}

/// The columns that a row's values are computed from, in format 1 or 2.
pub(crate) struct ValueColumns<'a> {
    divisor: &'a Float64Array,
    scaled: Option<(&'a Int64Array, Elements<'a, Int64Type>)>,
    plain: Option<Elements<'a, Float64Type>>,
    /// Format 1: doubles that are to be divided.
    divided: Option<Elements<'a, Float64Type>>,
    count: &'a Int32Array,
    sum: &'a Float64Array,
}

impl<'a> ValueColumns<'a> {
    /// The columns of a batch.
    ///
    /// # Errors
    /// When a column is missing or of another type.
    pub fn of(batch: &'a RecordBatch) -> Result<Self, BadColumn> {
        let scaled = list(batch, layout::SCALED_VALUES)?;
        let doubles = scaled.value_type() == DataType::Float64;
        Ok(Self {
            divisor: primitive::<Float64Type>(batch, layout::DIVISOR)?,
            scaled: (!doubles)
                .then(|| {
                    let base = primitive::<Int64Type>(batch, layout::BASE)?;
                    Ok((base, Elements::of(scaled, layout::SCALED_VALUES)?))
                })
                .transpose()?,
            plain: (!doubles)
                .then(|| Elements::of(list(batch, layout::PLAIN_VALUES)?, layout::PLAIN_VALUES))
                .transpose()?,
            divided: doubles
                .then(|| Elements::of(scaled, layout::SCALED_VALUES))
                .transpose()?,
            count: primitive::<Int32Type>(batch, layout::COUNT)?,
            sum: primitive::<Float64Type>(batch, layout::SUM)?,
        })
    }

    /// Computes the values of a row and checks them against its count and sum.
    pub fn values(&self, row: usize, out: &mut Vec<f64>) -> Result<(), &'static str> {
        let divisor = self.divisor.value(row);
        out.clear();
        let scaled = self.scaled.as_ref().is_some_and(|(base, elements)| {
            let base = base.value(row);
            elements.read(row, out, |e| base.wrapping_add(e) as f64 / divisor)
        });
        let found = scaled
            || (self.plain.as_ref()).is_some_and(|e| e.read(row, out, |v| v))
            || (self.divided.as_ref()).is_some_and(|e| e.read(row, out, |v| v / divisor));
        if !found {
            return Err("it has no values");
        }
        let stored = self.sum.is_valid(row).then(|| self.sum.value(row));
        check(out, self.count.value(row), stored)
    }
}

/// A list column, with the elements of all its rows.
pub(crate) struct Elements<'a, T: ArrowPrimitiveType> {
    lists: &'a ListArray,
    elements: &'a PrimitiveArray<T>,
}

impl<'a, T: ArrowPrimitiveType> Elements<'a, T> {
    /// The elements of a column that is called `name`.
    pub fn of(lists: &'a ListArray, name: &str) -> Result<Self, BadColumn> {
        let elements = lists.values().as_primitive_opt::<T>();
        let elements = elements.ok_or_else(|| BadColumn(name.to_owned()))?;
        Ok(Self { lists, elements })
    }

    /// Appends the values of a row, NaN where there is no data; false when the row has no list here.
    pub fn read(&self, row: usize, out: &mut Vec<f64>, value: impl Fn(T::Native) -> f64) -> bool {
        if self.lists.is_null(row) {
            return false;
        }
        let offsets = self.lists.value_offsets();
        let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
        let begin = out.len();
        out.extend(self.elements.values()[from..to].iter().map(|e| value(*e)));
        if self.elements.null_count() > 0 {
            for (i, value) in out[begin..].iter_mut().enumerate() {
                if self.elements.is_null(from + i) {
                    *value = f64::NAN;
                }
            }
        }
        true
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, BadColumn> {
    batch
        .column_by_name(name)
        .ok_or_else(|| BadColumn(name.to_owned()))
}

/// A column of numbers.
pub(crate) fn primitive<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a PrimitiveArray<T>, BadColumn> {
    column(batch, name)?
        .as_primitive_opt::<T>()
        .ok_or_else(|| BadColumn(name.to_owned()))
}

/// A column of lists.
pub(crate) fn list<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ListArray, BadColumn> {
    column(batch, name)?
        .as_list_opt::<i32>()
        .ok_or_else(|| BadColumn(name.to_owned()))
}
