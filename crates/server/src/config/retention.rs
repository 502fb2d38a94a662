//! The section `[retention]` of the file: roll-ups, and how long data is kept.
//!
//! ```toml
//! [retention]
//! roll-ups = ["5m", "1h"]
//! keep-raw = "30d"
//! keep-roll-ups = { "5m" = "180d" }
//!
//! [[retention.rules]]
//! query = "nf.app,test,:eq"
//! keep-raw = "2d"
//! ```
//!
//! What is not named is kept for ever. Of the rules the first whose query a series fits counts for it; for what that rule does not name, the
//! general setting counts. `"forever"` in a rule keeps what the general setting would let expire.

use std::collections::BTreeMap;

use hesper_history::Policy;
use hesper_history::policy::{Keep, KeepRule};
use hesper_stack::expr::PrintQuery;
use hesper_stack::parse_query;
use hesper_stack::span::Span;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a rule says to keep for ever.
const FOREVER: &str = "forever";

/// The section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// The lengths of the cells of roll-ups.
    pub roll_ups: Option<Vec<String>>,
    /// A day is merged when it, and the last file that came for it, are older than this.
    pub merge_after: Option<String>,
    /// How long raw data is kept, counted from the end of its day.
    pub keep_raw: Option<String>,
    /// How long roll-ups are kept, by the length of their cells.
    pub keep_roll_ups: BTreeMap<String, String>,
    /// Exceptions, by query.
    pub rules: Vec<RetentionRule>,
}

/// How long the series of a query are kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RetentionRule {
    /// Which series.
    pub query: String,
    /// How long raw data is kept.
    pub keep_raw: Option<String>,
    /// How long roll-ups are kept, by the length of their cells.
    #[serde(default)]
    pub keep_roll_ups: BTreeMap<String, String>,
}

impl RetentionSettings {
    /// The policy that the section leads to.
    ///
    /// # Errors
    /// When something in it makes no sense; the message names it.
    pub fn policy(&self) -> Result<Policy, String> {
        let mut policy = Policy::default();
        if let Some(lengths) = &self.roll_ups {
            let millis = lengths.iter().map(|text| millis("roll-ups", text));
            policy.rollups_millis = millis.collect::<Result<_, _>>()?;
        }
        if let Some(text) = &self.merge_after {
            policy.settle_millis = millis("merge-after", text)?;
        }
        let (keep, forever) = read_keep(self.keep_raw.as_deref(), &self.keep_roll_ups)?;
        if !forever.is_empty() {
            return Err(format!(
                "retention: '{FOREVER}' is for rules; leave the setting out instead"
            ));
        }
        policy.keep = keep;
        for rule in &self.rules {
            let query = parse_query(&rule.query).map_err(|e| {
                format!(
                    "retention.rules: '{}' is no query such as 'nf.app,test,:eq': {e}",
                    rule.query
                )
            })?;
            let (keep, forever) = read_keep(rule.keep_raw.as_deref(), &rule.keep_roll_ups)?;
            policy.rules.push(KeepRule {
                query,
                keep,
                forever,
            });
        }
        let kept = policy.rules.iter().map(|rule| &rule.keep);
        for length in kept
            .chain([&policy.keep])
            .flat_map(|k| k.rollup_millis.keys())
        {
            if !policy.rollups_millis.contains(length) {
                return Err(format!(
                    "retention.keep-roll-ups: no roll-up has cells of {length} ms; name it in roll-ups"
                ));
            }
        }
        Ok(policy)
    }
}

/// The policy in force, durations in milliseconds.
pub fn effective(policy: &Policy) -> Value {
    let keep = |keep: &Keep| {
        json!({
            "keep-raw-ms": keep.raw_millis,
            "keep-roll-ups-ms": keep.rollup_millis,
        })
    };
    let rules = policy.rules.iter().map(|rule| {
        let mut shown = keep(&rule.keep);
        shown["query"] = PrintQuery(&rule.query).to_string().into();
        shown["forever-ms"] = json!(rule.forever);
        shown
    });
    let mut shown = keep(&policy.keep);
    shown["rules"] = rules.collect();
    shown["roll-ups-ms"] = json!(policy.rollups_millis);
    shown["merge-after-ms"] = policy.settle_millis.into();
    shown
}

/// What is kept for a time, and the resolutions, 0 for raw data, that are kept for ever.
fn read_keep(
    raw: Option<&str>,
    roll_ups: &BTreeMap<String, String>,
) -> Result<(Keep, Vec<i64>), String> {
    let (mut keep, mut forever) = (Keep::default(), Vec::new());
    match raw {
        None => {}
        Some(FOREVER) => forever.push(0),
        Some(text) => keep.raw_millis = Some(millis("keep-raw", text)?),
    }
    for (length, text) in roll_ups {
        let length = millis("keep-roll-ups", length)?;
        match text.as_str() {
            FOREVER => forever.push(length),
            text => {
                _ = keep
                    .rollup_millis
                    .insert(length, millis("keep-roll-ups", text)?)
            }
        }
    }
    Ok((keep, forever))
}

fn millis(name: &str, text: &str) -> Result<i64, String> {
    let parsed = Span::parse(text).and_then(Span::millis).ok();
    parsed
        .filter(|millis| *millis > 0)
        .ok_or_else(|| format!("retention.{name}: '{text}' is no duration such as 30d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn read(text: &str) -> Result<Policy, String> {
        let settings: RetentionSettings = toml::from_str(text).map_err(|e| e.to_string())?;
        settings.policy()
    }

    #[test]
    fn nothing_expires_by_default() {
        assert_eq!(read(""), Ok(Policy::default()));
    }

    #[test]
    fn what_is_kept_is_read() {
        let policy = read(
            r#"
            roll-ups = ["10m"]
            merge-after = "2h"
            keep-raw = "30d"
            keep-roll-ups = { "10m" = "90d" }
            [[rules]]
            query = "nf.app,test,:eq"
            keep-raw = "2d"
            keep-roll-ups = { "10m" = "forever" }
            "#,
        );
        let policy = policy.expect("valid");
        assert_eq!(policy.rollups_millis, [600_000]);
        assert_eq!(policy.settle_millis, 7_200_000);
        assert_eq!(policy.keep.raw_millis, Some(30 * DAY));
        assert_eq!(policy.keep.rollup_millis[&600_000], 90 * DAY);
        assert_eq!(policy.rules[0].keep.raw_millis, Some(2 * DAY));
        assert_eq!(policy.rules[0].forever, [600_000]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let wrong = |text: &str| read(text).expect_err("refused");
        assert!(wrong("keep-raw = \"soon\"").contains("retention.keep-raw: 'soon'"));
        assert!(wrong("keep-raw = \"forever\"").contains("is for rules"));
        assert!(wrong("keep-roll-ups = { \"7m\" = \"1d\" }").contains("420000 ms"));
        assert!(wrong("[[rules]]\nquery = \"name\"").contains("'name' is no query"));
        assert!(wrong("keepraw = \"1d\"").contains("keepraw"));
    }
}
