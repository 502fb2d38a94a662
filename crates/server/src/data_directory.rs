//! The data directory: who uses it, and with which settings it was made.
//!
//! ```text
//! STORE        format version, step, shards, tenants, as JSON
//! LOCK         held by the process that uses the directory
//! log/         the log and its checkpoint
//! history/     data files and manifest
//! alerts.json  the state of alerts
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use hesper_hot::HotError;
use hesper_hot::directory::sync_directory;
use hesper_model::Step;
use serde::{Deserialize, Serialize};

use crate::ServerError;

/// The version of the directory's layout.
const FORMAT_VERSION: u32 = 1;

/// What is fixed for the life of a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreFile {
    format_version: u32,
    step_millis: i64,
    shards: u32,
    /// How tenants are laid out: all data belong to the default tenant.
    tenants: String,
}

/// What a data directory is made of, for those who look at it without using it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPaths {
    /// The distance between datapoints.
    pub step: Step,
    /// The number of shards.
    pub shards: u32,
    /// Where the log lies.
    pub log: PathBuf,
    /// Where history lies, unless it has a place of its own.
    pub history: PathBuf,
}

impl DataPaths {
    /// Reads what an existing directory is made of.
    ///
    /// # Errors
    /// When it is no data directory of this version.
    pub fn read(path: &Path) -> Result<Self, ServerError> {
        let store_path = path.join("STORE");
        let text = fs::read_to_string(&store_path).map_err(|source| ServerError::Io {
            path: store_path.clone(),
            source,
        })?;
        let found = StoreFile::read(&store_path, &text)?;
        let step = Step::from_millis(found.step_millis).ok_or_else(|| {
            incompatible(&store_path, format!("its step is {} ms", found.step_millis))
        })?;
        Ok(Self::new(path, step, found.shards))
    }

    fn new(path: &Path, step: Step, shards: u32) -> Self {
        Self {
            step,
            shards,
            log: path.join("log"),
            history: path.join("history"),
        }
    }
}

/// A data directory in use; let go when dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    paths: DataPaths,
    _lock: File,
}

impl DataDirectory {
    /// Takes a directory into use; makes it when it is not there.
    ///
    /// # Errors
    /// When another process uses it, it was made with other settings, or the system refuses.
    pub fn open(path: &Path, step: Step, shards: u32) -> Result<Self, ServerError> {
        let io = |path: PathBuf| move |source| ServerError::Io { path, source };
        fs::create_dir_all(path).map_err(io(path.to_owned()))?;
        let lock_path = path.join("LOCK");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io(lock_path.clone()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(HotError::InUse { path: lock_path }.into());
            }
            Err(TryLockError::Error(e)) => return Err(io(lock_path)(e)),
        }
        let wanted = StoreFile {
            format_version: FORMAT_VERSION,
            step_millis: step.millis(),
            shards,
            tenants: "default".to_owned(),
        };
        let store_path = path.join("STORE");
        match fs::read_to_string(&store_path) {
            Ok(text) => check(&store_path, &text, &wanted)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                write(path, &store_path, &wanted).map_err(io(store_path))?;
            }
            Err(e) => return Err(io(store_path)(e)),
        }
        Ok(Self {
            path: path.to_owned(),
            paths: DataPaths::new(path, step, shards),
            _lock: lock,
        })
    }

    /// Where the log lies.
    pub fn log(&self) -> PathBuf {
        self.paths.log.clone()
    }

    /// Where history lies.
    pub fn history(&self) -> PathBuf {
        self.paths.history.clone()
    }

    /// Where the state of alerts lies.
    pub fn alerts(&self) -> PathBuf {
        self.path.join("alerts.json")
    }
}

impl StoreFile {
    fn read(path: &Path, text: &str) -> Result<Self, ServerError> {
        let found: Self = serde_json::from_str(text)
            .map_err(|e| incompatible(path, format!("it cannot be read: {e}")))?;
        if found.format_version != FORMAT_VERSION {
            let what = format!(
                "it has format version {}, this version reads {FORMAT_VERSION}",
                found.format_version
            );
            return Err(incompatible(path, what));
        }
        Ok(found)
    }
}

fn incompatible(path: &Path, what: String) -> ServerError {
    let path = path.to_owned();
    HotError::Incompatible { path, what }.into()
}

fn check(path: &Path, text: &str, wanted: &StoreFile) -> Result<(), ServerError> {
    let found = StoreFile::read(path, text)?;
    if found.step_millis != wanted.step_millis {
        let what = format!(
            "its step is {} s, not {} s",
            found.step_millis as f64 / 1000.0,
            wanted.step_millis as f64 / 1000.0
        );
        return Err(incompatible(path, what));
    }
    if found.shards != wanted.shards {
        let what = format!("it has {} shards, not {}", found.shards, wanted.shards);
        return Err(incompatible(path, what));
    }
    Ok(())
}

fn write(directory: &Path, path: &Path, content: &StoreFile) -> std::io::Result<()> {
    let temporary = directory.join("STORE.tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(content).expect("plain data"))?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_directory(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Step = Step::from_secs(60);

    #[test]
    fn one_process_at_a_time_and_always_the_same_settings() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("data");
        let first = DataDirectory::open(&path, STEP, 64).expect("new");
        let second = DataDirectory::open(&path, STEP, 64).expect_err("in use");
        assert!(second.to_string().contains("another process"), "{second}");
        drop(first);
        let paths = DataPaths::read(&path).expect("a data directory");
        assert_eq!((paths.step, paths.shards), (STEP, 64));
        assert!(DataPaths::read(directory.path()).is_err());
        let open = |step, shards| DataDirectory::open(&path, step, shards).map(|_| ());
        let step = open(Step::from_secs(5), 64).expect_err("another step");
        assert!(
            step.to_string().contains("its step is 60 s, not 5 s"),
            "{step}"
        );
        let shards = open(STEP, 8).expect_err("other shards");
        assert!(shards.to_string().contains("64 shards"), "{shards}");
        open(STEP, 64).expect("as it was made");
        fs::write(path.join("STORE"), "{").expect("written");
        let broken = open(STEP, 64).expect_err("broken");
        assert!(broken.to_string().contains("STORE"), "{broken}");
    }
}
