//! The service around another one.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::Service;

use crate::ipc::{Call, Calls, MeasuredBody, Status};

/// A service whose calls are measured.
#[derive(Clone)]
pub struct IpcService<S> {
    inner: S,
    calls: Arc<Calls>,
}

impl<S> IpcService<S> {
    pub(super) fn new(inner: S, calls: Arc<Calls>) -> Self {
        Self { inner, calls }
    }
}

impl<S: fmt::Debug> fmt::Debug for IpcService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IpcService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, Req, Res> Service<Request<Req>> for IpcService<S>
where
    S: Service<Request<Req>, Response = Response<Res>>,
    S::Error: 'static,
{
    type Response = Response<MeasuredBody<Res>>;
    type Error = S::Error;
    type Future = CallFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Req>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let call = self.calls.begin(&parts);
        CallFuture {
            inner: self.inner.call(Request::from_parts(parts, body)),
            call: Some(call),
        }
    }
}

pin_project! {
    /// The answer to a measured call.
    pub struct CallFuture<F> {
        #[pin]
        inner: F,
        // Moves into the body of the answer.
        call: Option<Call>,
    }
}

impl<F, Res, E> Future for CallFuture<F>
where
    F: Future<Output = Result<Response<Res>, E>>,
    E: 'static,
{
    type Output = Result<Response<MeasuredBody<Res>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.inner.poll(cx));
        let mut call = this.call.take();
        Poll::Ready(match result {
            Ok(response) => {
                if let Some(call) = &mut call {
                    answered(call, &response);
                }
                Ok(response.map(|body| MeasuredBody::new(body, call)))
            }
            Err(error) => {
                if let Some(call) = &mut call {
                    call.status = Some(status_of_error(&error, call));
                }
                Err(error)
            }
        })
    }
}

/// Takes the status from the head of an answer. That of a gRPC call is in the trailers, unless there is no body.
fn answered<B>(call: &mut Call, response: &Response<B>) {
    call.status = if !call.is_grpc() {
        call.http_status = Some(response.status().as_u16());
        Some(Status::of_http(response.status()))
    } else if response.status().is_success() {
        Status::in_grpc_headers(response.headers())
    } else {
        Some(Status::of_http(response.status()))
    };
}

fn status_of_error<E: 'static>(error: &E, call: &Call) -> Status {
    let error: &dyn Any = error;
    let timeout = if let Some(error) = error.downcast_ref::<Box<dyn StdError + Send + Sync>>() {
        Status::is_timeout(&**error)
    } else if let Some(error) = error.downcast_ref::<tonic::transport::Error>() {
        Status::is_timeout(error)
    } else if let Some(error) = error.downcast_ref::<std::io::Error>() {
        Status::is_timeout(error)
    } else {
        false
    };
    if timeout {
        Status::Timeout
    } else {
        call.transport_failure()
    }
}
