//! How long it takes to draw: `cargo run --release -p hesper-chart --example speed`.

use std::error::Error;
use std::time::{Duration, Instant};

use hesper_chart::chart::{Chart, Item, Line, Plot};
use hesper_chart::palette::Palette;
use hesper_chart::v2_json;
use hesper_model::{Step, Timestamp};

const LINES: usize = 50;
const VALUES: usize = 1440;

/// Waves that are out of step with each other.
fn chart() -> Result<Chart, Box<dyn Error>> {
    let palette = Palette::parse("armytage")?;
    let items = (0..LINES).map(|i| {
        let values = (0..VALUES).map(|t| {
            let (i, t) = (i as f64, t as f64);
            100.0 + i + 40.0 * (t / 90.0 + i).sin() + 10.0 * (t * (7.0 + i)).sin()
        });
        let label = format!("line {i}");
        Item::Line(Line::new(&label, palette.at(i), values.collect()))
    });
    let first = Timestamp(60_000);
    let end = first.plus_millis(VALUES as i64 * 60_000);
    let plot = Plot::new(items.collect());
    Ok(Chart::new(vec![plot], first, end, Step::from_secs(60)))
}

/// The median of some runs.
fn median(
    mut run: impl FnMut() -> Result<usize, Box<dyn Error>>,
) -> Result<(Duration, usize), Box<dyn Error>> {
    let mut times = Vec::new();
    let mut size = run()?;
    for _ in 0..21 {
        let begun = Instant::now();
        size = run()?;
        times.push(begun.elapsed());
    }
    times.sort();
    Ok((times[times.len() / 2], size))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut chart = chart()?;
    println!(
        "{LINES} lines of {VALUES} values on {} by {} pixels",
        chart.width, chart.height
    );
    let (time, _) = median(|| Ok(chart.scene().elements.len()))?;
    println!("scene    {time:>10.1?}");
    let (time, size) = median(|| Ok(chart.to_svg().len()))?;
    println!("SVG      {time:>10.1?} {size:>9} bytes");
    let (time, size) = median(|| Ok(chart.to_png()?.len()))?;
    println!("PNG      {time:>10.1?} {size:>9} bytes");
    chart.hints = vec!["no-image".to_owned()];
    let (time, size) = median(|| Ok(v2_json(&chart)?.len()))?;
    println!("v2.json  {time:>10.1?} {size:>9} bytes, without the picture");
    Ok(())
}
