//! What a registry reports: the measurements of a step, and current values.

use std::sync::Arc;

use crate::meter::ValueKind;
use crate::registry::Registry;
use crate::series::Series;
use crate::step::StepNumber;

/// The values of all series for one step, in two columns.
///
/// As long as the same series report, measurements share their column of series, so that a step costs one number a series.
#[derive(Clone, Debug)]
pub struct Measurements {
    time_millis: i64,
    series: Arc<[Arc<Series>]>,
    values: Vec<f64>,
    skipped_steps: u64,
}

impl Measurements {
    /// The end of the step, in milliseconds since 1970-01-01T00:00Z.
    pub fn time_millis(&self) -> i64 {
        self.time_millis
    }

    /// The series, one for each value.
    pub fn series(&self) -> &Arc<[Arc<Series>]> {
        &self.series
    }

    /// The values; never NaN.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Steps between these measurements and those before that nobody asked for in time: their values are lost.
    pub fn skipped_steps(&self) -> u64 {
        self.skipped_steps
    }

    /// Each series with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<Series>, f64)> {
        self.series.iter().zip(self.values.iter().copied())
    }

    pub(crate) fn into_values(self) -> Vec<f64> {
        self.values
    }
}

/// Takes the measurements of a registry, each step once.
pub struct Measurer {
    registry: Registry,
    /// The step that was measured last.
    last: StepNumber,
    series: Arc<[Arc<Series>]>,
}

impl Measurer {
    pub(crate) fn new(registry: Registry, last: StepNumber) -> Self {
        Self {
            registry,
            last,
            series: Arc::new([]),
        }
    }

    /// The step that is over, unless it was measured before. Meters keep one step: ask once in every step.
    pub fn completed(&mut self) -> Option<Measurements> {
        let current = self.registry.steps().current();
        if self.last > current {
            // The clock was set back; waiting for the old time could take for ever.
            self.last = current - 1;
        }
        (self.last < current - 1).then(|| self.measure(current - 1))
    }

    /// The step that is under way, up to now. What is recorded from now on counts for the next step, so that nothing is lost and
    /// no time is measured twice. For the end of a process.
    ///
    /// A step that has ended but was not taken comes first: call this until there is nothing more.
    pub fn partial(&mut self) -> Option<Measurements> {
        if let Some(completed) = self.completed() {
            return Some(completed);
        }
        let current = self.registry.steps().current();
        (self.last < current).then(|| self.measure(current))
    }

    fn measure(&mut self, step: StepNumber) -> Measurements {
        self.registry.poll();
        let skipped_steps = (step - self.last - 1).max(0).unsigned_abs();
        self.last = step;

        let mut columns = Columns::beginning_like(&self.series);
        self.registry
            .measure(step, |series, value| columns.push(series, value));
        let (series, values) = columns.finish();
        self.series = series;
        self.registry.remove_expired();
        Measurements {
            time_millis: self.registry.steps().end_millis(step),
            series: self.series.clone(),
            values,
            skipped_steps,
        }
    }
}

/// Builds the columns, taking the series of the step before for as long as they agree.
struct Columns<'a> {
    before: &'a Arc<[Arc<Series>]>,
    /// The series, once they differ from those before.
    series: Option<Vec<Arc<Series>>>,
    values: Vec<f64>,
}

impl<'a> Columns<'a> {
    fn beginning_like(before: &'a Arc<[Arc<Series>]>) -> Self {
        Self {
            before,
            series: None,
            values: Vec::with_capacity(before.len() + before.len() / 16),
        }
    }

    fn push(&mut self, series: &Arc<Series>, value: f64) {
        if value.is_nan() {
            return;
        }
        let place = self.values.len();
        if self.series.is_none()
            && !matches!(self.before.get(place), Some(s) if Arc::ptr_eq(s, series))
        {
            self.series = Some(self.before[..place].to_vec());
        }
        if let Some(own) = &mut self.series {
            own.push(series.clone());
        }
        self.values.push(value);
    }

    fn finish(self) -> (Arc<[Arc<Series>]>, Vec<f64>) {
        let series = match self.series {
            Some(series) => series.into(),
            None if self.values.len() == self.before.len() => self.before.clone(),
            None => self.before[..self.values.len()].into(),
        };
        (series, self.values)
    }
}

/// The present state of one series.
#[derive(Clone, Debug)]
pub struct CurrentValue {
    series: Arc<Series>,
    kind: ValueKind,
    value: f64,
}

impl CurrentValue {
    pub(crate) fn new(series: Arc<Series>, kind: ValueKind, value: f64) -> Self {
        Self {
            series,
            kind,
            value,
        }
    }

    /// The series with its tags, common tags among them.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// Whether the value only grows.
    pub fn kind(&self) -> ValueKind {
        self.kind
    }

    /// The value.
    pub fn value(&self) -> f64 {
        self.value
    }
}
