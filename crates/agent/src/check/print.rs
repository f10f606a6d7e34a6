//! The report as a table for people.

use super::Report;
use std::fmt;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        writeln!(
            f,
            "limpid {} on kernel {} ({}, {} cpus)\n",
            self.version, machine.kernel, machine.arch, machine.cpus
        )?;
        writeln!(f, "machine")?;
        row(
            f,
            machine.btf,
            "BTF",
            if machine.btf { "/sys/kernel/btf/vmlinux" } else { "this kernel does not tell its types" },
        )?;
        let lockdown = if machine.lockdown.is_empty() { "unknown" } else { &machine.lockdown };
        row(f, lockdown != "confidentiality", "lockdown", lockdown)?;
        row(f, machine.cgroups != "none", "cgroups", machine.cgroups)?;
        writeln!(f, "\ncapabilities")?;
        for capability in &machine.capabilities {
            row(f, capability.present || !capability.required, capability.name, capability.used_for)?;
        }
        writeln!(f, "\nhooks, each tried")?;
        for hook in &self.hooks {
            row(f, hook.works, hook.name, hook.reason.as_deref().unwrap_or(hook.used_for))?;
        }
        writeln!(f, "\ncollectors")?;
        for collector in &self.collectors {
            let how = match (collector.front_end, &collector.reason) {
                (Some(front_end), _) => format!("{} by {front_end}; {}", collector.summary, collector.cost),
                (None, reason) => format!("will not run: {}", reason.as_deref().unwrap_or("no way to attach it")),
            };
            row(f, collector.will_run, collector.name, &how)?;
        }
        writeln!(f, "\nprotocols")?;
        for protocol in &self.protocols {
            row(f, protocol.read, protocol.name, if protocol.read { "read" } else { "switched off: only counted" })?;
        }
        match &self.problem {
            None => writeln!(f, "\nthe agent can run here"),
            Some(problem) => writeln!(f, "\nthe agent cannot run here: {problem}"),
        }
    }
}

fn row(f: &mut fmt::Formatter<'_>, good: bool, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {} {name:<22} {text}", if good { "yes" } else { "no " })
}
