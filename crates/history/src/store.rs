//! History as a whole: its object store, its manifest, its files.

mod commit;
mod flush;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::DateTime;
use hashbrown::HashMap;
use hesper_model::{Slot, Step, Timestamp};
use object_store::ObjectStore;
use object_store::path::Path;
use parking_lot::{Mutex, RwLock};
use quick_cache::sync::DefaultLifecycle;
use quick_cache::{DefaultHashBuilder, OptionsBuilder};
use roaring::RoaringBitmap;

pub use flush::{EncodedFlush, MAX_FILE_ROWS};

pub(crate) use commit::{Change, Fit, json, kind, load_manifest, parse_commit, parse_snapshot};

use crate::day::Day;
use crate::deletion::Deletion;
use crate::encode::EncodedFile;
use crate::file_index::FileIndex;
use crate::manifest::{DataFile, Manifest};
use crate::objects::{Created, Objects, Retry};
use crate::page_cache::PageCache;
use crate::read::OpenRows;
use crate::rollup::{self, CellValues, RollupCells};
use crate::rows::RowReader;
use crate::{HistoryError, read};

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

/// Where a data file belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilePlace {
    /// Its name tells the time of this slot.
    pub start: Slot,
    /// Slots in each of its values.
    pub cell_slots: u32,
    /// The sequence of its rows.
    pub sequence: u64,
    /// Its place among the files made of the same rows.
    pub part: u32,
    /// How far it is merged.
    pub level: u8,
}

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<String, Arc<FileIndex>> for ByBytes {
    fn weight(&self, path: &String, index: &Arc<FileIndex>) -> u64 {
        (path.len() + index.size_bytes()) as u64
    }
}

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Settings of history.
#[derive(Clone)]
pub struct HistoryOptions {
    /// The distance between datapoints.
    pub step: Step,
    /// Tells this process from all others, also from those before it.
    pub writer: String,
    /// Bounds the indexes of files that are kept.
    pub cache_bytes: u64,
    /// Bounds the parts of files that are kept for queries.
    pub page_bytes: u64,
    /// How requests to the object store are tried again.
    pub retry: Retry,
    /// The time of commits.
    pub clock: Clock,
}

impl HistoryOptions {
    /// The defaults: 64 MB of indexes and as much of parts of files, the system's clock.
    pub fn new(step: Step, writer: String) -> Self {
        Self {
            step,
            writer,
            cache_bytes: 64 << 20,
            page_bytes: 64 << 20,
            retry: Retry::default(),
            clock: Arc::new(|| Timestamp(chrono::Utc::now().timestamp_millis())),
        }
    }
}

/// Indexes of files, by their paths.
type IndexCache = quick_cache::sync::Cache<String, Arc<FileIndex>, ByBytes>;

