//! SQL over the same data: DataFusion's planner over tables whose leaf reads memory and history as the leaf of the stack language does.
//!
//! ```text
//! text ─ statement ─▶ DataFusion ─▶ SeriesScanExec   rows of the table `metrics`, of its roll-ups, and of series('query')
//!                                 └ StackExec        rows of stack('expression', …)
//! ```
//!
//! Statements only read. They share turns, the list of queries under way, the time limit and the limits on series with the stack language; what they hold
//! in memory, each of them and all together, is bounded.

mod catalog;
mod chunks;
mod columns;
mod filter;
mod keys;
mod request;
mod rows;
mod scan;
mod series_function;
mod stack_function;
mod stack_scan;
mod statement;
mod statement_memory;
mod table;

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use hesper_stack::Vocabulary;
use tokio::time::Instant;
use tracing::Instrument;

pub use catalog::{CATALOG, SCHEMA};
pub use stack_function::Clock;

use crate::engine::{QueryEngine, QueryOptions};
use crate::error::QueryError;
use crate::running::Listed;
use crate::turns::Turn;
use catalog::{Catalog, Tables};
use keys::{MAX_KEYS, TagKeys};
use request::{About, SqlRequest};
use series_function::SeriesFunction;
use stack_function::StackFunction;
pub(crate) use statement_memory::SqlMemory;
use statement_memory::StatementMemory;

/// Answers statements in SQL.
pub struct SqlEngine {
    engine: Arc<QueryEngine>,
    context: SessionContext,
    tables: Tables,
    keys: Arc<TagKeys>,
    clock: Clock,
    memory: SqlMemory,
}

/// The answer to a statement: batches as they are computed.
///
/// Whoever does not read on keeps a turn, until the time for the query is up.
pub struct SqlAnswer {
    schema: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch, QueryError>>,
    request: Arc<SqlRequest>,
    more_keys: bool,
}

