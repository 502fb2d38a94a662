//! The doubles as they are.

use super::planes::Lanes;

/// Appends the values.
pub fn encode(values: &[f64], out: &mut Vec<u8>) {
    out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
}

/// The values, one after another.
pub fn decode(values: &[[u8; 8]], out: &mut Lanes) {
    for (v, bytes) in out.iter_mut().zip(values) {
        *v = f64::from_le_bytes(*bytes);
    }
}
