//! Asks for memory before it is needed.
//!
//! Blocks of matching series lie far apart: without this the fold of each begins with waiting for its bytes.

/// Bytes that come into the cache at once.
#[cfg(target_arch = "x86_64")]
const CACHE_LINE: usize = 64;

/// Asks for the first two cache lines of some bytes, as much as most blocks take. Changes nothing but how soon they can be read.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(
    unsafe_code,
    reason = "the instruction takes a pointer; see what is said at the call"
)]
pub fn prefetch(bytes: &[u8]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let first = bytes.as_ptr().cast::<i8>();
    // SAFETY: it is a hint, which reads nothing that the program sees and never faults, wherever the pointer leads; both pointers are made
    // without leaving what `wrapping_add` allows.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(first);
        _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(CACHE_LINE));
    }
}

/// Does nothing: there is no such instruction for all processors of this architecture.
#[cfg(not(target_arch = "x86_64"))]
pub fn prefetch(_: &[u8]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_may_be_asked_for() {
        let bytes: Vec<u8> = (0..100).collect();
        for at in 0..=bytes.len() {
            prefetch(&bytes[at..]);
        }
        prefetch(&[]);
        assert!(bytes.iter().copied().eq(0..100));
    }
}
