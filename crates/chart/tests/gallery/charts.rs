//! The charts of the gallery, made of numbers that are the same every time.

use hesper_chart::chart::{
    Bound, Chart, HSpan, Item, Layout, LegendType, Line, Message, Plot, Scale, TickLabels, VSpan,
    Vision, Zone,
};
use hesper_chart::palette::Palette;
use hesper_chart::theme::Theme;
use hesper_chart::{Color, TextOptions, error_image};
use hesper_model::{Step, Timestamp};
use hesper_stack::expr::style::LineStyle;
use hesper_stack::time::TimeZone;

/// A chart of the gallery.
pub struct Picture {
    /// The name of the file, without its ending.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// The drawing.
    pub scene: hesper_chart::scene::Scene,
}

/// 2026-01-05T00:00 UTC, a Monday.
const MONDAY: i64 = 1_767_571_200_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// A number between −1 and 1 that follows from two others (SplitMix64).
fn noise(seed: u64, i: usize) -> f64 {
    let mut x =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) as f64 / u64::MAX as f64 * 2.0 - 1.0
}

/// A load that swings over a day, with a peak in the evening and some noise.
fn load(seed: u64, n: usize, step: i64, base: f64, swing: f64) -> Vec<f64> {
    (0..n)
        .map(|i| {
            let day = (i as i64 * step) as f64 / (24 * HOUR) as f64;
            let wave = (std::f64::consts::TAU * (day - 0.35)).sin()
                + 0.3 * (2.0 * std::f64::consts::TAU * day).sin();
            base + swing * (wave + 0.06 * noise(seed, i) + 0.08 * noise(seed ^ 77, i / 9))
        })
        .collect()
}

fn colors() -> Palette {
    Palette::parse("armytage").expect("a palette")
}

fn lines(style: LineStyle, all: &[(&str, Vec<f64>)]) -> Vec<Item> {
    let palette = colors();
    let lines = all.iter().enumerate().map(|(i, (label, values))| {
        Item::Line(Line {
            style,
            ..Line::new(label, palette.at(i), values.clone())
        })
    });
    lines.collect()
}

fn chart_at(start: i64, n: usize, step: i64, plots: Vec<Plot>) -> Chart {
    let first = Timestamp(start + step);
    let end = first.plus_millis(n as i64 * step);
    let step = Step::from_millis(step).expect("a step");
    Chart::new(plots, first, end, step)
}

/// Three hours by the minute.
fn chart(plots: Vec<Plot>) -> Chart {
    chart_at(MONDAY, 180, MINUTE, plots)
}

fn titled(title: &str, mut chart: Chart) -> Chart {
    chart.title = Some(title.to_owned());
    chart
}

/// Requests of three regions over a day.
fn regions() -> Vec<(&'static str, Vec<f64>)> {
    ["us-east-1", "us-west-2", "eu-west-1"]
        .into_iter()
        .enumerate()
        .map(|(i, region)| {
            let base = [5200.0, 3900.0, 2700.0][i];
            (region, load(i as u64, 288, 5 * MINUTE, base, base * 0.35))
        })
        .collect()
}

fn day(plots: Vec<Plot>) -> Chart {
    chart_at(MONDAY, 288, 5 * MINUTE, plots)
}

fn line_chart() -> Chart {
    let mut plot = Plot::new(lines(LineStyle::Line, &regions()));
    plot.ylabel = Some("requests per second".to_owned());
    titled("Requests per second by region", day(vec![plot]))
}

fn area_chart() -> Chart {
    let mut items = lines(
        LineStyle::Area,
        &[("requests", load(4, 288, 5 * MINUTE, 900.0, 700.0))],
    );
    if let Some(Item::Line(line)) = items.first_mut() {
        line.color = Color::argb(0xb000_75dc);
    }
    titled(
        "Requests, an area filled to zero",
        day(vec![Plot::new(items)]),
    )
}

fn stack_chart() -> Chart {
    let plot = Plot::new(lines(LineStyle::Stack, &regions()));
    titled("Requests per second, stacked", day(vec![plot]))
}

