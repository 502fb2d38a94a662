//! The metrics of calls, on both sides of real ones.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hesper_client::ipc::{Attempt, IpcLayer};
use hesper_client::proto::ingest_client::IngestClient;
use hesper_client::proto::{Hello, PublishDatapointsRequest, PublishRequest, publish_request};
use hesper_client::{ManualClock, Registry};
use http::{Request, Response};
use tonic::body::Body;
use tonic::transport::Endpoint;
use tower::{Layer, Service};

use crate::fake_server::FakeServer;

fn registry() -> Registry {
    let clock = Arc::new(ManualClock::new(0));
    Registry::builder()
        .clock(clock)
        .build()
        .expect("a minute is a step")
}

/// The tags of each timer, but for those of the statistics, and how often it was recorded.
fn calls(registry: &Registry) -> Vec<(BTreeMap<String, String>, f64)> {
    let mut calls: Vec<(BTreeMap<String, String>, f64)> = Vec::new();
    for value in registry.current_values() {
        if value.series().tag("statistic") == Some("count") {
            let tags = value.series().tags();
            let tags = tags.filter(|(key, _)| !["statistic", "atlas.dstype"].contains(key));
            let tags = tags.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            calls.push((tags, value.value()));
        }
    }
    calls.sort_by(|a, b| a.0.cmp(&b.0));
    calls
}

fn tags<const N: usize>(tags: [(&str, &str); N]) -> BTreeMap<String, String> {
    tags.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

/// Answers each HTTP request with the status in its path; `/never` never, `/broken` with an error.
#[derive(Clone)]
struct Http;

impl Service<Request<()>> for Http {
    type Response = Response<Body>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        match request.uri().path() {
            "/never" => Box::pin(pending()),
            "/late" => {
                let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
                Box::pin(ready(Err(error.into())))
            }
            "/broken" => Box::pin(ready(Err("broken".into()))),
            path => {
                let status: u16 = path[1..].parse().expect("the path is a status");
                let response = Response::builder().status(status).body(Body::empty());
                Box::pin(ready(Ok(response.expect("the status is one"))))
            }
        }
    }
}

fn request(path: &str) -> Request<()> {
    let uri = format!("http://host{path}");
    Request::get(uri).body(()).expect("the request is right")
}

#[tokio::test]
async fn http_calls_are_recorded_with_how_they_ended() {
    let registry = registry();
    let mut service = IpcLayer::client(&registry)
        .tag("owner", "test")
        .tag("ipc.server.app", "other")
        .endpoint(|request| Some(request.uri.path().len().to_string().into()))
        .layer(Http);
    drop(service.call(request("/200")).await.expect("an answer"));
    drop(service.call(request("/503")).await.expect("an answer"));
    let mut retry = request("/200");
    retry.extensions_mut().insert(Attempt {
        number: 1,
        is_final: false,
    });
    drop(service.call(retry).await.expect("an answer"));
    assert!(service.call(request("/late")).await.is_err());
    assert!(service.call(request("/broken")).await.is_err());
    let given_up = service.call(request("/never"));
    assert!(
        tokio::time::timeout(Duration::from_millis(1), given_up)
            .await
            .is_err()
    );

    let of = |endpoint, attempt, is_final, result, status, http_status: Option<&str>| {
        let mut tags = tags([
            ("name", "ipc.client.call"),
            ("owner", "test"),
            ("ipc.server.app", "other"),
            ("ipc.endpoint", endpoint),
            ("ipc.protocol", "http_1"),
            ("ipc.attempt", attempt),
            ("ipc.attempt.final", is_final),
            ("ipc.result", result),
            ("ipc.status", status),
            ("http.method", "GET"),
        ]);
        if let Some(status) = http_status {
            tags.insert("http.status".to_owned(), status.to_owned());
        }
        (tags, 1.0)
    };
    let mut expected = vec![
        of("4", "unknown", "true", "success", "success", Some("200")),
        of(
            "4",
            "unknown",
            "true",
            "failure",
            "unavailable",
            Some("503"),
        ),
        of("4", "second", "false", "success", "success", Some("200")),
        of("5", "unknown", "true", "failure", "timeout", None),
        of("7", "unknown", "true", "failure", "connection_error", None),
        of("6", "unknown", "true", "failure", "cancelled", None),
    ];
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(calls(&registry), expected);
}

