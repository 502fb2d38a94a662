//! Repair of a log that cannot be read: what is damaged is given up, what comes after it is kept.
//!
//! Places in the log are numbers of bytes, so nothing may move. Where records cannot be read, a record of kind [`Kind::Lost`] of the same
//! length is put; a segment that is missing becomes one such record. A copy of every file that is changed is kept beside it.

use super::Lsn;
use super::record::{DEFAULT_TENANT, Kind};
use super::segment::{self, FRAME_LEN, HEADER_LEN, Records, check_header, put_record};
use crate::HotError;
use crate::directory::Directory;

/// What follows the name of a segment in the name of its copy.
pub const COPY: &str = ".damaged";

/// Bytes of a record of what is lost.
const MAX_LOST: usize = 128 << 20;

/// A segment that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Its name.
    pub name: String,
    /// What was wrong.
    pub what: String,
    /// Bytes of records given up.
    pub lost_bytes: u64,
}

/// What [`repair`] would change. Nothing is written.
///
/// # Errors
/// When a file cannot be read.
pub fn inspect(directory: &dyn Directory) -> Result<Vec<Repaired>, HotError> {
    each_damaged(directory, |_, _, _| Ok(()))
}

/// Makes a log readable again. The last segment is left as it is: opening the store cuts off where it cannot be read. Without damage
/// nothing is changed. The store must not be open.
///
/// # Errors
/// When a file cannot be read or written. Every file is then as it was, or repaired.
pub fn repair(directory: &dyn Directory) -> Result<Vec<Repaired>, HotError> {
    each_damaged(directory, |name, before, after| {
        replace(directory, name, before, after)
    })
}

/// Calls `change` with the name, the bytes and the sound bytes of each damaged segment.
fn each_damaged(
    directory: &dyn Directory,
    change: impl Fn(&str, &[u8], &[u8]) -> Result<(), HotError>,
) -> Result<Vec<Repaired>, HotError> {
    let names = directory.list().map_err(HotError::io(directory.path("")))?;
    let bases: Vec<Lsn> = names.iter().filter_map(|n| segment::base_of(n)).collect();
    let mut repaired = Vec::new();
    for pair in bases.windows(2) {
        let (base, next) = (pair[0], pair[1]);
        let name = segment::file_name(base);
        let bytes = directory
            .read(&name)
            .map_err(HotError::io(directory.path(&name)))?;
        let mut found = Vec::new();
        let sound = sound_segment(&bytes, base, next, &mut found);
        if found.is_empty() {
            continue;
        }
        change(&name, &bytes, &sound)?;
        let lost_bytes = found.iter().map(|(lost, _)| *lost as u64).sum();
        let what: Vec<String> = found.into_iter().map(|(_, what)| what).collect();
        repaired.push(Repaired {
            name,
            what: what.join(", "),
            lost_bytes,
        });
    }
    Ok(repaired)
}

/// The segment from `base` to `next` with everything in it that can be read. In `found`, what was wrong and how many bytes it costs.
fn sound_segment(bytes: &[u8], base: Lsn, next: Lsn, found: &mut Vec<(usize, String)>) -> Vec<u8> {
    let length = HEADER_LEN + next.0.saturating_sub(base.0) as usize;
    let mut sound = segment::header(base).to_vec();
    if let Err(error) = check_header(bytes, base) {
        found.push((0, error.to_string()));
    }
    if bytes.len() > length {
        let what = format!("it goes on into the next segment, from {}", next.0);
        found.push((bytes.len() - length, what));
    }
    let bytes = bytes.get(..length).unwrap_or(bytes);
    while sound.len() < length {
        let rest = bytes.get(sound.len()..).unwrap_or_default();
        let (whole, last, bad) = whole_records(rest);
        sound.extend_from_slice(&rest[..whole]);
        if sound.len() == length {
            break;
        }
        let mut rest = &rest[whole..];
        let mut lost = next_whole(rest).unwrap_or(length - sound.len());
        if lost < FRAME_LEN {
            // No record is so short: the one before goes too.
            lost += whole - last;
            sound.truncate(sound.len() - (whole - last));
            rest = &[];
        }
        let what = bad
            .filter(|_| !rest.is_empty())
            .unwrap_or("it ends too early");
        found.push((lost, format!("at byte {} {what}", sound.len())));
        put_lost(&mut sound, lost);
    }
    sound
}