fn signed_stack() -> Chart {
    let n = 180;
    let traffic = |seed, base: f64| load(seed, n, 8 * MINUTE, base, base * 0.4);
    let negative = |values: Vec<f64>| values.into_iter().map(|v| -v).collect();
    let all = [
        ("received, eth0", traffic(1, 9e6)),
        ("received, eth1", traffic(2, 4e6)),
        ("sent, eth0", negative(traffic(3, 6e6))),
        ("sent, eth1", negative(traffic(4, 3e6))),
    ];
    let mut plot = Plot::new(lines(LineStyle::Stack, &all));
    plot.tick_labels = TickLabels::Binary;
    plot.ylabel = Some("bytes per second".to_owned());
    titled(
        "Traffic, received above and sent below",
        chart_at(MONDAY, n, 8 * MINUTE, vec![plot]),
    )
}

fn spans() -> Chart {
    let values = load(8, 180, 8 * MINUTE, 60.0, 25.0);
    let alarm = values.iter().map(|v| f64::from(*v > 78.0)).collect();
    let mut items = lines(LineStyle::Line, &[("cpu", values)]);
    items.insert(
        0,
        Item::Line(Line {
            style: LineStyle::VSpan,
            ..Line::new("above 78 %", Color::argb(0x40d0_2020), alarm)
        }),
    );
    items.push(Item::HSpan(HSpan {
        v1: 78.0,
        v2: 95.0,
        color: Color::argb(0x30ff_a405),
        label: Some("too warm".to_owned()),
    }));
    items.push(Item::VSpan(VSpan {
        t1: Timestamp(MONDAY + 4 * HOUR),
        t2: Timestamp(MONDAY + 6 * HOUR),
        color: Color::argb(0x3000_8050),
        label: Some("deployment of 04:00".to_owned()),
    }));
    items.push(Item::Message(Message {
        label: "... 1 of 12 lines matched filter ...".to_owned(),
        color: Color::BLACK,
    }));
    titled(
        "Spans of times and of values",
        chart_at(MONDAY, 180, 8 * MINUTE, vec![Plot::new(items)]),
    )
}

/// Latencies of many instances, counted.
fn heatmap(theme: Theme) -> Chart {
    let instances: Vec<Item> = (0..160)
        .map(|seed| {
            let slow = if seed % 5 == 0 { 2.2 } else { 1.0 };
            let values = (0..180).map(|i| {
                let wave = 1.0 + 0.35 * (i as f64 / 28.0).sin();
                let spread: f64 = (0..4).map(|k| noise(seed * 4 + k, i)).sum::<f64>() / 4.0;
                0.08 * slow * wave * (1.0 + 0.9 * spread)
            });
            let label = format!("i-{seed:03}");
            Item::Line(Line {
                style: LineStyle::Heatmap,
                ..Line::new(&label, Color::rgb(0x0075dc), values.collect())
            })
        })
        .collect();
    let mut plot = Plot::new(instances);
    plot.tick_labels = TickLabels::Duration;
    plot.lower = Bound::Explicit(0.0);
    plot.heatmap.label = Some("instances by latency".to_owned());
    let mut chart = titled("Latency of 160 instances", chart(vec![plot]));
    chart.theme = theme;
    chart
}

fn palette_heatmap() -> Chart {
    let mut chart = heatmap(Theme::Light);
    let list = "(,fff7bc,fec44f,fe9929,ec7014,cc4c02,993404,662506,)";
    chart.plots[0].heatmap.palette = Some(Palette::parse(list).expect("colours"));
    chart.plots[0].heatmap.scale = Scale::Sqrt;
    chart.title = Some("A heatmap with colours of its own and a square root scale".to_owned());
    chart
}

/// Values over many powers of ten.
fn scaled(scale: Scale, title: &str) -> Chart {
    let grow = |power: f64| {
        (0..180)
            .map(|i| 10f64.powf(power * i as f64 / 179.0))
            .collect()
    };
    let all = [
        ("up to ten", grow(1.0)),
        ("up to a hundred", grow(2.0)),
        ("up to ten thousand", grow(4.0)),
    ];
    let mut plot = Plot::new(lines(LineStyle::Line, &all));
    plot.scale = scale;
    let mut chart = titled(title, chart(vec![plot]));
    chart.height = 200;
    chart.legend = LegendType::LabelsOnly;
    chart
}

