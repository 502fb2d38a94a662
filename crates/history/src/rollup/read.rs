//! Reading rows of roll-ups.

use arrow::array::{
    Array, AsArray, BinaryArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use hesper_model::{Slot, Step, Timestamp};
use roaring::RoaringBitmap;

use super::encode::summary;
use super::{CELL_SLOTS, COUNTS, MAXS, MINS, PRESENCE, RollupCells, SUMS};
use crate::file_index::{BadColumn, FileIndex};
use crate::layout;
use crate::objects::Objects;
use crate::read::{Elements, contained, list, primitive, rows_of};
use crate::{DataFile, HistoryError};

/// Which values of cells are read. Counts, and the slots with data, always are; values that are not read are NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellValues {
    /// The sums.
    pub sums: bool,
    /// The lowest.
    pub mins: bool,
    /// The highest.
    pub maxs: bool,
}

impl CellValues {
    /// All of them.
    pub const ALL: Self = Self {
        sums: true,
        mins: true,
        maxs: true,
    };

    fn lists(self) -> [Option<[&'static str; 2]>; 3] {
        [(self.sums, SUMS), (self.mins, MINS), (self.maxs, MAXS)]
            .map(|(wanted, names)| wanted.then_some(names))
    }
}

/// The columns that cells are read from.
pub(crate) fn rollup_columns(values: CellValues) -> Vec<&'static str> {
    let mut columns = vec![
        layout::START,
        layout::STEP_MS,
        layout::DIVISOR,
        CELL_SLOTS,
        COUNTS,
    ];
    columns.extend(values.lists().into_iter().flatten().flatten());
    columns.extend([PRESENCE, layout::COUNT, layout::SUM]);
    columns
}

/// Reads rows of a file of a roll-up and hands each row's cells to `row`, in the order of the rows. Cells that the index hides are empty.
///
/// # Errors
/// When the file cannot be read, is not of the layout, or a row's cells are not those that its count and sum were made of.
pub async fn read_rollup(
    objects: &Objects,
    file: &DataFile,
    index: &FileIndex,
    rows: &RoaringBitmap,
    values: CellValues,
    mut row: impl FnMut(u32, &RollupCells),
) -> Result<(), HistoryError> {
    let mut cells = RollupCells::default();
    let columns = rollup_columns(values);
    let reading = rows_of(objects, file, index, rows, &columns, |batch, positions| {
        let columns = RollupColumns::of(batch, values).map_err(|e| e.to_string())?;
        for (at, position) in positions.iter().enumerate() {
            let read = columns.cells(at, &mut cells);
            read.map_err(|e| format!("row {position}: {e}"))?;
            for hidden in index.hidden(*position) {
                cells.clear(hidden);
            }
            row(*position, &cells);
        }
        Ok(())
    });
    contained(file, reading).await
}

/// The columns of a batch that cells are read from.
pub(crate) struct RollupColumns<'a> {
    start: &'a arrow::array::TimestampMillisecondArray,
    step: &'a Int32Array,
    divisor: &'a Float64Array,
    cell_slots: &'a Int32Array,
    counts: (&'a ListArray, &'a Int32Array),
    /// Those that are read.
    lists: [Option<Forms<'a>>; 3],
    presence: &'a BinaryArray,
    count: &'a Int64Array,
    sum: &'a Float64Array,
}

/// A list in its two forms.
type Forms<'a> = (Elements<'a, Int64Type>, Elements<'a, Float64Type>);

fn forms<'a>(batch: &'a RecordBatch, [scaled, plain]: [&str; 2]) -> Result<Forms<'a>, BadColumn> {
    Ok((
        Elements::of(list(batch, scaled)?, scaled)?,
        Elements::of(list(batch, plain)?, plain)?,
    ))
}

