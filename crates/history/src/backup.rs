//! Backup and restore: a consistent copy of a manifest and its files on another object store.
//!
//! The copy is a history itself: the files under the same paths, and a snapshot of the manifest with the number of its last commit. It may be opened, read and
//! verified as it is. A file's path is used once, so what is there already is not copied again: every backup after the first is incremental, and several share
//! the files that they have in common. The snapshot is written last; a backup that was broken off is no backup, and the next one goes on from there.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::manifest::{self, ObjectKind};
use crate::objects::{Created, Objects, Retry};
use crate::orphans::DATA_FOLDERS;
use crate::store::{json, kind, load_manifest, parse_snapshot};
use crate::{DataFile, HistoryError, Manifest};

/// How often a backup begins anew because files it was about to copy were replaced and deleted.
const ATTEMPTS: usize = 5;

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The number of the commit that was copied.
    pub number: u64,
    /// Files that count in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of them, those that were not there yet.
    pub files_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// Files that are damaged or lost, and were left out.
    pub left_out: Vec<String>,
}

/// What to do with files that are damaged or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged {
    /// The copy fails, and nothing counts.
    Fail,
    /// They are left out of the copy: what they hold is not missed in it.
    LeaveOut,
}

/// Copies the newest state of the history on `from` to `to`. `progress` is told after every file.
///
/// # Errors
/// When a store fails, a file is damaged, or `to` holds a history that is newer or another.
pub async fn backup(
    from: &Arc<dyn ObjectStore>,
    to: &Arc<dyn ObjectStore>,
    damaged: Damaged,
    mut progress: impl FnMut(&Copied),
) -> Result<Copied, HistoryError> {
    let (from, to) = (objects(from), objects(to));
    if let Some(newest) = snapshots(&to).await?.last() {
        let there = load_manifest(&from).await?.number();
        if *newest > there {
            return Err(HistoryError::Place {
                place: to.store().to_string(),
                what: format!(
                    "it holds a backup of commit {newest}, but the history is at {there}; back up to an empty place"
                ),
            });
        }
    }
    let mut attempt = 1;
    loop {
        let manifest = load_manifest(&from).await?;
        match copy(&from, &to, &manifest, damaged, &mut progress).await {
            // It may have been replaced: then a newer manifest names other files.
            Err(HistoryError::Store {
                source: object_store::Error::NotFound { path, .. },
                ..
            }) if attempt < ATTEMPTS && !load_manifest(&from).await?.holds(&path) => attempt += 1,
            done => return done,
        }
    }
}

/// Copies a backup into an empty place: the newest, or the one of a certain commit.
///
/// # Errors
/// When there is no such backup, the place holds a history, a store fails, or a file is damaged.
pub async fn restore(
    from: &Arc<dyn ObjectStore>,
    to: &Arc<dyn ObjectStore>,
    number: Option<u64>,
    damaged: Damaged,
    mut progress: impl FnMut(&Copied),
) -> Result<Copied, HistoryError> {
    let (from, to) = (objects(from), objects(to));
    let folder = Path::from(manifest::FOLDER);
    if !to.list(&folder, None).await?.is_empty() {
        return Err(HistoryError::Place {
            place: to.store().to_string(),
            what: "there is a history already; restore into an empty place".to_owned(),
        });
    }
    let manifest = match number {
        None => load_manifest(&from).await?,
        Some(number) => snapshot(&from, number).await?,
    };
    if manifest.number() == 0 {
        return Err(HistoryError::Place {
            place: from.store().to_string(),
            what: "there is no history to restore".to_owned(),
        });
    }
    copy(&from, &to, &manifest, damaged, &mut progress).await
}

/// The numbers of the commits of which there are backups, ascending.
///
/// # Errors
/// When the store fails.
pub async fn backups(place: &Arc<dyn ObjectStore>) -> Result<Vec<u64>, HistoryError> {
    snapshots(&objects(place)).await
}

/// Keeps the newest backups, at least one, and deletes the others with the files that only they name; gives the number of objects deleted. Not while a backup
/// is being made.
///
/// # Errors
/// When the store fails.
pub async fn prune_backups(place: &Arc<dyn ObjectStore>, keep: usize) -> Result<u64, HistoryError> {
    let place = objects(place);
    let mut numbers = snapshots(&place).await?;
    let kept = numbers.split_off(numbers.len().saturating_sub(keep.max(1)));
    let mut named = std::collections::HashSet::new();
    for number in &kept {
        let manifest = snapshot(&place, *number).await?;
        named.extend(manifest.files().map(|f| f.path.clone()));
    }
    if kept.is_empty() {
        return Ok(0);
    }
    // The snapshots first: a file that is gone must not be named.
    let paths: Vec<Path> = numbers
        .iter()
        .map(|number| Path::from(manifest::snapshot_name(*number)))
        .collect();
    let (mut deleted, failure) = place.delete(&paths).await;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let mut unnamed = Vec::new();
    for folder in DATA_FOLDERS {
        let objects = place.list(&Path::from(folder), None).await?.into_iter();
        let paths = objects.map(|object| object.location);
        unnamed.extend(paths.filter(|path| !named.contains(path.as_ref())));
    }
    let (gone, failure) = place.delete(&unnamed).await;
    deleted += gone;
    failure.map_or(Ok(deleted), Err)
}