fn five_axes() -> Chart {
    let palette = colors();
    let names = ["requests", "errors", "latency", "heap", "load"];
    let plots = names.iter().enumerate().map(|(i, name)| {
        let base = [5200.0, 12.0, 0.045, 3.2e9, 2.4][i];
        let swing = base * (0.15 + 0.05 * i as f64);
        let mut values = load(20 + i as u64, 288, 5 * MINUTE, base, swing);
        values.rotate_left(35 * i);
        let mut plot = Plot::new(vec![Item::Line(Line::new(name, palette.at(i), values))]);
        plot.axis_color = Some(palette.at(i));
        plot.ylabel = Some((*name).to_owned());
        plot.tick_labels = match i {
            2 => TickLabels::Duration,
            3 => TickLabels::Binary,
            _ => TickLabels::Decimal,
        };
        plot
    });
    titled("Five axes", day(plots.collect()))
}

fn time_zones() -> Chart {
    // The night in which clocks were put forward in California.
    let start = 1_772_938_800_000 - 4 * HOUR;
    let values = load(5, 288, 5 * MINUTE, 700.0, 260.0);
    let mut chart = chart_at(
        start,
        288,
        5 * MINUTE,
        vec![Plot::new(lines(LineStyle::Line, &[("requests", values)]))],
    );
    let zones = ["US/Pacific", "UTC", "Asia/Kathmandu"];
    chart.zones = zones
        .iter()
        .map(|name| Zone {
            name: (*name).to_owned(),
            zone: TimeZone::parse(name).expect("a zone"),
        })
        .collect();
    titled("Three time zones, and clocks put forward", chart)
}

fn gaps() -> Chart {
    let broken = |seed: u64| -> Vec<f64> {
        let values = load(seed, 180, 6 * MINUTE, 40.0, 20.0);
        let gap = |i: usize| (50..70).contains(&(i + seed as usize * 7)) || i % 47 == 11;
        values
            .into_iter()
            .enumerate()
            .map(|(i, v)| {
                if gap(i) {
                    f64::NAN
                } else {
                    v - 8.0 * seed as f64 + 1.5 * noise(seed, i)
                }
            })
            .collect()
    };
    let mut items = lines(
        LineStyle::Line,
        &[("steps and gaps", broken(1)), ("wider", broken(3))],
    );
    if let Some(Item::Line(line)) = items.last_mut() {
        line.width = 3.0;
    }
    titled(
        "Values are steps, and where there are none there is nothing",
        chart(vec![Plot::new(items)]),
    )
}

fn long_labels() -> Chart {
    let names = [
        "api-production-v412, nf.zone=us-east-1c, http.status=200, endpoint=/api/v1/playback/license",
        "api-production-v413, nf.zone=us-east-1d, http.status=503, endpoint=/api/v1/playback/manifest",
        "short",
    ];
    let all: Vec<(&str, Vec<f64>)> = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            (
                *name,
                load(i as u64 + 60, 180, MINUTE, 1e6 / (i as f64 + 1.0), 2e5),
            )
        })
        .collect();
    let mut chart = titled(
        "Labels that leave no room beside them",
        chart(vec![Plot::new(lines(LineStyle::Line, &all))]),
    );
    chart.height = 160;
    chart
}

fn many_lines() -> Chart {
    let palette = colors();
    let items = (0..64).map(|i| {
        let values = load(i as u64, 180, MINUTE, 100.0 + 9.0 * i as f64, 60.0);
        Item::Line(Line::new(&format!("i-{i:04x}"), palette.at(i), values))
    });
    let mut chart = titled(
        "A legend lists fifty lines",
        chart(vec![Plot::new(items.collect())]),
    );
    chart.legend = LegendType::LabelsOnly;
    chart.height = 200;
    chart
}

fn crowded() -> Chart {
    // A week by the minute: ten values for each pixel, with a peak that must not be lost.
    let mut values = load(9, 7 * 1440, MINUTE, 500.0, 120.0);
    for v in &mut values[5000..5003] {
        *v = 1400.0;
    }
    let plot = Plot::new(lines(LineStyle::Line, &[("requests", values)]));
    titled(
        "A week by the minute: ten values for each pixel",
        chart_at(MONDAY, 7 * 1440, MINUTE, vec![plot]),
    )
}

