//! Graphs of made-up series.

use hesper_model::{DataSource, Step, Timestamp};

use super::*;
use crate::parse::{GraphOptions, parse_graph};

const CTX: EvalContext = EvalContext {
    start: Timestamp(0),
    end: Timestamp(180_000),
    step: Step::from_secs(60),
};

/// Two lines, `k=z` and `k=b`, for every expression; `k=z` has higher values, or none under `:neg`.
fn graph_with(program: &str, options: &DisplayOptions) -> Result<Graph, StackError> {
    let exprs = parse_graph(program, &GraphOptions::default()).expect("a valid program");
    assemble(&exprs, options, &CTX, |style| {
        if style.expr.to_string() == ":false,:sum" {
            return Ok(ResultSet::default());
        }
        let without = style.expr.to_string().ends_with(":neg");
        let series = [("z", 2000.0), ("b", 1000.0)].map(|(k, v)| {
            let v = if without && k == "z" { f64::NAN } else { v };
            TimeSeries::new(
                Tags::from_pairs([("k", k), ("name", "n")]),
                DataSource::Gauge,
                vec![9.0, v, v * 2.0],
            )
        });
        Ok(ResultSet {
            series: series.to_vec(),
            messages: vec![format!("about {}", style.expr), "more".to_owned()],
        })
    })
}

fn read(params: &[(&str, &str)]) -> DisplayOptions {
    DisplayOptions::read(|name| {
        let found = params.iter().find(|(k, _)| *k == name);
        found.map(|(_, v)| (*v).to_owned())
    })
    .expect("valid options")
}

fn graph(program: &str, params: &[(&str, &str)]) -> Graph {
    graph_with(program, &read(params)).expect("valid")
}

fn legends_of(graph: &Graph) -> Vec<String> {
    let lines = graph.plots.iter().flat_map(|p| &p.lines);
    lines.map(|l| l.legend.clone()).collect()
}

fn legends(program: &str) -> Vec<String> {
    legends_of(&graph(program, &[]))
}

fn error(program: &str, params: &[(&str, &str)]) -> String {
    graph_with(program, &read(params))
        .expect_err("refused")
        .to_string()
}

#[test]
fn lines_are_sorted_by_legend_within_an_expression() {
    assert_eq!(
        legends("a,:has,$k,:legend,1"),
        ["b", "z", "k=b, name=n", "k=z, name=n"]
    );
}

#[test]
fn the_first_value_only_warms_up() {
    let graph = graph("a,:has,:area,3.5,:lw,f00,:color", &[]);
    let line = &graph.plots[0].lines[0];
    assert_eq!(line.values, [1000.0, 2000.0]);
    assert_eq!(line.stats.avg, 1500.0);
    assert_eq!(line.tags.get(OFFSET_TAG), Some("0w"));
    assert_eq!(line.source.line_style, LineStyle::Area);
    assert_eq!(line.source.line_width, 3.5);
    assert_eq!(line.color, LineColor::Set("ffff0000".to_owned()));
    assert_eq!(graph.plots[0].messages, ["... about a,:has,:sum ..."]);
}

#[test]
fn legends_may_show_figures() {
    let of = |program| legends(program).remove(0);
    assert_eq!(
        of("a,:has,$k $atlas.avg $(atlas.max) $atlas.offset $atlas.count,:legend"),
        "b 1.5k 2.0k 0w atlas.count"
    );
    assert_eq!(of("a,:has,1h,:offset"), "k=b, name=n (offset=1h)");
    assert_eq!(of("a,:has,b,<$(atlas.min)>,:s"), "k=<1.0k>, name=n");
    let binary = read(&[("tick_labels.0", "binary")]);
    let graph = graph_with("a,:has,$atlas.min,:legend", &binary).expect("valid");
    assert_eq!(graph.plots[0].lines[0].legend, "1000.0");
    assert_eq!(graph.plots[0].lines[1].legend, "2.0Ki");
}

#[test]
fn an_empty_legend_is_none() {
    assert_eq!(
        legends("a,:has,$k,:legend,b(x*),$1,:s"),
        ["atlas.offset=0w, k=b, name=n", "z"]
    );
}

