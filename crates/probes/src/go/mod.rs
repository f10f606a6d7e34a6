//! Go's own TLS: `crypto/tls`. Names of functions are in the symbol table, and where that was stripped (`-s -w`) in the
//! table by which Go prints its stack traces, which is always there.

mod build;
mod pclntab;

use crate::elf::{Elf, Machine};
use crate::function::{Convention, locate};
use crate::graph::Program;
use crate::symbols::Symbol;
use crate::{Inspection, Library, Missing, Reason, Role};

/// `Read` and `Write` take the connection, and the slice as pointer, length and capacity. A handshake is watched where it
/// is made: `HandshakeContext` is called by each read and write, and nearly always returns at once. A return after a panic
/// that was recovered is not among the exits: none of these functions recovers one.
const FUNCTIONS: &[(&str, Role)] = &[
    ("crypto/tls.(*Conn).Read", Role::Read),
    ("crypto/tls.(*Conn).Write", Role::Write),
    ("crypto/tls.(*Conn).clientHandshake", Role::Handshake),
    ("crypto/tls.(*Conn).serverHandshake", Role::Handshake),
    ("crypto/tls.(*Conn).Close", Role::Shutdown),
];

pub const FRAGMENT: &str = "crypto/tls.(*Conn).";

pub fn wanted(name: &str) -> bool {
    FUNCTIONS.iter().any(|(function, _)| *function == name)
}

pub fn inspect(program: &Program, symbols: &[Symbol]) -> Option<Inspection> {
    let elf = program.elf;
    if ![".", ".data.rel.ro."].iter().any(|prefix| elf.section(&format!("{prefix}gopclntab")).is_some()) {
        return None;
    }
    let stripped;
    let symbols = if symbols.iter().any(|symbol| wanted(&symbol.name)) {
        symbols
    } else {
        stripped = pclntab::find(elf, FRAGMENT, &wanted)?;
        stripped.as_slice()
    };
    if !symbols.iter().any(|symbol| wanted(&symbol.name)) {
        return None;
    }
    let version = build::version(elf);
    let registers = version.as_deref().is_none_or(|version| has_register_arguments(version, elf.machine));
    let mut inspection = Inspection { library: Library::Go, version, functions: vec![], missing: vec![] };
    for (name, role) in FUNCTIONS {
        let outcome = match symbols.iter().find(|symbol| symbol.name == *name) {
            None => Err(Reason::NoSymbol),
            Some(_) if !registers => Err(Reason::StackArguments),
            Some(symbol) => locate(program, *role, symbol, Convention::go(elf.machine)),
        };
        match outcome {
            Ok(function) => inspection.functions.push(function),
            Err(reason) => inspection.missing.push(Missing { role: *role, symbol: (*name).to_owned(), reason }),
        }
    }
    Some(inspection)
}

/// Since Go 1.17 on x86-64 and 1.18 on arm64. Development versions have no number and are newer.
fn has_register_arguments(version: &str, machine: Machine) -> bool {
    let first = match machine {
        Machine::X86_64 => 17,
        Machine::Arm64 => 18,
    };
    let minor = version.strip_prefix("go1.").map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    minor.flatten().and_then(|minor| minor.parse::<u32>().ok()).is_none_or(|minor| minor >= first)
}

/// Go's text begins here, if the tables do not say it.
fn text_section(elf: &Elf) -> Option<u64> {
    elf.section(".text").map(|text| text.address)
}
