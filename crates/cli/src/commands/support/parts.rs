//! The table of what goes into the bundle.

use super::{Context, fetch, machine};
use crate::config::table::options;
use std::fmt::Write;
use std::path::Path;

pub struct Part {
    pub file: &'static str,
    pub help: &'static str,
    pub collect: fn(&Context) -> Result<String, String>,
}

pub const HEAD: &str = "What is in this bundle. It holds no payload of the watched programs, none of their arguments or
environment, no addresses of requests and no statements, and no token.";

#[rustfmt::skip]
pub static PARTS: &[Part] = &[
    Part { file: "version.txt", help: "version and parts of this binary", collect: |_| Ok(version()) },
    Part { file: "configuration.yaml", help: "every option, its value, and where that comes from; of files of tokens only the names", collect: configuration },
    Part { file: "check.json", help: "what `limpid check` says of this machine", collect: check },
    Part { file: "kernel.txt", help: "kernel, distribution, memory, settings that matter to BPF", collect: |_| Ok(machine::kernel()) },
    Part { file: "processes.txt", help: "Limpid's own processes: user, capabilities, memory", collect: |_| Ok(machine::processes()) },
    Part { file: "units.txt", help: "state of Limpid's systemd units", collect: |_| machine::units() },
    Part { file: "journal.txt", help: "the last words of these units", collect: |_| machine::journal() },
    Part { file: "agent-status.json", help: "collectors, programs, losses and cost of the agent", collect: |context| of_agent(context, "/status") },
    Part { file: "agent-metrics.txt", help: "the agent's metrics, as far as their labels are names of services, hosts and parts", collect: |context| of_agent(context, "/metrics").map(|text| only_known_labels(&text)) },
    Part { file: "server-status.json", help: "the server, its store, and the agents that report to it", collect: |context| of_server(context, "/api/status") },
    Part { file: "server-metrics.txt", help: "the server's metrics", collect: |context| of_server(context, "/metrics").map(|text| only_known_labels(&text)) },
    Part { file: "store.txt", help: "names and sizes of the store's files", collect: store },
];

fn version() -> String {
    let parts = [("agent", cfg!(feature = "agent")), ("server", cfg!(feature = "server"))];
    let parts: Vec<&str> = parts.iter().filter(|(_, built)| *built).map(|(name, _)| *name).collect();
    format!("limpid {}\nbuilt with: {}\n", env!("CARGO_PKG_VERSION"), parts.join(", "))
}

fn configuration(context: &Context) -> Result<String, String> {
    let config = context.config.as_ref().map_err(Clone::clone)?;
    let mut text = String::new();
    for option in options() {
        let _ = writeln!(text, "{}: {} # {}", option.key, config.text(option.key), config.source(option.key));
    }
    Ok(text)
}

#[cfg(feature = "agent")]
fn check(context: &Context) -> Result<String, String> {
    let config = context.config.as_ref().map_err(Clone::clone)?;
    Ok(crate::commands::check::report(config).to_json())
}

#[cfg(not(feature = "agent"))]
fn check(_: &Context) -> Result<String, String> {
    Err("this binary was built without the agent".into())
}

fn of_agent(context: &Context, path: &str) -> Result<String, String> {
    let agent = context.agent.as_deref().ok_or("no address of the agent is known: name one with --agent")?;
    fetch::get(agent, path, None, None)
}

fn of_server(context: &Context, path: &str) -> Result<String, String> {
    let server = context.server.as_deref().ok_or("no address of the server is known: name one with --server")?;
    fetch::get(server, path, context.token.as_deref(), context.server_ca.as_deref())
}

/// Labels whose values are names of services and hosts or of Limpid's own parts. A series with any other label is left
/// out: operations, statements and addresses are somebody's data.
const KNOWN_LABELS: &[&str] = &[
    "cause",
    "class",
    "collector",
    "cpu_mode",
    "direction",
    "host",
    "le",
    "part",
    "peer",
    "program",
    "protocol",
    "route",
    "service",
    "side",
    "status",
    "version",
];

fn only_known_labels(text: &str) -> String {
    let is_known = |names: Vec<&str>| names.iter().all(|label| KNOWN_LABELS.contains(label));
    let kept = |line: &&str| line.starts_with('#') || labels(line).is_some_and(is_known);
    text.lines().filter(kept).map(|line| format!("{line}\n")).collect()
}

/// Names of the labels of one line of Prometheus' text format; `None` when it is not understood.
fn labels(line: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let Some((_, mut rest)) = line.split_once('{') else { return Some(names) };
    while !rest.starts_with('}') {
        let (name, after) = rest.split_once("=\"")?;
        names.push(name.trim_matches([',', ' ']));
        rest = &after[end_of_value(after)? + 1..];
    }
    Some(names)
}

/// Where the closing quote stands: a backslash takes the meaning of what follows it.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

const MAX_FILES: usize = 5000;

fn store(context: &Context) -> Result<String, String> {
    let config = context.config.as_ref().map_err(Clone::clone)?;
    let mut text = String::new();
    for folder in ["data", "store"].iter().filter_map(|key| config.path(key)) {
        let _ = writeln!(text, "{}", folder.display());
        list(&folder, 1, &mut text);
    }
    Ok(text)
}

fn list(folder: &Path, depth: usize, text: &mut String) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return text.push_str(&format!("{}({error})\n", "  ".repeat(depth))),
    };
    let mut entries: Vec<_> = entries.flatten().take(MAX_FILES).collect();
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let Ok(data) = entry.metadata() else { continue };
        let _ = writeln!(text, "{}{} {}", "  ".repeat(depth), entry.file_name().display(), data.len());
        if data.is_dir() && depth < 5 {
            list(&entry.path(), depth + 1, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_with_other_labels_are_left_out() {
        let text = "# HELP x what\nx_total{cause=\"a\",host=\"h\"} 1\nx_total{service=\"a\",resource=\"canary\"} 2\n\
                    y{service=\"a\\\"b{\",le=\"1\"} 3\ny{peer_address=\"192.0.2.1\"} 4\nz 5\nz{broken 6\n";
        let kept = only_known_labels(text);
        assert_eq!(kept, "# HELP x what\nx_total{cause=\"a\",host=\"h\"} 1\ny{service=\"a\\\"b{\",le=\"1\"} 3\nz 5\n");
    }
}
