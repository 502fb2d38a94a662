//! From Prometheus's labels to Atlas's tags.

use std::borrow::Cow;

use hesper_model::Tags;
use hesper_model::data_source::DSTYPE;
use hesper_model::tags::NAME;
use hesper_model::validation::valid_byte;

use super::RemoteWriteSettings;

/// The label that holds the name.
const METRIC_NAME: &str = "__name__";

/// What a label `name` becomes: the key is taken by the metric's name. Prometheus calls a label so that gives way to another.
const EXPORTED_NAME: &str = "exported_name";

/// The tags of a series with these labels. A label without a value is none; a label `atlas.dstype` goes before the suffixes.
pub(super) fn tags<'a>(
    settings: &RemoteWriteSettings,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Tags {
    let mut pairs = Vec::with_capacity(16);
    let mut source = None;
    for (label, value) in labels {
        if value.is_empty() {
            continue;
        }
        let key = match label {
            METRIC_NAME => {
                let ends = |suffix: &String| value.ends_with(suffix.as_str());
                source = Some(match settings.counter_suffixes.iter().any(ends) {
                    true => "counter",
                    false => "gauge",
                });
                NAME
            }
            NAME => EXPORTED_NAME,
            other => settings
                .rename_labels
                .get(other)
                .map_or(other, String::as_str),
        };
        pairs.push((valid(key), valid(value)));
    }
    if let Some(source) = source {
        // Of a key given twice the last counts.
        pairs.insert(0, (Cow::Borrowed(DSTYPE), Cow::Borrowed(source)));
    }
    Tags::from_pairs(pairs)
}

/// The text with `_` for every character that tags may not have, as Spectator does it: for each UTF-16 unit one.
fn valid(text: &str) -> Cow<'_, str> {
    if text.bytes().all(valid_byte) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(c).is_ok_and(valid_byte) {
            true => out.push(c),
            false => (0..c.len_utf16()).for_each(|_| out.push('_')),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(labels: &[(&str, &str)]) -> String {
        let settings = RemoteWriteSettings {
            rename_labels: [("job".to_owned(), "nf.app".to_owned())].into(),
            ..RemoteWriteSettings::default()
        };
        super::tags(&settings, labels.iter().copied()).to_string()
    }

    #[test]
    fn names_say_what_is_counted() {
        for name in ["http_requests_total", "x_count", "x_sum", "x_bucket"] {
            let want = format!("atlas.dstype=counter, name={name}");
            assert_eq!(tags(&[("__name__", name)]), want);
        }
        let gauge = tags(&[("__name__", "total_memory")]);
        assert_eq!(gauge, "atlas.dstype=gauge, name=total_memory");
        let given = tags(&[("__name__", "x_total"), ("atlas.dstype", "sum")]);
        assert_eq!(given, "atlas.dstype=sum, name=x_total");
    }

    #[test]
    fn labels_become_tags() {
        assert_eq!(
            tags(&[
                ("__name__", "job:load:5m"),
                ("empty", ""),
                ("job", "api"),
                ("name", "ssh.service"),
                ("path", "/a b/é😀"),
                ("wi-th", "^~"),
            ]),
            "atlas.dstype=gauge, exported_name=ssh.service, name=job_load_5m, nf.app=api, path=_a_b____, wi-th=^~"
        );
        assert_eq!(tags(&[("job", "api")]), "nf.app=api");
    }
}
