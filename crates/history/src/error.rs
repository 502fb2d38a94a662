//! What can go wrong with history.

/// An error of the history tier.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The object store did not do what it was asked.
    #[error("history object {path}: {source}")]
    Store {
        /// The object.
        path: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// A data file cannot be read or written as Parquet.
    #[error("history file {path}: {what}; run a verification, or restore the file from a backup")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// An object of the manifest is not what it should be.
    #[error("manifest object {path}: {what}; restore it from a backup")]
    Manifest {
        /// The object.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// Too many others commit at the same time.
    #[error(
        "the manifest could not be committed: {attempts} numbers in a row were taken by others"
    )]
    Contended {
        /// How many numbers were tried.
        attempts: usize,
    },
    /// What was to be committed no longer fits the manifest, because of what others committed meanwhile.
    #[error("the manifest has changed: {what}; nothing was done, it will be tried again")]
    Outdated {
        /// What does not fit.
        what: String,
    },
    /// The policy cannot be applied to this store.
    #[error("history policy: {what}")]
    Policy {
        /// Why not, and what to do.
        what: String,
    },
    /// A place for history, or a backup, that cannot be used.
    #[error("{place}: {what}")]
    Place {
        /// The URL or path.
        place: String,
        /// Why not, and what to do.
        what: String,
    },
}

impl HistoryError {
    pub(crate) fn store(
        path: &object_store::path::Path,
    ) -> impl FnOnce(object_store::Error) -> Self {
        let path = path.to_string();
        move |source| Self::Store { path, source }
    }

    pub(crate) fn file(path: &str, what: impl ToString) -> Self {
        Self::File {
            path: path.to_owned(),
            what: what.to_string(),
        }
    }

    pub(crate) fn manifest(path: &object_store::path::Path, what: impl ToString) -> Self {
        Self::Manifest {
            path: path.to_string(),
            what: what.to_string(),
        }
    }
}
