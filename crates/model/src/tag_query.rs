//! Tag queries: which series an expression is about.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::pattern::TagPattern;
use crate::tags::Tags;

/// A condition on the tags of a series. Values are compared as text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TagQuery {
    /// Every series.
    True,
    /// No series.
    False,
    /// The key is there.
    Has(Arc<str>),
    /// The key has this value.
    Equal(Arc<str>, Arc<str>),
    /// The key is there and its value is below this one.
    LessThan(Arc<str>, Arc<str>),
    /// The key is there and its value is this one or below.
    LessThanEqual(Arc<str>, Arc<str>),
    /// The key is there and its value is above this one.
    GreaterThan(Arc<str>, Arc<str>),
    /// The key is there and its value is this one or above.
    GreaterThanEqual(Arc<str>, Arc<str>),
    /// The key's value matches the pattern.
    Matches(Arc<str>, TagPattern),
    /// The key's value is one of these.
    In(Arc<str>, Vec<Arc<str>>),
    /// Both hold.
    And(Box<TagQuery>, Box<TagQuery>),
    /// At least one holds.
    Or(Box<TagQuery>, Box<TagQuery>),
    /// It does not hold; also true of a series that lacks the key asked for.
    Not(Box<TagQuery>),
}

impl TagQuery {
    /// Both conditions, with `True` and `False` folded away.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, q) | (q, Self::True) => q,
            (Self::False, _) | (_, Self::False) => Self::False,
            (a, b) => Self::And(Box::new(a), Box::new(b)),
        }
    }

    /// Either condition, with `True` and `False` folded away.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, q) | (q, Self::False) => q,
            (Self::True, _) | (_, Self::True) => Self::True,
            (a, b) => Self::Or(Box::new(a), Box::new(b)),
        }
    }

    /// The condition turned round. Only `True` and `False` are folded: otherwise Atlas prints what was written.
    pub fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            q => Self::Not(Box::new(q)),
        }
    }

    /// True when the series fits.
    pub fn matches(&self, tags: &Tags) -> bool {
        match self {
            Self::True => true,
            Self::False => false,
            Self::And(a, b) => a.matches(tags) && b.matches(tags),
            Self::Or(a, b) => a.matches(tags) || b.matches(tags),
            Self::Not(q) => !q.matches(tags),
            Self::Has(k)
            | Self::Equal(k, _)
            | Self::LessThan(k, _)
            | Self::LessThanEqual(k, _)
            | Self::GreaterThan(k, _)
            | Self::GreaterThanEqual(k, _)
            | Self::Matches(k, _)
            | Self::In(k, _) => tags.get(k).is_some_and(|value| self.accepts(value)),
        }
    }

    /// For a clause about one key: true when a series with this value of the key fits. False for the compound ones.
    pub fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Has(_) => true,
            Self::Equal(_, v) => value == &**v,
            Self::LessThan(_, v) => value < &**v,
            Self::LessThanEqual(_, v) => value <= &**v,
            Self::GreaterThan(_, v) => value > &**v,
            Self::GreaterThanEqual(_, v) => value >= &**v,
            Self::Matches(_, p) => p.matches(value),
            Self::In(_, vs) => vs.iter().any(|v| **v == *value),
            Self::True | Self::False | Self::And(..) | Self::Or(..) | Self::Not(_) => false,
        }
    }

    /// The key a clause is about; `None` for the compound ones.
    pub fn key(&self) -> Option<&Arc<str>> {
        match self {
            Self::Has(k)
            | Self::Equal(k, _)
            | Self::LessThan(k, _)
            | Self::LessThanEqual(k, _)
            | Self::GreaterThan(k, _)
            | Self::GreaterThanEqual(k, _)
            | Self::Matches(k, _)
            | Self::In(k, _) => Some(k),
            Self::True | Self::False | Self::And(..) | Self::Or(..) | Self::Not(_) => None,
        }
    }

    /// The tags that every matching series is known to have: the `Equal` clauses joined by `And` alone. With the group keys they
    /// are the only tags that results keep.
    pub fn exact_tags(&self) -> Tags {
        let mut found = BTreeMap::new();
        self.collect_exact(&mut found);
        Tags::from_pairs(found)
    }

    fn collect_exact(&self, found: &mut BTreeMap<Arc<str>, Arc<str>>) {
        match self {
            Self::And(a, b) => {
                a.collect_exact(found);
                b.collect_exact(found);
            }
            Self::Equal(k, v) => {
                found.insert(k.clone(), v.clone());
            }
            _ => {}
        }
    }

    /// True when the query, as far as its text tells, lets through only a part of all series: somewhere it asks for more than
    /// the presence of a key or for an empty pattern.
    pub fn narrows(&self) -> bool {
        match self {
            Self::True | Self::Has(_) => false,
            Self::Matches(_, p) => !matches!(p.source(), "" | ".*" | ".+" | "^" | "^.*"),
            Self::And(a, b) => a.narrows() || b.narrows(),
            Self::Or(a, b) => a.narrows() && b.narrows(),
            Self::Not(q) => !matches!(**q, Self::False),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(k: &str, v: &str) -> TagQuery {
        TagQuery::Equal(k.into(), v.into())
    }

    #[test]
    fn constants_fold_away() {
        assert_eq!(equal("a", "1").and(TagQuery::True), equal("a", "1"));
        assert_eq!(TagQuery::False.and(equal("a", "1")), TagQuery::False);
        assert_eq!(TagQuery::False.or(equal("a", "1")), equal("a", "1"));
        assert_eq!(equal("a", "1").or(TagQuery::True), TagQuery::True);
        assert_eq!(TagQuery::False.negated(), TagQuery::True);
    }

    #[test]
    fn a_series_without_the_key_fits_only_the_negation() {
        let tags = Tags::from_pairs([("name", "cpu")]);
        let q = equal("app", "x");
        assert!(!q.matches(&tags));
        assert!(q.negated().matches(&tags));
        assert!(!TagQuery::LessThan("app".into(), "z".into()).matches(&tags));
    }

    #[test]
    fn values_compare_as_text() {
        let tags = Tags::from_pairs([("size", "100")]);
        assert!(TagQuery::LessThan("size".into(), "2".into()).matches(&tags));
        assert!(TagQuery::GreaterThanEqual("size".into(), "100".into()).matches(&tags));
    }

    #[test]
    fn exact_tags_come_from_equal_under_and_only() {
        let q = equal("a", "1")
            .and(equal("b", "2").or(equal("c", "3")))
            .and(equal("d", "4").negated())
            .and(equal("e", "5"));
        assert_eq!(q.exact_tags().to_string(), "a=1, e=5");
    }

    #[test]
    fn presence_and_empty_patterns_do_not_narrow() {
        let all = TagPattern::new("", false).expect("valid");
        assert!(!TagQuery::Has("name".into()).narrows());
        assert!(!TagQuery::Matches("name".into(), all).narrows());
        assert!(equal("a", "1").and(TagQuery::Has("name".into())).narrows());
        assert!(!equal("a", "1").or(TagQuery::True).narrows());
    }
}
