//! Maintenance of what is in history, piece by piece: merging the files of a day, rolling up, letting expire, deleting.
//!
//! The files of a day become few and sorted over the whole day when the day is over and nothing comes for it any more. In the same commit its roll-ups are
//! made, and what deletions and retention take away is left out. Whoever reads by the manifest from before goes on: the objects that were replaced stay for a
//! grace time (see [`crate::orphans`]). A crash at any point leaves files that nothing names.
//!
//! Raw data goes only after its roll-ups were made; files whose time is over as a whole are dropped without being read.

mod plan;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hesper_model::{TagQuery, TimeRange, Timestamp};
use object_store::path::Path;
use plan::{Merge, Plan};

use crate::day::Day;
use crate::deletion::Deletion;
use crate::merge::MergeJob;
use crate::policy::{Policy, Rules};
use crate::store::{Change, Fit};
use crate::{DataFile, History, HistoryError, Manifest};

/// A day whose merge failed is left alone for this long.
const RETRY_MILLIS: i64 = 600_000;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// All files of a day were merged and rolled up.
    MergedDay(Day),
    /// Some files of a day were merged.
    MergedPart(Day),
    /// A day was looked at, and nothing of it had to change.
    Kept(Day),
    /// Files whose time was over were dropped.
    Expired,
}

/// A piece of work that is done and committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it was.
    pub work: Work,
    /// Files that count no longer.
    pub files_before: u64,
    /// Files that count instead.
    pub files_after: u64,
    /// Bytes of the files that count no longer.
    pub bytes_before: u64,
    /// Bytes of those that count instead.
    pub bytes_after: u64,
    /// Datapoints of raw data that were left out because of deletions.
    pub deleted: u64,
    /// Datapoints of raw data that were left out, or dropped with their file, because of retention.
    pub expired: u64,
    /// Datapoints that a roll-up could not take in: their raw data is gone, and their slot had a value.
    pub too_late: u64,
    /// The time it took.
    pub took: Duration,
}

impl Report {
    fn new(work: Work) -> Self {
        Self {
            work,
            files_before: 0,
            files_after: 0,
            bytes_before: 0,
            bytes_after: 0,
            deleted: 0,
            expired: 0,
            too_late: 0,
            took: Duration::ZERO,
        }
    }

    fn replaced(mut self, before: &[Arc<DataFile>], after: &[DataFile]) -> Self {
        self.files_before = before.len() as u64;
        self.bytes_before = before.iter().map(|f| f.bytes).sum();
        self.files_after = after.len() as u64;
        self.bytes_after = after.iter().map(|f| f.bytes).sum();
        self
    }
}

