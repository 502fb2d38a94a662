//! The bytes of an encoded block are read without a panic, and values come back to the bit.

use hesper_hot::codec::{Codec, EncodedBlock};
use hesper_model::{BLOCK_SLOTS, Block, Step};

/// Takes the input for an encoded block, and for the values of one.
pub fn run(bytes: &[u8]) {
    let codec = Codec::new(Step::from_secs(60));
    if let Ok((encoded, _)) = EncodedBlock::read(bytes) {
        codec.decode(&encoded);
    }
    let (values, _) = bytes.as_chunks::<8>();
    let mut block = Block([f64::NAN; BLOCK_SLOTS]);
    for (slot, bytes) in block.0.iter_mut().zip(values) {
        *slot = f64::from_le_bytes(*bytes);
    }
    let mut out = Vec::new();
    codec.encode(&block, &mut out);
    let (encoded, length) = EncodedBlock::read(&out).expect("just encoded");
    assert_eq!(length, out.len());
    assert!(codec.decode(&encoded).same_data(&block));
}
