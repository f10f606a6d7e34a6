//! Go programs as people build them: with symbols and without, at a fixed address and at any, by either linker.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Listing, function, run};
use limpid_probes::{Exit, Inspection, Library, Role, inspect};
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = r#"package main

import "net/http"

func main() { panic(http.ListenAndServeTLS(":0", "c", "k", nil)) }
"#;

const ARGUMENTS: [&str; 5] = ["ax", "bx", "cx", "di", "r14"];
const RESULTS: [&str; 3] = ["ax", "bx", "cx"];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("main.go"), SOURCE).unwrap();
    std::fs::write(folder.path().join("go.mod"), "module tried\n").unwrap();
    folder
}

fn build(folder: &Path, name: &str, linker: &str, mode: &str) -> PathBuf {
    let file = folder.join(name);
    let flags = [&format!("-ldflags={linker}"), &format!("-buildmode={mode}")];
    run(Command::new("go")
        .arg("build")
        .args(flags)
        .arg("-o")
        .arg(&file)
        .arg(".")
        .current_dir(folder)
        .env("GOFLAGS", "-mod=mod"));
    file
}

fn inspected(file: &Path) -> Inspection {
    inspect(file).unwrap().expect("a program with crypto/tls")
}

#[test]
fn functions_are_found_with_symbols_and_without() {
    let folder = folder();
    let version = run(Command::new("go").args(["env", "GOVERSION"]));
    for (linker, mode) in [("", "exe"), ("", "pie"), ("-linkmode=external", "exe"), ("-linkmode=external", "pie")] {
        let whole = inspected(&build(folder.path(), "whole", linker, mode));
        assert_eq!(whole.library, Library::Go);
        assert_eq!(whole.version.as_deref(), version.trim().split(' ').next());
        assert_eq!(whole.functions.len(), 5, "{whole:?}");
        assert!(whole.functions.iter().all(|function| function.entry.emulated), "{whole:?}");
        let stripped = inspected(&build(folder.path(), "stripped", &format!("{linker} -s -w"), mode));
        // The rest of the file is moved by what is left out, the code is not.
        assert_eq!(whole.functions.len(), stripped.functions.len());
        for (one, other) in whole.functions.iter().zip(&stripped.functions) {
            assert_eq!(one.symbol, other.symbol);
            assert_eq!(one.entry.instruction, other.entry.instruction);
        }
        let listing = Listing::of(&folder.path().join("whole"));
        whole.functions.iter().for_each(|function| listing.check(function, &ARGUMENTS, &RESULTS));
    }
}

/// A table of stack traces that is stripped by the same tool from the same file says the same as its symbols.
#[test]
fn a_stripped_copy_gives_the_same_places() {
    let folder = folder();
    let file = build(folder.path(), "whole", "-linkmode=external", "pie");
    let whole = inspected(&file);
    run(Command::new("strip").arg(&file));
    assert_eq!(whole, inspected(&file));
}

#[test]
fn go_is_never_given_a_return_probe() {
    let folder = folder();
    let found = inspected(&build(folder.path(), "whole", "", "exe"));
    let read = function(&found, "crypto/tls.(*Conn).Read");
    assert_eq!(read.role, Role::Read);
    assert!(found.functions.iter().all(|function| !matches!(function.exit, Exit::ReturnProbe(_))));
    assert!(matches!(read.exit, Exit::Sites(_)), "{read:?}");
}

#[test]
fn a_program_without_tls_is_none() {
    let folder = folder();
    std::fs::write(folder.path().join("main.go"), "package main\n\nfunc main() { println(1) }\n").unwrap();
    assert_eq!(inspect(&build(folder.path(), "plain", "", "exe")).unwrap(), None);
}

/// On arm64 the kernel simulates a return: each is a cheap exit, as Go's own disassembler lists them.
#[test]
fn on_arm64_every_return_is_a_cheap_exit() {
    let folder = folder();
    let file = folder.path().join("arm64");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&file).arg(".").current_dir(folder.path());
    run(build.env("GOARCH", "arm64").env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod"));
    let found = inspected(&file);
    for symbol in ["Read", "Write"] {
        let pattern = format!(r"crypto/tls.\(\*Conn\).{symbol}$");
        let code = run(Command::new("go").args(["tool", "objdump", "-s", &pattern]).arg(&file));
        // The one behind `deferreturn` is where the runtime goes after a panic that was recovered; nothing jumps there.
        let (mut returns, mut recovered) = (0, false);
        for line in code.lines() {
            recovered |= line.contains("runtime.deferreturn");
            if line.trim_end().ends_with("RET") {
                returns += usize::from(!std::mem::take(&mut recovered));
            }
        }
        let Exit::Sites(sites) = &function(&found, &format!("crypto/tls.(*Conn).{symbol}")).exit else {
            panic!("{found:?}")
        };
        assert!(sites.iter().all(|site| site.emulated && site.instruction == "ret"), "{sites:?}");
        assert_eq!(sites.len(), returns, "{sites:?}");
    }
}
