//! What every request passes: the check of its target, the count and the time it takes, the access log, and the headers that every answer has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};
use tracing::Instrument;

use super::params::Params;
use crate::node::NodeState;

/// A longer request target is refused, as Atlas does.
const MAX_URI_CHARS: usize = 4096;

/// Names the route that answered.
const ENDPOINT: HeaderName = HeaderName::from_static("netflix-endpoint");

/// Headers of answers that a page of another origin may read.
const EXPOSED: [HeaderName; 6] = [
    ENDPOINT,
    HeaderName::from_static("x-nflx-atlas-next-offset"),
    HeaderName::from_static("hesper-notices"),
    HeaderName::from_static("hesper-partial"),
    HeaderName::from_static("hesper-read"),
    header::RETRY_AFTER,
];

/// Pages of any origin may ask, as with Atlas: the origin is echoed, credentials are allowed.
pub fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .allow_credentials(true)
        .expose_headers(ExposeHeaders::list(EXPOSED))
        .max_age(Duration::from_secs(600))
}

/// Refuses targets that cannot be read; counts, times and logs every request.
///
/// The log is at level `info` under the target `access`: `HESPER_LOG=access=info` shows it.
pub async fn observe(
    State(node): State<Arc<NodeState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let caller = caller_of(&request);
    request.extensions_mut().insert(Caller(caller.clone()));
    let endpoint = endpoint_of(request.uri().path());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.and_then(|r| HeaderValue::from_str(r.as_str()).ok());
    let logged = tracing::enabled!(target: "access", tracing::Level::INFO)
        .then(|| (request.method().clone(), request.uri().clone()));
    let span = tracing::info_span!(
        "request",
        otel.kind = "server",
        otel.name = format!("{} {endpoint}", request.method()),
        http.request.method = %request.method(),
        url.path = request.uri().path(),
        url.query = request.uri().query(),
        http.response.status_code = tracing::field::Empty,
        caller = &*caller,
    );
    let mut response = match check_target(request.uri()) {
        Ok(()) => next.run(request).instrument(span.clone()).await,
        Err(refused) => *refused,
    };
    span.record("http.response.status_code", response.status().as_u16());
    if let Some(route) = route {
        response.headers_mut().insert(ENDPOINT, route);
    }
    let status = response.status().as_u16();
    let elapsed = began.elapsed();
    node.metrics.record_request(endpoint, status, elapsed);
    if let Some((method, uri)) = logged {
        log(&method, &uri, &caller, status, elapsed);
    }
    response
}

fn log(method: &Method, uri: &Uri, caller: &str, status: u16, elapsed: Duration) {
    let micros = elapsed.as_micros() as u64;
    tracing::info!(target: "access", %method, %uri, status, micros, caller);
}

/// Who asks. Turns to run queries are shared between callers.
#[derive(Clone)]
pub struct Caller(pub Arc<str>);

/// The parameter `id`, else the origin of the page, else the address.
fn caller_of(request: &Request) -> Arc<str> {
    let params = Params::read(request.uri().query());
    let origin = request.headers().get(header::ORIGIN);
    let origin = origin.and_then(|o| o.to_str().ok());
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
    match (params.get("id").or(origin), address) {
        (Some(name), _) => name.into(),
        (None, Some(ConnectInfo(address))) => address.ip().to_string().into(),
        (None, None) => "default".into(),
    }
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
        "/ok" => "ok",
        "/healthcheck" => "healthcheck",
        "/metrics" => "metrics",
        "/api/v1/graph" => "graph",
        "/api/v2/fetch" => "fetch",
        "/api/v1/sql" => "sql",
        "/api/v4/update" => "publish",
        "/api/v1/write" => "remote-write",
        "/api/v1/cardinality" => "cardinality",
        "/api/v1/data" => "data",
        "/api/v1/alerts" | "/api/v1/alerts/history" => "alerts",
        path if path.starts_with("/api/v1/queries") => "queries",
        path if path.starts_with("/api/v1/publish") => "publish",
        path if path.starts_with("/api/v1/tags") => "tags",
        path if path.starts_with("/api/v1/expr") => "expr",
        path if path.starts_with("/api/v2/config") => "config",
        path if path.starts_with("/lsp/") => "lsp",
        path if path.starts_with("/assets/") => "page",
        _ => "unknown",
    }
}
