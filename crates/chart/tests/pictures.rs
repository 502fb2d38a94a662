//! Pictures: the scenes of the gallery as written down, the gallery itself, and what comes out as PNG.
//!
//! `UPDATE_SCENES=1 cargo test -p hesper-chart --test pictures` writes the scenes down anew; look at what changed.

#[path = "gallery/charts.rs"]
mod charts;
#[path = "gallery/page.rs"]
mod page;

use std::fs;
use std::path::PathBuf;

use hesper_chart::chart::{Chart, Item, Layout, LegendType, Line, Plot};
use hesper_chart::{Color, error_image};
use hesper_model::{Step, Timestamp};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn scenes_are_as_written_down() {
    let folder = folder("tests/scenes");
    let update = std::env::var_os("UPDATE_SCENES").is_some();
    let mut changed = Vec::new();
    for (_, pictures) in charts::pictures() {
        for picture in pictures {
            let path = folder.join(format!("{}.txt", picture.name));
            let scene = picture.scene.describe();
            if update {
                fs::create_dir_all(&folder).expect("a folder");
                fs::write(&path, &scene).expect("a file");
            }
            let known = fs::read_to_string(&path).unwrap_or_default();
            let pairs = known.lines().zip(scene.lines());
            let first = pairs.clone().find(|(a, b)| a != b);
            if known != scene {
                changed.push(format!("{}: {first:?}", picture.name));
            }
        }
    }
    assert!(changed.is_empty(), "scenes that changed: {changed:#?}");
}

#[test]
fn the_gallery_shows_these_scenes() {
    let folder = folder("../../docs/gallery");
    let sections = charts::pictures();
    let page = fs::read_to_string(folder.join("README.md")).expect("the page");
    let hint = "draw it again: cargo run -p hesper-chart --example gallery";
    assert!(
        page == page::markdown(&sections),
        "the page is out of date; {hint}"
    );
    let mut bytes = 0;
    for picture in sections.iter().flat_map(|(_, pictures)| pictures) {
        let name = picture.name;
        let file = fs::read(folder.join(format!("{name}.png"))).unwrap_or_default();
        bytes += file.len();
        let found = itxt(&file, "Scene").unwrap_or_default();
        let current = page::fingerprint(&picture.scene);
        assert!(found == current, "{name}.png is out of date; {hint}");
    }
    assert!(bytes < 3_000_000, "{bytes} bytes are too many");
}

/// The text under a keyword in a PNG.
fn itxt(file: &[u8], keyword: &str) -> Option<String> {
    let reader = png::Decoder::new(std::io::Cursor::new(file))
        .read_info()
        .ok()?;
    let texts = &reader.info().utf8_text;
    let found = texts.iter().find(|text| text.keyword == keyword)?;
    found.get_text().ok()
}

struct Pixels {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Pixels {
    fn read(file: &[u8]) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .expect("a PNG");
        let mut rgb = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut rgb).expect("a frame");
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Self {
            width: info.width,
            height: info.height,
            rgb,
        }
    }

    fn at(&self, x: u32, y: u32) -> [u8; 3] {
        let i = ((y * self.width + x) * 3) as usize;
        [self.rgb[i], self.rgb[i + 1], self.rgb[i + 2]]
    }

    /// Where a colour is: left, top, right and bottom, and on how many pixels.
    fn extent(&self, color: [u8; 3]) -> Option<((u32, u32, u32, u32), usize)> {
        let places = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
        let mut found: Option<((u32, u32, u32, u32), usize)> = None;
        for (x, y) in places.filter(|(x, y)| self.at(*x, *y) == color) {
            let (e, count) = found.get_or_insert(((x, y, x, y), 0));
            *e = (e.0.min(x), e.1.min(y), e.2.max(x), e.3.max(y));
            *count += 1;
        }
        found
    }
}

const MAGENTA: [u8; 3] = [0xff, 0x00, 0xff];

/// A line that swings between two values that are far apart, and beyond them.
fn chart() -> Chart {
    let values = (0..120).map(|i| match (i + 25) % 40 {
        0 => f64::INFINITY,
        1 => f64::NEG_INFINITY,
        2 => f64::NAN,
        i => (f64::from(i) / 6.0).sin() * 50.0,
    });
    let line = Line::new("a line", Color::rgb(0xff00ff), values.collect());
    let first = Timestamp(60_000);
    let plot = Plot::new(vec![Item::Line(line)]);
    let mut chart = Chart::new(
        vec![plot],
        first,
        first.plus_millis(120 * 60_000),
        Step::from_secs(60),
    );
    chart.legend = LegendType::Off;
    chart
}

#[test]
fn lines_are_on_the_canvas_and_nowhere_else() {
    let mut chart = chart();
    chart.only_graph = true;
    (chart.width, chart.height) = (240, 120);
    let pixels = Pixels::read(&chart.to_png().expect("drawn"));
    assert_eq!((pixels.width, pixels.height), (240, 120));
    let ((left, top, right, bottom), count) = pixels.extent(MAGENTA).expect("a line");
    assert_eq!((left, top), (0, 0), "infinity is above");
    assert!(
        right >= 238 && bottom == 119 && count > 400,
        "{right} {bottom} {count}"
    );

    chart.only_graph = false;
    let pixels = Pixels::read(&chart.to_png().expect("drawn"));
    let scene = chart.scene();
    assert_eq!(
        (f64::from(pixels.width), f64::from(pixels.height)),
        (scene.width, scene.height)
    );
    let ((left, top, right, bottom), _) = pixels.extent(MAGENTA).expect("a line");
    assert_eq!(
        (right - left + 1, bottom - top + 1),
        (240, 120),
        "the canvas and no more"
    );
}

#[test]
fn pictures_have_the_size_asked_for() {
    let size = |chart: &Chart| {
        let pixels = Pixels::read(&chart.to_png().expect("drawn"));
        (pixels.width, pixels.height)
    };
    let mut chart = chart();
    chart.layout = Layout::Image;
    (chart.width, chart.height) = (321, 123);
    assert_eq!(size(&chart), (321, 123));
    chart.zoom = 2.0;
    assert_eq!(size(&chart), (642, 246));
    chart.zoom = 1.0;
    chart.layout = Layout::ImageWidth;
    let (width, height) = size(&chart);
    assert!(width == 321 && height > 123);
    chart.layout = Layout::ImageHeight;
    let (width, height) = size(&chart);
    assert!(width > 321 && height == 123);
}

#[test]
fn the_source_is_in_the_picture() {
    let mut chart = chart();
    (chart.width, chart.height) = (100, 64);
    let file = chart.to_png().expect("drawn");
    assert_eq!(itxt(&file, "Source"), None);
    chart.source = Some("/api/v1/graph?q=é,:has".to_owned());
    let file = chart.to_png().expect("drawn");
    assert_eq!(
        itxt(&file, "Source").as_deref(),
        Some("/api/v1/graph?q=é,:has")
    );
    assert_eq!(
        itxt(&file, "Description").as_deref(),
        Some("start=1970-01-01T00:01:00Z, end=1970-01-01T02:01:00Z")
    );
}

#[test]
fn errors_are_pictures_too() {
    let file = error_image::png(
        error_image::Fault::User,
        "IllegalStateException: x",
        (200, 50),
    );
    let pixels = Pixels::read(&file.expect("drawn"));
    assert_eq!((pixels.width, pixels.height), (200, 50));
    assert_eq!(pixels.at(199, 49), [0xff, 0xcf, 0x00]);
    let (_, ink) = pixels.extent([0x1b, 0x1f, 0x24]).expect("letters");
    assert!(ink > 20);
}
