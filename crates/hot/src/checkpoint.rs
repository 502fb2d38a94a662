//! Checkpoints: the state of all shards that is not in history, so that the log before it can go.
//!
//! ```text
//! file       = "HESPCKP" version u8, record …            records framed as in the log
//! shard      = prefix, lsn u64, next_series u32, next_flush u64          what follows is of this shard, as of this place in the log
//! series     = as in the log
//! clients    = prefix, count u32, (client [16], sequence u64, received i64) …
//! normaliser = prefix, count u32, (number u32, last i64, weighed i64, carry f64, previous f64) …
//! blocks     = prefix, window i64, flush u64, last_write i64, count u32, (number u32, length u16, block) …     flush 0: not sealed
//! feeds      = prefix, count u32, (number u32, target u32, source u8, original u64 u64 u64,
//!              last i64, weighed i64, carry f64, previous f64) …
//! end        = prefix, records u64                       a file without it is not whole
//! ```
//! Each shard is written as of its own place in the log; replay passes over the records of a shard that lie before that place. The file is
//! named after the lowest of those places, is written under another name and renamed when it is durable.

use std::sync::Arc;

use bytes::{Buf, BufMut};
use hesper_model::{Block, Timestamp, Window};

use crate::HotError;
use crate::codec::{Codec, EncodedBlock};
use crate::directory::{Directory, WriteFile};
use crate::feed::Feed;
use crate::fold::{Work, run_widest};
use crate::log::record::{self, ClientId, Kind, Prefix, Record, RecordError};
use crate::log::replay::{Frame, Frames};
use crate::log::{Lsn, segment};
use crate::normaliser::NormaliserState;
use crate::series_table::SeriesRef;
use crate::shard::{ClientProgress, Shard};
use crate::symbols::Symbols;
use crate::window::FlushId;
use crate::window::open::OpenColumns;

const MAGIC: &[u8; 7] = b"HESPCKP";
const VERSION: u8 = 1;
const TEMPORARY: &str = "checkpoint.tmp";

const SHARD: u8 = 32;
const CLIENTS: u8 = 33;
const NORMALISER: u8 = 34;
const BLOCKS: u8 = 35;
const END: u8 = 36;
const FEEDS: u8 = 37;

const HEADER_LEN: usize = 8;

/// Records that are handed on at once.
const PARCEL: usize = 16_384;

/// Entries in one record.
const CHUNK: usize = 4096;

/// Columns that were open: they belong to no flush.
const NOT_SEALED: FlushId = FlushId(0);

/// Writes a checkpoint, shard by shard.
pub struct CheckpointWriter<'a> {
    directory: &'a dyn Directory,
    file: Box<dyn WriteFile>,
    out: Vec<u8>,
    records: u64,
    lowest: Option<Lsn>,
}