/// The length of the whole records at the start, where the last of them begins, and what is wrong with the one after them.
fn whole_records(bytes: &[u8]) -> (usize, usize, Option<&'static str>) {
    let mut records = Records::new(bytes);
    let mut last = 0;
    loop {
        let begins = records.position();
        match records.next() {
            Some(Ok(_)) => last = begins,
            Some(Err(bad)) => return (bad.at, last, Some(bad.what)),
            None => return (begins, last, None),
        }
    }
}

/// The distance to the next record that is whole, as is what follows it: one alone might be found by chance.
fn next_whole(bytes: &[u8]) -> Option<usize> {
    (FRAME_LEN..bytes.len()).find(|at| {
        let rest = &bytes[*at..];
        // Before a sum is taken over much: a kind that there is, and the tenant of every record.
        let kind = rest.get(FRAME_LEN - 1).copied().unwrap_or_default();
        let tenant = rest.get(FRAME_LEN..FRAME_LEN + 4).unwrap_or_default();
        if !(Kind::Series as u8..=Kind::Ordered as u8).contains(&kind)
            || *tenant != DEFAULT_TENANT.to_le_bytes()
        {
            return false;
        }
        let mut records = Records::new(rest);
        let whole = matches!(records.next(), Some(Ok(_)));
        whole && matches!(records.next(), Some(Ok(_)) | None)
    })
}

/// Appends records of so many bytes in all.
fn put_lost(out: &mut Vec<u8>, bytes: usize) {
    let mut left = bytes;
    while left > 0 {
        let mut length = left.min(MAX_LOST);
        // What is left is a record too.
        if left - length > 0 && left - length < FRAME_LEN {
            length -= FRAME_LEN;
        }
        let payload = length.saturating_sub(FRAME_LEN);
        put_record(out, Kind::Lost as u8, |out| {
            out.resize(out.len() + payload, 0)
        });
        left -= length;
    }
}

