//! Compiles the BPF programs. The compiler is `$CLANG`, else the first of clang-19 … clang that is there; the objects
//! go into `OUT_DIR` and from there into the binary.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Name of the object, its source, and what else the compiler is told.
const OBJECTS: &[(&str, &str, &[&str])] = &[
    ("sockets", "src/collectors/sockets/sockets.bpf.c", &[]),
    ("sockets_hash", "src/collectors/sockets/sockets.bpf.c", &["-DSTATE_IN_HASH"]),
    ("processes", "src/collectors/processes/processes.bpf.c", &[]),
    ("started", "src/collectors/sockets/tls/started.bpf.c", &[]),
    ("attach", "src/check/attach.bpf.c", &[]),
];

fn main() {
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let clang = compiler();
    for directory in ["src/bpf", "src/collectors", "src/check"] {
        println!("cargo:rerun-if-changed={directory}");
    }
    println!("cargo:rerun-if-env-changed=CLANG");
    for (name, source, arguments) in OBJECTS {
        let object = out.join(format!("{name}.bpf.o"));
        let built = libbpf_cargo::SkeletonBuilder::new()
            .source(source)
            .obj(&object)
            .clang(&clang)
            .clang_args(["-Isrc/bpf", "-mcpu=v3", "-Wall", "-Werror", target_arch()].iter().chain(*arguments))
            .build();
        if let Err(error) = built {
            panic!("cannot compile {source} with {clang}: {error:?}");
        }
    }
}

fn target_arch() -> &'static str {
    match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => "-D__TARGET_ARCH_x86",
        Ok("aarch64") => "-D__TARGET_ARCH_arm64",
        other => panic!("no BPF programs for this architecture: {other:?}"),
    }
}

/// clang before 15 lacks what CO-RE with 64-bit enums needs; the newest that is installed is taken.
fn compiler() -> String {
    if let Ok(clang) = env::var("CLANG") {
        return clang;
    }
    let candidates = (15..=22).rev().map(|version| format!("clang-{version}")).chain(["clang".to_string()]);
    candidates
        .into_iter()
        .find(|name| runs(name))
        .expect("no clang found: install one (apt-get install clang-19) or set CLANG to its path")
}

fn runs(name: &str) -> bool {
    let status = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
