//! The engine: runs the data expressions of a request, each once, and evaluates the language over what they found.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::compute::concat_batches;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};
use hesper_model::TagQuery;
use hesper_stack::{
    DataExpr, EvalContext, EvalState, ResultSet, TimeSeries, TimeSeriesExpr, data_result,
    evaluate_chunk,
};
use tracing::{Instrument, info_span};

use crate::cells;
use crate::consolidate::data_groups;
use crate::error::{PlanError, QueryError};
use crate::leaf::{ScanExec, ScanOutcome};
use crate::limits::QueryLimits;
use crate::merge::MergeExec;
use crate::notice::{Notice, resolution};
use crate::plan::DataPlan;
use crate::running::RunningQueries;
use crate::tiers::{MissingPart, TierStats, TierUse, Tiers};
use crate::turns::{Turn, Turns};

/// Series that may be consolidated one by one in a query whose consolidation and aggregation do not commute.
const MAX_SERIES_ONE_BY_ONE: usize = 200_000;

/// How a caller wants its queries answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryOptions<'a> {
    /// An answer that lacks a part is an error.
    pub strict: bool,
    /// A query that narrows nothing down is meant.
    pub all: bool,
    /// Who asks: turns are shared between callers.
    pub caller: &'a str,
}

/// What was looked at for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Series that matched in memory, over all data expressions.
    pub series: u64,
    /// Blocks folded in memory.
    pub blocks: u64,
    /// History files read.
    pub files: u64,
    /// History rows read.
    pub rows: u64,
    /// Lines that the data expressions gave.
    pub lines: u64,
    /// Datapoints in them.
    pub datapoints: u64,
}

/// The answer to a request.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The series of each expression, in the order asked.
    pub results: Vec<ResultSet>,
    /// Parts of the data that could not be read (promise P4).
    pub missing: Vec<MissingPart>,
    /// What the reader is to know of the values: where they are coarser than asked for.
    pub notices: Vec<Notice>,
    /// What was looked at.
    pub stats: QueryStats,
    /// The resolutions of history that were looked at, the finest first.
    pub tiers: Vec<TierUse>,
}

/// Counters of the engine since it was made.
#[derive(Debug, Default)]
pub struct EngineStats {
    /// Requests answered.
    pub answered: AtomicU64,
    /// Requests that failed.
    pub failed: AtomicU64,
    /// Requests refused because too many waited.
    pub refused: AtomicU64,
    /// Answers that lacked a part.
    pub partial: AtomicU64,
}

/// The plan of a data expression, ready to run.
struct Physical {
    plan: DataPlan,
    /// The leaf, which knows afterwards what was looked at.
    scan: Arc<ScanExec>,
    root: Arc<dyn ExecutionPlan>,
}

/// Answers queries.
pub struct QueryEngine {
    tiers: Arc<Tiers>,
    limits: Arc<QueryLimits>,
    context: Arc<TaskContext>,
    partitions: usize,
    turns: Turns,
    queries: RunningQueries,
    stats: EngineStats,
}

impl QueryEngine {
    /// An engine over the tiers of a node, with scans of `partitions` partitions.
    pub fn new(tiers: Arc<Tiers>, limits: QueryLimits, partitions: usize) -> Self {
        let mut config = SessionConfig::new().with_target_partitions(partitions);
        config.set_extension(tiers.clone());
        Self {
            tiers,
            turns: Turns::new(limits.turns()),
            queries: RunningQueries::new(limits.slow_after),
            limits: Arc::new(limits),
            context: SessionContext::new_with_config(config).task_ctx(),
            partitions,
            stats: EngineStats::default(),
        }
    }

    /// The tiers.
    pub fn tiers(&self) -> &Arc<Tiers> {
        &self.tiers
    }

    /// The limits.
    pub fn limits(&self) -> &QueryLimits {
        &self.limits
    }

    /// How many partitions a scan has.
    pub(crate) fn partitions(&self) -> usize {
        self.partitions
    }

