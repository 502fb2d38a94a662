//! A directory of the local file system as an object store whose puts survive a loss of power.
//!
//! `object_store`'s own local store writes without syncing; the log may be cut only after what it held is durable elsewhere. Reading, listing
//! and deleting are left to it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// A local directory; see the module.
#[derive(Clone, Debug)]
pub struct SyncedLocal {
    root: Arc<PathBuf>,
    inner: Arc<LocalFileSystem>,
    /// Part of the names of files under way.
    staged: Arc<AtomicU64>,
}

impl SyncedLocal {
    /// Opens a directory, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        let root = fs::canonicalize(root)?;
        if let Some(parent) = root.parent() {
            File::open(parent)?.sync_all()?;
        }
        let inner = LocalFileSystem::new_with_prefix(&root).map_err(io::Error::other)?;
        Ok(Self {
            // The directory of a day goes with the last file in it.
            inner: Arc::new(inner.with_automatic_cleanup(true)),
            root: Arc::new(root),
            staged: Arc::default(),
        })
    }

    fn put_synced(&self, location: &Path, payload: &PutPayload, mode: &PutMode) -> Result<()> {
        let failed = |source: io::Error| object_store::Error::Generic {
            store: "SyncedLocal",
            source: Box::new(source),
        };
        let target = self.inner.path_to_filesystem(location)?;
        let parent = target.parent().unwrap_or(&self.root);
        self.create_synced(parent).map_err(failed)?;
        // The local store leaves names with this ending out of its listings.
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        let staged = target.with_file_name(format!(
            "{}#{}{number}",
            location.filename().unwrap_or_default(),
            std::process::id()
        ));
        let written = write_synced(&staged, payload).and_then(|()| match mode {
            PutMode::Create => fs::hard_link(&staged, &target),
            _ => fs::rename(&staged, &target),
        });
        // After a rename there is nothing to remove.
        let _ = fs::remove_file(&staged);
        match written {
            Ok(()) => sync_directory(parent).map_err(failed),
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                Err(object_store::Error::AlreadyExists {
                    path: location.to_string(),
                    source: Box::new(source),
                })
            }
            Err(source) => Err(failed(source)),
        }
    }

    /// Makes a directory below the root, and its name durable.
    fn create_synced(&self, directory: &FilePath) -> io::Result<()> {
        if directory.is_dir() {
            return Ok(());
        }
        if let Some(parent) = directory.parent()
            && *directory != **self.root
        {
            self.create_synced(parent)?;
            match fs::create_dir(directory) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => sync_directory(parent)?,
            }
        }
        Ok(())
    }
}

fn write_synced(path: &FilePath, payload: &PutPayload) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    for bytes in payload {
        file.write_all(bytes)?;
    }
    file.sync_all()
}

fn sync_directory(path: &FilePath) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl fmt::Display for SyncedLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SyncedLocal({})", self.root.display())
    }
}

#[async_trait::async_trait]
impl ObjectStore for SyncedLocal {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if let PutMode::Update(_) = options.mode {
            return Err(object_store::Error::NotImplemented {
                operation: "a conditional update".to_owned(),
                implementer: self.to_string(),
            });
        }
        let (this, location) = (self.clone(), location.clone());
        let put = move || this.put_synced(&location, &payload, &options.mode);
        tokio::task::spawn_blocking(put).await??;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(object_store::Error::NotImplemented {
            operation: "an upload in parts, which could not be synced".to_owned(),
            implementer: self.to_string(),
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn of_two_creations_one_wins() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = SyncedLocal::open(directory.path().join("a/b")).expect("opened");
        let path = Path::from("manifest/1.json");
        let create = |text: &'static str| {
            store.put_opts(
                &path,
                PutPayload::from_static(text.as_bytes()),
                PutMode::Create.into(),
            )
        };
        create("first").await.expect("nothing there yet");
        let second = create("second").await;
        assert!(matches!(
            second,
            Err(object_store::Error::AlreadyExists { .. })
        ));
        let read = store
            .get(&path)
            .await
            .expect("there")
            .bytes()
            .await
            .expect("read");
        assert_eq!(&*read, b"first");
        store.put(&path, "third".into()).await.expect("overwritten");
        let listed: Vec<_> = store.list(None).try_collect().await.expect("listed");
        assert_eq!(listed.len(), 1);
    }
}
