//! Memory straight from the system: what is large and lives as long as a window.
//!
//! An allocator rounds up, keeps what is freed for later use, and a thread cannot always give back what another one took. Open columns and
//! sealed blocks are too large a part of the whole for that: they lie in maps of their own, of which only what was written takes memory, and
//! which go back to the system when they are dropped.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// Less than this is left to the allocator: a process may have some 65,000 maps.
const MIN_MAP: usize = 32 << 10;

/// Bytes, zero at first.
#[derive(Debug)]
pub enum PageBytes {
    /// A map.
    Map(MmapMut),
    /// Few bytes, or where the system gives no map.
    Heap(Box<[u8]>),
}

impl PageBytes {
    /// So many bytes.
    pub fn zeroed(bytes: usize) -> Self {
        let map = if bytes < MIN_MAP {
            None
        } else {
            MmapMut::map_anon(bytes).ok()
        };
        map.map_or_else(|| Self::Heap(vec![0; bytes].into_boxed_slice()), Self::Map)
    }

    /// A copy of bytes.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self::zeroed(bytes.len());
        copy.copy_from_slice(bytes);
        copy
    }
}

impl Deref for PageBytes {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Map(map) => map,
            Self::Heap(bytes) => bytes,
        }
    }
}

impl DerefMut for PageBytes {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Map(map) => map,
            Self::Heap(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_bytes_are_held() {
        for length in [0, 1, 4096, MIN_MAP, 1 << 20] {
            let mut bytes = PageBytes::zeroed(length);
            assert!(bytes.len() == length && bytes.iter().all(|b| *b == 0));
            bytes.fill(7);
            assert_eq!(*PageBytes::copy_of(&bytes), vec![7; length][..]);
        }
    }
}