    /// The queries under way.
    pub fn queries(&self) -> &RunningQueries {
        &self.queries
    }

    /// How many queries run, and how many wait for their turn.
    pub fn turns(&self) -> (usize, usize) {
        self.turns.counts()
    }

    /// The counters.
    pub fn stats(&self) -> &EngineStats {
        &self.stats
    }

    /// Answers expressions over a range. Data expressions that occur several times are run once.
    ///
    /// # Errors
    /// When an expression does not fit its series, a limit is met, or a part is missing and the caller is strict.
    pub async fn evaluate(
        &self,
        exprs: &[&TimeSeriesExpr],
        ctx: &EvalContext,
        options: QueryOptions<'_>,
    ) -> Result<Answer, QueryError> {
        let mut states = vec![EvalState::default(); exprs.len()];
        self.evaluate_chunk(exprs, &mut states, ctx, options).await
    }

    /// Answers expressions over the next chunk of a range: what their operators remember is kept in `states`, one for each
    /// expression. After an error the states are those before the call.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub async fn evaluate_chunk(
        &self,
        exprs: &[&TimeSeriesExpr],
        states: &mut [EvalState],
        ctx: &EvalContext,
        options: QueryOptions<'_>,
    ) -> Result<Answer, QueryError> {
        let answer = tokio::time::timeout(self.limits.timeout, async {
            let _turn = self.turn(options.caller).await?;
            self.answer(exprs, states, ctx, options).await
        });
        let answer = answer.await.unwrap_or_else(|_| {
            Err(QueryError::Timeout {
                millis: self.limits.timeout.as_millis(),
            })
        });
        let is_partial = answer.as_ref().is_ok_and(|a| !a.missing.is_empty());
        self.count(answer.as_ref().err(), is_partial);
        answer
    }

    /// Waits for a turn of a caller.
    ///
    /// # Errors
    /// When too many wait.
    pub(crate) async fn turn(&self, caller: &str) -> Result<Turn, QueryError> {
        let turn = self.turns.wait(caller);
        let turn = turn.instrument(info_span!("wait for a turn")).await;
        turn.map_err(|e| QueryError::Busy { waiting: e.limit })
    }

    /// Counts a request by how it ended.
    pub(crate) fn count(&self, error: Option<&QueryError>, is_partial: bool) {
        let counter = match error {
            None => {
                if is_partial {
                    self.stats.partial.fetch_add(1, Ordering::Relaxed);
                }
                &self.stats.answered
            }
            Some(QueryError::Busy { .. }) => &self.stats.refused,
            Some(_) => &self.stats.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Refuses a query that narrows nothing down where more series match than such a query may touch.
    ///
    /// # Errors
    /// [`QueryError::TooBroad`].
    pub(crate) fn check_breadth(&self, query: &TagQuery) -> Result<(), QueryError> {
        if query.narrows() {
            return Ok(());
        }
        let series = self.tiers.hot.count_matching(query);
        let limit = self.limits.max_broad_series;
        match series > limit {
            true => Err(QueryError::TooBroad { series, limit }),
            false => Ok(()),
        }
    }

    /// Answers expressions for one whose turn it is.
    ///
    /// # Errors
    /// As [`Self::evaluate`], but for those of waiting.
    pub(crate) async fn answer(
        &self,
        exprs: &[&TimeSeriesExpr],
        states: &mut [EvalState],
        ctx: &EvalContext,
        options: QueryOptions<'_>,
    ) -> Result<Answer, QueryError> {
        let mut wanted: Vec<DataExpr> = Vec::new();
        for data in exprs.iter().flat_map(|e| e.data_exprs()) {
            if !wanted.contains(&data) {
                wanted.push(data);
            }
        }
        let runs = wanted.iter().map(|expr| {
            let span = info_span!("data", expr = %expr);
            self.data(expr, ctx, options).instrument(span)
        });
        let found = futures::future::try_join_all(runs).await?;
        let mut answer = Answer::default();
        let mut tiers: BTreeMap<u32, TierStats> = BTreeMap::new();
        let mut data: HashMap<DataExpr, Vec<TimeSeries>> = HashMap::new();
        for (expr, (series, outcome)) in wanted.into_iter().zip(found) {
            let stats = &mut answer.stats;
            stats.series += outcome.memory.series;
            stats.blocks += outcome.memory.blocks;
            for (cell_slots, of_tier) in outcome.history.tiers {
                *tiers.entry(cell_slots).or_default() += of_tier;
                stats.files += of_tier.files;
                stats.rows += of_tier.rows;
            }
            stats.lines += series.len() as u64;
            stats.datapoints += (series.len() * ctx.cells()) as u64;
            for part in outcome.history.missing {
                if !answer.missing.contains(&part) {
                    answer.missing.push(part);
                }
            }
            for notice in outcome.history.notices {
                notice.add(&mut answer.notices);
            }
            data.insert(expr, series);
        }
        answer.tiers = self.tiers_used(tiers);
        if options.strict && !answer.missing.is_empty() {
            let parts: Vec<String> = answer.missing.iter().map(ToString::to_string).collect();
            return Err(QueryError::Incomplete(parts.join(", ")));
        }
        let _evaluating = info_span!("evaluate").entered();
        let mut next = states.to_vec();
        for (expr, state) in exprs.iter().zip(&mut next) {
            answer
                .results
                .push(evaluate_chunk(expr, ctx, &data, state)?);
        }
        states.clone_from_slice(&next);
        Ok(answer)
    }

    fn tiers_used(&self, tiers: BTreeMap<u32, TierStats>) -> Vec<TierUse> {
        let step = self.tiers.history.step();
        let used = tiers.into_iter().map(|(cell_slots, stats)| TierUse {
            tier: resolution(cell_slots, step.millis() * i64::from(cell_slots)),
            files: stats.files,
            rows: stats.rows,
            values: stats.values,
        });
        used.collect()
    }

    async fn data(
        &self,
        expr: &DataExpr,
        ctx: &EvalContext,
        options: QueryOptions<'_>,
    ) -> Result<(Vec<TimeSeries>, ScanOutcome), QueryError> {
        if !options.all {
            self.check_breadth(&expr.query)?;
        }
        let Physical { plan, scan, root } = self.plan(expr, ctx)?;
        let batches = collect(root, self.context.clone())
            .await
            .map_err(QueryError::from_plan)?;
        let batch = concat_batches(&cells::SCHEMA, &batches)
            .map_err(|e| QueryError::Plan(e.to_string()))?;
        let cells = plan.scan.layout.cells;
        let groups = data_groups(&plan, &batch, self.limits.max_groups(cells), |e| {
            PlanError::TooMuch(self.limits.say(e, cells)).into()
        })
        .map_err(QueryError::from_plan)?;
        Ok((data_result(expr, groups, ctx), scan.take_outcome()))
    }

    fn plan(&self, expr: &DataExpr, ctx: &EvalContext) -> Result<Physical, QueryError> {
        let plan = DataPlan::new(
            expr,
            ctx,
            self.tiers.hot.step(),
            self.limits.max_groups(ctx.cells()),
            MAX_SERIES_ONE_BY_ONE,
        )?;
        let request = Arc::new(plan.scan.clone());
        let shards = self.tiers.hot.shards();
        let scan = ScanExec::new(
            request.clone(),
            plan.consolidation,
            self.limits.clone(),
            shards,
            self.partitions,
        );
        let scan = Arc::new(scan);
        let root = Arc::new(MergeExec::new(scan.clone(), request, self.limits.clone()));
        Ok(Physical { plan, scan, root })
    }

    /// The physical plan of a data expression, as text.
    ///
    /// # Errors
    /// When the step does not fit the store's.
    pub fn explain(&self, expr: &DataExpr, ctx: &EvalContext) -> Result<String, QueryError> {
        let physical = self.plan(expr, ctx)?;
        Ok(displayable(&*physical.root).indent(false).to_string())
    }
}
