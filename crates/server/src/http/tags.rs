//! `GET /api/v1/tags` and `/api/v1/tags/{key}`: the tag keys and values of series, over memory and history.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hesper_model::{TagQuery, TimeRange};
use hesper_query::tags::{TagList, TagRequest};
use hesper_stack::time::{TimeZone, time_range};
use hesper_stack::{StackError, parse_query};
use serde_json::json;

use super::access::Caller;
use super::error::ApiError;
use super::graph::PARTIAL;
use super::params::Params;
use crate::clock;
use crate::node::NodeState;

/// Where the next page begins.
const NEXT_OFFSET: HeaderName = HeaderName::from_static("x-nflx-atlas-next-offset");

/// A page of more than this many is still marked as full at this many.
const MAX_PAGE: usize = 1000;

/// The keys.
///
/// # Errors
/// 400 when a parameter makes no sense.
pub async fn keys(
    State(node): State<Arc<NodeState>>,
    Extension(Caller(caller)): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::read(query.as_deref());
    let page = Page::read(&params, &node)?;
    if page.verbose {
        return Ok(Json(json!([])).into_response());
    }
    let request = page.request.clone();
    let list = node.engine.tags(None, request, &caller).await?;
    Ok(page.answer(list, None))
}

/// The values of a key.
///
/// # Errors
/// 400 when a parameter makes no sense.
pub async fn values(
    State(node): State<Arc<NodeState>>,
    Extension(Caller(caller)): Extension<Caller>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::read(query.as_deref());
    let mut page = Page::read(&params, &node)?;
    if page.verbose && !page.continue_after_tag(&key) {
        return Ok(page.answer(TagList::default(), Some(&key)));
    }
    let request = page.request.clone();
    let list = node
        .engine
        .tags(Some(key.clone()), request, &caller)
        .await?;
    let key = page.verbose.then_some(&*key);
    Ok(page.answer(list, key))
}

struct Page {
    request: TagRequest,
    verbose: bool,
    text: bool,
}

impl Page {
    fn read(params: &Params, node: &NodeState) -> Result<Self, ApiError> {
        let query = match params.get("q") {
            Some(q) => parse_query(q)?,
            None => TagQuery::True,
        };
        let limit = match params.integer("limit")? {
            None => usize::MAX,
            Some(n) if n > 0 => n as usize,
            Some(n) => {
                let text = format!("requirement failed: limit must be positive (got {n})");
                return Err(StackError::IllegalArgument(text).into());
            }
        };
        let range = match (params.get("s"), params.get("e")) {
            (None, None) => None,
            (s, e) => {
                let (s, e) = (s.unwrap_or("e-3h"), e.unwrap_or("now"));
                let (s, e) = time_range(s, e, clock::now(), TimeZone::UTC)?;
                Some(TimeRange::between(s, e, node.hot.step()))
            }
        };
        let after = params.get("offset").filter(|o| !o.is_empty());
        Ok(Self {
            request: TagRequest {
                query,
                after: after.map(str::to_owned),
                limit,
                range,
            },
            verbose: params.is_on("verbose"),
            text: params.get("format") == Some("txt"),
        })
    }

    /// The offset of a verbose page is a tag: `key,value`. Anything else is no offset. False when nothing of the key comes after it.
    fn continue_after_tag(&mut self, key: &str) -> bool {
        let after = self.request.after.take();
        let Some((k, v)) = after.as_deref().and_then(|a| a.split_once(',')) else {
            return true;
        };
        if k == key {
            self.request.after = Some(v.to_owned());
        }
        k <= key
    }

    /// The page, verbose when a key is given.
    fn answer(&self, list: TagList, key: Option<&str>) -> Response {
        let page = self.request.limit.min(MAX_PAGE);
        let next = list.texts.last().filter(|_| list.texts.len() >= page);
        let next = next.map(|last| match key {
            Some(key) => format!("{key},{last}"),
            None => last.to_string(),
        });
        let mut response = match (self.text, key) {
            (true, key) => {
                let line = |text: &Arc<str>| match key {
                    Some(key) => format!("{key}\t{text}\t-1"),
                    None => text.to_string(),
                };
                let lines: Vec<String> = list.texts.iter().map(line).collect();
                ([(header::CONTENT_TYPE, "text/plain")], lines.join("\n")).into_response()
            }
            (false, Some(key)) => {
                let tag = |text: &Arc<str>| json!({"key": key, "value": &**text, "count": -1});
                let tags: Vec<_> = list.texts.iter().map(tag).collect();
                Json(tags).into_response()
            }
            (false, None) => {
                let texts: Vec<&str> = list.texts.iter().map(|t| &**t).collect();
                Json(texts).into_response()
            }
        };
        let headers = response.headers_mut();
        if let Some(next) = next.and_then(|n| HeaderValue::from_str(&n).ok()) {
            headers.insert(NEXT_OFFSET, next);
        }
        if !list.missing.is_empty() {
            let parts: Vec<&str> = list.missing.iter().map(|m| m.part.as_str()).collect();
            if let Ok(parts) = HeaderValue::from_str(&parts.join(", ")) {
                headers.insert(PARTIAL, parts);
            }
        }
        response
    }
}
