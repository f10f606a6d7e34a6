//! Hangs the programs of `tls_functions.h` onto the functions of one file.

use super::TlsFile;
use super::files::{MappedFile, OpenFile};
use crate::collectors::sockets::clock;
use crate::collectors::{ProgramState, ProgramStatus};
use libbpf_rs::{Link, Object, UprobeMultiOpts, UprobeOpts};
use limpid_probes::{Exit, Function, Inspection, Library, Role, Site};
use std::path::Path;

pub struct Attached {
    /// On the kernel's clock.
    pub since_ns: u64,
    pub status: TlsFile,
    /// What was inspected.
    pub file: OpenFile,
    links: Vec<Link>,
}

/// So many probes are detached at the same time.
const DETACH_AT_ONCE: usize = 16;

/// The kernel waits with each probe until nobody runs it any more: some 50 ms, but for many of them at once.
pub fn detach(files: impl IntoIterator<Item = Attached>) {
    let mut parts: [Vec<Link>; DETACH_AT_ONCE] = Default::default();
    let links = files.into_iter().flat_map(|file| file.links);
    links.enumerate().for_each(|(number, link)| parts[number % DETACH_AT_ONCE].push(link));
    std::thread::scope(|scope| {
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            scope.spawn(move || drop(part));
        }
    });
}

/// Where one program hangs in the file.
struct Probe<'a> {
    program: &'static str,
    /// Behind the return of the functions that begin here.
    returns: bool,
    sites: Vec<(&'a str, &'a Site)>,
}

/// `None`: there is nothing in this file.
pub fn attach(object: &Object, file: &MappedFile) -> Option<Attached> {
    // The process may end at any moment: what is open stays.
    let open = file.open()?;
    let inspection = match limpid_probes::inspect(&open.path) {
        Ok(inspection) => inspection?,
        Err(error) => {
            log::debug!("{} is not looked into for TLS: {error}", file.name.display());
            return None;
        }
    };
    let (mut links, mut states) = (Vec::new(), Vec::new());
    for probe in probes(&inspection) {
        let state = match hang(object, &open.path, &probe) {
            Ok(hung) => {
                links.extend(hung);
                ProgramState::Running
            }
            Err(error) => ProgramState::Failed(error),
        };
        states.extend(probe.sites.iter().map(|(symbol, site)| ProgramStatus {
            name: probe.program.to_owned(),
            hook: describe(symbol, site, probe.returns),
            state: state.clone(),
        }));
    }
    states.extend(inspection.missing.iter().map(|missing| ProgramStatus {
        name: "none".to_owned(),
        hook: missing.symbol.clone(),
        state: ProgramState::Off(missing.reason.to_string()),
    }));
    let library = match &inspection.version {
        Some(version) => format!("{:?} {version}", inspection.library),
        None => format!("{:?}", inspection.library),
    };
    log::info!("{library} in {}: {} probes", file.name.display(), links.len());
    let status = TlsFile { path: file.name.clone(), library, probes: states.into() };
    (!links.is_empty()).then(|| Attached { since_ns: clock::monotonic_ns(), status, file: open, links })
}

fn describe(symbol: &str, site: &Site, returns: bool) -> String {
    let Site { file_offset, emulated, instruction } = site;
    let cost = if *emulated { "" } else { ", single-stepped" };
    let at = if returns { "return of " } else { "" };
    format!("{at}{symbol}, {instruction} at {file_offset:#x}{cost}")
}

/// The probes of all functions, none twice: what several functions have in common needs but one.
fn probes(inspection: &Inspection) -> Vec<Probe<'_>> {
    let mut probes: Vec<Probe<'_>> = Vec::new();
    for function in &inspection.functions {
        let Some((begins, ends)) = programs(inspection.library, function.role) else { continue };
        match &function.exit {
            Exit::Sites(sites) => sites.iter().for_each(|site| add(&mut probes, ends, false, function, site)),
            Exit::ReturnProbe(site) => add(&mut probes, ends, true, function, site),
            // Nobody would hear of what it has moved.
            Exit::None => continue,
        }
        add(&mut probes, begins, false, function, &function.entry);
    }
    probes
}

fn add<'a>(probes: &mut Vec<Probe<'a>>, program: &'static str, returns: bool, function: &'a Function, site: &'a Site) {
    let symbol = function.symbol.as_str();
    match probes.iter_mut().find(|probe| (probe.program, probe.returns) == (program, returns)) {
        Some(probe) if probe.sites.iter().any(|(_, other)| other.file_offset == site.file_offset) => {}
        Some(probe) => probe.sites.push((symbol, site)),
        None => probes.push(Probe { program, returns, sites: vec![(symbol, site)] }),
    }
}

/// What runs at the beginning and at the end of a function.
fn programs(library: Library, role: Role) -> Option<(&'static str, &'static str)> {
    if library == Library::Go {
        return match role {
            Role::Read => Some(("tls_go_read", "tls_go_end")),
            Role::Write => Some(("tls_go_write", "tls_go_end")),
            Role::Handshake => Some(("tls_go_handshake", "tls_go_handshake_end")),
            _ => None,
        };
    }
    // Of the calls of NSPR it is not known which go through TLS, and rustls returns a structure.
    if matches!(library, Library::Nss | Library::Rustls) {
        return None;
    }
    match role {
        Role::Read => Some(("tls_read", "tls_end")),
        Role::ReadEx => Some(("tls_read_ex", "tls_end_ex")),
        Role::Write => Some(("tls_write", "tls_end")),
        Role::WriteEx => Some(("tls_write_ex", "tls_end_ex")),
        Role::Handshake => Some(("tls_handshake", "tls_handshake_end")),
        _ => None,
    }
}

/// A link of many probes exists since 6.6 and needs no more rights than the program did; an older kernel has only the
/// performance event, which some kernels give to CAP_SYS_ADMIN alone.
fn hang(object: &Object, path: &Path, probe: &Probe<'_>) -> Result<Vec<Link>, String> {
    let program = object.progs_mut().find(|program| program.name() == probe.program);
    let program = program.ok_or_else(|| format!("there is no program {}", probe.program))?;
    let offsets: Result<Vec<usize>, _> =
        probe.sites.iter().map(|(_, site)| usize::try_from(site.file_offset)).collect();
    let offsets = offsets.map_err(|error| error.to_string())?;
    let options = UprobeMultiOpts { offsets: offsets.clone(), retprobe: probe.returns, ..UprobeMultiOpts::default() };
    let first = match program.attach_uprobe_multi_with_opts(-1, path, "", options) {
        Ok(link) => return Ok(vec![link]),
        Err(error) => error,
    };
    let one = |offset| {
        let options = UprobeOpts { retprobe: probe.returns, ..UprobeOpts::default() };
        program.attach_uprobe_with_opts(-1, path, offset, options)
    };
    let links: Result<Vec<Link>, _> = offsets.into_iter().map(one).collect();
    links.map_err(|second| format!("{first}; {second}"))
}