#[tokio::test]
async fn values_that_callers_choose_are_bounded() {
    let registry = registry();
    let caller = http::HeaderName::from_static("x-caller");
    let mut service = IpcLayer::server(&registry)
        .caller_header(caller)
        .layer(Http);
    for i in 0..150 {
        let mut request = request("/200");
        let value = format!("app{i}").parse().expect("a header's value");
        request.headers_mut().insert("x-caller", value);
        drop(service.call(request).await.expect("an answer"));
    }
    let calls = calls(&registry);
    assert_eq!(calls.len(), 101);
    let others = calls
        .iter()
        .find(|(tags, _)| tags["ipc.client.app"] == "--others--");
    assert_eq!(others.map(|(_, count)| *count), Some(50.0));
}

#[tokio::test]
async fn grpc_calls_are_recorded_with_the_status_of_their_trailers() {
    let server = FakeServer::start().await;
    let registry = registry();
    let channel = Endpoint::from_shared(server.uri())
        .expect("an address")
        .connect()
        .await
        .expect("the server listens");
    let mut client = IngestClient::new(IpcLayer::client(&registry).layer(channel));
    client
        .publish(PublishDatapointsRequest::default())
        .await
        .expect("an answer");
    let nobody = PublishDatapointsRequest {
        tenant: "nobody".to_owned(),
        ..Default::default()
    };
    client
        .publish(nobody)
        .await
        .expect_err("there is no such tenant");
    let hello = PublishRequest {
        message: Some(publish_request::Message::Hello(Hello::default())),
    };
    let replies = client.publish_stream(tokio_stream::once(hello)).await;
    let mut replies = replies.expect("an answer").into_inner();
    while replies.message().await.expect("a good end").is_some() {}

    let of = |endpoint, result, status| {
        let tags = tags([
            ("name", "ipc.client.call"),
            ("owner", "tower"),
            ("ipc.endpoint", endpoint),
            ("ipc.protocol", "grpc"),
            ("ipc.attempt", "unknown"),
            ("ipc.attempt.final", "true"),
            ("ipc.result", result),
            ("ipc.status", status),
        ]);
        (tags, 1.0)
    };
    let publish = "hesper.v1.Ingest_Publish";
    let expected = [
        of("hesper.v1.Ingest_PublishStream", "success", "success"),
        of(publish, "failure", "access_denied"),
        of(publish, "success", "success"),
    ];
    let mut expected = Vec::from(expected);
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(calls(&registry), expected);
}

/// Stands for the service of a gRPC server.
#[derive(Clone)]
struct Grpc;

impl Service<Request<Body>> for Grpc {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(tonic::Status::resource_exhausted("too much").into_http()))
    }
}

#[tokio::test]
async fn grpc_servers_are_layered_too() {
    let registry = registry();
    // That the transport takes the layer is a matter of types.
    let _server = tonic::transport::Server::builder().layer(IpcLayer::server(&registry));
    let mut service = IpcLayer::server(&registry).layer(Grpc);
    let mut request = Request::new(Body::empty());
    let kind = "application/grpc+proto".parse().expect("a header's value");
    request
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    *request.uri_mut() = "/a.B/C".parse().expect("a path");
    drop(service.call(request).await.expect("an answer"));
    let expected = tags([
        ("name", "ipc.server.call"),
        ("owner", "tower"),
        ("ipc.endpoint", "a.B_C"),
        ("ipc.protocol", "grpc"),
        ("ipc.result", "failure"),
        ("ipc.status", "throttled"),
    ]);
    assert_eq!(calls(&registry), [(expected, 1.0)]);
}
