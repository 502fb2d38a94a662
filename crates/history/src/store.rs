//! History as a whole: its object store, its manifest, its files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use chrono::DateTime;
use futures::TryStreamExt;
use hesper_hot::HotStore;
use hesper_hot::store::{FlushRow, PendingFlush};
use hesper_hot::window::FlushId;
use hesper_model::{Step, Window};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use crate::encode::{self, EncodedFile};
use crate::file_index::FileIndex;
use crate::manifest::{self, Commit, DataFile, Manifest, ObjectKind, Snapshot};
use crate::{HistoryError, read};

/// A snapshot of the manifest is written after this many commits.
const SNAPSHOT_EVERY: u64 = 64;

/// Numbers tried before a commit is given up.
const COMMIT_ATTEMPTS: usize = 32;

/// Rows of a data file; a flush with more of a window makes several files.
pub const MAX_FILE_ROWS: usize = 131_072;

/// The tenant of all data for now.
pub const DEFAULT_TENANT: &str = "default";

/// Counters since history was opened.
#[derive(Debug, Default)]
pub struct HistoryStats {
    /// Data files written.
    pub files_written: AtomicU64,
    /// Bytes of them.
    pub bytes_written: AtomicU64,
    /// Datapoints in them.
    pub datapoints_written: AtomicU64,
    /// Manifest commits.
    pub commits: AtomicU64,
    /// Rows read.
    pub rows_read: AtomicU64,
    /// Files that could not be read.
    pub files_failed: AtomicU64,
}

/// The files of a flush, encoded, by window.
pub struct EncodedFlush {
    /// The flush.
    pub id: FlushId,
    files: Vec<(Window, EncodedFile)>,
}

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<String, Arc<FileIndex>> for ByBytes {
    fn weight(&self, path: &String, index: &Arc<FileIndex>) -> u64 {
        (path.len() + index.size_bytes()) as u64
    }
}

/// History, open.
pub struct History {
    store: Arc<dyn ObjectStore>,
    step: Step,
    writer: String,
    commits: AtomicU64,
    manifest: RwLock<Arc<Manifest>>,
    /// One commit of this process at a time.
    committing: tokio::sync::Mutex<()>,
    indexes: quick_cache::sync::Cache<String, Arc<FileIndex>, ByBytes>,
    stats: HistoryStats,
}

