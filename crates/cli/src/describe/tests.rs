use super::*;
use crate::commands::{COMMANDS, parser};
use std::io::Write;
use std::process::{Command as Process, Stdio};

fn root() -> Description {
    Description::of(&parser())
}

#[test]
fn every_command_and_flag_is_in_every_form() {
    let root = root();
    let names: Vec<&str> = root.commands.iter().map(Description::name).collect();
    assert_eq!(names, COMMANDS.iter().map(|command| command.name).collect::<Vec<_>>());
    let (bash, zsh, fish) = (bash(&root), zsh(&root), fish(&root));
    for command in root.all() {
        let page = man(&root, command);
        assert!(!command.about.is_empty(), "{} says nothing of itself", command.spoken());
        assert!(page.contains(&format!(".B {}\n", command.spoken().replace('-', "\\-"))), "{page}");
        for below in &command.commands {
            assert!(page.contains(&format!(".B {}\n", below.name())));
            assert!(zsh.contains(&format!("'{}:", below.name())) && fish.contains(&format!("-a {} -d", below.name())));
        }
        for flag in command.flags() {
            let long = flag.long.as_deref().expect("a flag has a name");
            assert!(!flag.help.is_empty(), "{} --{long} says nothing of itself", command.spoken());
            assert!(
                page.contains(&format!("\\fB\\-\\-{}\\fR", long.replace('-', "\\-"))),
                "{} --{long}",
                command.spoken()
            );
            let of_bash =
                bash.lines().find(|line| line.trim_start().starts_with(&format!("{})", command.path.join("/"))));
            assert!(of_bash.is_some_and(|line| line.contains(&format!("--{long}"))), "{} --{long}", command.spoken());
            assert!(fish.contains(&format!("__limpid_at {}' -l {long}", command.path.join("/"))), "{long}");
            assert!(zsh.contains(&format!("--{long}")), "{long}");
        }
    }
}

/// What bash itself offers for a line whose last word is being typed.
fn offers(words: &[&str], folder: &std::path::Path) -> Vec<String> {
    let mut script = bash(&root());
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    script.push_str(&format!(
        "COMP_WORDS=({}); COMP_CWORD={}; _limpid; printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        quoted.join(" "),
        words.len() - 1
    ));
    let mut shell = Process::new("bash")
        .arg("--norc")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash");
    shell.stdin.take().expect("its input").write_all(script.as_bytes()).expect("it reads");
    let out = shell.wait_with_output().expect("it ends");
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn a_real_bash_completes() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a capture.pcap"), "").expect("a file");
    for (words, expected) in [
        (&["limpid", "que"][..], &["query"][..]),
        (&["limpid", "query", "t"], &["traces", "topology"]),
        (&["limpid", "query", "traces", "--form"], &["--format"]),
        (&["limpid", "query", "traces", "--format", ""], &["table", "json"]),
        (&["limpid", "query", "traces", "--format", "="], &["table", "json"]),
        (&["limpid", "query", "traces", "--format", "=", "j"], &["json"]),
        (&["limpid", "query", "traces", "--token-file", "a"], &["a capture.pcap"]),
        (&["limpid", "query", "promql", "--server", ""], &[]),
        (&["limpid", "top", "--view", "e"], &["edges"]),
        (&["limpid", "completion", "z"], &["zsh"]),
        (&["limpid", "replay", ""], &["a capture.pcap"]),
        (&["limpid", "replay", "--r"], &["--raw"]),
        (&["limpid", "--v"], &["--version"]),
    ] {
        assert_eq!(offers(words, folder.path()), expected, "{words:?}");
    }
}

#[cfg(all(feature = "agent", feature = "server"))]
#[test]
fn options_of_the_configuration_complete_with_their_values() {
    let folder = tempfile::tempdir().expect("a folder");
    for (words, expected) in [
        (&["limpid", "up", "--sample", ""][..], &["auto", "all", "none"][..]),
        (&["limpid", "up", "--sync", "o"], &["on", "off"]),
        (&["limpid", "agent", "--server-"], &["--server-ca"]),
        (&["limpid", "up", "--otlp-l"], &["--otlp-listen"]),
    ] {
        assert_eq!(offers(words, folder.path()), expected, "{words:?}");
    }
}

#[test]
fn pages_have_plain_hyphens_and_no_stray_requests() {
    let root = root();
    for command in root.all() {
        for line in man(&root, command).lines() {
            let request = line.split_whitespace().next().unwrap_or_default();
            let known = [".TH", ".SH", ".TP", ".B", ".I", ".BR"];
            assert!(!line.starts_with(['.', '\'']) || known.contains(&request), "{line}");
            assert!(!line.is_empty(), "an empty line is a paragraph of its own");
        }
    }
}
