//! Objects that nothing needs any more: found, counted, and deleted after a grace time.
//!
//! - Files that the manifest no longer names. Readers of a manifest from before may still use them, so they stay for a while after the commit that
//!   removed them.
//! - Files that the manifest never named: what a crash leaves between a put and its commit. Someone may be about to commit them, so they stay until
//!   they are older than any work takes.
//! - Commits and snapshots that a newer snapshot has made dispensable. The two newest snapshots stay, and the commits since the older of them. Writers
//!   look at the manifest before they commit when they haven't for half a day, so that none takes a number for free that was tidied away.

use hesper_model::Timestamp;
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::manifest::{self, ObjectKind};
use crate::policy::Policy;
use crate::store::kind;
use crate::{History, HistoryError, Manifest};

/// The folders of data files.
pub(crate) const DATA_FOLDERS: [&str; 2] = ["raw", "rollup"];

/// What was found and deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files that were replaced, deleted now.
    pub retired: u64,
    /// Files that nothing names, deleted now.
    pub orphans: u64,
    /// Objects of the manifest, deleted now.
    pub manifest: u64,
    /// Bytes of all objects deleted.
    pub bytes: u64,
    /// Files that don't count but are not old enough to go.
    pub waiting: u64,
}

/// What is known of a data file on the object store.
enum Standing {
    Counts,
    Waits,
    Retired,
    Orphan,
}

impl History {
    /// Deletes what nothing needs any more. It lists all objects: once an hour is often enough.
    ///
    /// # Errors
    /// When the object store cannot be listed, or an object not deleted; what was deleted until then is gone.
    pub async fn collect_orphans(
        &self,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<Collected, HistoryError> {
        // Listed first: what is committed after the listing is not in it.
        let mut objects = Vec::new();
        for folder in DATA_FOLDERS {
            objects.extend(self.objects().list(&Path::from(folder), None).await?);
        }
        self.refresh().await?;
        let manifest = self.manifest();
        let mut collected = Collected::default();
        let mut doomed = Vec::new();
        for object in objects {
            match standing(&manifest, &object, now, policy) {
                Standing::Counts => continue,
                Standing::Waits => {
                    collected.waiting += 1;
                    continue;
                }
                Standing::Retired => collected.retired += 1,
                Standing::Orphan => collected.orphans += 1,
            }
            collected.bytes += object.size;
            doomed.push(object.location);
        }
        for object in self.dispensable(now, policy).await? {
            collected.manifest += 1;
            collected.bytes += object.size;
            doomed.push(object.location);
        }
        let (gone, failure) = self.objects().delete(&doomed).await;
        if gone > 0 {
            tracing::info!(?collected, "objects that nothing needs were deleted");
        }
        failure.map_or(Ok(collected), Err)
    }

    /// The objects of the manifest that a snapshot replaces.
    async fn dispensable(
        &self,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<Vec<ObjectMeta>, HistoryError> {
        let folder = Path::from(manifest::FOLDER);
        let objects = self.objects().list(&folder, None).await?;
        let mut snapshots: Vec<u64> = objects
            .iter()
            .filter_map(|object| match kind(&object.location) {
                Some(ObjectKind::Snapshot(number)) => Some(number),
                _ => None,
            })
            .collect();
        snapshots.sort_unstable_by(|a, b| b.cmp(a));
        let Some(kept) = snapshots.get(1).copied() else {
            return Ok(Vec::new());
        };
        let old = |object: &ObjectMeta| {
            let number = match kind(&object.location) {
                Some(ObjectKind::Commit(number)) => number,
                // The snapshot that is kept stands for the commits up to it.
                Some(ObjectKind::Snapshot(number)) => number + 1,
                None => return false,
            };
            number <= kept && is_older(object, now, policy.manifest_grace_millis)
        };
        Ok(objects.into_iter().filter(old).collect())
    }
}

fn is_older(object: &ObjectMeta, now: Timestamp, millis: i64) -> bool {
    now.0
        .saturating_sub(object.last_modified.timestamp_millis())
        > millis
}

fn standing(manifest: &Manifest, object: &ObjectMeta, now: Timestamp, policy: &Policy) -> Standing {
    let path = object.location.as_ref();
    if manifest.holds(path) {
        return Standing::Counts;
    }
    match manifest.retired_at(path) {
        Some(at) if now.0.saturating_sub(at) > policy.retired_grace_millis => Standing::Retired,
        Some(_) => Standing::Waits,
        None if is_older(object, now, policy.orphan_grace_millis) => Standing::Orphan,
        None => Standing::Waits,
    }
}
