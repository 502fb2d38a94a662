//! The promises P1–P6 as checks: a panic in debug builds and tests, a counter in release.

use std::sync::atomic::{AtomicU64, Ordering};

/// A promise of the product that code checks while it runs; the texts are in `ARCHITECTURE.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// P1: an acknowledged datapoint survives.
    Durable,
    /// P2: a batch takes effect once.
    Once,
    /// P3: the answer does not depend on where the data lies.
    SameAnswer,
    /// P4: an answer that lacks a part says so.
    NoSilentHole,
    /// P5: a new series is visible at once.
    AtOnce,
    /// P6: everything has a limit.
    Bounded,
}

/// All promises, in the order of their numbers.
pub const PROMISES: [Promise; 6] = [
    Promise::Durable,
    Promise::Once,
    Promise::SameAnswer,
    Promise::NoSilentHole,
    Promise::AtOnce,
    Promise::Bounded,
];

impl Promise {
    /// `P1` … `P6`.
    pub const fn id(self) -> &'static str {
        ["P1", "P2", "P3", "P4", "P5", "P6"][self as usize]
    }
}

static BROKEN: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];

/// Notes that a promise was broken. Use [`promise!`](crate::promise), which calls this.
#[cold]
pub fn broken(promise: Promise, what: std::fmt::Arguments<'_>) {
    BROKEN[promise as usize].fetch_add(1, Ordering::Relaxed);
    if cfg!(debug_assertions) {
        panic!("{} broken: {what}", promise.id());
    }
}

/// How often each promise was found broken since the process started.
pub fn broken_counts() -> [(&'static str, u64); 6] {
    std::array::from_fn(|i| (PROMISES[i].id(), BROKEN[i].load(Ordering::Relaxed)))
}

/// Checks a promise: `promise!(Once, applied <= sent, "batch {n} applied twice")`.
///
/// Where it does not hold, debug builds panic and release builds count it under the promise's id.
#[macro_export]
macro_rules! promise {
    ($promise:ident, $holds:expr, $($what:tt)+) => {
        if !$holds {
            $crate::invariant::broken($crate::invariant::Promise::$promise, format_args!($($what)+));
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_kept_promise_is_silent() {
        promise!(Once, 1 + 1 == 2, "arithmetic");
        assert_eq!(super::broken_counts()[4].0, "P5");
    }

    #[test]
    #[should_panic(expected = "P1 broken: lost 3")]
    fn a_broken_promise_panics_in_debug() {
        promise!(Durable, false, "lost {}", 3);
    }
}
