//! Whatever is loaded, merged, rolled up and deleted in whatever order: history holds what a plain map holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::contents::{self, Cell, Contents};
use crate::place::{Action, DAY_SLOTS, HOUR_MILLIS, Place, STEP, action, narrow, points, series};
use hesper_history::backup::{Damaged, backup};
use hesper_history::day::{DAY_MILLIS, Day};
use hesper_history::place::open_place;
use hesper_history::policy::{Keep, KeepRule};
use hesper_history::verify::{Depth, verify};
use hesper_history::{Policy, Work};
use hesper_model::{Slot, Step, TagQuery, Tags, TimeRange};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use proptest::prelude::*;

/// The cells that the values make.
fn rolled(values: &Contents, cell_slots: i64) -> BTreeMap<(Tags, i64), Cell> {
    let mut cells: BTreeMap<(Tags, i64), Vec<(i64, f64)>> = BTreeMap::new();
    for ((tags, slot), bits) in values {
        let cell = (slot - 1).div_euclid(cell_slots) + 1;
        let of_cell = cells.entry((tags.clone(), cell)).or_default();
        of_cell.push((*slot, f64::from_bits(*bits)));
    }
    let cell = |values: Vec<(i64, f64)>| {
        let of =
            |f: fn(f64, f64) -> f64| values.iter().map(|(_, v)| *v).reduce(f).expect("a value");
        let slots = values.iter().map(|(slot, _)| *slot).collect();
        let sum = of(|a, b| a + b);
        // Of zeros the sign decides, which it need not for `f64::min`.
        let min = of(|a, b| std::cmp::min_by(a, b, f64::total_cmp));
        let max = of(|a, b| std::cmp::max_by(a, b, f64::total_cmp));
        let bits = (min.to_bits(), max.to_bits());
        (values.len() as u32, slots, sum.to_bits(), bits.0, bits.1)
    };
    cells
        .into_iter()
        .map(|(key, values)| (key, cell(values)))
        .collect()
}

/// The same, but for the rounding of sums.
fn assert_same_cells(found: &BTreeMap<(Tags, i64), Cell>, expected: &BTreeMap<(Tags, i64), Cell>) {
    let keys = |cells: &BTreeMap<(Tags, i64), Cell>| cells.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(found), keys(expected));
    for (key, (count, slots, sum, min, max)) in expected {
        let (found_count, found_slots, found_sum, found_min, found_max) = &found[key];
        assert_eq!((found_count, found_slots), (count, slots), "{key:?}");
        assert_eq!((found_min, found_max), (min, max), "{key:?}");
        let (a, b) = (f64::from_bits(*found_sum), f64::from_bits(*sum));
        let scale = f64::from_bits(*min).abs().max(f64::from_bits(*max).abs());
        assert!(
            a == b || (a - b).abs() <= 1e-11 * scale * f64::from(*count),
            "{key:?}: {a} is not {b}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn maintenance_changes_no_contents(actions in prop::collection::vec(action(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut place = Place::new(Arc::new(InMemory::new()));
            let mut history = place.open().await;
            let mut model = Contents::new();
            for action in actions {
                match action {
                    Action::Load(points) => {
                        place.load(&history, &points).await;
                        model.extend(points.iter().map(|(i, slot, v)| ((series(*i), *slot), v.to_bits())));
                    }
                    Action::Maintain(hours) => {
                        place.pass(hours * HOUR_MILLIS);
                        place.maintain(&history, &narrow()).await;
                    }
                    Action::Delete(query, first, last) => {
                        let range = TimeRange { first: Slot(first), last: Slot(last) };
                        history.delete("d".to_owned(), query.clone(), range).await.expect("deleted");
                        model.retain(|(tags, slot), _| !(query.matches(tags) && (first..=last).contains(slot)));
                    }
                    Action::Reopen => history = place.open().await,
                }
                assert_eq!(contents::raw(&history).await, model);
            }
            place.pass(2 * DAY_MILLIS);
            place.maintain(&history, &narrow()).await;
            assert_eq!(contents::raw(&history).await, model);
            for cell_slots in [5, 60] {
                let found = contents::rollup(&history, cell_slots as u32).await;
                assert_same_cells(&found, &rolled(&model, cell_slots));
            }
            assert!(history.manifest().deletions().is_empty());
            let again = place.open().await;
            assert_eq!(again.manifest().to_snapshot(), history.manifest().to_snapshot());
        });
    }
}

