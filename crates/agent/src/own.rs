//! Which processes are Limpid's own: those that run the same executable. Their sockets are skipped in the kernel.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// Device and inode of the executable.
type File = (u64, u64);

pub struct OwnProcesses {
    file: File,
}

impl OwnProcesses {
    pub fn new() -> Result<Self, String> {
        let file = file_of("self").ok_or("the own executable cannot be found: /proc/self/exe is not readable")?;
        Ok(OwnProcesses { file })
    }

    /// Their process ids, this one among them.
    pub fn look(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir("/proc") else { return vec![std::process::id()] };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| file_of(&pid.to_string()) == Some(self.file)).collect()
    }
}

fn file_of(pid: &str) -> Option<File> {
    // `stat` follows the link to the file itself, in whatever mount namespace the process lives.
    let metadata = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
