//! The doubles as they are.

use bytes::BufMut;

/// Appends the values.
pub fn encode(values: &[f64], out: &mut Vec<u8>) {
    values.iter().for_each(|v| out.put_f64_le(*v));
}

/// Reads as many values as `out` has room for.
pub fn decode(bytes: &[u8], out: &mut [f64]) {
    let (chunks, _) = bytes.as_chunks::<8>();
    for (v, chunk) in out.iter_mut().zip(chunks) {
        *v = f64::from_le_bytes(*chunk);
    }
}
