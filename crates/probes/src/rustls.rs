//! rustls, which is always linked statically: its symbols are there unless the program was stripped. Plaintext goes through
//! `rustls::Writer` and `rustls::Reader`, whichever kind of connection they belong to.

use crate::elf::Elf;
use crate::function::{Convention, locate};
use crate::graph::Program;
use crate::symbols::Symbol;
use crate::{Inspection, Library, Missing, Reason, Role, constants};

pub const FRAGMENT: &str = "6rustls4conn";
pub const FRAGMENT_LEGACY: &str = "rustls..conn..";

/// What both ways to write a Rust name in a symbol say of `<rustls::Reader as std::io::Read>::read`: the type, the trait
/// and the method. The old way ends in a hash.
const METHODS: &[(Role, &str, &str, &str)] = &[
    (Role::Read, "Reader as std::io::Read", "6Reader", "4Read4read"),
    (Role::Write, "Writer as std::io::Write", "6Writer", "5Write5write"),
    (Role::WriteVectored, "Writer as std::io::Write", "6Writer", "5Write14write_vectored"),
];

fn role(name: &str) -> Option<Role> {
    let legacy = name.contains(FRAGMENT_LEGACY);
    let matches = |(role, subject, typed, method): &(Role, &str, &str, &str)| {
        let found = if legacy {
            let readable = name.replace("$LT$", "<").replace("$GT$", ">").replace("$u20$", " ").replace("..", "::");
            // Behind the trait comes the method with its length, and the hash.
            let method =
                method.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(char::is_alphabetic);
            readable.contains(&format!("::{subject}>{method}17h"))
        } else {
            name.starts_with("_R") && name.contains(FRAGMENT) && name.contains(typed) && name.ends_with(method)
        };
        found.then_some(*role)
    };
    METHODS.iter().find_map(matches)
}

pub fn wanted(name: &str) -> bool {
    role(name).is_some()
}

/// Of one program: a function that was compiled more than once is watched at each place.
const MAX_FUNCTIONS: usize = 16;

pub fn inspect(program: &Program, symbols: &[Symbol]) -> Option<Inspection> {
    let ours: Vec<(Role, &Symbol)> = symbols.iter().filter_map(|symbol| Some((role(&symbol.name)?, symbol))).collect();
    if ours.is_empty() {
        return None;
    }
    let version = constants::find(program.elf, "/rustls-", constants::number);
    let mut inspection = Inspection { library: Library::Rustls, version, functions: Vec::new(), missing: Vec::new() };
    for (role, symbol) in ours.iter().take(MAX_FUNCTIONS) {
        match locate(program, *role, symbol, convention(program.elf)) {
            Ok(function) => inspection.functions.push(function),
            Err(reason) => {
                inspection.missing.push(Missing { role: *role, symbol: symbol.name.clone(), reason });
            }
        }
    }
    // The compiler put it into its callers, or the program does not call it.
    for wanted in [Role::Read, Role::Write] {
        if !ours.iter().any(|(role, _)| *role == wanted) {
            let symbol = format!("rustls {wanted:?}");
            inspection.missing.push(Missing { role: wanted, symbol, reason: Reason::NoSymbol });
        }
    }
    Some(inspection)
}

/// A program that holds rustls without the names of its functions: where it may panic is written in it, with the version.
pub fn stripped(elf: &Elf) -> Option<Inspection> {
    let version = constants::find(elf, "/rustls-", constants::number)?;
    let missing = |role: Role| Missing { role, symbol: format!("rustls {role:?}"), reason: Reason::Stripped };
    let missing = [Role::Read, Role::Write].map(missing).to_vec();
    Some(Inspection { library: Library::Rustls, version: Some(version), functions: Vec::new(), missing })
}

/// `(self, pointer, length)`; a result of `io::Result<usize>` comes back in two registers: 0 for success or 1, and the number
/// of bytes or the error.
fn convention(elf: &Elf) -> Convention {
    Convention::c(elf.machine, 3).with_second_result(elf.machine)
}
