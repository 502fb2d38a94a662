//! Maximum gauges: the largest value of a step.

use std::sync::Arc;

use crate::meter::{Kind, Meter, ValueKind};
use crate::series::{Series, SeriesSource};
use crate::step::{RealMax, StepNumber, Stepped, Steps};

/// Reports the largest value of each step; nothing for a step without one.
#[derive(Clone)]
pub struct MaxGauge(Option<Arc<MaxGaugeCore>>);

impl MaxGauge {
    /// Offers a value. One that isn't finite is ignored.
    #[inline]
    pub fn set(&self, value: f64) {
        if let Some(core) = &self.0
            && value.is_finite()
        {
            core.max.at(core.steps.current()).offer(value);
        }
    }
}

pub(crate) struct MaxGaugeCore {
    steps: Steps,
    max: Stepped<RealMax>,
    series: Arc<Series>,
}

impl MaxGaugeCore {
    pub(super) fn measure(&self, step: StepNumber, sink: &mut impl FnMut(&Arc<Series>, f64)) {
        if let Some(value) = self.max.completed(step).flatten() {
            sink(&self.series, value);
        }
    }

    pub(super) fn observe(
        &self,
        now: StepNumber,
        sink: &mut impl FnMut(&Arc<Series>, ValueKind, f64),
    ) {
        if let Some(value) = self.max.recent(now) {
            sink(&self.series, ValueKind::Gauge, value);
        }
    }

    pub(super) fn last_active(&self) -> StepNumber {
        self.max.last_active()
    }
}

impl Kind for MaxGauge {
    fn make(steps: Steps, source: SeriesSource) -> Meter {
        Meter::MaxGauge(Arc::new(MaxGaugeCore {
            max: Stepped::new(steps.current()),
            steps,
            series: source.adding("max", "gauge"),
        }))
    }

    fn handle(meter: &Meter) -> Option<Self> {
        match meter {
            Meter::MaxGauge(core) => Some(Self(Some(core.clone()))),
            _ => None,
        }
    }

    fn none() -> Self {
        Self(None)
    }
}
