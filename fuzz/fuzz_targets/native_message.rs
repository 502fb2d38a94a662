//! Messages of the native protocol are decoded, and their batches taken, without a panic.
#![no_main]

use std::sync::{Arc, LazyLock};

use hesper_hot::directory::DiskDirectory;
use hesper_hot::store::InHistory;
use hesper_hot::{HotStore, StoreOptions};
use hesper_ingest::Router;
use hesper_ingest::proto::{Hello, PublishRequest, publish_request};
use hesper_ingest::stream::Connection;
use hesper_model::validation::Limits;
use hesper_model::{Step, Timestamp};
use libfuzzer_sys::fuzz_target;
use prost::Message;

static ROUTER: LazyLock<Arc<Router>> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("hesper-fuzz-{}", std::process::id()));
    let disk = DiskDirectory::open(path).expect("a directory");
    let mut options = StoreOptions::new(Step::from_secs(60));
    options.max_series = 1000;
    let store = HotStore::open(Arc::new(disk), options, InHistory::default(), true);
    let store = Arc::new(store.expect("a new store").0);
    Arc::new(Router::new(store, Limits::default()))
});

fuzz_target!(|messages: Vec<Vec<u8>>| {
    let hello = Hello {
        client: vec![1; 16],
        ..Hello::default()
    };
    let mut connection = Connection::open(ROUTER.clone(), &hello).expect("a client");
    for bytes in messages {
        let Ok(request) = PublishRequest::decode(&bytes[..]) else {
            continue;
        };
        if let Some(publish_request::Message::Batch(mut batch)) = request.message {
            let now = Timestamp(batch.time_millis.clamp(0, 4_000_000_000_000));
            let _ = connection.take(&mut batch, now);
        }
    }
});
