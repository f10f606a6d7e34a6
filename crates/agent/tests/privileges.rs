//! Giving up privileges, in processes of their own: this test starts itself again. Needs root.

use limpid_agent::collectors::processes::Processes;
use limpid_agent::identity::Identity;
use limpid_agent::privileges::{self, NEEDED};
use std::process::Command;

const ROLE: &str = "LIMPID_TEST_ROLE";

/// Runs this very test in another process, in which `role` is played instead.
fn play(test: &str, role: &str) -> String {
    let me = std::env::current_exe().expect("own path");
    let output = Command::new(me).args(["--exact", test, "--nocapture"]).env(ROLE, role).output().expect("starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

fn status(field: &str) -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("status");
    let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_ascii_whitespace().skip(1).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_agent_works_with_what_it_keeps() {
    if role().is_none() {
        play("the_agent_works_with_what_it_keeps", "agent");
        return;
    }
    privileges::raise_memory_lock_limit();
    privileges::keep_needed().expect("run this test as root");
    let wanted = NEEDED.iter().fold(0u64, |mask, capability| mask | 1 << capability.number);
    for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
        assert_eq!(status(set), format!("{wanted:016x}"), "{set}");
    }
    let identity = Identity::start();
    let processes = Processes::start(identity.clone()).unwrap_or_else(|error| panic!("{error}"));
    // A process of another user, gone before anybody can look: the programs are attached and read.
    let mut child = Command::new("/bin/true").env("OTEL_SERVICE_NAME", "kept").spawn().expect("starts");
    let pid = child.id();
    child.wait().expect("ends");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while identity.process(pid).service != "kept" {
        assert!(std::time::Instant::now() < until, "the process was not seen");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(processes);
}
