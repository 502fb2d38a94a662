//! A series of a result.

use std::borrow::Cow;
use std::sync::Arc;

use hesper_model::{DataSource, Tags};

use super::EvalContext;

/// A line: what it is called, and a value for each cell of the range.
#[derive(Clone, Debug)]
pub struct TimeSeries {
    /// What tells it apart, and what legends can show.
    pub tags: Tags,
    /// The label, if it is not made from the tags.
    label: Option<Arc<str>>,
    /// How its values were measured; of several series made one, that of the first.
    pub source: DataSource,
    /// The values, NaN where there is no data.
    pub values: Vec<f64>,
}

impl TimeSeries {
    /// A series labelled by its tags.
    pub fn new(tags: Tags, source: DataSource, values: Vec<f64>) -> Self {
        Self {
            tags,
            label: None,
            source,
            values,
        }
    }

    /// A series with a label of its own.
    pub fn labelled(
        tags: Tags,
        label: impl Into<Arc<str>>,
        source: DataSource,
        values: Vec<f64>,
    ) -> Self {
        Self {
            label: Some(label.into()),
            ..Self::new(tags, source, values)
        }
    }

    /// What stands for a result without data where a line is expected.
    pub fn no_data(ctx: &EvalContext) -> Self {
        let tags = Tags::from_pairs([("name", "NO_DATA")]);
        Self::labelled(
            tags,
            "NO DATA",
            DataSource::Gauge,
            vec![f64::NAN; ctx.cells()],
        )
    }

    /// The label. Made from the tags when it is asked for: most labels never are.
    pub fn label(&self) -> Cow<'_, str> {
        match &self.label {
            Some(label) => Cow::Borrowed(label),
            None => Cow::Owned(tag_label(&self.tags)),
        }
    }

    /// Makes the label from the tags again, as after a change of the values.
    pub(crate) fn label_by_tags(&mut self) {
        self.label = None;
    }

    /// Keeps the label as it is, whatever becomes of the tags.
    pub(crate) fn keep_label(&mut self) {
        let label = self.label().into_owned();
        self.set_label(label);
    }

    /// Sets the label; an empty one is ignored.
    pub(crate) fn set_label(&mut self, label: String) {
        if !label.is_empty() {
            self.label = Some(label.into());
        }
    }
}

/// `k1=v1, k2=v2` by the order of the keys.
pub(super) fn tag_label(tags: &Tags) -> String {
    if tags.is_empty() {
        return "NO TAGS".to_owned();
    }
    let mut pairs: Vec<_> = tags.iter().collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(", ")
}
