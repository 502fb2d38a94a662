//! `GET /api/v1/expr…`: what a program does, its canonical form, and what may come next.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hesper_stack::interpreter::trace::trace;
use hesper_stack::outdated::replace_outdated;
use hesper_stack::parse::{queries_of, suggestions};
use hesper_stack::strip::strip;
use hesper_stack::{Vocabulary, normalize};
use serde::Serialize;

use super::error::ApiError;
use super::params::Params;
use crate::node::NodeState;

/// The vocabulary of a request that names none.
const DEFAULT_VOCABULARY: &str = "custom";

/// The program step by step.
///
/// # Errors
/// 400 when the program cannot be run.
pub async fn debug(
    State(node): State<Arc<NodeState>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    answer(&node, "debug", query.as_deref())
}

/// What the last part of the path asks for.
///
/// # Errors
/// 400 when the program cannot be run, 404 when nothing of that name is known.
pub async fn explain(
    State(node): State<Arc<NodeState>>,
    Path(what): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    answer(&node, &what, query.as_deref())
}

/// A word that may come next.
#[derive(Serialize)]
struct Suggestion<'a> {
    name: &'a str,
    signature: String,
    description: &'a str,
}

fn answer(node: &NodeState, what: &str, query: Option<&str>) -> Result<Response, ApiError> {
    let params = Params::read(query);
    let Some(program) = params.get("q") else {
        return Err(ApiError::missing("q"));
    };
    let named = params.get("vocab").unwrap_or(DEFAULT_VOCABULARY);
    let vocabulary = match named {
        DEFAULT_VOCABULARY => node.vocabulary,
        other => Vocabulary::named(other)?,
    };
    Ok(match what {
        "debug" => Json(trace(program, vocabulary)?).into_response(),
        "normalize" => Json(normalize(program, vocabulary)?).into_response(),
        "queries" => Json(queries_of(program, vocabulary)?).into_response(),
        "rewrite" => Json(replace_outdated(program, vocabulary)?).into_response(),
        "strip" => {
            let keys: Vec<&str> = params.all("k").collect();
            let vocabularies: Vec<&str> = params.all("r").collect();
            Json(strip(program, &keys, &vocabularies, vocabulary)?).into_response()
        }
        "complete" => {
            let words = suggestions(program, vocabulary)?.into_iter();
            let shown = words.map(|word| Suggestion {
                name: word.name(),
                signature: word.signature(),
                description: word.summary_text(),
            });
            Json(shown.collect::<Vec<_>>()).into_response()
        }
        _ => {
            return Err(ApiError::new(
                StatusCode::NOT_FOUND,
                format!("path not found: /api/v1/expr/{what}"),
            ));
        }
    })
}
