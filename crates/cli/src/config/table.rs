//! The table of options: one line adds one, with its YAML key, its `LIMPID_*` variable and its flag.

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
    /// `10GiB`, `512MiB`, a plain count of bytes, or any other whole number.
    Number,
    /// `on`, `off` or `auto`.
    Switch,
    Path,
    Text,
}

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

use ValueKind::{Address, Number, Path, Switch, Text};

#[rustfmt::skip]
pub static OPTIONS: &[Opt] = &[
    Opt { key: "listen", kind: Address, default: "127.0.0.1:7117", roles: UP_SERVER, help: "console and API" },
    Opt { key: "data", kind: Path, default: "/var/lib/limpid", roles: &[Role::Up], help: "folder of the embedded store and the socket between agent and server" },
    Opt { key: "store", kind: Text, default: "/var/lib/limpid/store", roles: &[Role::Server], help: "folder of the embedded store" },
    Opt { key: "otlp_listen", kind: Address, default: "127.0.0.1:4317", roles: UP_SERVER, help: "OTLP over gRPC, or off" },
    Opt { key: "otlp_http_listen", kind: Address, default: "127.0.0.1:4318", roles: UP_SERVER, help: "OTLP over HTTP, or off" },
    Opt { key: "otlp_socket", kind: Path, default: "", roles: &[Role::Server], help: "OTLP over gRPC on this Unix socket too" },
    Opt { key: "auth_file", kind: Path, default: "", roles: UP_SERVER, help: "lines of ROLE TOKEN (ingest, read, admin); needed to listen elsewhere than on loopback" },
    Opt { key: "user", kind: Text, default: "nobody", roles: UP_SERVER, help: "user that the server becomes when it is started by root" },
    Opt { key: "retention_days", kind: Number, default: "7", roles: UP_SERVER, help: "telemetry older than this is removed" },
    Opt { key: "retention_size", kind: Number, default: "10GiB", roles: UP_SERVER, help: "the oldest telemetry is removed above this size" },
    Opt { key: "sync", kind: Switch, default: "on", roles: UP_SERVER, help: "acknowledge only what is synced to disk" },
    Opt { key: "server", kind: Text, default: "", roles: &[Role::Agent], help: "http://HOST:4317 or unix:///PATH of the server; none: the agent serves /metrics alone" },
    Opt { key: "token_file", kind: Path, default: "", roles: &[Role::Agent], help: "bearer token that the agent shows to the server" },
    Opt { key: "agent_listen", kind: Address, default: "127.0.0.1:7118", roles: UP_AGENT, help: "the agent's /metrics, or off" },
    Opt { key: "sample", kind: Text, default: "auto", roles: UP_AGENT, help: "spans to keep: auto, all or none; metrics always count every request" },
    Opt { key: "spans_per_second", kind: Number, default: "100", roles: UP_AGENT, help: "spans a second that `sample: auto` keeps" },
    Opt { key: "interval_seconds", kind: Number, default: "5", roles: UP_AGENT, help: "seconds between two exports of metrics" },
    Opt { key: "ring_bytes", kind: Number, default: "16MiB", roles: UP_AGENT, help: "size of all ring buffers between kernel and agent" },
    Opt { key: "sockets", kind: Switch, default: "auto", roles: UP_AGENT, help: "collector of requests on sockets" },
    Opt { key: "processes", kind: Switch, default: "auto", roles: UP_AGENT, help: "collector of process starts and ends" },
    Opt { key: "front_end", kind: Text, default: "auto", roles: UP_AGENT, help: "how sockets are watched: auto, tp_btf or fentry" },
    Opt { key: "log", kind: Text, default: "info", roles: ALL, help: "error, warn, info or debug" },
];

pub fn option(key: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.key == key)
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
    pub fn check(self, value: &str) -> Result<(), &'static str> {
        match self {
            Address if value != "off" && value.parse::<std::net::SocketAddr>().is_err() => {
                Err("ADDRESS:PORT (such as 127.0.0.1:7117) or off")
            }
            Number if parse_number(value).is_none() => Err("a whole number, with KiB, MiB or GiB if it is a size"),
            Switch if !["on", "off", "auto", "true", "false"].contains(&value) => Err("on, off or auto"),
            _ => Ok(()),
        }
    }
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
