//! `format=v2.json`: a chart as a list of typed objects from which others can draw it.

use std::collections::BTreeMap;

use hesper_model::{ItemId, Tags};
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};
use serde_json::{Value, json};

use crate::chart::{Chart, HSpan, Item, Line, Message, Plot, VSpan};
use crate::color::Color;
use crate::error::ChartError;
use crate::heatmap::Heatmap;

/// The tag under which the expression goes into the id of a line.
const QUERY_TAG: &str = "atlas.query";

/// The hint not to draw a picture.
pub const NO_IMAGE: &str = "no-image";

/// A chart as JSON: the picture, unless the hint `no-image` is set; what is said about the chart and its axes; and all items.
///
/// # Errors
/// When the picture cannot be drawn.
pub fn v2_json(chart: &Chart) -> Result<String, ChartError> {
    let heatmaps: Vec<Option<Heatmap>> = chart
        .plots
        .iter()
        .map(|plot| Heatmap::of(chart, plot))
        .collect();
    let mut entries = Vec::new();
    if !chart.has_hint(NO_IMAGE) {
        let png = chart.to_png()?;
        let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png);
        entries.push(Entry::GraphImage {
            data: format!("data:image/png;base64,{data}"),
        });
    }
    entries.push(graph_metadata_entry(chart));
    for (id, (plot, heatmap)) in chart.plots.iter().zip(&heatmaps).enumerate() {
        entries.push(plot_metadata_entry(plot, id));
        entries.extend(heatmap.as_ref().map(|h| heatmap_entry(h, id)));
    }
    for (id, plot) in chart.plots.iter().enumerate() {
        entries.extend(plot.items.iter().map(|item| item_entry(item, id)));
    }
    serde_json::to_string(&entries).map_err(|e| ChartError::Render(e.to_string()))
}

/// What is said about a chart as a whole.
pub fn graph_metadata(chart: &Chart) -> Value {
    json!(graph_metadata_entry(chart))
}

/// What is said about an axis. The id is the place in the chart, or the number of the axis.
pub fn plot_metadata(plot: &Plot, id: usize) -> Value {
    json!(plot_metadata_entry(plot, id))
}

#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Entry<'a> {
    GraphImage {
        data: String,
    },
    GraphMetadata {
        start_time: i64,
        end_time: i64,
        timezones: Vec<&'a str>,
        step: i64,
        width: u32,
        height: u32,
        layout: &'static str,
        zoom: Number,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        legend_type: &'static str,
        only_graph: bool,
        theme: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        load_time: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        stats: Option<Fetched>,
        warnings: &'a [String],
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        rendering_hints: &'a [String],
    },
    PlotMetadata {
        id: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        ylabel: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        axis_color: Option<Color>,
        scale: &'static str,
        upper: String,
        lower: String,
        tick_label_mode: &'static str,
    },
    Heatmap {
        plot: usize,
        color_scale: &'static str,
        upper: String,
        lower: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        label: Option<&'a str>,
        y_ticks: Vec<Range<'a>>,
        color_ticks: Vec<Range<'a>>,
        data: Data<Vec<Numbers<'a>>>,
    },
    Timeseries {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        plot: usize,
        label: &'a str,
        color: Color,
        line_style: &'static str,
        line_width: Number,
        #[serde(skip_serializing_if = "Option::is_none")]
        query: Option<&'a str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        group_by_keys: Vec<&'a str>,
        tags: BTreeMap<&'a str, &'a str>,
        data: Data<Numbers<'a>>,
    },
    Hspan {
        plot: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        label: Option<&'a str>,
        color: Color,
        v1: Number,
        v2: Number,
    },
    Vspan {
        plot: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        label: Option<&'a str>,
        color: Color,
        t1: i64,
        t2: i64,
    },
    Message {
        plot: usize,
        label: &'a str,
        color: Color,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fetched {
    input_lines: u64,
    input_datapoints: u64,
    output_lines: u64,
    output_datapoints: u64,
}

#[derive(Serialize)]
struct Range<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<Color>,
    min: Number,
    max: Number,
    label: &'a str,
}

#[derive(Serialize)]
struct Data<T> {
    r#type: &'static str,
    values: T,
}

/// A number, or the name of one that JSON does not have.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            v if v.is_finite() => serializer.serialize_f64(v),
            v if v.is_nan() => serializer.serialize_str("NaN"),
            v if v > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }
}

struct Numbers<'a>(&'a [f64]);

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        for v in self.0 {
            seq.serialize_element(&Number(*v))?;
        }
        seq.end()
    }
}

fn graph_metadata_entry(chart: &Chart) -> Entry<'_> {
    Entry::GraphMetadata {
        start_time: chart.start.millis(),
        end_time: chart.end.millis(),
        timezones: chart.zones.iter().map(|z| z.name.as_str()).collect(),
        step: chart.step.millis(),
        width: chart.width,
        height: chart.height,
        layout: chart.layout.name(),
        zoom: Number(chart.zoom),
        title: chart.title.as_deref(),
        legend_type: chart.legend.name(),
        only_graph: chart.only_graph,
        theme: chart.theme.name(),
        load_time: chart.load_millis.filter(|millis| *millis > 0),
        stats: chart.fetched.map(|f| Fetched {
            input_lines: f.input_lines,
            input_datapoints: f.input_datapoints,
            output_lines: f.output_lines,
            output_datapoints: f.output_datapoints,
        }),
        warnings: &chart.warnings,
        rendering_hints: &chart.hints,
    }
}

