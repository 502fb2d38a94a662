//! A backup is a history, and what is restored is what was backed up.

use std::sync::Arc;

use hesper_history::Policy;
use hesper_history::backup::{
    Copied, Damaged, backup, backups, prune_backups, restore, restore_file,
};
use hesper_history::verify::{Depth, verify};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::contents;
use crate::place::{DAY_SLOTS, HOUR_MILLIS, Place, STEP};

fn empty() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

async fn back_up(from: &Arc<dyn ObjectStore>, to: &Arc<dyn ObjectStore>) -> Copied {
    let done = backup(from, to, Damaged::Fail, |_| {}).await;
    done.expect("backed up")
}

#[tokio::test]
async fn a_backup_copies_what_is_not_there_yet() {
    let (store, copy) = (empty(), empty());
    let mut place = Place::new(store.clone());
    let history = place.open().await;
    place.load(&history, &[(0, 1, 1.0)]).await;
    place
        .load(&history, &[(0, 2, 2.0), (1, DAY_SLOTS + 5, 3.0)])
        .await;
    let first = back_up(&store, &copy).await;
    assert_eq!((first.number, first.files, first.files_copied), (2, 3, 3));
    let before = contents::raw(&history).await;
    let again = back_up(&store, &copy).await;
    assert_eq!(
        (again.files, again.files_copied, again.bytes_copied),
        (3, 0, 0)
    );

    place.load(&history, &[(3, 7, 4.0)]).await;
    place.pass(2 * HOUR_MILLIS);
    place.maintain(&history, &Policy::default()).await;
    let mut told = 0;
    let second = backup(&store, &copy, Damaged::Fail, |_| told += 1)
        .await
        .expect("backed up");
    assert_eq!((second.files, second.files_copied, told), (6, 6, 6));
    assert_eq!(backups(&copy).await.expect("listed"), [2, second.number]);
    assert!(
        verify(&copy, STEP, Depth::Rows, |_| {})
            .await
            .expect("answers")
            .is_sound()
    );

    // The newest, and the one before it.
    for (number, expected) in [(None, contents::raw(&history).await), (Some(2), before)] {
        let target = empty();
        let restored = restore(&copy, &target, number, Damaged::Fail, |_| {}).await;
        restored.expect("restored");
        let mut other = Place::new(target.clone());
        assert_eq!(contents::raw(&other.open().await).await, expected);
        let refused = restore(&copy, &target, number, Damaged::Fail, |_| {}).await;
        assert!(
            refused
                .expect_err("not empty")
                .to_string()
                .contains("restore into an empty place")
        );
    }
    // A backup can be read as it is, and history goes on from one that is restored.
    let mut opened = Place::new(copy.clone());
    assert_eq!(
        contents::raw(&opened.open().await).await,
        contents::raw(&history).await
    );

    // Three files and a snapshot are of the old backup alone.
    assert_eq!(prune_backups(&copy, 1).await.expect("pruned"), 4);
    assert_eq!(backups(&copy).await.expect("listed"), [second.number]);
    assert!(
        verify(&copy, STEP, Depth::Rows, |_| {})
            .await
            .expect("answers")
            .is_sound()
    );
}

#[tokio::test]
async fn a_place_with_another_history_is_refused() {
    let (store, copy) = (empty(), empty());
    let mut place = Place::new(store.clone());
    let history = place.open().await;
    for i in 0..3 {
        place.load(&history, &[(0, 1 + i, 1.0)]).await;
    }
    back_up(&store, &copy).await;
    let other = empty();
    let mut younger = Place::new(other.clone());
    younger.start_at(100);
    let history = younger.open().await;
    younger.load(&history, &[(0, 1, 1.0)]).await;
    let refused = backup(&other, &copy, Damaged::Fail, |_| {}).await;
    assert!(
        refused
            .expect_err("newer there")
            .to_string()
            .contains("commit 3")
    );
    younger.load(&history, &[(0, 2, 1.0)]).await;
    younger.load(&history, &[(0, 3, 1.0)]).await;
    let refused = backup(&other, &copy, Damaged::Fail, |_| {}).await;
    assert!(
        refused
            .expect_err("another")
            .to_string()
            .contains("another state")
    );
}

#[tokio::test]
async fn damage_is_not_copied() {
    let (store, copy) = (empty(), empty());
    let mut place = Place::new(store.clone());
    let history = place.open().await;
    place
        .load(&history, &[(0, 1, 1.0), (1, DAY_SLOTS + 5, 3.0)])
        .await;
    back_up(&store, &copy).await;
    let manifest = history.manifest();
    let file = manifest.files().next().expect("a file").clone();
    let path = Path::from(file.path.as_str());
    let mut bytes = store
        .get(&path)
        .await
        .expect("there")
        .bytes()
        .await
        .expect("read")
        .to_vec();
    bytes[100] ^= 1;
    store.put(&path, bytes.into()).await.expect("put");

    let elsewhere = empty();
    let failed = backup(&store, &elsewhere, Damaged::Fail, |_| {}).await;
    assert!(
        failed
            .expect_err("damaged")
            .to_string()
            .contains("checksum")
    );
    assert!(
        backups(&elsewhere).await.expect("listed").is_empty(),
        "no backup"
    );
    let copied = backup(&store, &elsewhere, Damaged::LeaveOut, |_| {})
        .await
        .expect("backed up");
    assert_eq!(
        (copied.files, copied.left_out),
        (1, vec![file.path.clone()])
    );

    restore_file(&copy, &store, &file).await.expect("restored");
    assert!(
        verify(&store, STEP, Depth::Rows, |_| {})
            .await
            .expect("answers")
            .is_sound()
    );
}
