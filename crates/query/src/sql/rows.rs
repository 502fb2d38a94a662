//! From the cells of series to rows: a row for each cell that has data.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringViewArray,
    TimestampMillisecondArray, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use hesper_hot::fold::{FoldOp, slots_with_data};
use hesper_hot::scan::PartialScan;
use hesper_model::{Slot, Step};

use super::columns::{Column, Columns};

/// Rows of a batch, as DataFusion's own.
const BATCH_ROWS: usize = 8192;

/// The rows of a chunk, series by series, handed out batch by batch.
pub struct Rows {
    schema: SchemaRef,
    columns: Vec<Column>,
    /// The tags of the series, for the columns that are tags.
    tags: Vec<Option<StringViewArray>>,
    ops: Vec<FoldOp>,
    scans: Vec<PartialScan>,
    /// For each scan but the first, by series of the first: its number in that one.
    numbers: Vec<Vec<Option<u32>>>,
    step: Step,
    series: usize,
    cell: usize,
}

impl Rows {
    /// The rows of scans of the same cells, one for each operation.
    pub fn new(columns: &Columns, ops: &[FoldOp], scans: Vec<PartialScan>, step: Step) -> Self {
        let first = &scans[0].groups;
        let keys = || (0..first.len()).map(|series| first.key(series as u32));
        let tags_of = |column: &Column| match column {
            Column::Tag(key) => Some(keys().map(|tags| value(tags, key)).collect()),
            _ => None,
        };
        let others = scans.iter().skip(1);
        let numbers = others.map(|scan| {
            let groups = &scan.groups;
            keys().map(|key| groups.find(key)).collect()
        });
        Self {
            schema: columns.schema().clone(),
            columns: columns.all().to_vec(),
            tags: columns.all().iter().map(tags_of).collect(),
            ops: ops.to_vec(),
            numbers: numbers.collect(),
            step,
            series: 0,
            cell: 0,
            scans,
        }
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> usize {
        let tags = self.tags.iter().flatten();
        let tags: usize = tags.map(|t| t.get_array_memory_size()).sum();
        let cells: usize = self.scans.iter().map(|s| s.acc.size_bytes()).sum();
        tags + cells
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// Never, unless Arrow refuses the arrays.
    pub fn next_batch(&mut self, most: usize) -> Result<Option<RecordBatch>> {
        let most = most.min(BATCH_ROWS);
        let (mut series, mut cells) = (Vec::with_capacity(most), Vec::with_capacity(most));
        let layout = *self.scans[0].acc.layout();
        while self.series < self.scans[0].groups.len() && series.len() < most {
            let presence = self.scans[0].acc.presence(self.series);
            while self.cell < layout.cells && series.len() < most {
                if has_data(&layout, presence, self.cell) {
                    series.push(self.series as u32);
                    cells.push(self.cell);
                }
                self.cell += 1;
            }
            if self.cell == layout.cells {
                self.series += 1;
                self.cell = 0;
            }
        }
        if series.is_empty() {
            return Ok(None);
        }
        let indices = UInt32Array::from(series);
        let columns = self.columns.iter().zip(&self.tags);
        let arrays: Result<Vec<ArrayRef>> = columns
            .map(|(column, tags)| {
                Ok(match (column, tags) {
                    (Column::Tag(_), Some(tags)) => take(tags, &indices, None)?,
                    (Column::Cell(op), _) => self.cells_of(*op, &indices, &cells),
                    (Column::Value, _) => self.cells_of(self.ops[0], &indices, &cells),
                    _ => Arc::new(self.times(&cells)),
                })
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(indices.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays?, &options)?;
        Ok(Some(batch))
    }

    fn times(&self, cells: &[usize]) -> TimestampMillisecondArray {
        let layout = self.scans[0].acc.layout();
        let time = |cell: &usize| {
            let last = layout.first.0 + ((cell + 1) * layout.slots_per_cell) as i64 - 1;
            Slot(last).time(self.step).millis()
        };
        let times: TimestampMillisecondArray = cells.iter().map(time).collect::<Vec<_>>().into();
        times.with_timezone("UTC")
    }

    fn cells_of(&self, op: FoldOp, series: &UInt32Array, cells: &[usize]) -> ArrayRef {
        let at = self.ops.iter().position(|o| *o == op);
        let at = at.expect("every column's operation was asked for");
        let acc = &self.scans[at].acc;
        let rows = series.values().iter().zip(cells);
        // What came between two scans of the same cells is in one of them only: the other then has what an empty cell holds.
        let values = rows.map(|(series, cell)| {
            let series = match at {
                0 => Some(*series),
                at => self.numbers[at - 1][*series as usize],
            };
            series.map_or(f64::NAN, |series| acc.values(series as usize)[*cell])
        });
        match op {
            FoldOp::Count => Arc::new(values.map(|v| v as i64).collect::<Int64Array>()),
            _ => Arc::new(values.collect::<Float64Array>()),
        }
    }
}

fn has_data(layout: &hesper_hot::fold::CellLayout, presence: &[u64], cell: usize) -> bool {
    if layout.slots_per_cell > 1 {
        return slots_with_data(layout, presence, cell) > 0;
    }
    let slot = Slot(layout.first.0 + cell as i64);
    let window = (slot.window().0 - layout.first.window().0) as usize;
    presence[window] >> slot.position() & 1 == 1
}

/// The value of a key among keys and values, one after another.
fn value<'a>(tags: &'a [Arc<str>], key: &str) -> Option<&'a str> {
    let mut pairs = tags.chunks_exact(2);
    pairs.find(|pair| *pair[0] == *key).map(|pair| &*pair[1])
}
