//! The plan node of [`stack`](super::stack_function): evaluates expressions as a graph does, and gives a row for each datapoint of each line.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Float64Array, RecordBatch, RecordBatchOptions, StringViewArray,
    TimestampMillisecondArray, UInt32Array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{TryStreamExt, stream};
use hesper_stack::graph::{DisplayOptions, Line, assemble};
use hesper_stack::time::GraphTime;
use hesper_stack::{EvalState, StyleExpr, TimeSeriesExpr};

use super::columns::{Column, Columns};
use super::request::SqlRequest;
use crate::engine::QueryEngine;
use crate::error::{PlanError, QueryError};

/// Lines of a batch.
const BATCH_LINES: usize = 16;

/// What is to be evaluated.
pub struct LinesRequest {
    /// The program.
    pub program: String,
    /// Its expressions.
    pub exprs: Vec<StyleExpr>,
    /// The times.
    pub time: GraphTime,
}

/// Evaluates expressions.
#[derive(Clone)]
pub struct StackExec {
    engine: Arc<QueryEngine>,
    columns: Arc<Columns>,
    request: Arc<LinesRequest>,
    properties: Arc<PlanProperties>,
}

impl StackExec {
    /// The lines of expressions as rows of these columns.
    pub fn new(engine: Arc<QueryEngine>, columns: Columns, request: Arc<LinesRequest>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(columns.schema().clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            engine,
            columns: Arc::new(columns),
            request,
            properties: Arc::new(properties),
        }
    }

    /// The lines, in the order of the legend.
    async fn lines(&self, statement: &SqlRequest) -> Result<Vec<Line>, QueryError> {
        let exprs = &self.request.exprs;
        let wanted: Vec<&TimeSeriesExpr> = exprs.iter().map(|style| &*style.expr).collect();
        let ctx = self.request.time.context();
        let mut states = vec![EvalState::default(); wanted.len()];
        let budget = self.engine.budget();
        let answer = self
            .engine
            .answer(&wanted, &mut states, &ctx, statement.options(), &budget)
            .await?;
        statement.note_answer(&answer);
        let mut results: Vec<_> = answer.results.into_iter().map(Some).collect();
        let graph = assemble(exprs, &DisplayOptions::default(), &ctx, |style| {
            let place = exprs.iter().position(|e| std::ptr::eq(e, style));
            let result = place.and_then(|place| results[place].take());
            Ok(result.expect("each expression is evaluated once"))
        })?;
        Ok(graph.plots.into_iter().flat_map(|p| p.lines).collect())
    }

    /// The rows of some lines.
    fn batch(&self, lines: &[Line]) -> Result<RecordBatch> {
        let (mut of_line, mut times, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let (first, step) = (self.request.time.first_shown(), self.request.time.step);
        for (number, line) in lines.iter().enumerate() {
            for (cell, value) in line.values.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
                of_line.push(number as u32);
                times.push(first.plus_millis(cell as i64 * step.millis()).millis());
                values.push(*value);
            }
        }
        let of_line = UInt32Array::from(of_line);
        let repeated = |texts: StringViewArray| take(&texts, &of_line, None);
        let times = Arc::new(TimestampMillisecondArray::from(times).with_timezone("UTC"));
        let values = Arc::new(Float64Array::from(values));
        let arrays: Result<Vec<ArrayRef>, _> = (self.columns.all().iter())
            .map(|column| match column {
                Column::Time => Ok(times.clone() as ArrayRef),
                Column::Value | Column::Cell(_) => Ok(values.clone() as ArrayRef),
                Column::Legend => repeated(lines.iter().map(|l| Some(&l.legend)).collect()),
                Column::Tag(key) => repeated(lines.iter().map(|l| l.tags.get(key)).collect()),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(of_line.len()));
        let schema = self.columns.schema().clone();
        Ok(RecordBatch::try_new_with_options(
            schema, arrays?, &options,
        )?)
    }
}

impl fmt::Debug for StackExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl DisplayAs for StackExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (request, time) = (&self.request, &self.request.time);
        write!(
            f,
            "StackExec: expr={}, from={}, to={}, step={}",
            request.program,
            time.first_shown(),
            time.end,
            time.step.millis()
        )
    }
}

impl ExecutionPlan for StackExec {
    fn name(&self) -> &'static str {
        "StackExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn schema(&self) -> SchemaRef {
        self.columns.schema().clone()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let scan = self.clone();
        let statement = SqlRequest::of(context.session_config())?;
        let memory = MemoryConsumer::new("StackExec").register(context.memory_pool());
        let batches = async move {
            let lines = scan.lines(&statement).await;
            let lines = lines.map_err(PlanError::from)?;
            let bytes: usize = lines.iter().map(|l| 8 * l.values.capacity()).sum();
            memory.try_grow(bytes)?;
            let mut at = 0;
            Ok::<_, DataFusionError>(stream::iter(std::iter::from_fn(move || {
                // The memory is held as long as the lines are.
                let _held = &memory;
                let rest = lines.get(at..).filter(|rest| !rest.is_empty())?;
                let some = &rest[..rest.len().min(BATCH_LINES)];
                at += some.len();
                Some(scan.batch(some))
            })))
        };
        let batches = stream::once(batches).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            batches,
        )))
    }
}
