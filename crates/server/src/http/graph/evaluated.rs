//! A graph from its parameters to its lines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use hesper_model::BLOCK_SLOTS;
use hesper_query::engine::{HeldByAnswer, QueryOptions, QueryStats};
use hesper_query::{Answer, MissingPart, Notice, StageTimes, TierUse, aside};
use hesper_stack::graph::{DisplayOptions, Graph, Line, assemble};
use hesper_stack::time::{GraphTime, TimeZone, time_range};
use hesper_stack::{EvalContext, GraphOptions, StackError, StyleExpr, TimeSeriesExpr, parse_graph};

use crate::clock;
use crate::http::error::ApiError;
use crate::http::params::Params;
use crate::node::NodeState;

/// More than this is not made to lines, or written, on a task that serves connections.
const LARGE_DATAPOINTS: u64 = 20_000;

/// A graph that names no zone is in this one.
const DEFAULT_ZONE: &str = "UTC";

/// What is asked for.
pub struct GraphRequest {
    /// The program.
    pub program: String,
    /// Its expressions.
    pub exprs: Vec<StyleExpr>,
    /// The times.
    pub time: GraphTime,
    /// The zones, at least one, under the names they were asked for by.
    pub zones: Vec<(String, TimeZone)>,
    /// How it is shown.
    pub display: DisplayOptions,
    /// An answer that lacks a part is an error.
    strict: bool,
    /// A query that narrows nothing down is meant.
    all: bool,
    /// The answer is to say what was done for it.
    explain: bool,
}

/// A graph, evaluated.
pub struct EvaluatedGraph {
    /// What was asked for.
    pub request: GraphRequest,
    /// The lines, by axis.
    pub graph: Graph,
    /// Parts of the data that could not be read.
    pub missing: Vec<MissingPart>,
    /// What is to be known of how the data were made.
    pub about_data: Vec<Notice>,
    /// The resolutions of history that were read.
    pub tiers: Vec<TierUse>,
    /// What was looked at.
    pub stats: QueryStats,
    /// How long the stages of the data took.
    pub times: StageTimes,
    /// How long lines, legends and figures took.
    pub assembled: Duration,
    /// How long the data took, in milliseconds.
    pub fetch_millis: u64,
    /// The turn and the memory, until the graph is written.
    pub held: Option<Arc<HeldByAnswer>>,
}

/// The zones that are asked for, the primary one first.
///
/// # Errors
/// When one is not known.
pub fn zones(params: &Params) -> Result<Vec<(String, TimeZone)>, StackError> {
    let mut names: Vec<&str> = params.all("tz").collect();
    if names.is_empty() {
        names.push(DEFAULT_ZONE);
    }
    let zone = |name: &str| Ok((name.to_owned(), TimeZone::parse(name)?));
    names.into_iter().map(zone).collect()
}

/// The expressions that are asked for, and their program.
///
/// # Errors
/// When there is no program, or it cannot be run.
pub fn expressions(
    node: &NodeState,
    params: &Params,
    zone: &str,
) -> Result<(String, Vec<StyleExpr>), StackError> {
    let program = params
        .get("q")
        .ok_or_else(|| StackError::IllegalArgument("missing required parameter 'q'".to_owned()))?;
    let options = GraphOptions {
        time_zone: zone,
        common_query: params.get("cq"),
        vocabulary: node.vocabulary,
        ..GraphOptions::default()
    };
    Ok((program.to_owned(), parse_graph(program, &options)?))
}

/// The range that is asked for.
///
/// # Errors
/// When a time cannot be read, or the end lies before the start.
pub fn range(
    params: &Params,
    zone: TimeZone,
) -> Result<(hesper_model::Timestamp, hesper_model::Timestamp), StackError> {
    let start = params.get("s").unwrap_or("e-3h");
    let end = params.get("e").unwrap_or("now");
    time_range(start, end, clock::now(), zone)
}

impl GraphRequest {
    /// Reads the parameters.
    ///
    /// # Errors
    /// When one makes no sense, or the program cannot be run.
    pub fn read(node: &NodeState, params: &Params) -> Result<Self, StackError> {
        if params.get("q").is_none() {
            return Err(StackError::IllegalArgument(
                "missing required parameter 'q'".to_owned(),
            ));
        }
        let display = DisplayOptions::read(|name| params.get(name).map(str::to_owned))?;
        let zones = zones(params)?;
        let (name, zone) = &zones[0];
        let range = range(params, *zone)?;
        let width = usize::try_from(display.width).expect("above zero, as it was checked");
        let time = GraphTime::new(range, node.hot.step(), params.get("step"), width)?;
        let (program, exprs) = expressions(node, params, name)?;
        Ok(Self {
            program,
            exprs,
            time,
            zones,
            display,
            strict: params.is_on("strict"),
            all: params.is_on("all"),
            explain: params.is_on("explain"),
        })
    }

