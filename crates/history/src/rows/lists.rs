//! Columns of lists of numbers, any of which may be missing.
//!
//! Parquet writes for each element two small numbers beside its value: one that says whether a list begins with it, one that says whether it, or the list, is
//! there. Nearly all pages have long runs of the same, and are not looked at element by element.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;

use super::chunk::{Chunk, ColumnPages};
use super::levels::{BadLevels, Run, Runs, unpack};
use super::pages::Pages;
use super::streams::{Element, join, plain};

/// Elements of a page; a writer ends one long before.
const MAX_ELEMENTS: usize = 1 << 24;

/// A list of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List<'a, T> {
    /// The elements that are there.
    values: &'a [T],
    /// For each element whether it is there; `None` when all are.
    there: Option<&'a [u8]>,
}

impl<T: Copy> List<'_, T> {
    /// Appends what `value` makes of the elements, NaN for those that are missing.
    pub fn put(&self, out: &mut Vec<f64>, value: impl Fn(T) -> f64) {
        let Some(there) = self.there else {
            out.extend(self.values.iter().map(|v| value(*v)));
            return;
        };
        let mut values = self.values.iter();
        out.extend(there.iter().map(|there| match there {
            1 => values.next().map_or(f64::NAN, |v| value(*v)),
            _ => f64::NAN,
        }));
    }

    /// The elements, when none is missing.
    pub fn whole(&self) -> Option<&[T]> {
        self.there.is_none().then_some(self.values)
    }
}

/// How deep the levels of a column are.
#[derive(Clone, Copy)]
struct Depth {
    /// Of an element that is there; that of one that is missing is one less, that of an empty list two.
    value: u8,
    bits: usize,
}

/// The lists of a column, row by row.
pub(crate) struct Lists<T> {
    reader: Pages,
    /// The first row of each page that is not read yet, as far as the file says; the last first.
    firsts: Option<Vec<u32>>,
    depth: Depth,
    dictionary: Vec<T>,
    page: Decoded<T>,
}

/// A page, decoded.
#[derive(Default)]
struct Decoded<T> {
    first_row: u32,
    /// Where the elements of each row begin, and the end.
    starts: Vec<u32>,
    /// Where the values of each row begin, and the end; empty when every element has one.
    value_starts: Vec<u32>,
    /// For each element its level; empty when every element has a value.
    levels: Vec<u8>,
    /// For each element 1 when it has a value.
    there: Vec<u8>,
    values: Vec<T>,
}

impl<T> Decoded<T> {
    fn end(&self) -> u32 {
        self.first_row + self.starts.len().saturating_sub(1) as u32
    }
}

