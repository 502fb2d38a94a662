//! Declared back-fill takes effect once, over what was there before.

use std::sync::Arc;
use std::time::Instant;

use hesper_history::{History, Loaded, Loader};
use hesper_model::{Slot, Tags};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::contents;
use crate::place::{DAY_SLOTS, Place, series};

/// Loads a series' run of values under a name, with so much memory.
async fn load(
    history: &History,
    name: &str,
    sequence: u64,
    values: &[f64],
    max_bytes: usize,
) -> Loaded {
    let mut sequence = sequence;
    let next = || {
        sequence += 1;
        sequence
    };
    let mut loader = Loader::new(history, name.to_owned(), next, max_bytes);
    for i in 0..3 {
        loader
            .push(&series(i), Slot(31), values)
            .await
            .expect("taken");
    }
    loader.finish().await.expect("loaded")
}

#[tokio::test]
async fn the_same_input_twice_changes_nothing() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut place = Place::new(store.clone());
    let history = place.open().await;
    let values: Vec<f64> = (0..400).map(f64::from).collect();
    let first = load(&history, "may", 0, &values, 5_000).await;
    assert_eq!((first.datapoints, first.parts_known), (1200, 0));
    assert!(first.parts > 1 && first.windows.len() == 8, "{first:?}");
    let number = history.manifest().number();
    let again = load(&history, "may", 50, &values, 5_000).await;
    assert_eq!(
        (again.datapoints, again.parts, again.parts_known),
        (0, 0, first.parts)
    );
    assert_eq!(history.manifest().number(), number);
    assert_eq!(contents::raw(&history).await.len(), 1200);
    // Another input goes over it, but for the slots that it has nothing for.
    let mut other = vec![f64::NAN; 400];
    other[10] = 99.0;
    let loaded = load(&history, "may, corrected", 100, &other, 1 << 20).await;
    assert_eq!((loaded.datapoints, loaded.windows.len()), (3, 1));
    let found = contents::raw(&history).await;
    assert_eq!(found.len(), 1200);
    assert_eq!(found[&(series(0), 41)], 99f64.to_bits());
    assert_eq!(found[&(series(0), 42)], 11f64.to_bits());
}

#[tokio::test]
async fn days_have_files_of_their_own() {
    let mut place = Place::new(Arc::new(InMemory::new()));
    let history = place.open().await;
    let values = vec![1.0; 2 * DAY_SLOTS as usize];
    load(&history, "two days", 0, &values, 64 << 20).await;
    let manifest = history.manifest();
    let ranges: Vec<_> = manifest
        .files()
        .map(|f| (f.first_slot, f.last_slot))
        .collect();
    // The first value is that of slot 31.
    assert_eq!(ranges, [(1, 1440), (1441, 2880), (2881, 2940)]);
}

/// `cargo test --release -p hesper-history --test maintenance -- --ignored --nocapture speed`
#[tokio::test]
#[ignore = "measures"]
async fn speed_of_loading() {
    let directory = tempfile::tempdir().expect("a directory");
    let local = hesper_history::synced_local::SyncedLocal::open(directory.path()).expect("opened");
    let mut place = Place::new(Arc::new(local));
    let history = place.open().await;
    let (all, points) = (20_000, 360);
    let tags: Vec<Tags> = (0..all)
        .map(|i| {
            Tags::from_pairs([
                ("name", format!("metric_{:02}", i % 40)),
                ("nf.app", format!("app{:02}", i / 40 % 50)),
                ("nf.node", format!("i-{:08x}", i / 40)),
            ])
        })
        .collect();
    let value = |i: usize, p: usize| ((i * 31 + p * 7919) % 5000) as f64 / 60.0;
    let rows: Vec<Vec<f64>> = (0..all)
        .map(|i| (0..points).map(|p| value(i, p)).collect())
        .collect();
    let began = Instant::now();
    let mut sequence = 0;
    let next = || {
        sequence += 1;
        sequence
    };
    let mut loader = Loader::new(&history, "speed".to_owned(), next, 256 << 20);
    for (tags, values) in tags.iter().zip(&rows) {
        loader.push(tags, Slot(1), values).await.expect("taken");
    }
    let loaded = loader.finish().await.expect("loaded");
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{:.2} M datapoints/s, durable",
        loaded.datapoints as f64 / seconds / 1e6
    );
}
