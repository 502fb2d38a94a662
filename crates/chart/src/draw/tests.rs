use hesper_model::Step;
use hesper_stack::expr::style::LineStyle;
use proptest::prelude::*;

use super::*;
use crate::chart::{HSpan, Item, Line, Message, Plot, Scale, TickLabels, Zone};
use crate::samples::{START, chart, chart_of, line, styled};
use crate::scene::{Path, Segment};
use hesper_stack::time::TimeZone;

/// The elements of a group.
fn group<'a>(scene: &'a Scene, wanted: &str) -> Vec<&'a Element> {
    let found = scene.elements.iter().filter_map(|e| match e {
        Element::Group { name, elements, .. } if *name == wanted => Some(elements),
        _ => None,
    });
    found.flatten().collect()
}

fn canvas(scene: &Scene) -> Rect {
    let found = scene.elements.iter().find_map(|e| match e {
        Element::Group { name, clip, .. } if *name == "data" => *clip,
        _ => None,
    });
    found.expect("a canvas")
}

fn texts(scene: &Scene) -> Vec<&Text> {
    fn collect<'a>(elements: &'a [Element], found: &mut Vec<&'a Text>) {
        for element in elements {
            match element {
                Element::Text(text) => found.push(text),
                Element::Group { elements, .. } => collect(elements, found),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    collect(&scene.elements, &mut found);
    found
}

fn contents(scene: &Scene) -> Vec<&str> {
    texts(scene).iter().map(|t| t.content.as_str()).collect()
}

fn paths<'a>(elements: &[&'a Element]) -> Vec<&'a Path> {
    let found = elements.iter().filter_map(|e| match e {
        Element::Path(path) => Some(path),
        _ => None,
    });
    found.collect()
}

/// The data of a chart that is its canvas, 12 by 10 pixels.
fn data(plot: Plot) -> String {
    let mut chart = chart_of(plot);
    chart.only_graph = true;
    chart.layout = Layout::Image;
    (chart.width, chart.height) = (12, 10);
    let scene = chart.scene();
    let only = Scene {
        elements: group(&scene, "data").into_iter().cloned().collect(),
        ..scene
    };
    only.describe()
        .lines()
        .skip(1)
        .collect::<Vec<_>>()
        .join("\n")
}

fn plot(items: Vec<Item>) -> Plot {
    let mut plot = Plot::new(items);
    plot.lower = crate::chart::Bound::Explicit(0.0);
    plot.upper = crate::chart::Bound::Explicit(9.0);
    plot
}

#[test]
fn lines_are_steps_with_gaps() {
    let values = [0.0, 9.0, f64::NAN, 3.0];
    assert_eq!(
        data(plot(vec![Item::Line(line("a", &values))])),
        "  path stroke ff0075dc 1 M0,9.5 H3.5 V0.5 H6 M9,6.5 H12"
    );
    let mut wide = line("a", &[4.0, 4.0, 5.0]);
    wide.width = 2.0;
    assert_eq!(
        data(plot(vec![Item::Line(wide)])),
        "  path stroke ff0075dc 2 M0,5 H8 V4 H12"
    );
    let crowded: Vec<f64> = (0..24).map(|i| f64::from(i % 10)).collect();
    let drawn = data(plot(vec![Item::Line(line("a", &crowded))]));
    assert!(drawn.contains("within 0,0.5 to 12,9.5"), "{drawn}");
}

