//! How calls end, in the words of the conventions.

use http::{HeaderMap, StatusCode};

/// The value of `ipc.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It went well.
    Success,
    /// The caller is at fault.
    BadRequest,
    /// The callee failed, and nobody foresaw it.
    UnexpectedError,
    /// There was no connection, or it broke.
    ConnectionError,
    /// The callee can't serve for now.
    Unavailable,
    /// The callee serves others, or this caller enough.
    Throttled,
    /// It took too long.
    Timeout,
    /// The caller lost interest.
    Cancelled,
    /// The caller may not do this.
    AccessDenied,
    /// The callee failed in a way that belongs to its interface.
    ApplicationError,
}

impl Status {
    /// The value as it is written in the tag.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::BadRequest => "bad_request",
            Self::UnexpectedError => "unexpected_error",
            Self::ConnectionError => "connection_error",
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::AccessDenied => "access_denied",
            Self::ApplicationError => "application_error",
        }
    }

    /// The value of `ipc.result`.
    pub fn result(self) -> &'static str {
        match self {
            Self::Success => "success",
            _ => "failure",
        }
    }

    /// The status of an HTTP answer. Nothing found is a success, as an answer to a question; 503 means unavailable, as in the
    /// standard.
    pub fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            401 | 402 | 403 | 407 | 511 => Self::AccessDenied,
            404 => Self::Success,
            408 => Self::Timeout,
            429 => Self::Throttled,
            503 => Self::Unavailable,
            100..=399 => Self::Success,
            400..=499 => Self::BadRequest,
            _ => Self::UnexpectedError,
        }
    }

    /// The status of a gRPC answer, by the like HTTP codes.
    pub fn of_grpc(code: tonic::Code) -> Self {
        use tonic::Code;
        match code {
            Code::Ok | Code::NotFound => Self::Success,
            Code::Cancelled => Self::Cancelled,
            Code::InvalidArgument
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented => Self::BadRequest,
            Code::DeadlineExceeded => Self::Timeout,
            Code::PermissionDenied | Code::Unauthenticated => Self::AccessDenied,
            Code::ResourceExhausted => Self::Throttled,
            Code::Unavailable => Self::Unavailable,
            Code::Aborted => Self::ApplicationError,
            Code::Unknown | Code::Internal | Code::DataLoss => Self::UnexpectedError,
        }
    }

    /// The status that gRPC headers or trailers carry, if they do.
    pub(super) fn in_grpc_headers(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get("grpc-status")?;
        Some(Self::of_grpc(tonic::Code::from_bytes(code.as_bytes())))
    }

    /// Whether an error, or one of its causes, is a time-out.
    pub(super) fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut error = Some(error);
        while let Some(one) = error {
            let io = one.downcast_ref::<std::io::Error>();
            if one.is::<tonic::TimeoutExpired>()
                || io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut)
            {
                return true;
            }
            // As its cause an I/O error gives that of the error it wraps.
            error = match io.and_then(std::io::Error::get_ref) {
                Some(wrapped) => Some(wrapped),
                None => one.source(),
            };
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_codes_follow_the_conventions() {
        for (code, status) in [
            (100, "success"),
            (204, "success"),
            (302, "success"),
            (400, "bad_request"),
            (401, "access_denied"),
            (404, "success"),
            (405, "bad_request"),
            (408, "timeout"),
            (418, "bad_request"),
            (429, "throttled"),
            (500, "unexpected_error"),
            (503, "unavailable"),
            (511, "access_denied"),
        ] {
            let code = StatusCode::from_u16(code).expect("a code");
            assert_eq!(Status::of_http(code).as_str(), status, "{code}");
        }
    }

    #[test]
    fn time_outs_are_found_among_the_causes() {
        let inner = std::io::Error::from(std::io::ErrorKind::TimedOut);
        let outer = std::io::Error::other(inner);
        assert!(Status::is_timeout(&outer));
        assert!(!Status::is_timeout(&std::io::Error::other("x")));
    }
}
