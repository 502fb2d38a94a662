//! What the records of the log hold.
//!
//! ```text
//! payload = tenant u32, step_millis u32, shard u32, body         the body by the record's kind
//! series  = number u32, count u16, (length u16, key, length u16, value) …      a series gets its number in the shard
//! samples = client [16], sequence u64, received i64, count u32, one_time u8,
//!           time i64 (once, or count times), number u32 …, value f64 …        published datapoints, before normalisation
//! ordered = client [16], sequence u64, received i64, time i64, count u32, first u32, words u32,
//!           bits u64 …, value f64 …                              the same of one time, in the order of the series: bit n is of first + n
//! load    = received i64, count u32, (number u32, first slot i64, count u32, value f64 …) …       declared back-fill
//! seal    = window i64, flush u64                                the shard's part of a window is sealed for a flush
//! forget  = count u32, number u32 …                              series and feeds leave the shard
//! feed    = number u32, target u32, source u8, original u64 u64 u64              a feed gets its number
//! lost    = u8 …                                                 no prefix: a repair put it where records could not be read
//! ```
//! All numbers are little-endian. Times are in milliseconds. A client of zeros publishes without identity.

mod published;

use bytes::{Buf, BufMut, TryGetError};
use hesper_model::{DataSource, Slot, Tags, Timestamp, Window};

pub use published::{Samples, put_published, read_published};

use crate::codec::CodecError;
use crate::feed::{Original, Way};
use crate::series_table::SeriesRef;
use crate::window::FlushId;

/// The tenant of every record for now.
pub const DEFAULT_TENANT: u32 = 0;

/// Which body a record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A series gets its number.
    Series = 1,
    /// Published datapoints.
    Samples = 2,
    /// Declared back-fill.
    Load = 3,
    /// A shard's part of a window is sealed.
    Seal = 4,
    /// Series and feeds leave.
    Forget = 5,
    /// Records that a repair gave up.
    Lost = 6,
    /// A feed gets its number.
    Feed = 7,
    /// Published datapoints of one time, in the order of the series.
    Ordered = 8,
}

/// Who published: 16 random bytes of a client's process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub [u8; 16]);

impl ClientId {
    /// Publishes without identity: nothing is recognised as repeated.
    pub const NONE: Self = Self([0; 16]);
}

/// What every record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Whose data it is.
    pub tenant: u32,
    /// The distance between the datapoints.
    pub step_millis: u32,
    /// The shard it changes.
    pub shard: u32,
}

/// A record, read back.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A series gets its number.
    Series {
        /// The number.
        series: SeriesRef,
        /// Its tags.
        tags: Tags,
    },
    /// Published datapoints.
    Samples(Samples),
    /// Declared back-fill.
    Load {
        /// When it was received.
        received: Timestamp,
        /// Runs of values.
        runs: Vec<Run>,
    },
    /// A shard's part of a window is sealed for a flush.
    Seal {
        /// The window.
        window: Window,
        /// The flush.
        flush: FlushId,
    },
    /// Series and feeds leave the shard.
    Forget(Vec<SeriesRef>),
    /// A feed gets its number.
    Feed {
        /// The number.
        number: SeriesRef,
        /// From where to where it goes.
        way: Way,
    },
}

/// Values of consecutive slots of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The series.
    pub series: SeriesRef,
    /// The slot of the first value.
    pub first: Slot,
    /// The values; NaN is no data.
    pub values: Vec<f64>,
}

/// Bytes that are no record of their kind.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// They end too early.
    #[error("the record ends too early")]
    Truncated,
    /// There are bytes left.
    #[error("the record has {0} bytes too many")]
    TooLong(usize),
    /// The kind is not known.
    #[error("records of kind {0} are not known to this version")]
    UnknownKind(u8),
    /// A tag is not UTF-8.
    #[error("a tag is not UTF-8")]
    NotText,
    /// There are other bits of series than it says, or beyond the last number.
    #[error("the bits of its series are not as many as it says")]
    WrongBits,
    /// The type of a feed is not known.
    #[error("feeds of type {0} are not known to this version")]
    UnknownSource(u8),
    /// The number of a feed is that of a series, or its target is a feed.
    #[error("the number {0} is no feed's, or it feeds another feed")]
    NoFeed(u32),
    /// A block is none.
    #[error(transparent)]
    Block(CodecError),
}

