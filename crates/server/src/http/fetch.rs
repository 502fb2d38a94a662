//! `GET /api/v2/fetch`: the lines of expressions as server-sent events, chunk by chunk, so that long ranges begin to arrive at once.
//!
//! Each event is a JSON object: what is said about the graph (with the hint `presentation-metadata`), a `timeseries` for each line of each chunk
//! that has data, `info` as a heartbeat, `error`, and `close` at the end. What operators remember is carried from chunk to chunk.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use hesper_chart::chart::Zone;
use hesper_chart::{from_stack, graph_metadata, plot_metadata};
use hesper_model::{ItemId, Tags};
use hesper_query::engine::QueryOptions;
use hesper_stack::graph::{DisplayOptions, OFFSET_TAG, assemble};
use hesper_stack::legend::Legend;
use hesper_stack::span::ShortSpan;
use hesper_stack::time::{GraphTime, fetch_range};
use hesper_stack::{
    EvalContext, EvalState, ResultSet, StackError, StyleExpr, TimeSeries, TimeSeriesExpr,
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::access::Caller;
use super::error::ApiError;
use super::graph;
use super::json::Number;
use super::params::Params;
use crate::clock;
use crate::node::NodeState;

/// Datapoints of a line in one event.
const CHUNK: i64 = 60;

/// Events that wait for the caller to read; then the next chunk is not computed yet.
const EVENTS_AHEAD: usize = 64;

/// How often a caller who waits hears that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The tag under which the expression goes into the id of a line.
const QUERY_TAG: &str = "atlas.query";

/// The lines of expressions, chunk by chunk.
///
/// # Errors
/// In Atlas's shape, for what can be told before the first chunk; later errors are events.
pub async fn fetch(
    State(node): State<Arc<NodeState>>,
    Extension(Caller(caller)): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::read(query.as_deref());
    let stream = FetchStream::read(&node, &params, caller)?;
    let (events, receiver) = mpsc::channel(EVENTS_AHEAD);
    tokio::spawn(async move { stream.run(&node, events).await });
    let heartbeat = json!({"type": "info", "message": "heartbeat"}).to_string();
    let events = ReceiverStream::new(receiver).timeout_repeating(tokio::time::interval(HEARTBEAT));
    let events = events.map(move |event| {
        let data = event.unwrap_or_else(|_elapsed| heartbeat.clone());
        Ok::<_, Infallible>(Event::default().data(data))
    });
    Ok(Sse::new(events).into_response())
}

/// What is asked for.
struct FetchStream {
    program: String,
    exprs: Vec<StyleExpr>,
    range: EvalContext,
    display: DisplayOptions,
    zones: Vec<Zone>,
    caller: Arc<str>,
    strict: bool,
    all: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    r#type: &'static str,
    id: String,
    query: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    group_by_keys: Vec<Arc<str>>,
    label: String,
    tags: Tags,
    start: i64,
    end: i64,
    step: i64,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    r#type: &'static str,
    values: Vec<Number>,
}

impl FetchStream {
    fn read(node: &NodeState, params: &Params, caller: Arc<str>) -> Result<Self, StackError> {
        let display = DisplayOptions::read(|name| params.get(name).map(str::to_owned))?;
        let zones = graph::zones(params)?;
        let (name, zone) = &zones[0];
        let range = graph::range(params, *zone)?;
        let range = fetch_range(range, node.hot.step(), params.get("step"))?;
        let (program, exprs) = graph::expressions(node, params, name)?;
        Ok(Self {
            program,
            exprs,
            range,
            display,
            zones: zones
                .into_iter()
                .map(|(name, zone)| Zone { name, zone })
                .collect(),
            caller,
            strict: params.is_on("strict"),
            all: params.is_on("all"),
        })
    }

    /// Sends all events. Ends early when the caller is gone.
    async fn run(self, node: &NodeState, events: mpsc::Sender<String>) {
        let sent = self.send_all(node, &events).await;
        if let Err(error) = sent {
            let error = json!({"type": "error", "message": error.message()});
            // The caller may be gone.
            let _ = events.send(error.to_string()).await;
        }
        let close = json!({"type": "close", "message": "operation complete"});
        let _ = events.send(close.to_string()).await;
    }

    async fn send_all(
        &self,
        node: &NodeState,
        events: &mpsc::Sender<String>,
    ) -> Result<(), ApiError> {
        if self.display.has_hint("presentation-metadata") {
            for entry in self.metadata()? {
                if events.send(entry.to_string()).await.is_err() {
                    return Ok(());
                }
            }
        }
        let wanted: Vec<&TimeSeriesExpr> = self.exprs.iter().map(|style| &*style.expr).collect();
        let texts: Vec<String> = self.exprs.iter().map(StyleExpr::to_string).collect();
        let mut states = vec![EvalState::over(self.range); wanted.len()];
        let options = QueryOptions {
            strict: self.strict,
            all: self.all,
            caller: &self.caller,
        };
        for chunk in chunks(&self.range) {
            let query = node
                .engine
                .evaluate_chunk(&wanted, &mut states, &chunk, options);
            let queries = node.engine.queries();
            let mut answer = queries
                .run(&self.program, &self.caller, clock::now(), query)
                .await?;
            // Whoever reads slowly does not keep others from their turn.
            answer.held = None;
            // Promise P4: an answer that lacks a part says so.
            for text in graph::data_notices(&answer.missing, &answer.notices) {
                let warning = json!({"type": "warn", "message": text}).to_string();
                if events.send(warning).await.is_err() {
                    return Ok(());
                }
            }
            for ((style, text), result) in self.exprs.iter().zip(&texts).zip(answer.results) {
                let legend = Legend::new(style, result.series.len())?;
                for series in result.series {
                    if series.values.iter().all(|v| v.is_nan()) {
                        continue;
                    }
                    let message = message(style, &legend, text, series, &chunk)?;
                    if events.send(message).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// What is said about the graph and its axes.
    ///
    /// # Errors
    /// When a parameter of an axis, a palette or a colour makes no sense.
    fn metadata(&self) -> Result<Vec<Value>, StackError> {
        let time = GraphTime {
            start: self.range.start.plus_millis(-self.range.step.millis()),
            end: self.range.end.plus_millis(-self.range.step.millis()),
            step: self.range.step,
        };
        let without_lines = |_: &StyleExpr| Ok(ResultSet::default());
        let graph = assemble(&self.exprs, &self.display, &time.context(), without_lines)?;
        let chart = from_stack::chart(graph, &self.display, &time, self.zones.clone())?;
        // The plots come in the order of their axes.
        let axes = self.exprs.iter().map(StyleExpr::axis);
        let axes = axes.collect::<Result<BTreeSet<i32>, _>>()?;
        let axes = axes
            .into_iter()
            .filter_map(|axis| usize::try_from(axis).ok());
        let plots = chart.plots.iter().zip(axes);
        let mut entries = vec![graph_metadata(&chart)];
        entries.extend(plots.map(|(plot, axis)| plot_metadata(plot, axis)));
        Ok(entries)
    }
}

/// The range, chunk by chunk.
fn chunks(range: &EvalContext) -> impl Iterator<Item = EvalContext> + use<> {
    let range = *range;
    let length = CHUNK * range.step.millis();
    let mut start = range.start;
    std::iter::from_fn(move || {
        if start >= range.end {
            return None;
        }
        let chunk = EvalContext {
            start,
            end: start.plus_millis(length).min(range.end),
            step: range.step,
        };
        start = chunk.end;
        Some(chunk)
    })
}

fn message(
    style: &StyleExpr,
    legend: &Legend<'_>,
    query: &str,
    series: TimeSeries,
    chunk: &EvalContext,
) -> Result<String, StackError> {
    let mut tags = series.tags.clone();
    tags.insert(OFFSET_TAG, ShortSpan(style.offset_millis()).to_string());
    let label = legend.text(&series.label(), &tags)?;
    let mut identity = tags.clone();
    identity.insert(QUERY_TAG, query);
    let message = Message {
        r#type: "timeseries",
        id: ItemId::of(&identity).to_string(),
        query,
        group_by_keys: style.expr.final_grouping(),
        label,
        tags,
        start: chunk.start.millis(),
        end: chunk.end.millis(),
        step: chunk.step.millis(),
        data: Data {
            r#type: "array",
            values: series.values.into_iter().map(Number).collect(),
        },
    };
    Ok(serde_json::to_string(&message).expect("texts and numbers"))
}

#[cfg(test)]
mod tests {
    use hesper_model::{Step, Timestamp};

    use super::*;

    #[test]
    fn chunks_cover_the_range_without_overlap() {
        let range = EvalContext {
            start: Timestamp(0),
            end: Timestamp(130 * 60_000),
            step: Step::from_secs(60),
        };
        let cells: Vec<usize> = chunks(&range).map(|c| c.cells()).collect();
        assert_eq!(cells, [60, 60, 10]);
        let nothing = EvalContext {
            end: Timestamp(0),
            ..range
        };
        assert_eq!(chunks(&nothing).count(), 0);
    }
}
