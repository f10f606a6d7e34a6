//! What watches the kernel: a folder each, and a row each in [`COLLECTORS`]. A collector that cannot run ends nothing
//! else; it says why, and so does each of its programs.

pub mod processes;
pub mod sockets;

use std::fmt;

/// How much a collector takes from what it watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Runs on rare events.
    Negligible,
    /// Runs on every call of one kind; some hundred nanoseconds each.
    PerCall,
}

pub struct CollectorInfo {
    pub name: &'static str,
    pub summary: &'static str,
    /// What the process must be allowed to do.
    pub capabilities: &'static [&'static str],
    pub cost: Cost,
}

/// In the order of the status page.
pub static COLLECTORS: &[CollectorInfo] = &[sockets::INFO, processes::INFO];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramState {
    Running,
    /// Not needed here, or this kernel has something better.
    Off(String),
    Failed(String),
}

#[derive(Clone, Debug)]
pub struct ProgramStatus {
    pub name: String,
    /// What it hangs on.
    pub hook: String,
    pub state: ProgramState,
}

#[derive(Clone, Debug)]
pub struct CollectorStatus {
    pub name: &'static str,
    pub state: ProgramState,
    pub programs: Vec<ProgramStatus>,
}

/// Run time of a program as the kernel counts it; zero unless `kernel.bpf_stats_enabled` is on.
#[derive(Clone, Debug)]
pub struct ProgramStats {
    pub name: String,
    pub runs: u64,
    pub run_time_ns: u64,
    /// Times it was skipped because it interrupted itself.
    pub missed: u64,
}

/// Why a collector could not start: what, where, and what to do about it.
#[derive(Debug)]
pub struct CollectorError(pub String);

impl fmt::Display for CollectorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for CollectorError {}

impl CollectorError {
    pub fn new(what: &str, cause: impl fmt::Display) -> Self {
        CollectorError(format!("{what}: {cause}"))
    }
}
