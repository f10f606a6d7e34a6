//! Which files processes execute code from.

use crate::identity::{host::TICK_NS, procfs};
use std::collections::HashSet;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file as such, whatever its names.
pub type FileId = (u64, u64);

/// Of the mappings of one process, so much is looked at: some 10,000.
const MAPS_BYTES: usize = 1 << 20;

#[derive(Clone, Debug)]
pub struct MappedFile {
    /// By this it can be opened, also in another mount namespace. Where it is deleted: a program always, a library where
    /// CAP_CHECKPOINT_RESTORE lets `map_files` be followed.
    pub open: PathBuf,
    /// As the process sees it.
    pub name: PathBuf,
}

impl MappedFile {
    pub fn installed(path: PathBuf) -> Self {
        MappedFile { open: path.clone(), name: path }
    }

    /// Kept open, under a path that goes on to work when the process, or the name, is gone.
    pub fn open(&self) -> Option<OpenFile> {
        let file = fs::File::open(&self.open).ok()?;
        let version = Version::of(&file.metadata().ok()?);
        Some(OpenFile { path: PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())), version, file })
    }

    pub fn metadata(&self) -> Option<fs::Metadata> {
        fs::metadata(&self.open).ok().filter(fs::Metadata::is_file)
    }

    pub fn id(&self) -> Option<FileId> {
        self.metadata().as_ref().map(id_of)
    }
}

pub fn id_of(metadata: &fs::Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

/// Changes when the content is overwritten in place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Version {
    size: u64,
    modified: (i64, i64),
}

impl Version {
    fn of(metadata: &fs::Metadata) -> Self {
        Version { size: metadata.size(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

pub struct OpenFile {
    pub path: PathBuf,
    version: Version,
    file: fs::File,
}

impl OpenFile {
    pub fn is_overwritten(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| Version::of(&metadata) != self.version)
    }

    /// Whether somebody would miss it: what is deleted keeps its room on the disk as long as it is open, and what is not on
    /// the root file system keeps its own from being unmounted.
    pub fn is_in_the_way(&self) -> bool {
        let root = fs::metadata("/").map(|root| root.dev());
        self.file.metadata().is_ok_and(|file| file.nlink() == 0 || root.is_ok_and(|root| file.dev() != root))
    }
}

/// All processes, by number and start.
pub fn processes() -> HashSet<(u32, u64)> {
    procfs::pids().into_iter().filter_map(|tgid| Some((tgid, started_ns(tgid)?))).collect()
}

/// When it started, in nanoseconds since the boot.
pub fn started_ns(tgid: u32) -> Option<u64> {
    procfs::stat(tgid)?.start.checked_mul(TICK_NS)
}

/// The files that this process has mapped executable, each once.
pub fn mapped(tgid: u32) -> Vec<MappedFile> {
    let Some(maps) = procfs::text(tgid, "maps", MAPS_BYTES) else { return Vec::new() };
    let program = procfs::link(tgid, "exe");
    let mut files: Vec<MappedFile> = Vec::new();
    for line in maps.lines() {
        let Some((range, name)) = executable(line) else { continue };
        if files.iter().any(|file| file.name == Path::new(name)) {
            continue;
        }
        let by_range = PathBuf::from(format!("/proc/{tgid}/map_files/{}", without_zeros(range)));
        let by_name = PathBuf::from(format!("/proc/{tgid}/root{name}"));
        let open = match program.as_deref() {
            // The only one that opens a deleted file without further rights.
            Some(program) if program == name => PathBuf::from(format!("/proc/{tgid}/exe")),
            _ if by_range.exists() => by_range,
            _ => by_name,
        };
        files.push(MappedFile { open, name: PathBuf::from(name) });
    }
    files
}

/// `maps` fills addresses up to eight digits, the names in `map_files` do not: those of programs at a fixed address are short.
fn without_zeros(range: &str) -> String {
    let (from, to) = range.split_once('-').unwrap_or((range, ""));
    format!("{}-{}", from.trim_start_matches('0'), to.trim_start_matches('0'))
}

/// Range and name of a line of `maps`, if it is code out of a file.
fn executable(line: &str) -> Option<(&str, &str)> {
    let (range, rest) = line.split_once(' ')?;
    let (permissions, rest) = rest.split_once(' ')?;
    let name = rest.splitn(4, ' ').nth(3)?.trim_start();
    (permissions.as_bytes().get(2) == Some(&b'x') && name.starts_with('/')).then_some((range, name))
}

/// Where Debian, Fedora, Alpine and the like keep TLS libraries.
pub fn installed() -> Vec<PathBuf> {
    let machine = std::env::consts::ARCH;
    let folders = [
        format!("/usr/lib/{machine}-linux-gnu"),
        format!("/lib/{machine}-linux-gnu"),
        "/usr/lib64".to_string(),
        "/usr/lib".to_string(),
        "/lib".to_string(),
        "/usr/local/lib".to_string(),
    ];
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| is_tls_library(path)).collect()
}

fn is_tls_library(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ["libssl.so", "libgnutls.so"].iter().any(|library| name.starts_with(library))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_out_of_files_is_found_in_maps() {
        let line = "7f1c2a000000-7f1c2a0b0000 r-xp 0001e000 fe:00 1234   /usr/lib/x/libssl.so.3 (deleted)";
        assert_eq!(executable(line), Some(("7f1c2a000000-7f1c2a0b0000", "/usr/lib/x/libssl.so.3 (deleted)")));
        assert_eq!(executable("7f1c2a000000-7f1c2a0b0000 r--p 00000000 fe:00 1234   /usr/lib/x/libssl.so.3"), None);
        assert_eq!(executable("7ffd1000-7ffd2000 r-xp 00000000 00:00 0   [vdso]"), None);
        assert_eq!(executable("7ffd1000-7ffd2000 r-xp 00000000 00:00 0"), None);
        assert_eq!(executable(""), None);
    }

    #[test]
    fn a_range_is_named_as_in_map_files() {
        assert_eq!(without_zeros("00400000-006f5000"), "400000-6f5000");
        assert_eq!(without_zeros("7f1c2a000000-7f1c2a0b0000"), "7f1c2a000000-7f1c2a0b0000");
    }

    #[test]
    fn this_process_has_its_own_program_mapped() {
        let own = std::env::current_exe().expect("known");
        let files = mapped(std::process::id());
        let file = files.iter().find(|file| file.name == own).expect("mapped");
        assert_eq!(file.id(), MappedFile::installed(own).id());
        assert!(started_ns(std::process::id()).is_some());
        assert!(processes().iter().any(|(tgid, _)| *tgid == std::process::id()));
    }
}
