//! Reading the log back.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::segment::{self, HEADER_LEN, HeaderError, Records};
use super::{Lsn, record};
use crate::HotError;
use crate::directory::Directory;
use record::{Kind, Prefix, Record, RecordError};

/// What a replay found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The place after the last whole record.
    pub end: Lsn,
    /// Records handed on.
    pub records: u64,
    /// Bytes of a torn write that were cut off.
    pub torn_bytes: u64,
    /// Bytes of records that a repair gave up.
    pub lost_bytes: u64,
}

/// Where a record lies in the bytes of its file. Its checksum was found right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The place in the log after it.
    pub end: Lsn,
    /// Its kind.
    pub kind: u8,
    /// Its payload.
    pub payload: Range<usize>,
}

/// Records of a file.
#[derive(Clone, Debug)]
pub struct Frames {
    /// The file, for messages.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Arc<Vec<u8>>,
    /// The records.
    pub frames: Vec<Frame>,
}

impl Frames {
    /// The payload of a record.
    pub fn payload(&self, frame: &Frame) -> &[u8] {
        &self.bytes[frame.payload.clone()]
    }

    /// That a record, though whole, cannot be read.
    pub fn unreadable(&self, frame: &Frame, error: &RecordError) -> HotError {
        HotError::Damaged {
            path: self.path.clone(),
            offset: frame.payload.start as u64,
            what: error.to_string(),
        }
    }
}

/// Hands every record at or after `from` to `apply`, with the place after it, in order. Cuts off what a torn write left behind.
///
/// # Errors
/// When a segment is missing or damaged anywhere but at the end, or when `apply` fails.
pub fn replay(
    directory: &dyn Directory,
    from: Lsn,
    mut apply: impl FnMut(Lsn, Prefix, Record) -> Result<(), HotError>,
) -> Result<Replayed, HotError> {
    read_segments::<HotError>(directory, from, |segment| {
        for frame in &segment.frames {
            let (prefix, record) = record::read(frame.kind, segment.payload(frame))
                .map_err(|e| segment.unreadable(frame, &e))?;
            apply(frame.end, prefix, record)?;
        }
        Ok(())
    })
}

/// Hands the records at or after `from` to `take`, segment by segment, when all of the segment's were found whole. Cuts off what a torn
/// write left behind.
///
/// # Errors
/// When a segment is missing or damaged anywhere but at the end, or when `take` fails.
pub fn read_segments<E: From<HotError>>(
    directory: &dyn Directory,
    from: Lsn,
    mut take: impl FnMut(Frames) -> Result<(), E>,
) -> Result<Replayed, E> {
    let names = directory.list().map_err(HotError::io(directory.path("")))?;
    let bases: Vec<Lsn> = names.iter().filter_map(|n| segment::base_of(n)).collect();
    let mut found = Replayed {
        end: from,
        ..Replayed::default()
    };
    let mut expected: Option<Lsn> = None;
    for (i, base) in bases.iter().enumerate() {
        let name = segment::file_name(*base);
        let last = i + 1 == bases.len();
        match expected {
            Some(expected) if *base != expected => {
                let what = format!("the segment before it, from {}, is missing", expected.0);
                return Err(damaged(directory, &name, 0, &what).into());
            }
            None if *base > from => {
                let what = format!("the segments before it, from {}, are missing", from.0);
                return Err(HotError::Damaged {
                    path: directory.path(&name),
                    offset: 0,
                    what,
                }
                .into());
            }
            _ => {}
        }
        let bytes = directory
            .read(&name)
            .map_err(HotError::io(directory.path(&name)))?;
        match segment::check_header(&bytes, *base) {
            Ok(()) => {}
            Err(HeaderError::Torn) if last && bytes.len() <= HEADER_LEN => {
                // The file was made but its first write never became whole: no record is lost.
                found.torn_bytes += bytes.len() as u64;
                remove(directory, &name)?;
                expected = Some(*base);
                continue;
            }
            Err(e) => return Err(damaged(directory, &name, 0, &e.to_string()).into()),
        }
        let (frames, bad) = frames_of(&bytes, *base);
        if let Some(bad) = bad {
            if !last {
                return Err(damaged(directory, &name, bad.at, bad.what).into());
            }
            found.torn_bytes += (bytes.len() - bad.at) as u64;
            tracing::warn!(
                file = name,
                at = bad.at,
                what = bad.what,
                "cut off a torn write"
            );
            directory
                .truncate(&name, bad.at as u64)
                .map_err(HotError::io(directory.path(&name)))?;
        }
        let end = frames.last().map_or(*base, |f| f.end);
        if last && end == *base {
            // It holds no record, and the segment to be begun now has its name.
            remove(directory, &name)?;
        }
        expected = Some(end);
        let frames = frames.into_iter().filter(|f| f.end > from);
        let (lost, frames): (Vec<_>, Vec<_>) = frames.partition(|f| f.kind == Kind::Lost as u8);
        found.lost_bytes += lost.iter().map(|f| f.payload.len() as u64).sum::<u64>();
        found.records += frames.len() as u64;
        take(Frames {
            path: directory.path(&name),
            bytes: Arc::new(bytes),
            frames,
        })?;
    }
    if found.lost_bytes > 0 {
        let bytes = found.lost_bytes;
        tracing::warn!(bytes, "passed over what a repair of the log gave up");
    }
    found.end = expected.unwrap_or(from).max(from);
    Ok(found)
}