#[test]
fn expressions_are_sorted_and_limited_by_themselves() {
    let of = |settings: &str| legends(&format!("a,:has,$k,:legend,{settings},a,:has,1,:legend"));
    assert_eq!(of("max,:sort"), ["b", "z", "1", "1"]);
    assert_eq!(of("max,:sort,desc,:order"), ["z", "b", "1", "1"]);
    assert_eq!(of("desc,:order"), ["z", "b", "1", "1"]);
    assert_eq!(of("max,:sort,desc,:order,1,:limit"), ["z", "1", "1"]);
    assert_eq!(of("1,:head"), ["b", "1", "1"]);
    assert_eq!(of("0,:limit"), ["1", "1"]);
    assert_eq!(of("-3,:limit"), ["1", "1"]);
    // Without data last, whichever way.
    let without =
        |order: &str| legends(&format!("a,:has,:neg,$k,:legend,avg,:sort,{order},:order"));
    assert_eq!(without("asc"), ["b", "z"]);
    assert_eq!(without("desc"), ["b", "z"]);
    assert_eq!(
        error("1,x,:limit", &[]),
        "NumberFormatException: For input string: \"x\""
    );
}

#[test]
fn axes_are_sorted_as_the_request_asks_for() {
    let program = "a,:has,$k1,:legend,b,:has,$k$name,:legend,1,:axis,c,:has,$k-2,:legend";
    let all = legends_of(&graph(program, &[("sort", "max"), ("order.0", "desc")]));
    assert_eq!(all, ["k1", "k-2", "k1", "k-2", "bn", "zn"]);
    let one = graph(
        "a,:has,$k,:legend",
        &[("order", "desc"), ("order.0", "asc")],
    );
    assert_eq!(legends_of(&one), ["b", "z"]);
}

#[test]
fn orders_that_do_not_exist_are_told() {
    let graph = graph(
        "a,:has,$k,:legend,x,:sort,desc,:order,:false,y,:sort",
        &[("sort", "w")],
    );
    assert_eq!(legends_of(&graph), ["b", "z"]);
    assert_eq!(
        graph.warnings,
        ["x", "y", "w"].map(|by| format!("Invalid sort mode '{by}'. Using default of 'legend'."))
    );
}

#[test]
fn axes_come_in_order() {
    let graph = graph(
        "1,2,:axis,1,0,:axis,1",
        &[("ylabel.2", "$name $k"), ("scale", "log"), ("l", "1")],
    );
    let counts: Vec<usize> = graph.plots.iter().map(|p| p.lines.len()).collect();
    assert_eq!(counts, [4, 2]);
    assert_eq!(graph.plots[0].ylabel, None);
    assert_eq!(graph.plots[1].ylabel.as_deref(), Some("n k"));
    assert_eq!(graph.plots[1].axis.scale.name(), "LOGARITHMIC");
    assert_eq!(graph.plots[1].axis.bounds.lower, Bound::Explicit(1.0));
    assert!(graph.plots.iter().all(|p| p.has_color_of_lines));
    let cases = [
        ("1,5,:axis", "IllegalArgumentException: invalid axis: 5"),
        ("1,-1,:axis", "IllegalArgumentException: invalid axis: -1"),
        (
            "1,abc,:axis",
            "NumberFormatException: For input string: \"abc\"",
        ),
        (
            "1,5,:alpha",
            "IllegalArgumentException: requirement failed: value should be 2 digit hex string",
        ),
        (
            "1,bogus,:ls",
            "IllegalArgumentException: No enum constant com.netflix.atlas.chart.model.LineStyle.BOGUS",
        ),
    ];
    for (program, text) in cases {
        assert_eq!(error(program, &[]), text);
    }
    let cases = [
        (("u", "x"), "NumberFormatException: For input string: \"x\""),
        (
            ("scale", "x"),
            "IllegalArgumentException: unknown scale type 'x', should be linear, log, log-linear, pow2, or sqrt",
        ),
        (("theme", "x"), "IllegalArgumentException: invalid theme: x"),
    ];
    for (param, text) in cases {
        assert_eq!(error("1", &[param, ("palette", "reds")]), text);
        // An axis that nothing is drawn against may hold anything.
        if param.0 != "theme" {
            let other = format!("{}.3", param.0);
            assert_eq!(
                graph_with("1", &read(&[(&other, param.1)]))
                    .expect("valid")
                    .plots
                    .len(),
                1
            );
        }
    }
    assert_eq!(
        error("1", &[("l", "2"), ("u.0", "2d")]),
        "IllegalArgumentException: requirement failed: lower bound must be less than upper bound (2.0 >= 2.0)"
    );
}

