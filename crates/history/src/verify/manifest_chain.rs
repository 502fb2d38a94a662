//! The objects of the manifest: every number there, every snapshot what the commits say.

use std::collections::BTreeMap;

use object_store::path::Path;

use super::{Severity, Verification};
use crate::manifest::{self, Commit, ObjectKind, Snapshot};
use crate::objects::Objects;
use crate::store::{kind, parse_commit, parse_snapshot};
use crate::{HistoryError, Manifest};

const LOST_COMMIT: &str = "restore it from a backup of the manifest, or restore the newest backup and load what came since";

/// Reads all objects of the manifest, notes what is wrong with them, and gives the newest state that can be made of them.
pub(super) async fn verify(
    objects: &Objects,
    found: &mut Verification,
) -> Result<Manifest, HistoryError> {
    let folder = Path::from(manifest::FOLDER);
    let mut commits: BTreeMap<u64, Commit> = BTreeMap::new();
    let mut snapshots: BTreeMap<u64, Snapshot> = BTreeMap::new();
    let mut broken = Vec::new();
    for object in objects.list(&folder, None).await? {
        let path = object.location;
        let Some(kind) = kind(&path) else {
            let advice = "remove it if you know where it comes from";
            found.add(
                Severity::Note,
                path.as_ref(),
                "it is not of the manifest",
                advice,
            );
            continue;
        };
        let bytes = objects.get(&path).await?;
        match kind {
            ObjectKind::Commit(number) => match parse_commit(&path, &bytes) {
                Ok(commit) => _ = commits.insert(number, commit),
                Err(error) => broken.push((number, path, error)),
            },
            ObjectKind::Snapshot(number) => match parse_snapshot(&path, &bytes) {
                Ok(snapshot) => _ = snapshots.insert(number, snapshot),
                Err(error) => {
                    let advice = "remove it, if there is an older one or all commits are there";
                    found.add(Severity::Warning, path.as_ref(), error.to_string(), advice);
                }
            },
        }
    }
    let newest_snapshot = snapshots.keys().next_back().copied().unwrap_or(0);
    for (number, path, error) in broken {
        // What a snapshot holds is not needed as a commit.
        let severity = match number > newest_snapshot {
            true => Severity::Damage,
            false => Severity::Warning,
        };
        found.add(severity, path.as_ref(), error.to_string(), LOST_COMMIT);
    }
    Ok(replay(&commits, snapshots, newest_snapshot, found))
}

/// Goes through the commits, holds the snapshots against them, and notes numbers that are missing.
fn replay(
    commits: &BTreeMap<u64, Commit>,
    snapshots: BTreeMap<u64, Snapshot>,
    newest_snapshot: u64,
    found: &mut Verification,
) -> Manifest {
    let newest = commits.keys().next_back().copied().unwrap_or(0);
    let newest = newest.max(newest_snapshot);
    // Commits before the oldest snapshot may have been tidied away.
    let mut manifest = Manifest::default();
    let mut from = 1;
    if !commits.contains_key(&1)
        && let Some((number, snapshot)) = snapshots.iter().next()
    {
        manifest = Manifest::of_snapshot(snapshot.clone());
        from = number + 1;
    }
    for number in from..=newest {
        let path = manifest::commit_name(number);
        match commits.get(&number) {
            Some(commit) => {
                check_removed(&manifest, commit, &path, found);
                manifest = manifest.after(commit);
            }
            None => {
                let later = snapshots.range(number..).next();
                let severity = match later {
                    Some(_) => Severity::Warning,
                    None => Severity::Damage,
                };
                found.add(severity, &path, "the commit is missing", LOST_COMMIT);
                let Some((at, snapshot)) = later else {
                    continue;
                };
                if *at == number {
                    manifest = Manifest::of_snapshot(snapshot.clone());
                }
                continue;
            }
        }
        if let Some(snapshot) = snapshots.get(&number)
            && !says_the_same(snapshot, &manifest)
        {
            let path = manifest::snapshot_name(number);
            let what = "it does not hold the files that the commits up to it say";
            let advice = "remove it: it is made of the commits, which are there";
            found.add(Severity::Damage, &path, what, advice);
        }
    }
    manifest
}

/// True when a snapshot holds the files of a manifest. In version 1 it does not say by which commits they came.
fn says_the_same(snapshot: &Snapshot, manifest: &Manifest) -> bool {
    let mut files = manifest.to_snapshot().files;
    if snapshot.version == 1 {
        for file in &mut files {
            file.commit = 0;
            file.added_millis = 0;
        }
    }
    files == snapshot.files
}

/// A commit removes only what counted before.
fn check_removed(manifest: &Manifest, commit: &Commit, path: &str, found: &mut Verification) {
    for removed in commit.removed.iter().filter(|path| !manifest.holds(path)) {
        let what = format!("it removes {removed}, which did not count");
        let advice = "nothing is lost; tell the makers";
        found.add(Severity::Warning, path, what, advice);
    }
}
