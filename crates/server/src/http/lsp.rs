//! `GET /lsp/metrics/asl` and `/lsp/metrics/uri`: a language server over a WebSocket. A text frame is a message.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hesper_lsp::{Language, MAX_MESSAGE_BYTES, Server, Tags};
use hesper_model::TagQuery;
use hesper_query::tags::{TagList, TagRequest};
use tokio::runtime::Handle;

use super::error::ApiError;
use crate::node::NodeState;

/// Tags that are looked through for those with a prefix.
const MAX_LOOKED_THROUGH: usize = 10_000;

/// Opens a language server for a connection.
///
/// # Errors
/// 404 when there is no such language.
pub async fn open(
    State(node): State<Arc<NodeState>>,
    Path(language): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    let language = match language.as_str() {
        "asl" => Language::Asl,
        "uri" => Language::Uri,
        other => {
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                format!("path not found: /lsp/metrics/{other}"),
            ));
        }
    };
    let vocabulary = node.vocabulary;
    let tags = NodeTags {
        node,
        runtime: Handle::current(),
    };
    let server = Server::new(language, Arc::new(tags)).with_vocabulary(vocabulary);
    let upgrade = upgrade.max_message_size(MAX_MESSAGE_BYTES);
    Ok(upgrade
        .on_upgrade(|socket| serve(socket, server))
        .into_response())
}

async fn serve(mut socket: WebSocket, mut server: Server) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else {
            continue;
        };
        // A large document takes its time, and completion asks the index.
        let handled = tokio::task::spawn_blocking(move || {
            let replies = server.handle_text(text.as_str());
            (server, replies)
        });
        let replies;
        (server, replies) = handled.await.expect("a language server does not panic");
        for reply in replies {
            if socket.send(Message::Text(reply.into())).await.is_err() {
                return;
            }
        }
        if server.exit_status().is_some() {
            return;
        }
    }
}

/// The tags of a node.
struct NodeTags {
    node: Arc<NodeState>,
    runtime: Handle,
}

impl NodeTags {
    /// The first texts with a prefix, of a listing that goes on after a text.
    fn with_prefix<F: Future<Output = TagList>>(
        &self,
        prefix: &str,
        limit: usize,
        list: impl FnOnce(TagRequest) -> F,
    ) -> Vec<String> {
        let request = TagRequest {
            query: TagQuery::True,
            after: None,
            limit: MAX_LOOKED_THROUGH,
            range: None,
        };
        let found = self.runtime.block_on(list(request));
        let texts = found.texts.iter().filter(|t| t.starts_with(prefix));
        texts.take(limit).map(ToString::to_string).collect()
    }
}

impl Tags for NodeTags {
    fn keys(&self, prefix: &str, limit: usize) -> Vec<String> {
        self.with_prefix(prefix, limit, |request| async move {
            self.node.engine.tiers().tag_keys(&request).await
        })
    }

    fn values(&self, key: &str, prefix: &str, limit: usize) -> Vec<String> {
        self.with_prefix(prefix, limit, |request| async move {
            self.node.engine.tiers().tag_values(key, &request).await
        })
    }
}
