//! A series of a result.

use std::borrow::Cow;
use std::sync::Arc;

use hesper_model::{DataSource, Tags};

use super::EvalContext;

/// What a series is called. Made to a text when it is asked for: most labels never are.
#[derive(Clone, Debug)]
enum Label {
    /// As its tags say.
    Tags,
    /// By a text.
    Text(Arc<str>),
    /// By the word that was applied to it, and what it was called before: `word(before)`.
    Of(&'static str, Arc<Label>),
}

/// A line: what it is called, and a value for each cell of the range.
#[derive(Clone, Debug)]
pub struct TimeSeries {
    /// What tells it apart, and what legends can show.
    pub tags: Tags,
    label: Label,
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
            label: Label::Tags,
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
            label: Label::Text(label.into()),
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

    /// The label.
    pub fn label(&self) -> Cow<'_, str> {
        match &self.label {
            Label::Text(label) => Cow::Borrowed(label),
            Label::Tags | Label::Of(..) => {
                let mut text = String::new();
                let mut open = 0;
                let mut label = &self.label;
                while let Label::Of(word, inner) = label {
                    text.push_str(word);
                    text.push('(');
                    open += 1;
                    label = inner;
                }
                match label {
                    Label::Text(inner) => text.push_str(inner),
                    Label::Tags | Label::Of(..) => text.push_str(&tag_label(&self.tags)),
                }
                text.extend(std::iter::repeat_n(')', open));
                Cow::Owned(text)
            }
        }
    }

    /// Makes the label from the tags again, as after a change of the values.
    pub(crate) fn label_by_tags(&mut self) {
        self.label = Label::Tags;
    }

    /// Keeps the label as it is, whatever becomes of the tags.
    pub(crate) fn keep_label(&mut self) {
        let label = self.label().into_owned();
        self.set_label(label);
    }

    /// Sets the label; an empty one is ignored.
    pub(crate) fn set_label(&mut self, label: String) {
        if !label.is_empty() {
            self.label = Label::Text(label.into());
        }
    }

    /// Puts a word around the label: `word(label)`.
    pub(crate) fn label_of(&mut self, word: &'static str) {
        let inner = std::mem::replace(&mut self.label, Label::Tags);
        self.label = Label::Of(word, Arc::new(inner));
    }

    /// Gives a tag another key. What is called by its tags is then called by the new ones, but not what a word was put around.
    pub(crate) fn rename_tag(&mut self, from: &str, to: &Arc<str>) {
        if let Label::Of(..) = self.label {
            let label = self.label().into_owned();
            self.set_label(label);
        }
        if let Some(value) = self.tags.remove(from) {
            self.tags.insert(to.clone(), value);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_what_was_put_around() {
        let tags = Tags::from_pairs([("a", "1")]);
        let mut series = TimeSeries::new(tags, DataSource::Gauge, Vec::new());
        assert_eq!(series.label(), "a=1");
        series.rename_tag("a", &"b".into());
        assert_eq!(series.label(), "b=1");
        series.label_of("delay");
        series.label_of("des");
        assert_eq!(series.label(), "des(delay(b=1))");
        series.rename_tag("b", &"c".into());
        assert_eq!(series.label(), "des(delay(b=1))");
        series.label_by_tags();
        assert_eq!(series.label(), "c=1");
        let mut named = TimeSeries::labelled(Tags::empty(), "x", DataSource::Gauge, Vec::new());
        named.label_of("trend");
        assert_eq!(named.label(), "trend(x)");
    }
}
