//! Normal forms of queries.

use hesper_model::TagQuery;

use crate::error::StackError;

/// The most alternatives, or clauses, that a query is taken apart into: each `and` of `or`s multiplies them.
const MAX_PARTS: usize = 1024;

/// Folds `True` and `False` away, wherever they are.
pub(super) fn simplify(query: TagQuery) -> TagQuery {
    match query {
        TagQuery::And(a, b) => simplify(*a).and(simplify(*b)),
        TagQuery::Or(a, b) => simplify(*a).or(simplify(*b)),
        TagQuery::Not(q) => simplify(*q).negated(),
        clause => clause,
    }
}

/// Queries of which at least one holds when the query does: its disjunctive normal form. What a double negation holds is left as it is.
pub(super) fn alternatives(query: &TagQuery) -> Result<Vec<TagQuery>, StackError> {
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
pub(super) fn clauses(query: &TagQuery) -> Result<Vec<TagQuery>, StackError> {
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
        }
    }

    #[test]
    fn a_conjunction_of_alternatives_is_multiplied_out() {
        let query = parse_query("a,:has,b,:has,:or,c,:has,:and").expect("valid");
        assert_eq!(alternatives(&query).expect("few").len(), 2);
        assert_eq!(clauses(&query).expect("few").len(), 2);
    }
}
