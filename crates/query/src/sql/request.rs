//! What belongs to one statement under way: how it is to be answered, and what is to be known of the answer. Plan nodes find it in their session.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionConfig;
use parking_lot::Mutex;

use super::chunks::Found;
use crate::engine::{Answer, QueryOptions, QueryStats};
use crate::notice::Notice;
use crate::tiers::MissingPart;

/// A statement under way.
#[derive(Debug, Default)]
pub struct SqlRequest {
    /// An answer that lacks a part is an error.
    pub strict: bool,
    /// A query that narrows nothing down is meant.
    pub all: bool,
    /// Who asks.
    pub caller: String,
    about: Mutex<About>,
}

/// What is to be known of an answer.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Parts that could not be read.
    pub missing: Vec<MissingPart>,
    /// Where values are coarser than asked for.
    pub notices: Vec<Notice>,
    /// What was looked at.
    pub stats: QueryStats,
}

impl SqlRequest {
    /// A statement that is to be answered so.
    pub fn new(options: QueryOptions<'_>) -> Self {
        Self {
            strict: options.strict,
            all: options.all,
            caller: options.caller.to_owned(),
            about: Mutex::default(),
        }
    }

    /// The statement of a session.
    ///
    /// # Errors
    /// When the session has none: a defect.
    pub fn of(config: &SessionConfig) -> Result<Arc<Self>> {
        let found = config.get_extension::<Self>();
        found.ok_or_else(|| DataFusionError::Internal("the session has no statement".to_owned()))
    }

    /// How a query within the statement is to be answered.
    pub fn options(&self) -> QueryOptions<'_> {
        QueryOptions {
            strict: self.strict,
            all: self.all,
            caller: &self.caller,
        }
    }

    /// What is known by now.
    pub fn about(&self) -> About {
        self.about.lock().clone()
    }

    /// Takes in what was found for a chunk. What it lacks, as a text, is empty for nothing.
    pub fn note(&self, found: &Found) -> String {
        let mut about = self.about.lock();
        about.stats.series += found.memory.series;
        about.stats.blocks += found.memory.blocks;
        let mut missing = Vec::new();
        for outcome in &found.history {
            for tier in outcome.tiers.values() {
                about.stats.files += tier.files;
                about.stats.rows += tier.rows;
            }
            about.add(&outcome.missing, &outcome.notices);
            missing.extend(outcome.missing.iter().map(ToString::to_string));
        }
        missing.dedup();
        missing.join(", ")
    }

    /// Takes in what is to be known of the answer to expressions.
    pub fn note_answer(&self, answer: &Answer) {
        let mut about = self.about.lock();
        about.stats.series += answer.stats.series;
        about.stats.blocks += answer.stats.blocks;
        about.stats.files += answer.stats.files;
        about.stats.rows += answer.stats.rows;
        about.add(&answer.missing, &answer.notices);
    }
}

impl About {
    fn add(&mut self, missing: &[MissingPart], notices: &[Notice]) {
        for part in missing {
            if !self.missing.contains(part) {
                self.missing.push(part.clone());
            }
        }
        for notice in notices {
            notice.add(&mut self.notices);
        }
    }
}
