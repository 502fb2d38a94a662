//! Published datapoints of a shard as records: each with its series, or, of one time and in the order of the series, with bits for those.

use bytes::{Buf, BufMut};
use hesper_model::Timestamp;

use super::{
    ClientId, Kind, Prefix, RecordError, put_column, put_prefix, read_column, read_prefix,
};
use crate::series_table::SeriesRef;

/// Published datapoints of one shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// Who published them.
    pub client: ClientId,
    /// The number of the batch among the client's.
    pub sequence: u64,
    /// When they were received.
    pub received: Timestamp,
    /// One time for all, or one for each.
    pub times: Vec<Timestamp>,
    /// The series.
    pub series: Vec<SeriesRef>,
    /// A value for each series.
    pub values: Vec<f64>,
}

impl Samples {
    /// Empties the columns and keeps their room.
    pub fn clear(&mut self) {
        self.times.clear();
        self.series.clear();
        self.values.clear();
    }

    /// The time of a datapoint.
    #[inline]
    pub fn time(&self, i: usize) -> Timestamp {
        self.times[if self.times.len() == 1 { 0 } else { i }]
    }
}

/// Numbers that lie further apart than this on average are not written as bits.
const MAX_BITS_A_NUMBER: usize = 24;

/// Words of the bits of numbers, of which the first has the lowest bit; `None` when they are not in order, or too far apart.
fn words_of(series: &[SeriesRef]) -> Option<usize> {
    let (first, last) = (series.first()?.index(), series.last()?.index());
    let words = last.checked_sub(first)? / 64 + 1;
    let dense = words * 64 <= series.len() * MAX_BITS_A_NUMBER + 64;
    (dense && series.is_sorted_by(|a, b| a < b)).then_some(words)
}

/// Appends the payload of a record of published datapoints, and gives its kind: [`Kind::Ordered`] where that can be, else [`Kind::Samples`].
pub fn put_published(out: &mut Vec<u8>, prefix: Prefix, samples: &Samples) -> Kind {
    match (&samples.times[..], words_of(&samples.series)) {
        ([time], Some(words)) => {
            put_ordered(out, prefix, samples, *time, words);
            Kind::Ordered
        }
        _ => {
            put_samples(out, prefix, samples);
            Kind::Samples
        }
    }
}

fn put_ordered(
    out: &mut Vec<u8>,
    prefix: Prefix,
    samples: &Samples,
    time: Timestamp,
    words: usize,
) {
    let first = samples.series.first().map_or(0, |s| s.0);
    put_origin(out, prefix, samples);
    out.put_i64_le(time.0);
    out.put_u32_le(samples.series.len() as u32);
    out.put_u32_le(first);
    out.put_u32_le(words as u32);
    let (mut at, mut word) = (0, 0u64);
    for series in &samples.series {
        let place = series.0 - first;
        while at < place / 64 {
            out.put_u64_le(word);
            (at, word) = (at + 1, 0);
        }
        word |= 1 << (place % 64);
    }
    out.put_u64_le(word);
    put_column(out, &samples.values, |v| v.to_le_bytes());
}

fn put_samples(out: &mut Vec<u8>, prefix: Prefix, samples: &Samples) {
    put_origin(out, prefix, samples);
    out.put_u32_le(samples.series.len() as u32);
    out.put_u8(u8::from(samples.times.len() == 1));
    put_column(out, &samples.times, |t| t.0.to_le_bytes());
    put_column(out, &samples.series, |s| s.0.to_le_bytes());
    put_column(out, &samples.values, |v| v.to_le_bytes());
}

/// What both kinds begin with.
fn put_origin(out: &mut Vec<u8>, prefix: Prefix, samples: &Samples) {
    put_prefix(out, prefix);
    out.put_slice(&samples.client.0);
    out.put_u64_le(samples.sequence);
    out.put_i64_le(samples.received.0);
}

/// Reads the payload of a record of published datapoints into columns whose room is used again; `None` for records of other kinds.
///
/// # Errors
/// When the payload is none of its kind.
pub fn read_published(
    kind: u8,
    payload: &[u8],
    samples: &mut Samples,
) -> Option<Result<Prefix, RecordError>> {
    let read = match kind {
        k if k == Kind::Samples as u8 => read_samples,
        k if k == Kind::Ordered as u8 => read_ordered,
        _ => return None,
    };
    Some(read_whole(payload, samples, read))
}