#[test]
fn areas_reach_to_zero_and_stacks_to_each_other() {
    let area = styled(LineStyle::Area, "a", &[0.0, 9.0, f64::NAN, 3.0]);
    assert_eq!(
        data(plot(vec![Item::Line(area)])),
        "  path fill ff0075dc M0,9 V9 H3 V0 H6 V10 H3 V10 H0 Z M9,6 V6 H12 V10 H9 Z"
    );
    let stack = |values: &[f64]| Item::Line(styled(LineStyle::Stack, "a", values));
    assert_eq!(
        data(plot(vec![
            stack(&[2.0, 0.0, 3.0]),
            stack(&[1.0, f64::NAN, 1.0])
        ])),
        "  path fill ff0075dc M0,7 V7 H4 V9 H8 V6 H12 V10 H8 V10 H4 V10 H0 Z\n  \
           path fill ff0075dc M0,6 V6 H4 V7 H0 Z M8,5 V5 H12 V6 H8 Z"
    );
    let mut both = plot(vec![stack(&[3.0]), stack(&[-3.0])]);
    both.lower = crate::chart::Bound::Explicit(-9.0);
    assert_eq!(
        data(both),
        "  path fill ff0075dc M0,3 V3 H12 V6 H0 Z\n  path fill ff0075dc M0,5 V5 H12 V7 H0 Z"
    );
}

#[test]
fn spans_cover_the_canvas() {
    let stripes = styled(LineStyle::VSpan, "a", &[0.0, 1.0, 1.0, f64::NAN]);
    let span = HSpan {
        v1: 2.0,
        v2: 4.0,
        color: Color::argb(0x4000_0000),
        label: None,
    };
    let times = crate::chart::VSpan {
        t1: START,
        t2: START.plus_millis(60_000),
        color: Color::BLACK,
        label: None,
    };
    assert_eq!(
        data(plot(vec![
            Item::Line(stripes),
            Item::HSpan(span),
            Item::VSpan(times)
        ])),
        "  path fill ff0075dc M3,0 V0 H9 V10 H3 Z\n  \
           path fill 40000000 M0,5 H12 V8 H0 Z\n  \
           path fill ff000000 M0,0 H3 V10 H0 Z"
    );
}

#[test]
fn invisible_lines_are_not_drawn() {
    let mut clear = line("a", &[1.0, 2.0]);
    clear.color = Color::argb(0);
    assert_eq!(data(plot(vec![Item::Line(clear)])), "");
    assert_eq!(data(plot(vec![Item::Line(line("a", &[f64::NAN]))])), "");
}

#[test]
fn legends_list_fifty_lines_at_most() {
    let lines = (0..60).map(|i| line(&format!("line {i}"), &[1.0]));
    let scene = chart(lines.collect()).scene();
    let listed = contents(&scene)
        .iter()
        .filter(|t| t.starts_with("line "))
        .count();
    assert_eq!(listed, 50);
    assert!(contents(&scene).contains(&"... 10 suppressed ..."));
    for name in ["max", "min", "avg", "last", "total", "count"] {
        assert!(contents(&scene).contains(&name), "{name}");
    }
}

#[test]
fn axes_share_the_legend() {
    let lines = (0..30).map(|i| Item::Line(line(&format!("line {i}"), &[1.0])));
    let plots = [0, 1].map(|_| Plot::new(lines.clone().collect()));
    let mut chart = chart_of(plots[0].clone());
    chart.plots = plots.to_vec();
    chart.plots[1].ylabel = Some("right".to_owned());
    let scene = chart.scene();
    let all = contents(&scene);
    assert_eq!(all.iter().filter(|t| t.starts_with("line ")).count(), 50);
    assert_eq!(
        all.iter().filter(|t| **t == "... 5 suppressed ...").count(),
        2
    );
    assert!(all.contains(&"Axis 0") && all.contains(&"Axis 1: right"));
}

#[test]
fn texts_can_be_left_out() {
    let mut chart = chart(vec![line("a label", &[1.0])]);
    chart.title = Some("a title".to_owned());
    assert!(contents(&chart.scene()).contains(&"a label"));
    chart.legend = LegendType::Off;
    assert!(!contents(&chart.scene()).contains(&"a label"));
    chart.plots[0].tick_labels = TickLabels::Off;
    assert_eq!(
        texts(&chart.scene())
            .iter()
            .filter(|t| t.anchor == Anchor::End)
            .count(),
        1,
        "the name of the zone"
    );
    chart.only_graph = true;
    assert_eq!(contents(&chart.scene()), [""; 0]);
}

