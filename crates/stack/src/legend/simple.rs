//! Short legends for expressions that have none: what tells them apart, or what they share.

use std::collections::BTreeMap;
use std::sync::Arc;

use hesper_model::TagQuery;
use hesper_model::pattern::PatternShape;

use crate::expr::{DataExpr, Displayed, NamedRewrite, StyleExpr, TimeSeriesExpr};

/// What queries ask of keys, by key.
type KeyValues = BTreeMap<Arc<str>, String>;

/// Gives every expression without a legend one: the keys of its grouping; else the name, or the values, that its queries ask for and
/// not all expressions share; else what they share.
pub fn simple_legends(exprs: Vec<StyleExpr>) -> Vec<StyleExpr> {
    let all: Vec<KeyValues> = exprs.iter().map(|style| key_values(&style.expr)).collect();
    let common = all
        .iter()
        .filter(|values| !values.is_empty())
        .cloned()
        .reduce(|a, b| shared(a, &b));
    let Some(common) = common else {
        return exprs;
    };
    exprs
        .into_iter()
        .zip(all)
        .map(|(style, values)| {
            if style.legend().is_some() || values.is_empty() {
                return style;
            }
            let own: KeyValues = values
                .into_iter()
                .filter(|(key, value)| common.get(key) != Some(value))
                .collect();
            match (own.is_empty(), common.is_empty()) {
                (false, _) => with_legend(style, &own),
                (true, false) => with_legend(style, &common),
                (true, true) => style,
            }
        })
        .collect()
}

fn with_legend(style: StyleExpr, values: &KeyValues) -> StyleExpr {
    let legend = if style.expr.is_grouped() {
        format!("$({})", style.expr.final_grouping().join(") $("))
    } else if let Some(name) = values.get("name") {
        name.clone()
    } else {
        let values: Vec<_> = values.values().map(String::as_str).collect();
        values.join(" ")
    };
    let legend = match style.offset_millis() {
        1.. => format!("{legend} (offset=$(atlas.offset))"),
        _ => legend,
    };
    style.with("legend", legend)
}

fn shared(a: KeyValues, b: &KeyValues) -> KeyValues {
    a.into_iter()
        .filter(|(key, value)| b.get(key) == Some(value))
        .collect()
}

/// What all queries of an expression ask for alike. A rewrite counts by what is displayed, not by what it expands to.
fn key_values(expr: &TimeSeriesExpr) -> KeyValues {
    let mut all: Option<KeyValues> = None;
    visit_displayed(expr, &mut |query| {
        let mut values = KeyValues::new();
        collect(query, &mut values);
        all = Some(match all.take() {
            Some(before) => shared(before, &values),
            None => values,
        });
    });
    all.unwrap_or_default()
}

fn visit_displayed(expr: &TimeSeriesExpr, f: &mut dyn FnMut(&TagQuery)) {
    match expr {
        TimeSeriesExpr::NamedRewrite(NamedRewrite { display, .. }) => match display {
            Displayed::Query(query) => f(query),
            // Rewrites within what is displayed count by what they expand to.
            Displayed::Expr(expr) => expr.visit_data(&mut |DataExpr { query, .. }| f(query)),
        },
        TimeSeriesExpr::Data(data) => f(&data.query),
        TimeSeriesExpr::Percentiles(p) => f(p.query()),
        TimeSeriesExpr::Constant(_) | TimeSeriesExpr::Generated(_) => {}
        TimeSeriesExpr::ApproxDistinct(d) => visit_displayed(&d.input, f),
        TimeSeriesExpr::Binary { left, right, .. } => {
            visit_displayed(left, f);
            visit_displayed(right, f);
        }
        TimeSeriesExpr::Unary { input, .. }
        | TimeSeriesExpr::Clamp { input, .. }
        | TimeSeriesExpr::Aggregate { input, .. }
        | TimeSeriesExpr::GroupBy { input, .. }
        | TimeSeriesExpr::Rename { input, .. }
        | TimeSeriesExpr::Stateful { input, .. } => visit_displayed(input, f),
        TimeSeriesExpr::Filter(filter) => {
            filter.parts().for_each(|part| visit_displayed(part, f));
        }
    }
}

fn collect(query: &TagQuery, values: &mut KeyValues) {
    match query {
        TagQuery::And(a, b) => {
            collect(a, values);
            collect(b, values);
        }
        TagQuery::Not(q) if q.key().is_some() && !matches!(**q, TagQuery::Has(_)) => {
            let mut negated = KeyValues::new();
            collect(q, &mut negated);
            values.extend(negated.into_iter().map(|(k, v)| (k, format!("!{v}"))));
        }
        TagQuery::Equal(k, v)
        | TagQuery::LessThan(k, v)
        | TagQuery::LessThanEqual(k, v)
        | TagQuery::GreaterThan(k, v)
        | TagQuery::GreaterThanEqual(k, v) => {
            values.insert(k.clone(), v.to_string());
        }
        TagQuery::Matches(k, p) => {
            let text = match p.shape() {
                PatternShape::Prefix(text) | PatternShape::Contains(text) if !p.ignore_case() => {
                    text
                }
                _ => p.source(),
            };
            values.insert(k.clone(), text.to_string());
        }
        TagQuery::True
        | TagQuery::False
        | TagQuery::Has(_)
        | TagQuery::In(..)
        | TagQuery::Or(..)
        | TagQuery::Not(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::{GraphOptions, parse_graph};

    fn legends(program: &str) -> Vec<Option<String>> {
        parse_graph(program, &GraphOptions::default())
            .expect("a valid program")
            .iter()
            .map(|style| style.legend().map(str::to_owned))
            .collect()
    }

    fn one(program: &str) -> String {
        legends(program).remove(0).expect("a legend")
    }

    #[test]
    fn a_single_expression_goes_by_its_name() {
        assert_eq!(one("name,a,:eq,app,x,:eq,:and"), "a");
        assert_eq!(one("app,x,:eq,zone,y,:eq,:and"), "x y");
        assert_eq!(one("name,a.b,:starts"), "a.b");
        assert_eq!(one("name,a,:eq,:not"), "!a");
        assert_eq!(one("name,a,:eq,1h,:offset"), "a (offset=$(atlas.offset))");
    }

    #[test]
    fn groups_go_by_their_keys() {
        assert_eq!(one("name,a,:eq,(,k,l,),:by"), "$(k) $(l)");
        assert_eq!(one("name,a,:eq,(,),:by"), "$()");
    }

    #[test]
    fn several_expressions_go_by_what_differs() {
        assert_eq!(
            legends("name,a,:eq,app,x,:eq,:and,name,a,:eq,app,y,:eq,:and,42,name,a,:eq,l,:legend"),
            [Some("x".into()), Some("y".into()), None, Some("l".into())]
        );
        assert_eq!(
            legends("name,a,:eq,:avg,name,a,:eq,:max"),
            [Some("a".into()), Some("a".into())]
        );
        assert_eq!(one("name,x,:eq,:dist-avg"), "x");
    }

    #[test]
    fn without_anything_to_tell_there_is_no_legend() {
        assert_eq!(legends("42,name,(,a,b,),:in"), [None, None]);
        assert_eq!(legends("name,a,:eq,:not,:not,k,:has"), [None, None]);
    }
}
