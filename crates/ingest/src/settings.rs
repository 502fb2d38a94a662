//! The settings of ingest, as they stand in a file.

use hesper_model::TagQuery;
use serde::{Deserialize, Serialize};

use crate::roll_up::RollUpRule;
use crate::series_limits::SeriesLimitSettings;

/// What ingest does beside validation. [`Default`] limits nothing and rolls nothing up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct IngestSettings {
    /// How many series there may be.
    pub series_limits: SeriesLimitSettings,
    /// Which series are written under fewer tags.
    pub roll_ups: Vec<RollUpRule>,
}

/// A setting without sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {what}")]
pub struct InvalidSetting {
    /// Which.
    pub setting: &'static str,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl InvalidSetting {
    pub(crate) fn new(setting: &'static str, what: impl Into<String>) -> Self {
        Self {
            setting,
            what: what.into(),
        }
    }
}

/// Reads the query of a rule.
pub(crate) fn query(setting: &'static str, text: &str) -> Result<TagQuery, InvalidSetting> {
    hesper_stack::parse::parse_query(text).map_err(|e| {
        InvalidSetting::new(
            setting,
            format!("'{text}' is no query such as 'name,http.requests,:eq': {e}"),
        )
    })
}
