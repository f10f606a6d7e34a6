//! Giving up root, in a process of its own: this test starts itself again. Needs root.

use limpid_server::privileges;
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
fn the_server_becomes_nobody() {
    if role().is_none() {
        play("the_server_becomes_nobody", "server");
        return;
    }
    assert!(privileges::drop_to_user(0, 0).is_err());
    privileges::drop_to_user(65_534, 65_534).expect("run this test as root");
    assert_eq!(status("Uid:"), "65534 65534 65534 65534");
    assert_eq!(status("Gid:"), "65534 65534 65534 65534");
    assert_eq!(status("Groups:"), "");
    assert_eq!(status("CapEff:"), "0000000000000000");
    assert_eq!(status("NoNewPrivs:"), "1");
    assert!(privileges::drop_to_user(65_534, 65_534).is_ok(), "a second time changes nothing");
}
