//! The leaf of plans in SQL: rows of series, over memory and history, chunk by chunk.
//!
//! It reads what the leaf of the stack language reads ([`crate::leaf`]), in cells by series; each chunk from memory first, then from history, so that there
//! is no seam. Partitions share the chunks: each takes the next when it is done with one. What a partition holds at a time is one chunk.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream;
use hesper_stack::expr::PrintQuery;
use tokio::sync::Mutex;

use super::chunks::{Chunk, Found, SeriesRequest};
use super::columns::Columns;
use super::filter::TimeBounds;
use super::request::SqlRequest;
use super::rows::Rows;
use crate::engine::QueryEngine;
use crate::error::{PlanError, QueryError};
use crate::history_scan::ScanRefused;
use crate::leaf::CancelOnDrop;

/// The chunks that no partition has taken yet; `None` before the first has asked.
type Queue = Mutex<Option<VecDeque<Chunk>>>;

/// The leaf.
#[derive(Clone)]
pub struct SeriesScanExec {
    engine: Arc<QueryEngine>,
    columns: Arc<Columns>,
    request: Arc<SeriesRequest>,
    time: TimeBounds,
    /// Rows that are enough.
    fetch: Option<usize>,
    queue: Arc<Queue>,
    properties: Arc<PlanProperties>,
}

impl SeriesScanExec {
    /// A scan of the columns of the series that are asked for, at the times within bounds.
    pub fn new(
        engine: Arc<QueryEngine>,
        columns: Columns,
        request: SeriesRequest,
        time: TimeBounds,
        fetch: Option<usize>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(columns.schema().clone()),
            Partitioning::UnknownPartitioning(engine.partitions()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            engine,
            columns: Arc::new(columns),
            request: Arc::new(request),
            time,
            fetch,
            queue: Arc::default(),
            properties: Arc::new(properties),
        }
    }
}

impl fmt::Debug for SeriesScanExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}

impl DisplayAs for SeriesScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = &self.request;
        let fields = self.columns.schema().fields().iter();
        let columns: Vec<&str> = fields.map(|f| f.name().as_str()).collect();
        write!(
            f,
            "SeriesScanExec: query={}, columns=[{}]",
            PrintQuery(&request.query),
            columns.join(", ")
        )?;
        if request.cell_slots > 1 {
            write!(f, ", slots_per_cell={}", request.cell_slots)?;
        }
        if self.time.first > i64::MIN {
            write!(f, ", from={}", self.time.first)?;
        }
        if self.time.last < i64::MAX {
            write!(f, ", to={}", self.time.last)?;
        }
        match self.fetch {
            Some(fetch) => write!(f, ", fetch={fetch}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for SeriesScanExec {
    fn name(&self) -> &'static str {
        "SeriesScanExec"
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

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self {
            queue: Arc::default(),
            ..(*self).clone()
        }))
    }

    fn supports_limit_pushdown(&self) -> bool {
        false
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self {
            fetch: limit,
            queue: Arc::default(),
            ..self.clone()
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let consumer = MemoryConsumer::new(format!("SeriesScanExec[{partition}]"));
        let part = Part {
            scan: self.clone(),
            run: SqlRequest::of(context.session_config())?,
            memory: consumer.register(context.memory_pool()),
            rows: None,
            left: self.fetch.unwrap_or(usize::MAX),
        };
        let batches = stream::try_unfold(part, |mut part| async move {
            let batch = part.next().await?;
            Ok(batch.map(|batch| (batch, part)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            batches,
        )))
    }
}

/// A partition at work.
struct Part {
    scan: SeriesScanExec,
    run: Arc<SqlRequest>,
    memory: MemoryReservation,
    /// Of the chunk under way.
    rows: Option<Rows>,
    /// Rows that may still be handed out.
    left: usize,
}

impl Part {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.left > 0 {
            if let Some(rows) = &mut self.rows {
                if let Some(batch) = rows.next_batch(self.left)? {
                    self.left -= batch.num_rows();
                    return Ok(Some(batch));
                }
                self.rows = None;
                self.memory.free();
            }
            let Some(chunk) = self.take_chunk().await? else {
                return Ok(None);
            };
            let Some(found) = self.read(&chunk).await? else {
                continue;
            };
            let (columns, request) = (&self.scan.columns, &self.scan.request);
            let step = self.scan.engine.tiers().hot.step();
            let rows = Rows::new(columns, &request.ops, found.scans, step);
            self.memory.try_resize(rows.size_bytes())?;
            self.rows = Some(rows);
        }
        Ok(None)
    }

    async fn take_chunk(&self) -> Result<Option<Chunk>> {
        let mut queue = self.scan.queue.lock().await;
        if queue.is_none() {
            *queue = Some(self.chunks().await?.into());
        }
        Ok(queue.as_mut().and_then(VecDeque::pop_front))
    }

    async fn chunks(&self) -> Result<Vec<Chunk>> {
        let (engine, request) = (&self.scan.engine, &self.scan.request);
        let tiers = engine.tiers();
        let Some(all) = SeriesRequest::whole_range(tiers) else {
            return Ok(Vec::new());
        };
        let range = (self.scan.time).slots(tiers.hot.step(), request.cell_slots, all);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if !self.run.all {
            let slots = range.len() as u64;
            engine.check_breadth(&request.query, slots).map_err(told)?;
        }
        Ok(request.chunks(tiers, range, engine.partitions()).await)
    }

    /// Reads a chunk; `None` when it holds too much and was put back in halves.
    async fn read(&mut self, chunk: &Chunk) -> Result<Option<Found>> {
        let runtime = tokio::runtime::Handle::current();
        let stop = Arc::<AtomicBool>::default();
        let _cancelled = CancelOnDrop::new(stop.clone());
        let (engine, request) = (self.scan.engine.clone(), self.scan.request.clone());
        let asked = chunk.clone();
        // Folding keeps a core busy: it must not hold up the tasks that serve connections.
        let reading = tokio::task::spawn_blocking(move || {
            let budget = engine.budget();
            request.read(engine.tiers(), &asked, &stop, &budget, &runtime)
        });
        let read = reading
            .await
            .map_err(|e| DataFusionError::Internal(format!("the scan failed: {e}")))?;
        match read {
            Ok(found) => {
                let missing = self.run.note(&found);
                if self.run.strict && !missing.is_empty() {
                    return Err(told(QueryError::Incomplete(missing)));
                }
                Ok(Some(found))
            }
            Err(ScanRefused::Budget(error)) => Err(error.into()),
            Err(ScanRefused::TooMany(too_many)) => {
                let Some(halves) = self.scan.request.halves(chunk) else {
                    let text = format!("too many series in one shard of the store: {too_many}");
                    return Err(PlanError::TooMuch(text).into());
                };
                let mut queue = self.scan.queue.lock().await;
                let queue = queue.as_mut().expect("a chunk was taken from it");
                let [before, after] = halves;
                queue.push_front(after);
                queue.push_front(before);
                Ok(None)
            }
        }
    }
}

fn told(error: QueryError) -> DataFusionError {
    PlanError::from(error).into()
}
