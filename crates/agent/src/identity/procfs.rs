//! Reading `/proc`: every read is bounded, every failure means "gone" or "not allowed" and is the caller's `None`.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

/// What `/proc/<pid>/stat` says of a process, as far as identity needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub ppid: u32,
    /// Forked and never executed another program since (`PF_FORKNOEXEC`).
    pub forked_only: bool,
    pub kernel_thread: bool,
    /// Clock ticks since boot.
    pub start: u64,
}

const PF_FORKNOEXEC: u64 = 0x40;
const PF_KTHREAD: u64 = 0x0020_0000;

/// The first `most` bytes of a file under `/proc/<pid>/`.
pub fn read(pid: u32, name: &str, most: usize) -> Option<Vec<u8>> {
    read_path(&format!("/proc/{pid}/{name}"), most)
}

pub fn read_path(path: &str, most: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(most as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

pub fn text(pid: u32, name: &str, most: usize) -> Option<String> {
    read(pid, name, most).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

pub fn link(pid: u32, name: &str) -> Option<String> {
    let target = std::fs::read_link(format!("/proc/{pid}/{name}")).ok()?;
    Some(target.to_string_lossy().into_owned())
}

pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&text(pid, "stat", 4096)?)
}

/// The command's name stands in parentheses and may hold anything, parentheses too: what follows the last one counts.
fn parse_stat(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let ppid = fields.nth(1)?.parse().ok()?;
    // Of a process that is reaped while the line is made, the kernel knows flags and start, but no parent any more and no
    // group. It would be taken for a child of nobody, for good.
    if fields.next()? == "-1" {
        return None;
    }
    let flags: u64 = fields.nth(3)?.parse().ok()?;
    let start = fields.nth(12)?.parse().ok()?;
    Some(Stat { ppid, forked_only: flags & PF_FORKNOEXEC != 0, kernel_thread: flags & PF_KTHREAD != 0, start })
}

/// Whether a process runs this file, whatever links lead to it. A process that is gone or closed says nothing against it.
pub fn runs(pid: u32, exe: &str) -> bool {
    let Some(target) = link(pid, "exe").filter(|target| target != exe) else { return true };
    let file = |path: &str| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    // A file that was replaced has the same name and another number.
    target.strip_suffix(" (deleted)") == Some(exe)
        || file(&format!("/proc/{pid}/exe")) == file(&format!("/proc/{pid}/root{exe}"))
}

/// The effective user, from `/proc/<pid>/status`.
pub fn uid(pid: u32) -> Option<u32> {
    let status = text(pid, "status", 8192)?;
    let line = status.lines().find(|line| line.starts_with("Uid:"))?;
    line.split_ascii_whitespace().nth(2)?.parse().ok()
}

/// Every process there is now. Threads are not among them.
pub fn pids() -> Vec<u32> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Inode of a namespace, as in `net:[4026531840]`.
pub fn namespace(pid: u32, kind: &str) -> Option<u64> {
    bracketed(&link(pid, &format!("ns/{kind}"))?, kind)
}

/// The number of `kind:[number]`.
pub fn bracketed(text: &str, kind: &str) -> Option<u64> {
    text.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces() {
        let line = "42 (a) b) (c) S 7 42 42 0 -1 4194368 100 0 0 0 1 2 3 4 20 0 1 0 98765 1 2 3";
        let stat = parse_stat(line).expect("parses");
        assert_eq!(stat, Stat { ppid: 7, forked_only: true, kernel_thread: false, start: 98765 });
        for cut in 0..line.len() {
            let _ = parse_stat(&line[..cut]);
        }
        let reaped = "42 (httpd) X 0 -1 -1 0 -1 4194380 100 0 0 0 1 2 3 4 20 0 0 0 98765 1 2 3";
        assert_eq!(parse_stat(reaped), None);
    }

    #[test]
    fn this_very_process() {
        let me = std::process::id();
        let stat = stat(me).expect("own stat");
        assert!(stat.start > 0 && !stat.kernel_thread && !stat.forked_only);
        assert!(pids().contains(&me));
        assert!(namespace(me, "net").is_some());
        assert!(uid(me).is_some());
        assert!(runs(me, "/proc/self/exe") && !runs(me, "/bin/sh") && runs(u32::MAX, "/bin/sh"));
    }
}
