//! Libraries with C functions, linked dynamically or statically, found by what they export and not by their file's name.

use crate::elf::Elf;
use crate::function::{Convention, locate};
use crate::graph::{End, Program};
use crate::symbols::Symbol;
use crate::{Inspection, Library, Missing, Reason, Role, constants, plt};

struct Row {
    symbol: &'static str,
    role: Role,
    arguments: usize,
}

const fn row(symbol: &'static str, role: Role, arguments: usize) -> Row {
    Row { symbol, role, arguments }
}

/// `SSL_read(ssl, buffer, size)` returns how many bytes; the `_ex` ones write that to where their fourth argument points
/// and return 1.
const OPENSSL: &[Row] = &[
    row("SSL_read", Role::Read, 3),
    row("SSL_read_ex", Role::ReadEx, 4),
    row("SSL_write", Role::Write, 3),
    row("SSL_write_ex", Role::WriteEx, 4),
    row("SSL_do_handshake", Role::Handshake, 1),
    row("SSL_connect", Role::Handshake, 1),
    row("SSL_accept", Role::Handshake, 1),
    row("SSL_set_fd", Role::SetFd, 2),
    row("SSL_set_rfd", Role::SetReadFd, 2),
    row("SSL_set_wfd", Role::SetWriteFd, 2),
    row("SSL_shutdown", Role::Shutdown, 1),
    row("SSL_free", Role::Free, 1),
];

/// `gnutls_record_recv(session, buffer, size)` returns how many bytes, or a negative error.
const GNUTLS: &[Row] = &[
    row("gnutls_record_recv", Role::Read, 3),
    row("gnutls_record_send", Role::Write, 3),
    row("gnutls_record_send2", Role::Write, 3),
    row("gnutls_handshake", Role::Handshake, 1),
    row("gnutls_transport_set_int2", Role::SetFd, 3),
    row("gnutls_transport_set_ptr", Role::SetFd, 2),
    row("gnutls_transport_set_ptr2", Role::SetFd, 3),
    row("gnutls_bye", Role::Shutdown, 1),
    row("gnutls_deinit", Role::Free, 1),
];

/// The calls of NSPR, of which a TLS socket of NSS is a layer. They carry the plain traffic of other sockets too.
const NSS: &[Row] = &[
    row("PR_Read", Role::Read, 3),
    row("PR_Recv", Role::Read, 3),
    row("PR_Write", Role::Write, 3),
    row("PR_Send", Role::Write, 3),
];

/// In these, BoringSSL has a function that OpenSSL never had.
const BORINGSSL_MARK: &str = "SSL_CTX_set_grease_enabled";

pub fn wanted(name: &str) -> bool {
    let listed = |rows: &[Row]| rows.iter().any(|row| row.symbol == name);
    listed(OPENSSL) || listed(GNUTLS) || listed(NSS) || name == BORINGSSL_MARK
}

pub fn inspect(program: &Program, symbols: &[Symbol]) -> Option<Inspection> {
    let has = |name: &str| symbols.iter().any(|symbol| symbol.name == name);
    let (library, rows) = match () {
        _ if has("SSL_read") && has("SSL_write") && has(BORINGSSL_MARK) => (Library::BoringSsl, OPENSSL),
        _ if has("SSL_read") && has("SSL_write") => (Library::OpenSsl, OPENSSL),
        _ if has("gnutls_record_recv") => (Library::GnuTls, GNUTLS),
        _ if has("PR_Recv") && has("PR_Send") => (Library::Nss, NSS),
        _ => return None,
    };
    let mut inspection =
        Inspection { library, version: version(program.elf, library), functions: vec![], missing: vec![] };
    for row in rows {
        let found = symbols.iter().filter(|symbol| symbol.name == row.symbol);
        let outcome = match found.max_by_key(|symbol| symbol.size) {
            None => Err(Reason::NoSymbol),
            Some(symbol) => match covered(program, row, symbol) {
                Some(by) => Err(Reason::CoveredBy(by)),
                None => locate(program, row.role, symbol, Convention::c(program.elf.machine, row.arguments)),
            },
        };
        match outcome {
            Ok(function) => inspection.functions.push(function),
            Err(reason) => inspection.missing.push(Missing { role: row.role, symbol: row.symbol.to_owned(), reason }),
        }
    }
    Some(inspection)
}

