//! The log: every change of the hot tier, in order, durable before it is acknowledged.
//!
//! [`record`] says what a record holds, [`segment`] how records lie in files, [`writer`] how they become durable together, [`replay`] how
//! they are read back, [`repair`] what is done about damage. The format, byte by byte, is in `docs/formats/log.md`.

pub mod record;
pub mod repair;
pub mod replay;
pub mod segment;
pub mod writer;

/// A place in the log: the number of bytes of all records before it, over all segments ever written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lsn(pub u64);
