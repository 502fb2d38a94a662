//! Other forms of a query: simpler, as alternatives, as clauses, without some of its keys.

use std::sync::Arc;

use hesper_model::TagQuery;

use crate::error::StackError;

/// The most alternatives, or clauses, that a query is taken apart into: each `and` of `or`s multiplies them.
pub const MAX_PARTS: usize = 1024;

/// The longest list that [`expand_in`] takes apart, unless told otherwise.
pub const MAX_EXPANDED: usize = 5;

/// Folds `True` and `False` away, wherever they are.
pub fn simplify(query: TagQuery) -> TagQuery {
    match query {
        TagQuery::And(a, b) => simplify(*a).and(simplify(*b)),
        TagQuery::Or(a, b) => simplify(*a).or(simplify(*b)),
        TagQuery::Not(q) => simplify(*q).negated(),
        clause => clause,
    }
}

/// What is left of a query when nothing is asked of some keys. What is not asked for cannot be denied either: a negation of it is left
/// out too, rather than to hold for nothing.
pub fn without_keys(query: &TagQuery, ignored: &dyn Fn(&str) -> bool) -> TagQuery {
    match query {
        TagQuery::And(a, b) => without_keys(a, ignored).and(without_keys(b, ignored)),
        TagQuery::Or(a, b) => without_keys(a, ignored).or(without_keys(b, ignored)),
        TagQuery::Not(q) => match without_keys(q, ignored) {
            TagQuery::True | TagQuery::False => TagQuery::True,
            other => not(&other),
        },
        clause if clause.key().is_some_and(|key| ignored(key)) => TagQuery::True,
        clause => clause.clone(),
    }
}

/// Queries of which at least one holds when the query does: its disjunctive normal form. What a double negation holds is left as it is.
///
/// # Errors
/// When there are more than [`MAX_PARTS`].
pub fn alternatives(query: &TagQuery) -> Result<Vec<TagQuery>, StackError> {
    match query {
        TagQuery::And(a, b) => cross(alternatives(a)?, alternatives(b)?, TagQuery::And),
        TagQuery::Or(a, b) => joined(alternatives(a)?, alternatives(b)?),
        TagQuery::Not(q) => match &**q {
            TagQuery::And(a, b) => joined(alternatives(&not(a))?, alternatives(&not(b))?),
            TagQuery::Or(a, b) => cross(
                alternatives(&not(a))?,
                alternatives(&not(b))?,
                TagQuery::And,
            ),
            TagQuery::Not(inner) => Ok(vec![(**inner).clone()]),
            _ => Ok(vec![query.clone()]),
        },
        clause => Ok(vec![clause.clone()]),
    }
}

/// Queries that all hold when the query does: its conjunctive normal form. What a double negation holds is left as it is.
///
/// # Errors
/// When there are more than [`MAX_PARTS`].
pub fn clauses(query: &TagQuery) -> Result<Vec<TagQuery>, StackError> {
    match query {
        TagQuery::And(a, b) => joined(clauses(a)?, clauses(b)?),
        TagQuery::Or(a, b) => cross(clauses(a)?, clauses(b)?, TagQuery::Or),
        TagQuery::Not(q) => match &**q {
            TagQuery::And(a, b) => cross(clauses(&not(a))?, clauses(&not(b))?, TagQuery::Or),
            TagQuery::Or(a, b) => joined(clauses(&not(a))?, clauses(&not(b))?),
            TagQuery::Not(inner) => Ok(vec![(**inner).clone()]),
            _ => Ok(vec![query.clone()]),
        },
        clause => Ok(vec![clause.clone()]),
    }
}

/// Queries without short lists of which at least one holds when the query, a conjunction of clauses, does: a clause for each value of a
/// list of at most `limit`.
///
/// # Errors
/// When there are more than [`MAX_PARTS`].
pub fn expand_in(query: &TagQuery, limit: usize) -> Result<Vec<TagQuery>, StackError> {
    match query {
        TagQuery::And(a, b) => cross(expand_in(a, limit)?, expand_in(b, limit)?, TagQuery::And),
        TagQuery::In(key, values) if values.len() <= limit => {
            let equal = |value: &Arc<str>| TagQuery::Equal(key.clone(), value.clone());
            Ok(values.iter().map(equal).collect())
        }
        clause => Ok(vec![clause.clone()]),
    }
}

fn not(query: &TagQuery) -> TagQuery {
    TagQuery::Not(Box::new(query.clone()))
}

fn check(parts: usize) -> Result<(), StackError> {
    if parts > MAX_PARTS {
        return Err(StackError::IllegalArgument(format!(
            "query has too many alternatives to be normalized: more than {MAX_PARTS}"
        )));
    }
    Ok(())
}

fn joined(mut a: Vec<TagQuery>, b: Vec<TagQuery>) -> Result<Vec<TagQuery>, StackError> {
    check(a.len() + b.len())?;
    a.extend(b);
    Ok(a)
}