impl From<TryGetError> for RecordError {
    fn from(_: TryGetError) -> Self {
        Self::Truncated
    }
}

fn put_prefix(out: &mut Vec<u8>, prefix: Prefix) {
    out.put_u32_le(prefix.tenant);
    out.put_u32_le(prefix.step_millis);
    out.put_u32_le(prefix.shard);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    // Validation limits keys and values to far less than 64 KiB.
    let length = u16::try_from(text.len()).expect("keys and values are below 64 KiB");
    out.put_u16_le(length);
    out.put_slice(text.as_bytes());
}

/// Appends the payload of a [`Kind::Series`] record. The tags are sorted by key.
pub fn put_series<'a>(
    out: &mut Vec<u8>,
    prefix: Prefix,
    series: SeriesRef,
    tags: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
) {
    put_prefix(out, prefix);
    out.put_u32_le(series.0);
    out.put_u16_le(tags.len() as u16);
    for (k, v) in tags {
        put_text(out, k);
        put_text(out, v);
    }
}

/// Appends numbers one after another; where they lie in memory as they are stored, it is a copy.
fn put_column<T, const N: usize>(out: &mut Vec<u8>, column: &[T], bytes: impl Fn(&T) -> [u8; N]) {
    let start = out.len();
    out.resize(start + column.len() * N, 0);
    let (chunks, _) = out[start..].as_chunks_mut::<N>();
    for (chunk, number) in chunks.iter_mut().zip(column) {
        *chunk = bytes(number);
    }
}

/// Appends the payload of a [`Kind::Load`] record.
pub fn put_load(out: &mut Vec<u8>, prefix: Prefix, received: Timestamp, runs: &[Run]) {
    put_prefix(out, prefix);
    out.put_i64_le(received.0);
    out.put_u32_le(runs.len() as u32);
    for run in runs {
        out.put_u32_le(run.series.0);
        out.put_i64_le(run.first.0);
        out.put_u32_le(run.values.len() as u32);
        put_column(out, &run.values, |v| v.to_le_bytes());
    }
}

/// Appends the payload of a [`Kind::Seal`] record.
pub fn put_seal(out: &mut Vec<u8>, prefix: Prefix, window: Window, flush: FlushId) {
    put_prefix(out, prefix);
    out.put_i64_le(window.0);
    out.put_u64_le(flush.0);
}

/// Appends the payload of a [`Kind::Forget`] record.
pub fn put_forget(out: &mut Vec<u8>, prefix: Prefix, series: &[SeriesRef]) {
    put_prefix(out, prefix);
    out.put_u32_le(series.len() as u32);
    put_column(out, series, |s| s.0.to_le_bytes());
}

/// Appends the payload of a [`Kind::Feed`] record.
pub fn put_feed(out: &mut Vec<u8>, prefix: Prefix, number: SeriesRef, way: &Way) {
    put_prefix(out, prefix);
    put_way(out, number, way);
}

/// Appends a feed without what it remembers.
pub(crate) fn put_way(out: &mut Vec<u8>, number: SeriesRef, way: &Way) {
    out.put_u32_le(number.0);
    out.put_u32_le(way.target.0);
    out.put_u8(way.source as u8);
    way.original.0.iter().for_each(|n| out.put_u64_le(*n));
}

/// Reads what [`put_way`] wrote.
pub(crate) fn read_way(at: &mut &[u8]) -> Result<(SeriesRef, Way), RecordError> {
    let number = SeriesRef(at.try_get_u32_le()?);
    let target = SeriesRef(at.try_get_u32_le()?);
    let source = at.try_get_u8()?;
    let source = DataSource::from_number(source).ok_or(RecordError::UnknownSource(source))?;
    let mut original = Original::ANY;
    for n in &mut original.0 {
        *n = at.try_get_u64_le()?;
    }
    if !number.is_feed() || target.is_feed() {
        return Err(RecordError::NoFeed(number.0));
    }
    let way = Way {
        target,
        source,
        original,
    };
    Ok((number, way))
}