fn read_whole(
    payload: &[u8],
    samples: &mut Samples,
    read: impl FnOnce(&mut &[u8], &mut Samples) -> Result<(), RecordError>,
) -> Result<Prefix, RecordError> {
    let mut at = payload;
    let prefix = read_prefix(&mut at)?;
    samples.clear();
    at.try_copy_to_slice(&mut samples.client.0)?;
    samples.sequence = at.try_get_u64_le()?;
    samples.received = Timestamp(at.try_get_i64_le()?);
    read(&mut at, samples)?;
    match at.len() {
        0 => Ok(prefix),
        left => Err(RecordError::TooLong(left)),
    }
}

fn read_samples(at: &mut &[u8], samples: &mut Samples) -> Result<(), RecordError> {
    let count = at.try_get_u32_le()? as usize;
    let times = if at.try_get_u8()? == 1 { 1 } else { count };
    let time = |c| Timestamp(i64::from_le_bytes(c));
    read_column(at, times, time, &mut samples.times)?;
    let series = |c| SeriesRef(u32::from_le_bytes(c));
    read_column(at, count, series, &mut samples.series)?;
    read_column(at, count, f64::from_le_bytes, &mut samples.values)
}

fn read_ordered(at: &mut &[u8], samples: &mut Samples) -> Result<(), RecordError> {
    samples.times.push(Timestamp(at.try_get_i64_le()?));
    let count = at.try_get_u32_le()? as usize;
    let first = at.try_get_u32_le()?;
    let words = at.try_get_u32_le()? as usize;
    let length = words.checked_mul(8).ok_or(RecordError::Truncated)?;
    let bytes = at.split_off(..length).ok_or(RecordError::Truncated)?;
    for (word, base) in bytes.as_chunks().0.iter().zip((0u64..).step_by(64)) {
        let mut left = u64::from_le_bytes(*word);
        while left != 0 {
            let number = u64::from(first) + base + u64::from(left.trailing_zeros());
            let number = u32::try_from(number).map_err(|_| RecordError::WrongBits)?;
            samples.series.push(SeriesRef(number));
            left &= left - 1;
        }
    }
    if samples.series.len() != count {
        return Err(RecordError::WrongBits);
    }
    read_column(at, count, f64::from_le_bytes, &mut samples.values)
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::super::tests::PREFIX;
    use super::*;

    fn one_time(series: impl Iterator<Item = u32>) -> Samples {
        let series: Vec<_> = series.map(SeriesRef).collect();
        Samples {
            times: vec![Timestamp(60)],
            values: series.iter().map(|s| f64::from(s.0)).collect(),
            series,
            ..Samples::default()
        }
    }

    #[test]
    fn numbers_in_order_are_bits_unless_they_lie_far_apart() {
        let kind = |samples: &Samples| {
            let mut out = Vec::new();
            let kind = put_published(&mut out, PREFIX, samples);
            let mut read = Samples::default();
            let prefix = read_published(kind as u8, &out, &mut read);
            assert_eq!((prefix, &read), (Some(Ok(PREFIX)), samples));
            (kind, out.len())
        };
        let dense = one_time(1000..2000);
        assert_eq!(kind(&dense), (Kind::Ordered, 12 + 52 + 16 * 8 + 8000));
        assert_eq!(kind(&one_time((7..70_000).step_by(9))).0, Kind::Ordered);
        assert_eq!(kind(&one_time([u32::MAX].into_iter())).0, Kind::Ordered);
        assert_eq!(kind(&one_time((7..70_000).step_by(90))).0, Kind::Samples);
        assert_eq!(kind(&one_time([1, 2, 2].into_iter())).0, Kind::Samples);
        assert_eq!(kind(&one_time([3, 2].into_iter())).0, Kind::Samples);
        let mut timed = one_time(0..2);
        timed.times.push(Timestamp(70));
        assert_eq!(kind(&timed).0, Kind::Samples);
    }

    #[test]
    fn bits_that_do_not_fit_the_count_are_refused() {
        let mut out = Vec::new();
        let kind = put_published(&mut out, PREFIX, &one_time(5..15)) as u8;
        let bits = 12 + 16 + 24 + 12;
        for (at, byte) in [(bits, 0xFE), (bits + 7, 1), (bits - 12, 9)] {
            let mut broken = out.clone();
            broken[at] = byte;
            assert_eq!(read(kind, &broken), Err(RecordError::WrongBits));
        }
        out[bits - 8..bits - 4].fill(0xFF);
        assert_eq!(read(kind, &out), Err(RecordError::WrongBits));
    }
}
