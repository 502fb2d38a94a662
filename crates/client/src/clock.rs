//! Where a registry gets the time from.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// The time of day, which decides the step that a recording counts for, and a time that never goes back, for durations.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01T00:00Z. Every recording asks for it, so it should be quick.
    fn now_millis(&self) -> i64;

    /// Nanoseconds since some moment in the past.
    fn monotonic_nanos(&self) -> u64;
}

/// The clock of the machine.
///
/// On Linux the time of day is the one that the kernel keeps at its last tick, a few milliseconds ago at most: exact enough to
/// tell steps of a second apart, and fifteen times cheaper than asking the hardware.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    #[cfg(target_os = "linux")]
    fn now_millis(&self) -> i64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        now.tv_sec * 1000 + now.tv_nsec / 1_000_000
    }

    #[cfg(not(target_os = "linux"))]
    fn now_millis(&self) -> i64 {
        let now = std::time::SystemTime::now();
        match now.duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn monotonic_nanos(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A clock that moves only when told to, for tests.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use hesper_client::{ManualClock, Registry};
///
/// let clock = Arc::new(ManualClock::new(60_000));
/// let registry = Registry::builder().clock(clock.clone()).build()?;
/// let requests = registry.counter("requests");
/// requests.add(120);
/// clock.advance(Duration::from_secs(60));
/// let measurements = registry.measurer().completed().expect("a step is over");
/// assert_eq!(measurements.values(), [2.0]);
/// # Ok::<(), hesper_client::Error>(())
/// ```
#[derive(Debug)]
pub struct ManualClock {
    now_millis: AtomicI64,
    monotonic_millis: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at so many milliseconds since 1970-01-01T00:00Z.
    pub fn new(now_millis: i64) -> Self {
        Self {
            now_millis: AtomicI64::new(now_millis),
            monotonic_millis: AtomicI64::new(0),
        }
    }

    /// Moves both times forward.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.now_millis.fetch_add(millis, Ordering::SeqCst);
        self.monotonic_millis.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the time of day, forward or back, as an administrator does.
    pub fn set_millis(&self, now_millis: i64) {
        self.now_millis.store(now_millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_millis(&self) -> i64 {
        self.now_millis.load(Ordering::SeqCst)
    }

    fn monotonic_nanos(&self) -> u64 {
        let millis = self.monotonic_millis.load(Ordering::SeqCst);
        u64::try_from(millis).unwrap_or(0).saturating_mul(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_agrees_with_the_standard_library() {
        let expected = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("the machine's clock is set")
            .as_millis() as i64;
        let clock = SystemClock::default();
        assert!((clock.now_millis() - expected).abs() < 1000);
        let before = clock.monotonic_nanos();
        std::thread::sleep(Duration::from_millis(2));
        assert!(clock.monotonic_nanos() >= before + 2_000_000);
    }
}
