//! The parts of a graph URI, each with its place: `/api/v1/graph?q=…&s=e-3h`.
//!
//! Blanks and line ends around names and values do not count, so that a long URI may be written over several lines while it is worked on.

mod check;
pub(crate) mod parameter;

use std::collections::HashSet;
use std::ops::Range;

use hesper_stack::syntax::{MAX_DIAGNOSTICS, Purpose, Severity, SyntaxOptions};
use hesper_stack::{GraphOptions, Vocabulary, parse_graph};

use crate::diagnostic::{Change, Finding};
use crate::program::{Decoded, Program};
use parameter::{ParameterKind, Values};

/// The paths that take these parameters.
pub(crate) const PATHS: [(&str, &str); 2] = [
    (
        "/api/v1/graph",
        "A graph: an image, or its data in one piece.",
    ),
    (
        "/api/v2/fetch",
        "The data of a graph as server-sent events, chunk by chunk.",
    ),
];

/// The zone of a graph that names none.
const DEFAULT_ZONE: &str = "UTC";

/// A URI taken apart.
#[derive(Debug)]
pub(crate) struct GraphUri {
    pub(crate) path: Range<usize>,
    /// Where the query begins, behind the question mark.
    pub(crate) query: Option<usize>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) findings: Vec<Finding>,
}

/// A parameter as given.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: Range<usize>,
    pub(crate) name_text: String,
    pub(crate) equals: Option<usize>,
    pub(crate) value: Range<usize>,
    pub(crate) value_text: String,
    /// What it means, if it is known.
    pub(crate) kind: Option<&'static ParameterKind>,
    pub(crate) axis: Option<String>,
    /// The value, if it is a program.
    pub(crate) program: Option<Program>,
}

impl Parameter {
    /// From the name to the end of the value.
    pub(crate) fn span(&self) -> Range<usize> {
        self.name.start..self.value.end.max(self.name.end)
    }
}

impl GraphUri {
    pub(crate) fn new(text: &str, vocabulary: &'static Vocabulary) -> Self {
        let end = text.find('#').unwrap_or(text.len());
        let uri = trimmed(text, 0..end);
        let question = text[uri.clone()].find('?').map(|at| uri.start + at);
        let before = uri.start..question.unwrap_or(uri.end);
        let mut found = Self {
            path: trimmed(text, path(text, before)),
            query: question.map(|at| at + 1),
            parameters: Vec::new(),
            findings: Vec::new(),
        };
        if let Some(start) = found.query {
            found.read_query(text, start..uri.end);
        }
        found.read_programs(text, vocabulary);
        found.check(text, vocabulary);
        found
    }

    fn read_query(&mut self, text: &str, span: Range<usize>) {
        let mut start = span.start;
        for part in text[span].split('&') {
            let end = start + part.len();
            if !part.trim().is_empty() {
                self.parameters.push(parameter(text, start..end));
            }
            start = end + 1;
        }
    }

