//! The engine: runs the data expressions of a request, each once, and evaluates the language over what they found.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{StreamExt, TryStreamExt, stream};
use hesper_model::TagQuery;
use hesper_stack::{
    DataExpr, EvalContext, EvalState, ResultSet, StackError, TimeSeries, TimeSeriesExpr,
    data_result, evaluate_chunk, evaluate_chunk_last,
};
use tracing::{Instrument, info_span};

use crate::aside;
use crate::budget::{Budget, HeldText, MemoryOfQueries};
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

/// Data expressions of a query that are run at the same time, when nobody waits for his turn.
const AT_ONCE: usize = 4;

/// Values that are not computed with on a task that serves connections.
const LARGE_VALUES: usize = 20_000;

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
    /// Bytes of them, about.
    pub block_bytes: u64,
    /// History files read.
    pub files: u64,
    /// History rows read.
    pub rows: u64,
    /// Bytes of history read, about.
    pub row_bytes: u64,
    /// Lines that the data expressions gave.
    pub lines: u64,
    /// Datapoints in them.
    pub datapoints: u64,
}

/// How long the stages of an answer took. Those of several data expressions are added up, though they may run at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Until it was the caller's turn.
    pub waited: Duration,
    /// Matching, grouping and folding in memory.
    pub memory: Duration,
    /// Reading and folding history.
    pub history: Duration,
    /// Bringing together what the partitions found.
    pub merged: Duration,
    /// The language.
    pub evaluated: Duration,
}

/// What is held until an answer is made use of: the turn, so that no other query takes it meanwhile, and the memory.
#[derive(Debug)]
pub struct HeldByAnswer {
    _turn: Turn,
    budget: Arc<Budget>,
}

impl HeldByAnswer {
    /// Takes the memory of the text, or picture, that was made of the answer, for as long as it takes to send it.
    ///
    /// # Errors
    /// When all queries together hold too much with it.
    pub fn hold_text(&self, bytes: u64) -> Result<HeldText, QueryError> {
        Ok(self.budget.hold_text(bytes)?)
    }
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
    /// How long it took.
    pub times: StageTimes,
    /// To be dropped when the results are made use of.
    pub held: Option<Arc<HeldByAnswer>>,
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

/// What a data expression gave.
struct Found {
    series: Vec<TimeSeries>,
    outcome: ScanOutcome,
    merged: Duration,
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
    memory: Arc<MemoryOfQueries>,
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
            memory: Arc::default(),
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

    /// Bytes that the queries under way hold, about.
    pub fn held_bytes(&self) -> u64 {
        self.memory.held_bytes()
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
        let began = Instant::now();
        let answer = tokio::time::timeout(self.limits.timeout, async {
            let turn = self.turn(options.caller).await?;
            let waited = began.elapsed();
            let budget = self.budget();
            let mut answer = self.answer(exprs, states, ctx, options, &budget).await?;
            answer.times.waited = waited;
            answer.held = Some(Arc::new(HeldByAnswer {
                _turn: turn,
                budget,
            }));
            Ok(answer)
        });
        let answer = answer.await.unwrap_or_else(|_| Err(self.timeout()));
        let is_partial = answer.as_ref().is_ok_and(|a| !a.missing.is_empty());
        self.count(answer.as_ref().err(), is_partial);
        answer
    }

