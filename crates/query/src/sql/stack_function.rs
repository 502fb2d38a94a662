//! `stack('expression', start, end, step)`: the lines of a graph as a table.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use hesper_model::Timestamp;
use hesper_model::tags::NAME;
use hesper_stack::time::{GraphTime, TimeZone, time_range};
use hesper_stack::{DataAggregate, GraphOptions, StackError, StyleExpr, Vocabulary, parse_graph};

use super::columns::Columns;
use super::keys::TagKeys;
use super::stack_scan::{LinesRequest, StackExec};
use crate::engine::QueryEngine;
use crate::error::{PlanError, QueryError};

/// A graph that names no start begins so long before its end.
const START: &str = "e-3h";

/// The most datapoints of a line. A step that gives more is made longer, as for a graph of that many pixels.
const MAX_POINTS: usize = 1440;

/// The time now.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The function.
pub struct StackFunction {
    engine: Arc<QueryEngine>,
    keys: Arc<TagKeys>,
    vocabulary: &'static Vocabulary,
    clock: Clock,
}

impl StackFunction {
    /// The function over an engine, for programs of these words.
    pub fn new(
        engine: Arc<QueryEngine>,
        keys: Arc<TagKeys>,
        vocabulary: &'static Vocabulary,
        clock: Clock,
    ) -> Self {
        Self {
            engine,
            keys,
            vocabulary,
            clock,
        }
    }

    fn request(&self, program: &str, times: [Option<&str>; 3]) -> Result<LinesRequest, StackError> {
        let [start, end, step] = times;
        let options = GraphOptions {
            vocabulary: self.vocabulary,
            ..GraphOptions::default()
        };
        let exprs = parse_graph(program, &options)?;
        let (start, end) = (start.unwrap_or(START), end.unwrap_or("now"));
        let range = time_range(start, end, (self.clock)(), TimeZone::UTC)?;
        let base = self.engine.tiers().hot.step();
        Ok(LinesRequest {
            program: program.to_owned(),
            exprs,
            time: GraphTime::new(range, base, step, MAX_POINTS)?,
        })
    }

    /// The keys that the lines of expressions may have: where all series come out as they are, those of all series.
    fn keys(&self, exprs: &[StyleExpr]) -> Vec<Arc<str>> {
        let mut keys: BTreeSet<Arc<str>> = BTreeSet::new();
        for style in exprs {
            keys.extend(style.expr.final_grouping());
            for data in style.expr.data_exprs() {
                keys.extend(data.group_by.into_iter().flatten());
                let exact = data.query.exact_tags();
                keys.extend(exact.pairs().iter().map(|(key, _)| key.clone()));
                if data.aggregate == DataAggregate::All {
                    keys.extend(self.keys.known().keys.iter().cloned());
                }
            }
        }
        keys.remove(NAME);
        let name = std::iter::once(NAME.into());
        name.chain(keys).collect()
    }
}

impl fmt::Debug for StackFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StackFunction")
    }
}

impl TableFunctionImpl for StackFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let texts: Vec<Option<String>> = args.exprs().iter().map(text).collect::<Result<_>>()?;
        let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
        let Some((Some(program), times)) = texts.split_first().filter(|(_, t)| t.len() <= 3) else {
            return plan_err!(
                "stack takes an expression, a start, an end and a step, as in stack('name,requests,:eq,:sum', 'e-3h', 'now', '60s')"
            );
        };
        let at = |i: usize| times.get(i).copied().flatten();
        let request = self.request(program, [at(0), at(1), at(2)]);
        let request = request.map_err(|e| PlanError::from(QueryError::from(e)))?;
        Ok(Arc::new(StackTable {
            engine: self.engine.clone(),
            columns: Columns::of_lines(&self.keys(&request.exprs)),
            request: Arc::new(request),
        }))
    }
}

/// An argument as the grammars of times and steps take it; `None` for null. Numbers and timestamps are times in milliseconds.
fn text(expr: &Expr) -> Result<Option<String>> {
    let value = match expr {
        Expr::Literal(value, _) => value,
        // `-5` comes as a minus and a number, a cast of a text as itself: neither is a time.
        other => {
            return plan_err!("the arguments of stack are literals, not {other}");
        }
    };
    if value.is_null() {
        return Ok(None);
    }
    // A plain number counts as seconds when it is small: told from the epoch, with its unit, it cannot be mistaken.
    let millis = |v: i64| {
        let sign = if v < 0 { '-' } else { '+' };
        Ok(Some(format!("epoch{sign}{}ms", v.unsigned_abs())))
    };
    match value {
        ScalarValue::Utf8(Some(v))
        | ScalarValue::LargeUtf8(Some(v))
        | ScalarValue::Utf8View(Some(v)) => Ok(Some(v.clone())),
        ScalarValue::Int64(Some(v)) => millis(*v),
        ScalarValue::TimestampSecond(Some(v), _) => millis(v.saturating_mul(1000)),
        ScalarValue::TimestampMillisecond(Some(v), _) => millis(*v),
        ScalarValue::TimestampMicrosecond(Some(v), _) => millis(v.div_euclid(1000)),
        ScalarValue::TimestampNanosecond(Some(v), _) => millis(v.div_euclid(1_000_000)),
        other => plan_err!("stack takes texts, and times as numbers of milliseconds, not {other}"),
    }
}

/// The lines that one call of the function gives.
struct StackTable {
    engine: Arc<QueryEngine>,
    columns: Columns,
    request: Arc<LinesRequest>,
}

impl fmt::Debug for StackTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = f.debug_struct("StackTable");
        table.field("program", &self.request.program).finish()
    }
}

#[async_trait]
impl TableProvider for StackTable {
    fn schema(&self) -> SchemaRef {
        self.columns.schema().clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = self.columns.project(projection);
        let scan = StackExec::new(self.engine.clone(), columns, self.request.clone());
        Ok(Arc::new(scan))
    }
}