    /// The value of a parameter: of one given several times the first counts.
    pub(crate) fn value(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name_text == name)
    }

    fn read_programs(&mut self, text: &str, vocabulary: &'static Vocabulary) {
        let zone = self.zone().to_owned();
        // Of several with one name the first counts.
        let mut read = HashSet::new();
        for parameter in &mut self.parameters {
            let options = match parameter.kind.map(|kind| kind.values) {
                Some(Values::Expression) => SyntaxOptions {
                    purpose: Purpose::Graph,
                    vocabulary,
                    time_zone: &zone,
                },
                Some(Values::Query) => SyntaxOptions {
                    purpose: Purpose::Query,
                    vocabulary: query_vocabulary(),
                    time_zone: &zone,
                },
                _ => continue,
            };
            if read.insert(parameter.name_text.clone()) {
                let value = Decoded::new(text, parameter.value.clone());
                parameter.program = Some(Program::of_value(value, &options));
            }
        }
    }

    fn check(&mut self, text: &str, vocabulary: &Vocabulary) {
        let mut findings = Vec::new();
        let path = &text[self.path.clone()];
        if !PATHS.iter().any(|(known, _)| *known == path) && !path.is_empty() {
            let message = format!("unknown path, a graph is at {}", PATHS[0].0);
            findings.push(Finding::new(
                self.path.clone(),
                Severity::Warning,
                "unknown-path",
                message,
            ));
        }
        if self.value("q").is_none() && !text.trim().is_empty() {
            let message = "missing required parameter 'q'".to_owned();
            findings.push(Finding::new(
                self.path.clone(),
                Severity::Error,
                "missing-parameter",
                message,
            ));
        }
        let mut seen = HashSet::new();
        for parameter in &self.parameters {
            if findings.len() >= MAX_DIAGNOSTICS {
                break;
            }
            let span = parameter.name.clone();
            let name = &parameter.name_text;
            let Some(kind) = parameter.kind else {
                let message = format!("unknown parameter '{name}'");
                findings.push(Finding::new(
                    span,
                    Severity::Warning,
                    "unknown-parameter",
                    message,
                ));
                continue;
            };
            if let Some(Err(message)) = parameter.axis.as_deref().map(check::axis) {
                findings.push(Finding::new(
                    span.clone(),
                    Severity::Error,
                    "invalid-axis",
                    message,
                ));
            }
            if !seen.insert(name) && !kind.repeatable {
                let message = format!("'{name}' was given before, and the first counts");
                findings.push(Finding::new(
                    span,
                    Severity::Warning,
                    "repeated-parameter",
                    message,
                ));
            }
            if let Err((severity, message)) = check::value(kind.values, &parameter.value_text) {
                let message = format!("{}: {message}", kind.name);
                findings.push(value_finding(
                    text,
                    parameter,
                    severity,
                    "invalid-value",
                    message,
                ));
            }
        }
        findings.extend(self.check_times(text));
        findings.extend(self.check_common_query(text, vocabulary));
        self.findings = findings;
    }

    /// Whether the expression stands being narrowed.
    fn check_common_query(&self, text: &str, vocabulary: &Vocabulary) -> Option<Finding> {
        let (expression, query) = (self.value("q")?, self.value("cq")?);
        let both = [expression, query].map(|p| p.program.as_ref());
        if !both.into_iter().flatten().all(|p| p.tree.is_valid()) {
            return None;
        }
        let options = GraphOptions {
            time_zone: self.zone(),
            common_query: Some(&query.value_text),
            vocabulary,
            ..GraphOptions::default()
        };
        let error = parse_graph(&expression.value_text, &options).err()?;
        let message = format!("cq: {}", error.message());
        Some(value_finding(
            text,
            query,
            Severity::Error,
            "invalid-value",
            message,
        ))
    }

    /// The zone that times are in.
    fn zone(&self) -> &str {
        self.value("tz").map_or(DEFAULT_ZONE, |p| &p.value_text)
    }

    fn check_times(&self, text: &str) -> Option<Finding> {
        let (start, end) = (self.value("s"), self.value("e"));
        let zone = self.zone();
        let start_text = start.map_or("e-3h", |p| &p.value_text);
        let end_text = end.map_or("now", |p| &p.value_text);
        let message = check::times(start_text, end_text, zone).err()?;
        // If the end is fine by itself the start is to blame.
        let end_is_fine = check::times("epoch", end_text, zone).is_ok();
        let blamed = match (start, end) {
            (Some(start), Some(end)) => {
                if end_is_fine {
                    start
                } else {
                    end
                }
            }
            (start, end) => start.or(end)?,
        };
        let severity = Severity::Error;
        Some(value_finding(
            text,
            blamed,
            severity,
            "invalid-time",
            message,
        ))
    }
}

/// What is wrong with a value. A plus sign in it may be to blame: unless it is encoded it is a blank.
fn value_finding(
    text: &str,
    parameter: &Parameter,
    severity: Severity,
    code: &'static str,
    message: String,
) -> Finding {
    let span = parameter.value.clone();
    let raw = &text[span.clone()];
    if !raw.contains('+') {
        return Finding::new(span, severity, code, message);
    }
    let message = format!("{message} ('+' is a blank in a URI, '%2B' is a plus sign)");
    Finding {
        fixes: vec![Change {
            title: "Write '+' as '%2B'".to_owned(),
            span: span.clone(),
            text: raw.replace('+', "%2B"),
        }],
        ..Finding::new(span, severity, code, message)
    }
}

/// The words of queries.
pub(crate) fn query_vocabulary() -> &'static Vocabulary {
    Vocabulary::named("query").expect("one of the vocabularies")
}

