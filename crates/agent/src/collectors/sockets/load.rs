//! Loads the object and hangs its programs onto the kernel. What this kernel does not have is found by trying.

use super::Config;
use super::attach::{Attached, attach};
use super::variant::{FrontEnd, State, Variant};
use crate::collectors::CollectorError;
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType, Object, ObjectBuilder, OpenObject, PrintLevel};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Mutex;

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sockets.bpf.o"));
static OBJECT_WITH_TABLES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sockets_hash.bpf.o"));

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
    pub attached: Attached,
    pub rings: Vec<MapHandle>,
    /// Name of the program that goes over the sockets.
    pub sweep: &'static str,
}

/// What libbpf says while it loads: so many lines are kept, and shown only when loading fails.
static LIBBPF_LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
const LIBBPF_LINES_MAX: usize = 40;
const FRONT_CHARACTERS: usize = 300;
const END_CHARACTERS: usize = 2_000;

fn keep_line(level: PrintLevel, line: String) {
    if level == PrintLevel::Debug {
        if let Some((program, instructions)) = verified(&line) {
            log::debug!("verified {program}: {instructions} instructions");
        }
        return;
    }
    let Ok(mut lines) = LIBBPF_LINES.lock() else { return };
    if lines.len() < LIBBPF_LINES_MAX {
        lines.push(ends_of(line.trim_end()));
    }
}

/// `prog 'NAME': -- BEGIN PROG LOAD LOG --`, and what the verifier says at its end: `processed 123 insns`.
fn verified(line: &str) -> Option<(&str, u64)> {
    let program = line.split_once("prog '")?.1.split_once("': -- BEGIN PROG LOAD LOG --")?.0;
    let instructions = line.split_once("processed ")?.1.split_once(" insns")?.0;
    Some((program, instructions.parse().ok()?))
}

/// The verifier's statistics without its log.
const LOG_STATISTICS: u32 = 4;

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
pub fn libbpf_reason() -> String {
    let lines = LIBBPF_LINES.lock().map(|mut lines| std::mem::take(&mut *lines)).unwrap_or_default();
    for line in &lines {
        log::debug!("{line}");
    }
    let first = lines.iter().find(|line| line.contains("failed") || line.contains("rror"));
    first.map(|line| format!(" ({line})")).unwrap_or_default()
}

pub fn load(config: &Config) -> Result<Loaded, CollectorError> {
    let previous = libbpf_rs::get_print();
    let level = if log::log_enabled!(log::Level::Debug) { PrintLevel::Debug } else { PrintLevel::Warn };
    libbpf_rs::set_print(Some((level, keep_line)));
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
    log::debug!("trying {variant:?}");
    let mut open = ObjectBuilder::default()
        .open_memory(match variant.state {
            State::Storage => OBJECT,
            State::Tables => OBJECT_WITH_TABLES,
        })
        .map_err(|error| CollectorError::new("cannot open the socket programs", error))?;
    configure(&mut open, config)?;
    choose(&mut open, variant);
    let object = open.load().map_err(|error| {
        let reason = libbpf_reason();
        CollectorError(format!("cannot load the socket programs ({variant:?}): {error}{reason}"))
    })?;
    let rings = create_rings(&object, config)?;
    let attached = attach(&object, variant.front_end)?;
    log::info!("sockets are watched by {}", variant.front_end.name());
    Ok(Loaded { object, attached, rings, sweep: variant.sweep })
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

/// Switches off what this variant does without.
fn choose(open: &mut OpenObject, variant: Variant) {
    for mut program in open.progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        program.set_autoload(variant.has(&name));
        if log::log_enabled!(log::Level::Debug) {
            program.set_log_level(LOG_STATISTICS);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_count_is_read() {
        let line = "libbpf: prog 'tp_send': -- BEGIN PROG LOAD LOG --\nprocessed 321 insns (limit 1000000)\n-- END --";
        assert_eq!(verified(line), Some(("tp_send", 321)));
        assert_eq!(verified("libbpf: map 'rings': created"), None);
    }
}
