//! The rows of chunks, one after another in slabs, each twice as large as the one before.

use hesper_model::BLOCK_SLOTS;

use super::LANES;
use crate::pages::PageBytes;

/// Bytes of a value.
const VALUE: usize = size_of::<f64>();

/// Bytes of a row.
const ROW: usize = LANES * VALUE;

/// Bytes of a chunk.
pub const CHUNK_BYTES: usize = BLOCK_SLOTS * ROW;

/// Chunks of the first slab: a whole number of pages.
const FIRST: usize = 8;

/// No data, as it is stored.
const NO_DATA: [u8; VALUE] = f64::NAN.to_ne_bytes();

/// Where a row lies.
#[derive(Clone, Copy, Debug)]
pub struct RowPlace {
    slab: usize,
    /// The byte at which it begins.
    at: usize,
}

/// Chunks, numbered as they were made.
#[derive(Default)]
pub struct Slabs {
    slabs: Vec<PageBytes>,
    made: usize,
}

impl Slabs {
    /// Makes a chunk without data and gives its number.
    pub fn make(&mut self) -> u32 {
        let number = self.made as u32;
        let place = row_place(number, 0);
        if place.slab == self.slabs.len() {
            let chunks = FIRST << place.slab;
            self.slabs.push(PageBytes::zeroed(chunks * CHUNK_BYTES));
        }
        let bytes = &mut self.slabs[place.slab][place.at..][..CHUNK_BYTES];
        bytes.as_chunks_mut().0.fill(NO_DATA);
        self.made += 1;
        number
    }

    /// The values of a row.
    #[inline(always)]
    pub fn row(&self, chunk: u32, position: usize) -> [f64; LANES] {
        let place = row_place(chunk, position);
        let bytes = &self.slabs[place.slab][place.at..][..ROW];
        let (values, _) = bytes.as_chunks();
        std::array::from_fn(|lane| f64::from_ne_bytes(values[lane]))
    }

    /// The values of a lane.
    pub fn lane(&self, chunk: u32, lane: usize) -> [f64; BLOCK_SLOTS] {
        let place = row_place(chunk, 0);
        let bytes = &self.slabs[place.slab][place.at..][..CHUNK_BYTES];
        let (values, _) = bytes.as_chunks();
        std::array::from_fn(|p| f64::from_ne_bytes(values[p * LANES + lane]))
    }

    /// Reads from both cache lines of a row.
    #[inline(always)]
    pub fn fetch(&self, place: RowPlace) -> u8 {
        let bytes = &self.slabs[place.slab];
        bytes[place.at] ^ bytes[place.at + ROW / 2]
    }

    /// Sets a value of a row.
    #[inline(always)]
    pub fn set(&mut self, place: RowPlace, lane: usize, value: f64) {
        let bytes = &mut self.slabs[place.slab];
        bytes[place.at + lane * VALUE..][..VALUE].copy_from_slice(&value.to_ne_bytes());
    }

    /// Sets those values of a row whose lanes are set in `lanes`.
    #[inline(always)]
    pub fn set_lanes(&mut self, place: RowPlace, lanes: u16, values: &[f64; LANES]) {
        let row = &mut self.slabs[place.slab][place.at..][..ROW];
        let (row, _) = row.as_chunks_mut::<VALUE>();
        for (lane, (held, value)) in row.iter_mut().zip(values).enumerate() {
            if lanes >> lane & 1 == 1 {
                *held = value.to_ne_bytes();
            }
        }
    }

    /// Bytes of the chunks that were made.
    pub fn size_bytes(&self) -> usize {
        self.made * CHUNK_BYTES
    }
}

/// Where a row of a chunk lies: slab n begins with chunk `FIRST` × (2^n − 1).
#[inline(always)]
pub const fn row_place(chunk: u32, position: usize) -> RowPlace {
    let slab = (chunk as usize / FIRST + 1).ilog2();
    let first = FIRST * ((1 << slab) - 1);
    RowPlace {
        slab: slab as usize,
        at: (chunk as usize - first) * CHUNK_BYTES + position * ROW,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_has_its_place() {
        let mut slabs = Slabs::default();
        for chunk in 0..300 {
            assert_eq!(slabs.make(), chunk);
            assert!(slabs.lane(chunk, 3).iter().all(|v| v.is_nan()));
            slabs.set(row_place(chunk, 59), 15, f64::from(chunk));
            slabs.set(row_place(chunk, 0), 0, -f64::from(chunk));
        }
        for chunk in 0..300 {
            assert_eq!(slabs.row(chunk, 59)[15], f64::from(chunk));
            assert_eq!(slabs.lane(chunk, 0)[0], -f64::from(chunk));
            assert!(slabs.row(chunk, 59)[14].is_nan());
            slabs.set_lanes(row_place(chunk, 7), 0b1010, &[2.0; LANES]);
            let row = slabs.row(chunk, 7);
            assert!(row[0].is_nan() && row[2].is_nan() && row[4].is_nan());
            assert_eq!((row[1], row[3]), (2.0, 2.0));
        }
        assert_eq!(slabs.slabs.len(), 6);
        assert_eq!(slabs.size_bytes(), 300 * 60 * 16 * 8);
    }
}
