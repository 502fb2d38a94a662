//! What is replaced or never named goes, but not too early.

use std::sync::Arc;

use futures::TryStreamExt;
use hesper_history::Policy;
use hesper_history::day::DAY_MILLIS;
use hesper_history::orphans::Collected;
use hesper_model::Timestamp;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::contents;
use crate::place::{HOUR_MILLIS, Place};

/// A history of two files of a day, at the time of the store's own clock.
async fn place() -> (Arc<dyn ObjectStore>, Place) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut place = Place::new(store.clone());
    place.pass(chrono::Utc::now().timestamp_millis() - place.now().0);
    let history = place.open().await;
    place.load(&history, &[(0, 1, 1.0), (1, 61, 2.0)]).await;
    place.load(&history, &[(0, 2, 3.0)]).await;
    (store, place)
}

async fn data_files(store: &Arc<dyn ObjectStore>) -> usize {
    let listed = store.list(Some(&Path::from("raw"))).try_collect::<Vec<_>>();
    listed.await.expect("listed").len()
}

#[tokio::test]
async fn readers_of_the_manifest_before_go_on_for_a_grace_time() {
    let (store, mut place) = place().await;
    let (reader, writer) = (place.open().await, place.open().await);
    let before = reader.manifest();
    let expected = contents::raw(&reader).await;
    place.pass(2 * HOUR_MILLIS);
    place.maintain(&writer, &Policy::default()).await;
    assert_eq!(
        data_files(&store).await,
        3,
        "two files, and what they became"
    );
    let collected = writer
        .collect_orphans(place.now(), &Policy::default())
        .await;
    let waits = Collected {
        waiting: 2,
        ..Collected::default()
    };
    assert_eq!(collected.expect("collected"), waits);
    let files = before.files_in(contents::EVERYTHING);
    assert_eq!(contents::raw_of(&reader, files).await, expected);

    place.pass(2 * HOUR_MILLIS);
    let collected = writer
        .collect_orphans(place.now(), &Policy::default())
        .await;
    let collected = collected.expect("collected");
    assert_eq!((collected.retired, collected.waiting), (2, 0));
    assert_eq!(data_files(&store).await, 1);
    reader.refresh().await.expect("the manifest");
    assert_eq!(contents::raw(&reader).await, expected);
}

#[tokio::test]
async fn files_that_nothing_names_go_when_they_are_old() {
    let (store, mut place) = place().await;
    let history = place.open().await;
    for path in [
        "raw/2020-01-01/crashed.parquet",
        "rollup/300s/2020-01-01/crashed.parquet",
    ] {
        store
            .put(&Path::from(path), "left".into())
            .await
            .expect("put");
    }
    // Not ours, and left alone.
    store
        .put(&Path::from("notes.txt"), "mine".into())
        .await
        .expect("put");
    let policy = Policy::default();
    let young = history
        .collect_orphans(place.now(), &policy)
        .await
        .expect("collected");
    assert_eq!((young.orphans, young.waiting), (0, 2));
    place.pass(2 * DAY_MILLIS);
    let old = history
        .collect_orphans(place.now(), &policy)
        .await
        .expect("collected");
    assert_eq!((old.orphans, old.waiting, old.bytes), (2, 0, 8));
    assert_eq!(data_files(&store).await, 2);
    store.head(&Path::from("notes.txt")).await.expect("there");
}

#[tokio::test]
async fn commits_that_snapshots_replace_go_and_all_still_opens() {
    let (store, mut place) = place().await;
    let history = place.open().await;
    let behind = place.open().await;
    for i in 0..200 {
        place.load(&history, &[(0, 100 + i, i as f64)]).await;
    }
    let expected = contents::raw(&history).await;
    let policy = Policy::default();
    let soon = history
        .collect_orphans(place.now(), &policy)
        .await
        .expect("collected");
    assert_eq!(soon.manifest, 0);
    place.pass(8 * DAY_MILLIS);
    let collected = history
        .collect_orphans(place.now(), &policy)
        .await
        .expect("collected");
    // Snapshots 64, 128 and 192 were written; what 128 holds is dispensable.
    assert_eq!(collected.manifest, 128 + 1);
    assert_eq!(contents::raw(&place.open().await).await, expected);
    // A process that was left behind does not take a number that was tidied away.
    place.load(&behind, &[(1, 9000, 1.0)]).await;
    assert_eq!(behind.manifest().number(), 203);
    let listed = store
        .list(Some(&Path::from("manifest")))
        .try_collect::<Vec<_>>();
    assert_eq!(listed.await.expect("listed").len(), 202 - 128 + 1 + 2);
    history.refresh().await.expect("the manifest");
    assert_eq!(contents::raw(&history).await.len(), expected.len() + 1);
    let later = Timestamp(place.now().0 + DAY_MILLIS);
    assert_eq!(
        history
            .collect_orphans(later, &policy)
            .await
            .expect("collected")
            .manifest,
        0
    );
}
