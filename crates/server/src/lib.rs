//! The server: a node of Hesper wired together from the parts below, and its front ends over HTTP and gRPC.
//!
//! [`config`] says how it is set up, [`node`] starts and stops it, [`http`] and [`grpc`] are what the world sees, [`maintenance`] takes windows
//! to history, [`compaction`] keeps history tidy, [`self_observation`] publishes the node's own metrics into itself.

pub mod back_fill;
pub mod clock;
pub mod compaction;
pub mod config;
pub mod data_directory;
pub mod error;
pub mod flight_sql;
pub mod grpc;
pub mod http;
pub mod maintenance;
pub mod node;
pub mod self_observation;

pub use config::{Config, Settings};
pub use error::ServerError;
pub use node::Node;
