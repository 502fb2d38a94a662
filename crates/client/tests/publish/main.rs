//! The client against a server that does what each test tells it.

#![allow(missing_docs)]

mod connection;
mod fake_server;
#[cfg(feature = "tower")]
mod ipc;
mod publisher;