    /// A budget of which nothing is used.
    pub(crate) fn budget(&self) -> Arc<Budget> {
        Arc::new(Budget::new(self.limits.clone(), self.memory.clone()))
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
            Some(QueryError::Busy { .. } | QueryError::OutOfMemory { .. }) => &self.stats.refused,
            Some(_) => &self.stats.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Refuses a query that narrows nothing down where more series match than such a query may touch in `slots` slots, one at least.
    ///
    /// # Errors
    /// [`QueryError::TooBroad`].
    pub(crate) fn check_breadth(&self, query: &TagQuery, slots: u64) -> Result<(), QueryError> {
        if query.narrows() {
            return Ok(());
        }
        let series = self.tiers.hot.count_matching(query);
        let limit = self.limits.max_broad_series;
        match series > limit {
            true => Err(QueryError::TooBroad {
                series,
                datapoints: series.saturating_mul(slots),
                limit,
            }),
            false => Ok(()),
        }
    }

    /// Does something when it is the caller's turn, in the time that a query may take.
    pub(crate) async fn in_turn<T>(
        &self,
        caller: &str,
        work: impl Future<Output = Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        let timed = tokio::time::timeout(self.limits.timeout, async {
            let _turn = self.turn(caller).await?;
            work.await
        });
        timed.await.unwrap_or_else(|_| Err(self.timeout()))
    }

    fn timeout(&self) -> QueryError {
        QueryError::Timeout {
            millis: self.limits.timeout.as_millis(),
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
        budget: &Arc<Budget>,
    ) -> Result<Answer, QueryError> {
        let mut wanted: Vec<DataExpr> = Vec::new();
        for data in exprs.iter().flat_map(|e| e.data_exprs()) {
            if !wanted.contains(&data) {
                wanted.push(data);
            }
        }
        // Each keeps all cores busy: who has many is not to have more of them than others.
        let at_once = if self.turns.counts().1 > 0 {
            1
        } else {
            AT_ONCE
        };
        let runs = wanted.iter().map(|expr| {
            let span = info_span!("data", expr = %expr);
            self.data(expr, ctx, options, budget).instrument(span)
        });
        let found: Vec<Found> = stream::iter(runs.collect::<Vec<_>>())
            .buffered(at_once)
            .try_collect()
            .await?;
        let mut answer = Answer::default();
        let mut tiers: BTreeMap<u32, TierStats> = BTreeMap::new();
        let mut data: HashMap<DataExpr, Vec<TimeSeries>> = HashMap::new();
        for (expr, found) in wanted.into_iter().zip(found) {
            let Found {
                series,
                outcome,
                merged,
            } = found;
            answer.times.memory += outcome.memory_time;
            answer.times.history += outcome.history_time;
            answer.times.merged += merged;
            let stats = &mut answer.stats;
            stats.series += outcome.memory.series;
            stats.blocks += outcome.memory.blocks;
            stats.block_bytes += outcome.memory.bytes;
            for (cell_slots, of_tier) in outcome.history.tiers {
                *tiers.entry(cell_slots).or_default() += of_tier;
                stats.files += of_tier.files;
                stats.rows += of_tier.rows;
                stats.row_bytes += of_tier.bytes;
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
        let began = Instant::now();
        // What the operators of an expression make, and what they make it of: as many lines as they are given, at least one.
        let lines = |e: &TimeSeriesExpr| {
            let found = e.data_exprs();
            let found = found.iter().map(|d| data.get(d).map_or(0, Vec::len));
            found.sum::<usize>().max(1)
        };
        let values = exprs.iter().map(|e| lines(e)).sum::<usize>() * ctx.cells();
        budget.hold((2 * size_of::<f64>() * values) as u64)?;
        let exprs: Vec<TimeSeriesExpr> = exprs.iter().map(|e| (*e).clone()).collect();
        let (next, ctx) = (states.to_vec(), *ctx);
        let span = info_span!("evaluate");
        let work = move || span.in_scope(|| evaluate_all(&exprs, next, &ctx, data));
        let (results, next) = aside::run(values > LARGE_VALUES, work).await?;
        answer.results = results;
        answer.times.evaluated = began.elapsed();
        states.clone_from_slice(&next);
        Ok(answer)
    }

    fn tiers_used(&self, tiers: BTreeMap<u32, TierStats>) -> Vec<TierUse> {
        let step = self.tiers.history.step();
        let used = tiers.into_iter().map(|(cell_slots, stats)| TierUse {
            tier: resolution(cell_slots, step.millis() * i64::from(cell_slots)),
            files: stats.files,
            rows: stats.rows,
            bytes: stats.bytes,
            values: stats.values,
        });
        used.collect()
    }

    async fn data(
        &self,
        expr: &DataExpr,
        ctx: &EvalContext,
        options: QueryOptions<'_>,
        budget: &Arc<Budget>,
    ) -> Result<Found, QueryError> {
        if !options.all {
            let millis = ctx.end.millis() - ctx.start.millis();
            let slots = millis / self.tiers.hot.step().millis();
            self.check_breadth(&expr.query, slots.max(1) as u64)?;
        }
        let began = Instant::now();
        let Physical { plan, scan, root } = self.plan(expr, ctx, budget)?;
        let batches = collect(root, self.context.clone())
            .await
            .map_err(QueryError::from_plan)?;
        let outcome = scan.take_outcome();
        let (expr, ctx, limits) = (expr.clone(), *ctx, self.limits.clone());
        let values = batches.iter().map(RecordBatch::num_rows).sum::<usize>() * ctx.cells();
        budget.hold((size_of::<f64>() * values) as u64)?;
        let series = aside::run(
            values > LARGE_VALUES,
            move || -> Result<_, DataFusionError> {
                let cells = plan.scan.layout.cells;
                let groups = data_groups(&plan, &batches, limits.max_groups(cells), |e| {
                    PlanError::TooMuch(limits.say(e, cells)).into()
                })?;
                Ok(data_result(&expr, groups, &ctx))
            },
        );
        let series = series.await.map_err(QueryError::from_plan)?;
        let scanned = outcome.memory_time + outcome.history_time;
        Ok(Found {
            series,
            merged: began.elapsed().saturating_sub(scanned),
            outcome,
        })
    }

    fn plan(
        &self,
        expr: &DataExpr,
        ctx: &EvalContext,
        budget: &Arc<Budget>,
    ) -> Result<Physical, QueryError> {
        let plan = DataPlan::new(
            expr,
            ctx,
            self.tiers.hot.step(),
            self.limits.max_groups(ctx.cells()),
            self.limits.max_series_one_by_one(ctx.cells()),
        )?;
        let request = Arc::new(plan.scan.clone());
        let shards = self.tiers.hot.shards();
        let scan = ScanExec::new(
            request.clone(),
            plan.consolidation,
            self.limits.clone(),
            budget.clone(),
            (shards, self.partitions),
        );
        let scan = Arc::new(scan);
        let (limits, budget) = (self.limits.clone(), budget.clone());
        let root = Arc::new(MergeExec::new(scan.clone(), request, limits, budget));
        Ok(Physical { plan, scan, root })
    }

    /// The physical plan of a data expression, as text.
    ///
    /// # Errors
    /// When the step does not fit the store's.
    pub fn explain(&self, expr: &DataExpr, ctx: &EvalContext) -> Result<String, QueryError> {
        let physical = self.plan(expr, ctx, &self.budget())?;
        Ok(displayable(&*physical.root).indent(false).to_string())
    }
}

/// The results of expressions, in their order, and what their operators remember.
fn evaluate_all(
    exprs: &[TimeSeriesExpr],
    mut states: Vec<EvalState>,
    ctx: &EvalContext,
    mut data: HashMap<DataExpr, Vec<TimeSeries>>,
) -> Result<(Vec<ResultSet>, Vec<EvalState>), StackError> {
    // From behind: whether an expression is the last that needs its data.
    let mut needed = HashSet::new();
    let mut last: Vec<bool> = Vec::with_capacity(exprs.len());
    for expr in exprs.iter().rev() {
        let data = expr.data_exprs();
        last.push(data.iter().all(|d| !needed.contains(d)));
        needed.extend(data);
    }
    let results = exprs.iter().zip(&mut states).zip(last.iter().rev());
    let results = results.map(|((expr, state), last)| match *last {
        true => evaluate_chunk_last(expr, ctx, &mut data, state),
        false => evaluate_chunk(expr, ctx, &data, state),
    });
    let results = results.collect::<Result<Vec<_>, _>>()?;
    Ok((results, states))
}
