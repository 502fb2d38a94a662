//! The merge above the leaf: adds up the partial aggregates of all partitions.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{TryStreamExt, stream};
use hesper_hot::scan::ScanRequest;

use crate::aside;
use crate::budget::Budget;
use crate::cells;
use crate::error::PlanError;
use crate::limits::QueryLimits;

/// More than this is not merged on a task that serves connections.
const LARGE_BYTES: usize = 256 << 10;

/// Reads all partitions of its input at the same time and adds up their groups; one partition comes out, in which each group is in one row.
#[derive(Debug)]
pub struct MergeExec {
    input: Arc<dyn ExecutionPlan>,
    request: Arc<ScanRequest>,
    limits: Arc<QueryLimits>,
    budget: Arc<Budget>,
    properties: Arc<PlanProperties>,
}

impl MergeExec {
    /// A merge of the partial aggregates that `request` asks for.
    pub fn new(
        input: Arc<dyn ExecutionPlan>,
        request: Arc<ScanRequest>,
        limits: Arc<QueryLimits>,
        budget: Arc<Budget>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(cells::SCHEMA.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            input,
            request,
            limits,
            budget,
            properties: Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative)),
        }
    }
}

impl DisplayAs for MergeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MergeExec: op={:?}", self.request.op)
    }
}

impl ExecutionPlan for MergeExec {
    fn name(&self) -> &'static str {
        "MergeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn schema(&self) -> SchemaRef {
        cells::SCHEMA.clone()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return Err(DataFusionError::Internal(
                "a merge has one input".to_owned(),
            ));
        };
        Ok(Arc::new(Self::new(
            input,
            self.request.clone(),
            self.limits.clone(),
            self.budget.clone(),
        )))
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let partitions = self.input.properties().output_partitioning();
        let inputs = (0..partitions.partition_count())
            .map(|p| self.input.execute(p, context.clone()))
            .collect::<Result<Vec<_>>>()?;
        let (request, limits) = (self.request.clone(), self.limits.clone());
        let budget = self.budget.clone();
        let merged = async move {
            let cells = request.layout.cells;
            let too_many = move |e| DataFusionError::from(PlanError::TooMuch(limits.say(e, cells)));
            let batches: Vec<RecordBatch> = stream::select_all(inputs).try_collect().await?;
            let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
            budget.hold(bytes as u64)?;
            let merge = move || {
                let (op, layout) = (request.op, request.layout);
                cells::merge_batches(batches, op, layout, request.max_groups, too_many)
            };
            let merged = aside::run(bytes > LARGE_BYTES, merge).await?;
            Ok::<_, DataFusionError>(stream::iter(merged.into_iter().map(Ok)))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream::once(merged).try_flatten(),
        )))
    }
}