/// A cache in one part. Of several each had a part of the bytes, and an index may take more than that alone: it would be made anew whenever it
/// is asked for.
fn index_cache(bytes: u64) -> IndexCache {
    let options = OptionsBuilder::new()
        .shards(1)
        .estimated_items_capacity(INDEXES)
        .weight_capacity(bytes)
        .build();
    IndexCache::with_options(
        options.expect("both capacities are given"),
        ByBytes,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

/// Indexes that are kept, about.
const INDEXES: usize = 1000;

/// History, open.
pub struct History {
    objects: Objects,
    /// The same for queries, which read the same parts again and again.
    kept: Objects,
    pages: Arc<PageCache>,
    step: Step,
    writer: String,
    clock: Clock,
    /// Texts used so far to tell one put or commit of this process from another.
    tags: AtomicU64,
    manifest: RwLock<Arc<Manifest>>,
    /// When the manifest was last known to be the newest, in milliseconds.
    refreshed: AtomicI64,
    /// One commit of this process at a time.
    committing: tokio::sync::Mutex<()>,
    indexes: IndexCache,
    /// Days whose merge failed, and when, in milliseconds.
    failed_days: Mutex<HashMap<Day, i64>>,
    /// The tags of the window that was encoded last.
    flushed_tags: Mutex<Option<flush::FlushedTags>>,
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
        let options = HistoryOptions {
            cache_bytes,
            ..HistoryOptions::new(step, writer)
        };
        Self::open_with(store, options).await
    }

    /// Opens the history on an object store.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub async fn open_with(
        store: Arc<dyn ObjectStore>,
        options: HistoryOptions,
    ) -> Result<Self, HistoryError> {
        let objects = Objects::new(store, options.retry);
        let pages = Arc::new(PageCache::new(options.page_bytes));
        let now = (options.clock)();
        let manifest = load_manifest(&objects).await?;
        Ok(Self {
            kept: objects.with_pages(pages.clone()),
            pages,
            objects,
            step: options.step,
            writer: options.writer,
            tags: AtomicU64::new(0),
            manifest: RwLock::new(Arc::new(manifest)),
            refreshed: AtomicI64::new(now.0),
            clock: options.clock,
            committing: tokio::sync::Mutex::new(()),
            indexes: index_cache(options.cache_bytes),
            failed_days: Mutex::default(),
            flushed_tags: Mutex::default(),
            stats: HistoryStats::default(),
        })
    }

    /// The distance between datapoints.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The object store, with retries.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    pub(crate) fn failed_days(&self) -> &Mutex<HashMap<Day, i64>> {
        &self.failed_days
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The files that count now.
    pub fn manifest(&self) -> Arc<Manifest> {
        self.manifest.read().clone()
    }

    /// The counters.
    pub fn stats(&self) -> &HistoryStats {
        &self.stats
    }

    /// Puts the files of a flush on the object store and commits them. When it returns, they count and are durable. A flush that is in history
    /// already changes nothing: its number is given out once in a history.
    ///
    /// # Errors
    /// When the object store fails. The flush may have been committed all the same; trying it again is right in both cases.
    pub async fn commit_flush(&self, flush: EncodedFlush) -> Result<(), HistoryError> {
        let id = flush.id;
        if self.manifest().has_flush(id) {
            return Ok(());
        }
        let mut added = Vec::new();
        for (window, part, file) in flush.files {
            let place = FilePlace {
                start: window.first_slot(),
                cell_slots: 1,
                sequence: id.0,
                part,
                level: 0,
            };
            added.push(self.put_file(file, place).await?);
        }
        let change = Change {
            what: "flush",
            added,
            flushes: vec![id.0],
            ..Change::default()
        };
        let fit = |manifest: &Manifest| match manifest.has_flush(id) {
            true => Fit::Done,
            false => Fit::Yes,
        };
        self.commit(change, fit).await
    }

    /// Puts a file on the object store, under a name that no other file ever has. It counts only when it is committed.
    pub(crate) async fn put_file(
        &self,
        file: EncodedFile,
        place: FilePlace,
    ) -> Result<DataFile, HistoryError> {
        let start = place.start.time(self.step);
        let time = DateTime::from_timestamp_millis(start.0).unwrap_or_default();
        let day = time.format("%Y-%m-%d");
        let folder = match place.cell_slots {
            1 => format!("raw/{day}"),
            slots => format!(
                "rollup/{}s/{day}",
                i64::from(slots) * self.step.millis() / 1000
            ),
        };
        let stem = format!("{}-{:08}", time.format("%H%M%S"), place.sequence);
        let crc32c = crc32c::crc32c(&file.bytes);
        loop {
            let once = crc32c::crc32c(self.next_tag().as_bytes());
            let name = format!("{folder}/{stem}-{once:08x}-{:04}.parquet", place.part);
            let path = Path::from(name);
            match self.objects.create(&path, &file.bytes).await? {
                Created::Ours => {}
                Created::Others(_) => continue,
            }
            let add = |counter: &AtomicU64, n| _ = counter.fetch_add(n, Ordering::Relaxed);
            add(&self.stats.files_written, 1);
            add(&self.stats.bytes_written, file.bytes.len() as u64);
            add(&self.stats.datapoints_written, file.datapoints);
            return Ok(DataFile {
                path: path.to_string(),
                tenant: DEFAULT_TENANT.to_owned(),
                step_millis: self.step.millis() * i64::from(place.cell_slots),
                cell_slots: place.cell_slots,
                sequence: place.sequence,
                first_slot: file.slots.0,
                last_slot: file.slots.1,
                min_name: file.names.0,
                max_name: file.names.1,
                rows: file.rows,
                datapoints: file.datapoints,
                bytes: file.bytes.len() as u64,
                crc32c: Some(crc32c),
                part: place.part,
                level: place.level,
                rolled: Vec::new(),
                pruned_millis: 0,
                pruned_by: 0,
                commit: 0,
                added_millis: 0,
            });
        }
    }

    /// The index of a file, read now unless it is kept from before. What was deleted is not in it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn index(&self, file: &DataFile) -> Result<Arc<FileIndex>, HistoryError> {
        let deletions = self.deletions_of(file);
        let newest = deletions.iter().map(|d| d.commit).max();
        let key = match newest {
            None => Cow::Borrowed(&file.path),
            Some(newest) => Cow::Owned(format!("{} without {newest}", file.path)),
        };
        let index = self.indexes.get_or_insert_async(&*key, async {
            let mut index = read::read_index(&self.objects, file).await?;
            index.hide(file, &deletions);
            Ok(Arc::new(index))
        });
        self.noted(index.await)
    }

    /// The tag keys that a file has, `name` excepted, also those of rows that were deleted. Nothing is kept of what is read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn keys(&self, file: &DataFile) -> Result<Vec<Arc<str>>, HistoryError> {
        self.noted(read::read_keys(&self.objects, file).await)
    }

    /// The deletions that hide something of a file.
    pub(crate) fn deletions_of(&self, file: &DataFile) -> Vec<Arc<Deletion>> {
        let manifest = self.manifest();
        // The manifest knows by which commit the file came; whoever asks may have the entry from elsewhere.
        match manifest.file(&file.path) {
            Some(file) => manifest.deletions_of(file),
            None => Vec::new(),
        }
    }

    /// Fetches the first of the rows of a file of raw data, to be read by [`Self::values_of`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn open_values(
        &self,
        file: &Arc<DataFile>,
        index: Arc<FileIndex>,
        rows: &RoaringBitmap,
    ) -> Result<OpenRows, HistoryError> {
        let reader = read::open_values(&self.kept, file, &index, rows).await;
        self.opened(file, index, rows, reader)
    }

    /// Reads the values of rows and hands each row's to `row`, in the order of the rows. NaN is no data; so is what was deleted.
    ///
    /// # Errors
    /// When the file cannot be read, is not of the layout, or a row's values are not those that its count and sum were made of.
    pub async fn values_of(
        &self,
        rows: OpenRows,
        row: impl FnMut(u32, &[f64]),
    ) -> Result<(), HistoryError> {
        let OpenRows {
            file,
            index,
            reader,
        } = rows;
        self.noted(read::read_values(&file, &index, reader, row).await)
    }

    /// Does both for rows of a file.
    ///
    /// # Errors
    /// As [`Self::values_of`].
    pub async fn read_values(
        &self,
        file: &Arc<DataFile>,
        index: &Arc<FileIndex>,
        rows: &RoaringBitmap,
        row: impl FnMut(u32, &[f64]),
    ) -> Result<(), HistoryError> {
        let opened = self.open_values(file, index.clone(), rows).await?;
        self.values_of(opened, row).await
    }

    /// Fetches the first of the rows of a file of a roll-up, to be read by [`Self::cells_of`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn open_rollup(
        &self,
        file: &Arc<DataFile>,
        index: Arc<FileIndex>,
        rows: &RoaringBitmap,
        values: CellValues,
    ) -> Result<OpenRows, HistoryError> {
        let reader = rollup::open_rollup(&self.kept, file, &index, rows, values).await;
        self.opened(file, index, rows, reader)
    }

    /// Reads rows of a roll-up and hands each row's cells to `row`, in the order of the rows. Cells of which anything was deleted are empty.
    /// `values` are those that the rows were opened with.
    ///
    /// # Errors
    /// When the file cannot be read, is not of the layout, or a row's cells are not those that its count and sum were made of.
    pub async fn cells_of(
        &self,
        rows: OpenRows,
        values: CellValues,
        row: impl FnMut(u32, &RollupCells),
    ) -> Result<(), HistoryError> {
        let OpenRows {
            file,
            index,
            reader,
        } = rows;
        self.noted(rollup::read_rollup(&file, &index, reader, values, row).await)
    }

    /// Does both for rows of a file of a roll-up.
    ///
    /// # Errors
    /// As [`Self::cells_of`].
    pub async fn read_rollup(
        &self,
        file: &Arc<DataFile>,
        index: &Arc<FileIndex>,
        rows: &RoaringBitmap,
        values: CellValues,
        row: impl FnMut(u32, &RollupCells),
    ) -> Result<(), HistoryError> {
        let opened = self.open_rollup(file, index.clone(), rows, values).await?;
        self.cells_of(opened, values, row).await
    }

    /// Rows of a file with their reader; they are counted when it has fetched the first of them.
    fn opened(
        &self,
        file: &Arc<DataFile>,
        index: Arc<FileIndex>,
        rows: &RoaringBitmap,
        reader: Result<RowReader, HistoryError>,
    ) -> Result<OpenRows, HistoryError> {
        let reader = self.noted(reader)?;
        let read = &self.stats.rows_read;
        read.fetch_add(rows.len(), Ordering::Relaxed);
        Ok(OpenRows {
            file: file.clone(),
            index,
            reader,
        })
    }

    /// Counts a file that could not be read.
    fn noted<T>(&self, outcome: Result<T, HistoryError>) -> Result<T, HistoryError> {
        let failed = &self.stats.files_failed;
        outcome.inspect_err(|_| _ = failed.fetch_add(1, Ordering::Relaxed))
    }

    /// Bytes that are kept in memory, about: indexes of files, and parts of them.
    pub fn kept_bytes(&self) -> (u64, u64) {
        (self.indexes.weight(), self.pages.size_bytes())
    }

    /// Bytes of all files that count, and datapoints of those of raw data.
    pub fn size(&self) -> (u64, u64) {
        let manifest = self.manifest();
        let (mut bytes, mut datapoints) = (0, 0);
        for file in manifest.files() {
            bytes += file.bytes;
            datapoints += if file.is_raw() { file.datapoints } else { 0 };
        }
        (bytes, datapoints)
    }
}