impl History {
    /// Opens the history on an object store. `writer` tells this process from all others; `cache_bytes` bounds the indexes kept.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        step: Step,
        writer: String,
        cache_bytes: u64,
    ) -> Result<Self, HistoryError> {
        let manifest = load_manifest(&store).await?;
        Ok(Self {
            store,
            step,
            writer,
            commits: AtomicU64::new(0),
            manifest: RwLock::new(Arc::new(manifest)),
            committing: tokio::sync::Mutex::new(()),
            indexes: quick_cache::sync::Cache::with_weighter(1000, cache_bytes, ByBytes),
            stats: HistoryStats::default(),
        })
    }

    /// The files that count now.
    pub fn manifest(&self) -> Arc<Manifest> {
        self.manifest.read().clone()
    }

    /// The counters.
    pub fn stats(&self) -> &HistoryStats {
        &self.stats
    }

    /// Encodes the windows of a flush. Takes its time: not for an async task.
    ///
    /// # Errors
    /// When Parquet refuses the rows.
    pub fn encode_flush(
        &self,
        hot: &HotStore,
        flush: &PendingFlush,
    ) -> Result<EncodedFlush, HistoryError> {
        let mut files = Vec::new();
        for window in &flush.windows {
            let mut rows: Vec<FlushRow> = Vec::new();
            hot.flush_rows(flush, *window, |row| {
                rows.push(row);
                if rows.len() == MAX_FILE_ROWS {
                    files.push((*window, encode::encode(&rows, self.step, flush.id.0)?));
                    rows.clear();
                }
                Ok::<_, HistoryError>(())
            })?;
            if !rows.is_empty() {
                files.push((*window, encode::encode(&rows, self.step, flush.id.0)?));
            }
        }
        Ok(EncodedFlush {
            id: flush.id,
            files,
        })
    }

    /// Puts the files of a flush on the object store and commits them. When it returns, they count and are durable.
    ///
    /// # Errors
    /// When the object store fails; nothing counts then, and files that were put are garbage.
    pub async fn commit_flush(&self, flush: EncodedFlush) -> Result<(), HistoryError> {
        let mut added = Vec::new();
        for (window, file) in flush.files {
            added.push(self.put_file(window, flush.id.0, file).await?);
        }
        let (bytes, datapoints) = added
            .iter()
            .fold((0, 0), |(b, d), f| (b + f.bytes, d + f.datapoints));
        let files = added.len() as u64;
        self.commit(added, Vec::new(), vec![flush.id.0]).await?;
        let add = |counter: &AtomicU64, n| _ = counter.fetch_add(n, Ordering::Relaxed);
        add(&self.stats.files_written, files);
        add(&self.stats.bytes_written, bytes);
        add(&self.stats.datapoints_written, datapoints);
        Ok(())
    }

    async fn put_file(
        &self,
        window: Window,
        sequence: u64,
        file: EncodedFile,
    ) -> Result<DataFile, HistoryError> {
        let start = window.first_slot().time(self.step);
        let time = DateTime::from_timestamp_millis(start.0).unwrap_or_default();
        let folder = format!("raw/{}", time.format("%Y-%m-%d"));
        let stem = format!("{}-{sequence:08}", time.format("%H%M%S"));
        let crc32c = crc32c::crc32c(&file.bytes);
        let bytes = file.bytes.len() as u64;
        // A name that is taken belongs to a file of the same flush or to garbage; neither is ever written over.
        for attempt in 0..u32::MAX {
            let path = Path::from(format!("{folder}/{stem}-{attempt}.parquet"));
            let put = self
                .store
                .put_opts(
                    &path,
                    PutPayload::from_bytes(file.bytes.clone()),
                    PutMode::Create.into(),
                )
                .await;
            match put {
                Ok(_) => {
                    return Ok(DataFile {
                        path: path.to_string(),
                        tenant: DEFAULT_TENANT.to_owned(),
                        step_millis: self.step.millis(),
                        sequence,
                        first_slot: file.slots.0,
                        last_slot: file.slots.1,
                        min_name: file.names.0,
                        max_name: file.names.1,
                        rows: file.rows,
                        datapoints: file.datapoints,
                        bytes,
                        crc32c,
                    });
                }
                Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(e) => return Err(HistoryError::store(&path)(e)),
            }
        }
        Err(HistoryError::Contended {
            attempts: u32::MAX as usize,
        })
    }

    /// Makes the next commit of the manifest.
    async fn commit(
        &self,
        added: Vec<DataFile>,
        removed: Vec<String>,
        flushes: Vec<u64>,
    ) -> Result<(), HistoryError> {
        let _one = self.committing.lock().await;
        let writer = format!(
            "{}-{}",
            self.writer,
            self.commits.fetch_add(1, Ordering::Relaxed)
        );
        for _ in 0..COMMIT_ATTEMPTS {
            let current = self.manifest();
            let commit = Commit {
                version: manifest::VERSION,
                number: current.number() + 1,
                writer: writer.clone(),
                added: added.clone(),
                removed: removed.clone(),
                flushes: flushes.clone(),
            };
            let path = Path::from(manifest::commit_name(commit.number));
            let put = self
                .store
                .put_opts(&path, json(&commit), PutMode::Create.into())
                .await;
            let (won, taken) = match put {
                Ok(_) => (true, commit),
                // Another's commit, or ours after a time-out that had succeeded.
                Err(object_store::Error::AlreadyExists { .. }) => {
                    let theirs: Commit = read_json(&self.store, &path).await?;
                    (theirs.writer == writer, theirs)
                }
                Err(e) => return Err(HistoryError::store(&path)(e)),
            };
            let next = Arc::new(current.after(&taken));
            *self.manifest.write() = next.clone();
            if won {
                self.stats.commits.fetch_add(1, Ordering::Relaxed);
                self.write_snapshot(&next).await;
                return Ok(());
            }
        }
        Err(HistoryError::Contended {
            attempts: COMMIT_ATTEMPTS,
        })
    }

    /// Writes a snapshot when one is due. It only saves time when history is opened: a failure is no error.
    async fn write_snapshot(&self, manifest: &Manifest) {
        if !manifest.number().is_multiple_of(SNAPSHOT_EVERY) {
            return;
        }
        let path = Path::from(manifest::snapshot_name(manifest.number()));
        let put = self.store.put(&path, json(&manifest.to_snapshot())).await;
        if let Err(error) = put {
            tracing::warn!(%error, %path, "the manifest's snapshot could not be written");
        }
    }

    /// The index of a file, read now unless it is kept from before.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn index(&self, file: &DataFile) -> Result<Arc<FileIndex>, HistoryError> {
        self.indexes
            .get_or_insert_async(&file.path, async {
                read::read_index(&self.store, file).await.map(Arc::new)
            })
            .await
            .inspect_err(|_| _ = self.stats.files_failed.fetch_add(1, Ordering::Relaxed))
    }

    /// Reads the values of rows of a file: see [`read::read_values`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn read_values(
        &self,
        file: &DataFile,
        index: &FileIndex,
        rows: &RoaringBitmap,
        row: impl FnMut(u32, &[f64]),
    ) -> Result<(), HistoryError> {
        self.stats
            .rows_read
            .fetch_add(rows.len(), Ordering::Relaxed);
        read::read_values(&self.store, file, index, rows, row)
            .await
            .inspect_err(|_| _ = self.stats.files_failed.fetch_add(1, Ordering::Relaxed))
    }

    /// Bytes and datapoints of all files that count.
    pub fn size(&self) -> (u64, u64) {
        let manifest = self.manifest();
        let files = manifest.files();
        files.fold((0, 0), |(b, d), f| (b + f.bytes, d + f.datapoints))
    }
}

