//! Few different values, in no way close to each other: levels, states, limits.
//!
//! ```text
//! body = entries u8, f64 …, width u8, planes     an element is the place of its value among the entries; high bit of the width as in whole
//! ```

use bytes::BufMut;
use hesper_model::BLOCK_SLOTS;

use super::planes::{LANES, Lanes, Planes, width_of};

/// More different values are stored otherwise.
pub const MAX_ENTRIES: usize = 16;

/// Different values of a block.
#[derive(Clone, Copy, Debug)]
pub struct Dictionary<'a> {
    /// Little-endian doubles.
    pub entries: &'a [[u8; 8]],
    /// Their places.
    pub planes: Planes<'a>,
}

/// The different values, as bits, and the place of each value among them.
pub struct Found {
    entries: [u64; MAX_ENTRIES],
    count: usize,
    /// By value.
    pub places: [u8; BLOCK_SLOTS],
}

impl Found {
    /// The different values, in the order in which they occur.
    pub fn entries(&self) -> &[u64] {
        &self.entries[..self.count]
    }

    /// Bits of a place.
    pub fn width(&self) -> u8 {
        width_of(self.count as u64 - 1)
    }
}

/// Finds the different values; `None` when there are more than `most`, or none.
#[inline(always)]
pub fn estimate(values: &[f64], most: usize) -> Option<Found> {
    let most = most.min(MAX_ENTRIES);
    let mut found = Found {
        entries: [0; MAX_ENTRIES],
        count: 0,
        places: [0; BLOCK_SLOTS],
    };
    for (value, place) in values.iter().zip(&mut found.places) {
        let bits = value.to_bits();
        let known = found.entries[..found.count].iter().position(|e| *e == bits);
        *place = match known {
            Some(known) => known as u8,
            None if found.count == most => return None,
            None => {
                found.entries[found.count] = bits;
                found.count += 1;
                found.count as u8 - 1
            }
        };
    }
    (found.count > 0).then_some(found)
}

/// Appends the entries.
pub fn put_entries(entries: &[u64], out: &mut Vec<u8>) {
    out.put_u8(entries.len() as u8);
    entries.iter().for_each(|e| out.put_u64_le(*e));
}

impl Dictionary<'_> {
    /// The values; zero for a place that has none.
    pub fn values(&self, out: &mut Lanes) {
        let mut entries = [0.0; 1 << u8::BITS];
        for (entry, bytes) in entries.iter_mut().zip(self.entries) {
            *entry = f64::from_le_bytes(*bytes);
        }
        let mut places = [0; LANES];
        self.planes.to_u64(&mut places);
        for (v, place) in out.iter_mut().zip(places) {
            *v = entries[usize::from(place as u8)];
        }
    }
}
