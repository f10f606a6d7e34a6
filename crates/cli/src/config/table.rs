//! The table of options: one line adds one, with its YAML key, its `LIMPID_*` variable and its flag.

use limpid_protocols::{PROTOCOLS, Protocol};
use std::sync::LazyLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Up,
    Agent,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// `127.0.0.1:7117`, or `off`.
    Address,
    /// `http://HOST:PORT`, `https://HOST:PORT` or `unix:///PATH`, or nothing.
    Endpoint,
    /// A whole number from the first to the second.
    Count(u64, u64),
    /// `10GiB`, `512MiB` or a plain count of bytes, from the first to the second.
    Size(u64, u64),
    /// The same, or `off` (or `0`).
    SizeOrOff(u64, u64),
    /// `on`, `off` or `auto`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    Path,
    Text,
    /// Values between commas; in YAML a list of them too.
    List,
}

#[derive(Clone, Copy)]
pub struct Opt {
    pub key: &'static str,
    pub kind: ValueKind,
    pub default: &'static str,
    pub roles: &'static [Role],
    pub help: &'static str,
}

const UP_SERVER: &[Role] = &[Role::Up, Role::Server];
const UP_AGENT: &[Role] = &[Role::Up, Role::Agent];
const ALL: &[Role] = &[Role::Up, Role::Agent, Role::Server];

use ValueKind::{Address, Choice, Count, Endpoint, List, Path, Size, SizeOrOff, Switch, Text};

const MIB: u64 = 1 << 20;
const NO_LIMIT: u64 = u64::MAX;

/// All options: this table's, and a switch for each protocol.
pub fn options() -> &'static [Opt] {
    static ALL_OPTIONS: LazyLock<Vec<Opt>> =
        LazyLock::new(|| OPTIONS.iter().copied().chain(PROTOCOLS.iter().map(switch_of)).collect());
    &ALL_OPTIONS
}

const PROTOCOL_PREFIX: &str = "protocol_";

/// Made once, so that what is leaked is bounded by the table.
fn switch_of(protocol: &Protocol) -> Opt {
    let key = String::leak(format!("{PROTOCOL_PREFIX}{}", protocol.name));
    let help = String::leak(format!("whether {} is read; off: its connections are only counted", protocol.name));
    Opt { key, kind: Switch, default: "auto", roles: UP_AGENT, help }
}

/// The protocol that this option switches.
pub fn protocol_of(option: &Opt) -> Option<&'static str> {
    option.key.strip_prefix(PROTOCOL_PREFIX)
}