impl<'a> CheckpointWriter<'a> {
    /// Begins a checkpoint.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(directory: &'a dyn Directory) -> Result<Self, HotError> {
        let io = || HotError::io(directory.path(TEMPORARY));
        if directory
            .list()
            .map_err(io())?
            .iter()
            .any(|n| n == TEMPORARY)
        {
            directory.remove(TEMPORARY).map_err(io())?;
        }
        let mut file = directory.create(TEMPORARY).map_err(io())?;
        let mut header = MAGIC.to_vec();
        header.push(VERSION);
        file.append(&header).map_err(io())?;
        Ok(Self {
            directory,
            file,
            out: Vec::new(),
            records: 0,
            lowest: None,
        })
    }

    fn put(&mut self, kind: u8, put: impl FnOnce(&mut Vec<u8>)) {
        segment::put_record(&mut self.out, kind, put);
        self.records += 1;
    }

    /// Takes in a shard as it is now, `lsn` being the place after the last record that it has applied. Nothing is written yet.
    pub fn add_shard(
        &mut self,
        prefix: Prefix,
        lsn: Lsn,
        next_flush: FlushId,
        shard: &Shard,
        symbols: &Symbols,
        codec: &Codec,
    ) {
        self.lowest = Some(self.lowest.map_or(lsn, |l| l.min(lsn)));
        let capacity = shard.table.capacity() as u32;
        self.put(SHARD, |out| {
            put_prefix(out, prefix);
            out.put_u64_le(lsn.0);
            out.put_u32_le(capacity);
            out.put_u64_le(next_flush.0);
        });
        for s in shard.table.iter() {
            let tags = shard.table.text_pairs(symbols, s);
            let tags = tags.map(|(k, v)| (&**k, &**v));
            self.put(Kind::Series as u8, |out| {
                record::put_series(out, prefix, s, tags);
            });
        }
        let clients: Vec<_> = shard.clients.iter().collect();
        for chunk in clients.chunks(CHUNK) {
            self.put(CLIENTS, |out| {
                put_prefix(out, prefix);
                out.put_u32_le(chunk.len() as u32);
                for (client, progress) in chunk {
                    out.put_slice(&client.0);
                    out.put_u64_le(progress.sequence);
                    out.put_i64_le(progress.received.0);
                }
            });
        }
        let live: Vec<_> = shard.table.iter().collect();
        for chunk in live.chunks(CHUNK) {
            self.put(NORMALISER, |out| {
                put_prefix(out, prefix);
                out.put_u32_le(chunk.len() as u32);
                for s in chunk {
                    out.put_u32_le(s.0);
                    put_state(out, shard.normaliser.get(s.0).copied().unwrap_or_default());
                }
            });
        }
        let feeds: Vec<_> = shard.feeds.iter().collect();
        for chunk in feeds.chunks(CHUNK) {
            self.put(FEEDS, |out| {
                put_prefix(out, prefix);
                out.put_u32_le(chunk.len() as u32);
                for (number, feed) in chunk {
                    record::put_way(out, *number, &feed.way);
                    put_state(out, feed.state);
                }
            });
        }
        for (window, part) in &shard.windows {
            let last_write = part.last_write;
            for (flush, sealed) in &part.unflushed {
                let head = BlocksHead {
                    prefix,
                    window: *window,
                    flush: *flush,
                    last_write,
                };
                let refs = sealed.order().refs();
                self.put_blocks(head, refs, |first, series, out| {
                    for (place, series) in (first as u32..).zip(series) {
                        let block = sealed.bytes(place);
                        out.put_u32_le(series.0);
                        out.put_u16_le(length(block.len()));
                        out.put_slice(block);
                    }
                });
            }
            if let Some(open) = &part.open {
                let head = BlocksHead {
                    prefix,
                    window: *window,
                    flush: NOT_SEALED,
                    last_write,
                };
                let refs: Vec<_> = open.series().collect();
                self.put_blocks(head, &refs, |_, series, out| {
                    run_widest(Encoding {
                        series,
                        open,
                        codec,
                        out,
                    });
                });
            }
        }
    }

    /// Puts blocks of a window into records; `put` appends those of some of the series, of which the first has this place.
    fn put_blocks(
        &mut self,
        head: BlocksHead,
        series: &[SeriesRef],
        mut put: impl FnMut(usize, &[SeriesRef], &mut Vec<u8>),
    ) {
        for (number, chunk) in series.chunks(CHUNK).enumerate() {
            self.put(BLOCKS, |out| {
                put_prefix(out, head.prefix);
                out.put_i64_le(head.window.0);
                out.put_u64_le(head.flush.0);
                out.put_i64_le(head.last_write.0);
                out.put_u32_le(chunk.len() as u32);
                put(number * CHUNK, chunk, out);
            });
        }
    }

    /// Writes what has gathered; call it between shards, without their locks.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> Result<(), HotError> {
        let written = self.file.append(&self.out);
        self.out.clear();
        written.map_err(HotError::io(self.directory.path(TEMPORARY)))
    }

    /// Completes the checkpoint, makes it durable, removes the ones before it, and gives the place from which the log is needed.
    ///
    /// # Errors
    /// When a file cannot be written, renamed or removed. The checkpoint before it is then still valid.
    pub fn finish(mut self, prefix: Prefix) -> Result<Lsn, HotError> {
        let records = self.records;
        self.put(END, |out| {
            put_prefix(out, prefix);
            out.put_u64_le(records);
        });
        self.flush()?;
        let lowest = self.lowest.unwrap_or_default();
        let name = file_name(lowest);
        let directory = self.directory;
        let mut finish = || {
            self.file.sync()?;
            let names = directory.list()?;
            directory.rename(TEMPORARY, &name)?;
            directory.sync()?;
            for old in names
                .iter()
                .filter(|n| place_of(n).is_some() && **n != name)
            {
                directory.remove(old)?;
            }
            directory.sync()
        };
        finish().map_err(HotError::io(directory.path(&name)))?;
        Ok(lowest)
    }
}

