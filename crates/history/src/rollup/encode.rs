//! Rows of roll-ups to Parquet.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{BinaryBuilder, Float64Builder, Int32Builder, Int64Builder, ListBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use hesper_hot::codec::Divisors;
use hesper_model::{Step, Tags};

use super::{CELL_SLOTS, COUNTS, MAXS, MINS, PRESENCE, RollupCells, SUMS};
use crate::HistoryError;
use crate::encode::{Elements, EncodedFile, KeyColumns, RowFile, Scale, Summary, properties};
use crate::layout::{self, element_field, list_of};

/// A sum that a whole element gives may differ from the sum of doubles by their rounding.
const ROUNDING: f64 = 1e-12;

fn schema(tag_columns: &[String]) -> SchemaRef {
    let mut fields = layout::key_fields(tag_columns);
    fields.extend([
        Field::new(CELL_SLOTS, DataType::Int32, false),
        Field::new(COUNTS, list_of(DataType::Int32), false),
    ]);
    for [scaled, plain] in [SUMS, MINS, MAXS] {
        fields.push(Field::new(scaled, list_of(DataType::Int64), true));
        fields.push(Field::new(plain, list_of(DataType::Float64), true));
    }
    fields.extend([
        Field::new(PRESENCE, DataType::Binary, true),
        Field::new(layout::COUNT, DataType::Int64, false),
        Field::new(layout::SUM, DataType::Float64, true),
        Field::new(layout::MIN, DataType::Float64, true),
        Field::new(layout::MAX, DataType::Float64, true),
    ]);
    Arc::new(Schema::new(fields))
}

/// Writes a file of a roll-up, row by row, into memory.
pub(crate) struct RollupWriter {
    file: RowFile,
    keys: KeyColumns,
    divisor: Float64Builder,
    cell_slots: Int32Builder,
    counts: ListBuilder<Int32Builder>,
    /// Sums, lowest and highest.
    lists: [Elements; 3],
    presence: BinaryBuilder,
    count: Int64Builder,
    /// Of the row: sum, lowest and highest.
    summaries: [Float64Builder; 3],
    step: Step,
    divisors: Divisors,
}

impl RollupWriter {
    /// A file in which `keys`, which are sorted, have a column each.
    ///
    /// # Errors
    /// When Parquet refuses the columns.
    pub fn new(step: Step, keys: Vec<String>) -> Result<Self, HistoryError> {
        let schema = schema(&keys);
        let lists = [SUMS, MINS, MAXS].concat();
        let properties = properties(&lists, &[layout::SUM, layout::MIN, layout::MAX]);
        let counts = ListBuilder::new(Int32Builder::new());
        Ok(Self {
            file: RowFile::new(schema, properties)?,
            keys: KeyColumns::new(keys),
            divisor: Float64Builder::new(),
            cell_slots: Int32Builder::new(),
            counts: counts.with_field(element_field(DataType::Int32)),
            lists: Default::default(),
            presence: BinaryBuilder::new(),
            count: Int64Builder::new(),
            summaries: Default::default(),
            step,
            divisors: Divisors::new(step),
        })
    }

    /// Adds a row: the cells of a series. Rows come sorted by name and tags.
    ///
    /// # Errors
    /// When Parquet refuses it.
    pub fn push(
        &mut self,
        tags: &Tags,
        cells: &RollupCells,
        sequence: u64,
    ) -> Result<(), HistoryError> {
        let cell_millis = self.step.millis() * i64::from(cells.cell_slots);
        let cell_step = Step::from_millis(cell_millis).expect("a whole number of steps");
        let start = cells.first.time(cell_step);
        self.keys.push_tags(tags);
        self.keys.push_place(start, cell_millis, sequence);
        let divisor = divisor(cells, &self.divisors);
        let scale = divisor.map(|divisor| Scale { divisor, base: 0 });
        self.divisor.append_value(divisor.unwrap_or(1.0));
        self.cell_slots.append_value(cells.cell_slots as i32);
        for count in &cells.counts {
            self.counts.values().append_value(*count as i32);
        }
        self.counts.append(true);
        let sums = whole_sums(&cells.sums, divisor);
        for (list, values) in self
            .lists
            .iter_mut()
            .zip([&*sums, &cells.mins, &cells.maxs])
        {
            list.push(values, scale);
        }
        self.presence.append_option(partial_presence(cells));
        let datapoints = cells.datapoints();
        self.count.append_value(datapoints as i64);
        let [sum, min, max] = &mut self.summaries;
        sum.append_option(summary(&sums).map(|s| s.sum));
        min.append_option(summary(&cells.mins).map(|s| s.min));
        max.append_option(summary(&cells.maxs).map(|s| s.max));
        let last = cells.slots(cells.len() - 1).last;
        let slots = (cells.slots(0).first.0, last.0);
        let name = tags.name().unwrap_or_default();
        if self.file.note(name, slots, datapoints) {
            self.write_columns()?;
        }
        Ok(())
    }

