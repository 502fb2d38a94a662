//! The HTTP front end: Atlas's API, alerts, metrics for Prometheus, and the page.

pub mod access;
pub mod alerts;
pub mod body;
pub mod cardinality;
pub mod config;
pub mod csv;
pub mod deletion;
pub mod error;
pub mod expr;
pub mod fetch;
pub mod graph;
pub mod health;
pub mod json;
pub mod lsp;
pub mod page;
pub mod params;
pub mod prometheus;
pub mod publish;
pub mod queries;
pub mod remote_write;
pub mod sql;
pub mod tags;

use std::sync::Arc;

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use tower_http::compression::{CompressionLayer, CompressionLevel};

use crate::node::NodeState;
use error::ApiError;

/// All routes.
pub fn routes(node: Arc<NodeState>) -> axum::Router {
    axum::Router::new()
        .route("/", get(page::index))
        .route("/assets/{*path}", get(page::asset))
        .route("/ok", get(health::ok))
        .route("/healthcheck", get(health::healthcheck))
        .route("/metrics", get(prometheus::metrics))
        .route("/api/v1/publish", post(publish::publish))
        .route("/api/v1/publish-fast", post(publish::publish))
        .route("/api/v1/publish-list", post(publish::publish_list))
        .route("/api/v1/publish-compact", post(publish::publish_compact))
        .route("/api/v4/update", post(publish::update))
        .route("/api/v1/write", post(remote_write::write))
        .route("/api/v1/cardinality", get(cardinality::cardinality))
        .route("/api/v1/data", delete(deletion::delete))
        .route("/api/v1/graph", get(graph::graph))
        .route("/api/v2/fetch", get(fetch::fetch))
        .route("/api/v1/sql", get(sql::sql).post(sql::sql))
        .route("/lsp/metrics/{language}", get(lsp::open))
        .route("/api/v1/tags", get(tags::keys))
        .route("/api/v1/tags/{*key}", get(tags::values))
        .route("/api/v1/expr", get(expr::debug))
        .route("/api/v1/expr/{what}", get(expr::explain))
        .route("/api/v1/expr/", get(expr::debug))
        .route("/api/v2/config", get(config::all))
        .route("/api/v2/config/{key}", get(config::one))
        .route("/api/v1/queries", get(queries::running))
        .route("/api/v1/queries/slow", get(queries::slow))
        .route("/api/v1/queries/{id}", delete(queries::kill))
        .route("/api/v1/alerts", get(alerts::alerts))
        .route("/api/v1/alerts/history", get(alerts::history))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(access::cors())
        .layer(middleware::from_fn_with_state(
            node.clone(),
            access::observe,
        ))
        .with_state(node)
}

/// A gRPC client that has got the wrong address hears so in a form that it understands.
async fn not_found(headers: HeaderMap, uri: Uri) -> Response {
    let kind = headers.get(header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        let message = "this is the HTTP address of a node: use its gRPC address, the one of --grpc, by default port 7102";
        return tonic::Status::unimplemented(message).into_http();
    }
    let message = format!("path not found: {}", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, message).into_response()
}

/// Atlas takes a POST to a path that is only read for an unknown path, and names the method for the others.
async fn wrong_method(method: Method, headers: HeaderMap, uri: Uri) -> Response {
    if method == Method::POST {
        return not_found(headers, uri).await;
    }
    let allowed = match uri.path() {
        "/api/v4/update" | "/api/v1/write" => "POST",
        path if path.starts_with("/api/v1/publish") => "POST",
        "/api/v1/data" => "DELETE",
        "/api/v1/sql" => "GET, POST",
        _ => "GET",
    };
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("method not allowed: {allowed}"),
    )
    .into_response()
}
