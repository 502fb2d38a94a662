//! Back-fill: values that are already normalised, series by series.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::error::Error;
use crate::proto::ingest_client::IngestClient;
use crate::proto::{LoadReply, LoadRequest, LoadSeries};

/// A stream of back-fill requests, answered in order.
#[derive(Debug)]
pub struct LoadStream {
    /// `None` once everything was sent.
    requests: Option<mpsc::Sender<LoadRequest>>,
    replies: Streaming<LoadReply>,
    tenant: String,
    window: usize,
    in_flight: usize,
}

impl LoadStream {
    pub(super) async fn open(
        mut client: IngestClient<Channel>,
        tenant: String,
        window: usize,
    ) -> Result<Self, Error> {
        let (requests, receiver) = mpsc::channel(1);
        let replies = client.load(ReceiverStream::new(receiver)).await?;
        Ok(Self {
            requests: Some(requests),
            replies: replies.into_inner(),
            tenant,
            window: window.max(1),
            in_flight: 0,
        })
    }

    /// Sends one request. When the window is full, the answer to an earlier one is awaited first, and comes back.
    ///
    /// # Errors
    /// [`Error::Status`] when the server refuses, [`Error::Closed`] when the stream is over.
    pub async fn send(&mut self, series: Vec<LoadSeries>) -> Result<Option<LoadReply>, Error> {
        let reply = if self.in_flight >= self.window {
            Some(self.next_reply().await?.ok_or(Error::Closed)?)
        } else {
            None
        };
        let request = LoadRequest {
            tenant: self.tenant.clone(),
            series,
        };
        let requests = self.requests.as_ref().ok_or(Error::Closed)?;
        if requests.send(request).await.is_err() {
            // The reason is in the replies.
            return Err(match self.replies.message().await {
                Err(status) => status.into(),
                Ok(_) => Error::Closed,
            });
        }
        self.in_flight += 1;
        Ok(reply)
    }

    /// Says that nothing more comes, and waits for the next of the outstanding answers; `None` after the last one.
    ///
    /// # Errors
    /// [`Error::Status`] when the stream broke, [`Error::Closed`] when it ended with answers outstanding.
    pub async fn finish(&mut self) -> Result<Option<LoadReply>, Error> {
        self.requests = None;
        if self.in_flight == 0 {
            return Ok(None);
        }
        match self.next_reply().await? {
            None => Err(Error::Closed),
            reply => Ok(reply),
        }
    }

    async fn next_reply(&mut self) -> Result<Option<LoadReply>, Error> {
        let reply = self.replies.message().await?;
        if reply.is_some() {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        Ok(reply)
    }
}
