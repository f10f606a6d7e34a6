//! Hangs the programs of `tls_functions.h` onto the functions of one file.

use super::TlsFile;
use super::files::MappedFile;
use crate::collectors::sockets::clock;
use crate::collectors::{ProgramState, ProgramStatus};
use libbpf_rs::{Link, Object, ProgramMut, UprobeMultiOpts, UprobeOpts};
use limpid_probes::{Exit, Function, Inspection, Library, Role, Site};

pub struct Attached {
    /// On the kernel's clock.
    pub since_ns: u64,
    pub status: TlsFile,
    /// Detached when dropped.
    _links: Vec<Link>,
}

/// One probe.
struct Probe<'a> {
    program: &'static str,
    site: &'a Site,
    /// Behind the function's return: the site is its first instruction.
    returns: bool,
    symbol: &'a str,
}

/// `None`: there is nothing in this file.
pub fn attach(object: &Object, file: &MappedFile) -> Option<Attached> {
    let inspection = match limpid_probes::inspect(&file.open) {
        Ok(inspection) => inspection?,
        Err(error) => {
            log::debug!("{} is not looked into for TLS: {error}", file.name.display());
            return None;
        }
    };
    let (mut links, mut probes_status) = (Vec::new(), Vec::new());
    for probe in probes(&inspection) {
        let state = match hang(object, file, &probe) {
            Ok(link) => {
                links.push(link);
                ProgramState::Running
            }
            Err(error) => ProgramState::Failed(error),
        };
        probes_status.push(ProgramStatus { name: probe.program.to_owned(), hook: probe.describe(), state });
    }
    probes_status.extend(inspection.missing.iter().map(|missing| ProgramStatus {
        name: "none".to_owned(),
        hook: missing.symbol.clone(),
        state: ProgramState::Off(missing.reason.to_string()),
    }));
    let library = match &inspection.version {
        Some(version) => format!("{:?} {version}", inspection.library),
        None => format!("{:?}", inspection.library),
    };
    log::info!("{library} in {}: {} probes", file.name.display(), links.len());
    let status = TlsFile { path: file.name.clone(), library, probes: probes_status };
    (!links.is_empty()).then(|| Attached { since_ns: clock::monotonic_ns(), status, _links: links })
}

impl Probe<'_> {
    fn describe(&self) -> String {
        let Site { file_offset, emulated, instruction } = self.site;
        let cost = if *emulated { "" } else { ", single-stepped" };
        let at = if self.returns { "return of " } else { "" };
        format!("{at}{}, {instruction} at {file_offset:#x}{cost}", self.symbol)
    }
}

/// The probes of all functions, none twice: what several functions have in common needs but one.
fn probes(inspection: &Inspection) -> Vec<Probe<'_>> {
    let mut probes: Vec<Probe<'_>> = Vec::new();
    for function in &inspection.functions {
        let Some((begins, ends)) = programs(inspection.library, function.role) else { continue };
        for probe in of_function(function, begins, ends) {
            let same = |other: &Probe<'_>| {
                (other.program, other.site.file_offset, other.returns)
                    == (probe.program, probe.site.file_offset, probe.returns)
            };
            if !probes.iter().any(same) {
                probes.push(probe);
            }
        }
    }
    probes
}

fn of_function<'a>(function: &'a Function, begins: &'static str, ends: &'static str) -> Vec<Probe<'a>> {
    let probe = |program, site, returns| Probe { program, site, returns, symbol: &function.symbol };
    let mut probes = vec![probe(begins, &function.entry, false)];
    match &function.exit {
        Exit::Sites(sites) => probes.extend(sites.iter().map(|site| probe(ends, site, false))),
        Exit::ReturnProbe(site) => probes.push(probe(ends, site, true)),
        Exit::None => probes.clear(),
    }
    probes
}

/// What runs at the beginning and at the end of a function.
fn programs(library: Library, role: Role) -> Option<(&'static str, &'static str)> {
    if library == Library::Go {
        return match role {
            Role::Read => Some(("tls_go_read", "tls_go_end")),
            Role::Write => Some(("tls_go_write", "tls_go_end")),
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
        Role::Handshake => Some(("tls_handshake", "tls_end")),
        _ => None,
    }
}

/// A link of many probes exists since 6.6 and needs no more rights than the program did; an older kernel has only the
/// performance event, which asks for CAP_SYS_ADMIN.
fn hang(object: &Object, file: &MappedFile, probe: &Probe<'_>) -> Result<Link, String> {
    let program = object.progs_mut().find(|program| program.name() == probe.program);
    let program = program.ok_or_else(|| format!("there is no program {}", probe.program))?;
    let Ok(offset) = usize::try_from(probe.site.file_offset) else { return Err("too far".to_owned()) };
    hang_multi(&program, file, offset, probe.returns).or_else(|first| {
        let options = UprobeOpts { retprobe: probe.returns, ..UprobeOpts::default() };
        let second = program.attach_uprobe_with_opts(-1, &file.open, offset, options);
        second.map_err(|second| format!("{first}; {second}"))
    })
}

fn hang_multi(program: &ProgramMut<'_>, file: &MappedFile, offset: usize, returns: bool) -> Result<Link, String> {
    let options = UprobeMultiOpts { offsets: vec![offset], retprobe: returns, ..UprobeMultiOpts::default() };
    program.attach_uprobe_multi_with_opts(-1, &file.open, "", options).map_err(|error| error.to_string())
}
