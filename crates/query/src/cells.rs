//! Partial aggregates as Arrow batches: what travels between plan nodes, and later between machines.
//!
//! | column | type | holds |
//! |---|---|---|
//! | `group` | list of text | the identity of the group: nothing, the values of its keys, or all tags of a series |
//! | `values` | list of double | a value for each cell; one without data holds a neutral number |
//! | `presence` | list of uint64 | for each window, the slots in which any series had data |
//! | `rate_item`, `gauge_item` | uint64 | the lowest item ids among rates and among gauges |

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, Float64Array, ListArray, ListBuilder,
    RecordBatch, StringArray, StringBuilder, UInt64Array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{
    ArrowNativeType, DataType, Field, Float64Type, Schema, SchemaRef, UInt64Type,
};
use datafusion::error::{DataFusionError, Result};
use hesper_hot::fold::{Accumulator, CellLayout, FoldOp};
use hesper_hot::groups::{GroupTable, LowestItems, TooManyGroups};

fn element(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", data_type, false))
}

/// The schema of all partial aggregates.
pub static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("group", DataType::List(element(DataType::Utf8)), false),
        Field::new("values", DataType::List(element(DataType::Float64)), false),
        Field::new("presence", DataType::List(element(DataType::UInt64)), false),
        Field::new("rate_item", DataType::UInt64, true),
        Field::new("gauge_item", DataType::UInt64, true),
    ]))
});

/// The groups of an accumulator as a batch. Its cells are not copied.
///
/// # Errors
/// Never, unless Arrow refuses the arrays.
pub fn to_batch(groups: &GroupTable, acc: Accumulator) -> Result<RecordBatch> {
    let n = groups.len();
    let mut keys = ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8));
    for group in 0..n {
        for part in groups.key(group as u32) {
            keys.values().append_value(part);
        }
        keys.append(true);
    }
    // Groups may have been made without a value since the accumulator grew last.
    let mut acc = acc;
    acc.grow(n);
    let (values, presence) = acc.into_parts();
    let lowest = || (0..n).map(|g| groups.lowest(g as u32));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(keys.finish()),
        Arc::new(even_lists(
            DataType::Float64,
            n,
            Arc::new(Float64Array::from(values)),
        )?),
        Arc::new(even_lists(
            DataType::UInt64,
            n,
            Arc::new(UInt64Array::from(presence)),
        )?),
        Arc::new(lowest().map(|l| l.rate).collect::<UInt64Array>()),
        Arc::new(lowest().map(|l| l.gauge).collect::<UInt64Array>()),
    ];
    Ok(RecordBatch::try_new(SCHEMA.clone(), columns)?)
}

/// Lists of the same length, one after another.
fn even_lists(data_type: DataType, lists: usize, elements: ArrayRef) -> Result<ListArray> {
    let length = elements.len().checked_div(lists).unwrap_or(0);
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(length, lists));
    Ok(ListArray::try_new(
        element(data_type),
        offsets,
        elements,
        None,
    )?)
}

/// Brings the groups of batches together: afterwards each is in one row of one batch. Counts are counted already, so `op` is how partial
/// results meet. Cells are not moved where no group is in two batches, as those of a key that tells all series apart never are.
///
/// # Errors
/// When a batch is not of the schema, or there are more groups than `max_groups`, as `too_many` words it.
pub fn merge_batches(
    batches: Vec<RecordBatch>,
    op: FoldOp,
    layout: CellLayout,
    max_groups: usize,
    too_many: impl Fn(TooManyGroups) -> DataFusionError,
) -> Result<Vec<RecordBatch>> {
    let mut groups = GroupTable::new(max_groups);
    let mut numbered = Vec::with_capacity(batches.len());
    for batch in &batches {
        let columns = Columns::of(batch)?;
        let mut numbers = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let number = groups.number(&columns.key(row)).map_err(&too_many)?;
            groups.lowest_mut(number).merge(&columns.lowest(row));
            numbers.push(number);
        }
        numbered.push((columns, numbers));
    }
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows == groups.len() {
        return Ok(batches);
    }
    let mut acc = Accumulator::new(op, layout);
    // Once all are known: cells are not moved about.
    acc.grow(groups.len());
    for (columns, numbers) in &numbered {
        for (row, number) in numbers.iter().enumerate() {
            acc.merge_group(*number, columns.values(row), columns.presence(row));
        }
    }
    Ok(vec![to_batch(&groups, acc)?])
}

/// What a cell without data holds.
pub(crate) const fn neutral(op: FoldOp) -> f64 {
    match op {
        FoldOp::Sum | FoldOp::Count => 0.0,
        FoldOp::Min => f64::INFINITY,
        FoldOp::Max => f64::NEG_INFINITY,
    }
}

/// The columns of a batch of partial aggregates.
pub struct Columns<'a> {
    groups: &'a ListArray,
    texts: &'a StringArray,
    values: Lists<'a, f64>,
    presence: Lists<'a, u64>,
    rate_item: &'a UInt64Array,
    gauge_item: &'a UInt64Array,
}

/// A column of lists of numbers.
struct Lists<'a, T> {
    offsets: &'a [i32],
    elements: &'a [T],
}

