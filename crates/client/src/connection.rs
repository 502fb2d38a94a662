//! A connection to a store, for tools: streams of batches, single calls, and back-fill.

mod batch_stream;
mod load_stream;

pub use batch_stream::{Ack, AckReceiver, BatchSender, BatchStream, SeriesRef, pack_values};
pub use load_stream::LoadStream;

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::entropy;
use crate::error::Error;
use crate::proto::ingest_client::IngestClient;
use crate::proto::{Datapoint, Hello, PublishDatapointsReply, PublishDatapointsRequest};

/// More than any acknowledgement needs, even one that refuses each datapoint of a large batch with a message.
const MAX_REPLY_BYTES: usize = 64 << 20;

/// How long to wait for a server, and how to notice that it is gone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// For the connection to be made; 5 s.
    pub connect_timeout: Duration,
    /// For the first answer on a new stream; 10 s.
    pub handshake_timeout: Duration,
    /// How often the server is asked for a sign of life; 10 s.
    pub keep_alive_interval: Duration,
    /// How long it may take to give one; 10 s.
    pub keep_alive_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            keep_alive_interval: Duration::from_secs(10),
            keep_alive_timeout: Duration::from_secs(10),
        }
    }
}

impl ConnectOptions {
    /// The transport's view of these options.
    ///
    /// # Errors
    /// [`Error::Uri`] when the address does not parse, or isn't of the form `http://host:port`.
    pub fn endpoint(&self, uri: &str) -> Result<Endpoint, Error> {
        let invalid = |reason: String| Error::Uri {
            uri: uri.to_owned(),
            reason,
        };
        let endpoint =
            Endpoint::from_shared(uri.to_owned()).map_err(|error| invalid(error.to_string()))?;
        if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().authority().is_none() {
            return Err(invalid("it needs the scheme http and a host".to_owned()));
        }
        Ok(endpoint
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(self.keep_alive_interval)
            .keep_alive_timeout(self.keep_alive_timeout)
            .keep_alive_while_idle(true))
    }
}

/// A connection to a store. Cheap to clone; streams and calls share it.
#[derive(Clone, Debug)]
pub struct Connection {
    client: IngestClient<Channel>,
    handshake_timeout: Duration,
}

impl Connection {
    /// Connects to a server at an address such as `http://127.0.0.1:7102`.
    ///
    /// # Errors
    /// [`Error::Uri`] for an address that does not parse, [`Error::Status`] when nobody answers there.
    pub async fn open(uri: &str, options: &ConnectOptions) -> Result<Self, Error> {
        let channel = options.endpoint(uri)?.connect().await.map_err(|error| {
            let text = with_causes(&error);
            tonic::Status::unavailable(format!("cannot connect to {uri}: {text}"))
        })?;
        Ok(Self::over(channel, options))
    }

    /// Uses a channel that was made elsewhere, for instance over another kind of transport.
    pub fn over(channel: Channel, options: &ConnectOptions) -> Self {
        Self {
            client: IngestClient::new(channel).max_decoding_message_size(MAX_REPLY_BYTES),
            handshake_timeout: options.handshake_timeout,
        }
    }

    /// Sixteen random bytes that tell this publisher from all others; see [`Hello::client`].
    pub fn random_client() -> Vec<u8> {
        entropy::client_id().to_vec()
    }

    /// Opens a stream of batches on which at most `window` batches wait for their acknowledgement at a time.
    ///
    /// # Errors
    /// [`Error::Status`] when the server refuses, [`Error::Timeout`] when it doesn't answer in time, [`Error::Protocol`] when its
    /// answer isn't a welcome.
    pub async fn publish_stream(&self, hello: Hello, window: usize) -> Result<BatchStream, Error> {
        let opening = BatchStream::open(self.client.clone(), hello, window);
        tokio::time::timeout(self.handshake_timeout, opening)
            .await
            .map_err(|_| Error::Timeout(self.handshake_timeout, "opening a publish stream"))?
    }

    /// Publishes datapoints with their tags in full, in one call. `identity` is a client and a sequence number, with which a call
    /// that is repeated takes effect once.
    ///
    /// # Errors
    /// [`Error::Status`] when the server refuses the call as a whole. Datapoints that it refuses are in the reply.
    pub async fn publish(
        &self,
        tenant: &str,
        identity: Option<(Vec<u8>, u64)>,
        datapoints: Vec<Datapoint>,
    ) -> Result<PublishDatapointsReply, Error> {
        let (client, sequence) = identity.unwrap_or_default();
        let request = PublishDatapointsRequest {
            tenant: tenant.to_owned(),
            client,
            sequence,
            datapoints,
        };
        Ok(self.client.clone().publish(request).await?.into_inner())
    }

    /// Opens a stream for back-fill on which at most `window` requests wait for their answer at a time.
    ///
    /// # Errors
    /// [`Error::Status`] when the server refuses, [`Error::Timeout`] when it doesn't answer in time.
    pub async fn load(&self, tenant: &str, window: usize) -> Result<LoadStream, Error> {
        let opening = LoadStream::open(self.client.clone(), tenant.to_owned(), window);
        tokio::time::timeout(self.handshake_timeout, opening)
            .await
            .map_err(|_| Error::Timeout(self.handshake_timeout, "opening a load stream"))?
    }
}

/// The message of an error and those of its causes, which say what the transport's own message leaves out.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_hosts_are_taken() {
        let options = ConnectOptions::default();
        assert!(options.endpoint("http://127.0.0.1:7102").is_ok());
        for uri in [
            "",
            "127.0.0.1:7102",
            "https://127.0.0.1:7102",
            "http://",
            "/x",
        ] {
            let error = options.endpoint(uri).expect_err(uri);
            assert!(matches!(error, Error::Uri { .. }), "{uri}: {error}");
        }
    }
}
