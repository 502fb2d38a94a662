//! Asking a node over HTTP.

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use http_body_util::{BodyDataStream, BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::error::CommandError;

/// Where a node answers by default.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:7101";

/// An answer.
pub struct Fetched {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// The target of a request: a path with parameters.
pub fn target(path: &str, params: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(params);
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// Gets a target of a server.
///
/// # Errors
/// When the server cannot be reached or breaks off.
pub async fn get(server: &str, target: &str) -> Result<Fetched, CommandError> {
    request(server, Method::GET, target, Bytes::new()).await
}

async fn request(
    server: &str,
    method: Method,
    target: &str,
    body: Bytes,
) -> Result<Fetched, CommandError> {
    let (parts, body) = send(server, method, target, body).await?.into_parts();
    let body = body.collect().await;
    let body = body
        .map_err(|e| unreachable(server, e.to_string()))?
        .to_bytes();
    Ok(Fetched {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

fn unreachable(server: &str, what: String) -> CommandError {
    CommandError::Unreachable {
        uri: server.to_owned(),
        what,
    }
}

async fn send(
    server: &str,
    method: Method,
    target: &str,
    body: Bytes,
) -> Result<Response<Incoming>, CommandError> {
    let uri = format!("{}{target}", server.trim_end_matches('/'));
    let request = Request::builder()
        .method(method)
        .uri(&uri)
        .body(Full::new(body))
        .map_err(|e| unreachable(server, e.to_string()))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    client.request(request).await.map_err(|e| {
        let cause = std::error::Error::source(&e).map(ToString::to_string);
        unreachable(server, cause.unwrap_or_else(|| e.to_string()))
    })
}

/// Gets a target of a server that must succeed.
///
/// # Errors
/// When the server cannot be reached, or with the message it refuses with.
pub async fn get_ok(server: &str, target: &str) -> Result<Fetched, CommandError> {
    ok(get(server, target).await?)
}

/// Deletes a target of a server, which must succeed.
///
/// # Errors
/// When the server cannot be reached, or with the message it refuses with.
pub async fn delete_ok(server: &str, target: &str) -> Result<Fetched, CommandError> {
    ok(request(server, Method::DELETE, target, Bytes::new()).await?)
}

/// Posts a text to a target of a server, which must succeed.
///
/// # Errors
/// When the server cannot be reached, or with the message it refuses with.
pub async fn post_ok(server: &str, target: &str, text: &str) -> Result<Fetched, CommandError> {
    let body = Bytes::from(text.to_owned());
    ok(request(server, Method::POST, target, body).await?)
}

/// Posts a text to a target of a server, which must succeed; the answer comes in parts.
///
/// # Errors
/// When the server cannot be reached, or with the message it refuses with; a part also when the server breaks off.
pub async fn post_stream(
    server: &str,
    target: &str,
    text: &str,
) -> Result<impl Stream<Item = Result<Bytes, CommandError>> + Unpin + use<>, CommandError> {
    let body = Bytes::from(text.to_owned());
    let (parts, body) = send(server, Method::POST, target, body).await?.into_parts();
    let server = server.to_owned();
    let mut stream =
        BodyDataStream::new(body).map_err(move |e| unreachable(&server, e.to_string()));
    if !parts.status.is_success() {
        let mut body = Vec::new();
        while let Some(part) = stream.try_next().await? {
            body.extend_from_slice(&part);
        }
        let refused = ok(Fetched {
            status: parts.status,
            headers: parts.headers,
            body: body.into(),
        });
        return Err(refused.err().expect("it did not succeed"));
    }
    Ok(stream)
}

fn ok(fetched: Fetched) -> Result<Fetched, CommandError> {
    if fetched.status.is_success() {
        return Ok(fetched);
    }
    let body = String::from_utf8_lossy(&fetched.body);
    let message = serde_json::from_str::<serde_json::Value>(&body)
        .ok()
        .and_then(|v| Some(v.get("message")?.as_str()?.to_owned()))
        .unwrap_or_else(|| format!("{} {body}", fetched.status));
    Err(CommandError::Refused(message))
}
