//! Spans that a collector is sent, over a real connection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hesper_tests::http::Http;
use hesper_tests::server::Server;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().await.push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts it; gives its address too.
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let collector = Self::default();
        let service = TraceServiceServer::new(collector.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, format!("http://{address}"))
    }

    /// All spans, with the names of the services that sent them.
    async fn spans(&self) -> Vec<(String, Span)> {
        let mut spans = Vec::new();
        for of_resource in self.0.lock().await.iter().flat_map(|r| &r.resource_spans) {
            let resource = of_resource.resource.as_ref().expect("a resource");
            let service = resource.attributes.iter().find(|a| a.key == "service.name");
            let service = service.and_then(|a| a.value.clone()?.value);
            let Some(Value::StringValue(service)) = service else {
                panic!("no service: {resource:?}");
            };
            for of_scope in &of_resource.scope_spans {
                spans.extend(of_scope.spans.iter().map(|s| (service.clone(), s.clone())));
            }
        }
        spans
    }
}

/// The names of a span and of those above it, the outermost first.
fn path(span: &Span, by_id: &BTreeMap<Vec<u8>, Span>) -> String {
    match by_id.get(&span.parent_span_id) {
        Some(parent) => format!("{} > {}", path(parent, by_id), span.name),
        None => span.name.clone(),
    }
}

#[tokio::test]
async fn a_collector_sees_where_the_time_of_a_query_goes() {
    let (collector, address) = Collector::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let server = Server::start_with(directory.path(), &[], &environment).await;
    let http = Http::new(&server.http);
    let asked = [("q", "name,cpu,:eq,:sum"), ("format", "json")];
    assert_eq!(http.get("/api/v1/graph", &asked).await.status, 200);

    let mut spans = Vec::new();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        spans = collector.spans().await;
        if spans.iter().any(|(_, s)| s.name == "GET graph") {
            break;
        }
    }
    assert!(spans.iter().all(|(service, _)| service == "hesper"));
    let by_id: BTreeMap<Vec<u8>, Span> = spans
        .iter()
        .map(|(_, s)| (s.span_id.clone(), s.clone()))
        .collect();
    let paths: Vec<String> = by_id.values().map(|s| path(s, &by_id)).collect();
    for expected in [
        "GET graph",
        "GET graph > query > wait for a turn",
        "GET graph > query > data > scan > history",
        "GET graph > query > evaluate",
        "GET graph > write",
    ] {
        assert!(paths.iter().any(|p| p == expected), "{expected}: {paths:?}");
    }
    let query = by_id.values().find(|s| s.name == "query").expect("checked");
    let keys: Vec<&str> = query.attributes.iter().map(|a| a.key.as_str()).collect();
    for key in ["text", "caller", "outcome", "series", "blocks", "rows"] {
        assert!(keys.contains(&key), "{key}: {keys:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_protocol_that_is_not_there_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ];
    let refused = Server::try_start_with(directory.path(), &[], &environment).await;
    let error = refused.err().expect("it did not start");
    assert!(error.contains("'http/protobuf'"), "{error}");
}
