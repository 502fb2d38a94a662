//! Committing to the manifest, and following what others commit.
//!
//! A commit is the creation of the next number. Whoever finds the number taken reads what is there: his own commit, when the creation had
//! succeeded without his knowing, or another's, which he takes over before he tries the number after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use object_store::path::Path;

use super::History;
use crate::HistoryError;
use crate::deletion::Deletion;
use crate::manifest::{self, Commit, DataFile, Manifest, ObjectKind, Snapshot};
use crate::objects::{Created, Objects};

/// A snapshot of the manifest is written after this many commits.
const SNAPSHOT_EVERY: u64 = 64;

/// Numbers tried before a commit is given up.
const COMMIT_ATTEMPTS: usize = 32;

/// A manifest that was looked at longer ago is brought up to date before a commit. Well below the time for which commits are kept: a number that
/// was tidied away would be free to be created again.
const MAX_MANIFEST_AGE_MILLIS: i64 = 12 * 3600 * 1000;

/// What a commit is to change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    /// What is done, for people.
    pub what: &'static str,
    /// Files that count from now on.
    pub added: Vec<DataFile>,
    /// Paths of files that no longer do.
    pub removed: Vec<String>,
    /// Flushes that are brought in.
    pub flushes: Vec<u64>,
    /// Deletions that take effect.
    pub deletions: Vec<Deletion>,
    /// Names of what is loaded.
    pub loads: Vec<String>,
}

/// What a look at the manifest says of a change.
pub(crate) enum Fit {
    /// It can be made.
    Yes,
    /// It is made already.
    Done,
    /// It can't be made any more.
    No(String),
}

impl History {
    /// Makes the next commit of the manifest; `fit` is asked of every manifest that it would be made upon.
    pub(crate) async fn commit(
        &self,
        change: Change,
        fit: impl Fn(&Manifest) -> Fit,
    ) -> Result<(), HistoryError> {
        let _one = self.committing.lock().await;
        let now = self.now().0;
        if now - self.refreshed.load(Ordering::Relaxed) > MAX_MANIFEST_AGE_MILLIS {
            self.follow().await?;
        }
        let writer = self.next_tag();
        for _ in 0..COMMIT_ATTEMPTS {
            let current = self.manifest();
            match fit(&current) {
                Fit::Yes => {}
                Fit::Done => return Ok(()),
                Fit::No(what) => return Err(HistoryError::Outdated { what }),
            }
            let change = change.clone();
            let commit = Commit {
                version: manifest::VERSION,
                number: current.number() + 1,
                writer: writer.clone(),
                at_millis: now,
                what: change.what.to_owned(),
                added: change.added,
                removed: change.removed,
                flushes: change.flushes,
                deletions: change.deletions,
                loads: change.loads,
            };
            let path = Path::from(manifest::commit_name(commit.number));
            let (ours, taken) = match self.objects.create(&path, &json(&commit)).await? {
                Created::Ours => (true, commit),
                Created::Others(bytes) => (false, parse_commit(&path, &bytes)?),
            };
            let next = Arc::new(current.after(&taken));
            *self.manifest.write() = next.clone();
            self.refreshed.store(now, Ordering::Relaxed);
            if ours {
                self.stats.commits.fetch_add(1, Ordering::Relaxed);
                self.write_snapshot(&next).await;
                return Ok(());
            }
        }
        Err(HistoryError::Contended {
            attempts: COMMIT_ATTEMPTS,
        })
    }

