//! The one form that programs with the same meaning are brought to, as far as their queries and legends go.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use hesper_model::TagQuery;

use crate::error::StackError;
use crate::expr::rewrite::{ExprRule, QueryRule, Rules, rewrite, rewrite_style};
use crate::expr::{FilterExpr, PrintQuery, StyleExpr, TimeSeriesExpr};
use crate::legend::substitute;
use crate::parse::exprs_of;
use crate::query_forms as forms;
use crate::stats::Statistic;
use crate::vocabulary::Vocabulary;

/// The keys whose clauses come first, in this order.
const FIRST_KEYS: [&str; 8] = [
    "name",
    "nf.app",
    "nf.stack",
    "nf.cluster",
    "nf.asg",
    "nf.region",
    "nf.zone",
    "nf.node",
];

/// The key whose clauses come last.
const LAST_KEY: &str = "statistic";

/// The expressions of a program in normal form; what is no expression is left out.
///
/// Queries become alternatives of sorted clauses, without what is said twice; variables in legends are written `$(key)`; figures in the
/// condition of a filter are written short; words that mean nothing more than what is there by default are dropped.
///
/// # Errors
/// When the program cannot be run, or a query has too many alternatives.
pub fn normalize(program: &str, vocabulary: &Vocabulary) -> Result<Vec<String>, StackError> {
    exprs_of(program, vocabulary)?
        .iter()
        .map(|style| normalize_expr(style, vocabulary))
        .collect()
}

/// An expression in normal form; see [`normalize`].
///
/// # Errors
/// When a query has too many alternatives, or a word with a name is not among those of the vocabulary.
pub fn normalize_expr(style: &StyleExpr, vocabulary: &Vocabulary) -> Result<String, StackError> {
    let style = match style.legend() {
        Some(legend) => {
            let legend = substitute(legend, |key| format!("$({key})"));
            style.clone().with("legend", legend)
        }
        None => style.clone(),
    };
    let rule: &ExprRule<'_> = &|expr| match expr {
        TimeSeriesExpr::Filter(FilterExpr::Matching { input, condition }) => {
            let condition = with_placeholders(condition, input, vocabulary);
            let filter = condition.and_then(|c| FilterExpr::matching(input.clone(), Arc::new(c)));
            Some(filter.map(TimeSeriesExpr::Filter))
        }
        _ => None,
    };
    let style = rewrite_style(&style, &Rules::for_exprs(rule), vocabulary)?;
    let rule: &QueryRule<'_> = &normalize_query;
    let style = rewrite_style(&style, &Rules::for_queries(rule), vocabulary)?;
    Ok(style
        .to_string()
        .replace(",:const", "")
        .replace(",:line", ""))
}

/// The condition of a filter with `:stat-max` and so on where it says at length that a figure of what is filtered is meant.
fn with_placeholders(
    condition: &TimeSeriesExpr,
    filtered: &TimeSeriesExpr,
    vocabulary: &Vocabulary,
) -> Result<TimeSeriesExpr, StackError> {
    let rule: &ExprRule<'_> = &|expr| match expr {
        TimeSeriesExpr::Filter(FilterExpr::Stat {
            input,
            stat,
            shorthand: false,
        }) if **input == *filtered => {
            let stat = Statistic::named(stat)?;
            Some(Ok(TimeSeriesExpr::Filter(FilterExpr::Placeholder(stat))))
        }
        _ => None,
    };
    rewrite(condition, &Rules::for_exprs(rule), vocabulary)
}

fn normalize_query(query: &TagQuery) -> Result<TagQuery, StackError> {
    let simple = forms::simplify(query.clone());
    let mut alternatives: Vec<Vec<TagQuery>> = Vec::new();
    let mut known = HashSet::new();
    for alternative in forms::alternatives(&simple)? {
        let mut clauses: Vec<TagQuery> = Vec::new();
        for clause in forms::clauses(&alternative)? {
            let clause = with_sorted_values(clause);
            if !clauses.contains(&clause) {
                clauses.push(clause);
            }
        }
        clauses.sort_by(compare_clauses);
        if known.insert(clauses.clone()) {
            alternatives.push(clauses);
        }
    }
    let mut queries: Vec<(String, TagQuery)> = without_redundant(alternatives)
        .into_iter()
        .filter_map(|clauses| {
            clauses
                .into_iter()
                .reduce(|a, b| TagQuery::And(Box::new(a), Box::new(b)))
        })
        .map(|query| (PrintQuery(&query).to_string(), query))
        .collect();
    queries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(queries
        .into_iter()
        .map(|(_, query)| query)
        .reduce(|a, b| TagQuery::Or(Box::new(a), Box::new(b)))
        .unwrap_or(simple))
}