fn warned() -> Chart {
    let mut chart = line_chart();
    chart.title = None;
    chart.height = 120;
    chart.warnings = vec![
        "Invalid sort mode 'size'. Using default of 'legend'.".to_owned(),
        "no data from shards 3 and 17 between 04:00 and 04:10; what is shown is what the other 62 shards have".to_owned(),
    ];
    chart
}

fn sized(layout: Layout, width: u32, height: u32) -> Chart {
    let mut chart = line_chart();
    chart.layout = layout;
    (chart.width, chart.height) = (width, height);
    chart
}

fn only_graph() -> Chart {
    let mut chart = sized(Layout::Canvas, 300, 100);
    chart.only_graph = true;
    chart
}

fn tiny() -> Chart {
    let mut chart = sized(Layout::Image, 90, 40);
    chart.title = None;
    chart
}

fn constant() -> Chart {
    let values = |v: f64| vec![v; 180];
    let mut chart = titled(
        "A constant beside a hair's breadth",
        chart(vec![Plot::new(lines(
            LineStyle::Line,
            &[
                ("10000000.1", values(10_000_000.1)),
                ("10000000.4", values(10_000_000.4)),
            ],
        ))]),
    );
    chart.height = 140;
    chart
}

fn dark() -> Chart {
    let mut chart = line_chart();
    chart.theme = Theme::Dark;
    let palette = Palette::parse("light24").expect("a palette");
    for (i, item) in chart.plots[0].items.iter_mut().enumerate() {
        if let Item::Line(line) = item {
            line.color = palette.at(i);
        }
    }
    chart
}

fn no_data() -> Chart {
    let mut chart = titled(
        "Nothing to be seen",
        chart(vec![Plot::new(lines(
            LineStyle::Line,
            &[("NO DATA", vec![f64::NAN; 180])],
        ))]),
    );
    chart.height = 120;
    chart
}

fn seen_by(vision: Vision) -> Chart {
    let mut chart = stack_chart().seen_with(vision);
    chart.title = Some(format!("As seen with {}", vision.name()));
    (chart.width, chart.height) = (300, 100);
    chart.legend = LegendType::LabelsOnly;
    chart
}

fn palette_chart(name: &str) -> Chart {
    let palette = Palette::parse(name).expect("a palette");
    let items = (0..8).map(|i| {
        let values = load(i as u64 + 30, 96, 15 * MINUTE, 20.0 + 6.0 * i as f64, 8.0);
        Item::Line(Line {
            style: LineStyle::Stack,
            ..Line::new(&format!("{name} {i}"), palette.at(i), values)
        })
    });
    let mut chart = chart_at(MONDAY, 96, 15 * MINUTE, vec![Plot::new(items.collect())]);
    chart.layout = Layout::Image;
    (chart.width, chart.height) = (260, 130);
    titled(name, chart)
}

/// A chart as a terminal shows it: in dots, and in letters.
pub fn texts() -> [String; 2] {
    let mut chart = line_chart();
    chart.title = None;
    let dots = TextOptions {
        width: 90,
        height: 14,
        ..TextOptions::default()
    };
    let letters = TextOptions {
        unicode: false,
        ..dots
    };
    [dots, letters].map(|options| chart.to_text(&options))
}

