//! What the watched processes use: CPU time, memory, open files, threads. A process and what it has forked without an
//! exec are one instance, so a server's workers are counted with it.

use super::{Identity, host, procfs};
use crate::telemetry::{Families, FamilySnapshot, LabelValues, Measure, Process, SeriesSnapshot};
use limpid_model::Text;
use rustc_hash::FxHashMap;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// Instances beyond are not measured: each costs two small files every time.
const MAX_INSTANCES: usize = 1_000;
/// Forked members of all of them together.
const MAX_PROCESSES: usize = 4_000;
/// A process is measured from this age on: jobs of a second would leave a series each, which nobody looks at.
const YOUNG_NS: u64 = 10_000_000_000;
const LABELS: &[&str] = &["service", "instance", "host"];

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Usage {
    cpu_ticks: u64,
    memory_bytes: u64,
    /// Of the member that has most open: the limit is each one's own.
    open_files: u64,
    threads: u64,
}

impl Families for Identity {
    fn families(&self) -> Vec<FamilySnapshot> {
        let mut sums: FxHashMap<Text, (Arc<Process>, Usage)> = FxHashMap::default();
        for (pid, process) in self.living().into_iter().take(MAX_PROCESSES) {
            if sums.len() >= MAX_INSTANCES && !sums.contains_key(&process.entity) {
                continue;
            }
            let is_root = process.tgid == pid;
            let Some(usage) = read(pid, is_root) else { continue };
            let (_, sum) = sums.entry(process.entity.clone()).or_insert_with(|| (process, Usage::default()));
            sum.cpu_ticks += usage.cpu_ticks;
            sum.memory_bytes += usage.memory_bytes;
            sum.open_files = sum.open_files.max(usage.open_files);
            sum.threads += usage.threads;
        }
        described().into_iter().zip(MEASURES).map(|(family, measure)| self.filled(family, measure, &sums)).collect()
    }
}

type MeasureOf = fn(&Usage) -> Measure;

/// In the order of [`described`].
const MEASURES: [MeasureOf; 4] = [
    |usage| Measure::CounterFloat(usage.cpu_ticks as f64 * host::TICK_NS as f64 / 1e9),
    |usage| Measure::Gauge(usage.memory_bytes as f64),
    |usage| Measure::Gauge(usage.open_files as f64),
    |usage| Measure::Gauge(usage.threads as f64),
];

/// The families without their series.
pub fn described() -> [FamilySnapshot; 4] {
    let family = |name, unit, help| FamilySnapshot { name, unit, help, labels: LABELS, series: Vec::new() };
    [
        family("limpid.process.cpu.time", "s", "CPU time of a watched process and its forks"),
        family(
            "limpid.process.memory.usage",
            "By",
            "memory of a watched process, and what its forks have of their own",
        ),
        family(
            "limpid.process.open_files",
            "{file}",
            "open files of a watched process, or of the fork with most of them",
        ),
        family("limpid.process.threads", "{thread}", "threads of a watched process and its forks"),
    ]
}

impl Identity {
    /// Living processes that have a name, roots first, so that a cap leaves out forks before instances.
    fn living(&self) -> Vec<(u32, Arc<Process>)> {
        let table = self.read();
        let named = table.entries.iter().filter(|(_, entry)| entry.exited_ns == 0);
        let mut found: Vec<(u32, Arc<Process>)> = named
            .filter_map(|(pid, entry)| Some((*pid, entry.process.clone()?)))
            .filter(|(_, process)| !process.own && process.tgid != 0 && self.is_settled(process))
            .collect();
        found.sort_unstable_by_key(|(pid, process)| (process.tgid != *pid, *pid));
        found
    }

    fn is_settled(&self, process: &Process) -> bool {
        super::now_ns().saturating_sub(self.host().start_ns(process.start)) >= YOUNG_NS
    }

    fn filled(
        &self,
        mut family: FamilySnapshot,
        measure: MeasureOf,
        sums: &FxHashMap<Text, (Arc<Process>, Usage)>,
    ) -> FamilySnapshot {
        let series = |(process, usage): &(Arc<Process>, Usage)| SeriesSnapshot {
            values: LabelValues::from([process.service.clone(), process.entity.clone(), self.host().name.clone()]),
            start_ns: self.host().start_ns(process.start),
            measure: measure(usage),
            ended: false,
        };
        family.series = sums.values().map(series).collect();
        family
    }
}

