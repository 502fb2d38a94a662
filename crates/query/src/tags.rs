//! Tag keys and values over memory and history.

use std::collections::BTreeSet;
use std::sync::Arc;

use hesper_model::{TagQuery, TimeRange};

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

impl Tiers {
    /// The keys that the series carry.
    pub async fn tag_keys(&self, request: &TagRequest) -> TagList {
        let (after, limit) = (request.after.as_deref(), request.limit);
        let memory = self.hot.tag_keys(&request.query, after, limit);
        self.with_history(request, memory, |index| {
            let matched = index.tags.matching(&request.query);
            index.tags.keys(Some(&matched), after, limit)
        })
        .await
    }

    /// The values that the series have for a key.
    pub async fn tag_values(&self, key: &str, request: &TagRequest) -> TagList {
        let (after, limit) = (request.after.as_deref(), request.limit);
        let memory = self.hot.tag_values(key, &request.query, after, limit);
        self.with_history(request, memory, |index| {
            let matched = index.tags.matching(&request.query);
            index.tags.values(key, Some(&matched), after, limit)
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
        let manifest = self.history.manifest();
        for file in manifest.tag_files(request.range, self.history.step()) {
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
