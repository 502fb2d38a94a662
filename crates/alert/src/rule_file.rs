//! Rules as they are written: YAML with a list `rules`.

use std::collections::BTreeMap;
use std::time::Duration;

use hesper_stack::Vocabulary;
use hesper_stack::span::Span;
use serde::Deserialize;
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, Spanned};

use crate::error::RuleFault;
use crate::phase::Delays;
use crate::rule::{NoData, Rule, RuleDefinition, Severity};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    rules: Vec<WrittenRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    name: Spanned<String>,
    expr: Spanned<String>,
    #[serde(rename = "for")]
    before_firing: Option<Spanned<String>>,
    keep_firing_for: Option<Spanned<String>>,
    #[serde(default)]
    severity: Severity,
    #[serde(default)]
    no_data: NoData,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    runbook: Option<Spanned<String>>,
    summary: Option<String>,
}

/// A rule and where its name stands: line and column, counted from 1.
pub struct ReadRule {
    pub rule: Rule,
    pub place: (u64, u64),
}

/// Reads the rules of a file. What is wrong with rules is told for all of them; what is wrong with the YAML, up to the first fault.
pub fn read(
    file: &str,
    text: &str,
    vocabulary: &Vocabulary,
) -> Result<Vec<ReadRule>, Vec<RuleFault>> {
    let options = serde_saphyr::options! { with_snippet: false };
    let written: Result<RuleFile, _> = serde_saphyr::from_str_with_options(text, options);
    let written = written.map_err(|error| vec![yaml_fault(file, text, &error)])?;
    let mut rules = Vec::new();
    let mut faults = Vec::new();
    for written in written.rules {
        let name = written.name.value.clone();
        let name_place = place(&written.name.referenced);
        match compile(file, written, vocabulary) {
            Ok(rule) => rules.push(ReadRule {
                rule,
                place: name_place,
            }),
            Err((place, what)) => faults.push(RuleFault {
                file: file.to_owned(),
                place: Some(place),
                rule: Some(name),
                what,
            }),
        }
    }
    match faults.is_empty() {
        true => Ok(rules),
        false => Err(faults),
    }
}

type Misplaced = ((u64, u64), String);

fn compile(file: &str, written: WrittenRule, vocabulary: &Vocabulary) -> Result<Rule, Misplaced> {
    let places: [(&str, Option<(u64, u64)>); 2] = [
        ("expr", Some(place(&written.expr.referenced))),
        (
            "runbook",
            written.runbook.as_ref().map(|r| place(&r.referenced)),
        ),
    ];
    let name_place = place(&written.name.referenced);
    let definition = RuleDefinition {
        name: written.name.value,
        expr: written.expr.value,
        delays: Delays {
            before_firing: duration("for", written.before_firing)?,
            before_resolving: duration("keep_firing_for", written.keep_firing_for)?,
        },
        severity: written.severity,
        no_data: written.no_data,
        labels: written.labels,
        runbook: written.runbook.map(|r| r.value),
        summary: written.summary,
    };
    let rule = Rule::with_words(definition, vocabulary).map_err(|invalid| {
        let known = places.iter().find(|(field, _)| *field == invalid.field);
        let place = known.and_then(|(_, place)| *place).unwrap_or(name_place);
        (place, invalid.to_string())
    })?;
    Ok(rule.from_file(file))
}

/// A duration as the language writes it; a plain `0` and nothing at all are no time.
fn duration(field: &str, text: Option<Spanned<String>>) -> Result<Duration, Misplaced> {
    let Some(text) = text else {
        return Ok(Duration::ZERO);
    };
    if text.value.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let fault = |what: String| (place(&text.referenced), format!("{field}: {what}"));
    let millis = Span::parse(text.value.trim())
        .and_then(Span::millis)
        .map_err(|e| fault(format!("{} (write a duration such as 5m)", e.message())))?;
    let millis = u64::try_from(millis).map_err(|_| fault("is negative".to_owned()))?;
    Ok(Duration::from_millis(millis))
}

fn place(location: &Location) -> (u64, u64) {
    (location.line(), location.column())
}

fn yaml_fault(file: &str, text: &str, error: &Error) -> RuleFault {
    let error = error.without_snippet();
    let place = error.location().as_ref().map(place);
    let what = match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => unknown("field", field, expected),
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => unknown("value", variant, expected),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("`{key}` is given twice"),
        Error::Eof { .. } => "the file ends where `rules`, a list, should follow".to_owned(),
        other => {
            let text = one_line(&other.to_string());
            let suffix = place.map(|(line, column)| format!(" at line {line}, column {column}"));
            let suffix = suffix.unwrap_or_default();
            text.strip_suffix(&suffix).unwrap_or(&text).to_owned()
        }
    };
    RuleFault {
        file: file.to_owned(),
        place,
        rule: place.and_then(|(line, _)| rule_at(text, line)),
        what,
    }
}

fn unknown(kind: &str, found: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|k| strsim::osa_distance(found, k));
    let hint = nearest.map(|nearest| format!("; did you mean `{nearest}`?"));
    let hint = hint.unwrap_or_default();
    format!(
        "unknown {kind} `{found}`{hint} (known: {})",
        known.join(", ")
    )
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("; ")
}