    /// Evaluates it for a caller.
    ///
    /// # Errors
    /// Those of the query, and settings of expressions that make no sense.
    pub async fn evaluate(
        self,
        node: &NodeState,
        caller: &str,
    ) -> Result<EvaluatedGraph, ApiError> {
        let began = Instant::now();
        let wanted: Vec<&TimeSeriesExpr> = self.exprs.iter().map(|style| &*style.expr).collect();
        let ctx = self.time.context();
        let options = QueryOptions {
            strict: self.strict,
            all: self.all,
            caller,
        };
        let query = node.engine.evaluate(&wanted, &ctx, options);
        let queries = node.engine.queries();
        let answer = queries
            .run(&self.program, caller, clock::now(), query)
            .await?;
        let fetch_millis = began.elapsed().as_millis() as u64;
        let large = answer.stats.datapoints > LARGE_DATAPOINTS;
        aside::run(large, move || self.assemble(answer, ctx, fetch_millis)).await
    }

    fn assemble(
        self,
        answer: Answer,
        ctx: EvalContext,
        fetch_millis: u64,
    ) -> Result<EvaluatedGraph, ApiError> {
        let began = Instant::now();
        // Expressions are asked for in the order in which they lie, but axis by axis.
        let mut results: Vec<_> = answer.results.into_iter().map(Some).collect();
        let graph = assemble(&self.exprs, &self.display, &ctx, |style| {
            let place = self.exprs.iter().position(|e| std::ptr::eq(e, style));
            let result = place.and_then(|place| results[place].take());
            Ok(result.expect("each expression is evaluated once"))
        })?;
        Ok(EvaluatedGraph {
            request: self,
            graph,
            missing: answer.missing,
            about_data: answer.notices,
            tiers: answer.tiers,
            stats: answer.stats,
            times: answer.times,
            assembled: began.elapsed(),
            fetch_millis,
            held: answer.held,
        })
    }
}

/// What is to be known of data before they are trusted: parts that are missing, and how the rest was made.
pub fn data_notices(
    missing: &[MissingPart],
    about_data: &[Notice],
) -> impl Iterator<Item = String> {
    let missing = missing.iter();
    let missing = missing.map(|part| format!("partial answer, {part} is missing"));
    missing.chain(about_data.iter().map(ToString::to_string))
}

impl EvaluatedGraph {
    /// The lines, axis by axis, in the order of the legend.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.graph.plots.iter().flat_map(|plot| &plot.lines)
    }

    /// True when its lines are too much to be written on a task that serves connections.
    pub fn is_large(&self) -> bool {
        let datapoints = self.lines().count() * self.request.time.context().cells();
        datapoints as u64 > LARGE_DATAPOINTS
    }

    /// True when the answer is to say what was done for it.
    pub fn explains(&self) -> bool {
        self.request.explain
    }

    /// What the reader is to know before trusting the lines.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = self.graph.warnings.clone();
        notices.extend(self.data_notices());
        notices
    }

    /// Promise P4: an answer that lacks a part says so, and so does one from cells that do not fit its step.
    pub fn data_notices(&self) -> impl Iterator<Item = String> {
        data_notices(&self.missing, &self.about_data)
    }

    /// Series that matched in memory and rows of history.
    pub fn input_lines(&self) -> u64 {
        self.stats.series + self.stats.rows
    }

    /// Slots and cells looked at, with or without data.
    pub fn input_datapoints(&self) -> u64 {
        let of_history: u64 = self.tiers.iter().map(|tier| tier.values).sum();
        self.stats.blocks * BLOCK_SLOTS as u64 + of_history
    }

    /// The parts that are missing, as a header names them; `None` when there are none.
    pub fn missing_parts(&self) -> Option<HeaderValue> {
        if self.missing.is_empty() {
            return None;
        }
        let parts: Vec<&str> = self.missing.iter().map(|m| m.part.as_str()).collect();
        let named = HeaderValue::from_str(&parts.join(", "));
        Some(named.unwrap_or(HeaderValue::from_static("parts whose names are no header")))
    }
}
