//! Editor help for the stack language: the Language Server Protocol for expressions and for graph URIs.
//!
//! [`Server`] takes one JSON-RPC message and gives those to send back; it knows no transport. [`serve_stdio`] frames messages as editors
//! do over pipes; over WebSocket a message is a frame. What is known about a document comes from `hesper_stack::syntax` and, for a URI, from
//! `graph_uri`; each feature is a module. Tags are completed from whatever implements [`Tags`].
//!
//! Floor 3 of the house: it imports the language and the model, and does no I/O of its own.

mod action;
mod completion;
mod definition;
mod diagnostic;
mod document;
mod error;
mod format;
mod graph_uri;
mod hover;
mod lines;
mod markup;
mod message;
mod program;
mod semantic_token;
mod server;
mod signature;
mod stdio;
mod tags;
mod word_help;

pub use document::{Language, MAX_DOCUMENT_BYTES};
pub use error::LspError;
pub use message::MAX_MESSAGE_BYTES;
pub use server::{MAX_CHANGES, MAX_DOCUMENTS, Server};
pub use stdio::serve_stdio;
pub use tags::{NoTags, Tags};