    /// Takes over what others have committed since.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub async fn refresh(&self) -> Result<(), HistoryError> {
        let _one = self.committing.lock().await;
        self.follow().await
    }

    async fn follow(&self) -> Result<(), HistoryError> {
        let now = self.now().0;
        let current = self.manifest();
        let folder = Path::from(manifest::FOLDER);
        let after = Path::from(manifest::snapshot_name(current.number()));
        let objects = self.objects.list(&folder, Some(&after)).await?;
        let mut next = current.clone();
        for object in objects {
            let Some(ObjectKind::Commit(number)) = kind(&object.location) else {
                continue;
            };
            if number <= next.number() {
                continue;
            }
            if number != next.number() + 1 {
                // What is between was tidied away: a snapshot holds it.
                next = Arc::new(load_manifest(&self.objects).await?);
                break;
            }
            let bytes = self.objects.get(&object.location).await?;
            next = Arc::new(next.after(&parse_commit(&object.location, &bytes)?));
        }
        if next.number() > current.number() {
            *self.manifest.write() = next;
        }
        self.refreshed.store(now, Ordering::Relaxed);
        Ok(())
    }

    /// Writes a snapshot when one is due. It only saves time when history is opened: a failure is no error.
    async fn write_snapshot(&self, manifest: &Manifest) {
        if !manifest.number().is_multiple_of(SNAPSHOT_EVERY) {
            return;
        }
        let path = Path::from(manifest::snapshot_name(manifest.number()));
        let snapshot = json(&manifest.to_snapshot());
        if let Err(error) = self.objects.put(&path, &snapshot).await {
            tracing::warn!(%error, %path, "the manifest's snapshot could not be written");
        }
    }

    /// A text that this process uses once, and no other ever.
    pub(crate) fn next_tag(&self) -> String {
        let number = self.tags.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", self.writer)
    }
}

/// What an object of the manifest's folder is.
pub(crate) fn kind(path: &Path) -> Option<ObjectKind> {
    path.filename().and_then(ObjectKind::of)
}

pub(crate) fn json(value: &impl serde::Serialize) -> Bytes {
    let text = serde_json::to_vec_pretty(value).expect("the manifest is plain data");
    Bytes::from(text)
}

/// Reads a commit.
///
/// # Errors
/// When it is none, or of a version that is not known.
pub(crate) fn parse_commit(path: &Path, bytes: &Bytes) -> Result<Commit, HistoryError> {
    check_version(path, bytes)?;
    let commit: Commit =
        serde_json::from_slice(bytes).map_err(|e| HistoryError::manifest(path, e))?;
    match kind(path) {
        Some(ObjectKind::Commit(number)) if number == commit.number => Ok(commit),
        _ => {
            let what = format!("it says that it is commit {}", commit.number);
            Err(HistoryError::manifest(path, what))
        }
    }
}

/// Reads a snapshot.
///
/// # Errors
/// When it is none, or of a version that is not known.
pub(crate) fn parse_snapshot(path: &Path, bytes: &Bytes) -> Result<Snapshot, HistoryError> {
    check_version(path, bytes)?;
    serde_json::from_slice(bytes).map_err(|e| HistoryError::manifest(path, e))
}

fn check_version(path: &Path, bytes: &Bytes) -> Result<(), HistoryError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let found: Versioned =
        serde_json::from_slice(bytes).map_err(|e| HistoryError::manifest(path, e))?;
    let version = found.version;
    if (manifest::OLDEST_VERSION..=manifest::VERSION).contains(&version) {
        return Ok(());
    }
    let newest = manifest::VERSION;
    let what = format!("it has format version {version}, this program reads up to {newest}");
    Err(HistoryError::manifest(path, what))
}

/// Reads the newest snapshot that is whole and the commits after it.
///
/// # Errors
/// When an object cannot be read, or a commit is missing.
pub(crate) async fn load_manifest(objects: &Objects) -> Result<Manifest, HistoryError> {
    let folder = Path::from(manifest::FOLDER);
    let mut commits = BTreeMap::new();
    let mut snapshots = BTreeMap::new();
    for object in objects.list(&folder, None).await? {
        match kind(&object.location) {
            Some(ObjectKind::Commit(number)) => _ = commits.insert(number, object.location),
            Some(ObjectKind::Snapshot(number)) => _ = snapshots.insert(number, object.location),
            None => {}
        }
    }
    let mut manifest = Manifest::default();
    for path in snapshots.into_values().rev() {
        let bytes = objects.get(&path).await?;
        match parse_snapshot(&path, &bytes) {
            Ok(snapshot) => {
                manifest = Manifest::of_snapshot(snapshot);
                break;
            }
            // The one before it and the commits since say the same.
            Err(error) => tracing::warn!(%error, "a snapshot of the manifest is passed over"),
        }
    }
    for (number, path) in commits.range(manifest.number() + 1..) {
        if *number != manifest.number() + 1 {
            let what = format!("commit {} should be before it", manifest.number() + 1);
            return Err(HistoryError::manifest(path, what));
        }
        let bytes = objects.get(path).await?;
        manifest = manifest.after(&parse_commit(path, &bytes)?);
    }
    Ok(manifest)
}
