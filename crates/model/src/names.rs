//! Names that both sides of the wire must agree on, each in one place.

/// Version of what the agent sends; in the resource as `limpid.schema`. Raised when a reader must know.
pub const SCHEMA: &str = "1";
pub const SCHEMA_KEY: &str = "limpid.schema";

/// The scope that marks OTLP log records as entity states: event name `entity.state`, attributes as in `Entity`, with
/// `limpid.entity.{id,kind,name}` and the interval in `time_unix_nano` (start) and `observed_time_unix_nano` (last seen).
pub const ENTITY_EVENT: &str = "entity.state";
pub const ENTITY_ID: &str = "limpid.entity.id";
pub const ENTITY_KIND: &str = "limpid.entity.kind";
pub const ENTITY_NAME: &str = "limpid.entity.name";

/// What an agent says of itself every ten seconds: a log record of this name whose body is a JSON object `{host, version,
/// collectors[], losses[], cpu_seconds, memory_bytes, …}`, the same as its own `/status`.
pub const AGENT_STATUS_EVENT: &str = "limpid.agent.status";

/// The family that all protocols feed. OTLP name, unit `s`; in PromQL `limpid_request_duration_seconds`.
/// Labels: service, peer, protocol, operation, resource, code, status, side; and, so that the server can resolve what
/// the agent could not, `peer_address` (`address:port` of a server, `address` of a client; empty when `peer` is known
/// from the connection itself), `instance` (the process) and `host`.
pub const REQUEST_DURATION: &str = "limpid.request.duration";
/// Handshakes and logins, which are no requests, by the labels of `REQUEST_DURATION`.
pub const SESSION_DURATION: &str = "limpid.session.duration";
/// When the certificate ends that a server has shown (seconds since 1970), by the labels of `TCP_SEGMENTS`, `server_name`
/// and `subject`.
pub const TLS_CERTIFICATE_NOT_AFTER: &str = "limpid.tls.certificate.not_after";
/// What the client waited beyond the server's own time, split as far as the arrival is known. Labels: service (the
/// client), peer (the server), protocol.
pub const REQUEST_NETWORK: &str = "limpid.request.network.duration";
pub const REQUEST_QUEUE: &str = "limpid.request.queue.duration";
pub const REQUEST_NETWORK_OR_QUEUE: &str = "limpid.request.network_or_queue.duration";
/// Bytes of a connection by service, peer, protocol, side and `direction` (`sent`, `received`).
pub const CONNECTION_BYTES: &str = "limpid.connection.io";
/// What TCP knows of the connections of an edge, by the labels of `CONNECTION_BYTES` without the direction.
pub const TCP_CONNECT: &str = "limpid.tcp.connect.duration";
pub const TCP_ROUND_TRIP: &str = "limpid.tcp.round_trip";
pub const TCP_SEGMENTS: &str = "limpid.tcp.segments";
pub const TCP_RETRANSMITS: &str = "limpid.tcp.retransmits";
pub const TCP_RESETS: &str = "limpid.tcp.resets";
/// Requests that wait for their answer longer than the time limit, now.
pub const REQUESTS_WAITING: &str = "limpid.requests.waiting";
/// Requests that have waited for longer than a second and of whose answers nothing has come, and how long the oldest of
/// them has waited; by the labels of `TCP_SEGMENTS`. What blocks by design is none of them.
pub const REQUESTS_PENDING: &str = "limpid.requests.pending";
pub const REQUESTS_PENDING_AGE: &str = "limpid.requests.pending.age";
/// Everything that was lost, by `cause`; one family for kernel, agent and server (label `part`).
pub const LOSSES: &str = "limpid.losses";

/// OTLP metric name and unit to the Prometheus name: dots to underscores, unit and `_total` suffixes
/// (OpenTelemetry's "Prometheus and OpenMetrics compatibility").
pub fn prometheus_name(name: &str, unit: &str, counter: bool) -> String {
    let mut out: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    let unit = match unit {
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "1" if !counter => "ratio",
        "1" | "" => "",
        other if other.starts_with('{') => "",
        other => other,
    };
    if !unit.is_empty() && !out.ends_with(unit) {
        out = format!("{out}_{unit}");
    }
    if counter && !out.ends_with("_total") {
        out.push_str("_total");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_compatibility_document() {
        for (name, unit, counter, expected) in [
            (REQUEST_DURATION, "s", false, "limpid_request_duration_seconds"),
            (CONNECTION_BYTES, "By", true, "limpid_connection_io_bytes_total"),
            (LOSSES, "{event}", true, "limpid_losses_total"),
            ("process.cpu.time", "s", true, "process_cpu_time_seconds_total"),
            ("system.memory.utilization", "1", false, "system_memory_utilization_ratio"),
        ] {
            assert_eq!(prometheus_name(name, unit, counter), expected);
        }
    }
}