fn cross(
    a: Vec<TagQuery>,
    b: Vec<TagQuery>,
    join: fn(Box<TagQuery>, Box<TagQuery>) -> TagQuery,
) -> Result<Vec<TagQuery>, StackError> {
    check(a.len() * b.len())?;
    let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
    Ok(pairs
        .map(|(a, b)| join(Box::new(a.clone()), Box::new(b.clone())))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse_query;
    use hesper_model::Tags;
    use proptest::prelude::*;

    fn any_query() -> impl Strategy<Value = TagQuery> {
        let clause = prop_oneof![
            Just(TagQuery::True),
            Just(TagQuery::False),
            ("[ab]", "[12]").prop_map(|(k, v)| TagQuery::Equal(k.into(), v.into())),
            "[ab]".prop_map(|k| TagQuery::Has(k.into())),
            "[ab]".prop_map(|k| TagQuery::In(k.into(), vec!["1".into(), "3".into()])),
        ];
        clause.prop_recursive(4, 16, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone())
                    .prop_map(|(a, b)| TagQuery::And(Box::new(a), Box::new(b))),
                (inner.clone(), inner.clone())
                    .prop_map(|(a, b)| TagQuery::Or(Box::new(a), Box::new(b))),
                inner.prop_map(|q| TagQuery::Not(Box::new(q))),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_form_means_the_same(query in any_query(), a in "[123]?", b in "[123]?") {
            let pairs = [("a", a), ("b", b)];
            let tags = Tags::from_pairs(pairs.into_iter().filter(|(_, v)| !v.is_empty()));
            let holds = query.matches(&tags);
            prop_assert_eq!(simplify(query.clone()).matches(&tags), holds);
            if let Ok(parts) = alternatives(&query) {
                prop_assert_eq!(parts.iter().any(|q| q.matches(&tags)), holds);
            }
            if let Ok(parts) = clauses(&query) {
                prop_assert_eq!(parts.iter().all(|q| q.matches(&tags)), holds);
            }
            prop_assert_eq!(&without_keys(&query, &|_| false).matches(&tags), &simplify_denials(&query).matches(&tags));
            for part in alternatives(&query).unwrap_or_default() {
                let expanded = expand_in(&part, MAX_EXPANDED).expect("few");
                prop_assert_eq!(expanded.iter().any(|q| q.matches(&tags)), part.matches(&tags));
            }
            let rest = without_keys(&query, &|k| k == "a");
            prop_assert!(!format!("{rest:?}").contains("\"a\""), "{rest:?}");
        }
    }

    /// The query where every denial of everything, or of nothing, holds.
    fn simplify_denials(query: &TagQuery) -> TagQuery {
        match query {
            TagQuery::And(a, b) => simplify_denials(a).and(simplify_denials(b)),
            TagQuery::Or(a, b) => simplify_denials(a).or(simplify_denials(b)),
            TagQuery::Not(q) => match simplify_denials(q) {
                TagQuery::True | TagQuery::False => TagQuery::True,
                other => not(&other),
            },
            clause => clause.clone(),
        }
    }

    #[test]
    fn keys_are_left_out_with_their_denials() {
        let rest = |program: &str| {
            let query = parse_query(program).expect("valid");
            crate::expr::PrintQuery(&without_keys(&query, &|k| k == "a")).to_string()
        };
        assert_eq!(rest("a,1,:eq,b,2,:eq,:and"), "b,2,:eq");
        assert_eq!(rest("a,1,:eq,b,2,:eq,:or"), ":true");
        assert_eq!(rest("a,1,:eq,:not,b,2,:eq,:and"), "b,2,:eq");
        assert_eq!(rest("a,1,:eq,b,2,:eq,:and,:not"), "b,2,:eq,:not");
        assert_eq!(rest("a,:has,a,1,:eq,:or,:not"), ":true");
    }

    #[test]
    fn short_lists_become_clauses() {
        let expanded = |program: &str, limit| {
            let query = parse_query(program).expect("valid");
            let parts = expand_in(&query, limit).expect("few");
            let texts = parts.iter().map(|q| crate::expr::PrintQuery(q).to_string());
            texts.collect::<Vec<_>>()
        };
        assert_eq!(
            expanded("a,(,1,2,),:in,b,(,3,4,),:in,:and", 5),
            [
                "a,1,:eq,b,3,:eq,:and",
                "a,1,:eq,b,4,:eq,:and",
                "a,2,:eq,b,3,:eq,:and",
                "a,2,:eq,b,4,:eq,:and"
            ]
        );
        assert_eq!(expanded("a,(,1,2,3,),:in", 2), ["a,(,1,2,3,),:in"]);
        assert_eq!(expanded("a,(,1,2,),:in,:not", 2), ["a,(,1,2,),:in,:not"]);
    }

    #[test]
    fn a_conjunction_of_alternatives_is_multiplied_out() {
        let query = parse_query("a,:has,b,:has,:or,c,:has,:and").expect("valid");
        assert_eq!(alternatives(&query).expect("few").len(), 2);
        assert_eq!(clauses(&query).expect("few").len(), 2);
    }
}
