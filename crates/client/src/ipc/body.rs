//! The body of an answer, with whose end a call ends.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::ipc::{Call, Status};

pin_project! {
    /// A body that notices how its call ends.
    pub struct MeasuredBody<B> {
        #[pin]
        inner: B,
        // Gone once the call has ended.
        call: Option<Call>,
    }
}

impl<B> MeasuredBody<B> {
    pub(super) fn new(inner: B, call: Option<Call>) -> Self {
        Self { inner, call }
    }
}

/// So that a body can stand in for one that has a default, as that of an answer made up on the way.
impl<B: Default> Default for MeasuredBody<B> {
    fn default() -> Self {
        Self::new(B::default(), None)
    }
}

impl<B: Body> Body for MeasuredBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        let ends = match &frame {
            Some(Ok(frame)) => frame.is_trailers(),
            Some(Err(_)) | None => true,
        };
        if ends && let Some(mut call) = this.call.take() {
            call.status = match &frame {
                Some(Err(_)) => Some(call.transport_failure()),
                // Without a status in its head or its trailers a gRPC answer is broken.
                Some(Ok(frame)) => frame
                    .trailers_ref()
                    .filter(|_| call.is_grpc())
                    .and_then(Status::in_grpc_headers)
                    .or(call.status)
                    .or(Some(Status::UnexpectedError)),
                None => call.status.or(Some(Status::UnexpectedError)),
            };
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
