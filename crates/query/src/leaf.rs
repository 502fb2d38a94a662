//! The leaf of every plan: one node over memory and history, with the partial aggregate inside.
//!
//! The shards are spread over the partitions. Each partition scans its shards; the last to finish knows which windows memory answered for in
//! full, reads the rest from history and lays over it what memory holds on top. Memory is looked at before the manifest: a window that
//! leaves memory in between is found in history.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream;
use hashbrown::HashMap;
use hesper_hot::scan::{Overlay, PartialScan, ScanRequest, ScanStats};
use hesper_model::{Consolidation, Window};
use parking_lot::Mutex;

use crate::budget::{Budget, Held};
use crate::cells;
use crate::error::PlanError;
use crate::history_scan::{HistoryOutcome, HistoryScan, ScanRefused};
use crate::limits::QueryLimits;
use crate::tiers::Tiers;

/// What the partitions of a scan have found together.
#[derive(Debug, Default)]
pub struct ScanOutcome {
    /// Looked at in memory.
    pub memory: ScanStats,
    /// What history answered.
    pub history: HistoryOutcome,
    /// How long memory took: the slowest partition.
    pub memory_time: Duration,
    /// How long history took.
    pub history_time: Duration,
}

#[derive(Debug, Default)]
struct Shared {
    unfinished: usize,
    complete: HashMap<u32, Vec<Window>>,
    overlays: Vec<Overlay>,
    outcome: ScanOutcome,
}

/// The leaf. A plan is run once.
#[derive(Debug)]
pub struct ScanExec {
    request: Arc<ScanRequest>,
    consolidation: Consolidation,
    limits: Arc<QueryLimits>,
    budget: Arc<Budget>,
    shards: u32,
    shared: Arc<Mutex<Shared>>,
    /// Set when the answer is no longer wanted.
    cancelled: Arc<AtomicBool>,
    properties: Arc<PlanProperties>,
}

impl ScanExec {
    /// A scan of `shards` shards by `partitions` partitions. `consolidation` says what a slot is taken to hold where only the cell of a roll-up is
    /// known of it.
    pub fn new(
        request: Arc<ScanRequest>,
        consolidation: Consolidation,
        limits: Arc<QueryLimits>,
        budget: Arc<Budget>,
        (shards, partitions): (u32, usize),
    ) -> Self {
        let partitions = partitions.clamp(1, shards as usize);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(cells::SCHEMA.clone()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            request,
            consolidation,
            limits,
            budget,
            shards,
            shared: Arc::new(Mutex::new(Shared {
                unfinished: partitions,
                ..Shared::default()
            })),
            cancelled: Arc::default(),
            // It does its work on threads of its own and never holds up the task that polls it.
            properties: Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative)),
        }
    }

    /// What was found, once the plan has run.
    pub fn take_outcome(&self) -> ScanOutcome {
        std::mem::take(&mut self.shared.lock().outcome)
    }

    fn partitions(&self) -> usize {
        self.properties.output_partitioning().partition_count()
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layout = &self.request.layout;
        write!(
            f,
            "ScanExec: op={:?}, grouping={:?}, cells={}, slots_per_cell={}, shards={}",
            self.request.op,
            self.request.grouping,
            layout.cells,
            layout.slots_per_cell,
            self.shards
        )
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &'static str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn schema(&self) -> SchemaRef {
        cells::SCHEMA.clone()
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
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let tiers = context
            .session_config()
            .get_extension::<Tiers>()
            .ok_or_else(|| DataFusionError::Internal("the session has no tiers".to_owned()))?;
        let part = Part {
            tiers,
            request: self.request.clone(),
            consolidation: self.consolidation,
            limits: self.limits.clone(),
            budget: self.budget.clone(),
            shards: (0..self.shards)
                .filter(|s| *s as usize % self.partitions() == partition)
                .collect(),
            shared: self.shared.clone(),
            cancelled: self.cancelled.clone(),
        };
        let batch = async move {
            let guard = CancelOnDrop::new(part.cancelled.clone());
            let runtime = tokio::runtime::Handle::current();
            let span = tracing::info_span!("scan", partition, shards = part.shards.len());
            // Folding keeps a core busy: it must not hold up the tasks that serve connections.
            let scan = tokio::task::spawn_blocking(move || span.in_scope(|| part.scan(&runtime)));
            let batch = scan
                .await
                .map_err(|e| DataFusionError::Internal(format!("the scan failed: {e}")))?;
            guard.disarm();
            batch
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream::once(batch),
        )))
    }
}