/// Reads a record.
///
/// # Errors
/// When the payload is none of its kind.
pub fn read(kind: u8, payload: &[u8]) -> Result<(Prefix, Record), RecordError> {
    let mut samples = Samples::default();
    if let Some(prefix) = read_published(kind, payload, &mut samples) {
        return Ok((prefix?, Record::Samples(samples)));
    }
    let mut at = payload;
    let at = &mut at;
    let prefix = read_prefix(at)?;
    let record = match kind {
        k if k == Kind::Series as u8 => read_series(at)?,
        k if k == Kind::Load as u8 => read_load(at)?,
        k if k == Kind::Seal as u8 => Record::Seal {
            window: Window(at.try_get_i64_le()?),
            flush: FlushId(at.try_get_u64_le()?),
        },
        k if k == Kind::Forget as u8 => {
            let count = at.try_get_u32_le()? as usize;
            Record::Forget(column(at, count, |c| SeriesRef(u32::from_le_bytes(c)))?)
        }
        k if k == Kind::Feed as u8 => {
            let (number, way) = read_way(at)?;
            Record::Feed { number, way }
        }
        unknown => return Err(RecordError::UnknownKind(unknown)),
    };
    match at.len() {
        0 => Ok((prefix, record)),
        left => Err(RecordError::TooLong(left)),
    }
}

fn read_series(at: &mut &[u8]) -> Result<Record, RecordError> {
    let series = SeriesRef(at.try_get_u32_le()?);
    let count = at.try_get_u16_le()?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        pairs.push((read_text(at)?, read_text(at)?));
    }
    let tags = Tags::from_pairs(pairs);
    Ok(Record::Series { series, tags })
}

/// Reads the prefix at the start of a record's payload.
///
/// # Errors
/// When the payload is shorter.
pub fn prefix_of(payload: &[u8]) -> Result<Prefix, RecordError> {
    let mut at = payload;
    read_prefix(&mut at)
}

fn read_prefix(at: &mut &[u8]) -> Result<Prefix, RecordError> {
    Ok(Prefix {
        tenant: at.try_get_u32_le()?,
        step_millis: at.try_get_u32_le()?,
        shard: at.try_get_u32_le()?,
    })
}

fn read_load(at: &mut &[u8]) -> Result<Record, RecordError> {
    let received = Timestamp(at.try_get_i64_le()?);
    let count = at.try_get_u32_le()?;
    let mut runs = Vec::new();
    for _ in 0..count {
        let series = SeriesRef(at.try_get_u32_le()?);
        let first = Slot(at.try_get_i64_le()?);
        let length = at.try_get_u32_le()? as usize;
        runs.push(Run {
            series,
            first,
            values: column(at, length, f64::from_le_bytes)?,
        });
    }
    Ok(Record::Load { received, runs })
}

fn read_text(at: &mut &[u8]) -> Result<String, RecordError> {
    let length = usize::from(at.try_get_u16_le()?);
    let bytes = at.split_off(..length).ok_or(RecordError::Truncated)?;
    let text = std::str::from_utf8(bytes).map_err(|_| RecordError::NotText)?;
    Ok(text.to_owned())
}