/// The path without scheme and host.
fn path(text: &str, span: Range<usize>) -> Range<usize> {
    let Some(scheme) = text[span.clone()].find("://") else {
        return span;
    };
    let host = span.start + scheme + "://".len();
    let path = text[host..span.end].find('/');
    path.map_or(span.end, |at| host + at)..span.end
}

fn parameter(text: &str, span: Range<usize>) -> Parameter {
    let equals = text[span.clone()].find('=').map(|at| span.start + at);
    let name = trimmed(text, span.start..equals.unwrap_or(span.end));
    let value = match equals {
        Some(equals) => trimmed(text, equals + 1..span.end),
        None => name.end..name.end,
    };
    let name_text = Decoded::new(text, name.clone()).text;
    let found = parameter::find(&name_text);
    Parameter {
        kind: found.map(|(kind, _)| kind),
        axis: found.and_then(|(_, axis)| axis.map(str::to_owned)),
        value_text: Decoded::new(text, value.clone()).text,
        name,
        name_text,
        equals,
        value,
        program: None,
    }
}

/// A part of a text without the blanks around it.
fn trimmed(text: &str, span: Range<usize>) -> Range<usize> {
    let part = &text[span.clone()];
    let start = span.start + part.len() - part.trim_start().len();
    start..(span.start + part.trim_end().len()).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> GraphUri {
        GraphUri::new(text, Vocabulary::full())
    }

    fn said(text: &str) -> Vec<(String, String)> {
        let found = uri(text).findings.into_iter();
        found
            .map(|f| (text[f.span].to_owned(), f.message))
            .collect()
    }

    #[test]
    fn a_uri_has_parts_with_places() {
        let text = "http://h:1/api/v1/graph?q=name%2Csps,:eq\n&ylabel.1=a+b&s&=x#f";
        let found = uri(text);
        assert_eq!(&text[found.path.clone()], "/api/v1/graph");
        let parts: Vec<_> = found
            .parameters
            .iter()
            .map(|p| {
                (
                    p.name_text.as_str(),
                    p.value_text.as_str(),
                    p.axis.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            parts,
            [
                ("q", "name,sps,:eq", None),
                ("ylabel.1", "a b", Some("1")),
                ("s", "", None),
                ("", "x", None)
            ]
        );
        assert_eq!(&text[found.parameters[0].value.clone()], "name%2Csps,:eq");
        assert!(found.parameters[0].program.is_some());
        assert_eq!(uri("").parameters.len(), 0);
        assert_eq!(uri("http://h").path, 8..8);
    }

    #[test]
    fn a_good_uri_has_no_findings() {
        let text = "/api/v1/graph?q=name,a,:eq&s=e-1d&e=2026-01-05&tz=UTC&tz=US/Pacific&u.1=5&palette=reds";
        assert_eq!(said(text), []);
        assert_eq!(said(" \n"), []);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let text = "/api/v1/grap?foo=1&s=e-1x&u.7=1&w=1&w=2&theme=pink";
        let places: Vec<String> = said(text).into_iter().map(|(at, _)| at).collect();
        assert_eq!(
            places,
            [
                "/api/v1/grap",
                "/api/v1/grap",
                "foo",
                "u.7",
                "w",
                "pink",
                "e-1x"
            ]
        );
        assert_eq!(said("/api/v1/graph?q=1&s=e-1h&e=s%2B1h")[0].0, "e-1h");
        let found = uri("/api/v1/graph?q=1&s=0&e=s+1h").findings;
        assert!(found[0].message.starts_with("invalid date s 1h ('+'"));
        assert_eq!(found[0].fixes[0].text, "s%2B1h");
        assert_eq!(said("/api/v1/graph?q=1&s=0&e=s%2B1h"), []);
    }

    #[test]
    fn an_expression_may_be_too_large_to_be_narrowed() {
        let large = format!("name,a,:eq{}", ",:dup,:add".repeat(12));
        let long = format!("k,{},:eq", "x".repeat(200));
        assert_eq!(said(&format!("/api/v1/graph?q={large}&cq=k,x,:eq")), []);
        let said = said(&format!("/api/v1/graph?q={large}&cq={long}"));
        assert_eq!(said.len(), 1);
        assert_eq!(said[0].0, long);
        assert!(
            said[0].1.starts_with("cq: expression is too large"),
            "{}",
            said[0].1
        );
    }
}