/// Tells the threads of a scan to stop when its answer is no longer waited for.
pub(crate) struct CancelOnDrop {
    cancelled: Arc<AtomicBool>,
    armed: bool,
}

impl CancelOnDrop {
    /// Sets `cancelled` when it is dropped.
    pub fn new(cancelled: Arc<AtomicBool>) -> Self {
        Self {
            cancelled,
            armed: true,
        }
    }

    /// The answer is there: other threads, which share what is set, go on.
    pub fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if self.armed {
            self.cancelled.store(true, Ordering::Relaxed);
        }
    }
}

/// What a partition needs to do its work.
struct Part {
    tiers: Arc<Tiers>,
    request: Arc<ScanRequest>,
    consolidation: Consolidation,
    limits: Arc<QueryLimits>,
    budget: Arc<Budget>,
    shards: Vec<u32>,
    shared: Arc<Mutex<Shared>>,
    cancelled: Arc<AtomicBool>,
}

impl Part {
    fn scan(
        self,
        runtime: &tokio::runtime::Handle,
    ) -> Result<datafusion::arrow::array::RecordBatch> {
        let too_many = |e| PlanError::TooMuch(self.limits.say(e, self.request.layout.cells));
        let mut found = PartialScan::new(&self.request);
        let began = Instant::now();
        let mut held = Held::of(&self.budget);
        let mut shards = self.shards.iter().copied();
        loop {
            self.check_wanted()?;
            let before = found.stats;
            let hot = &self.tiers.hot;
            let scanned = hot.scan_next(&mut shards, &self.request, &mut found);
            if !scanned.map_err(too_many)? {
                break;
            }
            let (series, blocks) = (
                found.stats.series - before.series,
                found.stats.blocks - before.blocks,
            );
            self.budget.take_series(series, blocks)?;
            held.grow_to(found.size_bytes())?;
        }
        let last = {
            let mut shared = self.shared.lock();
            let time = &mut shared.outcome.memory_time;
            *time = began.elapsed().max(*time);
            shared.complete.extend(std::mem::take(&mut found.complete));
            shared.overlays.append(&mut found.overlays);
            shared.outcome.memory.series += found.stats.series;
            shared.outcome.memory.blocks += found.stats.blocks;
            shared.outcome.memory.bytes += found.stats.bytes;
            shared.unfinished -= 1;
            (shared.unfinished == 0).then(|| {
                let complete = std::mem::take(&mut shared.complete);
                (complete, std::mem::take(&mut shared.overlays))
            })
        };
        if let Some((complete, overlays)) = last {
            let scan = HistoryScan {
                history: &self.tiers.history,
                request: &self.request,
                consolidation: self.consolidation,
                shards: self.tiers.hot.shards(),
                wanted: 0..self.tiers.hot.shards(),
                complete,
                overlays,
                cancelled: &self.cancelled,
                budget: &self.budget,
                runtime,
            };
            let began = Instant::now();
            let refused = |e| match e {
                ScanRefused::TooMany(e) => too_many(e),
                ScanRefused::Budget(e) => e,
            };
            let run = || scan.run(&mut found);
            let outcome = tracing::info_span!("history")
                .in_scope(run)
                .map_err(refused)?;
            held.grow_to(found.size_bytes())?;
            let mut shared = self.shared.lock();
            shared.outcome.history = outcome;
            shared.outcome.history_time = began.elapsed();
        }
        self.check_wanted()?;
        cells::to_batch(&found.groups, found.acc)
    }

    fn check_wanted(&self) -> Result<()> {
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(DataFusionError::Execution(
                "the query was cancelled".to_owned(),
            )),
            false => Ok(()),
        }
    }
}
