//! Benchmarks of the hot paths: `cargo bench -p hesper-benches`. Of the product as a whole: `hesper bench`.
