//! The files of a store as the log and the checkpoints see them: one flat directory that can make writes durable.
//!
//! Behind a trait, so that tests can lose unsynced writes and fail on purpose.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file under way.
pub trait WriteFile: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// Whatever the system says; some of the bytes may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything appended so far survive a loss of power.
    ///
    /// # Errors
    /// After an error nothing is known about the bytes appended since the last success.
    fn sync(&mut self) -> io::Result<()>;
}

/// A flat directory of files.
pub trait Directory: Send + Sync {
    /// The names of all files, sorted.
    ///
    /// # Errors
    /// Whatever the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a new, empty file; its name is durable only after [`Self::sync`].
    ///
    /// # Errors
    /// Whatever the system says, also when the file exists.
    fn create(&self, name: &str) -> io::Result<Box<dyn WriteFile>>;

    /// The content of a file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Cuts a file off after `length` bytes, durably.
    ///
    /// # Errors
    /// Whatever the system says.
    fn truncate(&self, name: &str, length: u64) -> io::Result<()>;

    /// Gives a file another name, replacing what had it; durable only after [`Self::sync`].
    ///
    /// # Errors
    /// Whatever the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes created, renamed and removed names survive a loss of power.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync(&self) -> io::Result<()>;

    /// The path of a file, for messages.
    fn path(&self, name: &str) -> PathBuf;
}

/// A directory of the file system.
pub struct DiskDirectory {
    path: PathBuf,
}

impl DiskDirectory {
    /// Opens a directory, made if it is not there.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path)?;
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            sync_directory(parent)?;
        }
        Ok(Self { path })
    }
}

/// Makes the names in a directory survive a loss of power.
///
/// # Errors
/// Whatever the system says.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Directory for DiskDirectory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Some(name) = entry.file_name().to_str()
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(self.path.join(name))?;
        Ok(Box::new(file))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.path.join(name))?;
        file.set_len(length)?;
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        sync_directory(&self.path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl WriteFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A directory in memory for tests: it can lose what was not synced, and fail on purpose.
#[cfg(test)]
pub mod memory {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Stored {
        bytes: Vec<u8>,
        synced: usize,
    }

    #[derive(Default)]
    struct State {
        files: BTreeMap<String, Stored>,
        /// The names that survive a crash.
        durable_names: BTreeMap<String, ()>,
        /// Syncs that still succeed; `None` for all.
        syncs_left: Option<usize>,
        /// Bytes that still find room; `None` for any number.
        bytes_left: Option<usize>,
    }

    /// The directory; clones share it.
    #[derive(Clone, Default)]
    pub struct MemoryDirectory(Arc<Mutex<State>>);

    struct Open(MemoryDirectory, String);

    impl MemoryDirectory {
        /// What is left after a loss of power: of each file that has a durable name, the synced bytes and `torn` bytes more.
        pub fn crashed(&self, torn: usize) -> Self {
            let state = self.0.lock();
            let mut left = State::default();
            for (name, stored) in &state.files {
                if state.durable_names.contains_key(name) {
                    let length = stored.bytes.len().min(stored.synced + torn);
                    let bytes = stored.bytes[..length].to_vec();
                    let synced = length;
                    left.files.insert(name.clone(), Stored { bytes, synced });
                    left.durable_names.insert(name.clone(), ());
                }
            }
            Self(Arc::new(Mutex::new(left)))
        }

        /// Lets `n` more syncs succeed and fails all after them.
        pub fn fail_syncs_after(&self, n: usize) {
            self.0.lock().syncs_left = Some(n);
        }

        /// Lets `n` more bytes be written; of a write that goes beyond, what still finds room is written.
        pub fn fail_writes_after(&self, n: usize) {
            self.0.lock().bytes_left = Some(n);
        }

        /// Changes the bytes of a file.
        pub fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
            let mut state = self.0.lock();
            let stored = state.files.get_mut(name).expect("the file to edit");
            edit(&mut stored.bytes);
            stored.synced = stored.bytes.len();
        }
    }

    fn missing(name: &str) -> io::Error {
        io::Error::new(io::ErrorKind::NotFound, name.to_owned())
    }

    impl WriteFile for Open {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            let mut state = self.0.0.lock();
            let room = state.bytes_left.unwrap_or(usize::MAX).min(bytes.len());
            if let Some(left) = &mut state.bytes_left {
                *left -= room;
            }
            let stored = state
                .files
                .get_mut(&self.1)
                .ok_or_else(|| missing(&self.1))?;
            stored.bytes.extend_from_slice(&bytes[..room]);
            match room == bytes.len() {
                true => Ok(()),
                false => Err(io::Error::new(io::ErrorKind::StorageFull, "no space left")),
            }
        }

        fn sync(&mut self) -> io::Result<()> {
            let mut state = self.0.0.lock();
            match &mut state.syncs_left {
                Some(0) => return Err(io::Error::other("the disk is gone")),
                Some(n) => *n -= 1,
                None => {}
            }
            let stored = state
                .files
                .get_mut(&self.1)
                .ok_or_else(|| missing(&self.1))?;
            stored.synced = stored.bytes.len();
            Ok(())
        }
    }

    impl Directory for MemoryDirectory {
        fn list(&self) -> io::Result<Vec<String>> {
            Ok(self.0.lock().files.keys().cloned().collect())
        }

        fn create(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
            let mut state = self.0.lock();
            if state.files.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.files.insert(name.to_owned(), Stored::default());
            Ok(Box::new(Open(self.clone(), name.to_owned())))
        }

        fn read(&self, name: &str) -> io::Result<Vec<u8>> {
            let state = self.0.lock();
            let stored = state.files.get(name).ok_or_else(|| missing(name))?;
            Ok(stored.bytes.clone())
        }

        fn truncate(&self, name: &str, length: u64) -> io::Result<()> {
            self.edit(name, |bytes| bytes.truncate(length as usize));
            Ok(())
        }

        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            let mut state = self.0.lock();
            let stored = state.files.remove(from).ok_or_else(|| missing(from))?;
            state.files.insert(to.to_owned(), stored);
            Ok(())
        }

        fn remove(&self, name: &str) -> io::Result<()> {
            let mut state = self.0.lock();
            state.files.remove(name).ok_or_else(|| missing(name))?;
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            let mut state = self.0.lock();
            state.durable_names = state.files.keys().map(|n| (n.clone(), ())).collect();
            Ok(())
        }

        fn path(&self, name: &str) -> PathBuf {
            name.into()
        }
    }
}
