//! A Rust program that holds rustls: this one.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Listing, run};
use limpid_probes::{Library, Reason, Role, inspect};
use rustls::pki_types::ServerName;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::Arc;

/// Calls what is looked for, so that the linker keeps it: a connection that nobody answers.
fn talk() -> usize {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    assert!(connection.reader().read(&mut [0; 16]).is_err());
    connection.writer().write(b"GET / HTTP/1.1\r\n\r\n").unwrap()
}

#[test]
fn reader_and_writer_are_found() {
    assert!(talk() > 0);
    let program = std::env::current_exe().unwrap();
    let found = inspect(&program).unwrap().expect("rustls in this program");
    assert_eq!(found.library, Library::Rustls);
    let listing = Listing::of(&program);
    for role in [Role::Read, Role::Write] {
        let functions: Vec<_> = found.functions.iter().filter(|function| function.role == role).collect();
        assert!(!functions.is_empty(), "{found:?}");
        functions.iter().for_each(|function| listing.check(function, &["di", "si", "dx"], &["ax", "dx"]));
    }
}

#[test]
fn a_stripped_program_says_why_nothing_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    let stripped = folder.path().join("stripped");
    run(Command::new("strip").arg("-o").arg(&stripped).arg(std::env::current_exe().unwrap()));
    let found = inspect(&stripped).unwrap().expect("rustls in this program");
    assert_eq!(found.library, Library::Rustls);
    assert!(found.version.is_some_and(|version| version.starts_with("0.")));
    assert!(found.functions.is_empty());
    assert!(found.missing.iter().all(|missing| missing.reason == Reason::Stripped), "{:?}", found.missing);
}

/// Functions of the same names, which the compiler writes in its newer way.
const NAMESAKE: &str = r#"
pub mod conn { pub mod connection {
    pub struct Writer(pub Vec<u8>);
    impl std::io::Write for Writer {
        #[inline(never)]
        fn write(&mut self, from: &[u8]) -> std::io::Result<usize> { self.0.push(from[0]); Ok(from.len()) }
        fn flush(&mut self) -> std::io::Result<()> { Ok(()) }
    }
    pub struct Reader(pub Vec<u8>);
    impl std::io::Read for Reader {
        #[inline(never)]
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> { into[0] = self.0[0]; Ok(1) }
    }
} }
use std::io::{Read, Write};
fn main() {
    let mut writer: Box<dyn Write> = Box::new(conn::connection::Writer(Vec::new()));
    let mut reader: Box<dyn Read> = Box::new(conn::connection::Reader(vec![1]));
    println!("{:?} {:?}", writer.write(&[1, 2]), reader.read(&mut [0; 2]));
}
"#;

#[test]
fn names_of_both_kinds_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("main.rs"), folder.path().join("program"));
    std::fs::write(&source, NAMESAKE).unwrap();
    // Both are accepted; where the older one is the default, asking for it needs an unstable option.
    for flags in [&["-Csymbol-mangling-version=v0"][..], &[]] {
        run(Command::new("rustc")
            .args(["--crate-name", "rustls", "-O"])
            .args(flags)
            .arg("-o")
            .arg(&program)
            .arg(&source));
        let found = inspect(&program).unwrap().expect("functions with rustls' names");
        let has = |role| found.functions.iter().any(|function| function.role == role);
        assert!(has(Role::Read) && has(Role::Write), "{found:?}");
    }
}
