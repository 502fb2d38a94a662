//! Values by the number of a series, in chunks of neighbours that are given back when no series of them is known.
//!
//! Numbers are never used again, so under churn most of those given out belong to nothing. What is left of a chunk without a series is an
//! entry of eight bytes.

/// Numbers of a chunk.
pub const CHUNK: usize = 256;

/// Values of series.
#[derive(Debug)]
pub struct ByNumber<T> {
    chunks: Vec<Option<Box<[T; CHUNK]>>>,
    /// What a number has that was given no value yet.
    empty: T,
    used: usize,
}

impl<T: Copy> ByNumber<T> {
    /// No values; a number that was given none has `empty`.
    pub const fn new(empty: T) -> Self {
        Self {
            chunks: Vec::new(),
            empty,
            used: 0,
        }
    }

    /// The value of a number; `None` where the chunk has been given back or never made.
    #[inline(always)]
    pub fn get(&self, number: u32) -> Option<&T> {
        let (chunk, at) = place(number);
        match self.chunks.get(chunk) {
            Some(Some(values)) => Some(&values[at]),
            _ => None,
        }
    }

    /// The values of N neighbours, of which `first` is a multiple of N; `None` where the chunk has been given back or never made. N divides
    /// [`CHUNK`].
    #[inline(always)]
    pub fn neighbours<const N: usize>(&self, first: u32) -> Option<&[T; N]> {
        let (chunk, at) = place(first);
        match self.chunks.get(chunk) {
            Some(Some(values)) => values[at..].first_chunk(),
            _ => None,
        }
    }

    /// The same, to be changed; the chunk is made if need be.
    #[inline(always)]
    pub fn neighbours_mut<const N: usize>(&mut self, first: u32) -> Option<&mut [T; N]> {
        let (chunk, at) = place(first);
        if !matches!(self.chunks.get(chunk), Some(Some(_))) {
            self.make(chunk);
        }
        let values = self.chunks[chunk].as_mut();
        values.expect("made above")[at..].first_chunk_mut()
    }

    /// The value of a number, to be changed.
    #[inline(always)]
    pub fn get_mut(&mut self, number: u32) -> &mut T {
        let (chunk, at) = place(number);
        if !matches!(self.chunks.get(chunk), Some(Some(_))) {
            self.make(chunk);
        }
        let values = self.chunks[chunk].as_mut();
        &mut values.expect("made above")[at]
    }

    #[cold]
    fn make(&mut self, chunk: usize) {
        if self.chunks.len() <= chunk {
            self.chunks.resize_with(chunk + 1, || None);
        }
        self.chunks[chunk] = Some(Box::new([self.empty; CHUNK]));
        self.used += 1;
    }

    /// Gives back the chunk of a number.
    pub fn drop_chunk(&mut self, number: u32) {
        let (chunk, _) = place(number);
        if let Some(values) = self.chunks.get_mut(chunk)
            && values.take().is_some()
        {
            self.used -= 1;
        }
    }

    /// The chunks that there are, each with its first number.
    pub fn chunks(&self) -> impl Iterator<Item = (u32, &[T; CHUNK])> {
        let chunks = self.chunks.iter().enumerate();
        chunks.filter_map(|(i, values)| Some(((i * CHUNK) as u32, &**values.as_ref()?)))
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.used * size_of::<[T; CHUNK]>() + self.chunks.capacity() * size_of::<usize>()
    }
}

#[inline(always)]
const fn place(number: u32) -> (usize, usize) {
    (number as usize / CHUNK, number as usize % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_made_when_needed_and_given_back() {
        let mut values = ByNumber::new(7u32);
        assert_eq!(values.get(3), None);
        *values.get_mut(3) = 1;
        *values.get_mut(1_000_000) = 2;
        assert_eq!((values.get(3), values.get(4)), (Some(&1), Some(&7)));
        assert_eq!(
            (values.get(1_000_000), values.get(500_000)),
            (Some(&2), None)
        );
        let chunks: Vec<_> = values.chunks().map(|(first, _)| first).collect();
        assert_eq!(chunks, [0, 999_936]);
        let before = values.size_bytes();
        values.drop_chunk(200);
        values.drop_chunk(500_000);
        assert_eq!((values.get(3), values.get(1_000_000)), (None, Some(&2)));
        assert_eq!(before - values.size_bytes(), 4 * CHUNK);
        assert_eq!(*values.get_mut(3), 7);
    }

    #[test]
    fn neighbours_are_those_of_the_numbers() {
        let mut values = ByNumber::new(7u32);
        assert_eq!(values.neighbours::<16>(512), None);
        let last = values.neighbours_mut::<16>(512 + 240).map(|n| &mut n[15]);
        *last.expect("sixteen divides a chunk") = 1;
        assert_eq!(values.get(767), Some(&1));
        assert_eq!(values.neighbours(752).map(|n: &[u32; 16]| n[14]), Some(7));
        assert_eq!(values.neighbours(512).map(|n: &[u32; 16]| n[15]), Some(7));
    }
}
