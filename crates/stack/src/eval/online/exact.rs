//! Numbers written out as their bits: a state has to come back as it was, and text formats have no NaN.

use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(v: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(v.to_bits())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    u64::deserialize(deserializer).map(f64::from_bits)
}