#[rustfmt::skip]
static OPTIONS: &[Opt] = &[
    Opt { key: "listen", kind: Address, default: "127.0.0.1:7117", roles: UP_SERVER, help: "console and API" },
    Opt { key: "data", kind: Path, default: "/var/lib/limpid", roles: &[Role::Up], help: "folder of the embedded store and the socket between agent and server" },
    Opt { key: "store", kind: Text, default: "/var/lib/limpid/store", roles: &[Role::Server], help: "folder of the embedded store" },
    Opt { key: "otlp_listen", kind: Address, default: "127.0.0.1:4317", roles: UP_SERVER, help: "OTLP over gRPC, or off" },
    Opt { key: "otlp_http_listen", kind: Address, default: "127.0.0.1:4318", roles: UP_SERVER, help: "OTLP over HTTP, or off" },
    Opt { key: "otlp_socket", kind: Path, default: "", roles: &[Role::Server], help: "OTLP over gRPC on this Unix socket too" },
    Opt { key: "auth_file", kind: Path, default: "", roles: UP_SERVER, help: "lines of ROLE TOKEN (ingest, read, admin; see `limpid token`); needed to listen elsewhere than on loopback" },
    Opt { key: "tls_cert", kind: Path, default: "", roles: UP_SERVER, help: "PEM file of the server's certificate: console, API and OTLP over TCP are then encrypted" },
    Opt { key: "tls_key", kind: Path, default: "", roles: UP_SERVER, help: "PEM file of its key" },
    Opt { key: "otlp_client_ca", kind: Path, default: "", roles: UP_SERVER, help: "PEM file of authorities: who sends OTLP over TCP shows a certificate of theirs, in place of a token" },
    Opt { key: "user", kind: Text, default: "nobody", roles: UP_SERVER, help: "user that the server becomes when it is started by root" },
    Opt { key: "retention_days", kind: Count(1, 36_500), default: "7", roles: UP_SERVER, help: "telemetry older than this is removed" },
    Opt { key: "retention_size", kind: Size(MIB, NO_LIMIT), default: "10GiB", roles: UP_SERVER, help: "the oldest telemetry is removed above this size" },
    Opt { key: "retention_days_spans", kind: Count(0, 36_500), default: "0", roles: UP_SERVER, help: "spans older than this are removed; 0: as retention_days says" },
    Opt { key: "retention_days_metrics", kind: Count(0, 36_500), default: "0", roles: UP_SERVER, help: "metrics older than this are removed; 0: as retention_days says" },
    Opt { key: "retention_days_events", kind: Count(0, 36_500), default: "0", roles: UP_SERVER, help: "events older than this are removed; 0: as retention_days says" },
    Opt { key: "retention_size_spans", kind: Size(0, NO_LIMIT), default: "0", roles: UP_SERVER, help: "the oldest spans are removed above this size; 0: as retention_size and its shares say" },
    Opt { key: "retention_size_metrics", kind: Size(0, NO_LIMIT), default: "0", roles: UP_SERVER, help: "the oldest metrics are removed above this size; 0: as retention_size and its shares say" },
    Opt { key: "retention_size_events", kind: Size(0, NO_LIMIT), default: "0", roles: UP_SERVER, help: "the oldest events are removed above this size; 0: as retention_size and its shares say" },
    Opt { key: "sync", kind: Switch, default: "on", roles: UP_SERVER, help: "acknowledge only what is synced to disk" },
    Opt { key: "server", kind: Endpoint, default: "", roles: &[Role::Agent], help: "http://HOST:4317, https://HOST:4317 or unix:///PATH of the server; none: the agent serves /metrics alone" },
    Opt { key: "token_file", kind: Path, default: "", roles: &[Role::Agent], help: "bearer token that the agent shows to the server" },
    Opt { key: "server_ca", kind: Path, default: "", roles: &[Role::Agent], help: "PEM file of authorities that may have signed the certificate of an https:// server; none: those of the system" },
    Opt { key: "client_cert", kind: Path, default: "", roles: &[Role::Agent], help: "PEM file of the certificate that the agent shows to the server" },
    Opt { key: "client_key", kind: Path, default: "", roles: &[Role::Agent], help: "PEM file of its key" },
    Opt { key: "agent_listen", kind: Address, default: "127.0.0.1:7118", roles: UP_AGENT, help: "the agent's /metrics, or off" },
    Opt { key: "sample", kind: Choice(&["auto", "all", "none"]), default: "auto", roles: UP_AGENT, help: "spans to keep: auto, all or none; metrics always count every request" },
    Opt { key: "spans_per_second", kind: Count(0, 1_000_000), default: "100", roles: UP_AGENT, help: "spans a second that `sample: auto` keeps" },
    Opt { key: "interval_seconds", kind: Count(1, 3600), default: "5", roles: UP_AGENT, help: "seconds between two exports of metrics" },
    Opt { key: "ring_bytes", kind: Size(MIB, 1024 * MIB), default: "16MiB", roles: UP_AGENT, help: "size of all ring buffers between kernel and agent" },
    Opt { key: "sockets", kind: Switch, default: "auto", roles: UP_AGENT, help: "collector of requests on sockets" },
    Opt { key: "processes", kind: Switch, default: "auto", roles: UP_AGENT, help: "collector of process starts and ends" },
    Opt { key: "tls_plaintext", kind: Switch, default: "auto", roles: UP_AGENT, help: "probes on TLS libraries, by which encrypted requests are read" },
    Opt { key: "front_end", kind: Choice(&["auto", "tp_btf", "fentry", "kprobe", "syscall"]), default: "auto", roles: UP_AGENT, help: "how sockets are watched: auto, tp_btf, fentry, kprobe or syscall" },
    Opt { key: "exclude", kind: List, default: "", roles: UP_AGENT, help: "what to leave alone: unit:NAME, image:NAME, port:NUMBER, path:FILE (* and ? are wildcards)" },
    Opt { key: "spool", kind: Path, default: "/var/lib/limpid/spool", roles: &[Role::Agent], help: "folder where data waits while the server is away" },
    Opt { key: "spool_size", kind: SizeOrOff(MIB, NO_LIMIT), default: "512MiB", roles: UP_AGENT, help: "the oldest waiting data is dropped above this size; off: it waits in memory" },
    Opt { key: "log", kind: Choice(&["error", "warn", "info", "debug", "trace", "off"]), default: "info", roles: ALL, help: "error, warn, info, debug, trace or off" },
];

