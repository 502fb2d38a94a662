//! Graphs as pictures, and as what others draw pictures from.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hesper_chart::chart::{Fetched, Zone};
use hesper_chart::error_image::{self, Fault};
use hesper_chart::{Chart, ChartError, TextOptions, from_stack, v2_json};
use hesper_stack::StackError;

use super::EvaluatedGraph;
use crate::http::error::ApiError;
use crate::http::params::Params;

/// The size of the picture of an error whose request names none.
const ERROR_SIZE: (u32, u32) = (700, 300);

/// Parts of the names of browsers, in lower case.
const BROWSERS: [&str; 6] = ["mozilla", "msie", "gecko", "chrome", "opera", "webkit"];

/// Which picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Picture {
    /// As PNG.
    Png,
    /// As SVG.
    Svg,
    /// The parts that a picture is made of, in JSON.
    V2Json,
    /// In characters, for a terminal.
    Terminal(TextOptions),
}

impl Picture {
    /// What a terminal can show: `columns`, `rows`, `unicode=0`, `color=1`.
    ///
    /// # Errors
    /// When a number is none.
    pub fn terminal(params: &Params) -> Result<Self, StackError> {
        let default = TextOptions::default();
        let number = |name: &str, default: usize| {
            let given = params.integer(name)?;
            Ok::<_, StackError>(
                given
                    .and_then(|n| usize::try_from(n).ok())
                    .unwrap_or(default),
            )
        };
        Ok(Self::Terminal(TextOptions {
            width: number("columns", default.width)?,
            height: number("rows", default.height)?,
            unicode: params.get("unicode") != Some("0"),
            color: params.is_on("color"),
        }))
    }

    /// The content type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Svg => "image/svg+xml",
            Self::V2Json => "application/json",
            Self::Terminal(_) => "text/plain; charset=utf-8",
        }
    }

    /// Draws a graph. `target` is where it came from, which the picture tells.
    ///
    /// # Errors
    /// When a palette or a colour makes no sense, or the renderer refuses.
    pub fn draw(self, graph: EvaluatedGraph, target: &str) -> Result<Vec<u8>, ChartError> {
        let chart = chart(graph, target)?;
        match self {
            Self::Png => chart.to_png(),
            Self::Svg => Ok(chart.to_svg().into_bytes()),
            Self::V2Json => Ok(v2_json(&chart)?.into_bytes()),
            Self::Terminal(options) => Ok(chart.to_text(&options).into_bytes()),
        }
    }
}

/// The chart of a graph.
fn chart(graph: EvaluatedGraph, target: &str) -> Result<Chart, ChartError> {
    let partial: Vec<String> = graph.data_notices().collect();
    let zones = graph.request.zones.iter();
    let zones = zones.map(|(name, zone)| Zone {
        name: name.clone(),
        zone: *zone,
    });
    let zones = zones.collect();
    let (options, time) = (&graph.request.display, &graph.request.time);
    let fetched = graph.explains().then(|| Fetched {
        input_lines: graph.input_lines(),
        input_datapoints: graph.input_datapoints(),
        output_lines: graph.stats.lines,
        output_datapoints: graph.stats.datapoints,
    });
    let load_millis = graph.explains().then_some(graph.fetch_millis);
    let mut chart = from_stack::chart(graph.graph, options, time, zones)?;
    chart.warnings.extend(partial);
    chart.source = Some(target.to_owned());
    chart.fetched = fetched;
    chart.load_millis = load_millis;
    Ok(chart)
}

/// True when whoever asks shows pictures and nothing else.
pub fn is_browser(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.and_then(|a| a.to_str().ok()).unwrap_or_default();
    let agent = agent.to_ascii_lowercase();
    BROWSERS.iter().any(|part| agent.contains(part))
}

/// An error as a picture, with status 200: a browser would show nothing otherwise.
pub fn of_error(error: &ApiError, params: &Params) -> Response {
    let fault = match error.status().is_server_error() {
        true => Fault::System,
        false => Fault::User,
    };
    let pixels = |name: &str, default: u32| {
        let given = params.get(name).and_then(|v| v.parse().ok());
        given.filter(|n| *n > 0).unwrap_or(default)
    };
    let size = (pixels("w", ERROR_SIZE.0), pixels("h", ERROR_SIZE.1));
    match error_image::png(fault, error.message(), size) {
        Ok(png) => {
            let kind = HeaderValue::from_static("image/png");
            (StatusCode::OK, [(header::CONTENT_TYPE, kind)], png).into_response()
        }
        Err(e) => ApiError::from(StackError::from(e)).into_response(),
    }
}
