//! Numbers of which a page holds all first bytes, then all second bytes, and so on (Parquet calls it `BYTE_STREAM_SPLIT`).

use hesper_hot::fold::{Work, run_widest};

/// A number as a page holds it.
pub(crate) trait Element: Copy + Default {
    /// Its bytes.
    const BYTES: usize;

    /// The number of these bits; those beyond its bytes are zero.
    fn of_bits(bits: u64) -> Self;
}

impl Element for i32 {
    const BYTES: usize = 4;

    #[inline(always)]
    fn of_bits(bits: u64) -> Self {
        bits as u32 as i32
    }
}

impl Element for i64 {
    const BYTES: usize = 8;

    #[inline(always)]
    fn of_bits(bits: u64) -> Self {
        bits as i64
    }
}

impl Element for f64 {
    const BYTES: usize = 8;

    #[inline(always)]
    fn of_bits(bits: u64) -> Self {
        f64::from_bits(bits)
    }
}

/// Numbers that are put together at a time.
const AT_ONCE: usize = 64;

struct Join<'a, T> {
    bytes: &'a [u8],
    out: &'a mut Vec<T>,
}

impl<T: Element> Work for Join<'_, T> {
    #[inline(always)]
    fn run(self) {
        let n = self.bytes.len() / T::BYTES;
        let streams = self.bytes.chunks_exact(n.max(1)).take(T::BYTES);
        // Elements are small: most of the upper bytes are zero throughout.
        let streams = streams.map(|s| (s, s.iter().fold(0, |all, byte| all | byte) != 0));
        let mut used: [(&[u8], u32); 8] = [(&[], 0); 8];
        let mut count = 0;
        for (place, (stream, _)) in streams.enumerate().filter(|(_, (_, any))| *any) {
            used[count] = (stream, 8 * place as u32);
            count += 1;
        }
        self.out.reserve(n);
        for first in (0..n).step_by(AT_ONCE) {
            let len = AT_ONCE.min(n - first);
            let mut bits = [0u64; AT_ONCE];
            for (stream, shift) in &used[..count] {
                for (bits, byte) in bits.iter_mut().zip(&stream[first..first + len]) {
                    *bits |= u64::from(*byte) << shift;
                }
            }
            self.out.extend(bits[..len].iter().map(|b| T::of_bits(*b)));
        }
    }
}

/// Appends the numbers that the streams make; bytes that are left over are not looked at.
pub(super) fn join<T: Element>(bytes: &[u8], out: &mut Vec<T>) {
    run_widest(Join { bytes, out });
}

/// Appends numbers that lie one after another, the lowest byte first.
pub(super) fn plain<T: Element>(bytes: &[u8], out: &mut Vec<T>) {
    out.extend(bytes.chunks_exact(T::BYTES).map(|bytes| {
        let bits = bytes.iter().rev();
        T::of_bits(bits.fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
    }));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn streams_become_numbers_again(
            numbers in prop::collection::vec(any::<i64>(), 0..200),
            shift in 0..64u32,
        ) {
            let numbers: Vec<i64> = numbers.iter().map(|n| n >> shift).collect();
            let bytes: Vec<u8> = (0..8)
                .flat_map(|place| numbers.iter().map(move |n| n.to_le_bytes()[place]))
                .collect();
            let mut joined = vec![7i64];
            join(&bytes, &mut joined);
            prop_assert_eq!(&joined[1..], &numbers[..]);
            let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            let mut read = Vec::new();
            plain::<f64>(&bytes, &mut read);
            let bits: Vec<i64> = read.iter().map(|v| v.to_bits() as i64).collect();
            prop_assert_eq!(bits, numbers);
        }
    }

    #[test]
    fn numbers_of_four_bytes_keep_their_sign() {
        let mut read = Vec::new();
        join::<i32>(&[0xff, 1, 0xff, 0, 0xff, 0, 0xff, 0], &mut read);
        assert_eq!(read, [-1, 1]);
        plain::<i32>(&[0xfe, 0xff, 0xff, 0xff, 9], &mut read);
        assert_eq!(read, [-1, 1, -2]);
    }
}
