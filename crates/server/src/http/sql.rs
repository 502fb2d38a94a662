//! `/api/v1/sql`: a statement in SQL, in the parameter `q` or the body, and its answer as JSON, CSV or Arrow.

mod encode;

use std::io;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use hesper_query::engine::QueryOptions;
use hesper_query::sql::SqlAnswer;

use super::access::Caller;
use super::body;
use super::error::ApiError;
use super::params::Params;
use crate::node::NodeState;
use encode::{Encoder, Format};

/// The largest body. A statement is much smaller.
const MAX_BODY_BYTES: usize = 1 << 20;

/// An answer of at most this many bytes is written before its first byte is sent: what goes wrong with it is an error like any other.
const WRITTEN_AHEAD: usize = 4 << 20;

/// Says what is to be known of the rows, of an answer without a place for it.
const NOTICES: HeaderName = HeaderName::from_static("hesper-notices");

/// Runs a statement.
///
/// # Errors
/// In Atlas's shape. What goes wrong after the first bytes were sent breaks the answer off; JSON says why.
pub async fn sql(
    State(node): State<Arc<NodeState>>,
    Extension(Caller(caller)): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let params = Params::read(query.as_deref());
    let format = Format::read(params.get("format"))?;
    let statement = match params.get("q") {
        Some(statement) => text(statement.as_bytes())?,
        None => text(&body::read(body, &headers, MAX_BODY_BYTES).await?)?,
    };
    let options = QueryOptions {
        strict: params.get("strict") != Some("0"),
        all: params.is_on("all"),
        caller: &caller,
    };
    let answer = node.sql.run(&statement, options).await?;
    let writing = Writing {
        encoder: Encoder::new(format, answer.schema())?,
        answer,
        state: Progress::Begin,
    };
    write(writing, format).await
}

fn text(body: &[u8]) -> Result<String, ApiError> {
    let text = std::str::from_utf8(body).ok().map(str::trim);
    match text {
        Some("") | None => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "IllegalArgumentException: a statement in SQL is missing; give it as the parameter 'q' or as the body, in UTF-8",
        )),
        Some(text) => Ok(text.to_owned()),
    }
}

async fn write(mut writing: Writing, format: Format) -> Result<Response, ApiError> {
    let mut ahead = Vec::new();
    let mut ended = false;
    while !ended && ahead.len() < WRITTEN_AHEAD {
        match writing.next().await? {
            Some(part) => ahead.extend_from_slice(&part),
            None => ended = true,
        }
    }
    let notices = writing.answer.notices();
    let body = if ended {
        Body::from(ahead)
    } else {
        let first = stream::iter([Ok(Bytes::from(ahead))]);
        let rest = stream::unfold(Some(writing), |writing| async move {
            let mut writing = writing?;
            match writing.next_or_reason().await {
                Ok(part) => part.map(|part| (Ok(part), Some(writing))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Body::from_stream(futures::StreamExt::chain(first, rest))
    };
    let mut response = ([(header::CONTENT_TYPE, format.content_type())], body).into_response();
    if let Ok(value) = HeaderValue::from_str(&notices.join("; "))
        && !notices.is_empty()
    {
        response.headers_mut().insert(NOTICES, value);
    }
    Ok(response)
}

/// An answer that is being written.
struct Writing {
    encoder: Encoder,
    answer: SqlAnswer,
    state: Progress,
}

#[derive(PartialEq)]
enum Progress {
    Begin,
    Rows,
    Ended,
}

impl Writing {
    /// The next part; `None` behind the last.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        match self.state {
            Progress::Begin => {
                self.state = Progress::Rows;
                Ok(Some(self.encoder.begin()?))
            }
            Progress::Rows => match self.answer.next().await {
                Some(batch) => Ok(Some(self.encoder.rows(&batch?)?)),
                None => {
                    self.state = Progress::Ended;
                    Ok(Some(self.encoder.end(&self.answer.notices())?))
                }
            },
            Progress::Ended => Ok(None),
        }
    }

    /// The next part of an answer that has begun already. An error becomes its last part where there is a place for it, else the answer breaks off.
    async fn next_or_reason(&mut self) -> Result<Option<Bytes>, io::Error> {
        match self.next().await {
            Ok(part) => Ok(part),
            Err(error) => {
                self.state = Progress::Ended;
                let reason = self.encoder.reason(error.message());
                reason
                    .map(Some)
                    .ok_or_else(|| io::Error::other(error.message().to_owned()))
            }
        }
    }
}
