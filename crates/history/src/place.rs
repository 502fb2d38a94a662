//! Places for history and its backups: a path of the local file system, or the URL of an object store.
//!
//! | place | what |
//! |---|---|
//! | `/var/lib/hesper/history`, `file:///var/lib/hesper/history` | a local directory, synced |
//! | `s3://bucket/folder` | Amazon S3 and what speaks its protocol; with the feature `aws` |
//! | `gs://bucket/folder` | Google Cloud Storage; with the feature `gcp` |
//! | `az://container/folder` | Azure Blob Storage; with the feature `azure` |
//! | `memory:///` | memory: for tests, lost with the process |
//!
//! Credentials, regions and endpoints come from the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`, as the providers' own tools read them) or from options of
//! the same names in lower case, such as `aws_endpoint`.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, memory::InMemory};
use url::Url;

use crate::HistoryError;
use crate::objects::{Created, Objects};
use crate::synced_local::SyncedLocal;

/// Variables of the environment that configure object stores begin with one of these.
const ENVIRONMENT: [&str; 3] = ["AWS_", "GOOGLE_", "AZURE_"];

/// Opens a place. Options go before the environment.
///
/// # Errors
/// When it is no place, its feature is not built in, or a local directory cannot be made.
pub fn open_place(
    place: &str,
    options: &[(String, String)],
) -> Result<Arc<dyn ObjectStore>, HistoryError> {
    let wrong = |what: String| HistoryError::Place {
        place: place.to_owned(),
        what,
    };
    let local = |path: std::path::PathBuf| -> Result<Arc<dyn ObjectStore>, HistoryError> {
        let opened = SyncedLocal::open(path).map_err(|e| wrong(e.to_string()))?;
        Ok(Arc::new(opened))
    };
    if !place.contains("://") {
        return local(place.into());
    }
    let url = Url::parse(place).map_err(|e| wrong(format!("it is no URL: {e}")))?;
    let feature = match url.scheme() {
        "file" => {
            let path = url.to_file_path();
            return local(path.map_err(|()| wrong("it is no local path".to_owned()))?);
        }
        "memory" => return Ok(Arc::new(InMemory::new())),
        "s3" | "s3a" => ("aws", cfg!(feature = "aws")),
        "gs" => ("gcp", cfg!(feature = "gcp")),
        "az" | "azure" | "abfs" | "abfss" => ("azure", cfg!(feature = "azure")),
        scheme => {
            return Err(wrong(format!(
                "{scheme} is not known; use a path, or a URL with file, s3, gs or az"
            )));
        }
    };
    if let (name, false) = feature {
        return Err(wrong(format!(
            "this program was built without it; build it with the feature {name}"
        )));
    }
    let environment = std::env::vars()
        .filter(|(name, _)| ENVIRONMENT.iter().any(|prefix| name.starts_with(prefix)));
    let options = environment.chain(options.iter().cloned());
    let (store, folder) =
        object_store::parse_url_opts(&url, options).map_err(|e| wrong(e.to_string()))?;
    let store: Arc<dyn ObjectStore> = Arc::from(store);
    Ok(match folder.as_ref() {
        "" => store,
        _ => Arc::new(PrefixStore::new(store, folder)),
    })
}

/// Makes sure that of two creations of an object the second fails: without that, two writers could each believe that a commit is theirs.
///
/// # Errors
/// When the store lets an object be created twice, or cannot be written to.
pub async fn check_creation(objects: &Objects, tag: &str) -> Result<(), HistoryError> {
    let path = Path::from(format!("probe/{tag}"));
    let first = objects.create(&path, &Bytes::from_static(b"first")).await?;
    let second = objects
        .create(&path, &Bytes::from_static(b"second"))
        .await?;
    let there = objects.get(&path).await?;
    objects.delete(&[path]).await;
    match (first, second) {
        (Created::Ours, Created::Others(_)) if *there == *b"first" => Ok(()),
        _ => Err(HistoryError::Place {
            place: objects.store().to_string(),
            what: "it lets an object be created that is there already; a store with conditional puts (If-None-Match) is needed"
                .to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Retry;

    #[test]
    fn places_are_told_apart() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a b/history");
        let opened = |place: &str, options: &[(String, String)]| open_place(place, options);
        opened(path.to_str().expect("text"), &[]).expect("a path");
        let url = Url::from_file_path(&path).expect("absolute");
        let store = opened(url.as_str(), &[]).expect("a local URL");
        assert!(store.to_string().contains("a b"), "{store}");
        let text = |place: &str| opened(place, &[]).expect_err("no place").to_string();
        assert!(text("ftp://host/x").contains("ftp is not known"));
        assert!(text("s3://").contains("s3://"));
    }

    #[cfg(feature = "aws")]
    #[test]
    fn buckets_have_folders() {
        let options = [("aws_region", "eu-west-1"), ("aws_skip_signature", "true")];
        let options = options.map(|(k, v)| (k.to_owned(), v.to_owned()));
        let store = open_place("s3://bucket/some/folder", &options).expect("a bucket");
        assert!(store.to_string().contains("some/folder"), "{store}");
    }

    #[tokio::test]
    async fn a_store_that_creates_twice_is_found_out() {
        let directory = tempfile::tempdir().expect("a directory");
        for store in [
            Arc::new(InMemory::new()) as Arc<dyn ObjectStore>,
            Arc::new(SyncedLocal::open(directory.path()).expect("opened")),
        ] {
            let objects = Objects::new(store, Retry::default());
            check_creation(&objects, "test")
                .await
                .expect("creates once");
            let left = objects.list(&Path::from("probe"), None).await;
            assert!(left.expect("listed").is_empty());
        }
    }
}
