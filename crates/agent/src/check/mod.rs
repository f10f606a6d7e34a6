//! `limpid check`: what this machine allows, which collectors will run, and why not the others.
//!
//! Nothing is concluded from a version or a feature probe: each way of attaching is tried with a tiny program
//! (`attach.bpf.c`), which is gone again a moment later.

mod attempts;
mod machine;
mod print;

pub use attempts::Hook;
pub use machine::{Machine, NO_BTF, has_btf};

use crate::collectors::{COLLECTORS, CollectorInfo, Cost};
use crate::identity::procfs;
use crate::privileges;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Report {
    pub version: &'static str,
    pub machine: Machine,
    pub hooks: Vec<Hook>,
    pub collectors: Vec<Collector>,
    pub protocols: Vec<Protocol>,
    /// Why the agent could not run at all, and what to do; `None` when it can.
    pub problem: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Collector {
    pub name: &'static str,
    pub summary: &'static str,
    pub will_run: bool,
    /// Which of its ways to hang onto the kernel it will take.
    pub front_end: Option<&'static str>,
    pub reason: Option<String>,
    pub cost: &'static str,
}

#[derive(Debug, Serialize)]
pub struct Protocol {
    pub name: &'static str,
    /// False when the configuration switches it off.
    pub read: bool,
}

/// The ways of each collector, best first: (collector, front end, hooks that it needs).
const FRONT_ENDS: &[(&str, &str, &[&str])] = &[
    ("sockets", "socket tracepoints", &["sock_send_length", "sock_recv_length", "inet_sock_set_state", "ring buffer"]),
    ("sockets", "fentry and fexit on the socket functions", &["fentry", "inet_sock_set_state", "ring buffer"]),
    ("sockets", "fentry and fexit on the socket functions, with tables", &["fentry", "raw tracepoint", "ring buffer"]),
    (
        "sockets",
        "kprobes on the socket functions, with tables",
        &["kprobe", "kretprobe", "raw tracepoint", "ring buffer"],
    ),
    ("sockets", "the end of every system call, with tables", &["sys_exit", "raw tracepoint", "ring buffer"]),
    ("processes", "scheduler tracepoints", &["raw tracepoint", "ring buffer"]),
];

impl Report {
    /// The process's exit code: 0 when the agent can run.
    pub fn exit_code(&self) -> i32 {
        i32::from(self.problem.is_some())
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self)
            .unwrap_or_else(|error| format!("{{\"problem\":\"cannot write the report: {error}\"}}"))
    }
}

/// `collectors_off` and `protocols_off`: names of those that the configuration switches off.
pub fn run(collectors_off: &[&str], protocols_off: &[&str]) -> Report {
    let machine = Machine::read();
    let hooks = attempts::run();
    let collectors = COLLECTORS.iter().map(|info| collector(info, &hooks));
    let collectors: Vec<Collector> =
        collectors.map(|one| if machine.btf { one } else { one.without_types() }).collect();
    let problem = problem(&machine, &collectors);
    let collectors = collectors.into_iter().map(|one| one.switched(collectors_off)).collect();
    let names = limpid_protocols::PROTOCOLS.iter().map(|protocol| protocol.name);
    let protocols = names.map(|name| Protocol { name, read: !protocols_off.contains(&name) }).collect();
    Report { version: env!("CARGO_PKG_VERSION"), machine, hooks, collectors, protocols, problem }
}

/// Whether sockets can be watched without probes.
pub fn sees_without_probes() -> bool {
    attempts::works("fentry") || (attempts::works("sock_send_length") && attempts::works("sock_recv_length"))
}

const KERNEL_TYPES_BYTES: usize = 64 << 20;

/// Whether one link holds many probes on functions of programs (since 6.6, or carried back): it asks for no more rights than
/// the program did. The name of its kind is among those of the kernel's types.
pub fn has_links_of_many_probes() -> bool {
    let types = procfs::read_path("/sys/kernel/btf/vmlinux", KERNEL_TYPES_BYTES).unwrap_or_default();
    memchr::memmem::find(&types, b"BPF_TRACE_UPROBE_MULTI\0").is_some()
}

