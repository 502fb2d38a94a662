//! Draws the figures of `bench growth`: time against datapoints, both in powers of ten, so that what grows in proportion is a line of slope one.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use super::growth::HEAD;
use crate::error::CommandError;

/// The flags of `bench plot`.
#[derive(clap::Args)]
pub struct PlotArgs {
    /// Figures that `bench growth` printed
    csv: Vec<PathBuf>,
    /// Where to write the picture, as SVG
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Draws.
///
/// # Errors
/// When a file cannot be read or written, or holds something else.
pub fn plot(args: &PlotArgs) -> Result<(), CommandError> {
    let mut text = String::new();
    for path in &args.csv {
        let read = std::fs::read_to_string(path).map_err(|source| CommandError::File {
            path: path.clone(),
            source,
        })?;
        text.push_str(&read);
        text.push('\n');
    }
    let curves = curves(&text).map_err(CommandError::Other)?;
    std::fs::write(&args.out, picture(&curves)).map_err(|source| CommandError::File {
        path: args.out.clone(),
        source,
    })
}

/// Points of time against datapoints, by what they are of.
type Curves = BTreeMap<String, Vec<(f64, f64)>>;

fn curves(text: &str) -> Result<Curves, String> {
    let mut curves = Curves::new();
    for line in text.lines().filter(|l| !l.is_empty() && *l != HEAD) {
        let fields: Vec<&str> = line.split(',').collect();
        let [what, tier, _, _, datapoints, millis] = fields[..] else {
            return Err(format!("not a line of figures: {line}"));
        };
        let number = |text: &str| {
            let number = text.parse::<f64>().ok().filter(|n| *n > 0.0);
            number.ok_or_else(|| format!("not a number above zero in: {line}"))
        };
        let name = match what {
            "series" => "series in memory".to_owned(),
            _ => format!("range of history, {tier}"),
        };
        let point = (number(datapoints)?, number(millis)?);
        curves.entry(name).or_default().push(point);
    }
    for curve in curves.values_mut() {
        curve.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    match curves.is_empty() {
        true => Err("there are no figures".to_owned()),
        false => Ok(curves),
    }
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// Left, right, top, bottom.
const MARGIN: (f64, f64, f64, f64) = (70.0, 20.0, 40.0, 50.0);
const COLORS: [&str; 6] = [
    "#1f5fa8", "#c2410c", "#15803d", "#7e22ce", "#b45309", "#0f766e",
];

/// Nanoseconds a datapoint for which a line is drawn, to compare with.
const PACES: [f64; 3] = [1.0, 10.0, 100.0];

/// The datapoints at which a line of so many milliseconds each enters and leaves the picture.
fn in_sight(x: &Axis, y: &Axis, each: f64) -> Option<(f64, f64)> {
    let ((left, right), (low, high)) = (x.ends(), y.ends());
    let (from, to) = (left.max(low / each), right.min(high / each));
    (from < to).then_some((from, to))
}

/// An axis in powers of ten, from its first to its last.
struct Axis {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let lowest = values.clone().fold(f64::INFINITY, f64::min).log10();
        let highest = values.fold(0.0, f64::max).log10();
        let first = lowest.floor() as i32;
        Self {
            first,
            last: (highest.ceil() as i32).max(first + 1),
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let part = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + part * (self.to - self.from)
    }

    /// Its first and its last value.
    fn ends(&self) -> (f64, f64) {
        (10f64.powi(self.first), 10f64.powi(self.last))
    }

    fn ticks(&self) -> impl Iterator<Item = (i32, f64)> + '_ {
        (self.first..=self.last).map(|power| (power, self.place(10f64.powi(power))))
    }
}

fn picture(curves: &Curves) -> String {
    let (left, right, top, bottom) = MARGIN;
    let points = || curves.values().flatten();
    let x = Axis::over(points().map(|p| p.0), left, WIDTH - right);
    let y = Axis::over(points().map(|p| p.1), HEIGHT - bottom, top);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    let mut draw = |shape: String| _ = writeln!(svg, "{shape}");
    let line = |x1: f64, y1: f64, x2: f64, y2: f64, style: &str| {
        format!("<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>")
    };
    for (power, at) in x.ticks() {
        draw(line(at, top, at, HEIGHT - bottom, "stroke=\"#ddd\""));
        let label = match power {
            9.. => format!("{} G", 10i64.pow(power as u32 - 9)),
            6.. => format!("{} M", 10i64.pow(power as u32 - 6)),
            3.. => format!("{} k", 10i64.pow(power as u32 - 3)),
            _ => format!("{}", 10f64.powi(power)),
        };
        let under = HEIGHT - bottom + 18.0;
        draw(format!(
            "<text x=\"{at:.1}\" y=\"{under}\" text-anchor=\"middle\">{label}</text>"
        ));
    }
    for (power, at) in y.ticks() {
        draw(line(left, at, WIDTH - right, at, "stroke=\"#ddd\""));
        let label = format!("{} ms", 10f64.powi(power));
        let (beside, below) = (left - 8.0, at + 4.0);
        draw(format!(
            "<text x=\"{beside}\" y=\"{below:.1}\" text-anchor=\"end\">{label}</text>"
        ));
    }
    let (middle, under) = ((left + WIDTH - right) / 2.0, HEIGHT - 12.0);
    draw(format!(
        "<text x=\"{middle}\" y=\"{under}\" text-anchor=\"middle\">datapoints that the answer is made of</text>"
    ));
    let beside = (top + HEIGHT - bottom) / 2.0;
    draw(format!(
        "<text x=\"16\" y=\"{beside}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {beside})\">median time of an answer</text>"
    ));
    for nanos in PACES {
        let each = nanos / 1e6;
        let Some((from, to)) = in_sight(&x, &y, each) else {
            continue;
        };
        let ends = [from, to].map(|n| (x.place(n), y.place(n * each)));
        let [(x1, y1), (x2, y2)] = ends;
        draw(line(
            x1,
            y1,
            x2,
            y2,
            "stroke=\"#999\" stroke-dasharray=\"4 4\"",
        ));
        let (at, beside) = (x1 + (x2 - x1) * 0.02 + 14.0, y1 + (y2 - y1) * 0.02);
        draw(format!(
            "<text x=\"{at:.1}\" y=\"{beside:.1}\" font-size=\"11\" fill=\"#777\">{nanos} ns a datapoint</text>"
        ));
    }
    for (i, (name, curve)) in curves.iter().enumerate() {
        let color = COLORS[i % COLORS.len()];
        let places: Vec<(f64, f64)> = curve
            .iter()
            .map(|(datapoints, millis)| (x.place(*datapoints), y.place(*millis)))
            .collect();
        let path: Vec<String> = places
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        draw(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            path.join(" ")
        ));
        for (x, y) in places {
            draw(format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{color}\"/>"
            ));
        }
        let (at, beside) = (top + 16.0 * i as f64 + 12.0, left + 40.0);
        draw(line(
            left + 12.0,
            at - 4.0,
            left + 34.0,
            at - 4.0,
            &format!("stroke=\"{color}\" stroke-width=\"3\""),
        ));
        draw(format!("<text x=\"{beside}\" y=\"{at}\">{name}</text>"));
    }
    draw(format!(
        "<text x=\"{left}\" y=\"24\" font-size=\"15\" font-weight=\"bold\">Time of a sum over HTTP</text>"
    ));
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_become_curves_in_their_order() {
        let text = format!(
            "{HEAD}\nseries,memory,1000,6,360000,1.5\nrange,raw,10,24,20,8\n{HEAD}\nrange,raw,10,1,10,4\n"
        );
        let curves = curves(&text).expect("figures");
        assert_eq!(curves["range of history, raw"], [(10.0, 4.0), (20.0, 8.0)]);
        let svg = picture(&curves);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.matches("ns a datapoint").count() >= 2);
    }

    #[test]
    fn what_is_no_figure_is_refused() {
        assert!(curves("").is_err());
        assert!(curves("a,b").is_err_and(|e| e.contains("a,b")));
        assert!(curves("series,memory,1,1,0,1").is_err());
    }

    #[test]
    fn a_pace_is_drawn_as_far_as_it_is_in_sight() {
        let x = Axis::over([1e5, 1e8].into_iter(), 0.0, 300.0);
        let y = Axis::over([2.0, 900.0].into_iter(), 300.0, 0.0);
        let (from, to) = in_sight(&x, &y, 1e-5).expect("it crosses");
        assert!((from - 1e5).abs() < 1.0 && (to - 1e8).abs() < 1e3);
        let (from, _) = in_sight(&x, &y, 1e-6).expect("it crosses");
        assert!((from - 1e6).abs() < 10.0);
        assert_eq!(in_sight(&x, &y, 1e-9), None);
    }

    #[test]
    fn powers_of_ten_are_evenly_apart() {
        let axis = Axis::over([2.0, 900.0].into_iter(), 0.0, 300.0);
        let ticks: Vec<_> = axis.ticks().collect();
        assert_eq!(ticks, [(0, 0.0), (1, 100.0), (2, 200.0), (3, 300.0)]);
    }
}
