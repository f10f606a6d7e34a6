//! The libraries of this machine.
#![allow(clippy::unwrap_used)]

mod common;

use common::{C_ARGUMENTS, Listing, function, run};
use limpid_probes::{Exit, Library, Reason, Role, inspect};
use std::path::{Path, PathBuf};
use std::process::Command;

/// As the linker's cache has it.
fn library(name: &str) -> Option<PathBuf> {
    let known = run(Command::new("/sbin/ldconfig").arg("-p"));
    let line = known.lines().find(|line| line.trim_start().starts_with(name) && line.contains("x86-64"))?;
    line.split("=> ").nth(1).map(PathBuf::from)
}

#[test]
fn openssl_is_watched_cheaply() {
    let file = library("libssl.so.3").expect("libssl.so.3");
    let found = inspect(&file).unwrap().unwrap();
    assert_eq!(found.library, Library::OpenSsl);
    assert!(found.version.as_deref().unwrap().starts_with("3."), "{found:?}");
    let listing = Listing::of(&file);
    for (symbol, arguments) in
        [("SSL_read", 3), ("SSL_write", 3), ("SSL_read_ex", 4), ("SSL_write_ex", 4), ("SSL_do_handshake", 1)]
    {
        let function = function(&found, symbol);
        listing.check(function, &C_ARGUMENTS[..arguments], &["ax"]);
        assert!(function.entry.emulated, "{function:?}");
        let cheap = match &function.exit {
            Exit::Sites(sites) => sites.iter().all(|site| site.emulated),
            Exit::ReturnProbe(site) => site.emulated,
            Exit::None => false,
        };
        assert!(cheap, "{function:?}");
    }
    let covered = |missing: &limpid_probes::Missing| missing.reason == Reason::CoveredBy("SSL_do_handshake".to_owned());
    assert!(found.missing.iter().all(covered), "{found:?}");
}

#[test]
fn gnutls_is_watched() {
    let Some(file) = library("libgnutls.so.30") else { return println!("libgnutls is not installed: not tried") };
    let found = inspect(&file).unwrap().unwrap();
    assert_eq!(found.library, Library::GnuTls);
    let listing = Listing::of(&file);
    for symbol in ["gnutls_record_recv", "gnutls_record_send"] {
        listing.check(function(&found, symbol), &C_ARGUMENTS[..3], &["ax"]);
    }
}

#[test]
fn node_holds_openssl() {
    let which = Command::new("sh").args(["-c", "readlink -f \"$(command -v node)\""]).output().unwrap();
    let file = PathBuf::from(String::from_utf8_lossy(&which.stdout).trim());
    let asked = Command::new("node")
        .args(["-p", "process.versions.openssl + ' ' + process.config.variables.node_shared_openssl"])
        .output();
    let Ok(asked) = asked else { return println!("node is not installed: not tried") };
    let asked = String::from_utf8_lossy(&asked.stdout).into_owned();
    let (version, shared) = asked.trim().split_once(' ').unwrap();
    if shared == "true" {
        return println!("node uses the shared OpenSSL: not tried");
    }
    let found = inspect(&file).unwrap().unwrap();
    assert_eq!(found.version.as_deref(), version.split('+').next());
    for symbol in ["SSL_read", "SSL_write", "SSL_do_handshake"] {
        let function = function(&found, symbol);
        assert!(function.entry.emulated && function.exit != Exit::None, "{function:?}");
    }
}

#[test]
fn what_has_no_tls_is_none() {
    assert_eq!(inspect(Path::new("/bin/sh")).unwrap(), None);
    assert!(inspect(Path::new("/etc/passwd")).is_err());
    assert!(inspect(Path::new("/does/not/exist")).is_err());
}

/// Where the static library is installed: what a program says that was linked with it and stripped.
#[test]
fn a_stripped_program_with_openssl_says_why_nothing_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("main.c"), folder.path().join("program"));
    std::fs::write(&source, "#include <openssl/ssl.h>\nint main(void) { SSL *s = SSL_new(SSL_CTX_new(TLS_method())); return SSL_read(s, 0, 0) + SSL_write(s, 0, 0); }").unwrap();
    let libraries = ["-Wl,-Bstatic", "-lssl", "-lcrypto", "-Wl,-Bdynamic", "-lpthread", "-ldl"];
    let linked = Command::new("cc").arg("-o").arg(&program).arg(&source).args(libraries).output().unwrap();
    if !linked.status.success() {
        return println!("no static OpenSSL here: not tried");
    }
    let found = inspect(&program).unwrap().unwrap();
    assert!(found.functions.iter().any(|function| function.role == Role::Read), "{found:?}");
    let version = found.version;
    run(Command::new("strip").arg(&program));
    let found = inspect(&program).unwrap().unwrap();
    assert_eq!((found.library, found.version), (Library::OpenSsl, version));
    assert!(found.missing.iter().all(|missing| missing.reason == Reason::Stripped), "{:?}", found.missing);
}
