//! Reading rows of roll-ups.

use arrow::array::{
    Array, AsArray, BinaryArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use hesper_model::{Slot, Step, Timestamp};
use parquet::data_type::{
    ByteArrayType, DoubleType, Int32Type as ParquetInt32, Int64Type as ParquetInt64,
};
use roaring::RoaringBitmap;

use super::encode::summary;
use super::{CELL_SLOTS, COUNTS, MAXS, MINS, PRESENCE, RollupCells, SUMS};
use crate::file_index::{BadColumn, FileIndex};
use crate::layout;
use crate::objects::Objects;
use crate::read::{Elements, contained, each_group, list, primitive};
use crate::rows::{Flat, List, Lists, RowGroup, RowReader, in_column};
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

/// Fetches the first of the rows to read cells of.
///
/// # Errors
/// When the file cannot be read or does not have the rows.
pub(crate) async fn open_rollup(
    objects: &Objects,
    file: &DataFile,
    index: &FileIndex,
    rows: &RoaringBitmap,
    values: CellValues,
) -> Result<RowReader, HistoryError> {
    let columns = rollup_columns(values);
    let opening = RowReader::open(objects, file, &index.metadata, rows, &columns);
    contained(file, opening).await
}

/// Reads rows of a file of a roll-up and hands each row's cells to `row`, in the order of the rows. Cells that the index hides are empty.
///
/// # Errors
/// When the file cannot be read, is not of the layout, or a row's cells are not those that its count and sum were made of.
pub(crate) async fn read_rollup(
    file: &DataFile,
    index: &FileIndex,
    reader: RowReader,
    values: CellValues,
    mut row: impl FnMut(u32, &RollupCells),
) -> Result<(), HistoryError> {
    let mut cells = RollupCells::default();
    let take = |group: &RowGroup| group_cells(index, group, values, &mut cells, &mut row);
    each_group(file, reader, take).await
}

fn group_cells(
    index: &FileIndex,
    group: &RowGroup,
    values: CellValues,
    cells: &mut RollupCells,
    row: &mut impl FnMut(u32, &RollupCells),
) -> Result<(), String> {
    let mut columns = GroupCells::of(group, values)?;
    for (at, (in_group, position)) in group.rows().enumerate() {
        let read = columns.cells(at, in_group, cells);
        read.map_err(|e| format!("row {position}: {e}"))?;
        for hidden in index.hidden(position) {
            cells.clear(hidden);
        }
        row(position, cells);
    }
    Ok(())
}

/// A list in its two forms, with the names of their columns.
type GroupForms = (Lists<i64>, Lists<f64>, [&'static str; 2]);

/// The cells of the selected rows of a row group.
struct GroupCells {
    start: Flat<ParquetInt64>,
    step: Flat<ParquetInt32>,
    divisor: Flat<DoubleType>,
    cell_slots: Flat<ParquetInt32>,
    counts: Lists<i32>,
    /// Those that are read.
    lists: [Option<GroupForms>; 3],
    presence: Flat<ByteArrayType>,
    count: Flat<ParquetInt64>,
    sum: Flat<DoubleType>,
}

impl GroupCells {
    fn of(group: &RowGroup, values: CellValues) -> Result<Self, String> {
        let [sums, mins, maxs] = values.lists();
        let read = |names: Option<[&'static str; 2]>| {
            let lists = |names: [&'static str; 2]| {
                Ok::<_, String>((group.lists(names[0])?, group.lists(names[1])?, names))
            };
            names.map(lists).transpose()
        };
        Ok(Self {
            start: group.flat(layout::START)?,
            step: group.flat(layout::STEP_MS)?,
            divisor: group.flat(layout::DIVISOR)?,
            cell_slots: group.flat(CELL_SLOTS)?,
            counts: group.lists(COUNTS)?,
            lists: [read(sums)?, read(mins)?, read(maxs)?],
            presence: group.flat(PRESENCE)?,
            count: group.flat(layout::COUNT)?,
            sum: group.flat(layout::SUM)?,
        })
    }

    /// Reads the cells of the n-th selected row, which is `row` in its row group.
    fn cells(&mut self, n: usize, row: u32, cells: &mut RollupCells) -> Result<(), String> {
        let presence = self.presence.get(n);
        let head = Head {
            start: self.start.get(n).copied().unwrap_or_default(),
            step: self.step.get(n).copied().unwrap_or_default(),
            cell_slots: self.cell_slots.get(n).copied().unwrap_or_default(),
            presence: presence.map_or(&[], |bytes| bytes.data()),
            count: self.count.get(n).copied().unwrap_or_default(),
            sum: self.sum.get(n).copied(),
        };
        let divisor = *self.divisor.get(n).ok_or("it has no divisor")?;
        let counts = self.counts.row(row).map_err(in_column(COUNTS))?;
        let counts = counts.as_ref().and_then(List::whole);
        head.begin(cells, counts.ok_or("it lacks counts")?)?;
        let all = [&mut cells.sums, &mut cells.mins, &mut cells.maxs];
        for (lists, values) in self.lists.iter_mut().zip(all) {
            let Some((scaled, plain, names)) = lists else {
                continue;
            };
            values.clear();
            if let Some(list) = scaled.row(row).map_err(in_column(names[0]))? {
                list.put(values, |e| e as f64 / divisor);
            } else if let Some(list) = plain.row(row).map_err(in_column(names[1]))? {
                list.put(values, |v| v);
            }
        }
        head.finish(cells, [0, 1, 2].map(|n| self.lists[n].is_some()))
    }
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
        let head = Head {
            start: self.start.value(row),
            step: self.step.value(row),
            cell_slots: self.cell_slots.value(row),
            presence: match self.presence.is_valid(row) {
                true => self.presence.value(row),
                false => &[],
            },
            count: self.count.value(row),
            sum: self.sum.is_valid(row).then(|| self.sum.value(row)),
        };
        let offsets = self.counts.0.value_offsets();
        let counts = &self.counts.1.values()[offsets[row] as usize..offsets[row + 1] as usize];
        head.begin(cells, counts)?;
        let divisor = self.divisor.value(row);
        let all = [&mut cells.sums, &mut cells.mins, &mut cells.maxs];
        for (forms, values) in self.lists.iter().zip(all) {
            let Some((scaled, plain)) = forms else {
                continue;
            };
            values.clear();
            let _ =
                scaled.read(row, values, |e| e as f64 / divisor) || plain.read(row, values, |e| e);
        }
        head.finish(cells, [0, 1, 2].map(|n| self.lists[n].is_some()))
    }
}

/// What a row holds beside its lists and its divisor.
struct Head<'a> {
    start: i64,
    step: i32,
    cell_slots: i32,
    /// The masks of the cells that are neither full nor empty.
    presence: &'a [u8],
    count: i64,
    sum: Option<f64>,
}

impl Head<'_> {
    /// Makes the cells, with their counts.
    fn begin(&self, cells: &mut RollupCells, counts: &[i32]) -> Result<(), String> {
        let step = i64::from(self.step);
        let step = Step::from_millis(step).ok_or("its step is not above zero")?;
        let cell_slots = u32::try_from(self.cell_slots).ok().filter(|n| *n > 0);
        let cell_slots = cell_slots.ok_or("its cells have no slots")?;
        let first = Slot::ending_by(Timestamp(self.start), step);
        cells.reset(first, cell_slots, counts.len());
        for (cell, count) in cells.counts.iter_mut().zip(counts) {
            *cell = u32::try_from(*count).map_err(|_| "a count is below zero")?;
        }
        Ok(())
    }

    /// Reads which slots hold data, and checks the cells against the row's count and, when they were read, its sum.
    fn finish(&self, cells: &mut RollupCells, read: [bool; 3]) -> Result<(), String> {
        let lengths = [&cells.sums, &cells.mins, &cells.maxs].map(Vec::len);
        let short = |(read, length): (bool, usize)| read && length != cells.len();
        if read.into_iter().zip(lengths).any(short) {
            return Err("its lists are not of one length".to_owned());
        }
        self.read_presence(cells)?;
        if cells.datapoints() as i64 != self.count {
            return Err("its cells do not add up to its count".to_owned());
        }
        let sum = || summary(&cells.sums).map(|s| s.sum.to_bits());
        if read[0] && sum() != self.sum.map(f64::to_bits) {
            return Err("its cells do not add up to its sum".to_owned());
        }
        Ok(())
    }

    fn read_presence(&self, cells: &mut RollupCells) -> Result<(), String> {
        let bytes = cells.cell_slots.div_ceil(8) as usize;
        let mut masks = self.presence;
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
