//! Request bodies: read up to a limit, and unpacked when they are packed.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::error::ApiError;

/// Reads a body of at most `limit` bytes, packed and unpacked.
///
/// # Errors
/// 413 when it is larger, 400 when it cannot be unpacked or breaks off.
pub async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, ApiError> {
    let bytes = read_packed(body, limit).await?;
    let encoding = headers.get(header::CONTENT_ENCODING);
    match encoding.map(|e| e.as_bytes()) {
        None | Some(b"" | b"identity") => Ok(bytes),
        Some(b"gzip" | b"x-gzip") => unpack(GzDecoder::new(&bytes[..]), limit),
        Some(b"deflate") => unpack(ZlibDecoder::new(&bytes[..]), limit),
        Some(other) => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!(
                "IllegalArgumentException: content encoding '{}' is not known; use gzip or deflate",
                String::from_utf8_lossy(other)
            ),
        )),
    }
}

/// Reads a body of at most `limit` bytes as it was sent.
///
/// # Errors
/// 413 when it is larger, 400 when it breaks off.
pub async fn read_packed(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let collected = Limited::new(body, limit).collect().await;
    let bytes = collected.map_err(|e| match e.downcast_ref::<LengthLimitError>() {
        Some(_) => too_large(limit),
        None => unreadable(&format!("the body broke off: {e}")),
    })?;
    Ok(bytes.to_bytes())
}

fn unpack(packed: impl Read, limit: usize) -> Result<Bytes, ApiError> {
    let mut unpacked = Vec::new();
    packed
        .take(limit as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|e| unreadable(&format!("the body cannot be unpacked: {e}")))?;
    if unpacked.len() > limit {
        return Err(too_large(limit));
    }
    Ok(unpacked.into())
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!(
            "EntityStreamSizeException: the body is larger than {limit} bytes; send smaller batches or raise --max-body-bytes"
        ),
    )
}

fn unreadable(what: &str) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, format!("IOException: {what}"))
}
