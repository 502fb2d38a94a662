//! The tags of the series that a connection has defined, packed. They are kept for as long as the connection, but looked at again only when the
//! store has let a series go, or when a limit has refused it.

use prost::encoding::{decode_varint, encode_varint};

/// Definitions, numbered as they came: keys and values in turns, as numbers of the connection's strings.
#[derive(Default)]
pub(super) struct Definitions {
    /// The numbers of all definitions, mostly a byte or two each.
    packed: Vec<u8>,
    /// Where each definition ends.
    ends: Vec<usize>,
}

impl Definitions {
    /// Adds a definition under the next number.
    pub(super) fn push(&mut self, symbols: &[u32]) {
        for symbol in symbols {
            encode_varint(u64::from(*symbol), &mut self.packed);
        }
        self.ends.push(self.packed.len());
    }

    /// Gives back the room for more definitions.
    pub(super) fn shrink_to_fit(&mut self) {
        self.packed.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// A definition.
    ///
    /// # Panics
    /// When none has the number.
    pub(super) fn get(&self, number: usize) -> Vec<u32> {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        let mut packed = &self.packed[start..self.ends[number]];
        let mut symbols = Vec::new();
        while !packed.is_empty() {
            let symbol = decode_varint(&mut packed).expect("it was packed here");
            symbols.push(symbol as u32);
        }
        symbols
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_come_back_as_they_were() {
        let all = [vec![0, 1, 127, 128], vec![], vec![u32::MAX, 300], vec![5]];
        let mut definitions = Definitions::default();
        all.iter().for_each(|symbols| definitions.push(symbols));
        for _ in 0..2 {
            for (number, symbols) in all.iter().enumerate() {
                assert_eq!(definitions.get(number), *symbols);
            }
            definitions.shrink_to_fit();
        }
    }
}