fn damaged(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

impl From<BadLevels> for ParquetError {
    fn from(e: BadLevels) -> Self {
        Self::External(Box::new(e))
    }
}

impl<T: Element> Lists<T> {
    /// Lists of a column.
    ///
    /// # Errors
    /// When it is none of lists of numbers with as many bytes as `T`.
    pub(super) fn new(pages: &ColumnPages, chunk: &Arc<Chunk>) -> Result<Self, ParquetError> {
        let description = pages.meta.column_descr_ptr();
        let (value, repeated) = (description.max_def_level(), description.max_rep_level());
        let bytes = match description.physical_type() {
            parquet::basic::Type::INT32 => 4,
            parquet::basic::Type::INT64 | parquet::basic::Type::DOUBLE => 8,
            _ => 0,
        };
        let optional = description.self_type().is_optional();
        if repeated != 1 || !(2..=3).contains(&value) || !optional || bytes != T::BYTES {
            return Err(damaged("it is no column of lists of such numbers"));
        }
        let firsts = pages.locations.as_ref().map(|pages| {
            let firsts = pages.iter().rev();
            firsts.map(|p| p.first_row_index as u32).collect()
        });
        Ok(Self {
            reader: pages.reader(chunk)?,
            firsts,
            depth: Depth {
                value: value as u8,
                bits: 2,
            },
            dictionary: Vec::new(),
            page: Decoded::default(),
        })
    }

    /// The list of a row; `None` when it has none. Rows come in ascending order.
    pub fn row(&mut self, row: u32) -> Result<Option<List<'_, T>>, ParquetError> {
        while row >= self.page.end() {
            self.next_page(row)?;
        }
        let page = &self.page;
        let n = row
            .checked_sub(page.first_row)
            .ok_or_else(|| damaged("it lacks a row"))? as usize;
        let elements = page.starts[n] as usize..page.starts[n + 1] as usize;
        if page.levels.is_empty() {
            return Ok(Some(List {
                values: &page.values[elements],
                there: None,
            }));
        }
        let values = page.value_starts[n] as usize..page.value_starts[n + 1] as usize;
        if values.len() == elements.len() {
            return Ok(Some(List {
                values: &page.values[values],
                there: None,
            }));
        }
        let first = page.levels[elements.start];
        let missing = self.depth.value - 1;
        Ok(match first {
            _ if first >= missing => Some(List {
                values: &page.values[values],
                there: Some(&page.there[elements]),
            }),
            _ if first + 1 == missing => Some(List {
                values: &[],
                there: None,
            }),
            _ => None,
        })
    }

    /// Reads the page that holds a row, or one before it.
    fn next_page(&mut self, row: u32) -> Result<(), ParquetError> {
        let first_row = self.page.end();
        if let Some(firsts) = &mut self.firsts {
            // Those between were not fetched.
            while let [.., next, _] = firsts[..]
                && next <= row
            {
                if self.reader.peek_next_page()?.is_some_and(|p| p.is_dict) {
                    break;
                }
                self.reader.skip_next_page()?;
                firsts.pop();
            }
        }
        let page = self.reader.get_next_page()?;
        let page = page.ok_or_else(|| damaged("it has too few rows"))?;
        if let Page::DictionaryPage {
            buf, num_values, ..
        } = &page
        {
            plain(buf, &mut self.dictionary);
            if self.dictionary.len() < *num_values as usize {
                return Err(damaged("its dictionary is cut off"));
            }
            return Ok(());
        }
        self.page.first_row = match self.firsts.as_mut().map(Vec::pop) {
            None => first_row,
            Some(first) => first.ok_or_else(|| damaged("it has more pages than it says"))?,
        };
        self.page.decode(&page, self.depth, &self.dictionary)
    }
}

impl<T: Element> Decoded<T> {
    fn decode(&mut self, page: &Page, depth: Depth, dictionary: &[T]) -> Result<(), ParquetError> {
        let elements = page.num_values() as usize;
        if elements > MAX_ELEMENTS {
            return Err(damaged("a page has too many elements"));
        }
        let (repetition, definition, values) = parts(page)?;
        self.read_starts(&repetition, elements)?;
        let count = self.read_levels(&definition, elements, depth)?;
        self.values.clear();
        match page.encoding() {
            Encoding::BYTE_STREAM_SPLIT => join(&values, &mut self.values),
            Encoding::PLAIN => plain(&values, &mut self.values),
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                look_up(&values, count, dictionary, &mut self.values)?;
            }
            other => return Err(damaged(&format!("it is encoded as {other}"))),
        }
        match self.values.len() < count {
            true => Err(damaged("a page has too few values")),
            false => Ok(()),
        }
    }

    /// Finds where rows begin: at the elements whose level is 0.
    fn read_starts(&mut self, packed: &[u8], elements: usize) -> Result<(), BadLevels> {
        self.starts.clear();
        let mut at = 0u32;
        let mut runs = Runs::new(packed, 1, elements);
        while let Some(run) = runs.next()? {
            let n = match run {
                Run::Same(0, n) => {
                    self.starts.extend(at..at + n as u32);
                    n
                }
                Run::Same(_, n) => n,
                Run::Packed(packed, n) => {
                    for (place, byte) in packed[..n.div_ceil(8)].iter().enumerate() {
                        let left = (n - 8 * place).min(8);
                        let mut begin = !byte & (0xff >> (8 - left));
                        while begin != 0 {
                            let bit = begin.trailing_zeros();
                            self.starts.push(at + 8 * place as u32 + bit);
                            begin &= begin - 1;
                        }
                    }
                    n
                }
            };
            at += n as u32;
        }
        if at > 0 && self.starts.first() != Some(&0) {
            return Err(BadLevels);
        }
        self.starts.push(at);
        Ok(())
    }

    /// Reads which elements are there, and gives how many.
    fn read_levels(
        &mut self,
        packed: &[u8],
        elements: usize,
        depth: Depth,
    ) -> Result<usize, BadLevels> {
        self.levels.clear();
        self.there.clear();
        self.value_starts.clear();
        let mut runs = Runs::new(packed, depth.bits, elements);
        let mut same = 0;
        while let Some(run) = runs.next()? {
            match run {
                Run::Same(level, n)
                    if level == u32::from(depth.value) && self.levels.is_empty() =>
                {
                    same += n;
                }
                Run::Same(level, n) => {
                    self.fill(same, depth);
                    same = 0;
                    let level = u8::try_from(level).map_err(|_| BadLevels)?;
                    self.levels.resize(self.levels.len() + n, level);
                }
                Run::Packed(packed, n) => {
                    self.fill(same, depth);
                    same = 0;
                    unpack(packed, depth.bits, n, |level| self.levels.push(level as u8));
                }
            }
        }
        if same == elements {
            return Ok(elements);
        }
        let value = depth.value;
        let there = self.levels.iter();
        self.there
            .extend(there.map(|level| u8::from(*level == value)));
        let mut count = 0;
        for row in self.starts.windows(2) {
            self.value_starts.push(count);
            let of_row = &self.there[row[0] as usize..row[1] as usize];
            count += of_row.iter().map(|t| u32::from(*t)).sum::<u32>();
        }
        self.value_starts.push(count);
        Ok(count as usize)
    }

    fn fill(&mut self, n: usize, depth: Depth) {
        self.levels.resize(self.levels.len() + n, depth.value);
    }
}

