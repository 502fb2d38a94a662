//! `GET /api/v1/expr…`: what a program does, and its canonical form.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hesper_stack::interpreter::trace::trace;
use hesper_stack::parse::queries_of;
use hesper_stack::{Vocabulary, normalize};

use super::error::ApiError;
use super::params::Params;

/// The vocabulary of a request that names none.
const DEFAULT_VOCABULARY: &str = "custom";

/// The program step by step.
///
/// # Errors
/// 400 when the program cannot be run.
pub async fn debug(RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let (params, vocabulary) = read(query.as_deref())?;
    let steps = trace(params.get("q").unwrap_or_default(), vocabulary)?;
    Ok(Json(steps).into_response())
}

/// What the last part of the path asks for.
///
/// # Errors
/// 400 when the program cannot be run, 404 when nothing of that name is known.
pub async fn explain(
    Path(what): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let (params, vocabulary) = read(query.as_deref())?;
    let program = params.get("q").unwrap_or_default();
    match what.as_str() {
        "debug" => Ok(Json(trace(program, vocabulary)?).into_response()),
        "normalize" => Ok(Json(normalize(program, vocabulary)?).into_response()),
        "queries" => Ok(Json(queries_of(program, vocabulary)?).into_response()),
        _ => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            format!("path not found: /api/v1/expr/{what}"),
        )),
    }
}

fn read(query: Option<&str>) -> Result<(Params, &'static Vocabulary), ApiError> {
    let params = Params::read(query);
    if params.get("q").is_none() {
        return Err(ApiError::missing("q"));
    }
    let vocabulary = Vocabulary::named(params.get("vocab").unwrap_or(DEFAULT_VOCABULARY))?;
    Ok((params, vocabulary))
}
