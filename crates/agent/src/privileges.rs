//! The least that suffices: the agent keeps a handful of capabilities.

use crate::identity::procfs;
use std::io;

/// Capabilities by their numbers in `linux/capability.h`: part of the user-space interface, they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    pub number: u8,
    pub name: &'static str,
    pub used_for: &'static str,
}

/// What the agent needs as long as it runs.
pub const NEEDED: &[Capability] = &[
    Capability { number: 39, name: "CAP_BPF", used_for: "BPF programs and maps" },
    Capability { number: 38, name: "CAP_PERFMON", used_for: "tracing programs, probes" },
    Capability { number: 12, name: "CAP_NET_ADMIN", used_for: "programs and iterators on sockets" },
    Capability { number: 19, name: "CAP_SYS_PTRACE", used_for: "/proc of other users' processes" },
    Capability { number: 2, name: "CAP_DAC_READ_SEARCH", used_for: "names of containers" },
];
/// Only while programs and maps are made, on kernels that charge them to the memory-lock limit (before 5.11).
pub const AT_START: &[Capability] =
    &[Capability { number: 24, name: "CAP_SYS_RESOURCE", used_for: "the memory-lock limit, before 5.11" }];
/// Stands for CAP_BPF and CAP_PERFMON where the kernel does not know them (before 5.8).
const CAP_SYS_ADMIN: u8 = 21;

/// The capabilities that are in effect, as a bit mask.
pub fn effective() -> u64 {
    let status = procfs::read_path("/proc/self/status", 16 * 1024).unwrap_or_default();
    let status = String::from_utf8_lossy(&status).into_owned();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}

/// Which of the needed ones are missing. `CAP_SYS_ADMIN` includes the BPF ones.
pub fn missing(effective: u64) -> Vec<Capability> {
    let has = |number: u8| effective & (1 << number) != 0;
    let included = |capability: &Capability| matches!(capability.number, 38 | 39) && has(CAP_SYS_ADMIN);
    NEEDED.iter().filter(|capability| !has(capability.number) && !included(capability)).copied().collect()
}

/// Gives up every capability but the needed ones, for this thread and all that it starts: to be called before other
/// threads are. Capabilities belong to threads: one that runs already keeps its own.
pub fn keep_needed() -> Result<(), String> {
    keep(0)
}

/// The same where probes have to be made on a kernel that is closed to them (see [`perf_is_closed`]).
pub fn keep_needed_for_probes() -> Result<(), String> {
    keep(1 << CAP_SYS_ADMIN)
}

/// Debian's kernels let nobody without `CAP_SYS_ADMIN` make probes while this setting is above 2, as it is there by itself.
pub fn perf_is_closed() -> bool {
    let setting = procfs::read_path("/proc/sys/kernel/perf_event_paranoid", 16).unwrap_or_default();
    String::from_utf8_lossy(&setting).trim().parse::<i32>().is_ok_and(|level| level > 2)
}

fn keep(besides: u64) -> Result<(), String> {
    let (wanted, effective) = (NEEDED.iter().fold(0u64, |mask, capability| mask | 1 << capability.number), effective());
    // A kernel that does not know the BPF ones asks for CAP_SYS_ADMIN in their place.
    let wanted = if effective & wanted == wanted { wanted } else { wanted | 1 << CAP_SYS_ADMIN };
    let kept = (wanted | besides) & effective;
    for number in 0..64 {
        if kept & (1 << number) == 0 {
            // SAFETY: plain numbers; EINVAL beyond the last capability and EPERM without CAP_SETPCAP change nothing.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
        }
    }
    set(kept).map_err(|error| format!("cannot give up capabilities: {error}"))
}

/// `_LINUX_CAPABILITY_VERSION_3`: two words of 32 bits for each set.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn set(mask: u64) -> io::Result<()> {
    let header = Header { version: VERSION_3, pid: 0 };
    let word = |bits: u32| Word { effective: bits, permitted: bits, inheritable: 0 };
    let words = [word(mask as u32), word((mask >> 32) as u32)];
    // SAFETY: `capset` reads one header and, for version 3, two words.
    match unsafe { libc::syscall(libc::SYS_capset, &raw const header, words.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Before 5.11 BPF maps count against this limit: raised as long as that is allowed, that is before [`keep_needed`].
pub fn raise_memory_lock_limit() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: reads one struct.
    if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) } != 0 {
        log::debug!("the memory-lock limit stays as it is: {}", io::Error::last_os_error());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing() {
        let all = NEEDED.iter().fold(0u64, |mask, capability| mask | 1 << capability.number);
        assert!(missing(all).is_empty());
        assert_eq!(missing(0).len(), NEEDED.len());
        assert_eq!(missing(all & !(1 << 12)).first().map(|capability| capability.name), Some("CAP_NET_ADMIN"));
        let old_root = all & !(1 << 38) & !(1 << 39) | 1 << CAP_SYS_ADMIN;
        assert!(missing(old_root).is_empty());
    }
}
