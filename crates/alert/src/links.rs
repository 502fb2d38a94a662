//! Links to graphs that show why an alert fires: what is measured, what it is compared with, and when the signal was on.

use std::sync::Arc;

use hesper_model::{Tags, Timestamp};
use hesper_stack::expr::percentiles::PERCENTILE;
use hesper_stack::{GraphOptions, TimeSeriesExpr, Vocabulary, lexer, parse_graph};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// How much time before an alert a graph shows.
const SHOWN: &str = "e-1h";

/// The most comparisons that are drawn: each has an axis of its own, and a graph has five.
const MAX_COMPARISONS: usize = 5;

/// What stays as it is in the query of an address. Programs stay readable: RFC 3986 §3.4 leaves colons, commas and parentheses alone.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b',')
    .remove(b'(')
    .remove(b')');

/// What a graph of a rule shows, in parts that can be narrowed to one of its groups.
#[derive(Clone, Debug)]
pub struct GraphProgram {
    /// Expressions, each with the settings that follow it.
    parts: Vec<(String, String)>,
    /// The keys by which all of them may be narrowed without changing what the lines say.
    narrowing: Vec<Arc<str>>,
}

/// The addresses of a graph, without scheme and host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphLinks {
    /// The image: `/api/v1/graph?q=…&s=e-1h&e=…`.
    pub image: String,
    /// The page: `/?q=…&s=e-1h&e=…`.
    pub page: String,
}

impl GraphProgram {
    /// For an expression and its text: both sides of its comparisons as lines, each comparison with an axis of its own, and the
    /// signal as shading. An expression that compares nothing is shown as it is.
    pub fn new(text: &str, expr: &TimeSeriesExpr, vocabulary: &Vocabulary) -> Self {
        let mut compared = Vec::new();
        comparisons(expr, &mut compared);
        compared.truncate(MAX_COMPARISONS);
        let mut parts = Vec::new();
        for (axis, sides) in compared.iter().enumerate() {
            for side in sides {
                let axis = if axis == 0 {
                    String::new()
                } else {
                    format!(",{axis},:axis")
                };
                parts.push((side.to_string(), axis));
            }
        }
        if !parts.is_empty() {
            parts.push((text.to_owned(), ",:vspan,40,:alpha".to_owned()));
        }
        let mut program = Self {
            parts,
            narrowing: narrowing(expr),
        };
        let options = GraphOptions {
            vocabulary,
            ..GraphOptions::default()
        };
        let whole = parse_graph(&program.text(&Tags::empty()), &options);
        if program.parts.is_empty() || whole.is_err() {
            // What prints in a way that cannot be read back is shown as it was written.
            program.parts = vec![(text.to_owned(), String::new())];
        }
        program
    }

    /// The program for one group, or for all of them when there are no tags.
    pub fn text(&self, group: &Tags) -> String {
        let clauses: String = self
            .narrowing
            .iter()
            .filter_map(|key| Some((key, group.get(key)?)))
            .map(|(key, value)| format!(",{},{},:eq,:cq", lexer::escape(key), lexer::escape(value)))
            .collect();
        let parts = self.parts.iter();
        let parts: Vec<_> = parts
            .map(|(expr, settings)| format!("{expr}{clauses}{settings}"))
            .collect();
        parts.join(",")
    }

    /// Where the graph of a group is found, for the hour up to `end`.
    pub fn links(&self, group: &Tags, end: Timestamp) -> GraphLinks {
        let program = self.text(group);
        let q = utf8_percent_encode(&program, ESCAPED);
        let query = format!("q={q}&s={SHOWN}&e={}", end.millis());
        GraphLinks {
            image: format!("/api/v1/graph?{query}"),
            page: format!("/?{query}"),
        }
    }
}

/// The two sides of each comparison that decides about the signal.
fn comparisons<'a>(expr: &'a TimeSeriesExpr, found: &mut Vec<[&'a TimeSeriesExpr; 2]>) {
    match expr {
        TimeSeriesExpr::Binary { op, left, right } => match op.name {
            "and" | "or" => {
                comparisons(left, found);
                comparisons(right, found);
            }
            "gt" | "ge" | "lt" | "le" => {
                let before = found.len();
                // A count of past signals says less than what was counted.
                for side in [left, right] {
                    if let TimeSeriesExpr::Stateful { input, .. } = &**side {
                        comparisons(input, found);
                    }
                }
                if found.len() == before && !found.contains(&[left, right]) {
                    found.push([left, right]);
                }
            }
            _ => {}
        },
        TimeSeriesExpr::Stateful { input, .. } => comparisons(input, found),
        _ => {}
    }
}

