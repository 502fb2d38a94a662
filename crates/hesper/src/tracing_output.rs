//! Where log lines and spans go: lines to standard error, spans over OTLP to a collector, when one is named.
//!
//! A collector is named as everywhere: by `OTEL_EXPORTER_OTLP_ENDPOINT` (`http://host:4317`, gRPC). The other variables of OpenTelemetry
//! count too, such as `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_TRACES_SAMPLER`. Without a collector spans cost nothing.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::error::CommandError;

/// The name under which a collector sees a node that `OTEL_SERVICE_NAME` does not name.
const SERVICE: &str = "hesper";

/// Sends out what is left at its end.
pub struct TracingOutput {
    spans: Option<SdkTracerProvider>,
}

impl TracingOutput {
    /// Starts output for the whole process; `lines` says which log lines are written when `HESPER_LOG` does not. Needs a runtime,
    /// on which the connection to the collector lives.
    ///
    /// # Errors
    /// When the address of the collector cannot be read, or its protocol is another than gRPC.
    pub fn start(lines: &str) -> Result<Self, CommandError> {
        let spans = match named("ENDPOINT") {
            Some(_) => Some(exporting_spans()?),
            None => None,
        };
        let filter = EnvFilter::try_from_env("HESPER_LOG");
        let filter = filter.unwrap_or_else(|_| EnvFilter::new(lines));
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_filter(filter);
        tracing_subscriber::registry()
            .with(lines)
            .with(spans.as_ref().map(span_layer))
            .init();
        Ok(Self { spans })
    }
}

impl Drop for TracingOutput {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.spans.take().map(|spans| spans.shutdown()) {
            eprintln!("warning: the last spans were not sent to the collector: {error}");
        }
    }
}

/// A setting of OTLP, for traces or for all signals.
fn named(what: &str) -> Option<String> {
    let of_traces = std::env::var(format!("OTEL_EXPORTER_OTLP_TRACES_{what}"));
    let value = of_traces.or_else(|_| std::env::var(format!("OTEL_EXPORTER_OTLP_{what}")));
    value.ok().filter(|v| !v.is_empty())
}

fn exporting_spans() -> Result<SdkTracerProvider, CommandError> {
    let wrong = |what: String| CommandError::Other(format!("spans cannot be exported: {what}"));
    if let Some(protocol) = named("PROTOCOL").filter(|p| p != "grpc") {
        let what = format!("OTEL_EXPORTER_OTLP_PROTOCOL is '{protocol}', and only 'grpc' is there");
        return Err(wrong(what));
    }
    let exporter = SpanExporter::builder().with_tonic().build();
    let exporter = exporter.map_err(|e| wrong(e.to_string()))?;
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(SERVICE);
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build());
    Ok(provider.build())
}

/// Takes the spans of Hesper alone: those of the connection to the collector would beget spans without end.
fn span_layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(
    spans: &SdkTracerProvider,
) -> impl Layer<S> + use<S> {
    tracing_opentelemetry::layer()
        .with_tracer(spans.tracer(SERVICE))
        .with_filter(filter_fn(|about| {
            about.is_span() && *about.level() <= Level::INFO && about.target().starts_with("hesper")
        }))
}
