//! The flags of commands that ask an expression over a range.

/// The range, and the step.
#[derive(clap::Args)]
pub struct RangeArgs {
    /// The start: a time, or relative to the end (e-1h) or to now
    #[arg(
        long,
        default_value = "e-1h",
        value_name = "TIME",
        allow_hyphen_values = true
    )]
    start: String,
    /// The end
    #[arg(
        long,
        default_value = "now",
        value_name = "TIME",
        allow_hyphen_values = true
    )]
    end: String,
    /// The least distance between datapoints; chosen by the range when absent
    #[arg(long, value_name = "DURATION")]
    step: Option<String>,
}

impl RangeArgs {
    /// The parameters of a graph.
    pub fn params(&self) -> Vec<(&'static str, &str)> {
        let step = self.step.iter().map(|step| ("step", step.as_str()));
        let range = [("s", self.start.as_str()), ("e", &self.end)];
        range.into_iter().chain(step).collect()
    }
}