impl<'a, T: ArrowNativeType> Lists<'a, T> {
    fn of<A: ArrowPrimitiveType<Native = T>>(column: &'a dyn Array) -> Self {
        let lists: &ListArray = column.as_list();
        Self {
            offsets: lists.value_offsets(),
            elements: lists.values().as_primitive::<A>().values(),
        }
    }

    fn get(&self, row: usize) -> &'a [T] {
        &self.elements[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

impl<'a> Columns<'a> {
    /// The columns of a batch.
    ///
    /// # Errors
    /// When the batch is not of the schema.
    pub fn of(batch: &'a RecordBatch) -> Result<Self> {
        if batch.schema_ref().fields() != SCHEMA.fields() {
            return Err(DataFusionError::Internal(format!(
                "a batch of partial aggregates has the schema {}",
                batch.schema()
            )));
        }
        let groups: &ListArray = batch.column(0).as_list();
        Ok(Self {
            groups,
            texts: groups.values().as_string(),
            values: Lists::of::<Float64Type>(batch.column(1)),
            presence: Lists::of::<UInt64Type>(batch.column(2)),
            rate_item: batch.column(3).as_primitive(),
            gauge_item: batch.column(4).as_primitive(),
        })
    }

    /// Number of groups.
    pub fn rows(&self) -> usize {
        self.groups.len()
    }

    /// The identity of a group.
    pub fn key(&self, row: usize) -> Vec<Arc<str>> {
        let offsets = self.groups.value_offsets();
        let parts = offsets[row] as usize..offsets[row + 1] as usize;
        parts.map(|i| Arc::from(self.texts.value(i))).collect()
    }

    /// The cells of a group.
    pub fn values(&self, row: usize) -> &'a [f64] {
        self.values.get(row)
    }

    /// The masks of a group.
    pub fn presence(&self, row: usize) -> &'a [u64] {
        self.presence.get(row)
    }

    /// The lowest item ids of a group.
    pub fn lowest(&self, row: usize) -> LowestItems {
        let of = |column: &UInt64Array| column.is_valid(row).then(|| column.value(row));
        LowestItems {
            rate: of(self.rate_item),
            gauge: of(self.gauge_item),
        }
    }
}

#[cfg(test)]
mod tests {
    use hesper_hot::fold::{WindowPart, slots_with_data};
    use hesper_model::{Block, DataSource, Slot, Window};

    use super::*;

    const LAYOUT: CellLayout = CellLayout {
        first: Slot(50),
        cells: 20,
        slots_per_cell: 1,
    };

    /// A batch of groups, each with a value in the fourth slot of the second window.
    fn batch(keys: &[&str]) -> RecordBatch {
        let mut groups = GroupTable::new(10);
        let mut acc = Accumulator::new(FoldOp::Sum, LAYOUT);
        for (i, key) in keys.iter().enumerate() {
            let number = groups.number(&[(*key).into(), "x".into()]).expect("room");
            groups.lowest_mut(number).add(DataSource::Gauge, i as u64);
            acc.grow(groups.len());
            let part = WindowPart::of(&LAYOUT, Window(1)).expect("inside");
            let mut block = Block::EMPTY;
            block.0[3] = 1.5 + i as f64;
            acc.fold_block(number, &part, &block);
        }
        to_batch(&groups, acc).expect("a batch")
    }

    fn merged(batches: Vec<RecordBatch>, max_groups: usize) -> Result<Vec<RecordBatch>> {
        let too_many = |e: TooManyGroups| DataFusionError::Internal(e.to_string());
        merge_batches(batches, FoldOp::Sum, LAYOUT, max_groups, too_many)
    }

    #[test]
    fn what_is_sent_arrives() {
        let batches = merged(vec![batch(&["a", "b"]), batch(&["a", "b"])], 10).expect("merged");
        assert_eq!((batches.len(), batches[0].num_rows()), (1, 2));
        let columns = Columns::of(&batches[0]).expect("of the schema");
        assert_eq!(columns.key(1), ["b".into(), "x".into()]);
        assert_eq!(columns.lowest(1).gauge, Some(1));
        let cell = (Window(1).first_slot().0 + 3 - 50) as usize;
        assert_eq!(
            (columns.values(0)[cell], columns.values(1)[cell]),
            (3.0, 5.0)
        );
        let data = |cell| slots_with_data(&LAYOUT, columns.presence(0), cell);
        assert_eq!((data(cell), data(cell + 1)), (1, 0));
    }

    #[test]
    fn groups_that_do_not_meet_stay_where_they_are() {
        let sent = [batch(&["a", "b"]), batch(&[]), batch(&["c"])];
        let batches = merged(sent.to_vec(), 3).expect("merged");
        assert_eq!(batches, sent);
        let values = |b: &RecordBatch| Columns::of(b).expect("of the schema").values(0).as_ptr();
        assert_eq!(values(&batches[2]), values(&sent[2]));
        let error = merged(sent.to_vec(), 2).expect_err("three groups");
        assert!(error.to_string().contains("too many lines"), "{error}");
    }

    #[test]
    fn no_groups_make_an_empty_batch() {
        let acc = Accumulator::new(FoldOp::Max, LAYOUT);
        let batch = to_batch(&GroupTable::new(1), acc).expect("a batch");
        assert_eq!(batch.num_rows(), 0);
    }
}