/// The keys by which every data expression groups, unless lines are summed up later: then each depends on the others.
fn narrowing(expr: &TimeSeriesExpr) -> Vec<Arc<str>> {
    if !lines_stand_alone(expr) {
        return Vec::new();
    }
    let data = expr.data_exprs();
    let Some(first) = data.first() else {
        return Vec::new();
    };
    let by_all = |key: &&Arc<str>| {
        data.iter()
            .all(|d| d.group_by.iter().flatten().any(|k| k == *key))
    };
    let keys = first.group_by.iter().flatten();
    keys.filter(|k| ***k != *PERCENTILE)
        .filter(by_all)
        .cloned()
        .collect()
}

fn lines_stand_alone(expr: &TimeSeriesExpr) -> bool {
    match expr {
        TimeSeriesExpr::Data(_) | TimeSeriesExpr::Constant(_) | TimeSeriesExpr::Percentiles(_) => {
            true
        }
        TimeSeriesExpr::Unary { input, .. }
        | TimeSeriesExpr::Clamp { input, .. }
        | TimeSeriesExpr::Stateful { input, .. } => lines_stand_alone(input),
        TimeSeriesExpr::Binary { left, right, .. } => {
            lines_stand_alone(left) && lines_stand_alone(right)
        }
        TimeSeriesExpr::NamedRewrite(named) => lines_stand_alone(&named.eval),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{Rule, RuleDefinition};
    use proptest::prelude::*;

    fn program(expr: &str) -> GraphProgram {
        let rule = Rule::new(RuleDefinition::new("r", expr)).expect("a valid rule");
        rule.graph().clone()
    }

    fn text(expr: &str, group: &[(&str, &str)]) -> String {
        program(expr).text(&Tags::from_pairs(group.iter().copied()))
    }

    #[test]
    fn a_comparison_is_shown_with_its_threshold() {
        assert_eq!(
            text("name,a,:eq,5,:gt", &[]),
            "name,a,:eq,:sum,5.0,:const,name,a,:eq,5,:gt,:vspan,40,:alpha"
        );
        assert_eq!(
            text(
                "name,a,:eq,5,:gt,name,b,:eq,1,:lt,:and,3,:rolling-count,2,:ge",
                &[]
            ),
            "name,a,:eq,:sum,5.0,:const,name,b,:eq,:sum,1,:axis,1.0,:const,1,:axis,\
             name,a,:eq,5,:gt,name,b,:eq,1,:lt,:and,3,:rolling-count,2,:ge,:vspan,40,:alpha"
        );
        assert_eq!(text("name,a,:eq", &[]), "name,a,:eq");
    }

    #[test]
    fn a_graph_is_narrowed_to_its_group() {
        assert_eq!(
            text(
                "name,a,:eq,(,app,),:by,5,:gt",
                &[("app", "x"), ("name", "a")]
            ),
            "name,a,:eq,:sum,(,app,),:by,app,x,:eq,:cq,5.0,:const,app,x,:eq,:cq,\
             name,a,:eq,(,app,),:by,5,:gt,app,x,:eq,:cq,:vspan,40,:alpha"
        );
        let percentiles = text(
            "name,a,:eq,(,app,),:by,(,99,),:percentiles",
            &[("app", "x"), ("percentile", "99.0")],
        );
        assert_eq!(
            percentiles,
            "name,a,:eq,(,app,),:by,(,99,),:percentiles,app,x,:eq,:cq"
        );
    }

    #[test]
    fn what_depends_on_other_groups_is_not_narrowed() {
        for expr in [
            "name,a,:eq,(,app,),:by,:pct,50,:gt",
            "name,a,:eq,(,app,),:by,name,a,:eq,:div,50,:gt",
        ] {
            let all = text(expr, &[]);
            assert_eq!(text(expr, &[("app", "x")]), all);
            assert!(all.contains(":vspan"), "{all}");
        }
    }

    #[test]
    fn links_can_be_put_into_a_page() {
        let links = program("name,a&b,:eq,(,app,),:by").links(
            &Tags::from_pairs([("app", "x y+\"<é")]),
            Timestamp(1_767_578_400_000),
        );
        let q = "name,a%26b,:eq,(,app,),:by,app,x%20y%2B%22%3C%C3%A9,:eq,:cq";
        assert_eq!(
            links.image,
            format!("/api/v1/graph?q={q}&s=e-1h&e=1767578400000")
        );
        assert_eq!(links.page, format!("/?q={q}&s=e-1h&e=1767578400000"));
    }

    proptest! {
        #[test]
        fn a_narrowed_graph_can_be_read(value in "\\PC{1,12}") {
            let program = program("name,a,:eq,(,app,),:by,5,:gt,3,:rolling-count,2,:ge");
            let text = program.text(&Tags::from_pairs([("app", value.as_str())]));
            let exprs = parse_graph(&text, &GraphOptions::default()).expect("valid");
            prop_assert_eq!(exprs.len(), 3);
            let fixed = exprs[0].expr.data_exprs()[0].query.exact_tags();
            prop_assert_eq!(fixed.get("app"), Some(value.as_str()));
        }
    }
}
