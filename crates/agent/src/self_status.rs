//! What the agent says of itself: its CPU time, its memory, its programs in the kernel, and what was lost.

use crate::collectors::{CollectorStatus, ProgramState, ProgramStats};
use crate::identity::{host::Host, now_ns, procfs};
use crate::losses::{self, Loss};
use crate::pipeline::CLAMPED as CLAMPED_COUNTS;
use crate::telemetry::{Families, FamilySnapshot, Measure, SeriesSnapshot};
use limpid_model::{Text, names};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// State and figures of a collector, asked for whenever somebody looks.
pub struct CollectorReport {
    pub status: CollectorStatus,
    pub programs: Vec<ProgramStats>,
}

type Reports = Box<dyn Fn() -> Vec<CollectorReport> + Send + Sync>;

/// For so long a figure of the memory serves the metrics: the kernel walks all of the process' pages for it.
const MEMORY_SERVES: Duration = Duration::from_secs(15);

pub struct SelfStatus {
    host: Host,
    memory: Mutex<Option<(Instant, u64)>>,
    started_ns: u64,
    reports: Reports,
    /// More for `/status`, by name: the exporter's queue, the endpoint.
    more: Vec<(&'static str, Box<dyn Fn() -> Value + Send + Sync>)>,
}

/// Counted by the BPF programs; all other causes are the agent's own.
const KERNEL_CAUSES: &[&Loss] = &[
    &losses::RING_FULL,
    &losses::RING_FULL_BYTES,
    &losses::STORAGE_FULL,
    &losses::PAYLOAD_FAULT,
    &losses::NO_PAYLOAD,
    &losses::COMPAT_CALL,
    &losses::PROCESS_RING_FULL,
];

impl SelfStatus {
    pub fn new(host: Host, reports: impl Fn() -> Vec<CollectorReport> + Send + Sync + 'static) -> SelfStatus {
        SelfStatus {
            host,
            memory: Mutex::default(),
            started_ns: now_ns(),
            reports: Box::new(reports),
            more: Vec::new(),
        }
    }

    pub fn with(mut self, name: &'static str, value: impl Fn() -> Value + Send + Sync + 'static) -> SelfStatus {
        self.more.push((name, Box::new(value)));
        self
    }

    pub fn shared(self) -> Arc<SelfStatus> {
        Arc::new(self)
    }

    fn family(&self, head: Head, series: Vec<(Vec<Text>, Measure)>) -> FamilySnapshot {
        let of = |(mut values, measure): (Vec<Text>, Measure)| {
            values.push(self.host.name.clone());
            SeriesSnapshot { values: values.into(), start_ns: self.started_ns, measure, ended: false }
        };
        let series = series.into_iter().map(of).collect();
        FamilySnapshot { name: head.name, unit: head.unit, help: head.help, labels: head.labels, series }
    }

    fn losses(&self) -> FamilySnapshot {
        let series = losses::ALL.iter().map(|loss| {
            let kernel = KERNEL_CAUSES.iter().any(|known| std::ptr::eq(*known, *loss));
            let part = Text::const_new(if kernel { "kernel" } else { "agent" });
            (vec![Text::const_new(loss.cause), part], Measure::Counter(loss.get()))
        });
        self.family(LOSSES, series.collect())
    }

    fn programs(&self, reports: &[CollectorReport]) -> Vec<FamilySnapshot> {
        let (mut runs, mut times) = (Vec::new(), Vec::new());
        for report in reports {
            // Zero everywhere means that the kernel does not count: then there is nothing to tell.
            for program in report.programs.iter().filter(|program| program.runs > 0) {
                let labels = vec![Text::const_new(report.status.name), Text::from(&*program.name)];
                runs.push((labels.clone(), Measure::Counter(program.runs)));
                times.push((labels, Measure::CounterFloat(program.run_time_ns as f64 / 1e9)));
            }
        }
        let families = [(PROGRAM_RUNS, runs), (PROGRAM_TIME, times)];
        families
            .into_iter()
            .filter(|(_, series)| !series.is_empty())
            .map(|(head, series)| self.family(head, series))
            .collect()
    }

