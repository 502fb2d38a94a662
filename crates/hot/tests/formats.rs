//! Data directories that earlier versions wrote open with this one and hold what they held.

use std::path::Path;
use std::sync::Arc;

use hesper_hot::directory::DiskDirectory;
use hesper_hot::fold::{CellLayout, FoldOp};
use hesper_hot::groups::Grouping;
use hesper_hot::scan::{PartialScan, ScanRequest};
use hesper_hot::store::InHistory;
use hesper_hot::{HotStore, StoreOptions};
use hesper_model::{Slot, Step, TagQuery, Timestamp};

/// What the series of `tests/data` have at a slot, by the number in their name.
fn value(kind: usize, slot: i64) -> f64 {
    let n = slot as f64;
    match kind {
        0 => (300.0 + n) / 10.0,
        1 => ((slot * slot * 37) % 50_000) as f64 / 100.0,
        2 => ((slot * 7_919_077) % 4_000_000) as f64,
        3 => 42.0,
        _ => n.sqrt(),
    }
}

/// Slots 61 to 150 of five rates without and five gauges with gaps; and three slots of back-fill, the middle one without data.
fn expected(gauge: bool, kind: usize, slot: i64) -> Option<f64> {
    match (gauge, kind, slot) {
        (false, 3, 40) => Some(1.0),
        (false, 3, 42) => Some(3.0),
        (_, _, ..61 | 151..) => None,
        (true, ..) if (slot + kind as i64 + 5) % 17 == 0 => None,
        _ => Some(value(kind, slot)),
    }
}

fn open(path: &Path) -> HotStore {
    let mut options = StoreOptions::new(Step::from_secs(10));
    options.shards = 2;
    let disk = DiskDirectory::open(path).expect("a directory");
    let opened = HotStore::open(Arc::new(disk), options, InHistory::default(), false);
    opened.expect("a store of an earlier version").0
}

fn check(store: &HotStore) {
    let layout = CellLayout {
        first: Slot(1),
        cells: 180,
        slots_per_cell: 1,
    };
    for (source, gauge) in [("rate", false), ("gauge", true)] {
        for kind in 0..5 {
            let request = ScanRequest {
                query: TagQuery::And(
                    Box::new(TagQuery::Equal(
                        "name".into(),
                        format!("kind.{kind}").into(),
                    )),
                    Box::new(TagQuery::Equal("atlas.dstype".into(), source.into())),
                ),
                grouping: Grouping::One,
                op: FoldOp::Sum,
                layout,
                max_groups: 1,
            };
            let mut found = PartialScan::new(&request);
            for shard in 0..store.shards() {
                store.scan([shard], &request, &mut found).expect("a group");
            }
            assert_eq!(found.stats.series, 1, "{source} {kind}");
            for cell in 0..layout.cells {
                let held = found.acc.has_data(0, cell);
                let held = held.then(|| found.acc.values(0)[cell].to_bits());
                let slot = cell as i64 + 1;
                let want = expected(gauge, kind, slot).map(f64::to_bits);
                assert_eq!(held, want, "{source} {kind}, slot {slot}");
            }
        }
    }
}

#[test]
fn a_directory_of_version_1_opens() {
    let files = tempfile::tempdir().expect("a directory");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/v1");
    for file in std::fs::read_dir(data).expect("the data") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), files.path().join(file.file_name())).expect("a copy");
    }
    check(&open(files.path()));
    // And when this version has written over it.
    let store = open(files.path());
    store
        .seal(&[hesper_model::Window(1)].into())
        .expect("a working log");
    store
        .checkpoint(Timestamp(2_000_000))
        .expect("a working disk");
    check(&store);
    drop(store);
    check(&open(files.path()));
}
