//! The object store as history uses it: what fails on the way is tried again, and a creation whose outcome is not known is read back.
//!
//! A put that timed out may have succeeded, and the answer to its repetition is then "there already". What history creates carries an id
//! (a commit its writer's tag, a data file a name that is used once), so that an object with the same bytes is our own.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use crate::HistoryError;
use crate::page_cache::PageCache;

/// How often and how fast a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, at least one.
    pub attempts: u32,
    /// Attempts to read an object: fewer, as someone may wait for an answer that can say what it lacks.
    pub read_attempts: u32,
    /// The pause after the first attempt; each further one is twice as long.
    pub pause: Duration,
    /// No pause is longer.
    pub max_pause: Duration,
    /// An attempt that takes longer has failed.
    pub time_limit: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 6,
            read_attempts: 3,
            pause: Duration::from_millis(100),
            max_pause: Duration::from_secs(5),
            time_limit: Duration::from_secs(60),
        }
    }
}

/// The outcome of a creation.
#[derive(Debug)]
pub enum Created {
    /// The object is there as it was to be.
    Ours,
    /// There is another's, with these bytes.
    Others(Bytes),
}

/// An object store, with retries.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    retry: Retry,
    pages: Option<Arc<PageCache>>,
}

/// True for what may go well the next time.
fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Generic { .. } | Error::JoinError { .. })
}

fn passing(what: String) -> Error {
    Error::Generic {
        store: "history",
        source: what.into(),
    }
}

fn is_taken(error: &Error) -> bool {
    matches!(
        error,
        Error::AlreadyExists { .. } | Error::Precondition { .. }
    )
}

impl Objects {
    /// Requests to `store` are tried again as `retry` says.
    pub fn new(store: Arc<dyn ObjectStore>, retry: Retry) -> Self {
        Self {
            store,
            retry,
            pages: None,
        }
    }

    /// The same, with parts of objects kept. Only for objects that never change.
    #[must_use]
    pub fn with_pages(&self, pages: Arc<PageCache>) -> Self {
        Self {
            pages: Some(pages),
            ..self.clone()
        }
    }

