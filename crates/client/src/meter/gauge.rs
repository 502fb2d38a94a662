//! Gauges: a value that was set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::meter::{Kind, Meter, ValueKind};
use crate::series::{Series, SeriesSource};
use crate::step::{StepNumber, Steps};

/// Reports the value that was set last, step after step, until it has not been set for the registry's time to live.
#[derive(Clone)]
pub struct Gauge(Option<Arc<GaugeCore>>);

impl Gauge {
    /// Sets the value. NaN means that there is none.
    #[inline]
    pub fn set(&self, value: f64) {
        if let Some(core) = &self.0 {
            core.value.store(value.to_bits(), Ordering::Relaxed);
            core.active.store(core.steps.current(), Ordering::Relaxed);
        }
    }

    /// The value that was set last; NaN when there is none.
    pub fn get(&self) -> f64 {
        self.0.as_ref().map_or(f64::NAN, |core| core.get())
    }
}

pub(crate) struct GaugeCore {
    steps: Steps,
    value: AtomicU64,
    /// The step in which the value was set last.
    active: AtomicI64,
    series: Arc<Series>,
}

impl GaugeCore {
    fn get(&self) -> f64 {
        f64::from_bits(self.value.load(Ordering::Relaxed))
    }

    pub(super) fn measure(&self, sink: &mut impl FnMut(&Arc<Series>, f64)) {
        let value = self.get();
        if !value.is_nan() {
            sink(&self.series, value);
        }
    }

    pub(super) fn observe(&self, sink: &mut impl FnMut(&Arc<Series>, ValueKind, f64)) {
        self.measure(&mut |series, value| sink(series, ValueKind::Gauge, value));
    }

    pub(super) fn last_active(&self) -> StepNumber {
        self.active.load(Ordering::Relaxed)
    }
}

impl Kind for Gauge {
    fn make(steps: Steps, source: SeriesSource) -> Meter {
        Meter::Gauge(Arc::new(GaugeCore {
            value: AtomicU64::new(f64::NAN.to_bits()),
            active: AtomicI64::new(steps.current()),
            steps,
            series: source.adding("gauge", "gauge"),
        }))
    }

    fn handle(meter: &Meter) -> Option<Self> {
        match meter {
            Meter::Gauge(core) => Some(Self(Some(core.clone()))),
            _ => None,
        }
    }

    fn none() -> Self {
        Self(None)
    }
}
