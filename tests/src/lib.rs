//! The product as its users meet it: the real binary, real connections, real files.
//!
//! [`server`] runs the binary `hesper`, [`http`] asks it, [`golden`] holds its answers against those that Atlas gave.

pub mod golden;
pub mod http;
pub mod server;