    fn collectors(&self, reports: &[CollectorReport]) -> FamilySnapshot {
        let series = reports.iter().map(|report| {
            let running = matches!(report.status.state, ProgramState::Running);
            (vec![Text::const_new(report.status.name)], Measure::Gauge(f64::from(u8::from(running))))
        });
        self.family(COLLECTOR_RUNNING, series.collect())
    }
}

struct Head {
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
}

const LOSSES: Head =
    Head { name: names::LOSSES, unit: "{event}", help: "what was lost, by cause", labels: &["cause", "part", "host"] };
const CLAMPED: Head = Head {
    name: "limpid.duration.clamped",
    unit: "{duration}",
    help: "durations of requests, or of their way through the network, that came out below zero and count as zero",
    labels: &["of", "host"],
};
const CPU: Head =
    Head { name: "process.cpu.time", unit: "s", help: "CPU time of the agent", labels: &["cpu.mode", "host"] };
const MEMORY: Head = Head {
    name: "process.memory.usage",
    unit: "By",
    help: "memory of the agent (proportional set size)",
    labels: &["host"],
};
const BUILD: Head =
    Head { name: "limpid.build.info", unit: "", help: "1, with the agent's version", labels: &["version", "host"] };
const UPTIME: Head =
    Head { name: "process.uptime", unit: "s", help: "time since the start of the agent", labels: &["host"] };
const PROGRAM_RUNS: Head = Head {
    name: "limpid.program.runs",
    unit: "{run}",
    help: "runs of a program in the kernel",
    labels: &["collector", "program", "host"],
};
const PROGRAM_TIME: Head = Head {
    name: "limpid.program.run_time",
    unit: "s",
    help: "time spent in a program in the kernel",
    labels: &["collector", "program", "host"],
};
const COLLECTOR_RUNNING: Head = Head {
    name: "limpid.collector.running",
    unit: "",
    help: "1 while the collector runs",
    labels: &["collector", "host"],
};

impl Families for SelfStatus {
    fn families(&self) -> Vec<FamilySnapshot> {
        let reports = (self.reports)();
        let (user, system) = cpu_seconds();
        let cpu = [("user", user), ("system", system)];
        let cpu = cpu.map(|(mode, seconds)| (vec![Text::const_new(mode)], Measure::CounterFloat(seconds)));
        let clamped = CLAMPED_COUNTS
            .iter()
            .map(|(of, count)| (vec![Text::const_new(of)], Measure::Counter(count.load(Ordering::Relaxed))));
        let clamped = self.family(CLAMPED, clamped.collect());
        let build = vec![(vec![Text::const_new(env!("CARGO_PKG_VERSION"))], Measure::Gauge(1.0))];
        let up = now_ns().saturating_sub(self.started_ns) as f64 / 1e9;
        let mut families = vec![
            self.losses(),
            clamped,
            self.family(CPU, cpu.into()),
            self.collectors(&reports),
            self.family(BUILD, build),
            self.family(UPTIME, vec![(Vec::new(), Measure::Gauge(up))]),
        ];
        if let Some(bytes) = self.recent_memory() {
            families.push(self.family(MEMORY, vec![(Vec::new(), Measure::Gauge(bytes as f64))]));
        }
        families.extend(self.programs(&reports));
        families
    }
}

impl SelfStatus {
    fn recent_memory(&self) -> Option<u64> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.is_none_or(|(read, _)| read.elapsed() >= MEMORY_SERVES) {
            *memory = pss_bytes().map(|bytes| (Instant::now(), bytes));
        }
        memory.map(|(_, bytes)| bytes)
    }
}

