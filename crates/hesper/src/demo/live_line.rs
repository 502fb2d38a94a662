//! What the terminal shows: lines for what happens, and below them one line of figures, rewritten in place.

use std::collections::VecDeque;
use std::fmt;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use chrono::Local;
use indicatif::{BinaryBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Without a terminal the figures are printed this often.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// What the live line shows.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Series in the store.
    pub series: u64,
    /// Datapoints a second, over the last steps.
    pub datapoints_per_second: f64,
    /// Bytes of the log on disk.
    pub log_bytes: u64,
    /// Bytes of the files of history.
    pub history_bytes: u64,
    /// Files of history.
    pub history_files: u64,
    /// The time within which 99 of the last 100 queries were answered.
    pub query_p99: Option<Duration>,
    /// Alerts that fire; nothing when the node has no alerts.
    pub firing: Option<usize>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} series · {} datapoints/s · log {} · history {} in {} {}",
            HumanCount(self.series),
            HumanCount(self.datapoints_per_second.round() as u64),
            BinaryBytes(self.log_bytes),
            BinaryBytes(self.history_bytes),
            self.history_files,
            if self.history_files == 1 {
                "file"
            } else {
                "files"
            },
        )?;
        match self.query_p99 {
            Some(p99) => write!(f, " · query p99 {:.1} ms", p99.as_secs_f64() * 1000.0)?,
            None => write!(f, " · query p99 -")?,
        }
        match self.firing {
            Some(0) => write!(f, " · no alerts"),
            Some(1) => write!(f, " · 1 alert firing"),
            Some(n) => write!(f, " · {n} alerts firing"),
            None => write!(f, " · alerts off"),
        }
    }
}

/// The terminal, or what stands in for it.
pub struct Screen {
    /// The live line; absent when nobody watches.
    bar: Option<ProgressBar>,
    /// True while the live line is there.
    shown: bool,
    printed: Option<Instant>,
}

impl Screen {
    /// Standard output.
    pub fn new() -> Self {
        let bar = std::io::stdout().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            // Cut off at the edge: a line that wraps could not be rewritten.
            let style = ProgressStyle::with_template("{wide_msg}");
            bar.with_style(style.expect("the template is well-formed"))
        });
        Self {
            bar,
            shown: false,
            printed: None,
        }
    }

    /// Prints a line as it is.
    pub fn print(&self, line: impl fmt::Display) {
        match &self.bar {
            Some(bar) if self.shown => bar.suspend(|| println!("{line}")),
            _ => println!("{line}"),
        }
    }

    /// Prints what has happened, with the time.
    pub fn say(&self, what: impl fmt::Display) {
        self.print(format_args!("{}  {what}", now()));
    }

    /// Shows new figures.
    pub fn show(&mut self, figures: &Figures) {
        match &self.bar {
            Some(bar) => {
                self.shown = true;
                bar.set_message(format!("{}  {figures}", now()));
            }
            None if self.printed.is_none_or(|p| p.elapsed() >= PLAIN_INTERVAL) => {
                self.printed = Some(Instant::now());
                println!("{}  {figures}", now());
            }
            None => {}
        }
    }

    /// Takes the live line away.
    pub fn finish(&mut self) {
        self.shown = false;
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The time of day, as the person at the terminal has it.
fn now() -> impl fmt::Display {
    Local::now().format("%H:%M:%S")
}

/// The rate of a counter over the last while.
#[derive(Default)]
pub struct RateWindow {
    samples: VecDeque<(Instant, u64)>,
}

impl RateWindow {
    /// Takes a total of a time and gives the rate since the oldest total that is remembered, which is `over` ago at most.
    pub fn add(&mut self, at: Instant, total: u64, over: Duration) -> f64 {
        self.samples.push_back((at, total));
        while self
            .samples
            .front()
            .is_some_and(|(then, _)| at.duration_since(*then) > over)
        {
            self.samples.pop_front();
        }
        let Some((then, before)) = self.samples.front() else {
            return 0.0;
        };
        let passed = at.duration_since(*then).as_secs_f64();
        if passed == 0.0 {
            return 0.0;
        }
        total.saturating_sub(*before) as f64 / passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_all_figures() {
        let figures = Figures {
            series: 1512,
            datapoints_per_second: 302.4,
            log_bytes: 3 << 20,
            history_bytes: 512 << 10,
            history_files: 1,
            query_p99: Some(Duration::from_micros(4210)),
            firing: Some(2),
        };
        assert_eq!(
            figures.to_string(),
            "1,512 series · 302 datapoints/s · log 3.00 MiB · history 512.00 KiB in 1 file · query p99 4.2 ms · 2 alerts firing"
        );
        assert!(
            Figures::default()
                .to_string()
                .ends_with("query p99 - · alerts off")
        );
    }

    #[test]
    fn a_rate_is_that_of_the_last_while() {
        let start = Instant::now();
        let mut rate = RateWindow::default();
        let mut add = |secs, total| {
            let at = start + Duration::from_secs(secs);
            rate.add(at, total, Duration::from_secs(10))
        };
        assert_eq!(add(0, 1000), 0.0);
        assert_eq!(add(5, 2000), 200.0);
        assert_eq!(add(10, 2000), 100.0);
        assert_eq!(add(15, 4000), 200.0);
    }
}
