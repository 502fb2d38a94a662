//! Whatever fails on the way to the object store: what is done is done once, and what is read is right.

use std::sync::Arc;

use crate::contents::{self, Contents};
use crate::faulty::Faulty;
use crate::place::{Action, HOUR_MILLIS, Place, STEP, action, narrow, series};
use hesper_history::day::DAY_MILLIS;
use hesper_history::verify::{Depth, Severity, verify};
use hesper_history::{History, HistoryError};
use hesper_model::{Slot, TimeRange, Timestamp};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;

/// Tries until it succeeds, as a node does.
macro_rules! until_done {
    ($attempt:expr) => {{
        let mut attempts = 0;
        loop {
            match $attempt {
                Ok(done) => break done,
                Err(error) => {
                    attempts += 1;
                    assert!(attempts < 100, "it never succeeds: {error}");
                }
            }
        }
    }};
}

async fn contents_of(history: &History) -> Contents {
    // The contents are read by a store without faults; reading with faults is tried below.
    contents::raw(history).await
}

/// Reads everything, with whatever faults there are: an error, or all of it.
async fn read_with_faults(history: &History) -> Result<u64, HistoryError> {
    let mut values = 0;
    for file in history.manifest().files_in(contents::EVERYTHING) {
        let index = history.index(&file).await?;
        let rows = index.matching(&hesper_model::TagQuery::True);
        let read = history.read_values(&file, &index, &rows, |_, row| {
            values += row.iter().filter(|v| !v.is_nan()).count() as u64;
        });
        read.await?;
    }
    Ok(values)
}

async fn act(place: &mut Place, history: &mut History, model: &mut Contents, action: Action) {
    match action {
        Action::Load(points) => {
            place.next_load();
            until_done!(place.try_load(history, &points).await);
            let loaded = points
                .iter()
                .map(|(i, slot, v)| ((series(*i), *slot), v.to_bits()));
            model.extend(loaded);
        }
        Action::Maintain(hours) => {
            place.pass(hours * HOUR_MILLIS);
            while until_done!(history.compact_due(place.now(), &narrow()).await).is_some() {}
            // A day that failed is left alone for a while.
            place.pass(3_600_000);
            while until_done!(history.compact_due(place.now(), &narrow()).await).is_some() {}
        }
        Action::Delete(query, first, last) => {
            let range = TimeRange {
                first: Slot(first),
                last: Slot(last),
            };
            until_done!(history.delete("d".to_owned(), query.clone(), range).await);
            model.retain(|(tags, slot), _| !(query.matches(tags) && (first..=last).contains(slot)));
        }
        Action::Reopen => *history = until_done!(place.try_open().await),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn faults_on_the_way_change_nothing(
        actions in prop::collection::vec(action(), 1..8),
        seed in any::<u64>(),
        per_mille in prop::sample::select(vec![20u64, 100, 300]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let sound: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let faulty = Faulty::new(sound.clone(), seed, per_mille);
            let mut place = Place::new(Arc::new(faulty.clone()));
            let mut history = until_done!(place.try_open().await);
            let mut model = Contents::new();
            for action in actions {
                act(&mut place, &mut history, &mut model, action).await;
                let read = until_done!(read_with_faults(&history).await);
                assert!(read >= model.len() as u64, "{read} values of {}", model.len());
                let mut other = Place::new(sound.clone());
                assert_eq!(contents_of(&other.open().await).await, model);
            }
            place.pass(2 * DAY_MILLIS);
            act(&mut place, &mut history, &mut model, Action::Maintain(1)).await;
            let mut other = Place::new(sound.clone());
            let fresh = other.open().await;
            assert_eq!(contents_of(&fresh).await, model);
            until_done!(history.refresh().await);
            assert_eq!(history.manifest().to_snapshot(), fresh.manifest().to_snapshot());
            let found = verify(&sound, STEP, Depth::Rows, |_| {}).await.expect("answers");
            let notes = found.findings.iter().all(|f| f.severity == Severity::Note);
            assert!(notes, "{:?}", found.findings);
            assert_eq!(found.files, fresh.manifest().files().len() as u64);

            // What is left over by all this is found, and nothing else.
            let later = Timestamp(chrono::Utc::now().timestamp_millis() + 30 * DAY_MILLIS);
            until_done!(history.collect_orphans(later, &narrow()).await);
            let folder = object_store::path::Path::from("");
            let listed: Vec<_> = futures::TryStreamExt::try_collect(sound.list(Some(&folder))).await.expect("listed");
            let data = listed.iter().filter(|o| !o.location.as_ref().starts_with("manifest/"));
            // A put may still be on its way.
            let named = data.filter(|o| fresh.manifest().holds(o.location.as_ref())).count();
            assert_eq!(named, fresh.manifest().files().len());
            assert_eq!(contents_of(&other.open().await).await, model);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn most_requests_may_fail_and_little_is_left_over() {
    let sound: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let faulty = Faulty::new(sound.clone(), 7, 500);
    let mut place = Place::new(Arc::new(faulty.clone()));
    let mut history = until_done!(place.try_open().await);
    let mut model = Contents::new();
    for round in 0..20 {
        let points = (0..50).map(|i| (i % 6, 1 + (round * 37 + i as i64 * 11) % 1440, i as f64));
        act(
            &mut place,
            &mut history,
            &mut model,
            Action::Load(points.collect()),
        )
        .await;
    }
    assert!(faulty.failed() > 100);
    assert_eq!(
        contents::raw(&Place::new(sound.clone()).open().await).await,
        model
    );
    let head = sound
        .head(&"manifest/00000000000000000001.json".into())
        .await;
    head.expect("the first commit");
}
