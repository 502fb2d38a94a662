//! A store that keeps nothing: its log goes nowhere.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hesper_hot::directory::{Directory, WriteFile};
use hesper_hot::store::InHistory;
use hesper_hot::{HotStore, StoreOptions};
use hesper_ingest::Router;
use hesper_model::validation::Limits;
use hesper_model::{Step, Timestamp};

/// The time at which inputs arrive.
pub(crate) const NOW: Timestamp = Timestamp(1_767_578_400_000);

/// A router into a new store, which is as small as inputs are.
pub(crate) fn router() -> Arc<Router> {
    let mut options = StoreOptions::new(Step::from_secs(60));
    options.shards = 2;
    options.max_series = 1000;
    let store = HotStore::open(Arc::new(Nowhere), options, InHistory::default(), false);
    let limits = Limits {
        max_age_millis: 3_600_000,
        ..Limits::default()
    };
    Arc::new(Router::new(Arc::new(store.expect("a new store").0), limits))
}

struct Nowhere;

impl WriteFile for Nowhere {
    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Directory for Nowhere {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn create(&self, _: &str) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(Nowhere))
    }

    fn read(&self, _: &str) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn truncate(&self, _: &str, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        name.into()
    }
}
