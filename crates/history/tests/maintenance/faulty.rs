//! An object store that fails on the way: requests that get no answer though they are done, or are done later; answers that are cut short, come late or in
//! another order. What it does follows from a seed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;

/// Longer than any request may take.
const TOO_LONG: Duration = Duration::from_secs(3600);

/// See the module.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    state: Arc<Mutex<State>>,
}

struct State {
    seed: u64,
    /// Of a thousand requests so many fail.
    per_mille: u64,
    /// Puts that are still on their way.
    late: Vec<(Path, PutPayload, PutOptions)>,
    /// Requests that failed.
    failed: u64,
}

/// What happens to a request.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Fine,
    /// It fails, and nothing is done.
    Refused,
    /// It is done, but no answer comes.
    DoneUnanswered,
    /// It is done some time after it was given up.
    DoneLater,
    /// Its answer is cut short, without an error.
    CutShort,
}

fn unavailable() -> Error {
    Error::Generic {
        store: "Faulty",
        source: "503 Slow Down".into(),
    }
}

impl Faulty {
    /// A store of which so many requests of a thousand fail.
    pub fn new(inner: Arc<dyn ObjectStore>, seed: u64, per_mille: u64) -> Self {
        let state = State {
            seed,
            per_mille,
            late: Vec::new(),
            failed: 0,
        };
        Self {
            inner,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Requests that failed so far.
    pub fn failed(&self) -> u64 {
        self.state.lock().failed
    }

    fn random(&self, below: u64) -> u64 {
        let mut state = self.state.lock();
        state.seed = state.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = state.seed;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % below
    }

    async fn fate(&self) -> Fate {
        self.land_one().await;
        if self.random(1000) >= self.state.lock().per_mille {
            return Fate::Fine;
        }
        self.state.lock().failed += 1;
        match self.random(4) {
            0 => Fate::Refused,
            1 => Fate::DoneUnanswered,
            2 => Fate::DoneLater,
            _ => Fate::CutShort,
        }
    }

    /// A put that was on its way may arrive now.
    async fn land_one(&self) {
        let waiting = self.state.lock().late.len() as u64;
        if waiting == 0 || self.random(3) > 0 {
            return;
        }
        let at = self.random(waiting) as usize;
        let (path, payload, options) = self.state.lock().late.swap_remove(at);
        // Nobody hears of it.
        let _ = self.inner.put_opts(&path, payload, options).await;
    }

    /// No answer: at once, or only when nobody waits any longer.
    async fn unanswered(&self) -> Error {
        if self.random(2) == 0 {
            tokio::time::sleep(TOO_LONG).await;
        }
        unavailable()
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        match self.fate().await {
            Fate::Fine | Fate::CutShort => self.inner.put_opts(location, payload, options).await,
            Fate::Refused => Err(unavailable()),
            Fate::DoneUnanswered => {
                let _ = self.inner.put_opts(location, payload, options).await;
                Err(self.unanswered().await)
            }
            Fate::DoneLater => {
                let put = (location.clone(), payload, options);
                self.state.lock().late.push(put);
                Err(self.unanswered().await)
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fate = self.fate().await;
        if matches!(fate, Fate::Refused | Fate::DoneUnanswered) {
            return Err(unavailable());
        }
        let mut got = self.inner.get_opts(location, options).await?;
        if fate == Fate::Fine {
            return Ok(got);
        }
        let GetResult {
            meta,
            range,
            attributes,
            ..
        } = &got;
        let (meta, range, attributes) = (meta.clone(), range.clone(), attributes.clone());
        let bytes = got.bytes().await?;
        let some = bytes.slice(..self.random(bytes.len() as u64 + 1) as usize);
        let end = (fate == Fate::DoneLater).then(|| Err(unavailable()));
        let parts = std::iter::once(Ok(some)).chain(end);
        got = GetResult {
            payload: GetResultPayload::Stream(futures::stream::iter(parts).boxed()),
            meta,
            range,
            attributes,
        };
        Ok(got)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let fate = self.fate().await;
        if matches!(fate, Fate::Refused | Fate::DoneUnanswered | Fate::DoneLater) {
            return Err(self.unanswered().await);
        }
        let mut parts = self.inner.get_ranges(location, ranges).await?;
        if fate == Fate::CutShort
            && let Some(last) = parts.last_mut()
        {
            last.truncate(last.len() / 2);
        }
        Ok(parts)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        locations
            .then(move |location| {
                let this = this.clone();
                async move {
                    let location = location?;
                    match this.fate().await {
                        Fate::Fine => {
                            object_store::ObjectStoreExt::delete(&this.inner, &location).await?
                        }
                        Fate::Refused => return Err(unavailable()),
                        _ => {
                            let _ =
                                object_store::ObjectStoreExt::delete(&this.inner, &location).await;
                            return Err(this.unanswered().await);
                        }
                    }
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = self.clone();
        let listed = self.inner.list(prefix);
        futures::stream::once(async move {
            let fate = this.fate().await;
            if fate == Fate::Refused {
                return Err(this.unanswered().await);
            }
            let mut objects: Vec<ObjectMeta> = listed.try_collect().await?;
            // In any order.
            for i in (1..objects.len()).rev() {
                objects.swap(i, this.random(i as u64 + 1) as usize);
            }
            let mut answer: Vec<Result<ObjectMeta>> = objects.into_iter().map(Ok).collect();
            if fate != Fate::Fine {
                answer.truncate(this.random(answer.len() as u64 + 1) as usize);
                answer.push(Err(unavailable()));
            }
            Ok(futures::stream::iter(answer))
        })
        .try_flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
