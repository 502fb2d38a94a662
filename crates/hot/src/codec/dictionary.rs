//! Few different values, in no way close to each other: levels, states, limits.
//!
//! ```text
//! body = entries u8, f64 …, width u8, planes     an element is the place of its value among the entries; high bit of the width as in whole
//! ```

use bytes::BufMut;

use super::planes::{LANES, Lanes, Planes};

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
    /// In the order in which they occur.
    pub entries: Vec<u64>,
    /// By value.
    pub places: Vec<u64>,
}

/// Finds the different values; `None` when they are too many.
pub fn estimate(values: &[f64]) -> Option<Found> {
    let mut found = Found {
        entries: Vec::with_capacity(MAX_ENTRIES),
        places: Vec::with_capacity(values.len()),
    };
    for v in values {
        let bits = v.to_bits();
        let known = found.entries.iter().position(|e| *e == bits);
        let place = match known {
            Some(place) => place,
            None if found.entries.len() == MAX_ENTRIES => return None,
            None => {
                found.entries.push(bits);
                found.entries.len() - 1
            }
        };
        found.places.push(place as u64);
    }
    Some(found)
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