/// `SSL_connect` sets the state and goes on to `SSL_do_handshake` by a jump: that one is watched, for both.
fn covered(program: &Program, row: &Row, symbol: &Symbol) -> Option<String> {
    if row.role != Role::Handshake {
        return None;
    }
    let graph = program.graph(symbol.address, symbol.size, false)?;
    let mut ends = graph.ends.iter().map(|(_, end)| match end {
        End::Tail(target) => plt::name(program.elf, *target),
        _ => None,
    });
    let first = ends.next()??;
    let listed = OPENSSL.iter().any(|row| row.symbol == first && row.role == Role::Handshake);
    (listed && ends.all(|other| other.as_ref() == Some(&first))).then_some(first)
}

fn version(elf: &Elf, library: Library) -> Option<String> {
    let text = match library {
        Library::OpenSsl => openssl_version(elf),
        // The others have numbers without a name beside them, or none.
        _ => None,
    };
    text.or_else(|| symbol_version(elf, library))
}

/// `OpenSSL 3.0.17 1 Jul 2025` lies among the constants of libcrypto, and of programs that hold both.
fn openssl_version(elf: &Elf) -> Option<String> {
    constants::find(elf, "OpenSSL ", dated_version)
}

/// A program that holds OpenSSL or BoringSSL without the names of its functions. Each of their errors names the source file,
/// which programs that only use the library do not hold.
pub fn stripped(elf: &Elf) -> Option<Inspection> {
    let ending = |rest: &[u8]| match rest {
        [0, ..] => Some("c".to_owned()),
        [b'c', 0, ..] => Some("cc".to_owned()),
        _ => None,
    };
    let boring = constants::find(elf, "ssl/ssl_lib.c", ending)? == "cc";
    let library = if boring { Library::BoringSsl } else { Library::OpenSsl };
    let missing = |(symbol, role): (&str, Role)| Missing { role, symbol: symbol.to_owned(), reason: Reason::Stripped };
    let missing = [("SSL_read", Role::Read), ("SSL_write", Role::Write)].map(missing).to_vec();
    Some(Inspection { library, version: version(elf, library), functions: Vec::new(), missing })
}

const MAX_VERSION_BYTES: usize = 64;

/// Three numbers and a date, which no message has.
fn dated_version(rest: &[u8]) -> Option<String> {
    let end = rest.iter().take(MAX_VERSION_BYTES).position(|byte| *byte == 0)?;
    let (number, date) = std::str::from_utf8(rest.get(..end)?).ok()?.split_once(' ')?;
    let digit = |text: &str| text.trim_start().starts_with(|first: char| first.is_ascii_digit());
    (digit(date) && digit(number) && number.split('.').count() == 3).then(|| number.to_owned())
}

/// The highest version that the symbols have, such as `OPENSSL_3.0.0`: the library is at least that new.
fn symbol_version(elf: &Elf, library: Library) -> Option<String> {
    let prefix = match library {
        Library::OpenSsl => "OPENSSL_",
        Library::GnuTls => "GNUTLS_",
        _ => return None,
    };
    let names = elf.content(elf.section(".dynstr")?)?;
    let versions =
        names.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok()?.strip_prefix(prefix));
    let numbered = versions.filter(|version| version.starts_with(|first: char| first.is_ascii_digit()));
    numbered.max_by_key(|version| numbers(version)).map(|version| version.replace('_', "."))
}

fn numbers(version: &str) -> Vec<u32> {
    version.split(['.', '_']).map(|part| part.parse().unwrap_or(0)).collect()
}