impl<'a> RollupColumns<'a> {
    /// The columns of a batch.
    ///
    /// # Errors
    /// When a column is missing or of another type.
    pub fn of(batch: &'a RecordBatch, values: CellValues) -> Result<Self, BadColumn> {
        let bad = |name: &str| BadColumn(name.to_owned());
        let counts = list(batch, COUNTS)?;
        let elements = counts.values().as_primitive_opt::<Int32Type>();
        let presence = batch.column_by_name(PRESENCE);
        let [sums, mins, maxs] = values.lists();
        let read = |names: Option<[&str; 2]>| names.map(|n| forms(batch, n)).transpose();
        Ok(Self {
            start: primitive(batch, layout::START)?,
            step: primitive(batch, layout::STEP_MS)?,
            divisor: primitive(batch, layout::DIVISOR)?,
            cell_slots: primitive(batch, CELL_SLOTS)?,
            counts: (counts, elements.ok_or_else(|| bad(COUNTS))?),
            lists: [read(sums)?, read(mins)?, read(maxs)?],
            presence: presence
                .and_then(|c| c.as_binary_opt::<i32>())
                .ok_or_else(|| bad(PRESENCE))?,
            count: primitive(batch, layout::COUNT)?,
            sum: primitive(batch, layout::SUM)?,
        })
    }

    /// Reads the cells of a row and checks them against its count and, when they are read, its sum.
    pub fn cells(&self, row: usize, cells: &mut RollupCells) -> Result<(), String> {
        let step = i64::from(self.step.value(row));
        let step = Step::from_millis(step).ok_or("its step is not above zero")?;
        let cell_slots = u32::try_from(self.cell_slots.value(row))
            .ok()
            .filter(|n| *n > 0);
        let cell_slots = cell_slots.ok_or("its cells have no slots")?;
        let offsets = self.counts.0.value_offsets();
        let counts = &self.counts.1.values()[offsets[row] as usize..offsets[row + 1] as usize];
        let first = Slot::ending_by(Timestamp(self.start.value(row)), step);
        cells.reset(first, cell_slots, counts.len());
        for (cell, count) in cells.counts.iter_mut().zip(counts) {
            *cell = u32::try_from(*count).map_err(|_| "a count is below zero")?;
        }
        let divisor = self.divisor.value(row);
        for (forms, values) in
            self.lists
                .iter()
                .zip([&mut cells.sums, &mut cells.mins, &mut cells.maxs])
        {
            let Some((scaled, plain)) = forms else {
                continue;
            };
            values.clear();
            let found =
                scaled.read(row, values, |e| e as f64 / divisor) || plain.read(row, values, |e| e);
            if !found || values.len() != counts.len() {
                return Err("its lists are not of one length".to_owned());
            }
        }
        self.read_presence(row, cells)?;
        if cells.datapoints() as i64 != self.count.value(row) {
            return Err("its cells do not add up to its count".to_owned());
        }
        if self.lists[0].is_none() {
            return Ok(());
        }
        let stored = self.sum.is_valid(row).then(|| self.sum.value(row));
        let sum = summary(&cells.sums).map(|s| s.sum);
        if sum.map(f64::to_bits) != stored.map(f64::to_bits) {
            return Err("its cells do not add up to its sum".to_owned());
        }
        Ok(())
    }

    fn read_presence(&self, row: usize, cells: &mut RollupCells) -> Result<(), String> {
        let bytes = cells.cell_slots.div_ceil(8) as usize;
        let mut masks = match self.presence.is_valid(row) {
            true => self.presence.value(row),
            false => &[],
        };
        for cell in 0..cells.len() {
            let (count, slots) = (cells.counts[cell], cells.cell_slots);
            if count == 0 {
                continue;
            }
            let words = cells.present_mut(cell);
            if count == slots {
                for (n, word) in words.iter_mut().enumerate() {
                    let bits = (slots as usize - n * 64).min(64);
                    *word = u64::MAX >> (64 - bits);
                }
                continue;
            }
            let (mask, rest) = masks
                .split_at_checked(bytes)
                .ok_or("it has too few masks")?;
            masks = rest;
            for (word, bytes) in words.iter_mut().zip(mask.chunks(8)) {
                let mut padded = [0; 8];
                padded[..bytes.len()].copy_from_slice(bytes);
                *word = u64::from_le_bytes(padded);
            }
            let set: u32 = words.iter().map(|w| w.count_ones()).sum();
            if set != count {
                return Err("a mask does not fit its count".to_owned());
            }
        }
        match masks {
            [] => Ok(()),
            _ => Err("it has too many masks".to_owned()),
        }
    }
}
