//! Bodies of remote write are taken without a panic, packed and unpacked; what follows a bad one is taken all the same.
#![no_main]

use std::sync::{Arc, LazyLock};

use hesper_hot::directory::DiskDirectory;
use hesper_hot::store::InHistory;
use hesper_hot::{HotStore, StoreOptions};
use hesper_ingest::Router;
use hesper_ingest::remote_write::{RemoteWrite, RemoteWriteSettings};
use hesper_model::validation::Limits;
use hesper_model::{Step, Timestamp};
use libfuzzer_sys::fuzz_target;

static REMOTE: LazyLock<RemoteWrite> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("hesper-fuzz-remote-{}", std::process::id()));
    let disk = DiskDirectory::open(path).expect("a directory");
    let mut options = StoreOptions::new(Step::from_secs(60));
    options.max_series = 1000;
    let store = HotStore::open(Arc::new(disk), options, InHistory::default(), true);
    let limits = Limits {
        max_age_millis: 3_600_000,
        ..Limits::default()
    };
    let router = Arc::new(Router::new(Arc::new(store.expect("new").0), limits));
    let settings = RemoteWriteSettings {
        max_cached_series: 100,
        ..RemoteWriteSettings::default()
    };
    RemoteWrite::new(router, settings)
});

fuzz_target!(|bytes: &[u8]| {
    let now = Timestamp(1_767_578_400_000);
    let _ = REMOTE.take(bytes, 1 << 20, now);
    let packed = snap::raw::Encoder::new().compress_vec(bytes);
    let _ = REMOTE.take(&packed.expect("far below 4 GiB"), 1 << 20, now);
});
