//! Loads the object and hangs its programs onto the kernel. What this kernel does not have is found by trying.

use super::{Config, cgroup};
use crate::collectors::{CollectorError, ProgramState, ProgramStatus};
use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, MapType, Object, ObjectBuilder, OpenObject, PrintLevel};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Mutex;

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sockets.bpf.o"));

/// `struct options` in `sockets.h`.
pub struct Options {
    pub rings: u32,
    pub wakeup_bytes: u32,
    pub undecided_head: u32,
    pub undecided_tail: u32,
    pub arrivals: bool,
}

impl Options {
    fn to_bytes(&self) -> Vec<u8> {
        let fields = [self.rings, self.wakeup_bytes, self.undecided_head, self.undecided_tail, self.arrivals.into(), 0];
        fields.iter().flat_map(|field| field.to_ne_bytes()).collect()
    }
}

/// `AREAS` in `payload.h`.
const SCRATCH_AREAS: u32 = 4;

pub struct Loaded {
    pub object: Object,
    pub links: Vec<(String, Link)>,
    pub programs: Vec<ProgramStatus>,
    pub rings: Vec<MapHandle>,
    /// Name of the program that goes over the sockets.
    pub sweep: &'static str,
}

/// What libbpf says while it loads: so many lines are kept, and shown only when loading fails.
static LIBBPF_LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
const LIBBPF_LINES_MAX: usize = 40;
const FRONT_CHARACTERS: usize = 300;
const END_CHARACTERS: usize = 2_000;

fn keep_line(_level: PrintLevel, line: String) {
    let Ok(mut lines) = LIBBPF_LINES.lock() else { return };
    if lines.len() < LIBBPF_LINES_MAX {
        lines.push(ends_of(line.trim_end()));
    }
}

/// A verifier's log is one line of megabytes, of which the last words say why: its beginning and its end.
fn ends_of(line: &str) -> String {
    let characters = line.chars().count();
    if characters <= FRONT_CHARACTERS + END_CHARACTERS {
        return line.to_owned();
    }
    let front: String = line.chars().take(FRONT_CHARACTERS).collect();
    let end: String = line.chars().skip(characters - END_CHARACTERS).collect();
    format!("{front} … {end}")
}

/// The first line that says why, from libbpf's complaints.
fn libbpf_reason() -> String {
    let lines = LIBBPF_LINES.lock().map(|mut lines| std::mem::take(&mut *lines)).unwrap_or_default();
    for line in &lines {
        log::debug!("{line}");
    }
    let first = lines.iter().find(|line| line.contains("failed") || line.contains("rror"));
    first.map(|line| format!(" ({line})")).unwrap_or_default()
}

pub fn load(config: &Config) -> Result<Loaded, CollectorError> {
    let previous = libbpf_rs::get_print();
    libbpf_rs::set_print(Some((PrintLevel::Warn, keep_line)));
    let loaded = load_and_attach(config);
    libbpf_rs::set_print(previous);
    loaded
}

fn load_and_attach(config: &Config) -> Result<Loaded, CollectorError> {
    let mut reasons = Vec::new();
    for front_end in FrontEnd::chosen(&config.front_end)? {
        for variant in Variant::in_order(front_end, config) {
            match load_variant(variant, config) {
                Ok(loaded) => return Ok(loaded),
                Err(error) => reasons.push(error.0),
            }
        }
    }
    reasons.dedup();
    Err(CollectorError(format!("the socket collector cannot run: {}", reasons.join("; "))))
}

fn load_variant(variant: Variant, config: &Config) -> Result<Loaded, CollectorError> {
    let mut open = ObjectBuilder::default()
        .open_memory(OBJECT)
        .map_err(|error| CollectorError::new("cannot open the socket programs", error))?;
    configure(&mut open, config)?;
    choose(&mut open, variant);
    let object = open.load().map_err(|error| {
        let reason = libbpf_reason();
        CollectorError(format!("cannot load the socket programs ({variant:?}): {error}{reason}"))
    })?;
    let rings = create_rings(&object, config)?;
    let (links, programs) = attach(&object, variant.front_end)?;
    Ok(Loaded { object, links, programs, rings, sweep: variant.sweep })
}

fn configure(open: &mut OpenObject, config: &Config) -> Result<(), CollectorError> {
    let cpus =
        libbpf_rs::num_possible_cpus().map_err(|error| CollectorError::new("cannot count the processors", error))?;
    let options = Options {
        rings: config.rings() as u32,
        wakeup_bytes: (config.ring_size() / 16) as u32,
        undecided_head: 256,
        undecided_tail: 64,
        arrivals: config.arrivals,
    };
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        let done = match name.as_str() {
            ".rodata.options" => map.set_initial_value(&options.to_bytes()),
            "scratches" => map.set_max_entries(cpus as u32 * SCRATCH_AREAS),
            "verdicts" => map.set_max_entries(config.verdicts),
            _ => Ok(()),
        };
        done.map_err(|error| CollectorError::new(&format!("cannot set up the map {name}"), error))?;
    }
    Ok(())
}

/// Which programs see the bytes. The tracepoints are cheaper and see all families at one place; the functions stand in
/// for them where the kernel has none (before 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrontEnd {
    Tracepoints,
    Functions,
}

