//! Which programs are loaded: the ways to see the bytes, and what each of them needs besides.

use super::Config;
use crate::collectors::CollectorError;

/// Which programs see the bytes. The tracepoints are cheapest and see all families at one place; where the kernel has none
/// (before 6.3) the others stand in for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrontEnd {
    Tracepoints,
    Functions,
    Probes,
    SystemCalls,
}

/// Where the state of a socket is kept: in its own storage, or in tables by its address, which needs less of the kernel and
/// of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Storage,
    Tables,
}

impl FrontEnd {
    pub const IN_ORDER: [FrontEnd; 4] =
        [FrontEnd::Tracepoints, FrontEnd::Functions, FrontEnd::Probes, FrontEnd::SystemCalls];

    pub fn name(self) -> &'static str {
        match self {
            FrontEnd::Tracepoints => "tp_btf",
            FrontEnd::Functions => "fentry",
            FrontEnd::Probes => "kprobe",
            FrontEnd::SystemCalls => "syscall",
        }
    }

    /// The front ends to try: all of them, or the one that was named.
    pub fn chosen(name: &str) -> Result<Vec<FrontEnd>, CollectorError> {
        if name == "auto" {
            return Ok(Self::IN_ORDER.into());
        }
        let found: Vec<_> = Self::IN_ORDER.into_iter().filter(|front_end| front_end.name() == name).collect();
        if found.is_empty() {
            let names = Self::IN_ORDER.map(Self::name).join(", ");
            return Err(CollectorError(format!("`front_end` is `{name}`, expected auto, {names}")));
        }
        Ok(found)
    }

    /// Best first. Storage is reached only by a typed pointer to the socket, which the last two are not given.
    fn states(self) -> &'static [State] {
        match self {
            FrontEnd::Tracepoints => &[State::Storage],
            FrontEnd::Functions => &[State::Storage, State::Tables],
            FrontEnd::Probes | FrontEnd::SystemCalls => &[State::Tables],
        }
    }

    /// The programs without which it does not work.
    pub fn owns(self, program: &str) -> bool {
        let begins = |starts: &[&str]| starts.iter().any(|start| program.starts_with(start));
        match self {
            FrontEnd::Tracepoints => ["tp_send", "tp_receive"].contains(&program),
            FrontEnd::Functions => begins(&["fexit_", "fentry_destroyed_"]),
            FrontEnd::Probes => begins(&["enter_", "leave_", "probe_destroyed_"]),
            FrontEnd::SystemCalls => program == "call_ended",
        }
    }

    fn arrival(self) -> &'static str {
        match self {
            FrontEnd::Tracepoints => "tp_arrival",
            FrontEnd::Functions => "fentry_arrival",
            FrontEnd::Probes => "probe_arrival",
            FrontEnd::SystemCalls => "call_arrival",
        }
    }

    /// How the sweep finds the sockets: some kernels refuse to iterate over the storage. Where nothing tells that a socket is
    /// destroyed, the tables hold some that are no more.
    fn sweeps(self) -> &'static [&'static str] {
        match self {
            FrontEnd::SystemCalls => &["sweep_files"],
            _ => &SWEEPS,
        }
    }
}

/// How the names of the programs on control groups begin.
pub const CGROUP: &str = "cgroup_";

const SWEEPS: [&str; 2] = ["sweep_storage", "sweep_files"];

/// One choice of programs. The best one that this kernel takes is used.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    pub front_end: FrontEnd,
    pub state: State,
    pub sweep: &'static str,
    arrivals: bool,
    /// The hooks on the root of the control groups: who sent a datagram, and that a socket ends.
    cgroup: bool,
}

impl Variant {
    /// From the one that has everything to the one that has the least.
    pub fn in_order(front_end: FrontEnd, config: &Config) -> Vec<Variant> {
        let mut variants = Vec::new();
        for &state in front_end.states() {
            for (cgroup, arrivals) in [(true, true), (false, true), (true, false), (false, false)] {
                if arrivals && !config.arrivals {
                    continue;
                }
                let sweeps = front_end.sweeps().iter();
                variants.extend(sweeps.map(|sweep| Variant { front_end, state, sweep, arrivals, cgroup }));
            }
        }
        variants
    }

    pub fn has(&self, program: &str) -> bool {
        if SWEEPS.contains(&program) {
            return program == self.sweep;
        }
        if program.starts_with(CGROUP) {
            return self.cgroup;
        }
        if FrontEnd::IN_ORDER.iter().any(|end| end.arrival() == program) {
            return self.arrivals && program == self.front_end.arrival();
        }
        !FrontEnd::IN_ORDER.iter().any(|end| *end != self.front_end && end.owns(program))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_end_is_chosen_by_name() {
        assert_eq!(FrontEnd::chosen("auto").expect("known"), FrontEnd::IN_ORDER);
        for front_end in FrontEnd::IN_ORDER {
            assert_eq!(FrontEnd::chosen(front_end.name()).expect("known"), [front_end]);
        }
        let error = FrontEnd::chosen("kprobes").expect_err("unknown");
        assert_eq!(error.0, "`front_end` is `kprobes`, expected auto, tp_btf, fentry, kprobe, syscall");
    }

    #[test]
    fn a_variant_has_the_programs_of_its_front_end_alone() {
        let config = Config::default();
        let probes = Variant::in_order(FrontEnd::Probes, &config)[0];
        assert!(["enter_send", "leave_receive", "probe_arrival", "state_changed"].iter().all(|name| probes.has(name)));
        assert!(!["tp_send", "fexit_inet_sendmsg", "call_ended", "fentry_arrival"].iter().any(|name| probes.has(name)));
        let states: Vec<_> = Variant::in_order(FrontEnd::Functions, &config).iter().map(|one| one.state).collect();
        assert_eq!((states[0], states[states.len() - 1]), (State::Storage, State::Tables));
    }
}
