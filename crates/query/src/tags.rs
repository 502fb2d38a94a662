//! Tag keys and values over memory and history.

use std::collections::BTreeSet;
use std::sync::Arc;

use hesper_history::DataFile;
use hesper_model::{TagQuery, TimeRange};
use tokio::runtime::Handle;

use crate::aside;
use crate::engine::QueryEngine;
use crate::error::QueryError;
use crate::tiers::{MissingPart, Tiers};

/// A page of keys or values.
#[derive(Clone, Debug, Default)]
pub struct TagList {
    /// The texts, sorted, each once.
    pub texts: Vec<Arc<str>>,
    /// Files that could not be read.
    pub missing: Vec<MissingPart>,
}

/// Which page of which keys or values.
#[derive(Clone, Debug)]
pub struct TagRequest {
    /// The series.
    pub query: TagQuery,
    /// Only what comes after this text.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
    /// Only history of this range; memory is always looked at in full.
    pub range: Option<TimeRange>,
}

impl QueryEngine {
    /// The keys that the series carry, or the values that they have for a key, when it is the caller's turn.
    ///
    /// # Errors
    /// When too many wait already, or it takes longer than a query may.
    pub async fn tags(
        &self,
        key: Option<String>,
        request: TagRequest,
        caller: &str,
    ) -> Result<TagList, QueryError> {
        let tiers = self.tiers().clone();
        self.in_turn(caller, async move {
            let runtime = Handle::current();
            // A large index keeps a core busy, which is not to be one that serves connections.
            let list = move || {
                runtime.block_on(async {
                    match key {
                        Some(key) => tiers.tag_values(&key, &request).await,
                        None => tiers.tag_keys(&request).await,
                    }
                })
            };
            Ok(aside::run(true, list).await)
        })
        .await
    }
}

impl Tiers {
    /// The keys that the series carry.
    pub async fn tag_keys(&self, request: &TagRequest) -> TagList {
        let (after, limit) = (request.after.as_deref(), request.limit);
        let memory = self.hot.tag_keys(&request.query, after, limit);
        self.with_history(request, memory, |index| {
            let matched = index.matching(&request.query);
            index.keys(Some(&matched), after, limit)
        })
        .await
    }

    /// The values that the series have for a key.
    pub async fn tag_values(&self, key: &str, request: &TagRequest) -> TagList {
        let (after, limit) = (request.after.as_deref(), request.limit);
        let memory = self.hot.tag_values(key, &request.query, after, limit);
        self.with_history(request, memory, |index| {
            let matched = index.matching(&request.query);
            index.values(key, Some(&matched), after, limit)
        })
        .await
    }

    async fn with_history(
        &self,
        request: &TagRequest,
        memory: Vec<Arc<str>>,
        of_file: impl Fn(&hesper_history::FileIndex) -> Vec<Arc<str>>,
    ) -> TagList {
        let mut all: BTreeSet<Arc<str>> = memory.into_iter().collect();
        let mut missing = Vec::new();
        // Asked after the listing and before the manifest: a window that leaves memory in between is found in history.
        let in_memory = self.hot.complete_windows();
        let is_known = |file: &DataFile| {
            file.is_raw() && file.range().windows().all(|w| in_memory.contains(&w))
        };
        let manifest = self.history.manifest();
        let files = manifest.tag_files(request.range, self.history.step());
        for file in files.into_iter().filter(|f| !is_known(f)) {
            match self.history.index(&file).await {
                Ok(index) => all.extend(of_file(&index)),
                Err(e) => missing.push(MissingPart {
                    part: file.path.clone(),
                    reason: e.to_string(),
                }),
            }
            while all.len() > request.limit {
                all.pop_last();
            }
        }
        TagList {
            texts: all.into_iter().collect(),
            missing,
        }
    }
}
