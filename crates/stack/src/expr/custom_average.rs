//! Averages by what another query counts: requests a node, say, where a metric counts the nodes.

use std::sync::Arc;

use hesper_model::TagQuery;

use super::binary::binary_op;
use super::{DataExpr, Displayed, NamedRewrite, TimeSeriesExpr};

/// An average that is configured: the sum of a query, divided by the sum of a query that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomAverage {
    /// The word, without its colon.
    pub name: Arc<str>,
    /// The query that counts.
    pub base: TagQuery,
    /// The keys that what it counts is tagged with.
    pub keys: Vec<Arc<str>>,
}

impl CustomAverage {
    /// The average of what a query finds.
    pub(crate) fn of(self: &Arc<Self>, query: TagQuery) -> NamedRewrite {
        NamedRewrite {
            name: self.name.clone(),
            eval: Arc::new(self.divided(&query, None)),
            display: Displayed::Query(Arc::new(query)),
            parameters: Vec::new(),
            average: Some(self.clone()),
        }
    }

    /// What is evaluated for each group: what counts is grouped by those of the keys that it has.
    pub(super) fn by(&self, query: &TagQuery, keys: &[Arc<str>]) -> TimeSeriesExpr {
        self.divided(query, Some(keys))
    }

    fn divided(&self, query: &TagQuery, keys: Option<&[Arc<str>]>) -> TimeSeriesExpr {
        let mut amount = DataExpr::sum(query.clone());
        let mut count = DataExpr::sum(self.base.clone().and(self.common_part(query)));
        if let Some(keys) = keys {
            amount = amount.grouped(keys.to_vec());
            let own = keys.iter().filter(|k| self.keys.contains(k));
            let own: Vec<Arc<str>> = own.cloned().collect();
            if !own.is_empty() {
                count = count.grouped(own);
            }
        }
        // The groups go together: the keys of the one are among those of the other.
        TimeSeriesExpr::Binary {
            op: binary_op("div"),
            left: Arc::new(TimeSeriesExpr::Data(amount)),
            right: Arc::new(TimeSeriesExpr::Data(count)),
        }
    }

    /// The part of a query that can be asked of what counts as well: clauses on other keys are dropped.
    fn common_part(&self, query: &TagQuery) -> TagQuery {
        match query {
            TagQuery::And(a, b) => self.common_part(a).and(self.common_part(b)),
            TagQuery::Or(a, b) => self.common_part(a).or(self.common_part(b)),
            TagQuery::Not(q) => match self.common_part(q) {
                // What was dropped is dropped with what denies it.
                TagQuery::True => TagQuery::True,
                part => part.negated(),
            },
            clause => match clause.key() {
                Some(key) if !self.keys.contains(key) => TagQuery::True,
                _ => clause.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::PrintQuery;
    use crate::parse::parse_query;

    fn common(program: &str) -> String {
        let average = CustomAverage {
            name: "node-avg".into(),
            base: TagQuery::True,
            keys: vec!["app".into(), "node".into()],
        };
        let query = parse_query(program).expect("a query");
        PrintQuery(&average.common_part(&query)).to_string()
    }

    #[test]
    fn only_clauses_on_its_keys_are_kept() {
        assert_eq!(common("name,x,:eq,app,a,:eq,:and"), "app,a,:eq");
        assert_eq!(common("name,x,:eq"), ":true");
        assert_eq!(common("app,a,:eq,name,x,:eq,:or"), ":true");
        assert_eq!(common("name,x,:eq,:not,node,:has,:and"), "node,:has");
        assert_eq!(common("app,a,:eq,:not,name,x,:eq,:and"), "app,a,:eq,:not");
        assert_eq!(common("name,x,:eq,app,a,:eq,:and,:not"), "app,a,:eq,:not");
    }
}