impl Collector {
    /// The hooks that were tried read nothing of the kernel; what a collector loads does.
    fn without_types(self) -> Collector {
        Collector { will_run: false, front_end: None, reason: Some(NO_BTF.into()), ..self }
    }

    fn switched(self, off: &[&str]) -> Collector {
        match off.contains(&self.name) {
            true => Collector { will_run: false, front_end: None, reason: Some("switched off".into()), ..self },
            false => self,
        }
    }
}

fn collector(info: &CollectorInfo, hooks: &[Hook]) -> Collector {
    let mut reason = None;
    let ways = FRONT_ENDS.iter().filter(|(name, ..)| *name == info.name);
    let front_end = ways.into_iter().find_map(|(_, front_end, needed)| {
        let failed = needed.iter().find_map(|name| hooks.iter().find(|hook| hook.name == *name && !hook.works));
        match failed {
            None => Some(*front_end),
            Some(hook) => {
                let why = hook.reason.as_deref().unwrap_or("does not work");
                reason.get_or_insert(format!("{}: {why}", hook.name));
                None
            }
        }
    });
    let cost = match info.cost {
        Cost::Negligible => "negligible: runs on rare events",
        Cost::PerCall if front_end.is_some_and(|way| way.contains("system call")) => {
            "slows every system call of every process, and sockets by some hundred ns more"
        }
        Cost::PerCall => "some hundred ns for each call on a socket",
    };
    let reason = if front_end.is_some() { None } else { reason };
    Collector { name: info.name, summary: info.summary, will_run: front_end.is_some(), front_end, reason, cost }
}

/// One clear line: the first thing that a person can do something about.
fn problem(machine: &Machine, collectors: &[Collector]) -> Option<String> {
    if collectors.iter().any(|collector| collector.will_run && collector.name == "sockets") {
        return None;
    }
    let missing = privileges::missing(privileges::effective());
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|capability| capability.name).collect();
        return Some(format!("missing capabilities {}: run as root, or grant them to the agent", names.join(", ")));
    }
    if !machine.btf {
        return Some(NO_BTF.into());
    }
    let reason = collectors.iter().find_map(|collector| collector.reason.clone()).unwrap_or_default();
    Some(format!("no way to watch sockets works on kernel {}: {reason}", machine.kernel))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(name: &'static str, works: bool) -> Hook {
        let reason = (!works).then(|| "not there".to_owned());
        Hook { name, kind: "", used_for: "", works, reason }
    }

    #[test]
    fn a_missing_hook_is_named() {
        let names: Vec<&'static str> = attempts::names().collect();
        let all: Vec<Hook> = names.iter().map(|name| hook(name, true)).collect();
        assert!(COLLECTORS.iter().all(|info| collector(info, &all).will_run));
        let without: Vec<Hook> = names.iter().map(|name| hook(name, *name != "sock_recv_length")).collect();
        assert_eq!(collector(&COLLECTORS[0], &without).front_end, Some("fentry and fexit on the socket functions"));
        // As on 5.10: neither the tracepoints nor storage in sockets.
        let lacks = ["sock_send_length", "sock_recv_length", "inet_sock_set_state"];
        let without: Vec<Hook> = names.iter().map(|name| hook(name, !lacks.contains(name))).collect();
        let chosen = collector(&COLLECTORS[0], &without).front_end;
        assert_eq!(chosen, Some("fentry and fexit on the socket functions, with tables"));
        let all_ways = ["sock_recv_length", "fentry", "kprobe", "sys_exit"];
        let without: Vec<Hook> = names.iter().map(|name| hook(name, !all_ways.contains(name))).collect();
        let sockets = collector(&COLLECTORS[0], &without);
        assert!(!sockets.will_run);
        assert_eq!(sockets.reason.as_deref(), Some("sock_recv_length: not there"));
    }

    #[test]
    fn every_front_end_names_hooks_that_are_tried() {
        for (collector, _, needed) in FRONT_ENDS {
            assert!(COLLECTORS.iter().any(|info| info.name == *collector), "{collector}");
            assert!(needed.iter().all(|name| attempts::names().any(|known| known == *name)), "{needed:?}");
        }
        for info in COLLECTORS {
            assert!(FRONT_ENDS.iter().any(|(name, ..)| *name == info.name), "{} has no front end here", info.name);
        }
    }
}