impl FrontEnd {
    const IN_ORDER: [FrontEnd; 2] = [FrontEnd::Tracepoints, FrontEnd::Functions];

    fn name(self) -> &'static str {
        match self {
            FrontEnd::Tracepoints => "tp_btf",
            FrontEnd::Functions => "fentry",
        }
    }

    /// The front ends to try: all of them, or the one that was named.
    fn chosen(name: &str) -> Result<Vec<FrontEnd>, CollectorError> {
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

    fn owns(self, program: &str) -> bool {
        match self {
            FrontEnd::Tracepoints => ["tp_send", "tp_receive"].contains(&program),
            FrontEnd::Functions => program.starts_with("fexit_"),
        }
    }

    fn arrival(self) -> &'static str {
        match self {
            FrontEnd::Tracepoints => "tp_arrival",
            FrontEnd::Functions => "fentry_arrival",
        }
    }
}

/// How the names of the programs on control groups begin.
const CGROUP: &str = "cgroup_";

/// How the sweep finds the sockets: some kernels refuse to iterate over the storage.
const SWEEPS: [&str; 2] = ["sweep_storage", "sweep_files"];

/// One choice of programs. The best one that this kernel takes is used.
#[derive(Clone, Copy, Debug)]
struct Variant {
    front_end: FrontEnd,
    sweep: &'static str,
    arrivals: bool,
    /// The hooks on the root of the control groups: who sent a datagram, and that a socket ends.
    cgroup: bool,
}

impl Variant {
    /// From the one that has everything to the one that has the least.
    fn in_order(front_end: FrontEnd, config: &Config) -> impl Iterator<Item = Variant> {
        let choices = [(true, true), (false, true), (true, false), (false, false)];
        let arrivals = config.arrivals;
        choices.into_iter().filter(move |(_, stamped)| arrivals || !stamped).flat_map(move |(cgroup, arrivals)| {
            SWEEPS.into_iter().map(move |sweep| Variant { front_end, sweep, arrivals, cgroup })
        })
    }

    fn has(&self, program: &str) -> bool {
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

/// Switches off what this variant does without.
fn choose(open: &mut OpenObject, variant: Variant) {
    for mut program in open.progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        program.set_autoload(variant.has(&name));
    }
}

fn create_rings(object: &Object, config: &Config) -> Result<Vec<MapHandle>, CollectorError> {
    let outer = map(object, "rings")?;
    let mut rings = Vec::new();
    for index in 0..config.rings() as u32 {
        let ring = create_ring(config.ring_size())?;
        outer
            .update(&index.to_ne_bytes(), &ring.as_fd().as_raw_fd().to_ne_bytes(), MapFlags::ANY)
            .map_err(|error| CollectorError::new("cannot install a ring buffer", error))?;
        rings.push(ring);
    }
    Ok(rings)
}

fn create_ring(bytes: usize) -> Result<MapHandle, CollectorError> {
    let options = libbpf_rs::libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_rs::libbpf_sys::bpf_map_create_opts>() as _,
        ..Default::default()
    };
    MapHandle::create(MapType::RingBuf, Some("limpid_ring"), 0, 0, bytes as u32, &options)
        .map_err(|error| CollectorError::new(&format!("cannot create a ring buffer of {bytes} bytes"), error))
}

pub fn map(object: &Object, name: &str) -> Result<MapHandle, CollectorError> {
    let found = object.maps().find(|map| map.name() == name);
    let found = found.ok_or_else(|| CollectorError(format!("the socket programs have no map {name}")))?;
    MapHandle::try_from(&found).map_err(|error| CollectorError::new(&format!("cannot open the map {name}"), error))
}

type Attached = (Vec<(String, Link)>, Vec<ProgramStatus>);

/// Everything that is an iterator is run when it is needed; the rest is attached here. Without all programs of the
/// front end nothing works; without one of the others something is missing, which the status says.
fn attach(object: &Object, front_end: FrontEnd) -> Result<Attached, CollectorError> {
    let mut links = Vec::new();
    let mut programs = Vec::new();
    let root = cgroup::root();
    for program in object.progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        let hook = program.section().to_string_lossy().into_owned();
        let state = if !program.autoload() {
            ProgramState::Off("not needed with this kernel and configuration".to_string())
        } else if hook.starts_with("iter") || hook.starts_with("uprobe") {
            ProgramState::Running
        } else {
            let attached = match &root {
                _ if !name.starts_with(CGROUP) => program.attach().map_err(|error| error.to_string()),
                Ok(root) => program.attach_cgroup(root.as_raw_fd()).map_err(|error| error.to_string()),
                Err(reason) => Err(reason.clone()),
            };
            match attached {
                Ok(link) => {
                    links.push((name.clone(), link));
                    ProgramState::Running
                }
                Err(error) if front_end.owns(&name) => {
                    let reason = libbpf_reason();
                    return Err(CollectorError(format!("cannot attach {hook}: {error}{reason}")));
                }
                Err(error) => ProgramState::Failed(error),
            }
        };
        programs.push(ProgramStatus { name, hook, state });
    }
    Ok((links, programs))
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
        assert_eq!(error.0, "`front_end` is `kprobes`, expected auto, tp_btf, fentry");
    }
}
