//! What each series of a file has for one key.

use std::ops::Range;
use std::sync::Arc;

use hesper_model::{TagPattern, TagQuery};
use roaring::RoaringBitmap;

/// The number of a series that lacks the key.
pub(super) const ABSENT: u32 = 0;

/// The values of a key, and by series the number of its value.
pub(super) struct Column {
    /// Sorted. The first has the number 1.
    values: Vec<Arc<str>>,
    numbers: Numbers,
}

/// Numbers, each in as few bytes as the largest needs.
enum Numbers {
    One(Vec<u8>),
    Two(Vec<u16>),
    Four(Vec<u32>),
}

/// Which numbers are looked for; [`ABSENT`] is never among them.
enum Wanted {
    Range(Range<u32>),
    /// By number.
    Each(Vec<bool>),
}

impl Column {
    /// The column of the numbers of `values`, which are sorted, from 1; [`ABSENT`] where there is none.
    pub fn new(values: Vec<Arc<str>>, numbers: impl Iterator<Item = u32>) -> Self {
        let numbers = match values.len() {
            ..=0xFF => Numbers::One(numbers.map(|n| n as u8).collect()),
            0x100..=0xFFFF => Numbers::Two(numbers.map(|n| n as u16).collect()),
            _ => Numbers::Four(numbers.collect()),
        };
        Self { values, numbers }
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> usize {
        // A text has a count of those who share it before it, and is in a list.
        let texts = self.values.iter().map(|v| v.len() + 2 * size_of::<usize>());
        let numbers = match &self.numbers {
            Numbers::One(numbers) => numbers.len(),
            Numbers::Two(numbers) => numbers.len() * size_of::<u16>(),
            Numbers::Four(numbers) => numbers.len() * size_of::<u32>(),
        };
        texts.sum::<usize>() + self.values.len() * size_of::<Arc<str>>() + numbers
    }

    /// The values, sorted.
    pub fn values(&self) -> &[Arc<str>] {
        &self.values
    }

    /// The number of the value that a series has, from 1.
    pub fn number(&self, series: usize) -> Option<u32> {
        let number = match &self.numbers {
            Numbers::One(numbers) => u32::from(numbers[series]),
            Numbers::Two(numbers) => u32::from(numbers[series]),
            Numbers::Four(numbers) => numbers[series],
        };
        (number != ABSENT).then_some(number)
    }

    /// The value of a number.
    pub fn value(&self, number: u32) -> &Arc<str> {
        &self.values[number as usize - 1]
    }

    /// The series for whose value a clause about the key holds.
    pub fn matching(&self, clause: &TagQuery) -> RoaringBitmap {
        match self.wanted(clause) {
            Wanted::Range(numbers) if numbers.is_empty() => RoaringBitmap::new(),
            Wanted::Range(numbers) => {
                let (from, count) = (numbers.start, numbers.end - numbers.start);
                self.where_number(|number| number.wrapping_sub(from) < count)
            }
            Wanted::Each(wanted) => self.where_number(|number| wanted[number as usize]),
        }
    }

    fn wanted(&self, clause: &TagQuery) -> Wanted {
        let below = |v: &str| self.values.partition_point(|value| **value < *v);
        let up_to = |v: &str| self.values.partition_point(|value| **value <= *v);
        let all = self.values.len();
        let range =
            |values: Range<usize>| Wanted::Range(number_of(values.start)..number_of(values.end));
        match clause {
            TagQuery::Has(_) => range(0..all),
            TagQuery::Equal(_, v) => range(below(v)..up_to(v)),
            TagQuery::LessThan(_, v) => range(0..below(v)),
            TagQuery::LessThanEqual(_, v) => range(0..up_to(v)),
            TagQuery::GreaterThan(_, v) => range(up_to(v)..all),
            TagQuery::GreaterThanEqual(_, v) => range(below(v)..all),
            TagQuery::In(_, vs) => {
                let mut wanted = vec![false; all + 1];
                for v in vs {
                    wanted[number_of(below(v)) as usize..number_of(up_to(v)) as usize].fill(true);
                }
                Wanted::Each(wanted)
            }
            TagQuery::Matches(_, pattern) => Wanted::Each(self.matched(pattern)),
            TagQuery::True
            | TagQuery::False
            | TagQuery::And(..)
            | TagQuery::Or(..)
            | TagQuery::Not(_) => unreachable!("a clause is about one key"),
        }
    }

    /// By number: whether the value matches.
    fn matched(&self, pattern: &TagPattern) -> Vec<bool> {
        let mut wanted = vec![false; self.values.len() + 1];
        if pattern.prefixes().is_empty() {
            for (wanted, value) in wanted[1..].iter_mut().zip(&self.values) {
                *wanted = pattern.matches(value);
            }
        }
        for prefix in pattern.prefixes() {
            let first = self.values.partition_point(|value| **value < *prefix.text);
            for (value, wanted) in self.values[first..].iter().zip(&mut wanted[first + 1..]) {
                if !value.starts_with(&*prefix.text) {
                    break;
                }
                *wanted |= prefix.sufficient || pattern.matches(value);
            }
        }
        wanted
    }

    fn where_number(&self, wanted: impl Fn(u32) -> bool) -> RoaringBitmap {
        match &self.numbers {
            Numbers::One(numbers) => positions(numbers, wanted),
            Numbers::Two(numbers) => positions(numbers, wanted),
            Numbers::Four(numbers) => positions(numbers, wanted),
        }
    }

    /// True when any of the series has a value.
    pub fn is_carried(&self, series: &RoaringBitmap) -> bool {
        series.iter().any(|s| self.number(s as usize).is_some())
    }

    /// The values that series have, after `after`, sorted, at most `limit`.
    pub fn values_of(
        &self,
        series: &RoaringBitmap,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<str>> {
        let mut carried = vec![false; self.values.len() + 1];
        for series in series {
            carried[self.number(series as usize).unwrap_or(ABSENT) as usize] = true;
        }
        let first = self.first_after(after);
        let values = self.values[first..].iter().zip(&carried[first + 1..]);
        let values = values.filter(|(_, carried)| **carried);
        values.map(|(value, _)| value.clone()).take(limit).collect()
    }

    /// Where the values after one begin.
    pub fn first_after(&self, after: Option<&str>) -> usize {
        after.map_or(0, |after| self.values.partition_point(|v| **v <= *after))
    }
}

/// The number of a value by its place.
fn number_of(place: usize) -> u32 {
    place as u32 + 1
}

/// Where the numbers are that are wanted. They are looked at sixty-four at a time, without branches.
fn positions<T: Copy + Into<u32>>(numbers: &[T], wanted: impl Fn(u32) -> bool) -> RoaringBitmap {
    let bytes: Vec<u8> = numbers
        .chunks(64)
        .flat_map(|chunk| {
            let bits = chunk.iter().enumerate();
            let word = bits.fold(0u64, |word, (i, number)| {
                word | u64::from(wanted((*number).into())) << i
            });
            word.to_le_bytes()
        })
        .collect();
    RoaringBitmap::from_lsb0_bytes(0, &bytes)
}
