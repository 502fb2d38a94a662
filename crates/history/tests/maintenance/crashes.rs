//! A process that dies at any request to the object store leaves a history that is what it was, and garbage at most.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use hesper_history::day::DAY_MILLIS;
use hesper_history::verify::{Depth, Severity, verify};
use hesper_model::{Slot, TagQuery, TimeRange};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::contents;
use crate::place::{Place, STEP, narrow};

/// A store that does so many requests, perhaps one more without an answer, and then nothing any more.
#[derive(Clone, Debug)]
struct Dying {
    inner: Arc<dyn ObjectStore>,
    left: Arc<AtomicI64>,
    /// True when the last request is done.
    last_is_done: bool,
}

impl Dying {
    fn dead(&self) -> Error {
        Error::NotSupported {
            source: "the process is dead".into(),
        }
    }

    /// Whether the request is done, and whether anyone lives to hear of it.
    fn count(&self) -> (bool, bool) {
        let left = self.left.fetch_sub(1, Ordering::Relaxed);
        (left > 0 || (left == 0 && self.last_is_done), left > 0)
    }
}

impl fmt::Display for Dying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dying({})", self.inner)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Dying {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let (done, heard) = self.count();
        if !done {
            return Err(self.dead());
        }
        let put = self.inner.put_opts(location, payload, options).await;
        if heard { put } else { Err(self.dead()) }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.count() {
            (_, true) => self.inner.get_opts(location, options).await,
            _ => Err(self.dead()),
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.count() {
            (_, true) => self.inner.get_ranges(location, ranges).await,
            _ => Err(self.dead()),
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.count() {
            (true, _) => self.inner.delete_stream(locations),
            _ => Box::pin(futures::stream::once(std::future::ready(Err(self.dead())))),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.count() {
            (_, true) => self.inner.list(prefix),
            _ => Box::pin(futures::stream::once(std::future::ready(Err(self.dead())))),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

async fn copy_of(store: &Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
    let copy = InMemory::new();
    let objects: Vec<ObjectMeta> = store.list(None).try_collect().await.expect("listed");
    for object in objects {
        let got = store.get(&object.location).await.expect("there");
        let bytes = got.bytes().await.expect("read");
        copy.put(&object.location, bytes.into()).await.expect("put");
    }
    Arc::new(copy)
}

#[tokio::test]
async fn maintenance_may_die_at_any_request() {
    let base: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut place = Place::new(base.clone());
    let history = place.open().await;
    for round in 0..2i64 {
        let points = (0..24).map(|i| (i % 3, 1 + (round * 41 + i as i64 * 97) % 1600, i as f64));
        place.load(&history, &points.collect::<Vec<_>>()).await;
    }
    let range = TimeRange {
        first: Slot(100),
        last: Slot(300),
    };
    let query = TagQuery::Equal("nf.app".into(), "www".into());
    history
        .delete("d".to_owned(), query, range)
        .await
        .expect("deleted");
    let expected = contents::raw(&history).await;
    let mut deaths = 0;
    for last_is_done in [false, true] {
        // Not every number, for time's sake; the two cases try different ones.
        for requests in (i64::from(last_is_done)..).step_by(3) {
            let store = copy_of(&base).await;
            let dying = Dying {
                inner: store.clone(),
                left: Arc::new(AtomicI64::new(requests)),
                last_is_done,
            };
            let mut first = Place::new(Arc::new(dying));
            first.pass(2 * DAY_MILLIS);
            let mut lived = false;
            if let Ok(history) = first.try_open().await {
                loop {
                    match history.compact_due(first.now(), &narrow()).await {
                        Ok(Some(_)) => {}
                        Ok(None) => {
                            lived = true;
                            break;
                        }
                        Err(_) => break,
                    }
                }
            }
            let mut second = Place::new(store.clone());
            second.pass(2 * DAY_MILLIS);
            let history = second.open().await;
            assert_eq!(
                contents::raw(&history).await,
                expected,
                "after {requests} requests"
            );
            second.maintain(&history, &narrow()).await;
            assert_eq!(
                contents::raw(&history).await,
                expected,
                "after {requests} requests"
            );
            let found = verify(&store, STEP, Depth::Rows, |_| {})
                .await
                .expect("answers");
            let only_notes = found.findings.iter().all(|f| f.severity == Severity::Note);
            assert!(
                only_notes,
                "after {requests} requests: {:?}",
                found.findings
            );
            if lived {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 20, "it died {deaths} times only");
}