/// The whole records of a segment, and the bad one, counted from the start of the file, that they end at.
pub fn frames_of(bytes: &[u8], base: Lsn) -> (Vec<Frame>, Option<segment::BadRecord>) {
    let mut frames = Vec::new();
    let mut records = Records::new(&bytes[HEADER_LEN..]);
    while let Some(next) = records.next() {
        match next {
            Ok((kind, payload)) => {
                let end = HEADER_LEN + records.position();
                frames.push(Frame {
                    end: Lsn(base.0 + records.position() as u64),
                    kind,
                    payload: end - payload.len()..end,
                });
            }
            Err(mut bad) => {
                bad.at += HEADER_LEN;
                return (frames, Some(bad));
            }
        }
    }
    (frames, None)
}

fn damaged(directory: &dyn Directory, name: &str, offset: usize, what: &str) -> HotError {
    HotError::DamagedLog {
        path: directory.path(name),
        offset: offset as u64,
        what: what.to_owned(),
    }
}

fn remove(directory: &dyn Directory, name: &str) -> Result<(), HotError> {
    directory
        .remove(name)
        .map_err(HotError::io(directory.path(name)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hesper_model::Window;

    use super::super::record::{DEFAULT_TENANT, put_seal};
    use super::super::writer::{Log, LogOptions};
    use super::*;
    use crate::directory::memory::MemoryDirectory;
    use crate::window::FlushId;

    const PREFIX: Prefix = Prefix {
        tenant: DEFAULT_TENANT,
        step_millis: 1000,
        shard: 0,
    };

    fn options() -> LogOptions {
        LogOptions {
            segment_bytes: 100,
            buffer_bytes: 1000,
            ..LogOptions::default()
        }
    }

    /// A record that carries a number.
    fn append(log: &Log, n: u64) -> Result<Lsn, HotError> {
        let mut framed = Vec::new();
        segment::put_record(&mut framed, Kind::Seal as u8, |out| {
            put_seal(out, PREFIX, Window(0), FlushId(n));
        });
        log.append(&framed)
    }

    fn numbers(directory: &MemoryDirectory, from: Lsn) -> Result<(Vec<u64>, Replayed), HotError> {
        let mut numbers = Vec::new();
        let replayed = replay(directory, from, |_, prefix, record| {
            assert_eq!(prefix, PREFIX);
            match record {
                Record::Seal { flush, .. } => numbers.push(flush.0),
                other => panic!("{other:?} was never written"),
            }
            Ok(())
        })?;
        Ok((numbers, replayed))
    }

    fn log_of(directory: &MemoryDirectory, end: Lsn) -> Log {
        Log::create(Arc::new(directory.clone()), end, options()).expect("a new segment")
    }

    #[test]
    fn what_was_committed_comes_back_over_many_segments() {
        let directory = MemoryDirectory::default();
        let log = log_of(&directory, Lsn(0));
        for n in 0..20 {
            append(&log, n).expect("room");
            log.commit().expect("a working disk");
        }
        assert!(directory.list().expect("listed").len() > 3);
        let (found, replayed) = numbers(&directory.crashed(0), Lsn(0)).expect("whole");
        assert_eq!(found, (0..20).collect::<Vec<_>>());
        assert_eq!((replayed.end, replayed.torn_bytes), (log.end(), 0));
    }

    #[test]
    fn what_was_not_committed_is_gone_and_a_torn_write_is_cut_off() {
        let directory = MemoryDirectory::default();
        let log = log_of(&directory, Lsn(0));
        append(&log, 1).expect("room");
        log.commit().expect("a working disk");
        directory.fail_syncs_after(0);
        append(&log, 2).expect("room");
        assert!(log.commit().is_err());
        for torn in [0, 1, 8, 20] {
            let left = directory.crashed(torn);
            let (found, replayed) = numbers(&left, Lsn(0)).expect("whole");
            assert_eq!((found, replayed.torn_bytes), (vec![1], torn as u64));
            // The next segment begins where the torn one was cut.
            let log = log_of(&left, replayed.end);
            append(&log, 3).expect("room");
            log.commit().expect("a working disk");
            assert_eq!(numbers(&left, Lsn(0)).expect("whole").0, [1, 3]);
        }
    }

    #[test]
    fn a_failed_sync_poisons_the_log() {
        let directory = MemoryDirectory::default();
        let log = log_of(&directory, Lsn(0));
        directory.fail_syncs_after(0);
        append(&log, 1).expect("room");
        assert!(matches!(log.commit(), Err(HotError::Poisoned { .. })));
        assert!(matches!(append(&log, 2), Err(HotError::Poisoned { .. })));
        assert!(matches!(log.commit(), Err(HotError::Poisoned { .. })));
        assert!(log.poison().expect("poisoned").contains("the disk is gone"));
        assert_eq!(log.durable(), Lsn(0));
    }

    #[test]
    fn a_full_buffer_refuses_until_it_is_committed() {
        let log = log_of(&MemoryDirectory::default(), Lsn(0));
        for n in 0..100 {
            append(&log, n).expect("a batch under way is finished");
        }
        assert!(matches!(log.check_room(), Err(HotError::Busy { .. })));
        log.commit().expect("a working disk");
        log.check_room().expect("room again");
    }

    #[test]
    fn damage_before_the_end_and_a_missing_segment_are_errors() {
        let directory = MemoryDirectory::default();
        let log = log_of(&directory, Lsn(0));
        for n in 0..12 {
            append(&log, n).expect("room");
            log.commit().expect("a working disk");
        }
        let names = directory.list().expect("listed");
        let damaged = directory.crashed(0);
        damaged.edit(&names[0], |bytes| bytes[40] ^= 1);
        let error = numbers(&damaged, Lsn(0)).expect_err("a flipped bit");
        assert!(matches!(error, HotError::DamagedLog { .. }), "{error}");
        assert!(
            error.to_string().contains("hesper fsck --repair"),
            "{error}"
        );
        let missing = directory.crashed(0);
        missing.remove(&names[1]).expect("removed");
        let error = numbers(&missing, Lsn(0)).expect_err("a missing segment");
        assert!(error.to_string().contains("missing"), "{error}");
    }

    #[test]
    fn a_flipped_bit_in_the_last_segment_ends_the_log_there() {
        let directory = MemoryDirectory::default();
        let options = LogOptions::default();
        let log = Log::create(Arc::new(directory.clone()), Lsn(0), options).expect("new");
        let mut ends = vec![0];
        for n in 0..6 {
            ends.push(append(&log, n).expect("room").0 as usize);
            log.commit().expect("a working disk");
        }
        let name = &directory.list().expect("listed")[0];
        for bad in 0..6 {
            for place in ends[bad]..ends[bad + 1] {
                let damaged = directory.crashed(0);
                damaged.edit(name, |bytes| bytes[HEADER_LEN + place] ^= 4);
                let (found, replayed) = numbers(&damaged, Lsn(0)).expect("the last segment");
                assert_eq!(found, (0..bad as u64).collect::<Vec<_>>());
                assert_eq!(replayed.end.0 as usize, ends[bad]);
                assert_eq!(replayed.torn_bytes as usize, ends[6] - ends[bad]);
                // And stays there: what is written next follows.
                let log = log_of(&damaged, replayed.end);
                append(&log, 99).expect("room");
                log.commit().expect("a working disk");
                let (found, _) = numbers(&damaged, Lsn(0)).expect("whole");
                assert_eq!(found.last(), Some(&99));
            }
        }
    }

    #[test]
    fn a_full_disk_poisons_the_log_and_loses_nothing_that_was_acknowledged() {
        for left in 0..60 {
            let directory = MemoryDirectory::default();
            let log = log_of(&directory, Lsn(0));
            append(&log, 1).expect("room");
            log.commit().expect("a working disk");
            directory.fail_writes_after(left);
            let mut acknowledged = vec![1];
            for n in 2..9 {
                if append(&log, n).is_ok() && log.commit().is_ok() {
                    acknowledged.push(n);
                }
            }
            let error = append(&log, 9).expect_err("poisoned");
            assert!(error.to_string().contains("no space left"), "{error}");
            assert!(matches!(log.check_room(), Err(HotError::Poisoned { .. })));
            // After a restart, with room again: also what was written of the last commit may be there or not.
            for torn in [0, 10, 100] {
                let left = directory.crashed(torn);
                let (found, replayed) = numbers(&left, Lsn(0)).expect("no damage");
                assert!(
                    found.starts_with(&acknowledged),
                    "{found:?} {acknowledged:?}"
                );
                let log = log_of(&left, replayed.end);
                append(&log, 10).expect("room");
                log.commit().expect("a working disk");
            }
        }
    }

    #[test]
    fn truncation_removes_whole_segments_only() {
        let directory = MemoryDirectory::default();
        let log = log_of(&directory, Lsn(0));
        let mut ends = Vec::new();
        for n in 0..12 {
            ends.push(append(&log, n).expect("room"));
            log.commit().expect("a working disk");
        }
        assert!(log.truncate(ends[6]).expect("removed") > 0);
        let (found, _) = numbers(&directory, ends[6]).expect("whole");
        assert_eq!(found, (7..12).collect::<Vec<_>>());
        log.truncate(log.end()).expect("removed");
        assert_eq!(directory.list().expect("listed").len(), 1);
    }

    #[test]
    fn the_committer_commits_by_itself_and_at_the_end() {
        let directory = MemoryDirectory::default();
        let log = Arc::new(log_of(&directory, Lsn(0)));
        let committer = log.start_committer();
        let end = append(&log, 1).expect("room");
        let began = std::time::Instant::now();
        while log.durable() < end {
            assert!(began.elapsed().as_secs() < 10, "never committed");
            std::thread::yield_now();
        }
        append(&log, 2).expect("room");
        committer.stop();
        assert_eq!(
            numbers(&directory.crashed(0), Lsn(0)).expect("whole").0,
            [1, 2]
        );
    }
}
