//! A Rust program that holds rustls: this one.

mod common;

use common::{Listing, run};
use limpid_probes::{Library, Role, inspect};
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
fn a_stripped_program_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let stripped = folder.path().join("stripped");
    run(Command::new("strip").arg("-o").arg(&stripped).arg(std::env::current_exe().unwrap()));
    assert_eq!(inspect(&stripped).unwrap(), None);
}