impl crate::export::prometheus::StatusSource for SelfStatus {
    fn status(&self) -> Value {
        let (user, system) = cpu_seconds();
        let collectors: Vec<Value> = (self.reports)().iter().map(collector_json).collect();
        let losses: Vec<Value> = losses::ALL
            .iter()
            .map(|loss| json!({"cause": loss.cause, "count": loss.get(), "help": loss.help}))
            .collect();
        let mut status = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "started_ns": self.started_ns.to_string(),
            "host": self.host.name.as_str(),
            "host_id": self.host.id.as_str(),
            "kernel": self.host.kernel.as_str(),
            "collectors": collectors,
            "losses": losses,
            "cpu_seconds": user + system,
            "memory_bytes": pss_bytes(),
        });
        for (name, value) in &self.more {
            status[*name] = value();
        }
        status
    }

    fn not_ready(&self) -> Option<String> {
        let reports = (self.reports)();
        if reports.iter().any(|report| matches!(report.status.state, ProgramState::Running)) {
            return None;
        }
        let reason = reports.iter().find_map(|report| reason(&report.status.state));
        Some(reason.map_or("no collector runs".to_owned(), |reason| format!("no collector runs: {reason}")))
    }
}

fn collector_json(report: &CollectorReport) -> Value {
    let stats = |name: &str| report.programs.iter().find(|program| program.name == name);
    let programs: Vec<Value> = report
        .status
        .programs
        .iter()
        .map(|program| {
            let stats = stats(&program.name);
            json!({
                "name": program.name,
                "hook": program.hook,
                "state": state(&program.state),
                "reason": reason(&program.state),
                "run_count": stats.map_or(0, |stats| stats.runs),
                "run_time_ns": stats.map_or(0, |stats| stats.run_time_ns),
            })
        })
        .collect();
    let status = &report.status;
    json!({"name": status.name, "state": state(&status.state), "reason": reason(&status.state), "programs": programs})
}

pub(crate) fn state(state: &ProgramState) -> &'static str {
    match state {
        ProgramState::Running => "running",
        ProgramState::Off(_) => "off",
        ProgramState::Failed(_) => "failed",
    }
}

pub(crate) fn reason(state: &ProgramState) -> Option<&str> {
    match state {
        ProgramState::Running => None,
        ProgramState::Off(reason) | ProgramState::Failed(reason) => Some(reason),
    }
}

/// User and system time of this process and its threads.
pub fn cpu_seconds() -> (f64, f64) {
    // SAFETY: `getrusage` fills the struct; all zeroes is a valid value of it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime), seconds(usage.ru_stime))
}

/// Proportional set size: what is shared or mapped twice (a ring buffer's pages) is counted once.
pub fn pss_bytes() -> Option<u64> {
    let rollup = procfs::read_path("/proc/self/smaps_rollup", 8192)?;
    let text = String::from_utf8_lossy(&rollup).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::prometheus::StatusSource;

    fn with_state(state: ProgramState) -> SelfStatus {
        let reports = move || {
            let status = CollectorStatus { name: "sockets", state: state.clone(), programs: Vec::new() };
            vec![CollectorReport { status, programs: Vec::new() }]
        };
        SelfStatus::new(Host::read(), reports)
    }

    #[test]
    fn own_figures_are_real() {
        let status = with_state(ProgramState::Running);
        let pss = pss_bytes().expect("smaps_rollup");
        assert!((1 << 20..1 << 30).contains(&pss), "{pss}");
        let before = cpu_seconds();
        let until = std::time::Instant::now() + std::time::Duration::from_millis(50);
        while std::time::Instant::now() < until {}
        assert!(cpu_seconds().0 + cpu_seconds().1 > before.0 + before.1);
        let families = status.families();
        let names: Vec<&str> = families.iter().map(|family| family.name).collect();
        let itself = ["limpid.build.info", "process.uptime", "process.memory.usage"];
        let first = ["limpid.losses", "limpid.duration.clamped", "process.cpu.time", "limpid.collector.running"];
        assert_eq!(names[..4], first);
        assert_eq!(names[4..], itself);
        for family in &families {
            assert!(family.series.iter().all(|series| series.values.len() == family.labels.len()), "{}", family.name);
        }
    }

    #[test]
    fn a_failed_collector_is_told() {
        let failed = with_state(ProgramState::Failed("no BTF".into()));
        assert_eq!(failed.not_ready().as_deref(), Some("no collector runs: no BTF"));
        assert_eq!(failed.status()["collectors"][0]["reason"], "no BTF");
        assert_eq!(with_state(ProgramState::Running).not_ready(), None);
    }
}
