//! Where uprobes go in a file: the functions that TLS plaintext passes through, and the instructions of each at which a
//! probe is cheap and sees what it needs.
//!
//! A probe on an instruction that the kernel emulates costs half a microsecond, on any other one the trap of a single
//! step: 16 microseconds on a virtual machine. So the code is decoded, and cheap places are chosen that are as good:
//!
//! - at the entry, the first emulated instruction that every call passes once, with its arguments still in their registers;
//! - at the exit, emulated instructions of which every return passes exactly one, with the result already in its register.

mod arm64;
mod c_libraries;
mod code;
mod constants;
mod elf;
mod extents;
mod function;
mod go;
mod graph;
mod plt;
mod rustls;
mod sites;
mod symbols;
mod x86;

use elf::{Elf, FileSource};
use extents::Extents;
use graph::Program;
use std::fmt;
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    OpenSsl,
    BoringSsl,
    GnuTls,
    Nss,
    Go,
    Rustls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// (connection, buffer, size), returns the number of bytes.
    Read,
    /// (connection, buffer, size, pointer to the number of bytes), returns whether it worked.
    ReadEx,
    Write,
    WriteEx,
    /// rustls: (connection, slices, number of slices).
    WriteVectored,
    Handshake,
    /// (connection, descriptor).
    SetFd,
    SetReadFd,
    SetWriteFd,
    Shutdown,
    Free,
}

impl Role {
    /// Whether something is only known once the function returns.
    pub fn watched_at_exit(self) -> bool {
        matches!(self, Role::Read | Role::ReadEx | Role::Write | Role::WriteEx | Role::WriteVectored | Role::Handshake)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    pub library: Library,
    /// As exactly as the file says it: OpenSSL's shared library only has the version of its symbols.
    pub version: Option<String>,
    pub functions: Vec<Function>,
    pub missing: Vec<Missing>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub role: Role,
    pub symbol: String,
    pub entry: Site,
    pub exit: Exit,
    /// The exit lies in a function that others call too: an exit there without an entry of this one, on the same thread,
    /// is not its own. What is returned there is positive exactly if this function returns something positive.
    pub exit_shared: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub file_offset: u64,
    /// By every kernel that uprobes are used on; if not, the probe costs a single step.
    pub emulated: bool,
    pub instruction: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Every return passes exactly one of them.
    Sites(Vec<Site>),
    /// A return probe (uretprobe) at this place, at which the return address is on top of the stack. Never in Go.
    ReturnProbe(Site),
    /// All is known at the entry.
    None,
}

/// A function of the library that is not watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub role: Role,
    pub symbol: String,
    pub reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    NoSymbol,
    /// The file holds the library, without the names of its functions.
    Stripped,
    TooLarge,
    Undecodable,
    /// Go before 1.17 passes arguments on the stack.
    StackArguments,
    /// It only jumps to that one, which is watched: nothing is lost.
    CoveredBy(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Reason::NoSymbol => write!(out, "no symbol of that name"),
            Reason::Stripped => write!(out, "stripped: the names of functions are gone"),
            Reason::TooLarge => write!(out, "larger than what is analysed"),
            Reason::Undecodable => write!(out, "code that is not understood"),
            Reason::StackArguments => write!(out, "built by a Go that passes arguments on the stack"),
            Reason::CoveredBy(other) => write!(out, "goes on in {other}, which is watched"),
        }
    }
}

#[derive(Debug)]
pub enum InspectError {
    Read(std::io::Error),
    NotElf,
    /// Not x86-64 and not arm64.
    Machine,
    Damaged(&'static str),
}

impl fmt::Display for InspectError {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            InspectError::Read(error) => write!(out, "cannot be read: {error}"),
            InspectError::NotElf => write!(out, "not an ELF file"),
            InspectError::Machine => write!(out, "for a processor that is not known"),
            InspectError::Damaged(part) => write!(out, "damaged {part}"),
        }
    }
}

impl std::error::Error for InspectError {}

/// What TLS implementation the file holds and where its functions are; None when it has none.
pub fn inspect(path: &Path) -> Result<Option<Inspection>, InspectError> {
    let file = FileSource::open(path).map_err(InspectError::Read)?;
    inspect_elf(&Elf::parse(&file)?)
}

/// The same of a file's content.
pub fn inspect_bytes(content: &[u8]) -> Result<Option<Inspection>, InspectError> {
    inspect_elf(&Elf::parse(&content)?)
}

/// Each name that is looked for holds one of them.
const FRAGMENTS: [&str; 6] = ["SSL_", "gnutls_", "PR_", go::FRAGMENT, rustls::FRAGMENT, rustls::FRAGMENT_LEGACY];

fn inspect_elf(elf: &Elf) -> Result<Option<Inspection>, InspectError> {
    let wanted = |name: &str| c_libraries::wanted(name) || go::wanted(name) || rustls::wanted(name);
    let symbols = symbols::find(elf, &FRAGMENTS, &wanted);
    let program = Program { elf, extents: Extents::of(elf) };
    let found = go::inspect(&program, &symbols).or_else(|| c_libraries::inspect(&program, &symbols));
    let found = found.or_else(|| rustls::inspect(&program, &symbols));
    if found.is_some() || elf.section(".symtab").is_some() {
        return Ok(found);
    }
    Ok(c_libraries::stripped(elf).or_else(|| rustls::stripped(elf)))
}
