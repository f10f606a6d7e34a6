//! The OTLP client: gRPC over TCP (`http://HOST:4317`, `https://HOST:4317`) or a Unix socket (`unix:///path`), with messages that are bytes
//! already.

use super::connect;
use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use limpid_tls::ClientFiles;
use std::time::Duration;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// Tells a batch that comes again from a new one.
const BATCH_ID: &str = "limpid-batch-id";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(10);
/// The answer is a count and a text.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    fn path(self) -> PathAndQuery {
        PathAndQuery::from_static(match self {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }
}

/// Why a batch was not taken.
#[derive(Debug)]
pub enum Refusal {
    /// May go better later.
    Later(String),
    /// Will never be taken.
    Never(String),
}

#[derive(Clone)]
pub struct Client {
    channel: Channel,
    /// Value of the `authorization` metadata.
    authorization: Option<MetadataValue<tonic::metadata::Ascii>>,
}

impl Client {
    /// Connects when it is first used, and again after every loss. Must be called inside a tokio runtime.
    pub fn new(server: &str, token: Option<&str>, tls: ClientFiles) -> Result<Client, String> {
        let wrong = |why: &str| {
            format!("cannot send to {server:?}: {why}; give http://HOST:PORT, https://HOST:PORT or unix:///PATH")
        };
        if !["http://", "https://", "unix:///"].iter().any(|kind| server.starts_with(kind)) {
            return Err(wrong("unknown kind of address"));
        }
        let endpoint = Endpoint::from_shared(server.to_owned()).map_err(|error| wrong(&error.to_string()))?;
        let channel = connect::channel(endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT), tls)?;
        let mut client = Client { channel, authorization: None };
        client.set_token(token)?;
        Ok(client)
    }

    /// Shown with every batch from now on.
    pub fn set_token(&mut self, token: Option<&str>) -> Result<(), String> {
        let bearer = |token: &str| MetadataValue::try_from(format!("Bearer {token}"));
        let wrong = |_| "the token for the server is not plain ASCII: write it as one line of letters and digits";
        self.authorization = token.map(bearer).transpose().map_err(wrong)?;
        Ok(())
    }

    /// How many of the batch's items the server rejected.
    pub async fn send(&self, signal: Signal, batch_id: &str, payload: Vec<Bytes>) -> Result<u64, Refusal> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES);
        grpc.ready().await.map_err(|error| Refusal::Later(causes(&error)))?;
        let mut request = Request::new(payload);
        if let Ok(value) = MetadataValue::try_from(batch_id) {
            request.metadata_mut().insert(BATCH_ID, value);
        }
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        let answer = grpc.unary(request, signal.path(), RawCodec).await;
        answer.map(|answer| rejected(answer.get_ref())).map_err(|status| refusal(&status))
    }
}

/// Which codes may be tried again is fixed by the OTLP specification, "Failures". Two more are here: a token that the
/// server does not know is put right by somebody sooner or later, and until then nothing shall be lost.
fn refusal(status: &Status) -> Refusal {
    let text = format!("{}: {}", status.code(), causes(status));
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss
        | Code::ResourceExhausted
        | Code::Unauthenticated
        | Code::PermissionDenied => Refusal::Later(text),
        // A connection that broke in the middle is reported as an unknown error with the transport's as its source.
        Code::Unknown if std::error::Error::source(status).is_some() => Refusal::Later(text),
        _ => Refusal::Never(text),
    }
}

/// The innermost cause says what happened ("connection refused"), the outer ones where.
fn causes(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().chars().take(200).collect()
}

/// `partial_success.rejected_*` of any of the three answers: field 1 of field 1.
fn rejected(answer: &[u8]) -> u64 {
    fn varint(bytes: &mut &[u8]) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = bytes.split_first()?;
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
    let first_field = |mut bytes: &[u8]| -> Option<u64> {
        if varint(&mut bytes)? != 1 << 3 | 2 {
            return None;
        }
        varint(&mut bytes)?;
        if varint(&mut bytes)? != 1 << 3 {
            return None;
        }
        varint(&mut bytes)
    };
    first_field(answer).unwrap_or(0)
}

/// Messages are bytes on both ways; those that are sent come in pieces.
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Vec<Bytes>;
    type Decode = Bytes;
    type Encoder = RawCodec;
    type Decoder = RawCodec;

    fn encoder(&mut self) -> RawCodec {
        RawCodec
    }
    fn decoder(&mut self) -> RawCodec {
        RawCodec
    }
}

impl Encoder for RawCodec {
    type Item = Vec<Bytes>;
    type Error = Status;

    fn encode(&mut self, item: Vec<Bytes>, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.reserve(item.iter().map(Bytes::len).sum());
        item.into_iter().for_each(|part| target.put(part));
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_rejected_items() {
        assert_eq!(rejected(&[]), 0);
        assert_eq!(rejected(&[0x0a, 0x02, 0x08, 0x07]), 7);
        assert_eq!(rejected(&[0x0a, 0x03, 0x08, 0x80]), 0);
        assert_eq!(rejected(&[0x0a, 0x03, 0x12, 0x01, b'x']), 0);
        assert_eq!(rejected(&[0xff; 40]), 0);
    }

    #[tokio::test]
    async fn addresses() {
        let client = |server, token| Client::new(server, token, ClientFiles::default());
        assert!(client("http://127.0.0.1:4317", None).is_ok());
        assert!(client("unix:///run/limpid/otlp.sock", Some("secret")).is_ok());
        for wrong in ["", "127.0.0.1:4317", "ftp://x", "http://", "unix://relative"] {
            let error = client(wrong, None).err().unwrap_or_default();
            assert!(error.contains("http://HOST:PORT"), "{wrong}: {error}");
        }
        let tls = ClientFiles { ca: Some("/nowhere.pem".into()), own: None };
        let error = Client::new("https://127.0.0.1:4317", None, tls).err().unwrap_or_default();
        assert!(error.contains("/nowhere.pem (`server_ca`) cannot be read"), "{error}");
    }
}
