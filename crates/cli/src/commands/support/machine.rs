//! Facts of the machine: of its kernel, of Limpid's own processes, of their units and their last words.

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

const FACTS: &[&str] = &[
    "/proc/version",
    "/etc/os-release",
    "/etc/debian_version",
    "/proc/uptime",
    "/proc/loadavg",
    "/sys/kernel/security/lockdown",
    "/proc/sys/kernel/bpf_stats_enabled",
    "/proc/sys/kernel/unprivileged_bpf_disabled",
    "/proc/sys/kernel/perf_event_paranoid",
    "/proc/sys/kernel/kptr_restrict",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/sys/net/core/bpf_jit_enable",
    "/sys/fs/cgroup/cgroup.controllers",
    "/sys/fs/cgroup/memory.max",
    "/proc/pressure/cpu",
    "/proc/pressure/memory",
    "/proc/pressure/io",
];
const UNITS: &[&str] = &["limpid.service", "limpid-agent.service", "limpid-server.service"];

pub fn kernel() -> String {
    let mut text = format!("architecture: {}\n", std::env::consts::ARCH);
    let _ = writeln!(text, "processors: {}", std::thread::available_parallelism().map_or(0, usize::from));
    let btf = std::fs::metadata("/sys/kernel/btf/vmlinux").map_or(0, |data| data.len());
    let _ = writeln!(text, "bytes of BTF: {btf}");
    for fact in FACTS {
        let value = std::fs::read_to_string(fact).unwrap_or_else(|error| format!("({error})"));
        let _ = writeln!(text, "\n{fact}\n  {}", value.trim().replace('\n', "\n  "));
    }
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let _ = writeln!(text, "\n/proc/meminfo\n{}", memory.lines().take(6).collect::<Vec<_>>().join("\n"));
    text
}

/// By their executable. Of their arguments only the role.
pub fn processes() -> String {
    let mut text = String::new();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| is_limpid(path)) {
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let role = line
            .split(|byte| *byte == 0)
            .nth(1)
            .map_or_else(String::new, |word| String::from_utf8_lossy(word).into_owned());
        let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
        let kept = ["Pid:", "PPid:", "Uid:", "CapEff:", "NoNewPrivs:", "VmRSS:", "Threads:"];
        let status: Vec<&str> = status.lines().filter(|line| kept.iter().any(|name| line.starts_with(name))).collect();
        let descriptors = std::fs::read_dir(path.join("fd")).map_or(0, Iterator::count);
        let _ = writeln!(text, "{role}\n  {}\n  descriptors: {descriptors}\n", status.join("\n  "));
    }
    text
}

/// By its name, or because it runs this very file.
fn is_limpid(process: &Path) -> bool {
    let file = |exe: &Path| std::fs::metadata(exe).map(|data| (data.dev(), data.ino())).ok();
    let (own, its) = (file(Path::new("/proc/self/exe")), file(&process.join("exe")));
    let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    name.trim_end() == "limpid" || own.is_some() && own == its
}

pub fn units() -> Result<String, String> {
    let shown = "--property=Id,LoadState,ActiveState,SubState,Result,NRestarts,ExecMainStatus,ActiveEnterTimestamp,MemoryCurrent";
    output("systemctl", &[&["show", shown], UNITS].concat())
}

/// The last words in the journal: what the parts say of themselves at the usual levels, without `debug` and `trace`.
pub fn journal() -> Result<String, String> {
    let units: Vec<String> = UNITS.iter().map(|unit| format!("--unit={unit}")).collect();
    let mut arguments = vec!["--no-pager", "--quiet", "--lines=3000", "--output=short-iso"];
    arguments.extend(units.iter().map(String::as_str));
    let text = output("journalctl", &arguments)?;
    let told = |line: &&str| !line.contains("]: debug ") && !line.contains("]: trace ");
    Ok(text.lines().filter(told).map(|line| format!("{line}\n")).collect())
}

fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let done = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if !done.status.success() {
        return Err(format!("{program}: {}", String::from_utf8_lossy(&done.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
