//! What goes wrong with a message, and the codes that the protocol has for it.

use gen_lsp_types::{ErrorCodes, LspErrorCodes, Position};

/// A message that cannot be answered as asked, or a connection that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LspError {
    /// The text of the message is no JSON.
    #[error("message is not valid JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// The message is JSON, but no JSON-RPC 2.0 message.
    #[error("invalid message: {0}")]
    InvalidMessage(&'static str),
    /// The message is longer than the limit.
    #[error("message is too large: {0} bytes, the limit is {limit}", limit = crate::MAX_MESSAGE_BYTES)]
    MessageTooLarge(u64),
    /// No such request.
    #[error("unknown method '{0}'")]
    UnknownMethod(String),
    /// The parameters do not have the shape that the method says.
    #[error("invalid params of '{method}': {source}")]
    InvalidParams {
        /// The method.
        method: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A request before `initialize`.
    #[error("send 'initialize' first")]
    NotInitialized,
    /// A second `initialize`.
    #[error("'initialize' was sent before")]
    InitializedTwice,
    /// A request after `shutdown`.
    #[error("server is shut down: only 'exit' may follow")]
    ShutDown,
    /// A document that is not open.
    #[error("document '{0}' is not open")]
    NotOpen(String),
    /// A document longer than the limit.
    #[error("document is too large: {0} bytes, the limit is {limit}", limit = crate::MAX_DOCUMENT_BYTES)]
    DocumentTooLarge(usize),
    /// Too many documents are open.
    #[error("too many documents are open, the limit is {limit}: close some", limit = crate::MAX_DOCUMENTS)]
    TooManyDocuments,
    /// Too many changes in one message.
    #[error("too many changes in one message: {0}, the limit is {limit}", limit = crate::MAX_CHANGES)]
    TooManyChanges(usize),
    /// A position that the document does not have.
    #[error("position {}:{} is out of range: {reason}", position.line, position.character)]
    OutOfRange {
        /// The position.
        position: Position,
        /// Why.
        reason: &'static str,
    },
    /// The header before a message cannot be read: nobody knows where the next message starts.
    #[error("invalid header: {0}")]
    InvalidHeader(String),
    /// The connection failed.
    #[error("connection failed: {0}")]
    Io(#[from] std::io::Error),
}

impl LspError {
    /// The code of the protocol.
    pub fn code(&self) -> i32 {
        match self {
            Self::NotJson(_) | Self::InvalidHeader(_) => ErrorCodes::ParseError.into(),
            Self::InvalidMessage(_)
            | Self::MessageTooLarge(_)
            | Self::InitializedTwice
            | Self::ShutDown => ErrorCodes::InvalidRequest.into(),
            Self::UnknownMethod(_) => ErrorCodes::MethodNotFound.into(),
            Self::InvalidParams { .. } | Self::OutOfRange { .. } | Self::NotOpen(_) => {
                ErrorCodes::InvalidParams.into()
            }
            Self::NotInitialized => ErrorCodes::ServerNotInitialized.into(),
            Self::DocumentTooLarge(_) | Self::TooManyDocuments | Self::TooManyChanges(_) => {
                LspErrorCodes::RequestFailed.into()
            }
            Self::Io(_) => ErrorCodes::InternalError.into(),
        }
    }
}