fn column<const N: usize, T>(
    at: &mut &[u8],
    count: usize,
    read: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, RecordError> {
    let mut column = Vec::new();
    read_column(at, count, read, &mut column)?;
    Ok(column)
}

fn read_column<const N: usize, T>(
    at: &mut &[u8],
    count: usize,
    read: impl Fn([u8; N]) -> T,
    column: &mut Vec<T>,
) -> Result<(), RecordError> {
    let length = count.checked_mul(N).ok_or(RecordError::Truncated)?;
    let bytes = at.split_off(..length).ok_or(RecordError::Truncated)?;
    let (chunks, _) = bytes.as_chunks::<N>();
    column.extend(chunks.iter().map(|c| read(*c)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) const PREFIX: Prefix = Prefix {
        tenant: DEFAULT_TENANT,
        step_millis: 60_000,
        shard: 7,
    };

    fn record() -> impl Strategy<Value = Record> {
        let series = || any::<u32>().prop_map(SeriesRef);
        // NaN is not equal to itself, which the comparison below needs.
        let value = || any::<f64>().prop_filter("a number", |v| !v.is_nan());
        let samples = (
            any::<[u8; 16]>(),
            any::<u64>(),
            any::<i64>(),
            any::<bool>(),
            prop::collection::vec((any::<i64>(), series(), value()), 1..20),
        );
        let run = (series(), any::<i64>(), prop::collection::vec(value(), 0..9));
        prop_oneof![
            (
                series(),
                prop::collection::hash_map("[a-zé]{0,9}", ".{0,9}", 0..5)
            )
                .prop_map(|(series, tags)| Record::Series {
                    series,
                    tags: Tags::from_pairs(tags)
                }),
            samples.prop_map(|(client, sequence, received, one_time, rows)| {
                let times = rows.iter().map(|r| Timestamp(r.0));
                Record::Samples(Samples {
                    client: ClientId(client),
                    sequence,
                    received: Timestamp(received),
                    times: times.take(if one_time { 1 } else { usize::MAX }).collect(),
                    series: rows.iter().map(|r| r.1).collect(),
                    values: rows.iter().map(|r| r.2).collect(),
                })
            }),
            (any::<i64>(), prop::collection::vec(run, 0..5)).prop_map(|(received, runs)| {
                let runs = runs.into_iter().map(|(series, first, values)| Run {
                    series,
                    first: Slot(first),
                    values,
                });
                Record::Load {
                    received: Timestamp(received),
                    runs: runs.collect(),
                }
            }),
            (any::<i64>(), any::<u64>()).prop_map(|(w, f)| Record::Seal {
                window: Window(w),
                flush: FlushId(f)
            }),
            prop::collection::vec(series(), 0..9).prop_map(Record::Forget),
            (any::<u32>(), any::<u32>(), 0u8..4, any::<[u64; 3]>()).prop_map(
                |(number, target, source, original)| Record::Feed {
                    number: SeriesRef(number | 1 << 31),
                    way: Way {
                        target: SeriesRef(target >> 1),
                        source: DataSource::from_number(source).expect("four sources"),
                        original: Original(original),
                    },
                }
            ),
        ]
    }

    fn encode(record: &Record) -> (u8, Vec<u8>) {
        let mut out = Vec::new();
        let kind = match record {
            Record::Series { series, tags } => {
                put_series(&mut out, PREFIX, *series, tags.iter());
                Kind::Series
            }
            Record::Samples(samples) => put_published(&mut out, PREFIX, samples),
            Record::Load { received, runs } => {
                put_load(&mut out, PREFIX, *received, runs);
                Kind::Load
            }
            Record::Seal { window, flush } => {
                put_seal(&mut out, PREFIX, *window, *flush);
                Kind::Seal
            }
            Record::Forget(series) => {
                put_forget(&mut out, PREFIX, series);
                Kind::Forget
            }
            Record::Feed { number, way } => {
                put_feed(&mut out, PREFIX, *number, way);
                Kind::Feed
            }
        };
        (kind as u8, out)
    }

    proptest! {
        #[test]
        fn records_read_back(record in record()) {
            let (kind, payload) = encode(&record);
            prop_assert_eq!(read(kind, &payload), Ok((PREFIX, record)));
        }

        #[test]
        fn a_shortened_record_is_refused(record in record(), cut in 1usize..40) {
            let (kind, payload) = encode(&record);
            let short = &payload[..payload.len().saturating_sub(cut)];
            prop_assert!(read(kind, short).is_err());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(kind in 0u8..9, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(kind, &bytes);
        }
    }
}