/// All pictures, in the order of the page.
pub fn pictures() -> Vec<(&'static str, Vec<Picture>)> {
    let picture = |name, about, chart: Chart| Picture {
        name,
        about,
        scene: chart.scene(),
    };
    let zoomed = {
        let mut chart = sized(Layout::Canvas, 320, 120);
        chart.zoom = 2.0;
        chart
    };
    let visions = Vision::ALL.iter().skip(1).map(|vision| Picture {
        name: Box::leak(format!("vision-{}", vision.name()).into_boxed_str()),
        about: vision.name(),
        scene: seen_by(*vision).scene(),
    });
    let palettes = Palette::NAMES.iter().map(|name| Picture {
        name: Box::leak(format!("palette-{name}").into_boxed_str()),
        about: name,
        scene: palette_chart(name).scene(),
    });
    vec![
        (
            "Lines, areas, stacks",
            vec![
                picture(
                    "line",
                    "Lines, with a label at the axis and the figures of each line.",
                    line_chart(),
                ),
                picture(
                    "area",
                    "An area (`:area`), somewhat transparent (`b0,:alpha`).",
                    area_chart(),
                ),
                picture("stack", "Stacked areas (`:stack`).", stack_chart()),
                picture(
                    "stack-signed",
                    "What is below zero is stacked downwards. Binary prefixes (`tick_labels=binary`).",
                    signed_stack(),
                ),
                picture(
                    "gaps",
                    "Steps, gaps and a line of three pixels (`3,:lw`).",
                    gaps(),
                ),
                picture(
                    "crowded",
                    "More values than pixels: each column of pixels spans its lowest and its highest.",
                    crowded(),
                ),
            ],
        ),
        (
            "Spans and heatmaps",
            vec![
                picture(
                    "spans",
                    "Times at which an expression is true (`:vspan,40,:alpha`), a span of values, a span of times, and a message.",
                    spans(),
                ),
                picture(
                    "heatmap",
                    "How many of 160 lines are in each cell (`:heatmap`).",
                    heatmap(Theme::Light),
                ),
                picture(
                    "heatmap-palette",
                    "The same with `heatmap_palette` and `heatmap_scale=sqrt`.",
                    palette_heatmap(),
                ),
                picture(
                    "heatmap-dark",
                    "The same in the dark.",
                    heatmap(Theme::Dark),
                ),
            ],
        ),
        (
            "Scales and axes",
            vec![
                picture(
                    "scale-linear",
                    "`scale=linear`",
                    scaled(Scale::Linear, "Linear"),
                ),
                picture(
                    "scale-log",
                    "`scale=log`",
                    scaled(Scale::Logarithmic, "Logarithmic"),
                ),
                picture(
                    "scale-log-linear",
                    "`scale=log-linear`",
                    scaled(Scale::LogLinear, "Log-linear"),
                ),
                picture(
                    "scale-sqrt",
                    "`scale=sqrt`",
                    scaled(Scale::Sqrt, "Square root"),
                ),
                picture(
                    "scale-pow2",
                    "`scale=pow2`",
                    scaled(Scale::Power2, "Power of two"),
                ),
                picture(
                    "axes",
                    "Five Y axes in the colours of their lines, each with labels of its own kind.",
                    five_axes(),
                ),
                picture("zones", "A time axis for each `tz`.", time_zones()),
                picture("constant", "Values that differ by little.", constant()),
            ],
        ),
        (
            "Legends and notices",
            vec![
                picture(
                    "long-labels",
                    "Long labels have their figures below.",
                    long_labels(),
                ),
                picture(
                    "many-lines",
                    "Without figures (`no_legend_stats=1`).",
                    many_lines(),
                ),
                picture("warnings", "What a reader should know.", warned()),
                picture("no-data", "No data.", no_data()),
            ],
        ),
        (
            "Themes and sizes",
            vec![
                picture("dark", "`theme=dark`", dark()),
                picture("zoom", "`w=320&h=120&zoom=2`", zoomed),
                picture(
                    "layout-image",
                    "`layout=image&w=480&h=160`: the size is that of the picture.",
                    sized(Layout::Image, 480, 160),
                ),
                picture("only-graph", "`only_graph=1`", only_graph()),
                picture("tiny", "`layout=image&w=90&h=40`", tiny()),
            ],
        ),
        ("Palettes", palettes.collect()),
        ("Vision", visions.collect()),
        (
            "Errors",
            vec![
                Picture {
                    name: "error-user",
                    about: "What a browser gets for a request that cannot be answered.",
                    scene: error_image::scene(
                        error_image::Fault::User,
                        "IllegalStateException: no matches for word ':by' with stack [StyleExpr,List], candidates: [af:AggregateFunction keys:StringList -- DataExpr], [TimeSeriesExpr keys:List -- TimeSeriesExpr]",
                        (500, 120),
                    ),
                },
                Picture {
                    name: "error-system",
                    about: "And when the answer failed for another reason.",
                    scene: error_image::scene(
                        error_image::Fault::System,
                        "TimeoutException: no answer from shard 17 within 30 seconds",
                        (500, 60),
                    ),
                },
            ],
        ),
    ]
}