    /// Number of rows so far.
    pub fn rows(&self) -> u64 {
        self.file.rows()
    }

    /// Bytes that are encoded so far.
    pub fn size_bytes(&self) -> usize {
        self.file.size_bytes()
    }

    fn write_columns(&mut self) -> Result<(), HistoryError> {
        let mut arrays = Vec::new();
        self.keys.finish_tags(&mut arrays);
        self.keys.finish_places(&mut arrays);
        arrays.push(Arc::new(self.divisor.finish()));
        arrays.push(Arc::new(self.cell_slots.finish()));
        arrays.push(Arc::new(self.counts.finish()));
        for list in &mut self.lists {
            arrays.extend(list.finish());
        }
        arrays.push(Arc::new(self.presence.finish()));
        arrays.push(Arc::new(self.count.finish()));
        for column in &mut self.summaries {
            arrays.push(Arc::new(column.finish()));
        }
        self.file.write(arrays)
    }

    /// The file.
    ///
    /// # Errors
    /// When Parquet refuses the last rows.
    pub fn finish(mut self) -> Result<EncodedFile, HistoryError> {
        if self.file.has_unwritten() {
            self.write_columns()?;
        }
        Ok(self.file.finish(self.keys.into_keys())?.0)
    }
}

/// The divisor over which sums, lowest and highest are whole: the lowest and the highest to the bit, the sums but for their rounding.
fn divisor(cells: &RollupCells, divisors: &Divisors) -> Option<f64> {
    let ends = cells.mins.iter().chain(&cells.maxs);
    let ends: Vec<f64> = ends.copied().filter(|v| !v.is_nan()).collect();
    let divisor = divisors.for_values(&ends)?;
    let is_whole = |sum: &f64| {
        let whole = (sum * divisor).round();
        whole.abs() < (1i64 << 53) as f64 && (whole / divisor - sum).abs() <= ROUNDING * sum.abs()
    };
    let mut sums = cells.sums.iter().filter(|v| !v.is_nan());
    sums.all(is_whole).then_some(divisor)
}

/// The masks of the cells that are neither full nor empty, one after another; `None` when there is none.
fn partial_presence(cells: &RollupCells) -> Option<Vec<u8>> {
    let bytes = cells.cell_slots.div_ceil(8) as usize;
    let partial = |cell: &usize| ![0, cells.cell_slots].contains(&cells.counts[*cell]);
    let mut masks = Vec::new();
    for cell in (0..cells.len()).filter(partial) {
        let words = cells.present(cell).iter();
        let of_cell = words.flat_map(|word| word.to_le_bytes());
        masks.extend(of_cell.take(bytes));
    }
    (!masks.is_empty()).then_some(masks)
}

/// The sums as they will be read.
fn whole_sums(sums: &[f64], divisor: Option<f64>) -> Cow<'_, [f64]> {
    match divisor {
        None => Cow::Borrowed(sums),
        Some(divisor) => sums
            .iter()
            .map(|s| (s * divisor).round() / divisor)
            .collect(),
    }
}

/// The summary of the cells that hold data.
pub(super) fn summary(values: &[f64]) -> Option<Summary> {
    let present: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    Summary::of(&present)
}