fn with_sorted_values(query: TagQuery) -> TagQuery {
    match query {
        TagQuery::In(key, mut values) => {
            values.sort();
            values.dedup();
            match values.len() {
                1 => TagQuery::Equal(key, values.remove(0)),
                _ => TagQuery::In(key, values),
            }
        }
        other => other,
    }
}

/// Drops the alternatives that ask for all that any of them asks for: they find nothing that the others do not.
fn without_redundant(alternatives: Vec<Vec<TagQuery>>) -> Vec<Vec<TagQuery>> {
    if alternatives.len() < 2 {
        return alternatives;
    }
    let all: HashSet<TagQuery> = alternatives.iter().flatten().cloned().collect();
    alternatives
        .into_iter()
        .filter(|clauses| clauses.len() < all.len())
        .collect()
}

/// The key a clause is sorted by.
fn sort_key(query: &TagQuery) -> &str {
    match query {
        TagQuery::And(a, _) | TagQuery::Or(a, _) => sort_key(a),
        TagQuery::Not(q) => sort_key(q),
        clause => clause.key().map_or("", |k| k),
    }
}

fn compare_clauses(a: &TagQuery, b: &TagQuery) -> Ordering {
    let rank = |query: &TagQuery| {
        let key = sort_key(query);
        match FIRST_KEYS.iter().position(|k| *k == key) {
            Some(place) => place,
            None if key == LAST_KEY => FIRST_KEYS.len() + 1,
            None => FIRST_KEYS.len(),
        }
    };
    let text = |query: &TagQuery| PrintQuery(query).to_string();
    rank(a).cmp(&rank(b)).then_with(|| text(a).cmp(&text(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(program: &str) -> Vec<String> {
        normalize(program, Vocabulary::full()).expect("a valid program")
    }

    #[test]
    fn clauses_are_sorted_and_said_once() {
        assert_eq!(
            normal(
                "statistic,count,:eq,b,1,:eq,:and,b,1,:eq,:and,nf.app,x,:eq,:and,name,n,:eq,:and"
            ),
            ["name,n,:eq,nf.app,x,:eq,:and,b,1,:eq,:and,statistic,count,:eq,:and,:sum"]
        );
        assert_eq!(normal("name,(,b,a,b,),:in"), ["name,(,a,b,),:in,:sum"]);
        assert_eq!(normal("name,(,b,b,),:in"), ["name,b,:eq,:sum"]);
    }

    #[test]
    fn alternatives_that_add_nothing_are_dropped() {
        assert_eq!(normal("a,1,:eq,a,1,:eq,b,2,:eq,:and,:or"), ["a,1,:eq,:sum"]);
        assert_eq!(normal("a,1,:eq,:true,:or"), [":true,:sum"]);
    }

    #[test]
    fn figures_of_what_is_filtered_are_written_short() {
        assert_eq!(
            normal("a,:has,(,k,),:by,:dup,max,:stat,5,:gt,:filter"),
            ["a,:has,:sum,(,k,),:by,:stat-max,5.0,:gt,:filter"]
        );
        assert_eq!(
            normal("a,:has,:dup,x,:stat,:over,1,:add,min,:stat,:add,:filter"),
            ["a,:has,:sum,a,:has,:sum,x,:stat,a,:has,:sum,1.0,:add,min,:stat,:add,:filter"]
        );
        assert_eq!(
            normal("b,:has,a,:has,:and,:stat-avg,:filter"),
            ["a,:has,b,:has,:and,:sum,:stat-avg,:filter"]
        );
    }

    #[test]
    fn what_goes_without_saying_is_dropped() {
        assert_eq!(normal("42,:line,x"), ["42.0"]);
        assert_eq!(normal("1,$a+$(b),:legend"), ["1.0,$(a)+$(b),:legend"]);
    }

    #[test]
    fn rewrites_keep_their_name() {
        assert_eq!(
            normal("b,1,:eq,name,n,:eq,:and,:avg,(,k,),:by"),
            ["name,n,:eq,b,1,:eq,:and,:avg,(,k,),:by"]
        );
        let e = normalize("1,2,foo,:named-rewrite", Vocabulary::full()).expect_err("no such word");
        assert_eq!(e.to_string(), "IllegalStateException: unknown word ':foo'");
    }

    #[test]
    fn too_many_alternatives_are_refused() {
        let either = |i| format!("a{i},1,:eq,b{i},2,:eq,:or");
        let mut program = either(0);
        for i in 1..20 {
            program.push_str(&format!(",{},:and", either(i)));
        }
        let e = normalize(&program, Vocabulary::full()).expect_err("2^20 alternatives");
        assert!(e.message().contains("alternatives"), "{e}");
    }
}
