//! Counters: how often something happens.

use std::sync::Arc;

use crate::meter::{Kind, Meter, ValueKind};
use crate::series::{Series, SeriesSource};
use crate::step::{Cells, RealSum, StepNumber, Stepped, Steps, WholeSum};

/// Counts events; reported as a rate per second.
#[derive(Clone)]
pub struct Counter(Option<Arc<CounterCore>>);

impl Counter {
    /// Counts one event.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Counts so many events.
    #[inline]
    pub fn add(&self, amount: u64) {
        if let Some(core) = &self.0
            && amount > 0
        {
            core.counts.at(core.steps.current()).whole.add(amount);
        }
    }

    /// Counts an amount that may have a fraction. Amounts that aren't above zero or aren't finite are ignored.
    #[inline]
    pub fn add_f64(&self, amount: f64) {
        if let Some(core) = &self.0
            && amount > 0.0
            && amount.is_finite()
        {
            core.counts.at(core.steps.current()).real.add(amount);
        }
    }

    /// The sum of everything that was counted since the meter was made.
    pub fn total(&self) -> f64 {
        self.0
            .as_ref()
            .map_or(0.0, |core| core.counts.total(core.steps.current()))
    }
}

pub(crate) struct CounterCore {
    steps: Steps,
    counts: Stepped<Counts>,
    series: Arc<Series>,
}

/// Whole numbers are counted apart, since they are added without a retry, and exactly.
#[derive(Default)]
struct Counts {
    whole: WholeSum,
    real: RealSum,
}

impl Cells for Counts {
    type Amounts = f64;

    fn take(&self) -> f64 {
        self.whole.take() as f64 + self.real.take()
    }

    fn peek(&self) -> f64 {
        self.whole.peek() as f64 + self.real.peek()
    }

    fn sum(a: f64, b: f64) -> f64 {
        a + b
    }
}

impl CounterCore {
    pub(super) fn measure(&self, step: StepNumber, sink: &mut impl FnMut(&Arc<Series>, f64)) {
        if let Some(amount) = self.counts.completed(step) {
            sink(&self.series, amount / self.steps.step_secs());
        }
    }

    pub(super) fn observe(
        &self,
        now: StepNumber,
        sink: &mut impl FnMut(&Arc<Series>, ValueKind, f64),
    ) {
        sink(&self.series, ValueKind::Total, self.counts.total(now));
    }

    pub(super) fn last_active(&self) -> StepNumber {
        self.counts.last_active()
    }
}

impl Kind for Counter {
    fn make(steps: Steps, source: SeriesSource) -> Meter {
        Meter::Counter(Arc::new(CounterCore {
            counts: Stepped::new(steps.current()),
            steps,
            series: source.adding("count", "rate"),
        }))
    }

    fn handle(meter: &Meter) -> Option<Self> {
        match meter {
            Meter::Counter(core) => Some(Self(Some(core.clone()))),
            _ => None,
        }
    }

    fn none() -> Self {
        Self(None)
    }
}
