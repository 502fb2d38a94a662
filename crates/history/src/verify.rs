//! Verification: whether everything that the manifest names is there and is what it should be.
//!
//! It works on the object store alone and changes nothing, so that it can look at a history that no longer opens, and at one that is in use. What it finds
//! comes with what to do about it.

mod file;
mod manifest_chain;

use std::collections::HashMap;
use std::sync::Arc;

use hesper_model::Step;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::backup::read_whole;
use crate::objects::{Objects, Retry};
use crate::orphans::DATA_FOLDERS;
use crate::{HistoryError, Manifest};

/// How closely to look. Each includes what is before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The manifest, and whether its files are there and of the right size.
    Listing,
    /// The checksum of every file: all bytes are read.
    Checksums,
    /// Every row: values against counts and sums, order, names and times against the manifest, the index against the rows.
    Rows,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is wrong; good to know.
    Note,
    /// Nothing is lost, but something is not as it should be.
    Warning,
    /// Data is lost or cannot be trusted.
    Damage,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The object.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Damage => "damage",
        };
        write!(
            f,
            "{severity}: {}: {}; {}",
            self.path, self.what, self.advice
        )
    }
}

/// The outcome of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// What was found, in the order in which it was.
    pub findings: Vec<Finding>,
    /// The number of the last commit.
    pub commit: u64,
    /// Files that the manifest names.
    pub files: u64,
    /// Their bytes, as the manifest says.
    pub bytes: u64,
    /// Files looked at so far.
    pub files_done: u64,
    /// Bytes looked at so far.
    pub bytes_done: u64,
    /// Rows looked at.
    pub rows: u64,
    /// Datapoints in rows of raw data that were looked at.
    pub datapoints: u64,
}

impl Verification {
    fn add(
        &mut self,
        severity: Severity,
        path: &str,
        what: impl Into<String>,
        advice: &'static str,
    ) {
        self.findings.push(Finding {
            severity,
            path: path.to_owned(),
            what: what.into(),
            advice,
        });
    }

    /// True when nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|f| f.severity != Severity::Damage)
    }
}

const LOST_FILE: &str = "restore the file from a backup, or let history forget it: then what it held is no longer missed";

/// Looks at a history of a store with this step. `progress` is told after every file.
///
/// # Errors
/// When the object store cannot be listed or does not answer. What is wrong with objects is no error but a finding.
pub async fn verify(
    store: &Arc<dyn ObjectStore>,
    step: Step,
    depth: Depth,
    mut progress: impl FnMut(&Verification),
) -> Result<Verification, HistoryError> {
    let objects = Objects::new(store.clone(), Retry::default());
    let mut found = Verification::default();
    let manifest = manifest_chain::verify(&objects, &mut found).await?;
    let mut listed = HashMap::new();
    for folder in DATA_FOLDERS {
        let all = objects.list(&Path::from(folder), None).await?.into_iter();
        listed.extend(all.map(|object| (object.location.to_string(), object.size)));
    }
    note_unnamed(&manifest, &listed, &mut found);
    found.commit = manifest.number();
    found.files = manifest.files().len() as u64;
    found.bytes = manifest.files().map(|f| f.bytes).sum();
    for file in manifest.files() {
        let path = &file.path;
        match listed.get(path) {
            None => found.add(Severity::Damage, path, "it is not there", LOST_FILE),
            Some(size) if *size != file.bytes => {
                let what = format!("it has {size} bytes, the manifest says {}", file.bytes);
                found.add(Severity::Damage, path, what, LOST_FILE);
            }
            Some(_) if depth == Depth::Listing => {}
            Some(_) => {
                if file.crc32c.is_none() {
                    let advice = "look at its rows; a merge of its day writes it anew, with one";
                    found.add(Severity::Note, path, "it has no checksum", advice);
                }
                match read_whole(&objects, file).await {
                    Err(HistoryError::Store { source, .. })
                        if !matches!(source, object_store::Error::NotFound { .. }) =>
                    {
                        return Err(HistoryError::store(&Path::from(path.as_str()))(source));
                    }
                    Err(error) => found.add(Severity::Damage, path, error.to_string(), LOST_FILE),
                    Ok(bytes) if depth == Depth::Rows => {
                        file::verify(bytes, file, step, &mut found).await;
                    }
                    Ok(_) => {}
                }
            }
        }
        found.files_done += 1;
        found.bytes_done += file.bytes;
        progress(&found);
    }
    Ok(found)
}

/// Notes the files that the manifest does not name.
fn note_unnamed(manifest: &Manifest, listed: &HashMap<String, u64>, found: &mut Verification) {
    let unnamed = listed.iter().filter(|(path, _)| !manifest.holds(path));
    let (files, bytes) = unnamed.fold((0, 0), |(n, b), (_, size)| (n + 1, b + size));
    if files > 0 {
        let what = format!("{files} files of {bytes} bytes that the manifest does not name");
        let advice = "nothing; they are deleted after a grace time";
        found.add(Severity::Note, "raw, rollup", what, advice);
    }
}
