//! Runs a loop with the widest vectors that the processor has.
//!
//! The program is built for the oldest processors of its architecture. A loop that everything is inlined into is built once more for newer
//! ones, and the choice is made when it runs. The unsafe code of the crate is here and in `prefetch`.

/// A loop over values. What it calls has to be inlined into it, or gains nothing.
pub trait Work {
    /// Runs it. To be marked `#[inline(always)]`.
    fn run(self);
}

/// Runs a loop with the widest vectors that the processor has.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the call is guarded by the test that it needs")]
pub fn run(work: impl Work) {
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn run_avx2(work: impl Work) {
        work.run();
    }

    let has_all = std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("bmi2")
        && std::arch::is_x86_feature_detected!("lzcnt")
        && std::arch::is_x86_feature_detected!("popcnt");
    if has_all {
        // SAFETY: the processor has every feature that the function is built with.
        unsafe { run_avx2(work) };
    } else {
        work.run();
    }
}

/// Runs a loop: the vectors that every processor of this architecture has are its widest.
#[cfg(not(target_arch = "x86_64"))]
pub fn run(work: impl Work) {
    work.run();
}
