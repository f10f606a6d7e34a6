//! Who talks to whom, as sampled spans know it: client and server span of one call carry one trace id through NAT and
//! across hosts, where addresses say nothing.

use crate::QueryError;
use crate::span_rows::{SpanKind, SpanRow, rows};
use limpid_store::{Order, SpanQuery, Store};
use rustc_hash::FxHashMap;

/// Enough to meet every busy pair; a rare one is resolved when it is sampled.
const LOOKED_AT: usize = 4_000;

/// A call whose both ends were sampled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    pub client: String,
    pub server: String,
    pub protocol: String,
    /// The server's address and port as the client saw it.
    pub server_address: Option<String>,
    /// The client's address as the server saw it.
    pub client_address: Option<String>,
}

pub fn pairs(store: &dyn Store, start_ns: u64, end_ns: u64) -> Result<Vec<Pair>, QueryError> {
    let query = SpanQuery { start_ns, end_ns, order: Order::Newest, limit: LOOKED_AT, ..SpanQuery::default() };
    let spans = rows(&store.spans(&query)?);
    let clients: FxHashMap<[u8; 8], &SpanRow> =
        spans.iter().filter(|span| span.kind == SpanKind::Client).map(|span| (span.span_id, span)).collect();
    let mut found = Vec::new();
    for server in spans.iter().filter(|span| span.kind == SpanKind::Server) {
        let client = server.parent_span_id.and_then(|parent| clients.get(&parent));
        if let Some(client) = client.filter(|client| client.trace_id == server.trace_id) {
            found.push(pair(client, server));
        }
    }
    Ok(found)
}

fn pair(client: &SpanRow, server: &SpanRow) -> Pair {
    let address = client.attribute("server.address");
    let port = client.attribute("server.port");
    let joined = address.zip(port).map(|(address, port)| match address.contains(':') {
        true => format!("[{address}]:{port}"),
        false => format!("{address}:{port}"),
    });
    Pair {
        client: client.service().to_string(),
        server: server.service().to_string(),
        protocol: server.promoted("protocol").unwrap_or_default().to_string(),
        server_address: joined,
        client_address: server.attribute("client.address"),
    }
}