#[test]
fn warnings_are_shown_or_signalled() {
    let mut chart = chart(vec![line("a", &[1.0])]);
    chart.width = 3000;
    let scene = chart.scene();
    assert!(contents(&scene).contains(&"Restricted graph width to 2000."));
    assert_eq!(canvas(&scene).width, 2000.0);
    assert_eq!(scene.background, chart.theme.inks().image);
    chart.layout = Layout::Image;
    assert_eq!(chart.scene().background, chart.theme.inks().warning);
}

#[test]
fn changes_of_the_clocks_are_marked() {
    let mut chart = chart(vec![line("a", &[1.0; 24])]);
    // The day on which clocks were put forward.
    chart.start = hesper_model::Timestamp(1_772_938_800_000);
    chart.step = Step::from_secs(3600);
    chart.end = chart.start.plus_millis(24 * 3_600_000);
    chart.zones = vec![Zone {
        name: "US/Pacific".to_owned(),
        zone: TimeZone::parse("US/Pacific").expect("a zone"),
    }];
    let scene = chart.scene();
    assert!(contents(&scene).contains(&"+1h"), "{:?}", contents(&scene));
    assert!(contents(&scene).contains(&"PST"));
}

#[test]
fn labels_stay_short() {
    let labels = |values: &[f64], mode: TickLabels| {
        let mut chart = chart(vec![line("a", values)]);
        chart.plots[0].tick_labels = mode;
        chart.legend = LegendType::Off;
        chart.height = 100;
        let scene = chart.scene();
        let axis = group(&scene, "y-axis");
        let found = axis.iter().filter_map(|e| match e {
            Element::Text(text) => Some(text.content.clone()),
            _ => None,
        });
        found.collect::<Vec<_>>()
    };
    assert_eq!(
        labels(&[0.0, 3000.0], TickLabels::Decimal),
        ["0", "1k", "2k", "3k"]
    );
    assert_eq!(labels(&[0.5, 1.5], TickLabels::Decimal), ["0.8", "1.2"]);
    assert_eq!(
        labels(&[0.0, 0.3], TickLabels::Duration),
        ["0", "100ms", "200ms", "300ms"]
    );
    let near = labels(&[1e9 + 0.125, 1e9 + 0.25], TickLabels::Decimal);
    assert!(
        near.len() >= 2 && near.iter().all(|l| l.starts_with("1000000000.")),
        "{near:?}"
    );
    assert_eq!(
        labels(&[f64::NAN], TickLabels::Decimal)
            .first()
            .map(String::as_str),
        Some("0")
    );
}

fn is_finite(path: &Path) -> bool {
    path.segments.iter().all(|s| match s {
        Segment::Move(x, y) | Segment::Line(x, y) => x.is_finite() && y.is_finite(),
        Segment::Across(x) => x.is_finite(),
        Segment::Upright(y) => y.is_finite(),
        Segment::Close => true,
    })
}

/// Numbers of all kinds.
fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -1e6..1e6f64,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(5e-324),
        Just(-0.0),
        Just(f64::MAX),
    ]
}

fn any_plot() -> impl Strategy<Value = Plot> {
    let style = prop_oneof![
        Just(LineStyle::Line),
        Just(LineStyle::Area),
        Just(LineStyle::Stack),
        Just(LineStyle::VSpan),
        Just(LineStyle::Heatmap)
    ];
    let values = prop_oneof![
        proptest::collection::vec(any_value(), 0..40),
        any_value().prop_map(|v| vec![v; 30]),
    ];
    let line = (style, ".{0,80}", values, 0.0..5f32).prop_map(|(style, label, values, width)| {
        Item::Line(Line {
            width,
            ..styled(style, &label, &values)
        })
    });
    let hspan = (any_value(), any_value()).prop_map(|(v1, v2)| {
        Item::HSpan(HSpan {
            v1,
            v2,
            color: Color::argb(0x4000_0000),
            label: None,
        })
    });
    let message = ".{0,90}".prop_map(|label| {
        Item::Message(Message {
            label,
            color: Color::BLACK,
        })
    });
    let items = proptest::collection::vec(prop_oneof![4 => line, 1 => hspan, 1 => message], 0..8);
    let scale = prop_oneof![
        Just(Scale::Linear),
        Just(Scale::Logarithmic),
        Just(Scale::LogLinear),
        Just(Scale::Power2),
        Just(Scale::Sqrt)
    ];
    let labels = prop_oneof![
        Just(TickLabels::Decimal),
        Just(TickLabels::Binary),
        Just(TickLabels::Duration),
        Just(TickLabels::Off)
    ];
    let ylabel = proptest::option::of(".{0,60}");
    (items, scale, labels, ylabel).prop_map(|(items, scale, tick_labels, ylabel)| Plot {
        scale,
        tick_labels,
        ylabel,
        ..Plot::new(items)
    })
}

