//! What the fuzz targets do with an input, without what makes a fuzzer of them: a module a target, each with a function `run` that panics
//! when something does not hold. `fuzz_targets/` hands it what libFuzzer makes up, `replay/` the corpus.

pub mod block;
mod evaluation;
pub mod legend;
pub mod log_segment;
pub mod native_message;
mod nowhere;
pub mod publish_json;
pub mod publish_smile;
mod published;
pub mod remote_write;
pub mod stack_program;
pub mod time_range;
pub mod uri;

/// A target: its name, which is that of its corpus too, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("block", block::run),
    ("legend", legend::run),
    ("log_segment", log_segment::run),
    ("native_message", native_message::run),
    ("publish_json", publish_json::run),
    ("publish_smile", publish_smile::run),
    ("remote_write", remote_write::run),
    ("stack_program", stack_program::run),
    ("time_range", time_range::run),
    ("uri", uri::run),
];