#[test]
fn every_line_may_have_its_axis() {
    let per_line = [
        ("axis_per_line", "1"),
        ("scale.1", "sqrt"),
        ("title", "$name $k"),
    ];
    let few = graph("a,:has,$k,:legend", &per_line);
    assert_eq!(few.title.as_deref(), Some("n k"));
    // Two lines and the message.
    assert_eq!(few.plots.len(), 3);
    assert_eq!(few.plots[1].axis.scale, Scale::Sqrt);
    assert_eq!(few.plots[2].messages.len(), 1);
    assert!(few.warnings.is_empty() && few.plots[0].has_color_of_lines);
    let many = graph("a,:has,b,:has,c,:has", &per_line);
    assert_eq!(many.plots.len(), 1);
    assert_eq!(
        many.warnings,
        ["Too many Y-axes, 7 > 5, axis per line disabled."]
    );
    let several = graph("a,:has,b,:has,2,:axis", &per_line);
    assert_eq!(several.plots.len(), 2);
    assert_eq!(several.plots[1].axis.scale, Scale::Sqrt);
    assert_eq!(
        several.warnings,
        ["axisPerLine cannot be used with explicit multi axis"]
    );
    assert_eq!(
        error("k,v,:set", &per_line),
        "NoSuchElementException: head of empty list"
    );
    let plain = graph("a,:has,b,:has,1,:axis", &[("hints", "ambiguous-multi-y")]);
    assert!(plain.plots.iter().all(|p| !p.has_color_of_lines));
}

#[test]
fn colours_are_taken_one_after_the_other_before_lines_are_sorted() {
    let colors = |program: &str, params: &[(&str, &str)]| -> Vec<(PaletteOf, usize)> {
        let graph = graph(program, params);
        let lines = graph.plots.iter().flat_map(|p| &p.lines);
        lines
            .filter_map(|line| match &line.color {
                LineColor::Palette { palette, place, .. } => Some((*palette, *place)),
                LineColor::Set(_) => None,
            })
            .collect()
    };
    use PaletteOf::{Axis, Expression, Graph as Whole, Offset};
    assert_eq!(
        colors("a,:has,desc,:order,b,:has", &[]),
        [(Whole, 1), (Whole, 0), (Whole, 2), (Whole, 3)]
    );
    assert_eq!(
        colors(
            "a,:has,1,:limit,f00,:color,b,:has,reds,:palette,c,:has,1h,:offset,d,:has,reds,:palette",
            &[]
        ),
        [
            (Expression, 0),
            (Expression, 1),
            (Offset, 0),
            (Offset, 1),
            (Expression, 0),
            (Expression, 1)
        ]
    );
    assert_eq!(
        colors("a,:has,1,:axis,b,:has", &[("palette.1", "reds")]),
        [(Whole, 0), (Whole, 1), (Axis(1), 0), (Axis(1), 1)]
    );
    assert_eq!(
        colors("a,:has,:heatmap,b,:has", &[]),
        [(Whole, 0), (Whole, 0), (Whole, 1), (Whole, 2)]
    );
    assert_eq!(
        colors("a,:has,:heatmap", &[("heatmap_palette", "reds")]),
        []
    );
    let graph = graph(
        ":false,reds,:palette,:false,blue1,:color,a,:has,:heatmap",
        &[],
    );
    assert_eq!(graph.plots[0].palettes, ["reds"]);
    assert_eq!(graph.plots[0].colors, ["blue1"]);
    assert!(graph.plots[0].axis.heatmap.is_some());
    let LineColor::Palette { key, .. } = &graph.plots[0].lines[0].color else {
        panic!("a palette's colour");
    };
    assert_eq!(&**key, "heatmap0");
}

#[test]
fn lists_of_offsets_are_copies() {
    let offsets = |program: &str| -> Vec<i64> {
        let lines = graph(program, &[]).plots.remove(0).lines;
        lines
            .iter()
            .map(|l| l.source.offset_millis / 60_000)
            .collect()
    };
    assert_eq!(
        offsets("a,:has,(,0h,1h,),:offset,f00,:color"),
        [0, 0, 60, 60]
    );
    assert_eq!(offsets("a,:has,(,),:offset"), [0, 0]);
    let options = GraphOptions::default();
    assert_eq!(
        parse_graph("a,:has,(,0h,x,),:offset", &options)
            .expect_err("no duration")
            .to_string(),
        "IllegalArgumentException: invalid period x"
    );
}

#[test]
fn a_line_is_known_by_its_tags_and_its_expression() {
    let graph = graph("a,:has,b,:has", &[]);
    let ids: std::collections::BTreeSet<String> = graph.plots[0]
        .lines
        .iter()
        .map(|line| line.id().to_string())
        .collect();
    assert_eq!(ids.len(), 4);
}