fn read(pid: u32, is_root: bool) -> Option<Usage> {
    let (cpu_ticks, threads) = parse_stat(&procfs::text(pid, "stat", 4096)?, is_root)?;
    let memory_bytes = parse_memory(&procfs::text(pid, "statm", 256)?, is_root)?;
    // Since Linux 6.2 the folder's size is the number of what is in it; before, nothing is known without reading all.
    let open_files = std::fs::metadata(format!("/proc/{pid}/fd")).map_or(0, |folder| folder.size());
    Some(Usage { cpu_ticks, memory_bytes, open_files, threads })
}

/// CPU ticks and threads. What its ended forks have used is told with the root.
fn parse_stat(line: &str, is_root: bool) -> Option<(u64, u64)> {
    let (_, rest) = line.rsplit_once(')')?;
    // Priority and niceness may be negative.
    let fields: Vec<i64> =
        rest.split_ascii_whitespace().skip(11).take(7).map_while(|field| field.parse().ok()).collect();
    let [user, system, ended_user, ended_system, _, _, threads] = fields[..] else { return None };
    let [user, system, ended_user, ended_system, threads] =
        [user, system, ended_user, ended_system, threads].map(|field| field.max(0) as u64);
    let ended = if is_root { ended_user + ended_system } else { 0 };
    Some((user + system + ended, threads))
}

/// Of a fork only what it does not share counts, or a server's shared memory would count for each of its workers.
fn parse_memory(line: &str, is_root: bool) -> Option<u64> {
    let mut pages = line.split_ascii_whitespace().skip(1).map_while(|field| field.parse::<u64>().ok());
    let (resident, shared) = (pages.next()?, pages.next()?);
    // SAFETY: `sysconf` takes a number and gives one.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    Some(if is_root { resident } else { resident.saturating_sub(shared) } * page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_ended_forks_belong_to_the_root() {
        let line = "42 (a) b) S 7 42 42 0 -1 4194368 100 0 0 0 10 20 300 400 20 0 9 0 98765 1 2 3";
        assert_eq!(parse_stat(line, true), Some((730, 9)));
        assert_eq!(parse_stat(line, false), Some((30, 9)));
        let favoured = "42 (a) S 7 42 42 0 -1 4194368 100 0 0 0 10 20 300 400 -51 -10 9 0 98765 1 2 3";
        assert_eq!(parse_stat(favoured, true), Some((730, 9)), "of a real-time or favoured process too");
        for cut in 0..line.len() {
            let _ = parse_stat(&line[..cut], true);
        }
        assert!(parse_memory("100 30 20 1", true) > parse_memory("100 30 20 1", false));
        assert_eq!(parse_memory("100", true), None);
    }

    #[test]
    fn a_process_is_measured_once_it_is_known_and_not_young() {
        let identity = Identity::start();
        let young = identity.process(std::process::id());
        // The first process of the machine, or of the container.
        let me = 1;
        let process = identity.process(me);
        let families = identity.families();
        let of = |name: &str| {
            let family = families.iter().find(|family| family.name == name).expect("the family");
            let series = family.series.iter().find(|series| series.values[1] == process.entity).expect("the series");
            match series.measure {
                Measure::Gauge(value) | Measure::CounterFloat(value) => value,
                _ => panic!("neither a gauge nor a counter"),
            }
        };
        assert!(of("limpid.process.memory.usage") > 1e6);
        assert!(of("limpid.process.threads") >= 1.0);
        assert!(of("limpid.process.open_files") >= 0.0 && of("limpid.process.cpu.time") >= 0.0);
        let entities = |families: &[FamilySnapshot], entity: &Text| -> usize {
            families.iter().flat_map(|family| &family.series).filter(|series| series.values[1] == *entity).count()
        };
        assert_eq!(entities(&families, &young.entity), 0);
        identity.set_own(me);
        let own = identity.families().into_iter().flat_map(|family| family.series);
        assert_eq!(own.filter(|series| series.values[1] == process.entity).count(), 0, "its own is no watched process");
    }
}