/// The name of the rule that stands at a line of a file which is wrong otherwise.
fn rule_at(text: &str, line: u64) -> Option<String> {
    #[derive(Deserialize)]
    struct Names {
        rules: Vec<Spanned<Name>>,
    }
    #[derive(Deserialize)]
    struct Name {
        name: Option<String>,
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        duplicate_keys: DuplicateKeyPolicy::FirstWins,
    };
    let names: Names = serde_saphyr::from_str_with_options(text, options).ok()?;
    let before = |rule: &Spanned<Name>| rule.referenced.line() <= line;
    let rule = names.rules.into_iter().rfind(before)?;
    rule.value.name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHOLE: &str = "
rules:
  - name: slow
    expr: >
      name,latency,:eq,(,app,),:by,
      5,:gt
    for: 5m
    keep_firing_for: 1h
    severity: ticket
    no_data: keep
    labels: {team: core, tier: 1}
    runbook: https://runbooks.example/slow
    summary: $(app) is slow
  - name: gone
    expr: name,up,:eq,1,:lt
    for: 0
";

    fn faults(text: &str) -> Vec<String> {
        match read("f.yaml", text, Vocabulary::full()) {
            Ok(_) => panic!("no fault"),
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_rule_says_everything_or_little() {
        let rules = read("f.yaml", WHOLE, Vocabulary::full()).unwrap_or_else(|f| panic!("{f:?}"));
        assert_eq!(rules[1].place.0, 14);
        let slow = rules[0].rule.definition();
        assert_eq!(slow.expr, "name,latency,:eq,(,app,),:by,5,:gt");
        assert_eq!(slow.delays.before_firing, Duration::from_secs(300));
        assert_eq!(slow.delays.before_resolving, Duration::from_secs(3600));
        assert_eq!(
            (slow.severity, slow.no_data),
            (Severity::Ticket, NoData::Keep)
        );
        assert_eq!(slow.labels["tier"], "1");
        assert_eq!(
            slow.runbook.as_deref(),
            Some("https://runbooks.example/slow")
        );
        assert_eq!(slow.summary.as_deref(), Some("$(app) is slow"));
        let gone = rules[1].rule.definition();
        assert_eq!(gone, &RuleDefinition::new("gone", "name,up,:eq,1,:lt"));
        assert_eq!(rules[1].rule.file(), Some("f.yaml"));
    }

    #[test]
    fn unknown_fields_are_told_with_the_nearest_known_one() {
        let text =
            "rules:\n  - name: a\n    expr: 1\n  - name: b\n    expr: 1\n    severty: page\n";
        assert_eq!(
            faults(text),
            [
                "f.yaml:6:5: rule `b`: unknown field `severty`; did you mean `severity`? (known: name, expr, for, keep_firing_for, severity, \
                 no_data, labels, runbook, summary)"
            ]
        );
        let file = faults("rule:\n  - name: a\n");
        assert!(
            file[0].starts_with("f.yaml:1:1: unknown field `rule`; did you mean `rules`?"),
            "{file:?}"
        );
        let value = faults("rules:\n  - name: a\n    expr: 1\n    severity: pager\n");
        assert_eq!(
            value,
            [
                "f.yaml:4:15: rule `a`: unknown value `pager`; did you mean `page`? (known: page, ticket, info)"
            ]
        );
    }

    #[test]
    fn what_is_wrong_with_rules_is_told_for_all_of_them() {
        let text = "rules:
  - name: a
    expr: name,x,:eq,:nope
  - name: b
    expr: 1
    for: 5 minutes
  - name: c
    expr: 1
  - name: d
    expr: 1
    runbook: see wiki
  - name: e
    expr: 1
    for: PT-5M
";
        let faults = faults(text);
        let starts = [
            "f.yaml:3:11: rule `a`: expr: IllegalStateException: unknown word ':nope'",
            "f.yaml:6:10: rule `b`: for: invalid period 5 minutes (write a duration such as 5m)",
            "f.yaml:11:14: rule `d`: runbook: has to begin",
            "f.yaml:14:10: rule `e`: for: is negative",
        ];
        assert_eq!(faults.len(), starts.len(), "{faults:?}");
        for (fault, start) in faults.iter().zip(starts) {
            assert!(fault.starts_with(start), "{fault}");
        }
    }

    #[test]
    fn missing_and_doubled_fields_are_faults() {
        let missing = faults("rules:\n  - name: a\n    for: 5m\n");
        assert_eq!(missing, ["f.yaml:3:5: rule `a`: missing field `expr`"]);
        let doubled = faults("rules:\n  - name: a\n    expr: 1\n    expr: 2\n");
        assert_eq!(doubled, ["f.yaml:4:5: rule `a`: `expr` is given twice"]);
        let broken = faults("rules:\n  - name: [a\n");
        assert!(broken[0].starts_with("f.yaml:"), "{broken:?}");
        let empty = faults("# none yet\n");
        assert!(
            empty[0].ends_with("the file ends where `rules`, a list, should follow"),
            "{empty:?}"
        );
        let no_map = faults("rules:\n  - name: a\n    expr: 1\n    labels: 5\n");
        assert_eq!(no_map, ["f.yaml:4:13: rule `a`: expected mapping start"]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(rules:\n)?( - |name|expr|for|:|,|\n|  |\\[|\\{|\"|&a|\\*a|1|[a-z])*") {
            let _ = read("f.yaml", &text, Vocabulary::full());
        }

        #[test]
        fn no_damage_panics(at in 0usize..WHOLE.len(), with in "[\\x00-\\x7f]{0,3}") {
            let mut text = WHOLE.to_owned();
            text.replace_range(at..at + 1, &with);
            let _ = read("f.yaml", &text, Vocabulary::full());
        }
    }
}