impl History {
    /// Does the next piece of work that is due, and commits it; `None` when nothing is. The caller calls again until then, from a task of its own: decoding
    /// and encoding take their time, though others get their turn in between.
    ///
    /// # Errors
    /// When the policy does not fit the store, or a file cannot be read or written. Nothing has changed then, and the day is left alone for ten minutes; the next
    /// call goes on with what else is due.
    pub async fn compact_due(
        &self,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<Option<Report>, HistoryError> {
        let rules = policy.for_step(self.step())?;
        let began = Instant::now();
        let manifest = self.manifest();
        let skip = |day: Day| {
            let failed = self.failed_days().lock();
            let until = failed.get(&day).map(|at| at + RETRY_MILLIS);
            until.is_some_and(|until| now.0 < until)
        };
        let mut report = match plan::plan(&manifest, &rules, self.step(), now, skip) {
            None => return Ok(None),
            Some(Plan::Expire(files)) => self.expire(files).await?,
            Some(Plan::Merge(merge)) => {
                let day = merge.job.day;
                let done = self.merge_planned(merge, &rules, &manifest, now).await;
                let mut failed = self.failed_days().lock();
                match &done {
                    Ok(_) => _ = failed.remove(&day),
                    Err(_) => _ = failed.insert(day, now.0),
                }
                done?
            }
        };
        report.took = began.elapsed();
        Ok(Some(report))
    }

    async fn expire(&self, files: Vec<Arc<DataFile>>) -> Result<Report, HistoryError> {
        let change = Change {
            what: "expire",
            removed: files.iter().map(|f| f.path.clone()).collect(),
            ..Change::default()
        };
        self.commit(change, |manifest| still_there(manifest, &files))
            .await?;
        let mut report = Report::new(Work::Expired).replaced(&files, &[]);
        let raw = files.iter().filter(|f| f.is_raw());
        report.expired = raw.map(|f| f.datapoints).sum();
        Ok(report)
    }

    async fn merge_planned(
        &self,
        Merge { job, only_to_prune }: Merge,
        rules: &Rules,
        manifest: &Manifest,
        now: Timestamp,
    ) -> Result<Report, HistoryError> {
        let inputs: Vec<_> = job.inputs().cloned().collect();
        if only_to_prune && !self.touches_rows(&job, rules, now).await? {
            return self.keep(job.day, inputs, rules, now).await;
        }
        let merged = self.merge(&job, rules, now).await?;
        let change = Change {
            what: "merge",
            added: merged.files.clone(),
            removed: inputs.iter().map(|f| f.path.clone()).collect(),
            ..Change::default()
        };
        let known = plan::known(manifest, job.day, self.step());
        let committed = self
            .commit(change, |manifest| fits(manifest, &job, &known, self.step()))
            .await;
        if let Err(HistoryError::Outdated { .. }) = committed {
            // Nothing will ever name them.
            let paths = merged.files.iter().map(|f| Path::from(f.path.as_str()));
            self.objects().delete(&paths.collect::<Vec<_>>()).await;
        }
        committed?;
        let work = match job.level {
            crate::manifest::DAY_LEVEL => Work::MergedDay(job.day),
            _ => Work::MergedPart(job.day),
        };
        let mut report = Report::new(work).replaced(&inputs, &merged.files);
        report.deleted = merged.deleted;
        report.expired = merged.expired;
        report.too_late = merged.too_late;
        Ok(report)
    }

    /// True when any row of the files is deleted or has expired.
    async fn touches_rows(
        &self,
        job: &MergeJob,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<bool, HistoryError> {
        let age = plan::age(job.day, now);
        for file in job.inputs() {
            let index = self.index(file).await?;
            let deletions = job.deletions.iter().filter(|d| d.affects(file));
            let has_ages = !rules.ages(file.cell_slots).is_empty();
            let expired = |row: u32| {
                let keep = rules.keep_of(file.cell_slots, &index.tags_of(row));
                keep.is_some_and(|keep| keep <= age)
            };
            if deletions.into_iter().any(|d| index.any(&d.query))
                || (has_ages && index.first_rows().any(expired))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notes that files were looked at and can stay as they are.
    async fn keep(
        &self,
        day: Day,
        files: Vec<Arc<DataFile>>,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Report, HistoryError> {
        let looked_at = files.iter().map(|file| DataFile {
            pruned_millis: now.0,
            pruned_by: rules.fingerprint,
            ..(**file).clone()
        });
        let added: Vec<DataFile> = looked_at.collect();
        let change = Change {
            what: "keep",
            removed: files.iter().map(|f| f.path.clone()).collect(),
            added,
            ..Change::default()
        };
        let newest = self.manifest().deletions().iter().map(|d| d.commit).max();
        self.commit(change, |manifest| {
            // A deletion that came in between has not been looked for.
            let since = manifest.deletions().iter().map(|d| d.commit).max();
            match since > newest {
                true => Fit::No("something was deleted meanwhile".to_owned()),
                false => still_there(manifest, &files),
            }
        })
        .await?;
        Ok(Report::new(Work::Kept(day)))
    }

    /// Deletes the values that series of a query have in a range: readers don't see them from now on, and the next merge of each day leaves them out. Values
    /// that come later are not affected, nor are those that memory holds: windows of the range should be flushed before, and not be answered from memory after.
    ///
    /// # Errors
    /// When the commit cannot be made. It may have been made all the same; trying it again is right in both cases.
    pub async fn delete(
        &self,
        id: String,
        query: TagQuery,
        range: TimeRange,
    ) -> Result<(), HistoryError> {
        let change = Change {
            what: "delete",
            deletions: vec![Deletion::new(id, query, range)],
            ..Change::default()
        };
        self.commit(change, |_| Fit::Yes).await
    }

    /// Takes files out of the manifest, for files that are lost or damaged beyond repair. What they held is no longer missed: answers are whole without it.
    ///
    /// # Errors
    /// When the commit cannot be made.
    pub async fn forget(&self, paths: Vec<String>) -> Result<(), HistoryError> {
        let change = Change {
            what: "forget",
            removed: paths.clone(),
            ..Change::default()
        };
        self.commit(change, |manifest| {
            match paths.iter().any(|path| manifest.holds(path)) {
                true => Fit::Yes,
                false => Fit::Done,
            }
        })
        .await
    }
}

/// Whether files still count as they did.
fn still_there(manifest: &Manifest, files: &[Arc<DataFile>]) -> Fit {
    for file in files {
        let same = manifest.file(&file.path);
        if same.is_none_or(|f| f.commit != file.commit) {
            return Fit::No(format!("{} was replaced", file.path));
        }
    }
    Fit::Yes
}

/// Whether a merge still replaces its files: they count as they did, and nothing came that should have been merged below them.
fn fits(
    manifest: &Manifest,
    job: &MergeJob,
    known: &HashSet<String>,
    step: hesper_model::Step,
) -> Fit {
    let inputs: Vec<_> = job.inputs().cloned().collect();
    if let Fit::No(what) = still_there(manifest, &inputs) {
        return Fit::No(what);
    }
    let applied: HashSet<u64> = job.deletions.iter().map(|d| d.commit).collect();
    for deletion in manifest.deletions() {
        if !applied.contains(&deletion.commit) && inputs.iter().any(|f| deletion.affects(f)) {
            return Fit::No("something of it was deleted".to_owned());
        }
    }
    let mut came = manifest.files_in(job.day.range(step)).into_iter();
    let below = |f: &Arc<DataFile>| !known.contains(&f.path) && f.sequence <= job.sequence();
    match came.find(below) {
        Some(file) => Fit::No(format!("{} came for the same day", file.path)),
        None => Fit::Yes,
    }
}