/// What a record of blocks begins with.
struct BlocksHead {
    prefix: Prefix,
    window: Window,
    flush: FlushId,
    last_write: Timestamp,
}

/// A length below a kilobyte, as that of a block is.
fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).expect("blocks are below a kilobyte")
}

/// Open columns being encoded.
struct Encoding<'a> {
    series: &'a [SeriesRef],
    open: &'a OpenColumns,
    codec: &'a Codec,
    out: &'a mut Vec<u8>,
}

impl Work for Encoding<'_> {
    #[inline(always)]
    fn run(self) {
        for series in self.series {
            let block = self.open.block(*series);
            self.out.put_u32_le(series.0);
            self.out.put_u16_le(0);
            let begin = self.out.len();
            // Not through a closure: it would not be inlined, and not get the widest vectors.
            self.codec.encode(&block, self.out);
            let length = length(self.out.len() - begin);
            self.out[begin - 2..begin].copy_from_slice(&length.to_le_bytes());
        }
    }
}

fn file_name(lowest: Lsn) -> String {
    format!("{:020}.checkpoint", lowest.0)
}

fn place_of(name: &str) -> Option<Lsn> {
    name.strip_suffix(".checkpoint")?.parse().ok().map(Lsn)
}

fn put_prefix(out: &mut Vec<u8>, prefix: Prefix) {
    out.put_u32_le(prefix.tenant);
    out.put_u32_le(prefix.step_millis);
    out.put_u32_le(prefix.shard);
}

fn put_state(out: &mut Vec<u8>, state: NormaliserState) {
    let (last, weighed, carry, previous) = state.into();
    out.put_i64_le(last);
    out.put_i64_le(weighed);
    out.put_f64_le(carry);
    out.put_f64_le(previous);
}

fn read_state(at: &mut &[u8]) -> Result<NormaliserState, RecordError> {
    let (last, weighed) = (at.try_get_i64_le()?, at.try_get_i64_le()?);
    let (carry, previous) = (at.try_get_f64_le()?, at.try_get_f64_le()?);
    Ok((last, weighed, carry, previous).into())
}

/// What a checkpoint brings back, shard by shard.
#[derive(Debug)]
pub enum Item {
    /// A shard begins, as of a place in the log.
    Shard {
        /// The place.
        lsn: Lsn,
        /// The number for its next series.
        next_series: u32,
        /// The number for the store's next flush.
        next_flush: FlushId,
    },
    /// A series.
    Series(SeriesRef, hesper_model::Tags),
    /// What took effect last of some clients.
    Clients(Vec<(ClientId, ClientProgress)>),
    /// What the normaliser remembers of some series.
    Normaliser(Vec<(SeriesRef, NormaliserState)>),
    /// Feeds with what they remember.
    Feeds(Vec<(SeriesRef, Feed)>),
    /// Values that are not in history unless the flush is.
    Blocks {
        /// The window.
        window: Window,
        /// The flush that takes them there; `None` when they were not sealed.
        flush: Option<FlushId>,
        /// When the last of them was received.
        last_write: Timestamp,
        /// The values.
        blocks: Vec<(SeriesRef, Block)>,
    },
}

