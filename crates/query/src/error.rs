//! What can go wrong with a query.

use datafusion::error::DataFusionError;
use hesper_stack::StackError;

use crate::sql::SqlMemory;

/// A query that cannot be answered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    /// The expression does not fit its series, or cannot be read.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The step asked for cannot be made of the store's.
    #[error("IllegalArgumentException: {0}")]
    Step(String),
    /// More lines or datapoints than a query may have.
    #[error("IllegalStateException: {0}")]
    TooMuch(String),
    /// The query would touch too many series without narrowing them down.
    #[error(
        "IllegalArgumentException: the query matches {series} series ({datapoints} datapoints in memory or history) without narrowing them down, more than {limit}; ask for a name or another tag, or say that all are meant (all=1)"
    )]
    TooBroad {
        /// Series that match.
        series: u64,
        /// Datapoints that they may have in the range.
        datapoints: u64,
        /// The limit.
        limit: u64,
    },
    /// Too many queries wait already.
    #[error(
        "ServiceUnavailableException: {waiting} queries are waiting, the limit; ask again later"
    )]
    Busy {
        /// How many wait.
        waiting: usize,
    },
    /// All queries together hold as much memory as they may.
    #[error(
        "ServiceUnavailableException: the queries under way hold all of the {limit} bytes that they may; ask again later"
    )]
    OutOfMemory {
        /// The limit.
        limit: u64,
    },
    /// The query took longer than it may.
    #[error(
        "TimeoutException: the query took longer than {millis} ms; ask for fewer series or a shorter range"
    )]
    Timeout {
        /// The limit.
        millis: u128,
    },
    /// Somebody ended the query.
    #[error("CancellationException: the query was ended by an operator")]
    Killed,
    /// A part of the data cannot be read, and the caller wants all or nothing.
    #[error("IOException: the answer would lack {0}")]
    Incomplete(String),
    /// The SQL cannot be read, asks for what is not there or not allowed, or fails over its values.
    #[error("SqlException: {0}")]
    Sql(String),
    /// The SQL would hold more in memory than it, or all of SQL together, may.
    #[error(
        "ResourcesExhaustedException: a query in SQL may hold {statement} bytes in memory, all of them together {all}, and this one needs more \
         ({cause}); ask for fewer series, a shorter range or fewer groups, or raise --sql-memory or --max-query-memory"
    )]
    SqlMemory {
        /// What each may hold.
        statement: usize,
        /// What all that run at the same time may hold.
        all: usize,
        /// What asked for more.
        cause: String,
    },
    /// The plan failed: a defect of Hesper itself.
    #[error("QueryException: {0}")]
    Plan(String),
}

impl QueryError {
    /// The error that travelled through a plan.
    pub(crate) fn from_plan(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::External(source) => match source.downcast_ref::<PlanError>() {
                Some(own) => own.clone().into(),
                None => Self::Plan(source.to_string()),
            },
            other => Self::Plan(other.to_string()),
        }
    }

    /// The error of a statement in SQL, of which the one who wrote it is told. `memory` is what SQL may hold.
    pub(crate) fn from_sql(error: DataFusionError, memory: SqlMemory) -> Self {
        match error.find_root() {
            DataFusionError::External(_) | DataFusionError::Internal(_) => Self::from_plan(error),
            DataFusionError::ResourcesExhausted(cause) => Self::SqlMemory {
                statement: memory.statement,
                all: memory.all,
                cause: cause.lines().next().unwrap_or_default().to_owned(),
            },
            DataFusionError::SQL(parse, _) => Self::Sql(parse.to_string()),
            DataFusionError::Plan(text)
            | DataFusionError::Execution(text)
            | DataFusionError::NotImplemented(text) => Self::Sql(text.clone()),
            DataFusionError::ArrowError(error, _) => Self::Sql(error.to_string()),
            other => Self::Sql(other.strip_backtrace()),
        }
    }
}

/// An error of our own plan nodes that the caller is told as it is.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("{0}")]
    TooMuch(String),
    #[error(transparent)]
    Told(QueryError),
    #[error("all queries together hold the {limit} bytes that they may")]
    OutOfMemory { limit: u64 },
}

impl From<PlanError> for QueryError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Told(error) => error,
            PlanError::TooMuch(text) => Self::TooMuch(text),
            PlanError::OutOfMemory { limit } => Self::OutOfMemory { limit },
        }
    }
}

impl From<PlanError> for DataFusionError {
    fn from(error: PlanError) -> Self {
        Self::External(Box::new(error))
    }
}

impl From<QueryError> for PlanError {
    fn from(error: QueryError) -> Self {
        Self::Told(error)
    }
}
