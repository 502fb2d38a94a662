//! Small numbers as Parquet packs them: runs of one number, and groups of eight with as many bits each as the largest needs.

/// What is packed ends too early, or is longer than it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("packed numbers are damaged")]
pub(super) struct BadLevels;

/// Consecutive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run<'a> {
    /// One number, so often.
    Same(u32, usize),
    /// So many numbers, one after another from the lowest bit on.
    Packed(&'a [u8], usize),
}

/// The runs that `count` numbers of `width` bits are packed in.
pub(super) struct Runs<'a> {
    bytes: &'a [u8],
    width: usize,
    left: usize,
}

impl<'a> Runs<'a> {
    /// Of bytes that may go on beyond them.
    pub fn new(bytes: &'a [u8], width: usize, count: usize) -> Self {
        let left = count;
        Self { bytes, width, left }
    }

    fn header(&mut self) -> Result<usize, BadLevels> {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let (byte, rest) = self.bytes.split_first().ok_or(BadLevels)?;
            self.bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).map_err(|_| BadLevels);
            }
            shift += 7;
            if shift > 35 {
                return Err(BadLevels);
            }
        }
    }

    /// The next run; `None` after the last number.
    pub fn next(&mut self) -> Result<Option<Run<'a>>, BadLevels> {
        if self.left == 0 {
            return Ok(None);
        }
        let header = self.header()?;
        if header & 1 == 1 {
            let bytes = (header >> 1).checked_mul(self.width).ok_or(BadLevels)?;
            // The last group may be cut off behind its last number.
            let n = self.left.min((header >> 1).saturating_mul(8));
            let needed = (n * self.width).div_ceil(8);
            let bytes = bytes.min(self.bytes.len());
            if n == 0 || bytes < needed {
                return Err(BadLevels);
            }
            let (packed, rest) = self.bytes.split_at(bytes);
            self.bytes = rest;
            self.left -= n;
            return Ok(Some(Run::Packed(packed, n)));
        }
        let n = self.left.min(header >> 1);
        let bytes = self.width.div_ceil(8);
        let (number, rest) = self.bytes.split_at_checked(bytes).ok_or(BadLevels)?;
        if n == 0 {
            return Err(BadLevels);
        }
        self.bytes = rest;
        self.left -= n;
        let number = number.iter().rev();
        let number = number.fold(0u32, |number, byte| number << 8 | u32::from(*byte));
        Ok(Some(Run::Same(number, n)))
    }
}

/// Calls `each` with the numbers that are packed, in their order. Numbers have at most 32 bits.
pub(super) fn unpack(packed: &[u8], width: usize, n: usize, mut each: impl FnMut(u32)) {
    let mask = (1u64 << width) - 1;
    let (mut bits, mut held, mut bytes) = (0u64, 0, packed.iter());
    for _ in 0..n {
        while held < width {
            bits |= u64::from(bytes.next().copied().unwrap_or_default()) << held;
            held += 8;
        }
        each((bits & mask) as u32);
        bits >>= width;
        held -= width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(bytes: &[u8], width: usize, count: usize) -> Result<Vec<u32>, BadLevels> {
        let mut runs = Runs::new(bytes, width, count);
        let mut numbers = Vec::new();
        while let Some(run) = runs.next()? {
            match run {
                Run::Same(number, n) => numbers.extend(std::iter::repeat_n(number, n)),
                Run::Packed(packed, n) => unpack(packed, width, n, |v| numbers.push(v)),
            }
        }
        Ok(numbers)
    }

    #[test]
    fn runs_and_groups_are_read() {
        // Five times 3, then a group of eight of two bits each, of which seven count.
        let bytes = [5 << 1, 3, 1 << 1 | 1, 0b11_10_01_00, 0b00_01_10_11];
        let want = [3, 3, 3, 3, 3, 0, 1, 2, 3, 3, 2, 1];
        assert_eq!(numbers(&bytes, 2, 12).expect("numbers"), want);
        // Numbers of 12 bits cross the borders of bytes.
        let bytes = [
            1 << 1 | 1,
            0x34,
            0x12,
            0xcd,
            0xff,
            0x0f,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        assert_eq!(
            numbers(&bytes, 12, 3).expect("numbers"),
            [0x234, 0xcd1, 0xfff]
        );
        let bytes = [0xac, 0x02, 0x2c, 0x01];
        assert_eq!(numbers(&bytes, 9, 150).expect("numbers"), [0x12c; 150]);
        assert_eq!(numbers(&[4, 0], 0, 2).expect("numbers"), [0, 0]);
    }

    #[test]
    fn what_is_damaged_is_said() {
        for bytes in [&[][..], &[0x80], &[0, 1], &[2], &[3, 1], &[1], &[0xff; 9]] {
            assert_eq!(numbers(bytes, 2, 8), Err(BadLevels), "{bytes:?}");
        }
    }
}
