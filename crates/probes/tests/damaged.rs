//! Files that are cut, and files of which bytes were changed: an answer or an error, never a panic.
#![allow(clippy::unwrap_used)]

mod common;

use common::run;
use limpid_probes::inspect_bytes;
use std::process::Command;

/// The library of the fuzzing corpus, and one of this machine with all that linkers make.
fn files() -> Vec<Vec<u8>> {
    let small = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/libtls.so")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("main.go"), "package main\n\nimport \"crypto/tls\"\n\nfunc main() { c, _ := tls.Dial(\"\", \"\", nil); c.Read(nil); c.Write(nil) }\n").unwrap();
    run(Command::new("go").args(["build", "-ldflags=-s -w", "-o", "program", "main.go"]).current_dir(folder.path()));
    vec![small, std::fs::read(folder.path().join("program")).unwrap()]
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

#[test]
fn whole_files_are_understood() {
    for file in files() {
        assert!(inspect_bytes(&file).unwrap().is_some_and(|found| found.functions.len() >= 2));
    }
}

#[test]
fn cut_files_are_answered() {
    for file in files() {
        for part in 0..64 {
            let _ = inspect_bytes(&file[..file.len() * part / 64]);
        }
    }
}

#[test]
fn changed_files_are_answered() {
    let mut random = Random(7);
    for file in files() {
        let rounds = if file.len() < 100_000 { 4000 } else { 60 };
        for _ in 0..rounds {
            let mut changed = file.clone();
            for _ in 0..1 + random.below(20) {
                // Half of the changes hit the headers, at the front and at the end.
                let near = [changed.len(), 2048, changed.len()][random.below(3)].min(changed.len());
                let at = random.below(near);
                let at = if random.below(2) == 0 { at } else { changed.len() - 1 - at };
                changed[at] = [0xff, 0, 0x7f, random.below(256) as u8][random.below(4)];
            }
            let _ = inspect_bytes(&changed);
        }
    }
}
