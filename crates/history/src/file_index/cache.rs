//! Indexes of files that were asked for lately, within a budget of bytes.
//!
//! Rows and series are kept apart: files of windows one after another mostly have the same series, which count once.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder};

use super::{FileIndex, FileRows, FileSeries, SeriesTags};

/// Parts that are kept, about.
const PARTS: usize = 1000;

/// What an entry costs beside its part.
const ENTRY_BYTES: usize = 100;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    /// Rows, by the name of the file.
    File(String),
    Series(SeriesKey),
}

/// By what series are found again: two hashes of them, so that no others have the same by chance.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct SeriesKey([u64; 2]);

#[derive(Clone)]
enum Part {
    /// The rows of a file, and by what their series are found.
    Rows(Arc<FileRows>, SeriesKey),
    Series(Arc<FileSeries>),
}

#[derive(Clone)]
struct ByBytes;

impl quick_cache::Weighter<Key, Part> for ByBytes {
    fn weight(&self, key: &Key, part: &Part) -> u64 {
        let name = match key {
            Key::File(name) => name.len(),
            Key::Series(_) => 0,
        };
        let bytes = match part {
            Part::Rows(rows, _) => rows.size_bytes(),
            Part::Series(series) => series.size_bytes(),
        };
        (ENTRY_BYTES + name + bytes) as u64
    }
}

/// Indexes of files, those not asked for going first.
pub struct IndexCache {
    parts: Cache<Key, Part, ByBytes>,
    hashes: [RandomState; 2],
}

impl IndexCache {
    /// Nothing yet, and never more than so many bytes.
    pub fn new(bytes: u64) -> Self {
        // In one part. Of several each had a part of the bytes, and an index may take more than that alone: it would be made anew whenever it
        // is asked for.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(PARTS)
            .weight_capacity(bytes)
            .build();
        Self {
            parts: Cache::with_options(
                options.expect("both capacities are given"),
                ByBytes,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            hashes: Default::default(),
        }
    }

    /// The index that is kept under a name. When it is not, or not whole, `read` reads the file, and `finish` makes of its index what is to
    /// be kept. Whoever asks meanwhile waits.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn index<E, F: Future<Output = Result<(FileRows, SeriesTags), E>>>(
        &self,
        name: &str,
        read: impl Fn() -> F,
        finish: impl FnOnce(FileIndex) -> FileIndex,
    ) -> Result<FileIndex, E> {
        let name = Key::File(name.to_owned());
        let mut made = None;
        let kept = self.parts.get_or_insert_async(&name, async {
            let (rows, columns) = read().await?;
            let key = self.key(&columns);
            let series = self.series(key, columns);
            let index = finish(FileIndex::new(Arc::new(rows), series));
            let rows = index.rows.clone();
            made = Some(index);
            Ok(Part::Rows(rows, key))
        });
        let kept = kept.await?;
        if let Some(index) = made {
            return Ok(index);
        }
        let Part::Rows(rows, key) = kept else {
            unreachable!("the part of a file is its rows");
        };
        let key = Key::Series(key);
        let series = self.parts.get_or_insert_async(&key, async {
            let (_, columns) = read().await?;
            Ok(Part::Series(Arc::new(FileSeries::new(columns))))
        });
        match series.await? {
            Part::Series(series) => Ok(FileIndex::new(rows, series)),
            Part::Rows(..) => unreachable!("the part of series is the series"),
        }
    }

    fn key(&self, columns: &SeriesTags) -> SeriesKey {
        SeriesKey([0, 1].map(|n| self.hashes[n].hash_one(columns)))
    }

    /// The series of columns: those that are kept when another file has the same.
    fn series(&self, key: SeriesKey, columns: SeriesTags) -> Arc<FileSeries> {
        let make =
            || Ok::<_, std::convert::Infallible>(Part::Series(Arc::new(FileSeries::new(columns))));
        match self.parts.get_or_insert_with(&Key::Series(key), make) {
            Ok(Part::Series(series)) => series,
            Ok(Part::Rows(..)) => unreachable!("the part of series is the series"),
        }
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> u64 {
        self.parts.weight()
    }
}
