//! A block as a value: one series' sixty slots of a window, NaN where there is no data.

/// Slots in a block, and so in a window.
pub const BLOCK_SLOTS: usize = 60;

/// The values of one series in one window, in the order of time. NaN is no data.
#[derive(Clone, Copy, Debug)]
pub struct Block(pub [f64; BLOCK_SLOTS]);

/// A mask with a bit for each slot of a block.
pub const ALL_SLOTS: u64 = (1 << BLOCK_SLOTS) - 1;

impl Block {
    /// A block without any data.
    pub const EMPTY: Self = Self([f64::NAN; BLOCK_SLOTS]);

    /// The slots that hold data: bit n for slot n.
    pub fn present(&self) -> u64 {
        let mut mask = 0u64;
        for (i, v) in self.0.iter().enumerate() {
            mask |= u64::from(!v.is_nan()) << i;
        }
        mask
    }

    /// Takes over every value that `newer` holds; slots without data there keep what they have.
    pub fn overwrite_with(&mut self, newer: &Block) {
        for (old, new) in self.0.iter_mut().zip(newer.0) {
            if !new.is_nan() {
                *old = new;
            }
        }
    }

    /// Equal to the bit in every slot, where NaN equals NaN.
    pub fn same_data(&self, other: &Block) -> bool {
        self.0
            .iter()
            .zip(other.0)
            .all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
    }
}

/// The bits `from .. to` of a block's mask.
pub const fn slot_mask(from: usize, to: usize) -> u64 {
    if from >= to {
        return 0;
    }
    (ALL_SLOTS >> (BLOCK_SLOTS - (to - from))) << from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_cover_their_slots() {
        assert_eq!(slot_mask(0, 60), ALL_SLOTS);
        assert_eq!(slot_mask(0, 1), 1);
        assert_eq!(slot_mask(59, 60), 1 << 59);
        assert_eq!(slot_mask(3, 5), 0b11000);
        assert_eq!(slot_mask(5, 5), 0);
    }

    #[test]
    fn newer_values_win_and_gaps_do_not() {
        let mut a = Block::EMPTY;
        a.0[0] = 1.0;
        a.0[1] = 2.0;
        let mut b = Block::EMPTY;
        b.0[1] = 5.0;
        a.overwrite_with(&b);
        assert_eq!(a.present(), 0b11);
        assert_eq!((a.0[0], a.0[1]), (1.0, 5.0));
        assert!(!a.same_data(&b));
    }
}