pub fn option(key: &str) -> Option<&'static Opt> {
    options().iter().find(|option| option.key == key)
}

impl Opt {
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    pub fn variable(&self) -> String {
        format!("LIMPID_{}", self.key.to_uppercase())
    }
}

impl ValueKind {
    /// `Err` says what was expected.
    pub fn check(self, value: &str) -> Result<(), String> {
        let good = match self {
            Address => value == "off" || value.parse::<std::net::SocketAddr>().is_ok(),
            Endpoint => value.is_empty() || is_endpoint(value),
            Count(least, most) => value.parse().is_ok_and(|count| (least..=most).contains(&count)),
            Size(least, most) => parse_number(value).is_some_and(|size| (least..=most).contains(&size)),
            SizeOrOff(least, most) => is_off(value) || Size(least, most).check(value).is_ok(),
            Switch => ["on", "off", "auto", "true", "false"].contains(&value),
            Choice(words) => words.contains(&value),
            Path | Text | List => true,
        };
        if good { Ok(()) } else { Err(self.expected()) }
    }

    fn expected(self) -> String {
        match self {
            Address => "ADDRESS:PORT (such as 127.0.0.1:7117) or off".into(),
            Endpoint => "http://HOST:PORT, https://HOST:PORT or unix:///PATH".into(),
            Count(least, most) => format!("a whole number from {least} to {most}"),
            Size(least, NO_LIMIT) => format!("a size of at least {}, such as 512MiB or 10GiB", in_units(least)),
            Size(least, most) => format!("a size from {} to {}, such as 16MiB", in_units(least), in_units(most)),
            SizeOrOff(least, most) => format!("{}, or off", Size(least, most).expected()),
            Switch => "on, off or auto".into(),
            Choice(words) => format!("one of {}", words.join(", ")),
            Path | Text => "a text".into(),
            List => "values between commas".into(),
        }
    }
}

fn is_endpoint(value: &str) -> bool {
    if let Some(path) = value.strip_prefix("unix://") {
        return path.starts_with('/');
    }
    let rest = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://")).unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    // The colons of an address in brackets part no port.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse::<u16>().is_ok()),
        _ => (authority, true),
    };
    !host.is_empty() && port
}

fn in_units(bytes: u64) -> String {
    format!("{}MiB", bytes / MIB)
}

/// `spool_size: 0` says the same as `off`, and so do YAML's own words.
pub fn is_off(value: &str) -> bool {
    ["off", "0", "false"].contains(&value)
}

pub fn parse_number(text: &str) -> Option<u64> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1u64 << 40)];
    let unit = units.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)));
    let (digits, factor) = unit.unwrap_or((text, 1));
    digits.trim().parse::<u64>().ok()?.checked_mul(factor)
}

/// `, did you mean …?` when something is near enough.
pub fn nearest(word: &str, candidates: impl Iterator<Item = String>) -> String {
    let best = candidates.map(|candidate| (distance(word, &candidate), candidate)).min();
    match best {
        Some((distance, candidate)) if distance <= word.len() / 2 => format!(", did you mean `{candidate}`?"),
        _ => String::new(),
    }
}

/// Levenshtein's.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.bytes().enumerate() {
            let substitute = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