impl SqlEngine {
    /// SQL over an engine's data. All statements together hold at most `memory_bytes`, each at most half of it and what a query may.
    ///
    /// # Errors
    /// When DataFusion cannot be set up.
    pub fn new(
        engine: Arc<QueryEngine>,
        vocabulary: &'static Vocabulary,
        clock: Clock,
        memory_bytes: usize,
    ) -> Result<Self, QueryError> {
        // Nothing is written to disk, temporary files included.
        let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory_bytes)))
            .with_disk_manager_builder(no_disk)
            .build_arc()
            .map_err(QueryError::from_plan)?;
        let mut config = SessionConfig::new()
            .with_target_partitions(engine.partitions())
            .with_create_default_catalog_and_schema(false)
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_information_schema(true);
        // Texts leave as views only as far as `plain` makes them texts again.
        config.options_mut().optimizer.expand_views_at_output = false;
        let context = SessionContext::new_with_config_rt(config, runtime);
        let keys = Arc::new(TagKeys::new(engine.tiers().clone()));
        let tables = Tables::new(engine.clone(), keys.clone());
        context.register_catalog(CATALOG, Arc::new(Catalog(tables.clone())));
        let stack = StackFunction::new(engine.clone(), keys.clone(), vocabulary, clock.clone());
        context.register_udtf("stack", Arc::new(stack));
        context.register_udtf("series", Arc::new(SeriesFunction::new(tables.clone())));
        let memory = SqlMemory::new(memory_bytes, engine.limits().max_memory_bytes);
        Ok(Self {
            engine,
            context,
            tables,
            keys,
            clock,
            memory,
        })
    }

    /// The tables and their columns, as they are now.
    pub async fn tables(&self) -> Vec<(String, SchemaRef)> {
        self.keys.refresh().await;
        let tables = self.tables.schemas().into_iter();
        tables
            .map(|(name, schema)| (name, plain_schema(&schema)))
            .collect()
    }

    /// The columns of the answer to a statement, which is not run.
    ///
    /// # Errors
    /// When the statement cannot be planned.
    pub async fn schema(&self, sql: &str) -> Result<SchemaRef, QueryError> {
        self.keys.refresh().await;
        let state = self.state(SqlRequest::default());
        let plan = self.plan(&state, sql).await?;
        Ok(plain_schema(plan.schema().as_arrow()))
    }

    /// Runs a statement under its name.
    ///
    /// # Errors
    /// When it cannot be planned, does more than read, or meets a limit before its first batch is asked for.
    pub async fn run(&self, sql: &str, options: QueryOptions<'_>) -> Result<SqlAnswer, QueryError> {
        let queries = self.engine.queries();
        let mut guard = Guard {
            listed: queries.begin(sql, options.caller, (self.clock)()),
            deadline: Instant::now() + self.engine.limits().timeout,
            millis: self.engine.limits().timeout.as_millis(),
            engine: self.engine.clone(),
            _turn: None,
        };
        let begun = guard.run(self.begin(sql, options)).await;
        let (turn, stream, request, more_keys) = match begun.and_then(|begun| begun) {
            Ok(begun) => begun,
            Err(error) => return Err(guard.fail(error)),
        };
        guard._turn = Some(turn);
        let schema = plain_schema(&stream.schema());
        let batches = Batches {
            stream,
            guard,
            schema: schema.clone(),
            request: request.clone(),
            memory: self.memory,
        };
        let batches = stream::unfold(Some(batches), |batches| async move {
            let mut batches = batches?;
            match batches.next().await? {
                Ok(batch) => Some((Ok(batch), Some(batches))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(SqlAnswer {
            schema,
            batches: batches.boxed(),
            request,
            more_keys,
        })
    }

    async fn begin(
        &self,
        sql: &str,
        options: QueryOptions<'_>,
    ) -> Result<(Turn, SendableRecordBatchStream, Arc<SqlRequest>, bool), QueryError> {
        let turn = self.engine.turn(options.caller).await?;
        let known = self.keys.refresh().await;
        let state = self.state(SqlRequest::new(options));
        let request = SqlRequest::of(state.config()).map_err(QueryError::from_plan)?;
        let plan = self.plan(&state, sql).await?;
        let physical = state.create_physical_plan(&plan).await;
        let context = Arc::new(self.task_context(&state));
        let stream = physical.and_then(|physical| execute_stream(physical, context));
        let stream = stream.map_err(|e| QueryError::from_sql(e, self.memory))?;
        Ok((turn, stream, request, known.more))
    }

    fn state(&self, request: SqlRequest) -> SessionState {
        let mut state = self.context.state();
        state.config_mut().set_extension(Arc::new(request));
        state
    }

    /// What a statement runs with: memory of its own, within that of all.
    fn task_context(&self, state: &SessionState) -> TaskContext {
        let mut runtime = RuntimeEnv::clone(state.runtime_env());
        let memory = StatementMemory::new(runtime.memory_pool, self.memory.statement);
        runtime.memory_pool = Arc::new(memory);
        TaskContext::from(state).with_runtime(Arc::new(runtime))
    }

    async fn plan(&self, state: &SessionState, sql: &str) -> Result<LogicalPlan, QueryError> {
        statement::check_text(sql)?;
        let plan = state.create_logical_plan(sql).await;
        let plan = plan.map_err(|e| QueryError::from_sql(e, self.memory))?;
        statement::check_plan(&plan)?;
        Ok(plan)
    }
}

impl SqlAnswer {
    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch; `None` at the end. After an error there is nothing more.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        self.batches.next().await
    }

    /// The batches.
    pub fn into_stream(self) -> BoxStream<'static, Result<RecordBatch, QueryError>> {
        self.batches
    }

    /// What the reader is to know before trusting the rows; complete at the end. Promise P4: parts that are missing, where the caller allows that.
    pub fn notices(&self) -> Vec<String> {
        let About {
            missing, notices, ..
        } = self.request.about();
        let missing = missing.iter();
        let missing = missing.map(|part| format!("partial answer, {part} is missing"));
        let more_keys = self
            .more_keys
            .then(|| format!("there are more than {MAX_KEYS} tag keys; the others have no column"));
        missing
            .chain(notices.iter().map(ToString::to_string))
            .chain(more_keys)
            .collect()
    }
}

/// A statement on the list of queries: its limit of time, and that it can be ended.
struct Guard {
    listed: Listed,
    deadline: Instant,
    millis: u128,
    engine: Arc<QueryEngine>,
    _turn: Option<Turn>,
}

impl Guard {
    /// Waits for a part of the work, unless the query is ended before.
    async fn run<T>(&mut self, work: impl Future<Output = T>) -> Result<T, QueryError> {
        let span = self.listed.span();
        tokio::select! {
            biased;
            () = self.listed.killed() => Err(QueryError::Killed),
            done = tokio::time::timeout_at(self.deadline, work.instrument(span)) => {
                done.map_err(|_| QueryError::Timeout { millis: self.millis })
            }
        }
    }

    /// The query has failed.
    fn fail(&mut self, error: QueryError) -> QueryError {
        self.engine.count(Some(&error), false);
        self.listed.end(error.to_string(), Default::default());
        error
    }
}

/// The batches of a statement under way.
struct Batches {
    // Dropped before the guard, which gives the turn back.
    stream: SendableRecordBatchStream,
    guard: Guard,
    schema: SchemaRef,
    request: Arc<SqlRequest>,
    memory: SqlMemory,
}

impl Batches {
    async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        let next = self.guard.run(self.stream.next()).await;
        let batch = match next {
            Ok(Some(Ok(batch))) => plain(&batch, &self.schema),
            Ok(Some(Err(error))) => Err(QueryError::from_sql(error, self.memory)),
            Ok(None) => {
                let about = self.request.about();
                let engine = &self.guard.engine;
                engine.count(None, !about.missing.is_empty());
                self.guard.listed.end("ok", about.stats);
                return None;
            }
            Err(ended) => Err(ended),
        };
        Some(batch.map_err(|e| self.guard.fail(e)))
    }
}

/// A schema with texts for views of texts, which not every client knows.
fn plain_schema(schema: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| match field.data_type() {
        DataType::Utf8View => {
            let plain = field.as_ref().clone().with_data_type(DataType::Utf8);
            Arc::new(plain)
        }
        _ => field.clone(),
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(field).collect();
    Arc::new(Schema::new(fields))
}

fn plain(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, QueryError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns: Result<Vec<ArrayRef>, _> = columns
        .map(
            |(column, field)| match column.data_type() == field.data_type() {
                true => Ok(column.clone()),
                false => cast(column, field.data_type()),
            },
        )
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    columns
        .and_then(|columns| RecordBatch::try_new_with_options(schema.clone(), columns, &options))
        .map_err(|e| QueryError::Plan(e.to_string()))
}