fn json(value: &impl serde::Serialize) -> PutPayload {
    let text = serde_json::to_vec_pretty(value).expect("the manifest is plain data");
    PutPayload::from_bytes(Bytes::from(text))
}

async fn read_json<T: serde::de::DeserializeOwned>(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
) -> Result<T, HistoryError> {
    let bytes = async { store.get(path).await?.bytes().await };
    let bytes = bytes.await.map_err(HistoryError::store(path))?;
    serde_json::from_slice(&bytes).map_err(|e| HistoryError::Manifest {
        path: path.to_string(),
        what: e.to_string(),
    })
}

/// Reads the newest snapshot and the commits after it.
async fn load_manifest(store: &Arc<dyn ObjectStore>) -> Result<Manifest, HistoryError> {
    let folder = Path::from(manifest::FOLDER);
    let objects: Vec<_> = store
        .list(Some(&folder))
        .try_collect()
        .await
        .map_err(HistoryError::store(&folder))?;
    let mut commits = BTreeMap::new();
    let mut newest = None;
    for object in objects {
        match object.location.filename().and_then(ObjectKind::of) {
            Some(ObjectKind::Commit(number)) => _ = commits.insert(number, object.location),
            Some(ObjectKind::Snapshot(number))
                if newest.as_ref().is_none_or(|(n, _)| *n < number) =>
            {
                newest = Some((number, object.location));
            }
            _ => {}
        }
    }
    let mut manifest = match &newest {
        None => Manifest::default(),
        Some((_, path)) => {
            let snapshot: Snapshot = read_json(store, path).await?;
            check_version(path, snapshot.version)?;
            Manifest::of_snapshot(snapshot)
        }
    };
    for (number, path) in commits.range(manifest.number() + 1..) {
        let commit: Commit = read_json(store, path).await?;
        check_version(path, commit.version)?;
        if *number != manifest.number() + 1 || commit.number != *number {
            return Err(HistoryError::Manifest {
                path: path.to_string(),
                what: format!("commit {} should be before it", manifest.number() + 1),
            });
        }
        manifest = manifest.after(&commit);
    }
    Ok(manifest)
}

fn check_version(path: &Path, version: u32) -> Result<(), HistoryError> {
    if version == manifest::VERSION {
        return Ok(());
    }
    Err(HistoryError::Manifest {
        path: path.to_string(),
        what: format!(
            "it has format version {version}, this version reads {}",
            manifest::VERSION
        ),
    })
}
