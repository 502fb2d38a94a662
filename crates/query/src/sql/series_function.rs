//! `series('query')`: the datapoints of the series that a query in the stack language matches, as a table; `series('query', '5m')`: their cells of that length.

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::plan_err;
use datafusion::error::Result;
use hesper_stack::parse_query;

use super::catalog::Tables;
use super::filter::text;
use crate::error::{PlanError, QueryError};

/// The function.
pub struct SeriesFunction {
    tables: Tables,
}

impl SeriesFunction {
    /// The function over the series of these tables.
    pub fn new(tables: Tables) -> Self {
        Self { tables }
    }
}

impl fmt::Debug for SeriesFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeriesFunction")
    }
}

impl TableFunctionImpl for SeriesFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let texts: Option<Vec<&str>> = args.exprs().iter().map(text).collect();
        let (query, resolution) = match texts.as_deref() {
            Some([query]) => (*query, None),
            Some([query, resolution]) => (*query, Some(*resolution)),
            _ => {
                return plan_err!(
                    "series takes a query in the stack language and, for cells, their length, as in series('name,requests,:eq') or series('name,requests,:eq', '5m')"
                );
            }
        };
        let query = parse_query(query).map_err(|e| PlanError::from(QueryError::from(e)))?;
        match self.tables.matching(query, resolution) {
            Some(table) => Ok(table),
            None => plan_err!(
                "there are no cells of length '{}'; there are {}",
                resolution.unwrap_or_default(),
                self.tables.resolutions().join(", ")
            ),
        }
    }
}
