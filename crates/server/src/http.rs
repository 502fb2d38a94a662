//! The HTTP front end: Atlas's API, alerts, metrics for Prometheus, and the page.

pub mod alerts;
pub mod body;
pub mod csv;
pub mod error;
pub mod expr;
pub mod graph;
pub mod health;
pub mod json;
pub mod page;
pub mod params;
pub mod prometheus;
pub mod publish;
pub mod tags;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::node::NodeState;
use error::ApiError;

/// A longer request target is refused, as Atlas does.
const MAX_URI_CHARS: usize = 4096;

/// All routes.
pub fn routes(node: Arc<NodeState>) -> axum::Router {
    axum::Router::new()
        .route("/", get(page::index))
        .route("/assets/{*path}", get(page::asset))
        .route("/healthcheck", get(health::healthcheck))
        .route("/metrics", get(prometheus::metrics))
        .route("/api/v1/publish", post(publish::publish))
        .route("/api/v1/publish-fast", post(publish::publish))
        .route("/api/v1/graph", get(graph::graph))
        .route("/api/v1/tags", get(tags::keys))
        .route("/api/v1/tags/{*key}", get(tags::values))
        .route("/api/v1/expr", get(expr::debug))
        .route("/api/v1/expr/{what}", get(expr::explain))
        .route("/api/v1/expr/", get(expr::debug))
        .route("/api/v1/alerts", get(alerts::alerts))
        .route("/api/v1/alerts/history", get(alerts::history))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(node.clone(), observe))
        .with_state(node)
}

async fn not_found(uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        format!("path not found: {}", uri.path()),
    )
}

/// Atlas takes a POST to a path that is only read for an unknown path, and names the method for the others.
async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    if method == Method::POST {
        return not_found(uri).await;
    }
    let allowed = match uri.path().starts_with("/api/v1/publish") {
        true => "POST",
        false => "GET",
    };
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("method not allowed: {allowed}"),
    )
}

/// Refuses targets that cannot be read, and counts and times every request.
async fn observe(State(node): State<Arc<NodeState>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let endpoint = endpoint_of(request.uri().path());
    let response = match check_target(request.uri()) {
        Ok(()) => next.run(request).await,
        Err(refused) => *refused,
    };
    node.metrics
        .record_request(endpoint, response.status().as_u16(), began.elapsed());
    response
}

fn check_target(uri: &Uri) -> Result<(), Box<Response>> {
    let target = uri.path_and_query().map_or("", |t| t.as_str());
    if target.len() > MAX_URI_CHARS {
        let text = format!("URI length exceeds the configured limit of {MAX_URI_CHARS} characters");
        return Err(Box::new((StatusCode::URI_TOO_LONG, text).into_response()));
    }
    let bytes = target.as_bytes();
    let escapes = bytes.iter().enumerate().filter(|(_, b)| **b == b'%');
    for (i, _) in escapes {
        let valid = bytes
            .get(i + 1..i + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        if !valid {
            let column = i + 2;
            let text = format!(
                "Illegal request-target: expected two hexadecimal digits behind '%' (column {column}): {target}"
            );
            return Err(Box::new((StatusCode::BAD_REQUEST, text).into_response()));
        }
    }
    Ok(())
}

/// The name of a path in metrics: a bounded set, whatever is asked for.
fn endpoint_of(path: &str) -> &'static str {
    match path {
        "/" => "page",
        "/healthcheck" => "healthcheck",
        "/metrics" => "metrics",
        "/api/v1/graph" => "graph",
        "/api/v1/publish" | "/api/v1/publish-fast" => "publish",
        "/api/v1/alerts" | "/api/v1/alerts/history" => "alerts",
        path if path.starts_with("/api/v1/tags") => "tags",
        path if path.starts_with("/api/v1/expr") => "expr",
        path if path.starts_with("/assets/") => "page",
        _ => "unknown",
    }
}
