//! The machine as far as it decides what can be watched.

use crate::identity::host::Host;
use crate::identity::procfs;
use crate::privileges::{self, AT_START, NEEDED};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Machine {
    pub kernel: String,
    pub arch: &'static str,
    pub cpus: usize,
    /// The kernel's types, without which no program can be fitted to it.
    pub btf: bool,
    /// `none`, `integrity`, `confidentiality`; empty where the kernel has no such thing or does not say.
    pub lockdown: String,
    /// `v1`, `v2` or `hybrid`.
    pub cgroups: &'static str,
    pub capabilities: Vec<CapabilityState>,
}

#[derive(Debug, Serialize)]
pub struct CapabilityState {
    pub name: &'static str,
    pub used_for: &'static str,
    pub present: bool,
    pub required: bool,
}

impl Machine {
    pub fn read() -> Machine {
        let host = Host::read();
        Machine {
            kernel: host.kernel.to_string(),
            arch: host.arch,
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            btf: has_btf(),
            lockdown: lockdown(),
            cgroups: cgroups(),
            capabilities: capabilities(),
        }
    }
}

pub const NO_BTF: &str = "this kernel does not tell its types (no BTF in /sys/kernel/btf/vmlinux): one with CONFIG_DEBUG_INFO_BTF=y is needed";

/// Whether the kernel tells its types: the file is there and begins as BTF does.
pub fn has_btf() -> bool {
    const MAGIC: u16 = 0xeb9f;
    procfs::read_path("/sys/kernel/btf/vmlinux", 2).is_some_and(|magic| magic == MAGIC.to_ne_bytes())
}

/// `none [integrity] confidentiality`: the chosen one stands in brackets.
fn lockdown() -> String {
    let states = procfs::read_path("/sys/kernel/security/lockdown", 256).unwrap_or_default();
    let states = String::from_utf8_lossy(&states).into_owned();
    let chosen = states.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    chosen.map_or(String::new(), |(chosen, _)| chosen.to_owned())
}

fn cgroups() -> &'static str {
    let mounts = procfs::read_path("/proc/self/mounts", 1 << 20).unwrap_or_default();
    let mounts = String::from_utf8_lossy(&mounts).into_owned();
    let has = |kind: &str| mounts.lines().any(|line| line.split(' ').nth(2) == Some(kind));
    match (has("cgroup"), has("cgroup2")) {
        (true, true) => "hybrid",
        (true, false) => "v1",
        (false, true) => "v2",
        (false, false) => "none",
    }
}

fn capabilities() -> Vec<CapabilityState> {
    let effective = privileges::effective();
    let missing = privileges::missing(effective);
    let needed = NEEDED.iter().map(|capability| (capability, true, !missing.contains(capability)));
    let at_start = AT_START.iter().map(|capability| (capability, false, effective & (1 << capability.number) != 0));
    let state = |(capability, required, present): (&privileges::Capability, bool, bool)| CapabilityState {
        name: capability.name,
        used_for: capability.used_for,
        present,
        required,
    };
    needed.chain(at_start).map(state).collect()
}