fn plot_metadata_entry(plot: &Plot, id: usize) -> Entry<'_> {
    Entry::PlotMetadata {
        id,
        ylabel: plot.ylabel.as_deref(),
        axis_color: plot.axis_color,
        scale: plot.scale.name(),
        upper: plot.upper.to_string(),
        lower: plot.lower.to_string(),
        tick_label_mode: plot.tick_labels.name(),
    }
}

fn heatmap_entry(heatmap: &Heatmap, plot: usize) -> Entry<'_> {
    let (lower, upper) = heatmap.count_bounds();
    let starts = std::iter::once(heatmap.bounds.0).chain(heatmap.ticks.iter().map(|t| t.value));
    let y_ticks = starts.zip(&heatmap.ticks).map(|(min, tick)| Range {
        color: None,
        min: Number(min),
        max: Number(tick.value),
        label: &tick.label,
    });
    let ends = || heatmap.color_ticks.iter().skip(1);
    let starts = std::iter::once(heatmap.min_count).chain(ends().map(|t| t.value));
    let colors = starts.zip(ends()).zip(heatmap.palette.colors());
    let color_ticks = colors.map(|((min, tick), color)| Range {
        color: Some(*color),
        min: Number(min),
        max: Number(tick.value),
        label: &tick.label,
    });
    Entry::Heatmap {
        plot,
        color_scale: heatmap.scale().name(),
        upper: upper.to_string(),
        lower: lower.to_string(),
        label: heatmap.given_label(),
        y_ticks: y_ticks.collect(),
        color_ticks: color_ticks.collect(),
        data: Data {
            r#type: "heatmap",
            values: heatmap.counts.iter().map(|c| Numbers(c)).collect(),
        },
    }
}

fn item_entry(item: &Item, plot: usize) -> Entry<'_> {
    match item {
        Item::Line(line) => line_entry(line, plot),
        Item::HSpan(HSpan {
            v1,
            v2,
            color,
            label,
        }) => Entry::Hspan {
            plot,
            label: label.as_deref(),
            color: *color,
            v1: Number(*v1),
            v2: Number(*v2),
        },
        Item::VSpan(VSpan {
            t1,
            t2,
            color,
            label,
        }) => Entry::Vspan {
            plot,
            label: label.as_deref(),
            color: *color,
            t1: t1.millis(),
            t2: t2.millis(),
        },
        Item::Message(Message { label, color }) => Entry::Message {
            plot,
            label,
            color: *color,
        },
    }
}

fn line_entry(line: &Line, plot: usize) -> Entry<'_> {
    Entry::Timeseries {
        id: line
            .query
            .as_deref()
            .map(|query| line_id(&line.tags, query)),
        plot,
        label: &line.label,
        color: line.color,
        line_style: line.style.name(),
        line_width: Number(f64::from(line.width)),
        query: line.query.as_deref(),
        group_by_keys: line.group_by_keys.iter().map(|k| &**k).collect(),
        tags: line.tags.iter().collect(),
        data: Data {
            r#type: "array",
            values: Numbers(&line.values),
        },
    }
}

/// Tells a line from all others, on this chart and the next: the id of the tags with the expression among them.
fn line_id(tags: &Tags, query: &str) -> String {
    let mut tags = tags.clone();
    tags.insert(QUERY_TAG, query);
    ItemId::of(&tags).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{START, chart_of, line};
    use hesper_stack::expr::style::LineStyle;

    fn entries(chart: &Chart) -> Vec<Value> {
        let text = v2_json(chart).expect("drawn");
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn all_there_is_to_a_chart_is_told() {
        let mut first = line("a", &[1.0, f64::NAN, f64::NEG_INFINITY]);
        first.tags.insert("name", "n");
        first.query = Some("name,n,:eq,:sum".into());
        let mut heat = line("h", &[1.0, 2.0, 3.0]);
        heat.style = LineStyle::Heatmap;
        let mut chart = chart_of(Plot::new(vec![
            Item::Line(first),
            Item::Line(heat),
            Item::HSpan(HSpan {
                v1: 1.0,
                v2: f64::INFINITY,
                color: Color::BLACK,
                label: None,
            }),
            Item::VSpan(VSpan {
                t1: START,
                t2: START,
                color: Color::BLACK,
                label: Some("v".to_owned()),
            }),
            Item::Message(Message {
                label: "m".to_owned(),
                color: Color::BLACK,
            }),
        ]));
        chart.hints = vec![NO_IMAGE.to_owned()];
        chart.title = Some("t".to_owned());
        chart.load_millis = Some(5);
        let entries = entries(&chart);
        let types: Vec<&str> = entries.iter().filter_map(|e| e["type"].as_str()).collect();
        assert_eq!(
            types,
            [
                "graph-metadata",
                "plot-metadata",
                "heatmap",
                "timeseries",
                "timeseries",
                "hspan",
                "vspan",
                "message"
            ]
        );
        assert_eq!(entries[0]["title"], "t");
        assert_eq!(entries[0]["loadTime"], 5);
        assert_eq!(entries[0], graph_metadata(&chart));
        assert_eq!(entries[1], plot_metadata(&chart.plots[0], 0));
        assert_eq!(entries[2]["colorTicks"].as_array().map(Vec::len), Some(5));
        assert_eq!(
            entries[2]["data"]["values"].as_array().map(Vec::len),
            Some(3)
        );
        assert_eq!(
            entries[3]["data"]["values"],
            json!([1.0, "NaN", "-Infinity"])
        );
        assert_eq!(entries[3]["id"].as_str().map(str::len), Some(40));
        assert_eq!(entries[5]["v2"], "Infinity");
        assert_eq!(entries[5].get("label"), None);
    }
}