/// What roll-ups hold after raw data is gone: by cell, what comes late is added unless it says all of the cell anew.
fn take_in(older: &mut Contents, late: &Contents, cell_slots: i64) {
    let cell = |(tags, slot): &(Tags, i64)| (tags.clone(), (slot - 1).div_euclid(cell_slots));
    let cells: BTreeSet<_> = late.keys().map(cell).collect();
    for of in cells {
        let before: Vec<_> = older.keys().filter(|k| cell(k) == of).cloned().collect();
        let all = before.iter().all(|k| late.contains_key(k));
        for (key, bits) in late.iter().filter(|(k, _)| cell(k) == of) {
            if all {
                older.insert(key.clone(), *bits);
            } else {
                older.entry(key.clone()).or_insert(*bits);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn roll_ups_outlive_raw_data(
        early in prop::collection::vec(points(), 1..4),
        late in prop::collection::vec(points(), 0..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut place = Place::new(Arc::new(InMemory::new()));
            let history = place.open().await;
            // Raw data of debug is kept for two days, all other for ten; roll-ups of an hour for ever, those of five minutes for twenty days.
            let policy = Policy {
                keep: Keep { raw_millis: Some(10 * DAY_MILLIS), rollup_millis: [(300_000, 20 * DAY_MILLIS)].into() },
                rules: vec![KeepRule {
                    query: TagQuery::Equal("nf.app".into(), "debug".into()),
                    keep: Keep { raw_millis: Some(2 * DAY_MILLIS), ..Keep::default() },
                    forever: vec![],
                }],
                ..narrow()
            };
            let debug = |tags: &Tags| tags.get("nf.app") == Some("debug");
            let mut model = Contents::new();
            for points in &early {
                place.load(&history, points).await;
                model.extend(points.iter().map(|(i, slot, v)| ((series(*i), *slot), v.to_bits())));
            }
            // The third day ended a day ago: nothing of it has expired, but debug has of the first two.
            place.maintain(&history, &policy).await;
            let kept = |(tags, slot): &(Tags, i64)| !debug(tags) || (slot - 1) / DAY_SLOTS >= 2;
            let expected: Contents = model.iter().filter(|(k, _)| kept(k)).map(|(k, v)| (k.clone(), *v)).collect();
            assert_eq!(contents::raw(&history).await, expected);
            place.pass(10 * DAY_MILLIS);
            place.maintain(&history, &policy).await;
            assert!(contents::raw(&history).await.is_empty(), "raw data has expired");
            let mut by_cell: BTreeMap<i64, Contents> = [5, 60].map(|cell| (cell, model.clone())).into();
            for points in &late {
                place.load(&history, points).await;
                let loaded: Contents = points.iter().map(|(i, slot, v)| ((series(*i), *slot), v.to_bits())).collect();
                for (cell, values) in &mut by_cell {
                    take_in(values, &loaded, *cell);
                }
                place.pass(2 * HOUR_MILLIS);
                place.maintain(&history, &policy).await;
            }
            for (cell_slots, values) in &by_cell {
                let found = contents::rollup(&history, *cell_slots as u32).await;
                assert_same_cells(&found, &rolled(values, *cell_slots));
            }
            place.pass(10 * DAY_MILLIS);
            place.maintain(&history, &policy).await;
            assert!(contents::rollup(&history, 5).await.is_empty());
            let found = contents::rollup(&history, 60).await;
            assert_same_cells(&found, &rolled(&by_cell[&60], 60));
        });
    }
}

#[tokio::test]
async fn a_day_becomes_one_file_and_its_roll_ups() {
    let mut place = Place::new(Arc::new(InMemory::new()));
    let history = place.open().await;
    for hour in 0..24 {
        let slots = 1 + hour * 60..=60 + hour * 60;
        let points: Vec<_> = slots
            .flat_map(|slot| (0..6).map(move |i| (i, slot, i as f64)))
            .collect();
        place.load(&history, &points).await;
    }
    let before = contents::raw(&history).await;
    let policy = Policy::default();
    let early = history.compact_due(place.now(), &policy).await;
    assert_eq!(early.expect("done"), None, "data may still come");
    place.pass(HOUR_MILLIS);
    let report = history.compact_due(place.now(), &policy).await;
    let report = report.expect("done").expect("something is due");
    assert_eq!(report.work, Work::MergedDay(Day(0)));
    assert_eq!((report.files_before, report.files_after), (24, 3));
    assert!(report.bytes_after < report.bytes_before / 4, "{report:?}");
    assert_eq!(
        history
            .compact_due(place.now(), &policy)
            .await
            .expect("done"),
        None
    );
    assert_eq!(contents::raw(&history).await, before);
    let manifest = history.manifest();
    assert_eq!(manifest.rollups().collect::<Vec<_>>(), [5, 60]);
    assert_eq!(manifest.files_in(contents::EVERYTHING).len(), 1);
}

#[tokio::test]
async fn cells_of_many_slots_know_which_hold_data() {
    let mut place = Place::new(Arc::new(InMemory::new()));
    place.step = Step::from_secs(1);
    let history = place.open().await;
    let mut points = Vec::new();
    for slot in 1..=4000i64 {
        // One series lacks every seventh slot, one has a few, one has all.
        points.push((0, slot, slot as f64));
        if slot % 7 > 0 {
            points.push((1, slot, f64::from(slot as i32 % 60) / 10.0));
        }
        if slot % 1111 == 0 {
            points.push((2, slot, 0.1 + slot as f64 / 3.0));
        }
    }
    place.load(&history, &points).await;
    place.pass(2 * HOUR_MILLIS);
    let policy = Policy {
        crowd: 1000,
        ..Policy::default()
    };
    let work = place.maintain(&history, &policy).await;
    assert_eq!(work.last(), Some(&Work::MergedDay(Day(0))));
    let model: Contents = points
        .iter()
        .map(|(i, slot, v)| ((series(*i), *slot), v.to_bits()))
        .collect();
    assert_eq!(contents::raw(&history).await, model);
    for cell_slots in [300, 3600] {
        let found = contents::rollup(&history, cell_slots as u32).await;
        assert_same_cells(&found, &rolled(&model, cell_slots));
    }
    let found = verify(&place.store, place.step, Depth::Rows, |_| {})
        .await
        .expect("answers");
    assert!(found.is_sound(), "{:?}", found.findings);
}

#[tokio::test]
async fn what_is_deleted_is_in_no_index() {
    let mut place = Place::new(Arc::new(InMemory::new()));
    let history = place.open().await;
    place
        .load(
            &history,
            &[(0, 1, 1.0), (1, 1, 1.0), (1, 70, 2.0), (2, 1, 1.0)],
        )
        .await;
    let apps = async || {
        let file = history.manifest().files_in(contents::EVERYTHING).remove(0);
        let index = history.index(&file).await.expect("an index");
        let texts = index.values("nf.app", None, None, 10);
        let all = index.matching(&TagQuery::True);
        let same = index.values("nf.app", Some(&all), None, 10);
        assert_eq!(texts, same);
        texts.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(apps().await, ["api", "debug", "www"]);
    let delete = async |app: &str, last: i64| {
        let range = TimeRange {
            first: Slot(1),
            last: Slot(last),
        };
        let query = TagQuery::Equal("nf.app".into(), app.into());
        history
            .delete(app.to_owned(), query, range)
            .await
            .expect("deleted");
    };
    delete("api", 60).await;
    assert_eq!(apps().await, ["debug", "www"]);
    // Of this one a later window is left.
    delete("www", 60).await;
    assert_eq!(apps().await, ["debug", "www"]);
    delete("debug", 30).await;
    assert_eq!(contents::raw(&history).await.len(), 1);
    // What is loaded again after the deletion counts.
    place.load(&history, &[(0, 1, 5.0)]).await;
    assert_eq!(contents::raw(&history).await.len(), 2);
    place.pass(2 * HOUR_MILLIS);
    place.maintain(&history, &Policy::default()).await;
    assert_eq!(contents::raw(&history).await.len(), 2);
    assert_eq!(apps().await, ["api", "www"]);
}

#[tokio::test]
async fn all_of_it_on_a_local_disk() {
    let directory = tempfile::tempdir().expect("a directory");
    let local = |name: &str| -> Arc<dyn ObjectStore> {
        let path = directory.path().join(name);
        open_place(path.to_str().expect("text"), &[]).expect("opened")
    };
    let mut place = Place::new(local("history"));
    place.pass(chrono::Utc::now().timestamp_millis() - place.now().0);
    let history = place.open().await;
    place.load(&history, &[(0, 1, 1.0), (1, 70, 2.0)]).await;
    place
        .load(&history, &[(0, 2, 3.0), (4, DAY_SLOTS + 1, 4.0)])
        .await;
    let expected = contents::raw(&history).await;
    let policy = Policy {
        keep: Keep {
            rollup_millis: [(300_000, DAY_MILLIS)].into(),
            ..Keep::default()
        },
        ..Policy::default()
    };
    place.pass(2 * HOUR_MILLIS);
    place.maintain(&history, &policy).await;
    place.pass(2 * HOUR_MILLIS);
    let collected = history
        .collect_orphans(place.now(), &policy)
        .await
        .expect("collected");
    // The files of raw data as they were loaded; the roll-up of five minutes was over before it was made.
    assert_eq!(
        (collected.retired, collected.waiting),
        (3, 0),
        "{collected:?}"
    );
    assert_eq!(contents::raw(&place.open().await).await, expected);
    let copied = backup(&place.store, &local("backup"), Damaged::Fail, |_| {}).await;
    assert_eq!(copied.expect("backed up").files, 4);
    let found = verify(&local("backup"), STEP, Depth::Rows, |_| {})
        .await
        .expect("answers");
    assert!(found.findings.is_empty(), "{:?}", found.findings);
}