/// Puts other bytes in the place of a file, and keeps a copy of those it had.
fn replace(
    directory: &dyn Directory,
    name: &str,
    before: &[u8],
    after: &[u8],
) -> Result<(), HotError> {
    let write = |name: &str, bytes: &[u8]| {
        let mut file = directory.create(name)?;
        file.append(bytes)?;
        file.sync()
    };
    let copy = format!("{name}{COPY}");
    let temporary = format!("{name}.repaired");
    let replace = || {
        for left_over in [&copy, &temporary] {
            if directory.list()?.contains(left_over) {
                directory.remove(left_over)?;
            }
        }
        write(&copy, before)?;
        write(&temporary, after)?;
        directory.sync()?;
        directory.rename(&temporary, name)?;
        directory.sync()
    };
    replace().map_err(HotError::io(directory.path(name)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hesper_model::Window;
    use proptest::prelude::*;

    use super::super::record::{Prefix, Record, put_seal};
    use super::super::replay::replay;
    use super::super::writer::{Log, LogOptions};
    use super::*;
    use crate::directory::memory::MemoryDirectory;
    use crate::window::FlushId;

    const RECORDS: u64 = 24;

    /// A log of several segments, with the place after each of its records.
    fn log() -> (MemoryDirectory, Vec<Lsn>) {
        let directory = MemoryDirectory::default();
        let options = LogOptions {
            segment_bytes: 150,
            ..LogOptions::default()
        };
        let log = Log::create(Arc::new(directory.clone()), Lsn(0), options).expect("new");
        let prefix = Prefix {
            tenant: DEFAULT_TENANT,
            step_millis: 1000,
            shard: 0,
        };
        let ends = (0..RECORDS).map(|n| {
            let mut framed = Vec::new();
            put_record(&mut framed, Kind::Seal as u8, |out| {
                put_seal(out, prefix, Window(0), FlushId(n));
            });
            let end = log.append(&framed).expect("room");
            log.commit().expect("a working disk");
            end
        });
        let ends = ends.collect();
        (directory.crashed(0), ends)
    }

    fn numbers(directory: &MemoryDirectory) -> Result<(Vec<u64>, u64, Lsn), HotError> {
        let mut numbers = Vec::new();
        let replayed = replay(directory, Lsn(0), |_, _, record| {
            match record {
                Record::Seal { flush, .. } => numbers.push(flush.0),
                other => panic!("{other:?} was never written"),
            }
            Ok(())
        })?;
        Ok((numbers, replayed.lost_bytes, replayed.end))
    }

    #[test]
    fn a_sound_log_is_left_alone() {
        let (directory, _) = log();
        assert_eq!(repair(&directory).expect("readable"), []);
        assert_eq!(numbers(&directory).expect("whole").0.len() as u64, RECORDS);
    }

    #[test]
    fn a_missing_segment_costs_its_records_only() {
        let (directory, ends) = log();
        let names = directory.list().expect("listed");
        assert!(names.len() > 4);
        let base = |i: usize| segment::base_of(&names[i]).expect("a segment");
        for name in &names[2..4] {
            directory.remove(name).expect("removed");
        }
        assert!(numbers(&directory).is_err());
        let repaired = repair(&directory).expect("repaired");
        assert_eq!(repaired.len(), 1);
        assert_eq!(repaired[0].lost_bytes, base(4).0 - base(2).0);
        let (found, lost, end) = numbers(&directory).expect("whole again");
        let kept = (0..RECORDS).filter(|n| {
            let begins = if *n == 0 {
                Lsn(0)
            } else {
                ends[*n as usize - 1]
            };
            begins < base(2) || begins >= base(4)
        });
        assert_eq!(found, kept.collect::<Vec<_>>());
        assert!(lost > 0 && end == ends[ends.len() - 1]);
        assert_eq!(repair(&directory).expect("readable"), []);
    }

    proptest! {
        #[test]
        fn damage_costs_what_it_touches(segment in 0usize..4, at in 0usize..300, length in 1usize..60, byte in 1u8..) {
            let (directory, ends) = log();
            let names = directory.list().expect("listed");
            let name = &names[segment];
            let base = segment::base_of(name).expect("a segment");
            let mut touched = 0..0;
            directory.edit(name, |bytes| {
                let at = at % bytes.len();
                let to = bytes.len().min(at + length);
                bytes[at..to].iter_mut().for_each(|b| *b ^= byte);
                touched = at.max(HEADER_LEN) - HEADER_LEN..to.max(HEADER_LEN) - HEADER_LEN;
            });
            let before = directory.read(name).expect("there");
            prop_assert!(numbers(&directory).is_err());
            let inspected = inspect(&directory).expect("readable");
            let repaired = repair(&directory).expect("repaired");
            prop_assert_eq!((repaired.len(), &repaired[0].name), (1, name));
            prop_assert_eq!(inspected, repaired);
            prop_assert_eq!(directory.read(&format!("{name}{COPY}")).expect("a copy"), before);
            let (found, _, end) = numbers(&directory).expect("whole again");
            prop_assert_eq!(end, ends[ends.len() - 1]);
            let kept = (0..RECORDS).filter(|n| {
                let begins = if *n == 0 { 0 } else { ends[*n as usize - 1].0 };
                let (begins, ends) = (begins as i64 - base.0 as i64, ends[*n as usize].0 as i64 - base.0 as i64);
                ends <= touched.start as i64 || begins >= touched.end as i64 || touched.is_empty()
            });
            prop_assert_eq!(found, kept.collect::<Vec<_>>());
        }
    }
}
