//! Declared back-fill: what is older than memory goes to history directly, the rest through the log into memory.
//!
//! A window is settled once for a stream: it belongs to history when it ended before the hot window and memory holds nothing of it, else to
//! memory. Values for history are gathered into large parts; a request is answered when all parts with values of it are committed. When
//! nothing comes for a moment, the sender may be waiting for answers: then what was gathered is committed at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use hesper_history::{History, HistoryError, Loader};
use hesper_ingest::load::LoadRow;
use hesper_ingest::proto::{LoadReply, LoadRequest};
use hesper_ingest::{IngestError, Router};
use hesper_model::{BLOCK_SLOTS, Slot, Window};

use crate::clock;
use crate::grpc::BUSY_PAUSE;

/// Memory for a part.
const PART_BYTES: usize = 128 << 20;

/// How long nothing comes before a part is committed early.
pub const IDLE: Duration = Duration::from_millis(100);

/// Requests that wait for a part; with more it is committed early.
const MAX_WAITING: usize = 1024;

/// What part of a back-fill failed.
#[derive(Debug, thiserror::Error)]
pub enum BackFillError {
    /// Memory or the log.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// History. What was answered before is in it; sending the rest again is right.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// A stream of back-fill.
pub struct BackFill<'a, S> {
    router: Arc<Router>,
    loader: Loader<'a, S>,
    /// By window: true when it belongs to history.
    settled: HashMap<Window, bool>,
    /// Answers to requests that have values in the part that is being gathered.
    waiting: Vec<LoadReply>,
}

/// Begins a stream of back-fill into a node's history and, through the router, its memory.
pub fn begin(router: Arc<Router>, history: &History) -> BackFill<'_, impl FnMut() -> u64 + Send> {
    let hot = router.store().clone();
    let sequence = move || hot.reserve_flush().0;
    BackFill {
        router,
        loader: Loader::new(history, "load".to_owned(), sequence, PART_BYTES),
        settled: HashMap::new(),
        waiting: Vec::new(),
    }
}

impl<S: FnMut() -> u64 + Send> BackFill<'_, S> {
    /// True when answers wait for a part.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes a request; gives the answers that are due now, in the order of their requests.
    ///
    /// # Errors
    /// When memory, the log or history cannot take it.
    pub async fn take(&mut self, request: LoadRequest) -> Result<Vec<LoadReply>, BackFillError> {
        let checked = self.router.check_load(request)?;
        let mut reply = LoadReply {
            datapoints: 0,
            rejects: checked.rejects,
        };
        let mut for_memory = Vec::new();
        let mut for_history = Vec::new();
        self.settle(&checked.rows);
        for row in checked.rows {
            self.split(row, &mut for_memory, &mut for_history);
        }
        if !for_memory.is_empty() {
            let loaded = self.load_memory(for_memory).await?;
            reply.datapoints += loaded.0;
            reply.rejects.extend(loaded.1);
        }
        let mut due = Vec::new();
        let mut to_history = 0;
        for row in &for_history {
            let parts = self.parts();
            self.loader.push(&row.tags, row.first, &row.values).await?;
            if self.parts() != parts {
                due.append(&mut self.waiting);
            }
            to_history += row.values.iter().filter(|v| !v.is_nan()).count() as u64;
        }
        self.router.count_loaded(to_history);
        reply.datapoints += to_history;
        self.waiting.push(reply);
        if self.loader.is_empty() || self.waiting.len() >= MAX_WAITING {
            due.append(&mut self.commit().await?);
        }
        Ok(due)
    }

    /// Commits what was gathered; gives the answers that waited for it.
    ///
    /// # Errors
    /// When history cannot be written.
    pub async fn commit(&mut self) -> Result<Vec<LoadReply>, BackFillError> {
        self.loader.flush().await?;
        Ok(std::mem::take(&mut self.waiting))
    }

    fn parts(&self) -> u64 {
        let loaded = self.loader.loaded();
        loaded.parts + loaded.parts_known
    }

    /// Settles where the windows of rows belong.
    fn settle(&mut self, rows: &[LoadRow]) {
        let hot = self.router.store();
        let horizon = clock::now().plus_millis(-hot.options().hot_window_millis);
        let horizon = Slot::ending_by(horizon, hot.step()).window();
        let mut old = BTreeSet::new();
        for row in rows {
            for (window, _, _) in windows(row) {
                if self.settled.contains_key(&window) {
                    continue;
                }
                if window < horizon {
                    old.insert(window);
                } else {
                    self.settled.insert(window, false);
                }
            }
        }
        if old.is_empty() {
            return;
        }
        let held = hot.note_in_history(&old);
        let settled = old.into_iter().map(|w| (w, !held.contains(&w)));
        self.settled.extend(settled);
    }

    fn split(&self, row: LoadRow, memory: &mut Vec<LoadRow>, history: &mut Vec<LoadRow>) {
        let belongs: Vec<_> = windows(&row)
            .map(|(window, first, count)| (self.settled[&window], first, count))
            .collect();
        if let [(first, ..), rest @ ..] = &belongs[..]
            && rest.iter().all(|(other, ..)| other == first)
        {
            let target = if *first { history } else { memory };
            target.push(row);
            return;
        }
        for of_one in belongs.chunk_by(|a, b| a.0 == b.0) {
            let (to_history, first, _) = of_one[0];
            let count = of_one.iter().map(|(_, _, count)| count).sum();
            let from = (first.0 - row.first.0) as usize;
            let values = row.values[from..][..count].to_vec();
            let target = if to_history {
                &mut *history
            } else {
                &mut *memory
            };
            target.push(LoadRow {
                index: row.index,
                tags: row.tags.clone(),
                first,
                values,
            });
        }
    }

    async fn load_memory(
        &self,
        rows: Vec<LoadRow>,
    ) -> Result<(u64, Vec<hesper_ingest::proto::DatapointReject>), BackFillError> {
        let rows = Arc::new(rows);
        loop {
            let (router, shared) = (self.router.clone(), rows.clone());
            let loading = tokio::task::spawn_blocking(move || router.load(&shared, clock::now()));
            match loading.await.expect("ingest does not panic") {
                Ok(loaded) => {
                    let log = self.router.store().log();
                    let durable = log.wait_durable(loaded.lsn).await;
                    durable.map_err(IngestError::Store)?;
                    return Ok((loaded.datapoints, loaded.rejects));
                }
                Err(e) if e.is_temporary() => tokio::time::sleep(BUSY_PAUSE).await,
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// The windows of a row: each with the first slot and the number of values that the row has in it.
fn windows(row: &LoadRow) -> impl Iterator<Item = (Window, Slot, usize)> {
    let end = row.first.0 + row.values.len() as i64;
    let mut at = row.first;
    std::iter::from_fn(move || {
        let count = (BLOCK_SLOTS - at.position()).min((end - at.0) as usize);
        let found = (count > 0).then_some((at.window(), at, count));
        at = Slot(at.0 + count as i64);
        found
    })
}

#[cfg(test)]
mod tests {
    use hesper_model::Tags;

    use super::*;

    #[test]
    fn rows_are_cut_at_windows() {
        let row = LoadRow {
            index: 0,
            tags: Tags::empty(),
            first: Slot(59),
            values: vec![1.0; 64],
        };
        let found: Vec<_> = windows(&row).map(|(w, s, n)| (w.0, s.0, n)).collect();
        assert_eq!(found, [(0, 59, 2), (1, 61, 60), (2, 121, 2)]);
        let empty = LoadRow {
            values: Vec::new(),
            ..row
        };
        assert_eq!(windows(&empty).count(), 0);
    }
}