/// Hands the records of the newest checkpoint to `take`, many at a time, to be read by [`read_item`]; and gives the place from which the
/// log is needed; `None` without a checkpoint.
///
/// # Errors
/// When it cannot be read or is not whole, or when `take` fails.
pub fn read<E: From<HotError>>(
    directory: &dyn Directory,
    mut take: impl FnMut(Frames) -> Result<(), E>,
) -> Result<Option<Lsn>, E> {
    let names = directory.list().map_err(HotError::io(directory.path("")))?;
    let newest = names.iter().filter_map(|n| Some((place_of(n)?, n))).max();
    let Some((place, name)) = newest else {
        return Ok(None);
    };
    let bytes = directory
        .read(name)
        .map_err(HotError::io(directory.path(name)))?;
    let damaged = |offset: usize, what: &str| HotError::Damaged {
        path: directory.path(name),
        offset: offset as u64,
        what: what.to_owned(),
    };
    let header = bytes.first_chunk::<HEADER_LEN>();
    let header = header.ok_or_else(|| damaged(0, "it has no header"))?;
    if header[..7] != *MAGIC || header[7] != VERSION {
        let what = "it is not a checkpoint of a version that is known";
        return Err(damaged(0, what).into());
    }
    let bytes = Arc::new(bytes);
    let mut frames = Vec::new();
    let mut records = segment::Records::new(&bytes[HEADER_LEN..]);
    let mut seen = 0;
    let mut whole = false;
    while let Some(next) = records.next() {
        let (kind, payload) = next.map_err(|bad| damaged(HEADER_LEN + bad.at, bad.what))?;
        let end = HEADER_LEN + records.position();
        if kind == END {
            whole = payload.get(12..) == Some(&u64::to_le_bytes(seen));
            if !whole {
                return Err(damaged(end - payload.len(), "records are missing").into());
            }
            break;
        }
        frames.push(Frame {
            end: Lsn(0),
            kind,
            payload: end - payload.len()..end,
        });
        seen += 1;
        if frames.len() == PARCEL {
            take(Frames {
                path: directory.path(name),
                bytes: bytes.clone(),
                frames: std::mem::take(&mut frames),
            })?;
        }
    }
    if !whole {
        return Err(damaged(bytes.len(), "its end is missing").into());
    }
    take(Frames {
        path: directory.path(name),
        bytes,
        frames,
    })?;
    Ok(Some(place))
}

/// Reads a record of a checkpoint.
///
/// # Errors
/// When the payload is none of its kind.
pub fn read_item(kind: u8, payload: &[u8], codec: &Codec) -> Result<(Prefix, Item), RecordError> {
    if kind == Kind::Series as u8 {
        return match record::read(kind, payload)? {
            (prefix, Record::Series { series, tags }) => Ok((prefix, Item::Series(series, tags))),
            _ => Err(RecordError::UnknownKind(kind)),
        };
    }
    let mut at = payload;
    let prefix = Prefix {
        tenant: at.try_get_u32_le()?,
        step_millis: at.try_get_u32_le()?,
        shard: at.try_get_u32_le()?,
    };
    let item = match kind {
        SHARD => Item::Shard {
            lsn: Lsn(at.try_get_u64_le()?),
            next_series: at.try_get_u32_le()?,
            next_flush: FlushId(at.try_get_u64_le()?),
        },
        CLIENTS => {
            let mut clients = Vec::new();
            for _ in 0..at.try_get_u32_le()? {
                let mut client = ClientId::NONE;
                at.try_copy_to_slice(&mut client.0)?;
                let progress = ClientProgress {
                    sequence: at.try_get_u64_le()?,
                    received: Timestamp(at.try_get_i64_le()?),
                };
                clients.push((client, progress));
            }
            Item::Clients(clients)
        }
        NORMALISER => {
            let mut states = Vec::new();
            for _ in 0..at.try_get_u32_le()? {
                states.push((SeriesRef(at.try_get_u32_le()?), read_state(&mut at)?));
            }
            Item::Normaliser(states)
        }
        FEEDS => {
            let mut feeds = Vec::new();
            for _ in 0..at.try_get_u32_le()? {
                let (number, way) = record::read_way(&mut at)?;
                let state = read_state(&mut at)?;
                feeds.push((number, Feed { way, state }));
            }
            Item::Feeds(feeds)
        }
        BLOCKS => read_blocks(&mut at, codec)?,
        unknown => return Err(RecordError::UnknownKind(unknown)),
    };
    match at.len() {
        0 => Ok((prefix, item)),
        left => Err(RecordError::TooLong(left)),
    }
}

fn read_blocks(at: &mut &[u8], codec: &Codec) -> Result<Item, RecordError> {
    let window = Window(at.try_get_i64_le()?);
    let flush = FlushId(at.try_get_u64_le()?);
    let last_write = Timestamp(at.try_get_i64_le()?);
    let mut blocks = Vec::new();
    for _ in 0..at.try_get_u32_le()? {
        let series = SeriesRef(at.try_get_u32_le()?);
        let length = usize::from(at.try_get_u16_le()?);
        let bytes = at.split_off(..length).ok_or(RecordError::Truncated)?;
        let (encoded, _) = EncodedBlock::read(bytes).map_err(RecordError::Block)?;
        blocks.push((series, codec.decode(&encoded)));
    }
    Ok(Item::Blocks {
        window,
        flush: (flush != NOT_SEALED).then_some(flush),
        last_write,
        blocks,
    })
}