    /// The store itself.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    async fn attempt<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let limit = self.retry.time_limit;
        match tokio::time::timeout(limit, request).await {
            Ok(outcome) => outcome,
            Err(_) => Err(passing(format!("no answer within {limit:?}"))),
        }
    }

    async fn pause(&self, attempt: u32) {
        let factor = 1u32.checked_shl(attempt).unwrap_or(u32::MAX);
        let pause = self.retry.pause.saturating_mul(factor);
        tokio::time::sleep(pause.min(self.retry.max_pause)).await;
    }

    async fn tried<T, F>(&self, attempts: u32, mut request: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut attempt = 0;
        loop {
            let outcome = self.attempt(request()).await;
            match outcome {
                Err(error) if is_passing(&error) && attempt + 1 < attempts => {
                    tracing::debug!(%error, "a request to the object store is tried again");
                }
                outcome => return outcome,
            }
            self.pause(attempt).await;
            attempt += 1;
        }
    }

    /// All bytes of an object.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn get(&self, path: &Path) -> Result<Bytes, HistoryError> {
        self.get_raw(path).await.map_err(HistoryError::store(path))
    }

    async fn get_raw(&self, path: &Path) -> Result<Bytes, Error> {
        self.tried(self.retry.read_attempts, || async {
            let got = self.store.get(path).await?;
            let length = got.meta.size;
            let bytes = got.bytes().await?;
            whole(bytes, length)
        })
        .await
    }

    /// The same, and `None` when there is no such object.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn find(&self, path: &Path) -> Result<Option<Bytes>, HistoryError> {
        match self.get_raw(path).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(HistoryError::store(path)(e)),
        }
    }

    /// A part of an object.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn get_range(&self, path: &Path, range: Range<u64>) -> Result<Bytes, Error> {
        let length = range.end - range.start;
        self.tried(self.retry.read_attempts, || async {
            let bytes = self.store.get_range(path, range.clone()).await?;
            whole(bytes, length)
        })
        .await
    }

    /// Parts of an object.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub async fn get_ranges(
        &self,
        path: &Path,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, Error> {
        let Some(pages) = &self.pages else {
            return self.fetch_ranges(path, ranges).await;
        };
        let mut parts: Vec<Option<Bytes>> = ranges.iter().map(|r| pages.get(path, r)).collect();
        let ranges = ranges.iter().zip(&parts);
        let missing = ranges.filter(|(_, part)| part.is_none());
        let missing: Vec<Range<u64>> = missing.map(|(range, _)| range.clone()).collect();
        if !missing.is_empty() {
            let fetched = self.fetch_ranges(path, &missing).await?;
            let mut fetched = missing.iter().zip(fetched);
            for part in parts.iter_mut().filter(|part| part.is_none()) {
                let (range, bytes) = fetched.next().expect("one for each that is missing");
                pages.insert(path, range, &bytes);
                *part = Some(bytes);
            }
        }
        Ok(parts.into_iter().flatten().collect())
    }

    /// In as few requests as the store thinks best: ranges that lie near each other are read as one.
    async fn fetch_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Error> {
        self.tried(self.retry.read_attempts, || async {
            let parts = self.store.get_ranges(path, ranges).await?;
            let lengths = ranges.iter().map(|r| r.end - r.start);
            parts
                .into_iter()
                .zip(lengths)
                .map(|(part, length)| whole(part, length))
                .collect()
        })
        .await
    }

    /// What is known of an object; `None` when there is no such object.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn head(&self, path: &Path) -> Result<Option<ObjectMeta>, HistoryError> {
        match self
            .tried(self.retry.attempts, || self.store.head(path))
            .await
        {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(HistoryError::store(path)(e)),
        }
    }

    /// The objects below a folder, sorted by path; with `after` only those whose path is greater.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(
        &self,
        folder: &Path,
        after: Option<&Path>,
    ) -> Result<Vec<ObjectMeta>, HistoryError> {
        let listed = self.tried(self.retry.attempts, || async {
            let objects = match after {
                Some(after) => self.store.list_with_offset(Some(folder), after),
                None => self.store.list(Some(folder)),
            };
            objects.try_collect::<Vec<_>>().await
        });
        let mut objects = listed.await.map_err(HistoryError::store(folder))?;
        // Not every store gives them in order, nor each only once when it is changed meanwhile.
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        objects.dedup_by(|a, b| a.location == b.location);
        Ok(objects)
    }

    /// Creates an object. Its bytes tell it from what others would create at the same path.
    ///
    /// # Errors
    /// When it is not known to be there. It may appear later all the same.
    pub async fn create(&self, path: &Path, bytes: &Bytes) -> Result<Created, HistoryError> {
        let mut last = None;
        for attempt in 0..self.retry.attempts.max(1) {
            if attempt > 0 {
                self.pause(attempt - 1).await;
            }
            let payload = PutPayload::from_bytes(bytes.clone());
            let put = self.store.put_opts(path, payload, PutMode::Create.into());
            match self.attempt(put).await {
                Ok(_) => return Ok(Created::Ours),
                Err(error) if is_taken(&error) => match self.find(path).await? {
                    // Another's, or ours after an attempt that had succeeded without our knowing.
                    Some(there) => return Ok(whose(there, bytes)),
                    // S3 says so also when two creations met, and neither may have won.
                    None => last = Some(error),
                },
                Err(error) if is_passing(&error) => {
                    tracing::debug!(%error, %path, "a creation is tried again");
                    last = Some(error);
                }
                Err(error) => return Err(HistoryError::store(path)(error)),
            }
        }
        match self.find(path).await {
            Ok(Some(there)) => Ok(whose(there, bytes)),
            _ => Err(HistoryError::store(path)(last.expect("an attempt failed"))),
        }
    }

    /// Writes an object, over what is there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put(&self, path: &Path, bytes: &Bytes) -> Result<(), HistoryError> {
        let put = self.tried(self.retry.attempts, || async {
            let payload = PutPayload::from_bytes(bytes.clone());
            self.store.put(path, payload).await.map(|_| ())
        });
        put.await.map_err(HistoryError::store(path))
    }

    /// Deletes objects, each whether or not it is there; gives how many are gone, and the first failure.
    pub async fn delete(&self, paths: &[Path]) -> (u64, Option<HistoryError>) {
        /// Deletions under way at a time.
        const AT_ONCE: usize = 8;
        let each = paths.iter().map(|path| async move {
            match self
                .tried(self.retry.attempts, || self.store.delete(path))
                .await
            {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(e) => Err(HistoryError::store(path)(e)),
            }
        });
        let mut each = futures::stream::iter(each).buffer_unordered(AT_ONCE);
        let (mut gone, mut failure) = (0, None);
        while let Some(outcome) = each.next().await {
            match outcome {
                Ok(()) => gone += 1,
                Err(e) => failure = failure.or(Some(e)),
            }
        }
        (gone, failure)
    }
}

fn whose(there: Bytes, bytes: &Bytes) -> Created {
    if there == bytes {
        Created::Ours
    } else {
        Created::Others(there)
    }
}

fn whole(bytes: Bytes, length: u64) -> Result<Bytes, Error> {
    if bytes.len() as u64 == length {
        return Ok(bytes);
    }
    let got = bytes.len();
    Err(passing(format!("{got} of {length} bytes were read")))
}
