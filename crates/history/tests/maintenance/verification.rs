//! Every kind of damage is found, named, and comes with what to do.

use std::sync::Arc;

use hesper_history::manifest::{commit_name, snapshot_name};
use hesper_history::verify::{Depth, Finding, Severity, Verification, verify};
use hesper_history::{History, Policy};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::contents;
use crate::place::{HOUR_MILLIS, Place, STEP};

async fn history() -> (Arc<dyn ObjectStore>, History) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut place = Place::new(store.clone());
    let history = place.open().await;
    let points: Vec<_> = (0..300)
        .map(|i| (i % 6, 1 + i as i64, i as f64 / 60.0))
        .collect();
    place.load(&history, &points).await;
    place.pass(2 * HOUR_MILLIS);
    place.maintain(&history, &Policy::default()).await;
    // And a day that is not merged.
    place.load(&history, &[(1, 2000, 1.0)]).await;
    (store, history)
}

async fn look(store: &Arc<dyn ObjectStore>, depth: Depth) -> Verification {
    verify(store, STEP, depth, |_| {}).await.expect("answers")
}

async fn read(store: &Arc<dyn ObjectStore>, path: &str) -> Vec<u8> {
    let got = store.get(&Path::from(path)).await.expect("there");
    got.bytes().await.expect("read").to_vec()
}

async fn write(store: &Arc<dyn ObjectStore>, path: &str, bytes: Vec<u8>) {
    let path = Path::from(path);
    store.put(&path, bytes.into()).await.expect("put");
}

fn damaged(found: &Verification, path: &str, what: &str) -> bool {
    let is_it = |f: &Finding| {
        f.severity == Severity::Damage
            && f.path == path
            && f.what.contains(what)
            && !f.advice.is_empty()
    };
    found.findings.iter().any(is_it)
}

#[tokio::test]
async fn a_sound_history_has_no_findings_but_leftovers() {
    let (store, history) = history().await;
    let mut told = 0;
    let found = verify(&store, STEP, Depth::Rows, |_| told += 1)
        .await
        .expect("answers");
    assert!(found.is_sound());
    let what: Vec<_> = found.findings.iter().map(ToString::to_string).collect();
    assert_eq!(what.len(), 1, "{what:?}");
    assert!(what[0].starts_with("note: raw, rollup:"), "{what:?}");
    assert_eq!((found.files, found.files_done, told), (4, 4, 4));
    assert_eq!(found.datapoints, 301);
    assert_eq!(found.commit, history.manifest().number());
}

#[tokio::test]
async fn damaged_files_are_found_and_can_be_forgotten() {
    let (store, history) = history().await;
    let manifest = history.manifest();
    for file in manifest.files() {
        let whole = read(&store, &file.path).await;
        store
            .delete(&Path::from(file.path.as_str()))
            .await
            .expect("deleted");
        assert!(damaged(
            &look(&store, Depth::Listing).await,
            &file.path,
            "not there"
        ));
        write(&store, &file.path, whole[1..].to_vec()).await;
        assert!(damaged(
            &look(&store, Depth::Listing).await,
            &file.path,
            "bytes"
        ));
        let mut flipped = whole.clone();
        flipped[whole.len() / 3] ^= 4;
        write(&store, &file.path, flipped).await;
        assert!(look(&store, Depth::Listing).await.is_sound());
        assert!(damaged(
            &look(&store, Depth::Checksums).await,
            &file.path,
            "checksum"
        ));
        write(&store, &file.path, whole).await;
    }
    assert!(look(&store, Depth::Rows).await.is_sound());
    let lost = manifest.files_in(contents::EVERYTHING).remove(0);
    store
        .delete(&Path::from(lost.path.as_str()))
        .await
        .expect("deleted");
    history
        .forget(vec![lost.path.clone()])
        .await
        .expect("forgotten");
    assert!(look(&store, Depth::Rows).await.is_sound());
    // Again, and nothing happens.
    let number = history.manifest().number();
    history
        .forget(vec![lost.path.clone()])
        .await
        .expect("forgotten");
    assert_eq!(history.manifest().number(), number);
}

/// Changes the entry of a file in the commit that brought it.
async fn falsify(
    store: &Arc<dyn ObjectStore>,
    path: &str,
    commit: u64,
    change: impl Fn(&mut serde_json::Value),
) {
    let name = commit_name(commit);
    let mut text: serde_json::Value =
        serde_json::from_slice(&read(store, &name).await).expect("JSON");
    for entry in text["added"].as_array_mut().expect("files") {
        if entry["path"] == path {
            change(entry);
        }
    }
    write(store, &name, serde_json::to_vec(&text).expect("JSON")).await;
}