/// Copies one file of a backup over a damaged or lost one.
///
/// # Errors
/// When the backup has no such file, or it is damaged there too.
pub async fn restore_file(
    from: &Arc<dyn ObjectStore>,
    to: &Arc<dyn ObjectStore>,
    file: &DataFile,
) -> Result<(), HistoryError> {
    let bytes = read_whole(&objects(from), file).await?;
    objects(to)
        .put(&Path::from(file.path.as_str()), &bytes)
        .await
}

fn objects(store: &Arc<dyn ObjectStore>) -> Objects {
    Objects::new(store.clone(), Retry::default())
}

async fn snapshots(place: &Objects) -> Result<Vec<u64>, HistoryError> {
    let folder = Path::from(manifest::FOLDER);
    let objects = place.list(&folder, None).await?;
    let numbers = objects
        .iter()
        .filter_map(|object| match kind(&object.location) {
            Some(ObjectKind::Snapshot(number)) => Some(number),
            _ => None,
        });
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    Ok(numbers)
}

async fn snapshot(place: &Objects, number: u64) -> Result<Manifest, HistoryError> {
    let path = Path::from(manifest::snapshot_name(number));
    let bytes = place.get(&path).await?;
    Ok(Manifest::of_snapshot(parse_snapshot(&path, &bytes)?))
}

/// All bytes of a file, held against its length and its sum.
///
/// # Errors
/// When it cannot be read or is not what the manifest says.
pub(crate) async fn read_whole(place: &Objects, file: &DataFile) -> Result<Bytes, HistoryError> {
    let bytes = place.get(&Path::from(file.path.as_str())).await?;
    if bytes.len() as u64 != file.bytes {
        let what = format!("it has {} bytes, not {}", bytes.len(), file.bytes);
        return Err(HistoryError::file(&file.path, what));
    }
    if file.crc32c.is_some_and(|crc| crc != crc32c::crc32c(&bytes)) {
        return Err(HistoryError::file(&file.path, "its checksum is not right"));
    }
    Ok(bytes)
}

async fn copy(
    from: &Objects,
    to: &Objects,
    manifest: &Manifest,
    damaged: Damaged,
    progress: &mut impl FnMut(&Copied),
) -> Result<Copied, HistoryError> {
    let mut there = HashMap::new();
    for folder in DATA_FOLDERS {
        let objects = to.list(&Path::from(folder), None).await?.into_iter();
        there.extend(objects.map(|object| (object.location.to_string(), object.size)));
    }
    let mut copied = Copied {
        number: manifest.number(),
        ..Copied::default()
    };
    for file in manifest.files() {
        if there.get(&file.path) != Some(&file.bytes) {
            let bytes = match (read_whole(from, file).await, damaged) {
                (Ok(bytes), _) => bytes,
                (Err(error), Damaged::LeaveOut) => {
                    tracing::warn!(%error, "a file is left out of the copy");
                    copied.left_out.push(file.path.clone());
                    continue;
                }
                (Err(error), Damaged::Fail) => return Err(error),
            };
            to.put(&Path::from(file.path.as_str()), &bytes).await?;
            copied.files_copied += 1;
            copied.bytes_copied += file.bytes;
        }
        copied.files += 1;
        copied.bytes += file.bytes;
        progress(&copied);
    }
    let mut snapshot = manifest.to_snapshot();
    snapshot
        .files
        .retain(|f| !copied.left_out.contains(&f.path));
    // What was removed before was never here.
    snapshot.retired.clear();
    let path = Path::from(manifest::snapshot_name(snapshot.number));
    match to.create(&path, &json(&snapshot)).await? {
        Created::Ours => Ok(copied),
        Created::Others(there) => {
            let there = parse_snapshot(&path, &there)?;
            let same = |(a, b): (&DataFile, &DataFile)| a.path == b.path && a.crc32c == b.crc32c;
            let (these, those) = (&snapshot.files, &there.files);
            if these.len() == those.len() && these.iter().zip(those).all(same) {
                return Ok(copied);
            }
            Err(HistoryError::Place {
                place: to.store().to_string(),
                what: format!(
                    "it holds another state of commit {}; back up to an empty place",
                    snapshot.number
                ),
            })
        }
    }
}
