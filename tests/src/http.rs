//! Asking a node over HTTP.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::header::HeaderMap;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// A client that keeps its connections.
#[derive(Clone)]
pub struct Http {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text()))
    }

    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

/// Parameters as a query.
pub fn query_of(params: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(params);
    query.finish()
}

impl Http {
    /// A client for a server.
    pub fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the server cannot be reached or breaks off.
    pub async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| e.to_string())?;
        let response = self.client.request(request).await;
        let (parts, body) = response.map_err(|e| format!("{e:?}"))?.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?;
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }

    /// Gets a path with parameters.
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub async fn get(&self, path: &str, params: &[(&str, &str)]) -> Answer {
        let target = format!("{path}?{}", query_of(params));
        let answer = self.send("GET", &target, &[], Vec::new()).await;
        answer.unwrap_or_else(|e| panic!("GET {target}: {e}"))
    }

    /// Publishes a JSON body.
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub async fn publish(&self, body: &str) -> Answer {
        let headers = [("content-type", "application/json")];
        let body = body.as_bytes().to_vec();
        let answer = self.send("POST", "/api/v1/publish", &headers, body).await;
        answer.unwrap_or_else(|e| panic!("publish: {e}"))
    }

    /// The lines of a graph: legend and values, NaN for no data.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn graph(&self, program: &str, start: &str, end: &str) -> Vec<(String, Vec<f64>)> {
        let params = [
            ("q", program),
            ("s", start),
            ("e", end),
            ("format", "json"),
            ("strict", "1"),
        ];
        let answer = self.get("/api/v1/graph", &params).await;
        assert_eq!(answer.status, 200, "{program}: {}", answer.text());
        let json = answer.json();
        let rows = json["values"].as_array().expect("rows");
        let legends = json["legend"].as_array().expect("legends");
        let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
        let lines = legends.iter().enumerate().map(|(i, legend)| {
            let values = rows.iter().map(|row| number(&row[i])).collect();
            (legend.as_str().expect("a text").to_owned(), values)
        });
        lines.collect()
    }
}