#[tokio::test]
async fn rows_are_held_against_the_manifest() {
    type Falsify = fn(&mut serde_json::Value);
    let changes: [(&str, Falsify); 7] = [
        ("rows", |e| e["rows"] = 999.into()),
        ("datapoints", |e| e["datapoints"] = 999.into()),
        ("first slot", |e| e["first_slot"] = 61.into()),
        ("last slot", |e| e["last_slot"] = 14_400.into()),
        ("names", |e| e["max_name"] = "z".into()),
        ("sequence", |e| e["sequence"] = 0.into()),
        ("step", |e| e["step_millis"] = 1.into()),
    ];
    for (what, change) in changes {
        let (store, history) = history().await;
        for file in history.manifest().files() {
            let name = commit_name(file.commit);
            let right = read(&store, &name).await;
            falsify(&store, &file.path, file.commit, change).await;
            assert!(look(&store, Depth::Checksums).await.is_sound());
            let found = look(&store, Depth::Rows).await;
            assert!(
                damaged(&found, &file.path, what),
                "{what}: {:?}",
                found.findings
            );
            write(&store, &name, right).await;
        }
    }
}

#[tokio::test]
async fn the_manifest_is_held_against_itself() {
    let (store, history) = history().await;
    let snapshot = serde_json::to_vec(&history.manifest().to_snapshot()).expect("JSON");
    let last = history.manifest().number();
    // A commit is missing, and no snapshot stands for it.
    let second = read(&store, &commit_name(2)).await;
    store
        .delete(&Path::from(commit_name(2)))
        .await
        .expect("deleted");
    assert!(damaged(
        &look(&store, Depth::Listing).await,
        &commit_name(2),
        "missing"
    ));
    // With a snapshot nothing is lost.
    write(&store, &snapshot_name(last), snapshot.clone()).await;
    let found = look(&store, Depth::Rows).await;
    assert!(
        found.is_sound()
            && found
                .findings
                .iter()
                .any(|f| f.severity == Severity::Warning)
    );
    write(&store, &commit_name(2), second).await;
    // A snapshot that holds something else than the commits.
    let mut other: serde_json::Value = serde_json::from_slice(&snapshot).expect("JSON");
    other["files"].as_array_mut().expect("files").pop();
    write(
        &store,
        &snapshot_name(last),
        serde_json::to_vec(&other).expect("JSON"),
    )
    .await;
    assert!(damaged(
        &look(&store, Depth::Listing).await,
        &snapshot_name(last),
        "commits"
    ));
    // A snapshot that is none costs nothing.
    write(&store, &snapshot_name(last), b"{".to_vec()).await;
    assert!(look(&store, Depth::Listing).await.is_sound());
    let expected = contents::raw(&history).await;
    let mut place = Place::new(store.clone());
    assert_eq!(contents::raw(&place.open().await).await, expected);
    // A commit of a version to come, and one that is none.
    for bytes in [&b"{\"version\": 99}"[..], b"no JSON"] {
        write(&store, &commit_name(last), bytes.to_vec()).await;
        let found = look(&store, Depth::Listing).await;
        assert!(!found.is_sound(), "{:?}", found.findings);
        let refused = place.try_open().await.err().expect("refused").to_string();
        assert!(refused.contains(&commit_name(last)), "{refused}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_not_merged_and_holds_up_no_other_day() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut place = Place::new(store.clone());
    let history = place.open().await;
    place.load(&history, &[(0, 1, 1.0), (0, 2000, 2.0)]).await;
    place.pass(2 * HOUR_MILLIS);
    let expected = contents::raw(&history).await;
    let file = history.manifest().files_in(contents::EVERYTHING).remove(0);
    let whole = read(&store, &file.path).await;
    // A letter of a tag, which no sum of values would tell.
    let mut damaged = whole.clone();
    let at = damaged.windows(3).position(|w| w == b"i-0").expect("a tag");
    damaged[at + 2] = b'7';
    write(&store, &file.path, damaged).await;
    let policy = Policy::default();
    let error = history
        .compact_due(place.now(), &policy)
        .await
        .expect_err("damaged");
    assert!(error.to_string().contains("checksum"), "{error}");
    assert_eq!(
        place.maintain(&history, &policy).await.len(),
        1,
        "the other day"
    );
    write(&store, &file.path, whole).await;
    assert!(
        place.maintain(&history, &policy).await.is_empty(),
        "not yet again"
    );
    place.pass(HOUR_MILLIS);
    assert_eq!(place.maintain(&history, &policy).await.len(), 1);
    assert_eq!(contents::raw(&history).await, expected);
}
