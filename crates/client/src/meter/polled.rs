//! Polled meters: values that are asked for instead of being recorded.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::id::Id;
use crate::meter::{Counter, Gauge};

/// A polled meter. It reports until this is told to stop; dropping it changes nothing.
#[derive(Clone)]
pub struct PolledMeter {
    meters: Weak<PolledMeters>,
    polled: Weak<Polled>,
}

impl PolledMeter {
    /// Stops polling. Of a gauge the last value is reported until it has aged out.
    pub fn stop(&self) {
        if let (Some(meters), Some(polled)) = (self.meters.upgrade(), self.polled.upgrade()) {
            meters.remove(&polled);
        }
    }
}

type Ask = Box<dyn Fn() -> f64 + Send + Sync>;

/// What is done with the answers.
pub(crate) enum Source {
    /// Several gauges of one id are added up.
    Gauge(Gauge, Ask),
    /// What has come since the time before is added to a counter.
    MonotonicCounter(Counter, Ask),
}

struct Polled {
    id: Id,
    source: Source,
    /// The last answer of a monotonic counter.
    last: Mutex<f64>,
}

/// All polled meters of a registry.
#[derive(Default)]
pub(crate) struct PolledMeters(Mutex<Vec<Arc<Polled>>>);

impl PolledMeters {
    pub(crate) fn add(self: &Arc<Self>, id: Id, source: Source) -> PolledMeter {
        let polled = Arc::new(Polled {
            id,
            source,
            last: Mutex::new(f64::NAN),
        });
        // The increase is counted from here on.
        if let Source::MonotonicCounter(_, ask) = &polled.source
            && let Some(value) = answer(&polled.id, ask)
        {
            *polled.last.lock() = value;
        }
        self.0.lock().push(polled.clone());
        PolledMeter {
            meters: Arc::downgrade(self),
            polled: Arc::downgrade(&polled),
        }
    }

    fn remove(&self, polled: &Arc<Polled>) {
        self.0.lock().retain(|other| !Arc::ptr_eq(other, polled));
    }

    /// Asks each of them once.
    pub(crate) fn poll(&self) {
        // The closures may use the registry, so that no lock is held meanwhile.
        let all = self.0.lock().clone();
        let mut gauges: HashMap<&Id, (&Gauge, f64)> = HashMap::new();
        for polled in &all {
            match &polled.source {
                Source::Gauge(gauge, ask) => match answer(&polled.id, ask) {
                    Some(value) => {
                        let (_, sum) = gauges.entry(&polled.id).or_insert((gauge, f64::NAN));
                        if sum.is_nan() {
                            *sum = value;
                        } else if !value.is_nan() {
                            *sum += value;
                        }
                    }
                    None => self.remove(polled),
                },
                Source::MonotonicCounter(counter, ask) => match answer(&polled.id, ask) {
                    Some(value) => {
                        let mut last = polled.last.lock();
                        // A counter that fell was set to zero; NaN takes part in no increase. Both are ignored by the counter.
                        counter.add_f64(value - *last);
                        *last = value;
                    }
                    None => self.remove(polled),
                },
            }
        }
        for (gauge, sum) in gauges.into_values() {
            gauge.set(sum);
        }
    }
}

/// The value; `None` when the closure panicked, which must not end the publisher.
fn answer(id: &Id, ask: &Ask) -> Option<f64> {
    let value = catch_unwind(AssertUnwindSafe(ask)).ok();
    if value.is_none() {
        tracing::error!(%id, "the closure of a polled meter panicked: it is not polled any more");
    }
    value
}
