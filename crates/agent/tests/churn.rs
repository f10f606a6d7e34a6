//! Processes that come and go leave nothing behind. In a program of its own, since the memory of the whole process is
//! measured. Needs root for the BPF programs.

use limpid_agent::collectors::processes::Processes;
use limpid_agent::identity::Identity;
use limpid_agent::{losses, self_status};
use std::process::Command;

fn burst(count: u32) {
    let script = format!("i=0; while [ $i -lt {count} ]; do /bin/true; i=$((i+1)); done");
    assert!(Command::new("sh").args(["-c", &script]).status().expect("sh").success());
}

#[test]
fn twenty_thousand_short_lived_processes_leave_nothing() {
    let identity = Identity::start();
    let processes = Processes::start(identity.clone()).expect("root, and a kernel with BTF");
    let pss = || self_status::pss_bytes().expect("smaps_rollup");
    // The table keeps a few thousand that have ended: filled once, it does not grow any more.
    burst(5_000);
    let before = pss();
    burst(15_000);
    let after = pss();
    assert!(after < before + (8 << 20), "grew from {before} to {after} bytes");
    drop(processes);
    assert_eq!(losses::PROCESS_RECORDS.get(), 0);
}