fn any_chart() -> impl Strategy<Value = Chart> {
    let layout = prop_oneof![
        Just(Layout::Canvas),
        Just(Layout::Image),
        Just(Layout::ImageWidth),
        Just(Layout::ImageHeight)
    ];
    let legend = prop_oneof![
        Just(LegendType::Off),
        Just(LegendType::LabelsOnly),
        Just(LegendType::LabelsWithStats)
    ];
    let plots = proptest::collection::vec(any_plot(), 0..4);
    let looks = (layout, legend, any::<bool>(), 1u32..1200, 1u32..500);
    let words = (
        proptest::option::of(".{0,120}"),
        proptest::collection::vec(".{0,150}", 0..3),
    );
    (plots, looks, words, 1usize..4).prop_map(|(plots, looks, words, zones)| {
        let mut chart = chart_of(Plot::new(vec![Item::Line(line("", &[0.0; 40]))]));
        chart.plots = plots;
        (
            chart.layout,
            chart.legend,
            chart.only_graph,
            chart.width,
            chart.height,
        ) = looks;
        (chart.title, chart.warnings) = words;
        chart.zones = vec![chart.zones[0].clone(); zones];
        chart
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_chart_is_drawn_in_its_place(chart in any_chart()) {
        let scene = chart.scene();
        let (width, height) = (f64::from(chart.width), f64::from(chart.height));
        prop_assert!(scene.width >= 1.0 && scene.height >= 1.0);
        if fixes_width(chart.layout) {
            prop_assert_eq!(scene.width, width);
        }
        if fixes_height(chart.layout) {
            prop_assert_eq!(scene.height, height);
        }
        let canvas = canvas(&scene);
        prop_assert!(canvas.x >= 0.0 && canvas.y >= 0.0);
        prop_assert!(canvas.right() <= scene.width.max(5.0) && canvas.bottom() <= scene.height.max(15.0), "{canvas:?} {} {}", scene.width, scene.height);
        // Data, as far as they are drawn at all, are at places.
        for path in paths(&group(&scene, "data")) {
            prop_assert!(is_finite(path));
        }
        // Legends and warnings are below the canvas, one below the other.
        let mut free = canvas.bottom();
        for name in ["legend", "warnings"] {
            let mut lowest = free;
            for element in group(&scene, name) {
                let (top, bottom) = match element {
                    Element::Text(text) => (text.extent().y, text.extent().bottom()),
                    Element::Rect(r, _) => (r.y, r.bottom()),
                    _ => continue,
                };
                prop_assert!(top >= free, "{name} {element:?} above {free}");
                lowest = f64::max(lowest, bottom);
            }
            free = lowest;
        }
        // No text leaves the picture, unless that is smaller than a text.
        if scene.width >= 150.0 && scene.height >= 100.0 {
            for text in texts(&scene) {
                let e = text.extent();
                let fits = e.x >= -0.5 && e.y >= -0.5 && e.right() <= scene.width + 0.5 && e.bottom() <= scene.height + 0.5;
                prop_assert!(fits, "{text:?} {e:?} of {}x{}", scene.width, scene.height);
            }
        }
    }
}