/// The levels that tell where rows begin, those that tell what is there, and the values.
fn parts(page: &Page) -> Result<(Bytes, Bytes, Bytes), ParquetError> {
    let cut_off = || damaged("a page is cut off");
    match page {
        Page::DataPage {
            buf,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            ..
        } => {
            let mut rest = buf.clone();
            let mut next = || {
                let length: [u8; 4] = *rest.first_chunk().ok_or_else(cut_off)?;
                let end = (u32::from_le_bytes(length) as usize).saturating_add(4);
                if end > rest.len() {
                    return Err(cut_off());
                }
                Ok(rest.split_to(end).slice(4..))
            };
            let (repetition, definition) = (next()?, next()?);
            Ok((repetition, definition, rest))
        }
        Page::DataPageV2 {
            buf,
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } => {
            let (first, second) = (*rep_levels_byte_len as usize, *def_levels_byte_len as usize);
            let end = first.checked_add(second).filter(|end| *end <= buf.len());
            let end = end.ok_or_else(cut_off)?;
            Ok((buf.slice(..first), buf.slice(first..end), buf.slice(end..)))
        }
        _ => Err(damaged("its levels are encoded in an unknown way")),
    }
}

/// Appends numbers of a dictionary.
fn look_up<T: Copy>(
    packed: &[u8],
    count: usize,
    dictionary: &[T],
    out: &mut Vec<T>,
) -> Result<(), ParquetError> {
    if count == 0 {
        return Ok(());
    }
    let (width, packed) = packed.split_first().ok_or(BadLevels)?;
    if *width > 32 {
        return Err(BadLevels.into());
    }
    let width = usize::from(*width);
    let mut runs = Runs::new(packed, width, count);
    let mut unknown = false;
    let find = |number: u32| dictionary.get(number as usize).copied();
    while let Some(run) = runs.next()? {
        match run {
            Run::Same(number, n) => {
                let value = find(number).ok_or(BadLevels)?;
                out.resize(out.len() + n, value);
            }
            Run::Packed(packed, n) => unpack(packed, width, n, |number| match find(number) {
                Some(value) => out.push(value),
                None => unknown = true,
            }),
        }
    }
    match unknown {
        true => Err(BadLevels.into()),
        false => Ok(()),
    }
}
