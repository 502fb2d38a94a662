//! `GET /metrics`: the node's own metrics in Prometheus's text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use hesper_client::meter::ValueKind;

use crate::node::NodeState;

/// The metrics of the node.
pub async fn metrics(State(node): State<Arc<NodeState>>) -> Response {
    let values = node.metrics.registry().current_values();
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for value in &values {
        let series = value.series();
        let total = value.kind() == ValueKind::Total;
        let mut name = legal(series.tag("name").unwrap_or_default());
        if total {
            name.push_str("_total");
        }
        let labels: Vec<(String, String)> = series
            .tags()
            .filter(|(k, _)| *k != "name" && *k != "atlas.dstype")
            .map(|(k, v)| (legal(k), escaped(v)))
            .collect();
        let family = families.entry(name).or_default();
        family.total = total;
        family.lines.push((labels, value.value()));
    }
    let mut text = String::new();
    for (name, family) in families {
        let kind = if family.total { "counter" } else { "gauge" };
        let _ = writeln!(text, "# TYPE {name} {kind}");
        for (labels, value) in family.lines {
            let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
            let _ = writeln!(text, "{name}{{{}}} {value}", labels.join(","));
        }
    }
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[derive(Default)]
struct Family {
    total: bool,
    lines: Vec<(Vec<(String, String)>, f64)>,
}

/// A name that Prometheus takes.
fn legal(name: &str) -> String {
    let legal = |c: char| match c.is_ascii_alphanumeric() || c == '_' {
        true => c,
        false => '_',
    };
    name.chars().map(legal).collect()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_made_legal() {
        assert_eq!(legal("hesper.log-bytes"), "hesper_log_bytes");
        assert_eq!(escaped("a\"b\\"), "a\\\"b\\\\");
    }
}
